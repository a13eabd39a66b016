/**
 * What a migration asks of the CQL proxy, or of all proxies of a group, and the messages in which it does: one JSON object per line, a connection per question. Which mode is in force is the proxy's to say, and it
 * alone keeps it: the catalog follows.
 */
import type { ErrorCode } from '../../../config/migration-error.ts';
import type { CqlModeName } from '../../../config/cql/cql-settings.ts';

/** `ks.t`, names as the server stores them. */
export interface TableAtProxy {
  readonly mode: CqlModeName;
  /** Each that is in force at some proxy: more than one while the proxies of a group differ. */
  readonly modes: readonly CqlModeName[];
  /** Of the last switch that was made for a group. */
  readonly epoch: number;
  /** A proxy waits for the decision of a change of the cluster that is read. */
  readonly isPending: boolean;
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
  /** Of a switch of a group. */
  readonly epoch?: number;
}

/** A change of the cluster that is read, which all proxies of a group have agreed to. */
export interface DecidedMove {
  readonly attempt: string;
  readonly mode: CqlModeName;
  readonly epoch: number;
}

/** One proxy's part in it. */
export interface MemberMove {
  readonly attempt: string;
  readonly table: string;
  readonly mode: CqlModeName;
  readonly skipsValidation: boolean;
  /** How long requests of clients may wait for those that are in hand. */
  readonly holdMs: number;
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

/** Each throws MIG084 while a proxy is away, and MIG087 when one does not answer: then nobody knows whether it has done it. */
export interface ProxyPort {
  table(name: string): Promise<TableAtProxy>;
  /** To a mode that reads the same cluster. Resolves when every request that began under the mode before has ended. Throws MIG050 with what is in the way. */
  switchTable(request: TableSwitch): Promise<void>;
  /**
   * To a mode that reads the other cluster; no two proxies ever read different ones. `decided` is called when nothing but the decision is missing: once it has returned the move is made, whatever crashes.
   * Throws MIG050 with what is in the way, and then nothing was changed.
   */
  moveTable(request: TableSwitch, decided: (move: DecidedMove) => Promise<void>): Promise<void>;
  /** What a crash has left of a move is made (`decided`), or taken back. */
  settleMove(table: string, decided: DecidedMove | undefined): Promise<void>;
  /**
   * From here on no client writes the table: undefined where that cannot be had at the moment. The answer ends it, and says whether it held until then: a pause is given up by itself when clients have waited too long.
   */
  pause(table: string): Promise<(() => Promise<boolean>) | undefined>;
  validated(result: TableValidated): Promise<void>;
}

export interface MemberPause {
  readonly table: string;
  readonly id: string;
  /** How long requests of clients may wait for those in hand, and altogether. */
  readonly quietMs: number;
  readonly limitMs: number;
}

/** One proxy of a group. */
export interface ProxyMember extends Pick<ProxyPort, 'table' | 'switchTable' | 'validated'> {
  beginPause(pause: MemberPause): Promise<boolean>;
  /** Whether it has held until now. */
  endPause(table: string, id: string): Promise<boolean>;
  /** For people. */
  readonly name: string;
  /** Is nothing of the table owed? Throws MIG050 for what will not pass by itself. */
  isFree(move: MemberMove): Promise<boolean>;
  /** True: it holds the table's requests until it hears the decision, after a restart too. False: not now. */
  prepare(move: MemberMove): Promise<boolean>;
  commit(table: string, move: DecidedMove): Promise<void>;
  takeBack(table: string, attempt: string | undefined): Promise<void>;
}

/** The modes in which the target answers. */
const readingTarget: ReadonlySet<CqlModeName> = new Set(['ShadowPrimary', 'ShadowSync', 'TargetOnly']);

export function readsTarget(mode: CqlModeName): boolean {
  return readingTarget.has(mode);
}

export type ProxyQuestion =
  | { readonly type: 'table'; readonly name: string }
  | { readonly type: 'switch'; readonly request: TableSwitch }
  | { readonly type: 'validated'; readonly result: TableValidated }
  | { readonly type: 'free' | 'prepare'; readonly move: MemberMove }
  | { readonly type: 'commit'; readonly table: string; readonly move: DecidedMove }
  | { readonly type: 'take-back'; readonly table: string; readonly attempt: string | undefined }
  | { readonly type: 'pause'; readonly pause: MemberPause }
  | { readonly type: 'end-pause'; readonly table: string; readonly id: string }
  | { readonly type: 'modes' };

/** `value`: what was asked for, of the type that belongs to the question. */
export type ProxyAnswer =
  | { readonly ok: true; readonly value?: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly detail?: string; readonly hint?: string };
