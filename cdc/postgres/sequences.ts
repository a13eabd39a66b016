/** Sequence positions, carried from the side that was the authority to the side that becomes it. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteLiteral, quoteTable } from './quote.ts';
import { readSequences } from './read-columns.ts';
import { readJson, withQualifiedNames } from './read-json.ts';
import type { SequenceDefinition } from './definition.ts';

/** A table's name on the side that is read and on the side that is set. */
export interface SequenceTable {
  readonly from: QualifiedName;
  readonly to: QualifiedName;
}

export interface AdvancedSequence {
  readonly from: QualifiedName;
  readonly to: QualifiedName;
  readonly column: string;
  /** int8 as text: what the source had given out, and where the target stands now. */
  readonly fromValue: string;
  readonly toValue: string;
  /** True when the source has given out more than the target has. */
  readonly exhausted: boolean;
}

/** Sequences that the table's columns own or draw from, with their positions. */
export async function readTableSequences(client: ClientBase, table: QualifiedName): Promise<SequenceDefinition[]> {
  return withQualifiedNames(client, async () => {
    const oid = await readJson<{ oid: number | null }>(client, 'SELECT to_regclass($1)::oid::int8 AS oid', [quoteTable(table)]);
    return oid[0]?.oid == null ? [] : readSequences(client, oid[0].oid);
  });
}

/** A sequence of the side that was the authority and its counterpart. */
export interface SequencePair {
  readonly source: SequenceDefinition;
  readonly target: SequenceDefinition;
}

/** Which sequences belong together: the slow part, done before anyone waits. Columns without a sequence on the target are left out. */
export async function pairSequences(from: ClientBase, to: ClientBase, tables: readonly SequenceTable[]): Promise<SequencePair[]> {
  const pairs = new Map<string, SequencePair>();
  for (const table of tables) {
    const sources = await readTableSequences(from, table.from);
    const targets = sources.length === 0 ? [] : await readTableSequences(to, table.to);
    for (const source of sources) {
      const target = targets.find((each) => each.column === source.column);
      // A sequence that two tables draw from is carried once.
      if (target !== undefined) pairs.set(quoteTable(source), { source, target });
    }
  }
  return [...pairs.values()];
}

/**
 * Sets each target sequence `margin` steps past its source; one that is already further stays (never backwards). Values that sessions
 * of the source have cached count as given out: `last_value` already contains them. Not undone by a rollback (setval is not transactional).
 * Two round trips, however many sequences there are.
 */
export async function advancePairs(from: ClientBase, to: ClientBase, pairs: readonly SequencePair[], margin: number): Promise<AdvancedSequence[]> {
  if (pairs.length === 0) return [];
  const positions = await readPositions(from, pairs.map((pair) => pair.source));
  const wanted = pairs.map(({ source, target }, index) => wantedPosition({ ...source, ...positions[index] }, target, BigInt(margin)));
  await setAtLeast(to, pairs.flatMap(({ target }, index) => {
    const value = wanted[index]?.value;
    return value === undefined ? [] : [{ sequence: target, value }];
  }));
  const reached = await readPositions(to, pairs.map((pair) => pair.target));
  return pairs.map(({ source, target }, index) => ({
    from: { schema: source.schema, name: source.name }, to: { schema: target.schema, name: target.name }, column: source.column,
    fromValue: positions[index]?.lastValue ?? '0', toValue: reached[index]?.lastValue ?? '0', exhausted: wanted[index]?.exhausted ?? false,
  }));
}

/** `pairSequences` and `advancePairs` in one. */
export async function advanceSequences(from: ClientBase, to: ClientBase, tables: readonly SequenceTable[], margin: number): Promise<AdvancedSequence[]> {
  return advancePairs(from, to, await pairSequences(from, to, tables), margin);
}

/** Where they stand now, in the same order. */
export function readPositions(client: ClientBase, sequences: readonly QualifiedName[]): Promise<{ lastValue: string; isCalled: boolean }[]> {
  const one = (name: QualifiedName, index: number): string => `SELECT ${index} AS n, last_value::text AS "lastValue", is_called AS "isCalled" FROM ${quoteTable(name)}`;
  return readJson(client, `SELECT "lastValue", "isCalled" FROM (${sequences.map(one).join(' UNION ALL ')}) p ORDER BY n`);
}

/** A margin takes no more than one in so many of the numbers that are left: a key of one byte would have none after it. */
const MARGIN_SHARE = 100n;

/** Pure. Undefined: nothing was ever drawn on the source, so the target may stay where it is. */
export function wantedPosition(source: SequenceDefinition, target: SequenceDefinition, margin: bigint): { value: bigint; exhausted: boolean } | undefined {
  if (!source.isCalled && source.lastValue === source.start) return undefined;
  const step = BigInt(source.increment);
  // Not yet called: `last_value` is the next to be given out.
  const given = source.isCalled ? BigInt(source.lastValue) : BigInt(source.lastValue) - step;
  const end = step > 0n ? BigInt(target.max) : BigInt(target.min);
  const most = (end - given) / step / MARGIN_SHARE;
  const wanted = given + step * (margin > most && most >= 0n ? most : margin);
  const start = step > 0n ? BigInt(target.min) : BigInt(target.max);
  const isPast = step > 0n ? wanted > end : wanted < end;
  const isBefore = step > 0n ? wanted < start : wanted > start;
  if (isBefore) return undefined;
  return isPast ? { value: end, exhausted: true } : { value: wanted, exhausted: false };
}

/** One that is already further stays. */
export async function setAtLeast(client: ClientBase, moves: readonly { readonly sequence: SequenceDefinition; readonly value: bigint }[]): Promise<void> {
  if (moves.length > 0) await client.query(moves.map(({ sequence, value }) => setAtLeastSql(sequence, value)).join(';\n'));
}

function setAtLeastSql(target: SequenceDefinition, value: bigint): string {
  const furthest = `${BigInt(target.increment) > 0n ? 'greatest' : 'least'}(last_value, ${value}::int8)`;
  return `SELECT setval(${quoteLiteral(quoteTable(target))}::regclass, ${furthest}, is_called OR last_value IS DISTINCT FROM ${furthest} OR last_value = ${value}::int8) FROM ${quoteTable(target)}`;
}
