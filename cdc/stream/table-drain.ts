/**
 * Applies one table's log by itself, in its own target transactions, until the table has caught up and can join the shared ones.
 *
 * A change that cannot be applied stops the table exactly before its source transaction: everything earlier is applied, everything
 * from there on stays in the log.
 */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ApplyOutcome } from '../apply/applier.ts';
import { ChangeFailure, remedyOf } from '../apply/apply-error.ts';
import type { ChangeRecord, RowRecord, SourceTransaction } from '../apply/change-record.ts';
import { BindingCache, bindTruncated } from '../apply/binding-cache.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Relation } from '../change.ts';
import { DamagedLog } from '../spool/damaged-log.ts';
import { locateRow, messageKind, readBegin, readCommit, readRelation, readTruncate, uint32 } from '../postgres/pgoutput.ts';
import { Wake } from '../flow/wake.ts';
import type { TargetMoves, UnitApplier } from './change-target.ts';
import { definitionDifferences } from './table-entry.ts';
import type { TableEntry } from './table-entry.ts';
import { DEFINITION_NOTE } from './transaction-router.ts';

export interface DrainHooks {
  readonly moves: TargetMoves;
  readonly batchChanges: number;
  /** Differences between the source's present definition and the plan. */
  presentDifferences(entry: TableEntry): Promise<string[]>;
  onApplied(entry: TableEntry, records: readonly ChangeRecord[], outcome: ApplyOutcome): void;
  onBypass(entry: TableEntry, lsn: bigint): void;
  onSchemaChange(entry: TableEntry, lsn: bigint, differences: readonly string[]): void;
  onSkipped(entry: TableEntry, record: RowRecord): void;
  /** What is left of its log cannot be read. */
  onDamaged(entry: TableEntry, damage: DamagedLog): void;
  readRereads(entry: TableEntry): Promise<void>;
  /** The table has caught up with its log, or has moved in it. */
  onProgress(entry: TableEntry): void;
}

/** The definition changes within the transaction that begins at `lsn`. */
class DefinitionChanged extends Error {
  readonly lsn: bigint;
  readonly differences: readonly string[];

  constructor(lsn: bigint, differences: readonly string[]) {
    super(differences.join('; '));
    this.lsn = lsn;
    this.differences = differences;
  }
}

const BATCH_BYTES = 4 * 1024 * 1024;

export class TableDrain {
  readonly #runtime: Runtime;
  readonly #entry: TableEntry;
  readonly #applier: UnitApplier;
  readonly #hooks: DrainHooks;
  readonly wake = new Wake();
  readonly #bindings = new Map<number, { readonly relation: Relation; readonly table: TableBinding }>();
  readonly #byLayout = new BindingCache();
  #records: ChangeRecord[] = [];
  #skipped: ChangeRecord[] = [];
  #bytes = 0;
  #transaction: SourceTransaction | undefined;
  #transactionStart = 0;
  #changeNumber = 0;
  #endLsn: bigint;
  #isOpen = false;
  #stopBefore: bigint | undefined;
  /** True while nothing is left in the log. */
  isCaughtUp = false;

  constructor(runtime: Runtime, entry: TableEntry, applier: UnitApplier, hooks: DrainHooks) {
    this.#runtime = runtime;
    this.#entry = entry;
    this.#applier = applier;
    this.#hooks = hooks;
    this.#endLsn = entry.applied;
  }

