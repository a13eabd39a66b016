/** Why a statement did not come to its end on local, in MySQL's words. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlServer } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { mysqlErrorOf, mysqlErrorWith } from '../mysql/control-result.ts';
import { localError } from './local-error.ts';
import { notServed, valueError } from './refusals.ts';
import type { PlanFailure } from './run-plan.ts';

export function failureError(failure: Exclude<PlanFailure, { type: 'lost' }>, tables: readonly MigratedTable[], server: MysqlServer): MysqlError {
  switch (failure.type) {
    case 'error':
      return localError(failure.fields, tables, server);
    case 'refused':
      return mysqlErrorWith(failure.fields);
    case 'refused_value':
      return mysqlErrorOf(notServed(failure.construct));
    case 'value_error':
      return valueError(failure.number);
    case 'fault':
      return { code: ErrorCode.unknown, sqlstate: 'HY000', message: `a value cannot be told to a MySQL client: ${failure.error.message}` };
    default:
      return failure satisfies never;
  }
}
