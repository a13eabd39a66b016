/**
 * One execution of a translated statement: its steps one after the other, in the client's block, in a transaction of their own where they need one, or as
 * a statement that commits by itself.
 *
 * States: beginning → step after step (→ suspended, when the client has as many rows as it asked for → going on) → ending → done. An error rolls a
 * transaction of its own back; a client's block is its own to end.
 */
import { bindText } from '../../../grammar/dialect/mysql/bind-step.ts';
import { quoteMysqlName } from '../../../grammar/dialect/mysql/emission.ts';
import type { Step } from '../../../grammar/dialect/mysql/translation.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { refusals } from '../../route/refusals.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { PayloadReader } from '../../wire/mysql/payload.ts';
import type { TakeRow, TextOutcome } from '../../wire/mysql/text-client.ts';
import { errorFieldsOf, statementTimedOut } from '../client-error.ts';
import type { SessionCore } from '../session-core.ts';
import { localConstraint } from './dialect-tables.ts';
import { whenWhole } from './cut-results.ts';
import { beginMysqlBlock, runAll } from './mysql-block.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { RunInParts, RunOutcome, RunRequest } from './mysql-portal.ts';
import type { DrawnNumber } from './last-numbers.ts';
import type { MysqlSide, SuspendedRows } from './mysql-side.ts';
import { RowWriter } from './row-writer.ts';

/** Of rows that wait in memory for a client that fetches them in parts, and of the keys that a step reads for another one. */
const MAX_KEPT_BYTES = 64 << 20;
const ignoreRow = (): void => undefined;

export class PlanRun implements RunInParts, SuspendedRows {
  readonly #core: SessionCore;
  readonly #side: MysqlSide;
  readonly #request: RunRequest;
  readonly #writer: RowWriter;
  readonly #read: (readonly (readonly (string | null)[])[])[] = [];
  #step = 0;
  #count = 0;
  #lastInsertId = 0;
  #failure: ErrorFields | undefined;
  #done: (outcome: RunOutcome) => void = () => undefined;
  #ownsTransaction = false;
  #isTimedOut = false;
  /** What it has done is being committed, or undone. */
  #isEnding = false;
  /** Rows until the client has what it asked for; undefined: all. */
  #budget: number | undefined;
  #sent = 0;
  #mode: 'sending' | 'aside' | 'dropping' = 'sending';
  #aside: Buffer[] = [];
  #asideBytes = 0;
  #asideEnd: RunOutcome | undefined;
  #afterAside: (() => void)[] = [];

  constructor(core: SessionCore, side: MysqlSide, request: RunRequest) {
    this.#core = core;
    this.#side = side;
    this.#request = request;
    this.#writer = new RowWriter(request.columns, (bytes) => this.#flushed(bytes));
  }