  async run(signal: AbortSignal): Promise<void> {
    const entry = this.#entry;
    while (!signal.aborted && entry.mode === 'draining') {
      try {
        await this.#catchUp(signal);
      } catch (error) {
        await this.#applier.abandon().catch(() => undefined);
        this.#reset();
        if (signal.aborted) return;
        if (!this.#fail(error)) throw error;
        continue;
      }
      this.isCaughtUp = entry.log !== undefined && entry.spoolOffset >= entry.log.wholeEndOffset;
      this.#hooks.onProgress(entry);
      await this.wake.wait();
    }
  }

  #reset(): void {
    this.#records = [];
    this.#skipped = [];
    this.#bytes = 0;
    this.#transaction = undefined;
    this.#isOpen = false;
    this.#endLsn = this.#entry.applied;
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const entry = this.#entry;
    if (entry.pendingRereads > 0) await this.#hooks.readRereads(entry);
    const { log } = entry;
    if (!log || entry.spoolOffset >= log.wholeEndOffset) return;
    this.isCaughtUp = false;
    let reached = entry.spoolOffset;
    for (const frame of log.frames(entry.spoolOffset)) {
      if (signal.aborted || entry.mode !== 'draining') break;
      for (let at = 0; at < frame.payload.length; ) {
        const end = at + 4 + frame.payload.readUInt32BE(at);
        await this.#take(frame.payload, at + 4, end, frame.offset);
        at = end;
      }
      reached = frame.nextOffset;
      if (!this.#transaction && this.#records.length > 0 && this.#isFull) await this.#apply(reached, true);
    }
    if (this.#transaction) {
      // Stopped within a transaction, or its rest is not captured yet: it begins again from its first frame.
      if (this.#isOpen) await this.#applier.abandon();
      this.#reset();
      return;
    }
    // What is left out takes its marks along.
    if (this.#records.length > 0 || this.#skipped.length > 0) await this.#apply(reached, true);
    else if (reached > entry.spoolOffset) entry.spoolOffset = reached;
    if (entry.pendingRereads > 0) await this.#hooks.readRereads(entry);
  }

  get #isFull(): boolean {
    return this.#records.length >= this.#hooks.batchChanges || this.#bytes >= BATCH_BYTES;
  }

  async #take(buffer: Buffer, at: number, end: number, frameOffset: number): Promise<void> {
    switch (buffer[at]) {
      case messageKind.relation:
        return this.#takeRelation(buffer, at);
      case messageKind.begin: {
        if (this.#isFull) await this.#apply(frameOffset, true);
        const { commitLsn, committedAtMs, transactionId } = readBegin(buffer, at);
        this.#transaction = { commitLsn, committedAtMs, transactionId };
        this.#transactionStart = frameOffset;
        this.#changeNumber = 0;
        if (this.#stopBefore !== undefined && commitLsn >= this.#stopBefore) await this.#stopHere(commitLsn);
        return;
      }
      case messageKind.commit:
        this.#endLsn = readCommit(buffer, at).endLsn;
        this.#transaction = undefined;
        if (this.#isOpen) await this.#apply(this.#transactionStart, true);
        return;
      case DEFINITION_NOTE:
        return this.#checkDefinition();
      default:
        this.#takeChange(buffer, at, end);
        if (this.#isFull && this.#transaction) await this.#apply(this.#transactionStart, false);
    }
  }

  #takeRelation(buffer: Buffer, at: number): void {
    const entry = this.#entry;
    const relation = readRelation(buffer, at);
    const known = this.#bindings.get(relation.oid);
    if (known && JSON.stringify(known.relation) === JSON.stringify(relation)) return;
    const differences = definitionDifferences(entry.plan, entry.meta.columns, relation);
    if (differences.length > 0) {
      this.#bindings.delete(relation.oid);
      this.#differences = differences;
      return;
    }
    this.#differences = undefined;
    if (!entry.shape) throw new Error(`the target's definition of ${entry.tableId} was not read`);
    this.#bindings.set(relation.oid, { relation, table: this.#byLayout.bind(entry.plan, relation, entry.shape) });
  }

  /** Told by the last relation message; an error only when a change comes under it. */
  #differences: readonly string[] | undefined;

  async #checkDefinition(): Promise<void> {
    const transaction = this.#transaction;
    if (!transaction || transaction.commitLsn < this.#entry.applied) return;
    const differences = await this.#hooks.presentDifferences(this.#entry);
    if (differences.length > 0) throw new DefinitionChanged(transaction.commitLsn, differences);
  }

  /** Everything before the transaction at fault is applied; the fault comes up again as its own. */
  async #stopHere(commitLsn: bigint): Promise<void> {
    this.#stopBefore = undefined;
    if (this.#records.length === 0) return;
    const begun = this.#transaction;
    this.#transaction = undefined;
    await this.#apply(this.#transactionStart, true);
    this.#transaction = begun;
    this.#runtime.log.debug('applied up to the transaction at fault', { tableId: this.#entry.tableId, commitLsn: String(commitLsn) });
  }

  #takeChange(buffer: Buffer, at: number, end: number): void {
    const entry = this.#entry;
    const transaction = this.#transaction;
    if (!transaction || transaction.commitLsn < entry.applied) return;
    const verdict = entry.delivers(transaction.commitLsn, transaction.transactionId);
    if (verdict !== 'yes') {
      entry.drainedChanges += 1;
      if (verdict === 'bypass') this.#hooks.onBypass(entry, transaction.commitLsn);
      return;
    }
    if (this.#differences) throw new DefinitionChanged(transaction.commitLsn, this.#differences);
    this.#changeNumber += 1;
    if (buffer[at] === messageKind.truncate) {
      const { relationOids, restartIdentity } = readTruncate(buffer, at);
      const tables = relationOids.flatMap((oid) => {
        const bound = this.#bindings.get(oid);
        return bound === undefined ? [] : [bindTruncated(bound.table, bound.relation)];
      });
      if (tables.length > 0) this.#records.push({ op: 'truncate', tables, transaction, restartIdentity });
      return;
    }
    const table = this.#bindings.get(uint32(buffer, at + 1))?.table;
    if (!table) throw new Error('the log holds a change of a relation that it does not describe');
    const { oldAt, newAt, oldIsKeyOnly } = locateRow(buffer, at);
    const op = buffer[at] === messageKind.insert ? 'insert' : buffer[at] === messageKind.update ? 'update' : 'delete';
    const record: RowRecord = { op, table, transaction, buffer, oldAt, newAt, oldIsKeyOnly };
    if (entry.skip.has(`${transaction.commitLsn}/${this.#changeNumber}`)) {
      this.#hooks.onSkipped(entry, record);
      this.#skipped.push(record);
      return;
    }
    this.#numbers.set(record, this.#changeNumber);
    this.#records.push(record);
    this.#bytes += end - at;
  }

  /** Number of a change within its transaction, for `skipFailedChange`. */
  readonly #numbers = new WeakMap<ChangeRecord, number>();

  /** `offset`: where reading begins again once this is committed. */
  async #apply(offset: number, endsTransaction: boolean): Promise<void> {
    const entry = this.#entry;
    const { moves } = this.#hooks;
    const [records, skipped] = [this.#records, this.#skipped];
    const lsn = this.#endLsn;
    entry.isStrict = entry.isStrictAt(records[0]?.transaction.commitLsn ?? lsn);
    this.#records = [];
    this.#bytes = 0;
    const move = moves.private(entry.tableId, lsn, offset);
    const tag = moves.tagPrivate(entry.tableId, lsn);
    const isFirst = !this.#isOpen;
    const opening = isFirst ? (endsTransaction ? [tag, move] : [tag]) : [];
    const closing = endsTransaction && !isFirst ? [move] : [];
    const outcome = await this.#applier.apply(this.#applier.prepare({ records, skipped, opening, closing, endsTransaction, lsn }));
    this.#isOpen = !endsTransaction;
    this.#skipped = [];
    entry.drainedChanges += records.length;
    entry.oldestPendingAtMs = records.at(-1)?.transaction.committedAtMs ?? entry.oldestPendingAtMs;
    if (endsTransaction) {
      entry.applied = lsn;
      entry.spoolOffset = offset;
      entry.savedOffset = offset;
    }
    this.#hooks.onApplied(entry, records, outcome);
    this.#hooks.onProgress(entry);
  }

  /** True when the table's own fault has been dealt with; false when the connection or the stream is at fault. */
  #fail(thrown: unknown): boolean {
    const entry = this.#entry;
    if (thrown instanceof DamagedLog) {
      this.#hooks.onDamaged(entry, thrown);
      return true;
    }
    if (thrown instanceof DefinitionChanged) {
      if (this.#hasEarlier(thrown.lsn)) return true;
      this.#setFailed(new MigrationError('MIG011', undefined, { detail: thrown.differences.join('; '), tableName: entry.plan.source.name }), thrown.lsn);
      this.#hooks.onSchemaChange(entry, thrown.lsn, thrown.differences);
      return true;
    }
    if (thrown instanceof ChangeFailure) {
      const { commitLsn } = thrown.record.transaction;
      if (this.#hasEarlier(commitLsn)) return true;
      const number = this.#numbers.get(thrown.record);
      entry.failedChange = number === undefined ? undefined : `${commitLsn}/${number}`;
      entry.failedKey = thrown.rowKey;
      const cause = thrown.cause instanceof MigrationError ? thrown.cause : new MigrationError('MIG090', 'A change cannot be applied', {
        detail: thrown.message, tableName: entry.plan.target.name, hint: 'Remove the cause and RESUME MIGRATION, or leave the change out with SKIP.',
        ...(thrown.rowKey === undefined ? {} : { rowKey: thrown.rowKey }), cause: thrown.cause,
      });
      this.#setFailed(cause, commitLsn);
      return true;
    }
    if (thrown instanceof MigrationError && thrown.category === 'CONFLICT') {
      this.#setFailed(thrown, entry.applied);
      return true;
    }
    if (remedyOf(thrown) === 'replay') {
      this.#setFailed(thrown instanceof Error ? thrown : new Error(String(thrown)), entry.applied);
      return true;
    }
    return false;
  }

  /** Whether transactions before the one at fault are still to be applied: then they are, and the fault comes up alone. */
  #hasEarlier(commitLsn: bigint): boolean {
    if (this.#stoppedFor === commitLsn) return false;
    this.#stoppedFor = commitLsn;
    this.#stopBefore = commitLsn;
    return true;
  }

  #stoppedFor: bigint | undefined;

  #setFailed(error: Error, at: bigint): void {
    this.#entry.mode = 'failed';
    this.#entry.error = error;
    this.#entry.failedAt = at;
  }
}
