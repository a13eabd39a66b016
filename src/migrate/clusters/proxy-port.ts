/**
 * What a migration asks of the CQL proxy, and the messages in which it does: one JSON object per line over a Unix socket, a connection per question. Which mode is in force is the proxy's to say, and it alone
 * keeps it: the catalog follows.
 */
import type { ErrorCode } from '../../../config/migration-error.ts';
import type { CqlModeName } from '../../../config/cql/cql-settings.ts';

/** `ks.t`, names as the server stores them. */
export interface TableAtProxy {
  readonly mode: CqlModeName;
  /** The migration has it: nobody else has switched its mode since. */
  readonly isHeld: boolean;
  /** Its writes that wait to be sent to a cluster. */
  readonly queued: number;
  /** Writes of all tables in the log, and how long ago the oldest came. */
  readonly depth: number;
  readonly oldestQueuedMs: number;
  /** Its writes that wait for a repair. */
  readonly repairs: number;
  readonly isRepairListWhole: boolean;
  /** Places of the intent log that cannot be read. */
  readonly damages: number;
  readonly isReachable: readonly [source: boolean, target: boolean];
  /** Why writes of modes with a shadow are refused at the moment; null while they are not. */
  readonly refusal: string | null;
}

export interface TableSwitch {
  readonly table: string;
  readonly mode: CqlModeName;
  /** False: the migration has the table no more. */
  readonly holds: boolean;
  /** How long to wait for a moment in which nothing is queued. */
  readonly waitMs?: number;
  readonly leavesQueue?: boolean;
  readonly skipsValidation?: boolean;
}

export interface TableValidated {
  readonly table: string;
  /** Both clusters hold the same, or do now that it was repaired. */
  readonly isGood: boolean;
  /** Every row of it was looked at. */
  readonly isWhole: boolean;
  readonly rows: number;
  readonly different: number;
  /** How long the comparison took: what was told meanwhile counts more. */
  readonly tookMs: number;
  readonly summary: string;
}

/** Each throws MIG084 while the proxy is away, and MIG087 when it does not answer: then nobody knows whether it has done it. */
export interface ProxyPort {
  table(name: string): Promise<TableAtProxy>;
  /** Resolves when every request that began under the mode before has ended. Throws MIG050 with what is in the way. */
  switchTable(request: TableSwitch): Promise<void>;
  validated(result: TableValidated): Promise<void>;
}

export type ProxyQuestion =
  | { readonly type: 'table'; readonly name: string }
  | { readonly type: 'switch'; readonly request: TableSwitch }
  | { readonly type: 'validated'; readonly result: TableValidated };

export type ProxyAnswer =
  | { readonly ok: true; readonly table?: TableAtProxy }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly detail?: string; readonly hint?: string };
