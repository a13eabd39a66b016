/**
 * One reading of a binlog as a connection of the stream: batches in, blocks of frames out.
 *
 * States: open → reading (`start`) → closed. The stream holds the blocks back by `pause`; then no further batch is asked for.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { bookkeepingSchema } from '../postgres/bookkeeping.ts';
import { Wake } from '../flow/wake.ts';
import type { CaptureConnection, CaptureHandlers, Retention, SavedState, SourceIdentity } from '../stream/change-source.ts';
import { checkRetained, gap } from '../stream/saved-state.ts';
import type { BinlogBatch, BinlogItem, Row, RowsChange, StatementItem, TransactionPart } from './binlog/transaction.ts';
import { generationOf, LARGEST_OFFSET, packGeneration, packOrder } from './binlog-order.ts';
import { ownTable } from './captured-tables.ts';
import type { CapturedTables } from './captured-tables.ts';
import { ChangeEncoder } from './change-encoder.ts';
import type { EncodedTable, OnRefused } from './change-encoder.ts';
import type { MysqlPosition } from './position.ts';
import { ResentTransactions } from './resent-transactions.ts';
import type { SentTransactions } from './sent-transactions.ts';
import type { SourceRecord, SourceRecordFile } from './source-record.ts';
import { readTableStatement } from './table-statement.ts';
import type { TablePlan } from '../table-plan.ts';

/** A reader of binlogs, opened. */
export interface BinlogReading {
  /** Asking for the next batch says that the last one is done with. Throws what ended the stream. */
  batches(): AsyncIterable<BinlogBatch>;
  close(): void;
}

/** `captures`: asked for each table again and again, since tables come and go. MIG021: the server does not have what follows the position. */
export type OpenBinlog = (start: MysqlPosition, captures: (schema: string, name: string) => boolean) => Promise<BinlogReading>;

export interface BinlogConnectionOptions {
  readonly streamName: string;
  readonly tables: CapturedTables;
  readonly record: SourceRecordFile;
  readonly sent: SentTransactions;
  readonly openBinlog: OpenBinlog;
  identify(): Promise<SourceIdentity>;
  readEnd(): Promise<bigint>;
  format(order: bigint): string;
  readonly cutOff: CutOffTransactions;
  readonly onRefused: OnRefused;
  /** Whether another server was promoted in the place of this one, which may go on sending. */
  isReplaced(): Promise<boolean>;
  /** Nothing before it will be read again. */
  onConfirmed(resume: MysqlPosition): void;
}

/**
 * Where transactions lie that were given on in part and had no end: a crash of the server cut them off. The stream forgets what it has of a
 * transaction when it is read again from before it, and then they are passed over. Of one process: another one finds them out again.
 */
export class CutOffTransactions {
  readonly #places: { readonly from: bigint; readonly to: bigint }[] = [];

  add(from: bigint, to: bigint): void {
    this.#places.push({ from, to });
  }

  includes(order: bigint): boolean {
    return this.#places.some(({ from, to }) => from <= order && order <= to);
  }
}

const LOOK_EVERY_MS = 3_000;

/** A statement and the rows of a transaction may have one GTID (CREATE TABLE … SELECT). */
function nameOf({ gtid, kind }: BinlogItem): string {
  return kind === 'statement' && gtid !== '' ? `${gtid} statement` : gtid;
}

function hasColumn({ columns }: TablePlan, added: string): boolean {
  return columns.some(({ name }) => name.toLowerCase() === added.toLowerCase());
}

/** Tables of our own, as the router knows them by name. */
const bookkeeping = {
  marker: ownTable(1, bookkeepingSchema, 'marker', ['name', 'token']),
  applied: ownTable(2, bookkeepingSchema, 'applied', ['stream']),
  ddlLog: ownTable(3, bookkeepingSchema, 'ddl_log', ['object_schema', 'object_name']),
};

