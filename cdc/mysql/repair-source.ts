/**
 * Puts rows of local in the place of MySQL's that a validation found to differ, in the stream's order.
 *
 * While the source is the authority its rows are locked first, those that are missing too; then the stream brings local to where the source is, and nothing of these rows is
 * left to come. What differs now differs for good, and local's row is written as a client writes it: it comes back through the stream, with what the server's triggers
 * and types make of it (docs/decisions/0032-rows-are-repaired-on-mysql-under-locks.md).
 *
 * Once local is the authority its row is read, the stream brings the source to where local was by then, the stream is kept off the source, and the row is read again:
 * written is what has not changed, for nothing of it is left to come. What has changed is on its way in the stream, and tried again. The write is the applier's,
 * tagged as its own are.
 *
 * The key says which row is meant by its text: what is equal to it under one side's collation only is another one.
 */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { emptySet } from '../apply/fold.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { StepRun } from '../apply/run-steps.ts';
import { bindPlan } from '../apply/table-binding.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { keyArrays, keyJoin, keyList, pinSession } from '../postgres/checksum.ts';
import type { DigestTable } from '../postgres/checksum.ts';
import { fieldDigestTable } from '../postgres/field-digest.ts';
import { writeTuple } from '../postgres/pgoutput.ts';
import { quoteIdent, quoteTable } from '../postgres/quote.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { RepairResult } from '../validate/repair.ts';
import type { RepairRequest } from '../validate/table-comparer.ts';
import { MysqlApplyConnection } from './apply/apply-connection.ts';
import { isDuplicate, isHeldUp } from './apply/apply-error.ts';
import { runSteps } from './apply/run-steps.ts';
import { readTargetColumns } from './apply/target-table.ts';
import { keyCondition, mysqlDigestTable, readDigestedRows } from './checksum.ts';
import type { MysqlDigestTable } from './checksum.ts';
import { errnoOf } from './connect.ts';
import { MysqlClient } from './mysql-client.ts';
import { mysqlTableName } from './query.ts';
import { isSpelledAlike } from './repair-rows.ts';
import type { Keys } from './repair-rows.ts';
import { readSourceColumns } from './source-column.ts';
import type { TypeRules } from './source-column.ts';
import { mysqlMoves } from './target-state.ts';

/** Clients that want these rows wait for as long as a batch takes. */
const BATCH_ROWS = 100;
const ROUNDS = 6;
/** For what the stream has to bring while rows of the source are locked. */
const HELD_MS = 10_000;
const SAVEPOINT = 'causeway_repair';
const run: StepRun = { isStrict: () => true, onReread: () => undefined, lsn: '0' };

interface Sides {
  readonly source: MysqlApplyConnection;
  readonly there: MysqlDigestTable;
  readonly binding: TableBinding;
  readonly local: ClientBase;
  readonly here: DigestTable;
}

interface LocalRow {
  readonly digest: string;
  readonly version: string;
  readonly row: RowRef;
}

/** What is to be done on the source, each with its key. */
interface Differences {
  readonly deletes: Keys;
  readonly updates: readonly Difference[];
  readonly inserts: readonly Difference[];
}

interface Difference {
  readonly key: readonly string[];
  readonly row: RowRef;
}

type Done = Pick<RepairResult, 'written' | 'deleted'> & { readonly changed: Keys };

/** `local`: its settings are changed, and not put back. */
export async function repairToMysql(address: ServerAddress, local: ClientBase, request: RepairRequest, types: TypeRules): Promise<RepairResult> {
  const { plan, authority, token } = request;
  await pinSession(local);
  const asker = new MysqlClient(address);
  let source: MysqlApplyConnection | undefined;
  try {
    const query = (sql: string): ReturnType<MysqlClient['query']> => asker.query(sql);
    const there = mysqlDigestTable(plan, await readSourceColumns(query, plan, types));
    const binding = bindPlan(plan, await readTargetColumns(query, { ...plan, target: plan.source }, types));
    source = await MysqlApplyConnection.open(address, authority === 'local' ? BigInt(token) : undefined);
    // A row that is missing is locked as well: nobody inserts it meanwhile.
    await source.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    return await repairAll({ source, there, binding, local, here: fieldDigestTable(plan, there.forms) }, request);
  } finally {
    await Promise.all([asker.close(), source?.close()]);
  }
}

async function repairAll(sides: Sides, request: RepairRequest): Promise<RepairResult> {
  let [written, deleted] = [0, 0];
  let open: Keys = request.mismatches.map(({ key }) => key);
  for (let round = 0; round < ROUNDS && open.length > 0; round += 1) {
    const changed: (readonly string[])[] = [];
    for (let at = 0; at < open.length; at += BATCH_ROWS) {
      request.signal.throwIfAborted();
      const done = await repairBatch(sides, open.slice(at, at + BATCH_ROWS), request);
      written += done.written;
      deleted += done.deleted;
      changed.push(...done.changed);
    }
    open = changed;
  }
  return { written, deleted, left: open.length };
}

