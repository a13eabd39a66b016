/**
 * Rows that an update could not be applied to, because the row was not there and the update left values out (RULES 1): read from the
 * source again by key, and written whichever version is there. They are newer than the stream; what the stream brings
 * later brings them to the same end.
 */
import type { ApplyConnection } from '../apply/apply-connection.ts';
import { keyRow } from '../apply/key-row.ts';
import { encodeRows } from '../apply/row-set.ts';
import type { RowRef } from '../apply/row-set.ts';
import { bindPlan } from '../apply/table-binding.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ChangeSource } from '../stream/change-source.ts';
import { sqlstateOf } from './connect.ts';
import { lockMarksSql } from './marks.ts';
import { tagTransaction } from './target-state.ts';

const ROWS_AT_ONCE = 500;

export interface Rereader {
  readonly source: ChangeSource;
  readonly connection: ApplyConnection;
  readonly tag: string;
  readonly token: bigint;
}

/** Reads the whole list of a table; returns how many rows are still on it (a unique key was in the way). */
export async function rereadRows(rereader: Rereader, plan: TablePlan, shape: TargetShape): Promise<number> {
  const table = bindPlan(plan, shape);
  let after = '';
  for (;;) {
    const listed = await rereader.connection.rows({
      text: `SELECT key_json FROM causeway.reread WHERE table_id = $1 AND key_json > $2 ORDER BY key_json LIMIT ${ROWS_AT_ONCE}`, values: [plan.tableId, after],
    });
    const keys = listed.map(([key]) => key ?? '');
    const last = keys.at(-1);
    if (last === undefined) return countRereads(rereader.connection, plan.tableId);
    await rereadSome(rereader, table, keys);
    after = last;
  }
}

export async function countRereads(connection: { rows: ApplyConnection['rows'] }, tableId: string): Promise<number> {
  const [row] = await connection.rows({ text: 'SELECT count(*) FROM causeway.reread WHERE table_id = $1', values: [tableId] });
  return Number(row?.[0] ?? 0);
}

async function rereadSome(rereader: Rereader, table: TableBinding, keys: readonly string[]): Promise<void> {
  const { source, connection, tag, token } = rereader;
  const wanted = keys.map((key) => keyRow(table, key));
  try {
    // Under the lock, so that what is read is no older than any row that was marked.
    const [, tagged] = await connection.run([{ text: 'BEGIN' }, tagTransaction(tag, 0n, token), { text: lockMarksSql, values: [table.plan.tableId] }]);
    if (tagged?.rowCount === 0) throw new MigrationError('MIG092');
    await write(rereader, table, await source.readRows(table, wanted), keys);
  } catch (error) {
    await connection.send({ text: 'ROLLBACK' });
    // Another row still holds a unique key that one of these has by now: the list is read again when the stream has gone on.
    if (sqlstateOf(error) !== '23505') throw error;
  }
}

async function write(rereader: Rereader, table: TableBinding, rows: readonly RowRef[], keys: readonly string[]): Promise<void> {
  const { connection } = rereader;
  const { upsert } = table.statements;
  if (rows.length > 0) await connection.sendSet(upsert, encodeRows(rows, upsert.columns.map((column) => column.at)));
  await connection.run([
    { text: 'DELETE FROM causeway.reread WHERE table_id = $1 AND key_json = ANY ($2::text[])', values: [table.plan.tableId, [...keys]] },
    { text: 'COMMIT' },
  ]);
}
