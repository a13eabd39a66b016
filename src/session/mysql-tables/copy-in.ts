/**
 * COPY … FROM STDIN into a table of the MySQL server: the client's rows are written as they come, many by one INSERT, in the client's block or in one
 * transaction. What has not been written is bounded: a client that is faster waits.
 *
 * States: opening (the transaction begins) → reading (one INSERT is under way, or none) → closing (the client has sent all, the last rows are written, the transaction
 * ends) → over; or failing (a transaction of its own is rolled back) → over. Once over, what still comes of the data is thrown away, as a server does.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { CUT, WHOLE } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { FrontendType as F } from '../../wire/frontend-messages.ts';
import { int16, message } from '../../wire/message.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { canceledByUser, errorFieldsOf, statementTimedOut } from '../client-error.ts';
import type { SessionCore } from '../session-core.ts';
import { CopyBinary } from './copy-binary.ts';
import { refusedValue, rowText } from './copy-plan.ts';
import type { CopyPlan } from './copy-plan.ts';
import { CopyFault, CopyRows } from './copy-rows.ts';
import type { CopyReader, CopyRow } from './copy-rows.ts';
import { localConstraint } from './dialect-tables.ts';
import { beginMysqlBlock, runAll } from './mysql-block.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { RunOutcome } from './mysql-portal.ts';
import type { CopyTaker, MysqlSide } from './mysql-side.ts';
import { oidOf } from './result-columns.ts';

const MOST_ROWS = 1_000;
const BATCH_BYTES = 256 * 1024;
/** Of the data, as far as it waits for rows before it to be written. */
const MOST_WAITING = 1024 * 1024;
/** Data whose lines end in another way than those before are one long row. */
const LONGEST_ROW = 64 * 1024 * 1024;
/** What a row of its own would not be refused with: the server has ended the transaction, or the statement. */
const ofNoRow: ReadonlySet<number> = new Set([1205, 1213, 1317, 1969, 3024]);

interface WaitingRow {
  readonly text: string;
  readonly line: number;
}

export class CopyIn implements CopyTaker {
  readonly #core: SessionCore;
  readonly #side: MysqlSide;
  readonly #plan: CopyPlan;
  readonly #reader: CopyReader;
  readonly #ownsTransaction: boolean;
  #state: 'opening' | 'reading' | 'closing' | 'failing' | 'over' = 'opening';
  #isWriting = false;
  #isAtEnd = false;
  #batch: WaitingRow[] = [];
  #batchBytes = 0;
  #count = 0;
  /** Told once the INSERT under way has been answered. */
  #failure: ErrorFields | undefined;
  #ended: (outcome: RunOutcome) => void = () => undefined;
  /** Of the message that has ended the data. */
  #handled: (() => void) | undefined;

  constructor(core: SessionCore, side: MysqlSide, plan: CopyPlan) {
    this.#core = core;
    this.#side = side;
    this.#plan = plan;
    this.#ownsTransaction = core.tx === undefined;
    this.#reader = plan.statement.format === 'binary'
      ? new CopyBinary(plan.columns.map(({ name, type }) => ({ name, oid: oidOf(type, () => undefined), isText: type.name === 'other' || type.name === 'text' || type.name === 'varchar' || type.name === 'json' })))
      : new CopyRows(plan.statement, plan.columns.map(({ name }) => name));
  }