  start(maxRows: number, done: (outcome: RunOutcome) => void): void {
    const core = this.#core;
    this.#done = done;
    // Only what is read can wait half read.
    this.#budget = maxRows > 0 && this.#request.plan.command === 'SELECT' ? maxRows : undefined;
    const { tx } = core;
    const begun = (error: ErrorFields | undefined): void => (error ? this.#end({ type: 'failed', fields: error }) : this.#next());
    if (tx) return beginMysqlBlock(core, this.#side, tx, begun);
    this.#ownsTransaction = this.#request.plan.needsTransaction;
    runAll(this.#side, this.#ownsTransaction ? ['START TRANSACTION'] : [], begun);
  }

  /** The step under way is ended; one that the server has carried out by then stands when it is the last. */
  timeOut(): void {
    if (this.#isEnding) return;
    this.#isTimedOut = true;
    this.#side.cancel(() => undefined);
  }

  goOn(maxRows: number, done: (outcome: RunOutcome) => void): void {
    this.#done = done;
    this.#budget = maxRows > 0 ? maxRows : undefined;
    this.#sent = 0;
    if (this.#mode === 'aside') return this.#sendAside();
    this.#side.suspended = undefined;
    this.#side.release('portal');
  }

  drop(): void {
    this.#aside = [];
    if (this.#mode !== 'sending' || this.#side.suspended !== this) return;
    this.#mode = 'dropping';
    this.#done = () => undefined;
    this.#side.cancel(() => undefined);
    this.#side.release('portal');
  }

  setAside(done: () => void): void {
    this.#afterAside.push(done);
    if (this.#mode === 'sending') {
      this.#mode = 'aside';
      this.#budget = undefined;
    }
    this.#side.release('portal');
  }

  // Steps

  #next(): void {
    const { plan } = this.#request;
    const step = plan.steps[this.#step];
    if (!step) return this.#finish();
    const bound = bindText(step, { parameters: this.#request.parameters, rows: this.#read, ...this.#request.times });
    if (bound.type === 'refused') return this.#fail(untranslated(bound.construct));
    const rows: (string | null)[][] = [];
    const side = this.#side;
    const query = (): void => side.query(bound.sql, this.#taker(step, rows), (outcome) => {
      if (!outcome.ok || this.#failure) return this.#stepped(step, rows, outcome);
      whenWhole(side, bound.sql, outcome, (error) => (error ? this.#fail(error) : this.#stepped(step, rows, outcome)));
    });
    if (step.database === undefined || step.database === side.database) return query();
    const { database } = step;
    runAll(side, [`USE ${quoteMysqlName(database)}`], (error) => {
      if (error) return this.#fail(error);
      side.database = database;
      query();
    });
  }

  #taker(step: Step, rows: (string | null)[][]): TakeRow {
    const isKept = step.slots.some((slot) => slot.kind === 'keys' && slot.step === this.#step);
    let bytes = 0;
    const keep: TakeRow = (payload) => {
      bytes += payload.length;
      if (bytes > MAX_KEPT_BYTES) this.#stop(errorFieldsOf(new MigrationError('MIG085', 'the statement changes too many rows at once', { detail: `What is read of them may take ${MAX_KEPT_BYTES} bytes.`, hint: 'Change them in several statements.' })));
      else rows.push(readTexts(payload));
    };
    switch (step.answer) {
      case 'rows': return isKept ? (payload) => {
        keep(payload);
        this.#row(payload);
      } : (payload) => this.#row(payload);
      case 'keys': return keep;
      case 'none': return ignoreRow;
      default: return step.answer satisfies never;
    }
  }

  #row(payload: Buffer): void {
    if (this.#failure || this.#mode === 'dropping') return;
    try {
      this.#writer.row(payload);
    } catch (error) {
      return this.#stop(errorFieldsOf(error));
    }
    this.#sent += 1;
    if (this.#budget === undefined || this.#sent < this.#budget) return;
    this.#writer.flush();
    this.#side.suspended = this;
    this.#side.hold('portal');
    this.#done({ type: 'suspended' });
  }

  /** The rest of its rows is of no use. */
  #stop(fields: ErrorFields): void {
    if (this.#failure) return;
    this.#failure = fields;
    this.#side.cancel(() => undefined);
  }

  #stepped(step: Step, rows: readonly (readonly (string | null)[])[], outcome: TextOutcome): void {
    if (this.#failure) return this.#fail(this.#failure);
    if (this.#isTimedOut && (!outcome.ok || this.#step + 1 < this.#request.plan.steps.length)) return this.#fail(statementTimedOut);
    if (!outcome.ok) return this.#fail(errorOfMysql(outcome.error, (name) => localConstraint(this.#request.tables, name)));
    this.#read.push(rows);
    if (step.rowCount !== undefined) this.#count = countOf(step, outcome);
    if (outcome.lastInsertId > 0) this.#lastInsertId = outcome.lastInsertId;
    this.#step += 1;
    this.#next();
  }

  #finish(): void {
    this.#isEnding = true;
    this.#writer.flush();
    // Of rows that were fetched in parts, those of this part.
    const count = this.#request.plan.command === 'SELECT' && this.#mode === 'sending' ? this.#sent : this.#count;
    const done: RunOutcome = { type: 'done', count, lastInsertId: this.#lastInsertId };
    // With rows of RETURNING the server says it only when it is asked.
    this.#drew(this.#request.plan.draws?.rows !== 'one' ? 'unknown' : this.#lastInsertId > 0 ? this.#lastInsertId : 'kept');
    if (!this.#ownsTransaction) return this.#end(done);
    runAll(this.#side, ['COMMIT'], (error) => this.#end(error ? { type: 'failed', fields: error } : done));
  }

  #drew(number: DrawnNumber): void {
    const { draws } = this.#request.plan;
    if (draws) this.#side.numbers.drew(draws.table, number);
  }

  #fail(fields: ErrorFields): void {
    this.#isEnding = true;
    this.#drew('unknown');
    this.#writer.flush();
    if (!this.#ownsTransaction) return this.#end({ type: 'failed', fields });
    runAll(this.#side, ['ROLLBACK'], () => this.#end({ type: 'failed', fields }));
  }

  #end(outcome: RunOutcome): void {
    if (this.#side.suspended === this) this.#side.suspended = undefined;
    if (this.#mode === 'sending') return this.#done(outcome);
    this.#asideEnd = outcome;
    for (const next of this.#afterAside.splice(0)) next();
  }

  // Rows that wait

  #flushed(bytes: Buffer): void {
    if (this.#mode === 'sending') return this.#core.toClient(bytes);
    if (this.#mode === 'dropping') return;
    this.#asideBytes += bytes.length;
    if (this.#asideBytes <= MAX_KEPT_BYTES) this.#aside.push(bytes);
    else this.#stop(errorFieldsOf(new MigrationError('MIG085', 'the rest of a portal is too large to be kept while another statement runs', { detail: `It may take ${MAX_KEPT_BYTES} bytes.`, hint: 'Fetch it to the end first, or in smaller parts.' })));
  }

  #sendAside(): void {
    const all = Buffer.concat(this.#aside);
    let at = 0;
    let rows = 0;
    while (at + 5 <= all.length && (this.#budget === undefined || rows < this.#budget)) {
      at += 1 + all.readUInt32BE(at + 1);
      rows += 1;
    }
    if (at > 0) this.#core.toClient(Buffer.from(all.subarray(0, at)));
    this.#aside = at < all.length ? [all.subarray(at)] : [];
    const end = this.#asideEnd;
    if (this.#budget !== undefined && rows === this.#budget) return this.#done({ type: 'suspended' });
    this.#done(end?.type === 'done' ? { ...end, count: rows } : end ?? { type: 'done', count: rows, lastInsertId: 0 });
  }
}

export function untranslated(construct: string): ErrorFields {
  const { code, message, detail, hint } = refusals.untranslated(construct);
  return errorFieldsOf(new MigrationError(code, message, { detail, hint }));
}

function readTexts(payload: Buffer): (string | null)[] {
  const reader = new PayloadReader(payload);
  const values: (string | null)[] = [];
  while (reader.left > 0) values.push(reader.text()?.toString('utf8') ?? null);
  return values;
}

function countOf({ rowCount }: Step, { affectedRows, info, rows }: Extract<TextOutcome, { ok: true }>): number {
  switch (rowCount) {
    case 'affected': return affectedRows;
    case 'rows': return rows;
    case 'matched': case 'records': return Number(/(?:matched|Records): (\d+)/.exec(info)?.[1] ?? affectedRows);
    case undefined: return 0;
    default: return rowCount;
  }
}
