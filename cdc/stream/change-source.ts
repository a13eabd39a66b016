/**
 * What a stream asks of the server that it captures. Everything that knows an engine's log, positions or catalogs hides behind it; nothing here or
 * in the rest of the stream asks which engine it is.
 *
 * Changes come as blocks of frames (`capture-frames.ts`): a frame is copied from the socket to the spool and to the applier without being
 * decoded, so an engine that sends pgoutput passes its bytes on, and any other one writes the same form once.
 *
 * Positions are `bigint`s that grow along one stream. What such a number means (an LSN, a place in a binlog) only the source knows; `positionOf` says it.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { RowImage } from '../apply/conflict.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Position } from '../change.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';

/** What the source keeps for the stream. */
export interface Retention {
  /** Everything before it may be gone. */
  readonly confirmed: bigint;
  /** The source has thrown away what the stream still needs. */
  readonly lost: boolean;
  /** Held back on the source's disk for the stream. */
  readonly retainedBytes: number;
}

/** Which server is captured: kept on the target, and compared at every start (RULES 7). */
export interface SourceIdentity {
  readonly systemId: string;
  readonly timeline: number;
}

export interface SavedState {
  /** Shared tables have been applied up to here. */
  readonly applied: bigint;
  readonly systemId: string | undefined;
  readonly timeline: number | undefined;
  /** No table has been applied or spooled farther. */
  readonly reached: bigint;
}

export interface CaptureHandlers {
  /** Whole frames. Must not throw. */
  readonly onBlock: (block: Buffer) => void;
  /** The source asks for an answer now. */
  readonly onReplyRequested: () => void;
  readonly onEnd: (error: Error) => void;
}

/** One connection that captures. States: open (`identify`, `check`) → streaming (`start`) → closed; what ends it is told once through `onEnd`. */
export interface CaptureConnection {
  identify(): Promise<SourceIdentity>;
  /** Refuses every gap and fork that can be seen before streaming (RULES 7): MIG020, MIG021. */
  check(saved: SavedState, retention: Retention | undefined): Promise<SourceIdentity>;
  /** Resolves when the source has begun to send. MIG020 when it cannot begin at `from`. */
  start(from: bigint, handlers: CaptureHandlers): Promise<void>;
  /** `written` is how far the stream was read, `confirmed` what the source may forget. `askForAnswer`: a source with nothing to send says so. */
  sendFeedback(written: bigint, confirmed: bigint, nowMs: number, askForAnswer: boolean): void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** A row as it is on the source, with what changes whenever it is written. */
export interface RowVersion {
  readonly id: string;
  readonly image: RowImage;
}

/** `changed`: the version is there no more; `locked`: a writer holds it; `unchanged`: on the source the row is what stood there already. */
export type WrittenVersion = 'written' | 'changed' | 'locked' | 'unchanged';

/** Under whose rules texts are equal. */
export type ServerEngine = 'postgres' | 'mysql';

export interface ChangeSource {
  readonly engine: ServerEngine;
  positionOf(order: bigint): Position;
  /** What has to stand on the server before tables can be captured. Idempotent. Before a connection: a source of several servers looks for the one that goes on. */
  prepare(): Promise<void>;
  /** Undefined when the server keeps nothing for this stream. */
  readRetention(): Promise<Retention | undefined>;
  /** The server keeps changes for the stream from the returned position on. Nothing of the stream must be there. */
  begin(): Promise<bigint>;
  connect(): Promise<CaptureConnection>;
  /** Where the server's log ends now. Some of it may be gone after a crash: never a reason to leave a later change out. */
  readEnd(): Promise<bigint>;
  /** Up to where the server's log outlives its crash: what commits from now on lies behind it, whatever happens. */
  readDurableEnd(): Promise<bigint>;
  /** Changes of the table will be wanted under this plan: told before anything of it is asked, and again for another plan of it. `columns`: `readColumns` when the plan was made. */
  expect(plan: TablePlan, columns?: readonly BaselineColumn[]): void;
  /** MIG010, MIG013: a table whose changes would not say which row they belong to. */
  checkTable(plan: TablePlan): Promise<void>;
  /** Undefined when the table is gone. */
  readColumns(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined>;
  /** Numbers of the relations under which changes of a partitioned table come. */
  readPartitions(table: QualifiedName): Promise<readonly number[]>;
  /** Resolves when every change of the table that commits from now on is sent, and each transaction that wrote it before has ended. Idempotent. */
  captureTable(plan: TablePlan): Promise<void>;
  /** Idempotent, also for a table that is gone. */
  releaseTable(plan: TablePlan): Promise<void>;
  /** Writes `token` into the server's own stream, under the stream's name. */
  writeMarker(name: string, token: string): Promise<void>;
  /** Logs DDL in-stream where the user may (RULES 6); false where it may not. */
  installDdlLog(): Promise<boolean>;
  /** Rows as they are now, by the key of each of `keys`; those that are gone are left out. */
  readRows(table: TableBinding, keys: readonly RowRef[]): Promise<readonly RowRef[]>;
  /** Of the table as `writeVersion` writes it. */
  readShape(plan: TablePlan): Promise<TargetShape>;
  /** By ordinal (1-based) of the key. */
  readVersions(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowVersion>>;
  /**
   * Writes one version of a row over. `stands`: whether the row that is written still is the one; a source whose ids do not tell every write asks while it keeps others from the
   * row, and takes false for `changed`. Throws MIG014 or MIG031, or what the server has against it.
   */
  writeVersion(table: TableBinding, id: string, row: RowImage, stands: () => Promise<boolean>): Promise<WrittenVersion>;
  /** Everything of the stream leaves the server. Idempotent. */
  drop(): Promise<void>;
  close(): Promise<void>;
}
