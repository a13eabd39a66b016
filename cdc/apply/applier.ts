/**
 * Applies units of changes to the target, exactly once: the first statement of each transaction moves the stream's position, under the
 * fencing token, and by that is also the tag that the capture of the other direction knows the transaction by (RULES 11, 14).
 *
 * States: idle → open (a source transaction that comes in several units) → idle. Whatever fails leaves the applier idle, with
 * nothing of the unit on the target, or its connection lost.
 */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { formatLsn } from '../change.ts';
import type { Position } from '../change.ts';
import type { Statement } from './apply-connection.ts';
import { UnexpectedCount } from './apply-error.ts';
import type { ChangeRecord } from './change-record.ts';
import { keyJson, oldRow, rowImage } from './change-record.ts';
import { keepsTarget } from './conflict.ts';
import type { Conflict, ConflictStrategy } from './conflict.ts';
import { fold } from './fold.ts';
import { touchesMarkable } from './marks.ts';
import type { HeededUnit } from './marks.ts';
import type { Step } from './fold.ts';
import { Replay } from './replay.ts';
import type { RowRef } from './row-set.ts';
import { assertOwnKeys } from './own-key.ts';
import { resolveConflicts } from './resolve-conflicts.ts';
import type { PreparedSet, StepRun } from './run-steps.ts';
import type { TableBinding } from './table-binding.ts';
import type { UnitTarget } from './unit-target.ts';

export interface ApplyUnit {
  readonly records: readonly ChangeRecord[];
  /** Changes that an operator has left out: what their transactions marked is theirs no longer. */
  readonly skipped?: readonly ChangeRecord[];
  /** First statements of the transaction: each must find its row under the fencing token. */
  readonly opening: readonly Statement[];
  /** Last statements before the commit; the same holds. */
  readonly closing: readonly Statement[];
  /** False for all but the last unit of a source transaction that comes in several. */
  readonly endsTransaction: boolean;
  /** Position for conflicts and re-reads. */
  readonly lsn: bigint;
}

export interface ApplyOutcome {
  readonly conflicts: readonly Conflict[];
  /** Rows put on the re-read list, by table id. */
  readonly rereads: ReadonlyMap<string, number>;
}

export interface ApplierOptions {
  readonly isStrict: (table: TableBinding) => boolean;
  readonly strategyOf: (tableId: string) => ConflictStrategy;
  /** Rows of the table may be marked: left out where none ever is. */
  readonly mayHaveMarks?: (tableId: string) => boolean;
  /** The captured side's name for a position. */
  readonly positionOf: (order: bigint) => Position;
  /** The two sides are of engines whose texts are not equal under the same rules. */
  readonly comparesOtherwise: boolean;
  /** Prefix of the fault points. */
  readonly faultPrefix: string;
}

/** A unit whose SQL is ready to be sent. */
export interface PreparedUnit {
  readonly unit: ApplyUnit;
  readonly steps: readonly Step[];
  /** Undefined when the steps have to run one after the other. */
  readonly sets: readonly PreparedSet[] | undefined;
}

const RETRY_START_MS = 5;
const RETRY_LIMIT_MS = 500;
const OPEN_ATTEMPTS = 3;

export class Applier {
  readonly #runtime: Runtime;
  readonly #target: UnitTarget;
  readonly #options: ApplierOptions;
  #isOpen = false;
  /** What the open transaction held before this unit is gone: nothing more may be written into it. */
  #isTorn = false;
  #conflicts: Conflict[] = [];
  #rereads = new Map<string, number>();
  /** Tables in which the open transaction has met marks: those of its own are cleared with its first unit, and say nothing to the next. */
  readonly #marked = new Set<string>();
  readonly #replay: Replay;

  constructor(runtime: Runtime, target: UnitTarget, options: ApplierOptions) {
    this.#runtime = runtime;
    this.#target = target;
    this.#options = options;
    this.#replay = new Replay(target.rows);
  }