export class BinlogConnection implements CaptureConnection {
  readonly #options: BinlogConnectionOptions;
  readonly #encoder: ChangeEncoder;
  /** By number: what the stream was last told of a table. */
  readonly #described = new Map<number, EncodedTable['relation']>();
  readonly #wake = new Wake();
  #handlers: CaptureHandlers | undefined;
  #reading: BinlogReading | undefined;
  #generation = 0;
  /** The one that is read, and the position of its start. */
  #file: { readonly name: string; readonly order: bigint } | undefined;
  #servers: Pick<SourceRecord, 'server' | 'earlier'> = {};
  /** While a server sends again what another one had sent before it. */
  #resent: ResentTransactions | undefined;
  #lookAgainMs = 0;
  #isPaused = false;
  #isClosed = false;
  /** In a transaction whose end has not come: the position in its begin. */
  #open: bigint | undefined;
  /** In a transaction that is known to have no end. */
  #isPassing = false;
  /** Everything before it is written. */
  #sent = 0n;
  /** Everything before it has been handed on. */
  #given = 0n;
  /** Where to begin again, for each position that has been sent and not been confirmed. */
  #resumes: { readonly order: bigint; readonly resume: MysqlPosition }[] = [];

  constructor(options: BinlogConnectionOptions) {
    this.#options = options;
    this.#encoder = new ChangeEncoder(options.onRefused);
  }

  identify(): Promise<SourceIdentity> {
    return this.#options.identify();
  }

  async check(saved: SavedState, retention: Retention | undefined): Promise<SourceIdentity> {
    const { streamName, format, record, sent } = this.#options;
    if (!retention) throw new MigrationError('MIG020', `The record of where stream ${streamName} is in the source's binlog is gone`);
    if (retention.lost) throw new MigrationError('MIG020', 'The source has removed binlogs that have not been read');
    const identity = await this.identify();
    if (sent.refusal) throw sent.refusal;
    const known = record.read();
    if (known?.server !== undefined && known.server !== identity.systemId) throw new MigrationError('MIG023', 'The source is another server than the stream reads', { detail: `${identity.systemId}, not ${known.server}, and it has not been promoted, or cannot be asked` });
    if (saved.systemId !== undefined && saved.systemId !== identity.systemId && known?.earlier?.includes(saved.systemId) !== true) throw gap(`the source is another server (${identity.systemId}, was ${saved.systemId})`);
    if (known && known.server === undefined) record.write({ ...known, server: identity.systemId });
    if (generationOf(saved.reached) < (known?.generation ?? 0) && saved.reached > retention.confirmed && saved.reached > sent.last) {
      throw gap(`up to ${format(saved.reached)} of the server that was read before something has been applied or spooled, and from ${format(sent.last)} on it is not known which transactions that were`);
    }
    const end = await this.#options.readEnd();
    if (saved.applied > end) throw gap(`the source's binlog ends at ${format(end)}, but ${format(saved.applied)} was applied: it has been restored, or has lost what it had sent`);
    checkRetained(saved, retention, format);
    return identity;
  }

