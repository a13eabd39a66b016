/** Rows that have to be read from the captured side again (RULES 1): a list in the source's `causeway.reread`. */
import { keyRow } from '../../apply/key-row.ts';
import { keyJson } from '../../apply/change-record.ts';
import { emptySet } from '../../apply/fold.ts';
import type { TargetShape } from '../../apply/bound-table.ts';
import type { RowRef } from '../../apply/row-set.ts';
import type { StepRun } from '../../apply/run-steps.ts';
import { bindPlan } from '../../apply/table-binding.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { ChangeSource } from '../../stream/change-source.ts';
import type { TargetMoves } from '../../stream/change-target.ts';
import type { TablePlan } from '../../table-plan.ts';
import { mysqlLiteral } from '../query.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';
import { isDuplicate } from './apply-error.ts';
import type { RowTarget } from '../../apply/row-target.ts';

const ROWS_AT_ONCE = 200;
const LISTED = (tableId: string): string => `FROM causeway.reread WHERE table_id = ${mysqlLiteral(tableId)}`;

export async function noteReread(connection: MysqlApplyConnection, table: TableBinding, rows: readonly RowRef[], run: StepRun): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map((row) => keyJson(table, row)).map((key) => `(${mysqlLiteral(table.plan.tableId)}, UNHEX(SHA2(${mysqlLiteral(key)}, 256)), ${mysqlLiteral(key)})`);
  await connection.run(`INSERT IGNORE INTO causeway.reread (table_id, key_hash, key_json) VALUES ${values.join(', ')}`);
  run.onReread(table, rows.length);
}

export async function countRereads(rows: MysqlApplyConnection['rows'], tableId: string): Promise<number> {
  const [row] = await rows(`SELECT COUNT(*) ${LISTED(tableId)}`);
  return Number(row?.[0] ?? 0);
}

export interface Rereader {
  readonly source: ChangeSource;
  readonly connection: MysqlApplyConnection;
  readonly rows: RowTarget;
  readonly moves: TargetMoves;
  /** Whether the stream still is this process's. */
  isOwned(): Promise<boolean>;
}

/** Reads the whole list of a table; returns how many rows are still on it (a unique key was in the way). */
export async function rereadRows(rereader: Rereader, plan: TablePlan, shape: TargetShape): Promise<number> {
  const { connection } = rereader;
  const table = bindPlan(plan, shape);
  let after = '';
  for (;;) {
    const listed = await connection.rows(`SELECT HEX(key_hash), key_json ${LISTED(plan.tableId)} AND key_hash > x'${after}' ORDER BY key_hash LIMIT ${ROWS_AT_ONCE}`);
    await connection.run('COMMIT');
    const last = listed.at(-1)?.[0];
    if (!last) return countRereads((sql) => connection.rows(sql), plan.tableId);
    await rereadSome(rereader, table, listed.map(([hash, key]) => ({ hash: hash ?? '', key: key ?? '' })));
    after = last;
  }
}

async function rereadSome({ source, connection, rows, moves, isOwned }: Rereader, table: TableBinding, listed: readonly { readonly hash: string; readonly key: string }[]): Promise<void> {
  try {
    await connection.run('BEGIN');
    await connection.run(moves.tagPrivate(table.plan.tableId, 0n).text);
    if (!(await isOwned())) throw new MigrationError('MIG092');
    const puts = await source.readRows(table, listed.map(({ key }) => keyRow(table, key)));
    await rows.runSteps([{ ...emptySet, table, puts }], { isStrict: () => false, onReread: () => undefined, lsn: '' });
    await connection.run(`DELETE ${LISTED(table.plan.tableId)} AND key_hash IN (${listed.map(({ hash }) => `x'${hash}'`).join(', ')})`);
    await connection.run('COMMIT');
  } catch (error) {
    await connection.run('ROLLBACK');
    // Another row still holds a unique key that one of these has by now: the list is read again when the stream has gone on.
    if (!isDuplicate(error)) throw error;
  }
}
