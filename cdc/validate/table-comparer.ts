/** Compares and repairs the tables of one source and local, on connections of its own. */
import type { TablePlan } from '../table-plan.ts';
import type { RepairResult, RepairStrategy } from './repair.ts';
import type { ComparisonOptions } from './validate-table.ts';
import type { Mismatch, ValidationReport } from './validation-report.ts';

export interface RepairRequest {
  readonly plan: TablePlan;
  readonly mismatches: readonly Pick<Mismatch, 'key'>[];
  readonly strategy: RepairStrategy;
  /** Whose rows are the truth. */
  readonly authority: 'source' | 'local';
  /** As of `ComparisonOptions`; MIG087 after `timeoutMs`. */
  readonly settle: (timeoutMs?: number) => Promise<void>;
  /** Of the fence or guard on the side that is written. */
  readonly token: string;
  /** Whose rows of the other direction's capture the repair's transactions bear (RULES 11). */
  readonly stream: string;
  readonly signal: AbortSignal;
}

export interface TableComparer {
  compare(options: ComparisonOptions & { readonly signal: AbortSignal }): Promise<ValidationReport>;
  repair(request: RepairRequest): Promise<RepairResult>;
}
