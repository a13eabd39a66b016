/** What stands with one table: for whoever moves it. */
import type { LogRefusal } from '../intents/intent-log.ts';
import type { CqlMode } from '../modes.ts';

export interface TableFigures {
  /** In force for it, of its own or of its keyspace or of everything. */
  readonly mode: CqlMode;
  /** Of the last switch of its group that this proxy has made. */
  readonly epoch: number;
  /** It has agreed to a change of the cluster that is read, and waits for the decision. */
  readonly isPending: boolean;
  /** A migration has it: nobody else has switched it since. */
  readonly isHeld: boolean;
  /** Its writes that wait to be sent to a cluster; those in the first moment of their way are not among them. */
  readonly queued: number;
  /** All writes in the log that have not ended, of all tables, and how long ago the oldest of them came. */
  readonly depth: number;
  readonly oldestQueuedMs: number;
  /** Writes of it that wait for a repair. */
  readonly repairs: number;
  readonly isRepairListWhole: boolean;
  readonly damages: number;
  readonly isReachable: readonly [source: boolean, target: boolean];
  /** Why the log takes no writes. */
  readonly refusal: LogRefusal | undefined;
}
