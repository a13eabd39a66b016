/** Steps while they are made: their slots are counted for the whole statement, and dealt out at the end. */
import type { Draws, ResultColumn, RowCount, Step } from './translation.ts';

export type StepDraft = Omit<Step, 'slots'>;

export interface Steps {
  readonly steps: readonly StepDraft[];
  readonly columns: readonly ResultColumn[];
  readonly needsTransaction: boolean;
  readonly draws?: Draws | undefined;
  readonly commits?: true;
}

export interface StepOptions {
  readonly answer?: Step['answer'];
  readonly columns?: readonly ResultColumn[];
  readonly rowCount?: RowCount;
  readonly database?: string;
}

export function makeStep(text: string, options: StepOptions): StepDraft {
  return { text, answer: options.answer ?? 'none', columns: options.columns ?? [], rowCount: options.rowCount, ...(options.database === undefined ? {} : { database: options.database }) };
}
