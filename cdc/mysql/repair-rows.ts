/**
 * Puts rows of MySQL in the place of local's that a validation found to differ, in the stream's order.
 *
 * A row is read, then the stream brings local to where the source was by then; then the stream is kept off the table on local, the row is read again, and written if it is the
 * same: all that the stream has brought is older than that, and nothing of it is left to come. A row that has changed in between is on its way in the stream, and tried
 * again. The key says which row is meant by its text: what is equal to it under local's collation only is another one.
 */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { keyArrays, keyJoin, keyList, pinSession } from '../postgres/checksum.ts';
import type { DigestTable } from '../postgres/checksum.ts';
import { sqlstateOf } from '../postgres/connect.ts';
import { applierTagSql } from '../postgres/fence.ts';
import { fieldDigestTable } from '../postgres/field-digest.ts';
import { quoteTable } from '../postgres/quote.ts';
import { insertRows } from '../validate/repair.ts';
import type { RepairResult } from '../validate/repair.ts';
import type { RepairRequest } from '../validate/table-comparer.ts';
import { lookUpRows, mysqlDigestTable, readDigestedRows } from './checksum.ts';
import type { MysqlDigestTable } from './checksum.ts';
import { shortestSingle } from './convert-numbers.ts';
import type { MysqlClient } from './mysql-client.ts';
import { readSourceColumns } from './source-column.ts';
import type { SourceColumn, TypeRules } from './source-column.ts';

/** Clients that wait for the stream wait for as long as these take. */
const BATCH_ROWS = 200;
const ROUNDS = 6;
const LOCK_TIMEOUT_MS = 10_000;
const UNIQUE_VIOLATION = '23505';

export type Keys = readonly (readonly string[])[];

interface Sides {
  readonly source: MysqlClient;
  readonly there: MysqlDigestTable;
  readonly local: ClientBase;
  readonly here: DigestTable;
}

/** `local`: its settings are changed, and not put back. */
export async function repairFromMysql(source: MysqlClient, local: ClientBase, request: RepairRequest, types: TypeRules): Promise<RepairResult> {
  const { plan, mismatches, settle, signal } = request;
  await pinSession(local);
  const there = mysqlDigestTable(plan, await readSourceColumns((sql) => source.query(sql), plan, types));
  const sides: Sides = { source, there, local, here: fieldDigestTable(plan, there.forms) };
  let [written, deleted] = [0, 0];
  let open: Keys = mismatches.map(({ key }) => key);
  for (let round = 0; round < ROUNDS && open.length > 0; round += 1) {
    const changed: (readonly string[])[] = [];
    for (let at = 0; at < open.length; at += BATCH_ROWS) {
      signal.throwIfAborted();
      const keys = open.slice(at, at + BATCH_ROWS);
      const before = await lookUpRows((sql) => source.ask(sql), there, keys);
      await settle();
      const done = await repairBatch(sides, keys, (index) => before.get(index)?.digest, request);
      written += done.written;
      deleted += done.deleted;
      changed.push(...done.changed);
    }
    open = changed;
  }
  return { written, deleted, left: open.length };
}

async function repairBatch(sides: Sides, keys: Keys, before: (index: number) => string | undefined, { plan, token, stream }: RepairRequest): Promise<{ readonly written: number; readonly deleted: number; readonly changed: Keys }> {
  const { source, there, local, here } = sides;
  await local.query('BEGIN');
  try {
    await local.query(applierTagSql(token));
    await local.query('UPDATE causeway.applied SET updated_at = now() WHERE stream = $1', [stream]);
    await local.query(`SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; LOCK TABLE ${quoteTable(plan.target)} IN SHARE ROW EXCLUSIVE MODE`);
    const now = await readDigestedRows((sql) => source.ask(sql), there, keys);
    const isSame = keys.map((_, index) => now.get(index)?.digest === before(index));
    const settled = keys.flatMap((key, index) => (isSame[index] ? [{ key, row: now.get(index)?.row }] : []));
    const rows = settled.flatMap(({ row }) => (row ? [row.map((text, column) => toLocal(there.columns[column], text))] : []));
    // No trigger and no foreign key hears of it, and readers see the old row or the new one.
    await deleteRows(sides, settled.flatMap(({ key, row }) => (row ? [key] : [])));
    const deleted = await deleteRows(sides, settled.flatMap(({ key, row }) => (row ? [] : [key])));
    await insertRows({ client: local, table: here }, rows, plan, '');
    await local.query('COMMIT');
    return { written: rows.length, deleted, changed: keys.filter((_, index) => !isSame[index]) };
  } catch (error) {
    await local.query('ROLLBACK').catch(() => undefined);
    if (sqlstateOf(error) !== UNIQUE_VIOLATION) throw error;
    throw new MigrationError('MIG030', 'a row of the source meets another row of local under a unique key', {
      detail: error instanceof Error && 'detail' in error ? String(error.detail) : String(error), tableName: plan.source.name, cause: error, hint: 'RESYNC MIGRATION FOR TABLE … loads the table again.',
    });
  }
}

/** Returns how many. */
async function deleteRows({ local, here }: Sides, keys: Keys): Promise<number> {
  if (keys.length === 0) return 0;
  const { rowCount } = await local.query(`DELETE FROM ${quoteTable(here.table)} t USING ${keyList(here)} WHERE ${keyJoin(here)} AND ${isSpelledAlike(here)}`, keyArrays(here, keys));
  return rowCount ?? 0;
}

/** Of a row beside a key of `keyList`. */
export function isSpelledAlike(here: DigestTable): string {
  return `(${here.keyText})::text COLLATE "C" = ARRAY[${here.key.map((_, at) => `k.k${at}`).join(', ')}]::text COLLATE "C"`;
}

/** The canonical text of a FLOAT has the digits that it is read back by. */
function toLocal(column: SourceColumn | undefined, text: string | null): string | null {
  if (text === null || !column) return null;
  return column.toLocal(column.type.name === 'float' ? shortestSingle(Number(text)) : text);
}
