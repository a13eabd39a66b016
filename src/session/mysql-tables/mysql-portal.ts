/** A translated statement made ready, and a portal of one: plain values, known to those who keep portals. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { Plan, StepValues } from '../../../grammar/dialect/mysql/translation.ts';
import type { MysqlRoute } from '../../route/route.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { RowColumn } from './row-writer.ts';
import type { ReadValue } from './value-readers.ts';

export interface PreparedPlan {
  readonly type: 'plan';
  readonly plan: Plan;
  readonly tables: readonly MigratedTable[];
  readonly readers: readonly ReadValue[];
  /** Of the columns' types. */
  readonly numbers: readonly number[];
}

export interface RunRequest {
  readonly plan: Plan;
  /** In PostgreSQL's text form. */
  readonly parameters: readonly (string | null)[];
  readonly columns: readonly RowColumn[];
  readonly tables: readonly MigratedTable[];
  readonly times: Pick<StepValues, 'transactionTime' | 'statementTime' | 'transactionDate' | 'lastNumber'>;
}

export type RunOutcome =
  /** `count`: as the command tag says it; of rows that are fetched in parts, those since the last part. */
  | { readonly type: 'done'; readonly count: number; readonly lastInsertId: number }
  | { readonly type: 'suspended' }
  | { readonly type: 'failed'; readonly fields: ErrorFields };

/** What the client's `statement_timeout` ends. */
export interface TimedRun {
  timeOut(): void;
}

/** `maxRows` 0: all of them. */
export interface RunInParts extends TimedRun {
  start(maxRows: number, done: (outcome: RunOutcome) => void): void;
  /** The client wants more of what is suspended. */
  goOn(maxRows: number, done: (outcome: RunOutcome) => void): void;
  /** Nobody wants the rest. */
  drop(): void;
}

export interface MysqlPortal {
  readonly route: MysqlRoute;
  readonly prepared: PreparedPlan;
  readonly request: RunRequest;
  readonly formats: readonly number[];
  run: RunInParts | undefined;
  isOver: boolean;
}
