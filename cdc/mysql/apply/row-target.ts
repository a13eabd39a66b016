/** `UnitTarget` and `RowTarget` on MySQL and MariaDB. */
import { MigrationError } from '../../../config/migration-error.ts';
import { rowFromValues } from '../../apply/fetch-rows.ts';
import type { RowRef } from '../../apply/row-set.ts';
import type { RowTarget } from '../../apply/row-target.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import type { UnitTarget } from '../../apply/unit-target.ts';
import { shortestSingle } from '../convert-numbers.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';
import { isDuplicate, mysqlRemedyOf } from './apply-error.ts';
import { noteReread } from './rereads.ts';
import { runSteps, sameKey } from './run-steps.ts';
import { canonicalSql, literalsOf, writtenTable } from './target-table.ts';
import type { TargetColumn } from './target-table.ts';

const FETCHED_ROWS = 100;

export function mysqlUnits(connection: MysqlApplyConnection): UnitTarget {
  return {
    rows: mysqlRows(connection),
    send: async ({ text }) => ({ rowCount: await connection.send(text), command: text }),
    prepareSets: () => undefined,
    sendSets: () => () => Promise.resolve(),
    heedMarks: () => Promise.resolve(undefined),
  };
}

export function mysqlRows(connection: MysqlApplyConnection): RowTarget {
  return {
    send: ({ text }) => connection.send(text),
    runSteps: (steps, run) => runSteps(connection, steps, run),
    missingOrdinals: async (table, rows) => {
      const found = new Set((await readByKey(connection, table, rows, [])).map(([ordinal]) => Number(ordinal)));
      return rows.flatMap((_, index) => (found.has(index + 1) ? [] : [index + 1]));
    },
    fetchRows: (table, rows) => fetchMysqlRows(connection, table, rows),
    deleteRow: async (table, row) => {
      const written = writtenTable(table);
      await connection.run(`DELETE FROM ${written.name} WHERE ${sameKey(written, literalsOf(written, row, written.key))}`);
    },
    noteReread: (table, rows, run) => noteReread(connection, table, rows, run),
    noteWinners: (table, winners) => (winners.length === 0 ? Promise.resolve() : Promise.reject(keepsNothing(table))),
    isLarger: () => Promise.reject(keepsNothing(undefined)),
    mergeRows: (table) => Promise.reject(keepsNothing(table)),
    remedyOf: mysqlRemedyOf,
    isUniqueViolation: isDuplicate,
  };
}

/** Rows as the type map makes them on local. */
export async function fetchMysqlRows(connection: Pick<MysqlApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[]): Promise<Map<number, RowRef>> {
  const { columns } = writtenTable(table);
  const found = await readByKey(connection, table, rows, columns);
  return new Map(found.map(([ordinal, ...values]) => [Number(ordinal), rowFromValues(table, values.map((value, index) => toLocal(columns[index], value)))]));
}

/** Behind the ordinal (1-based) of the key. */
async function readByKey(connection: Pick<MysqlApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[], columns: readonly TargetColumn[]): Promise<(readonly (string | null)[])[]> {
  const written = writtenTable(table);
  const found: (readonly (string | null)[])[] = [];
  for (let from = 0; from < rows.length; from += FETCHED_ROWS) {
    const selects = rows.slice(from, from + FETCHED_ROWS).map((row, index) =>
      `(SELECT ${[`${from + index + 1}`, ...columns.map(canonicalSql)].join(', ')} FROM ${written.name} WHERE ${sameKey(written, literalsOf(written, row, written.key))})`);
    found.push(...(await connection.rows(selects.join(' UNION ALL '))));
  }
  return found;
}

function toLocal(column: TargetColumn | undefined, value: string | null): string | null {
  if (!column || value === null) return null;
  return column.toLocal(column.type.name === 'float' ? shortestSingle(Number(value)) : value);
}

function keepsNothing(table: TableBinding | undefined): MigrationError {
  return new MigrationError('MIG031', 'rows of a MySQL source win over nothing on the way back', { ...(table === undefined ? {} : { tableName: table.targetName }), hint: "Use conflict_strategy 'source_wins' or 'fail' for tables of this source." });
}