async function repairBatch(sides: Sides, keys: Keys, request: RepairRequest): Promise<Done> {
  const { source } = sides;
  const before = request.authority === 'local' ? await readLocal(sides, keys) : undefined;
  await request.settle();
  try {
    await source.run('BEGIN');
    if (before) await keepStreamOff(source, request);
    await source.run(keys.map((key) => `SELECT 1 FROM ${mysqlTableName(sides.there.table)} WHERE ${keyCondition(sides.there, key)} FOR UPDATE`).join(';'));
    if (!before) await request.settle(HELD_MS);
    const differences = await compare(sides, keys, before);
    await write(sides, differences);
    await source.run('COMMIT');
    return { written: differences.updates.length + differences.inserts.length, deleted: differences.deletes.length, changed: differences.changed };
  } catch (error) {
    await source.run('ROLLBACK').catch(() => undefined);
    // Others had the rows, or the stream is behind: the locks are let go.
    if (isHeldUp(error) || (error instanceof MigrationError && error.code === 'MIG087')) return { written: 0, deleted: 0, changed: keys };
    if (errnoOf(error) === undefined) throw error;
    throw new MigrationError('MIG031', 'the source does not take rows of local', { detail: `${error instanceof Error ? error.message : String(error)} Nothing of these ${keys.length} rows was written.`, tableName: request.plan.source.name, cause: error, hint: 'Take away what the server names, and say VALIDATE … REPAIR COPY_TO_SOURCE again.' });
  }
}

/** The applier moves this row first in each of its transactions. */
async function keepStreamOff(source: MysqlApplyConnection, { stream, token }: RepairRequest): Promise<void> {
  if ((await source.send(mysqlMoves(stream, BigInt(token)).tagShared().text)) === 0) throw new MigrationError('MIG092');
}

async function compare({ source, there, ...sides }: Sides, keys: Keys, before: ReadonlyMap<number, LocalRow> | undefined): Promise<Differences & { readonly changed: Keys }> {
  const inSource = await readDigestedRows((sql) => source.rows(sql), there, keys);
  const inLocal = await readLocal(sides, keys);
  const changed = keys.filter((_, index) => before !== undefined && before.get(index)?.version !== inLocal.get(index)?.version);
  const differing = keys.flatMap((key, index) => {
    const [theirs, ours] = [inSource.get(index), inLocal.get(index)];
    return changed.includes(key) || theirs?.digest === ours?.digest ? [] : [{ key, theirs, ours }];
  });
  return {
    changed,
    deletes: differing.flatMap(({ key, ours }) => (ours ? [] : [key])),
    updates: differing.flatMap(({ key, theirs, ours }) => (theirs && ours ? [{ key, row: ours.row }] : [])),
    inserts: differing.flatMap(({ key, theirs, ours }) => (!theirs && ours ? [{ key, row: ours.row }] : [])),
  };
}

async function readLocal({ local, here }: Pick<Sides, 'local' | 'here'>, keys: Keys): Promise<Map<number, LocalRow>> {
  const columns = here.columns.map((name) => `t.${quoteIdent(name)}`).join(', ');
  const { rows } = await local.query<(string | null)[]>({
    text: `SELECT k.ord, ${here.digest}, t.tableoid || ' ' || t.xmin || ' ' || t.ctid, ${columns} FROM ${keyList(here)} JOIN ${quoteTable(here.table)} t ON ${keyJoin(here)} WHERE ${isSpelledAlike(here)}`,
    values: keyArrays(here, keys), rowMode: 'array', types: { getTypeParser: () => (value: string | Buffer) => value.toString() },
  });
  return new Map(rows.map(([ordinal, digest, version, ...values]) => [Number(ordinal) - 1, { digest: digest ?? '', version: version ?? '', row: { buffer: writeTuple(values), at: 0 } }]));
}

/** Row by row in place; where a unique value goes from one of them to another, the rows leave before they come. */
async function write(sides: Sides, differences: Differences): Promise<void> {
  const { source } = sides;
  await source.send(`SAVEPOINT ${SAVEPOINT}`);
  try {
    await writeRows(sides, differences);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await source.send(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
    const { deletes, updates, inserts } = differences;
    await writeRows(sides, { deletes: [...deletes, ...updates.map(({ key }) => key)], updates: [], inserts: [...updates, ...inserts] }).catch((again: unknown) => {
      if (!isDuplicate(again)) throw again;
      throw new MigrationError('MIG030', 'a row of local meets another row of the source under a unique key', {
        detail: again instanceof Error ? again.message : String(again), tableName: sides.binding.plan.source.name, cause: again, hint: 'Change or delete the other row, or repair it as well: VALIDATE MIGRATION … FULL REPAIR looks at all rows.',
      });
    });
  }
}

async function writeRows({ source, there, binding }: Sides, { deletes, updates, inserts }: Differences): Promise<void> {
  if (deletes.length > 0) await source.run(deletes.map((key) => `DELETE FROM ${mysqlTableName(there.table)} WHERE ${keyCondition(there, key)}`).join(';'));
  await runSteps(source, [{ ...emptySet, table: binding, updates: updates.map(({ row }) => row), inserts: inserts.map(({ row }) => row) }], run);
}