  /** The client may send from now on; `ended` once it has the answer to come. */
  start(ended: (outcome: RunOutcome) => void): void {
    this.#ended = ended;
    this.#side.copyIn = this;
    // How many numbers it draws nobody tells.
    if (this.#plan.isNumbered) this.#side.numbers.drew(this.#plan.tableText, 'unknown');
    const begun = (error: ErrorFields | undefined): void => {
      if (this.#core.ended) return;
      this.#state = 'reading';
      if (error ?? this.#failure) return this.#fail(error ?? this.#failure ?? canceledByUser);
      const isBinary = this.#plan.statement.format === 'binary' ? 1 : 0;
      this.#core.toClient(message('G', Buffer.of(isBinary), int16(this.#plan.columns.length), ...this.#plan.columns.map(() => int16(isBinary))));
      this.#core.proceed('answer');
    };
    const { tx } = this.#core;
    if (tx) beginMysqlBlock(this.#core, this.#side, tx, begun);
    else runAll(this.#side, ['START TRANSACTION'], begun);
  }

  get isOpen(): boolean {
    return this.#state !== 'over';
  }

  message(type: number, buffer: Buffer, start: number, length: number): Verdict | undefined {
    const isData = type === F.copyData || type === F.copyDone || type === F.copyFail;
    if (type === F.terminate) return undefined;
    switch (this.#state) {
      case 'over':
        if (isData) return CUT;
        this.#side.copyIn = undefined;
        return undefined;
      case 'failing': return isData ? CUT : this.#core.wait('answer');
      case 'opening': case 'closing': return this.#core.wait('answer');
      case 'reading':
        if (this.#failure) return isData ? CUT : this.#core.wait('answer');
        break;
      default: return this.#state satisfies never;
    }
    switch (type) {
      case F.copyData: return this.#take(buffer, start, length);
      case F.copyDone: return this.#dataEnded();
      case F.copyFail: return this.#aborted({ severity: 'ERROR', sqlstate: '57014', message: `COPY from stdin failed: ${buffer.toString('utf8', start + 5, start + length - 1)}` });
      // Clients that pipeline send these behind the statement, and again behind the data.
      case F.flush: case F.sync: return CUT;
      default: return this.#aborted({ severity: 'ERROR', sqlstate: '08P01', message: `unexpected message type 0x${type.toString(16).toUpperCase()} during COPY from stdin` });
    }
  }

  cancel(): void {
    if (this.#state === 'opening') this.#failure = canceledByUser;
    else if (this.#state === 'reading' && !this.#isWriting) this.#fail(canceledByUser);
  }

  timeOut(): void {
    if (this.#state === 'closing' && !this.#isWriting) return;
    if (this.#state === 'reading' && !this.#isWriting) return this.#fail(this.#ofLine(statementTimedOut, this.#reader.line + 1));
    this.#failure ??= this.#ofLine(statementTimedOut);
    this.#side.cancel(() => undefined);
  }

  #take(buffer: Buffer, start: number, length: number): Verdict {
    if (this.#isWriting && this.#reader.bytes > MOST_WAITING) return this.#core.wait('answer');
    // It may be offered before all of it has come.
    if (start + length > buffer.length) return length > LONGEST_ROW ? this.#aborted(tooLong) : WHOLE;
    try {
      this.#reader.push(buffer.subarray(start + 5, start + length));
    } catch (error) {
      this.#fail(this.#faultOf(error));
      return CUT;
    }
    this.#write();
    return CUT;
  }

  #dataEnded(): Verdict {
    this.#isAtEnd = true;
    this.#reader.end();
    return this.#core.answerLater((done) => {
      this.#handled = done;
      this.#state = 'closing';
      this.#write();
    });
  }

  #aborted(fields: ErrorFields): Verdict {
    // It was about to read the next one.
    this.#fail(this.#ofLine(fields, this.#reader.line + 1));
    return CUT;
  }

  /** Rows that are there, once they are enough, unless some are being written. */
  #write(): void {
    if (this.#isWriting || (this.#state !== 'reading' && this.#state !== 'closing')) return;
    try {
      while (this.#batch.length < MOST_ROWS && this.#batchBytes < BATCH_BYTES) {
        const row = this.#reader.next();
        if (row === undefined) break;
        const text = rowText(this.#plan, row) ?? this.#refuse(row);
        this.#batch.push({ text, line: this.#reader.line });
        this.#batchBytes += text.length;
      }
    } catch (error) {
      return this.#fail(this.#faultOf(error));
    }
    const isFull = this.#batch.length >= MOST_ROWS || this.#batchBytes >= BATCH_BYTES;
    if (isFull || (this.#isAtEnd && this.#batch.length > 0)) return this.#insert(this.#batch);
    if (this.#reader.bytes > LONGEST_ROW) return this.#fail(tooLong);
    if (this.#isAtEnd) this.#close();
  }

  #insert(batch: readonly WaitingRow[]): void {
    this.#batch = [];
    this.#batchBytes = 0;
    this.#isWriting = true;
    this.#side.query(`${this.#plan.head}${batch.map(({ text }) => text).join(', ')}`, () => undefined, (outcome) => {
      if (this.#failure) return this.#givenUp(this.#failure);
      if (!outcome.ok) return batch.length > 1 && !ofNoRow.has(outcome.error.code) ? this.#oneByOne(batch, outcome.error) : this.#rowFailed(outcome.error, batch.length > 1 ? undefined : batch[0]);
      this.#isWriting = false;
      this.#count += batch.length;
      this.#write();
      if (!this.#isWriting || this.#reader.bytes <= MOST_WAITING) this.#core.proceed('answer');
    });
  }

  /** Which of them it is is told by the row that fails by itself: nothing of their INSERT stands. */
  #oneByOne(batch: readonly WaitingRow[], error: MysqlError): void {
    const [row, ...rest] = batch;
    if (!row) return this.#rowFailed(error, undefined);
    this.#side.query(`${this.#plan.head}${row.text}`, () => undefined, (outcome) => (outcome.ok ? this.#oneByOne(rest, error) : this.#rowFailed(outcome.error, row)));
  }

  #rowFailed(error: MysqlError, row: WaitingRow | undefined): void {
    this.#isWriting = false;
    if (this.#failure) return this.#fail(this.#failure);
    const fields = errorOfMysql(error, (name) => localConstraint([this.#plan.table], name));
    this.#fail(row ? this.#ofLine(fields, row.line) : fields);
  }

  #givenUp(fields: ErrorFields): void {
    this.#isWriting = false;
    this.#fail(fields);
  }

  #fail(fields: ErrorFields): void {
    if (this.#state === 'failing' || this.#state === 'over') return;
    if (this.#isWriting) {
      this.#failure ??= fields;
      return;
    }
    this.#state = 'failing';
    this.#batch = [];
    const over = (): void => this.#ended({ type: 'failed', fields });
    if (this.#ownsTransaction) runAll(this.#side, ['ROLLBACK'], over);
    else over();
    this.#core.proceed('answer');
  }

  #close(): void {
    const done: RunOutcome = { type: 'done', count: this.#count, lastInsertId: 0 };
    if (!this.#ownsTransaction) return this.#ended(done);
    runAll(this.#side, ['COMMIT'], (error) => this.#ended(error ? { type: 'failed', fields: error } : done));
  }

  /** The client has been told how it has ended: what it has sent behind the data is next. */
  answered(): void {
    this.#state = 'over';
    this.#handled?.();
    this.#handled = undefined;
    this.#core.proceed('answer');
  }

  #refuse(row: CopyRow): never {
    const found = refusedValue(this.#plan, row);
    if (!found) throw new MigrationError('MIG080', 'the row cannot be written by the MySQL server');
    const { column, value, isInvalid } = found;
    const where = this.#where(this.#reader.line, `, column ${column.name}: ${value === null ? 'null input' : `"${value.slice(0, 100)}"`}`);
    const failed: ErrorFields = value === null
      ? { severity: 'ERROR', sqlstate: '23502', message: `null value in column "${column.name}" of relation "${this.#plan.statement.table}" violates not-null constraint`, where: this.#where(this.#reader.line, '') }
      : isInvalid ? { severity: 'ERROR', sqlstate: '22P02', message: `invalid input syntax for type ${typeNames[column.type.name] ?? column.type.name}: "${value}"`, where }
        : { ...errorFieldsOf(new MigrationError('MIG080', `the value cannot be written by the MySQL server: type ${column.type.spelling ?? column.type.name} in this form`, { hint: 'Write the value as PostgreSQL prints it, or leave the row to the MySQL protocol.' })), where };
    throw new RowRefusal(failed);
  }

  #faultOf(error: unknown): ErrorFields {
    if (error instanceof RowRefusal) return error.fields;
    if (error instanceof CopyFault) return this.#ofLine({ severity: 'ERROR', sqlstate: error.sqlstate, message: error.message, hint: error.hint });
    return this.#ofLine(errorFieldsOf(error));
  }

  #ofLine(fields: ErrorFields, line: number = Math.max(1, this.#reader.line)): ErrorFields {
    return { ...fields, where: this.#where(line, '') };
  }

  #where(line: number, more: string): string {
    return `COPY ${this.#plan.statement.table}, line ${line}${more}`;
  }
}

class RowRefusal extends Error {
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }
}

const typeNames: Readonly<Record<string, string>> = { int2: 'smallint', int4: 'integer', int8: 'bigint' };
const tooLong: ErrorFields = { severity: 'ERROR', sqlstate: '54000', message: `a row of COPY is longer than ${LONGEST_ROW} bytes` };
