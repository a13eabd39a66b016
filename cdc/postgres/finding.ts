/** One thing that the preflight has to say of a table, the source or local. */
import type { ErrorCode } from '../../config/migration-error.ts';

export type FindingSeverity = 'error' | 'warning' | 'info';

export interface Finding {
  /** One word for what was checked: `wal_level`, `replica_identity` … (docs/preflight.md). */
  readonly code: string;
  readonly severity: FindingSeverity;
  readonly subject: string;
  readonly message: string;
  /** A statement or what to do; empty when nothing needs doing. */
  readonly remedy: string;
  /** For errors: what START is refused with. */
  readonly errorCode?: ErrorCode;
}
