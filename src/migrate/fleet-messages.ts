/**
 * What the control process and its gateway workers say to each other: plain JSON, one object per line. The same messages
 * serve workers of the same machine (Unix socket) and, later, other machines.
 */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { ErrorCode } from '../../config/migration-error.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import type { WorkerSurvey } from './worker-survey.ts';

/** `xids` are the source's 32-bit transaction ids; `lsn` is text because JSON has no 64-bit integers. */
export type ControlMessage =
  | { readonly type: 'snapshot'; readonly snapshot: RoutingSnapshot }
  /** All servers of CREATE SERVER: sent before the snapshot, and before the answer to what has changed them. */
  | { readonly type: 'servers'; readonly names: readonly string[] }
  /** Which of the MySQL servers in the settings goes on: sent before the snapshot, and when it is another one. */
  | { readonly type: 'mysql_server'; readonly host: string; readonly port: number }
  /** Answers `lease_request`: valid for `durationMs` from the moment the worker sent the request of this sequence number. */
  | { readonly type: 'lease'; readonly durationMs: number; readonly sequence: number }
  /** `reset`: what was told before may be gone from local. */
  | { readonly type: 'visible'; readonly lsn: string; readonly xids: readonly number[]; readonly reset?: boolean }
  /** Answers `caught_up_request`. */
  | { readonly type: 'caught_up'; readonly id: number }
  /** Report the units of epochs before `epoch` that touched these tables, now and at every change, until `unwatch`. */
  | { readonly type: 'watch'; readonly watchId: number; readonly tables: readonly string[]; readonly epoch: number }
  | { readonly type: 'unwatch'; readonly watchId: number }
  | { readonly type: 'fail_parked'; readonly sessionIds: readonly string[] }
  /** They are part of a deadlock over both sides, and give way (RULES 22). */
  | { readonly type: 'break_deadlock'; readonly sessionIds: readonly string[] }
  | { readonly type: 'result'; readonly id: number; readonly result: CommandAnswer }
  | { readonly type: 'survey_request'; readonly id: number; readonly shadowReads?: boolean }
  /** Answers `slot_request`; not granted: too many wait already. */
  | { readonly type: 'slot_answer'; readonly id: number; readonly granted: boolean }
  /** Answers `facts_request`; without `facts` there are none. */
  | { readonly type: 'facts_answer'; readonly table: string; readonly facts?: MigratedTable }
  | { readonly type: 'cancel'; readonly pid: number; readonly key: string }
  /** A worker has carried one out. */
  | { readonly type: 'cancelled'; readonly pid: number; readonly key: string };

export type WorkerMessage =
  | { readonly type: 'hello'; readonly workerId: string; readonly pid: number }
  /** Every unit that begins from now on uses this epoch. */
  | { readonly type: 'ack'; readonly epoch: number }
  | { readonly type: 'lease_request'; readonly sequence: number }
  | { readonly type: 'report'; readonly watchId: number; readonly holding: readonly Holding[]; readonly parked: readonly Parked[] }
  | { readonly type: 'command'; readonly id: number; readonly request: CommandMessage }
  /** What the translation of statements has to know of a table, by its key in the snapshot. */
  | { readonly type: 'facts_request'; readonly table: string }
  /** To be answered once local shows all that the sources of these tables, by their keys in the snapshot, had committed when it came. */
  | { readonly type: 'caught_up_request'; readonly id: number; readonly tables: readonly string[] }
  /** Open blocks that are on both sides: all of them, at every change and while there are any. */
  | { readonly type: 'crossing'; readonly units: readonly CrossingUnit[] }
  | { readonly type: 'metrics'; readonly delta: unknown }
  /** It takes no more clients, and ends with the last one. */
  | { readonly type: 'draining' }
  | { readonly type: 'survey'; readonly id: number; readonly survey: WorkerSurvey }
  /** A session that is limited wants a place. */
  | ({ readonly type: 'slot_request' } & SlotMessage)
  /** The worker has let it in by itself, while the control was away. */
  | { readonly type: 'slot_taken'; readonly id: number }
  /** The session is over, or waits no longer. */
  | { readonly type: 'slot_left'; readonly id: number }
  /** With each new link: all that the worker holds and waits for. */
  | { readonly type: 'slots'; readonly held: readonly SlotMessage[]; readonly waiting: readonly SlotMessage[] }
  | { readonly type: 'routes'; readonly counts: readonly (readonly [table: string, route: string, count: number])[] }
  | { readonly type: 'cancel'; readonly pid: number; readonly key: string }
  | { readonly type: 'cancelled'; readonly pid: number; readonly key: string };

/** `id` is the worker's own. */
export interface SlotMessage {
  readonly id: number;
  readonly user: string;
  readonly database: string;
}

export interface Holding {
  readonly sessionId: string;
  readonly user: string;
  readonly clientAddress: string;
  readonly sourcePid: number | undefined;
  readonly localPid: number | undefined;
  readonly openForMs: number;
  readonly lastStatement: string;
}

export interface CrossingUnit {
  readonly sessionId: string;
  readonly sourcePid: number;
  readonly localPid: number;
  readonly openForMs: number;
}

export interface Parked {
  readonly sessionId: string;
  readonly sourcePid: number | undefined;
  readonly localPid: number | undefined;
  readonly parkedForMs: number;
}

export interface CommandMessage {
  readonly sql: string;
  readonly user: string;
  readonly clientAddress: string;
  readonly sessionId: string;
  readonly searchPath: readonly string[];
}

export type CommandAnswer =
  | {
      readonly ok: true;
      readonly tag: string;
      readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
      readonly rows: readonly (readonly (string | null)[])[];
      readonly notices: readonly CommandNotice[];
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly detail?: string; readonly hint?: string; readonly position?: number };

export interface CommandNotice {
  readonly severity: 'NOTICE' | 'WARNING' | 'INFO';
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}
