/**
 * LOAD DATA LOCAL INFILE into a table on local: the client is asked for the file, whose rows are written as INSERT IGNORE does, many at a time, in one
 * transaction or behind one savepoint.
 *
 * States: opening (what the server allows is asked, the transaction begun) → reading (rows are taken from what has come; while some are written, more may come, up to
 * a limit) → closing → over. After a failure what comes is thrown away up to the file's end: only then does the client read an answer.
 */
import type { LoadData } from '../../../grammar/dialect/postgres/mysql-tree.ts';
import type { MysqlParameter, MysqlPlan, MysqlRefused, MysqlTableFacts } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { HEADER_BYTES, MAX_PACKET_BYTES } from '../../wire/mysql/packets.ts';
import { FileRows } from './file-rows.ts';
import type { FileRow } from './file-rows.ts';
import { LoadedValues } from './loaded-values.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import { countsOf, isMade } from './plan-counts.ts';
import { PlanRun } from './run-plan.ts';
import type { PlanAnswer, PlanFailure } from './run-plan.ts';
import type { PlanValues } from './plan-values.ts';

export interface LoadedRows {
  readonly type: 'loaded';
  readonly records: number;
  readonly affected: number;
  readonly lastInsertId: bigint | undefined;
}

/** `told`: in MySQL's own words. */
export type LoadOutcome = LoadedRows | PlanFailure | { readonly type: 'told'; readonly error: MysqlError };

export interface LoadRequest {
  readonly link: LocalLink;
  readonly load: LoadData;
  readonly table: MysqlTableFacts;
  /** Of the file, where the statement does not say one. */
  readonly charset: string;
  readonly isInTransaction: boolean;
  readonly sqlMode: ReadonlySet<string>;
  /** Of an INSERT with so many parameters. */
  readonly translate: (text: string, kinds: readonly MysqlParameter['kind'][]) => MysqlPlan | MysqlRefused;
  readonly values: (parameters: readonly MysqlParameter[]) => PlanValues;
  /** The client sends its file from now on. */
  readonly askForFile: () => void;
  /** Less of it is waiting. */
  readonly drained: () => void;
  /** `sequence`: of the last packet of the file; undefined: it has not been asked for. */
  readonly done: (outcome: LoadOutcome, sequence: number | undefined) => void;
}

const MOST_ROWS = 500;
const MOST_PARAMETERS = 30_000;
const BATCH_BYTES = 256 * 1024;
/** Of the file, as far as it waits for rows before it to be written. */
const MOST_WAITING = 1024 * 1024;
/** A file whose lines end in another way than the statement says is one long row. */
const LONGEST_ROW = 16 * 1024 * 1024;
const SAVEPOINT = 'causeway_load';

export class LoadRun {
  readonly #request: LoadRequest;
  readonly #rows: FileRows;
  readonly #values: LoadedValues;
  readonly #plans = new Map<number, MysqlPlan>();
  readonly #rowsAtOnce: number;
  #state: 'opening' | 'reading' | 'closing' | 'over' = 'opening';
  #isWriting = false;
  /** That are not being written yet. */
  #batch: FileRow[] = [];
  #batchBytes = 0;
  #isAtEnd = false;
  #failure: Exclude<LoadOutcome, LoadedRows> | undefined;
  #records = 0;
  #affected = 0;
  #lastInsertId: bigint | undefined;
  /** Of the packets of the file: bytes that are left of one, and the header of the next as far as it has come. */
  #left = 0;
  #header = Buffer.alloc(0);
  #sequence: number | undefined;

  constructor(request: LoadRequest) {
    this.#request = request;
    this.#rows = new FileRows(request.load);
    this.#values = new LoadedValues(request.table, request.load, request.charset);
    this.#rowsAtOnce = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_PARAMETERS / this.#values.columns.length)));
  }

  start(): void {
    const { link, isInTransaction, askForFile, done } = this.#request;
    // Whether it can be translated at all is known before the client sends anything.
    const plan = this.#plan(1);
    if ('construct' in plan) return done({ type: 'refused_value', construct: plan.construct }, undefined);
    link.query(isInTransaction ? `SAVEPOINT ${SAVEPOINT}` : 'BEGIN', (reply) => {
      if (reply.type !== 'done') return done(reply, undefined);
      this.#state = 'reading';
      askForFile();
    });
  }