  async start(from: bigint, handlers: CaptureHandlers): Promise<void> {
    const { record, openBinlog, tables } = this.#options;
    const saved = record.read();
    if (!saved || saved.confirmed !== from) throw new MigrationError('MIG020', 'The record of where the stream is in the source\'s binlog does not fit', { detail: `${saved?.confirmed ?? 'no record'}, not ${from}` });
    this.#generation = saved.generation;
    this.#file = undefined;
    this.#servers = { server: saved.server, earlier: saved.earlier };
    this.#resent = ResentTransactions.of(this.#options.sent, from, packGeneration(saved.generation));
    this.#sent = this.#given = from;
    this.#resumes = [{ order: from, resume: saved.resume }];
    const reading = await openBinlog(saved.resume, (schema, name) => tables.isExpected(schema, name));
    this.#handlers = handlers;
    this.#reading = reading;
    void this.#pump(reading, handlers).catch((error: unknown) => {
      if (error instanceof MigrationError && error.code === 'MIG021' && this.#resent) this.#options.sent.refusal = error;
      if (!this.#isClosed) handlers.onEnd(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #pump(reading: BinlogReading, handlers: CaptureHandlers): Promise<void> {
    for await (const batch of reading.batches()) {
      if (this.#isClosed) return;
      await this.#encode(batch);
      const block = this.#encoder.take();
      this.#options.sent.flush();
      if (block) handlers.onBlock(block);
      if (this.#open === undefined) this.#given = this.#sent;
      while (this.#isPaused && !this.#isClosed) await this.#wake.wait();
    }
    if (!this.#isClosed) throw new Error('the binlog stream ended');
  }

  async #encode(batch: BinlogBatch): Promise<void> {
    const resent = this.#resent;
    const lastResent = resent ? batch.items.findLastIndex((item) => resent.has(nameOf(item))) : -1;
    for (let at = 0; at < batch.items.length; at += 1) {
      const item = batch.items[at] as BinlogItem;
      if (at > lastResent && this.#resent?.isOverAt(batch.position) === true) this.#resent = undefined;
      const asked = item.kind === 'statement' ? this.#statement(item) : this.#transaction(item);
      if (asked) await asked;
    }
    if (this.#open !== undefined) return;
    if (this.#resent?.isOverAt(batch.position) === true) this.#resent = undefined;
    // Its places lie behind everything that the other server has sent: nobody is there before that has come again.
    if (!this.#resent) this.#reach(this.#orderOf(batch.position));
    if (this.#sent > (this.#resumes.at(-1)?.order ?? 0n)) this.#resumes.push({ order: this.#sent, resume: batch.resume });
  }

  #reach(order: bigint): void {
    if (order <= this.#sent) return;
    this.#encoder.keepalive(order);
    this.#sent = order;
  }

  /** The position of what ends a transaction, or is one; that of before where it comes again from another server. */
  #placeOf(item: BinlogItem): bigint {
    return this.#resent ? this.#resent.orderOf(nameOf(item), this.#sent) : this.#orderOf(item);
  }

  #orderOf({ binlogFile, binlogPosition }: { readonly binlogFile: string; readonly binlogPosition: number }): bigint {
    if (this.#file?.name !== binlogFile) this.#file = { name: binlogFile, order: packOrder(this.#generation, binlogFile, 0) };
    return binlogPosition <= LARGEST_OFFSET ? this.#file.order + BigInt(binlogPosition) : packOrder(this.#generation, binlogFile, binlogPosition);
  }

  /** A promise only where a table has to be described first. */
  #transaction(part: TransactionPart): Promise<void> | undefined {
    const order = this.#placeOf(part);
    const encoder = this.#encoder;
    if (part.isFirst) this.#isPassing = part.end === undefined && this.#options.cutOff.includes(order);
    if (this.#isPassing) {
      if (part.end === 'commit') throw new Error('a transaction that was cut off has been committed');
      return undefined;
    }
    if (part.isFirst) {
      // Inside the transaction, whether this is all of it or its first part: what had been read up to is not behind it.
      this.#open = order - 1n;
      encoder.begin(this.#open, part.committedAtMs, Number(order & 0xffff_ffffn));
      if (part.appliedBy !== undefined) this.#ownRow(bookkeeping.applied, [part.appliedBy]);
    }
    if (this.#open === undefined) throw new Error('a part of a transaction that has not begun');
    if (part.end === 'rollback' && !part.isFirst) {
      this.#options.cutOff.add(this.#open + 1n, order);
      throw new MigrationError('MIG023', 'a transaction was cut off by a crash of the server after its first part had come; it is read again without it', { detail: `${part.binlogFile}:${part.binlogPosition}` });
    }
    if (part.end !== 'rollback') {
      const { tables } = this.#options;
      for (let at = 0; at < part.changes.length; at += 1) {
        const change = part.changes[at] as RowsChange;
        const table = tables.known(change.table);
        if (!table) return this.#describing(part, at, order);
        this.#rows(table, change);
      }
    }
    this.#finish(part, order);
    return undefined;
  }

  /** From the change on whose table is not known. */
  async #describing(part: TransactionPart, from: number, order: bigint): Promise<void> {
    const { tables } = this.#options;
    for (const change of part.changes.slice(from)) {
      const table = tables.known(change.table) ?? (await tables.describe(change.table, part));
      if (table) this.#rows(table, change);
    }
    this.#finish(part, order);
  }

  #finish(part: TransactionPart, order: bigint): void {
    for (const { name, token } of part.markers) this.#ownRow(bookkeeping.marker, [name, token]);
    if (part.end === undefined || this.#open === undefined) return;
    this.#encoder.commit(this.#open, order, part.committedAtMs);
    this.#options.sent.note(nameOf(part), order);
    this.#open = undefined;
    this.#sent = order;
  }

  #rows(table: EncodedTable, { op, old, new: rows }: RowsChange): void {
    const encoder = this.#encoder;
    this.#describe(table);
    if (op === 'insert') for (const row of rows) encoder.insert(table, row);
    else if (op === 'delete') for (const row of old) encoder.delete(table, row);
    else for (let at = 0; at < rows.length; at += 1) encoder.update(table, old[at] ?? (rows[at] as Row), rows[at] as Row);
  }

  #describe(table: EncodedTable): void {
    if (this.#described.get(table.relation.oid) === table.relation) return;
    this.#described.set(table.relation.oid, table.relation);
    this.#encoder.relation(table.relation);
  }

  #ownRow(table: EncodedTable, row: readonly string[]): void {
    this.#describe(table);
    this.#encoder.insert(table, row);
  }

  /** Where it stands among the changes (RULES 6). */
  async #statement(statement: StatementItem): Promise<void> {
    const { tables } = this.#options;
    const found = readTableStatement(statement.text, statement.database);
    const named = found.kind === 'replace_schema' ? tables.inSchema(found.schema) : found.kind === 'other' ? [] : tables.named(found.tables);
    const misread = tables.named(statement.misread);
    if (named.length + misread.length === 0) return;
    const order = this.#placeOf(statement);
    this.#options.sent.note(nameOf(statement), order);
    this.#encoder.begin(order - 1n, statement.committedAtMs, Number(order & 0xffff_ffffn));
    for (const plan of named) {
      const { source } = plan;
      // What was in the column of that name is gone from every row, and no change says so.
      if (found.kind === 'define' && found.added?.some((name) => hasColumn(plan, name)) === true) this.#empty(tables.describeOther(source));
      else if (found.kind === 'define') this.#ownRow(bookkeeping.ddlLog, [source.schema, source.name]);
      else this.#empty(found.kind === 'truncate' ? await tables.describeNow(source) : tables.describeOther(source));
    }
    for (const { source } of misread) this.#empty(tables.describeOther(source));
    this.#encoder.commit(order - 1n, order, statement.committedAtMs);
    this.#sent = order;
  }

  /** Under the description of nothing it stops the table. */
  #empty(table: EncodedTable | undefined): void {
    if (!table) return;
    this.#describe(table);
    this.#encoder.truncate(table.relation);
  }

  sendFeedback(_written: bigint, confirmed: bigint, nowMs: number, askForAnswer: boolean): void {
    this.#confirm(confirmed);
    this.#lookForOther(nowMs);
    if (!askForAnswer || this.#isClosed || !this.#handlers) return;
    // The reader has an end of its own to silence: as long as it has not ended, nothing has come.
    const answer = new ChangeEncoder(this.#options.onRefused);
    answer.keepalive(this.#given);
    const block = answer.take();
    if (block) this.#handlers.onBlock(block);
  }

  #lookForOther(nowMs: number): void {
    const handlers = this.#handlers;
    if (nowMs < this.#lookAgainMs || !handlers) return;
    this.#lookAgainMs = nowMs + LOOK_EVERY_MS;
    this.#options.isReplaced().then((isReplaced) => {
      if (isReplaced && !this.#isClosed) handlers.onEnd(new Error('another server of the source was promoted'));
    }, () => undefined);
  }

  #confirm(confirmed: bigint): void {
    const at = this.#resumes.findLastIndex(({ order }) => order <= confirmed);
    const reached = this.#resumes[at];
    if (at < 1 || !reached) return;
    this.#resumes = this.#resumes.slice(at);
    this.#options.record.write({ generation: this.#generation, ...this.#servers, confirmed: reached.order, resume: reached.resume });
    this.#options.sent.confirm(reached.order);
    this.#options.onConfirmed(reached.resume);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wake.notify();
  }

  close(): void {
    this.#isClosed = true;
    this.#reading?.close();
    this.#wake.notify();
  }
}
