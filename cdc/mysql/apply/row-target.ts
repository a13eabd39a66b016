/** `UnitTarget` and `RowTarget` on MySQL and MariaDB. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { RowTarget } from '../../apply/row-target.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import type { UnitTarget } from '../../apply/unit-target.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';
import { isDuplicate, mysqlRemedyOf } from './apply-error.ts';
import { fetchMysqlRows, readByKey, sameKey } from './fetch-rows.ts';
import { noteReread } from './rereads.ts';
import { runSteps } from './run-steps.ts';
import { literalsOf, writtenTable } from './target-table.ts';

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

function keepsNothing(table: TableBinding | undefined): MigrationError {
  return new MigrationError('MIG031', 'rows of a MySQL source win over nothing on the way back', { ...(table === undefined ? {} : { tableName: table.targetName }), hint: "Use conflict_strategy 'source_wins' or 'fail' for tables of this source." });
}