  /** Packets of the file as they came. Returns whether they are to stop for now. */
  take(bytes: Buffer): boolean {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        if (!this.#failure) this.#rows.push(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        continue;
      }
      const end = Math.min(bytes.length, at + HEADER_BYTES - this.#header.length);
      this.#header = Buffer.concat([this.#header, bytes.subarray(at, end)]);
      at = end;
      if (this.#header.length < HEADER_BYTES) break;
      this.#left = this.#header.readUIntLE(0, 3) & MAX_PACKET_BYTES;
      this.#sequence = this.#header[3];
      this.#header = Buffer.alloc(0);
    }
    this.#write();
    return this.#rows.bytes > MOST_WAITING && this.#isWriting;
  }

  fileEnded(): void {
    this.#isAtEnd = true;
    this.#rows.end();
    this.#write();
  }

  /** KILL QUERY. */
  cancel(): void {
    if (this.#state === 'reading' && !this.#isWriting) this.#fail({ type: 'error', fields: new Map([['C', '57014']]) });
  }

  /** Rows that are there, once they are enough, unless some are being written. */
  #write(): void {
    if (this.#isWriting || this.#state !== 'reading') return;
    while (!this.#failure && !this.#isFull) {
      const row = this.#rows.next();
      if (row === undefined) break;
      this.#batch.push(row);
      this.#batchBytes += row.reduce((sum, value) => sum + (value?.length ?? 0) + 1, 0);
    }
    if (this.#isFull || (this.#isAtEnd && this.#batch.length > 0)) return this.#insert(this.#batch);
    if (this.#rows.bytes > LONGEST_ROW) this.#fail({ type: 'told', error: { code: ErrorCode.packetTooLarge, sqlstate: '08S01', message: `A row of the file is longer than ${LONGEST_ROW} bytes` } });
    if (this.#isAtEnd) this.#close();
  }

  get #isFull(): boolean {
    return this.#batch.length >= this.#rowsAtOnce || this.#batchBytes >= BATCH_BYTES;
  }

  #insert(batch: readonly FileRow[]): void {
    this.#batch = [];
    this.#batchBytes = 0;
    const { link, values, sqlMode } = this.#request;
    const parameters = this.#values.of(batch, this.#records);
    if ('code' in parameters) return this.#fail({ type: 'told', error: parameters });
    const plan = this.#plan(batch.length);
    if ('construct' in plan) return this.#fail({ type: 'refused_value', construct: plan.construct });
    this.#isWriting = true;
    const done = (outcome: PlanAnswer | PlanFailure): void => {
      this.#isWriting = false;
      if ('type' in outcome) this.#fail(outcome);
      else {
        const counts = countsOf(plan, outcome, 0, (number) => isMade(parameters[number - 1], { sqlMode }));
        this.#records += batch.length;
        this.#affected += counts.affected;
        this.#lastInsertId ??= counts.lastInsertId;
      }
      if (this.#rows.bytes <= MOST_WAITING) this.#request.drained();
      this.#write();
    };
    new PlanRun({ link, plan, values: values(parameters), frame: 'none', rows: undefined, done }).start();
  }

  #plan(rows: number): MysqlPlan | MysqlRefused {
    const known = this.#plans.get(rows);
    if (known) return known;
    const made = this.#request.translate(this.#values.statement(rows), Array.from({ length: rows }, () => this.#values.kinds).flat());
    if (made.type === 'plan' && (this.#plans.size < 4 || rows === this.#rowsAtOnce)) this.#plans.set(rows, made);
    return made;
  }

  /** Nothing of it stays; the client hears of it when it has sent its file. */
  #fail(failure: Exclude<LoadOutcome, LoadedRows>): void {
    this.#failure ??= failure;
    this.#rows.drop();
    this.#batch = [];
    this.#batchBytes = 0;
    if (this.#isAtEnd && !this.#isWriting && this.#state === 'reading') this.#close();
  }

  #close(): void {
    const { link, isInTransaction, done } = this.#request;
    this.#state = 'closing';
    const failure = this.#failure;
    const over = (reply: LocalReply): void => {
      this.#state = 'over';
      if (failure && reply.type !== 'lost') return done(failure, this.#sequence);
      if (reply.type !== 'done') return done(reply, this.#sequence);
      // A COMMIT behind an error has rolled back.
      if (!isInTransaction && reply.tag !== 'COMMIT') return done({ type: 'error', fields: new Map([['C', '40001']]) }, this.#sequence);
      done({ type: 'loaded', records: this.#records, affected: this.#affected, lastInsertId: this.#lastInsertId }, this.#sequence);
    };
    if (failure?.type === 'lost' || failure?.type === 'refused') return done(failure, this.#sequence);
    if (failure) link.query(isInTransaction ? `ROLLBACK TO SAVEPOINT ${SAVEPOINT}; RELEASE SAVEPOINT ${SAVEPOINT}` : 'ROLLBACK', over);
    else link.query(isInTransaction ? `RELEASE SAVEPOINT ${SAVEPOINT}` : 'COMMIT', over);
  }
}
