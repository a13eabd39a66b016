/** AUTO_INCREMENT as a sequence: its next number is carried to the identity column of local, and back (RULES 12). */
import type { ClientBase } from 'pg';
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { SequenceDefinition } from '../postgres/definition.ts';
import { readPositions, readTableSequences, setAtLeast, wantedPosition } from '../postgres/sequences.ts';
import type { SequencePair } from '../postgres/sequences.ts';
import type { TablePair } from '../source-side.ts';
import { integerRange, parseColumnType } from './column-type.ts';
import { readMysqlServer } from './introspect.ts';
import { inScope, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

const MAX_BIGINT = (1n << 63n) - 1n;

/** Undefined when no column of the table is AUTO_INCREMENT. Named as the table, which has one at most. */
export async function readAutoIncrement(query: MysqlQuery, table: QualifiedName): Promise<SequenceDefinition | undefined> {
  const rows = await query(`SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type FROM information_schema.COLUMNS WHERE ${inScope({ schema: table.schema, table: table.name })} AND EXTRA LIKE '%auto_increment%'`);
  const column = rows[0]?.['name'];
  if (column == null) return undefined;
  const type = rows[0]?.['type'] ?? '';
  const max = integerRange(parseColumnType(type))?.max ?? MAX_BIGINT;
  return {
    schema: table.schema, name: table.name, ownedBy: column, column, identity: true, type, start: '1', increment: '1', min: '1', max: `${max < MAX_BIGINT ? max : MAX_BIGINT}`,
    cache: '1', cycle: false, lastValue: await readNextNumber(query, table), isCalled: false,
  };
}

async function readNextNumber(query: MysqlQuery, table: QualifiedName): Promise<string> {
  const rows = await query(`SELECT AUTO_INCREMENT AS next FROM information_schema.TABLES WHERE ${inScope({ schema: table.schema, table: table.name })}`);
  return rows[0]?.['next'] ?? '1';
}

/** `to`: the side that gets the numbers. Columns without a sequence there are left out. */
export async function pairMysqlSequences(query: MysqlQuery, local: ClientBase, to: Side, tables: readonly TablePair[]): Promise<SequencePair[]> {
  const pairs: SequencePair[] = [];
  for (const { source, target } of tables) {
    const there = await readAutoIncrement(query, source);
    if (there === undefined) continue;
    const here = (await readTableSequences(local, target)).find((each) => each.column === there.column);
    if (here !== undefined) pairs.push(to === 'local' ? { source: there, target: here } : { source: here, target: there });
  }
  return pairs;
}

/** As `advancePairs` of PostgreSQL: never backwards. On MySQL it is an ALTER TABLE, which waits for whoever uses the table. */
export async function advanceMysqlPairs(query: MysqlQuery, local: ClientBase, to: Side, pairs: readonly SequencePair[], margin: number): Promise<void> {
  if (pairs.length === 0) return;
  const server = await readMysqlServer(query);
  // The numbers would come from a cache.
  if (server.flavour === 'mysql' && server.version >= 80003) await query('SET SESSION information_schema_stats_expiry = 0');
  if (to === 'local') {
    const moves: { sequence: SequenceDefinition; value: bigint }[] = [];
    for (const { source, target } of pairs) {
      const wanted = wantedPosition({ ...source, lastValue: await readNextNumber(query, source) }, target, BigInt(margin));
      if (wanted !== undefined) moves.push({ sequence: target, value: wanted.value });
    }
    await setAtLeast(local, moves);
    return;
  }
  const positions = await readPositions(local, pairs.map((pair) => pair.source));
  for (const [index, { source, target }] of pairs.entries()) {
    const wanted = wantedPosition({ ...source, ...positions[index] }, target, BigInt(margin));
    if (wanted === undefined) continue;
    const next = wanted.exhausted ? wanted.value : wanted.value + 1n;
    if (BigInt(await readNextNumber(query, target)) < next) await query(`ALTER TABLE ${mysqlTableName(target)} AUTO_INCREMENT = ${next}`);
  }
}
