/** What can go wrong while a unit of changes is applied, sorted by what is to be done about it. */
import { MigrationError } from '../../config/migration-error.ts';
import { sqlstateOf } from '../postgres/connect.ts';
import type { ChangeRecord } from './change-record.ts';
import { keyJson, newRow, oldRow } from './change-record.ts';
import type { TableBinding } from './table-binding.ts';

/** One change cannot be applied, and no retry will help. */
export class ChangeFailure extends Error {
  readonly table: TableBinding;
  readonly record: ChangeRecord;
  readonly rowKey: string | undefined;

  constructor(table: TableBinding, record: ChangeRecord, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'ChangeFailure';
    this.table = table;
    this.record = record;
    this.rowKey = record.op === 'truncate' ? undefined : keyJson(table, record.newAt >= 0 ? newRow(record) : oldRow(record));
  }
}

/** The counts of a set do not fit: some row was changed by another writer. The unit is done again, looking first. */
export class UnexpectedCount extends Error {
  constructor(table: TableBinding) {
    super(`rows of ${table.targetName} are not as the stream left them`);
    this.name = 'UnexpectedCount';
  }
}

export type ErrorRemedy =
  /** Lost locks, deadlock, serialisation: the applier gives way and tries again. */
  | 'retry'
  /** The order within the set may be what is wrong: replay in source order. */
  | 'replay'
  /** The connection or the server is gone. */
  | 'reconnect'
  | 'fail';

const retryStates = new Set(['40P01', '40001', '55P03']);

export function remedyOf(error: unknown): ErrorRemedy {
  if (error instanceof ChangeFailure) return 'fail';
  // The change that the conflict is about is found as any other that cannot be applied.
  if (error instanceof MigrationError && error.category === 'CONFLICT') return 'replay';
  const state = sqlstateOf(error);
  if (state === undefined) return 'reconnect';
  if (retryStates.has(state)) return 'retry';
  if (state.startsWith('08') || state.startsWith('57') || state.startsWith('53') || state.startsWith('58') || state === '25006' || state === '25P03') return 'reconnect';
  return 'replay';
}