  /** Folds and encodes; touches neither the connection nor the applier's state, so it may run while another unit is applied. */
  prepare(unit: ApplyUnit): PreparedUnit {
    const steps = fold(unit.records);
    return { unit, steps, sets: this.#target.prepareSets(steps, this.#options.isStrict) };
  }

  /** Resolves when the unit is committed, or, when it does not end its transaction, written. */
  async apply(prepared: PreparedUnit): Promise<ApplyOutcome> {
    let pauseMs = RETRY_START_MS;
    let attempts = 0;
    for (;;) {
      try {
        await this.#write(prepared);
        break;
      } catch (error) {
        attempts += 1;
        // Within an open transaction its own locks may be what the other side waits for: then all of it has to go.
        if (this.#target.rows.remedyOf(error) !== 'retry' || this.#isTorn || (this.#isOpen && attempts > OPEN_ATTEMPTS)) throw error;
        this.#runtime.log.debug('applier gives way', { error: String(error) });
        await this.#runtime.clock.sleep(pauseMs, this.#runtime.signal);
        pauseMs = Math.min(pauseMs * 2, RETRY_LIMIT_MS);
      }
    }
    const outcome = { conflicts: this.#conflicts, rereads: this.#rereads };
    if (!prepared.unit.endsTransaction) return { conflicts: [], rereads: new Map() };
    this.#conflicts = [];
    this.#rereads = new Map();
    return outcome;
  }

  /** Rolls back what is open. */
  async abandon(): Promise<void> {
    this.#isOpen = false;
    this.#isTorn = false;
    this.#marked.clear();
    this.#conflicts = [];
    this.#rereads = new Map();
    this.#replay.clear();
    await this.#target.send({ text: 'ROLLBACK' });
  }

  async #write(prepared: PreparedUnit): Promise<void> {
    const { unit } = prepared;
    const isFirst = !this.#isOpen;
    const isSplit = !isFirst || !unit.endsTransaction;
    const before = { conflicts: [...this.#conflicts], rereads: new Map(this.#rereads) };
    try {
      await this.#tryFast(prepared, isFirst, isSplit);
    } catch (error) {
      const remedy = error instanceof UnexpectedCount ? 'replay' : this.#target.rows.remedyOf(error);
      if (remedy !== 'replay') {
        await this.#undo(isFirst);
        throw error;
      }
      this.#conflicts = before.conflicts;
      this.#rereads = before.rereads;
      await this.#writeCarefully(unit, isFirst, isSplit);
    }
    this.#isOpen = !unit.endsTransaction;
    if (unit.endsTransaction) await this.#commit(unit, isFirst);
  }

  async #tryFast({ unit, steps, sets }: PreparedUnit, isFirst: boolean, isSplit: boolean): Promise<void> {
    const opening = isFirst ? this.#begin(unit) : [];
    const saved = isSplit ? this.#target.send({ text: 'SAVEPOINT causeway_unit' }) : undefined;
    saved?.catch(() => undefined);
    if (this.#replay.hasParked) {
      await Promise.all([...opening, saved]);
      throw new UnexpectedCount((steps[0]?.kind === 'set' ? steps[0].table : this.#replay.anyTable) as TableBinding);
    }
    const run = this.#stepRun(unit);
    if (this.#mayMeetMarks(unit)) {
      await Promise.all([...opening, saved]);
      const heeded = await this.#heed(unit);
      if (heeded) {
        this.#note(heeded);
        await this.#target.rows.runSteps(fold(heeded.records), run);
        return heeded.clear();
      }
    }
    if (sets && this.#marked.size === 0) {
      const check = this.#target.sendSets(sets);
      await Promise.all([...opening, saved]);
      await check(run);
      return;
    }
    await Promise.all([...opening, saved]);
    await this.#target.rows.runSteps(steps, run);
  }

  #begin(unit: ApplyUnit): Promise<void>[] {
    const begun = this.#target.send({ text: 'BEGIN' }).then(() => undefined);
    const moved = unit.opening.map((statement) => this.#fenced(statement));
    for (const each of [begun, ...moved]) each.catch(() => undefined);
    return [begun, ...moved];
  }

  async #fenced(statement: Statement): Promise<void> {
    const { rowCount } = await this.#target.send(statement);
    if (rowCount === 0) throw new MigrationError('MIG092', undefined, { detail: 'The position on the target carries a newer fencing token.' });
  }

  /** In source order, looking before writing (RULES 5, 25). */
  async #writeCarefully(unit: ApplyUnit, isFirst: boolean, isSplit: boolean): Promise<void> {
    const send = (text: string): Promise<unknown> => this.#target.send({ text });
    try {
      if (isSplit && !isFirst) await send('ROLLBACK TO SAVEPOINT causeway_unit');
      else {
        await send('ROLLBACK');
        await Promise.all(this.#begin(unit));
        await send('SAVEPOINT causeway_unit');
      }
      const plain = this.#stepRun(unit);
      const changedAtMs = unit.records[0]?.transaction.committedAtMs ?? 0;
      const context = { target: this.#target.rows, strategyOf: this.#options.strategyOf, report: (conflict: Conflict) => this.#conflicts.push(conflict), run: plain, position: this.#options.positionOf(unit.lsn), changedAtMs, comparesOtherwise: this.#options.comparesOtherwise };
      const run: StepRun = { ...plain, ...(this.#options.comparesOtherwise ? { assertOwnKey: (table: TableBinding, row: RowRef) => assertOwnKeys(this.#target.rows, table, [row]) } : {}), lookFirst: (step) => resolveConflicts(context, step), isOneByOne: unit.records.some((record) => this.#mayKeep(record)) };
      const heeded = this.#mayMeetMarks(unit) ? await this.#heed(unit) : undefined;
      if (heeded) this.#note(heeded);
      await this.#replay.run(heeded?.records ?? unit.records, unit.endsTransaction, run);
      await heeded?.clear();
    } catch (error) {
      await this.#undo(isFirst);
      throw error;
    }
  }

  #mayMeetMarks(unit: ApplyUnit): boolean {
    const { mayHaveMarks } = this.#options;
    return mayHaveMarks !== undefined && (touchesMarkable(unit.records, mayHaveMarks) || touchesMarkable(unit.skipped ?? [], mayHaveMarks));
  }

  #heed(unit: ApplyUnit): Promise<HeededUnit | undefined> {
    return this.#target.heedMarks(unit.records, unit.skipped ?? [], this.#options.mayHaveMarks ?? (() => false));
  }

  /** A marked row stands as its own transaction left it: counts say nothing until that has ended. */
  #note({ tables }: HeededUnit): void {
    for (const tableId of tables) this.#marked.add(tableId);
  }

  #mayKeep(record: ChangeRecord): boolean {
    const tables = record.op === 'truncate' ? record.tables : [record.table];
    return tables.some(({ plan }) => keepsTarget(this.#options.strategyOf(plan.tableId)));
  }

  /** Back to where the unit began; a unit that is the transaction's first takes the transaction with it. */
  async #undo(isFirst: boolean): Promise<void> {
    this.#replay.restore();
    if (isFirst) {
      this.#isOpen = false;
      this.#marked.clear();
      this.#conflicts = [];
      this.#rereads = new Map();
      await this.#target.send({ text: 'ROLLBACK' }).catch(() => undefined);
    } else {
      await this.#target.send({ text: 'ROLLBACK TO SAVEPOINT causeway_unit' }).catch(() => {
        this.#isTorn = true;
      });
    }
  }

  async #commit(unit: ApplyUnit, isFirst: boolean): Promise<void> {
    const { faults } = this.#runtime;
    this.#isOpen = false;
    this.#marked.clear();
    try {
      await Promise.all(unit.closing.map((statement) => this.#fenced(statement)));
      if (faults.armed) await faults.hit(`${this.#options.faultPrefix}.before_commit`);
      const { command } = await this.#target.send({ text: 'COMMIT' });
      if (command !== 'COMMIT') throw new Error('the target rolled the transaction back');
    } catch (error) {
      // The units before this one have gone with it.
      if (!isFirst) this.#isTorn = true;
      await this.#target.send({ text: 'ROLLBACK' }).catch(() => undefined);
      throw error;
    }
    if (faults.armed) await faults.hit(`${this.#options.faultPrefix}.after_commit`);
  }

  #stepRun(unit: ApplyUnit): StepRun {
    return {
      isStrict: (table) => !this.#marked.has(table.plan.tableId) && this.#options.isStrict(table),
      onReread: (table, count) => this.#rereads.set(table.plan.tableId, (this.#rereads.get(table.plan.tableId) ?? 0) + count),
      lsn: formatLsn(unit.lsn),
      onKeylessMiss: (record) => {
        this.#conflicts.push({
          tableId: record.table.plan.tableId, kind: record.op === 'delete' ? 'delete_missing' : 'update_missing', key: keyJson(record.table, oldRow(record)),
          local: undefined, remote: rowImage(record.table, oldRow(record)), strategy: this.#options.strategyOf(record.table.plan.tableId).kind,
          outcome: 'source', position: this.#options.positionOf(unit.lsn), changedAtMs: record.transaction.committedAtMs,
        });
      },
    };
  }
}

