/**
 * One reading of a binlog as a connection of the stream: batches in, blocks of frames out.
 *
 * States: open → reading (`start`) → closed. The stream holds the blocks back by `pause`; then no further batch is asked for.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { Clock } from '../../config/runtime.ts';
import type { Relation } from '../change.ts';
import { bookkeepingSchema } from '../postgres/bookkeeping.ts';
import { Wake } from '../flow/wake.ts';
import type { CaptureConnection, CaptureHandlers, Retention, SavedState, SourceIdentity } from '../stream/change-source.ts';
import { checkRetained, gap } from '../stream/saved-state.ts';
import type { BinlogReading, ChangeBatch, ChangedRows, ChangedTransaction, LoggedStatement, OpenBinlog, ReadPosition } from './binlog-changes.ts';
import { packOrder } from './binlog-order.ts';
import type { CapturedTables } from './captured-tables.ts';
import { ChangeEncoder } from './change-encoder.ts';
import type { EncodedTable, OnRefused } from './change-encoder.ts';
import type { SourceRecordFile } from './source-record.ts';

export interface BinlogConnectionOptions {
  readonly streamName: string;
  readonly clock: Clock;
  readonly tables: CapturedTables;
  readonly record: SourceRecordFile;
  readonly openBinlog: OpenBinlog;
  /** The tables of which may be captured. */
  readonly database: string;
  identify(): Promise<SourceIdentity>;
  readEnd(): Promise<bigint>;
  format(order: bigint): string;
  readonly onRefused: OnRefused;
}

/** Tables of our own, as the router knows them by name. */
const bookkeeping = {
  marker: ownTable(1, 'marker', ['name', 'token']),
  applied: ownTable(2, 'applied', ['stream']),
  ddlLog: ownTable(3, 'ddl_log', ['object_schema', 'object_name']),
};

export class BinlogConnection implements CaptureConnection {
  readonly #options: BinlogConnectionOptions;
  readonly #encoder: ChangeEncoder;
  readonly #described = new Set<Relation>();
  readonly #wake = new Wake();
  #handlers: CaptureHandlers | undefined;
  #reading: BinlogReading | undefined;
  #generation = 0;
  #isPaused = false;
  #isClosed = false;
  /** In a transaction whose end has not come: the position in its begin. */
  #open: bigint | undefined;
  /** Everything before it has been sent. */
  #sent = 0n;
  /** Where to begin again, for each position that has been sent and not been confirmed. */
  #resumes: { readonly order: bigint; readonly resume: ReadPosition }[] = [];

  constructor(options: BinlogConnectionOptions) {
    this.#options = options;
    this.#encoder = new ChangeEncoder(options.onRefused);
  }

  identify(): Promise<SourceIdentity> {
    return this.#options.identify();
  }

  async check(saved: SavedState, retention: Retention | undefined): Promise<SourceIdentity> {
    const { streamName, format } = this.#options;
    if (!retention) throw new MigrationError('MIG020', `The record of where stream ${streamName} is in the source's binlog is gone`);
    if (retention.lost) throw new MigrationError('MIG020', 'The source has removed binlogs that have not been read');
    const identity = await this.identify();
    if (saved.systemId !== undefined && saved.systemId !== identity.systemId) throw gap(`the source is another server (${identity.systemId}, was ${saved.systemId})`);
    const end = await this.#options.readEnd();
    if (saved.applied > end) throw gap(`the source's binlog ends at ${format(end)}, but ${format(saved.applied)} was applied: it has been restored, or has lost what it had sent`);
    checkRetained(saved, retention, format);
    return identity;
  }

  async start(from: bigint, handlers: CaptureHandlers): Promise<void> {
    const { record, openBinlog, database } = this.#options;
    const saved = record.read();
    if (!saved || saved.confirmed !== from) throw new MigrationError('MIG020', 'The record of where the stream is in the source\'s binlog does not fit', { detail: `${saved?.confirmed ?? 'no record'}, not ${from}` });
    this.#generation = saved.generation;
    this.#sent = from;
    this.#resumes = [{ order: from, resume: saved.resume }];
    // All of its tables: one that is added later must not have been left out by then.
    const reading = await openBinlog(saved.resume, (schema) => schema === database);
    this.#handlers = handlers;
    this.#reading = reading;
    void this.#pump(reading, handlers).catch((error: unknown) => {
      if (!this.#isClosed) handlers.onEnd(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #pump(reading: BinlogReading, handlers: CaptureHandlers): Promise<void> {
    for await (const batch of reading.batches()) {
      if (this.#isClosed) return;
      await this.#encode(batch);
      const block = this.#encoder.take();
      if (block) handlers.onBlock(block);
      while (this.#isPaused && !this.#isClosed) await this.#wake.wait();
    }
    if (!this.#isClosed) throw new Error('the binlog stream ended');
  }

  async #encode(batch: ChangeBatch): Promise<void> {
    for (const item of batch.items) {
      if (item.kind === 'statement') this.#statement(item);
      else await this.#transaction(item);
    }
    const order = this.#orderOf(batch.position);
    if (this.#open !== undefined || order <= this.#sent) return;
    this.#sent = order;
    this.#encoder.keepalive(order);
    this.#resumes.push({ order, resume: batch.resume });
  }

  #orderOf({ binlogFile, binlogPosition }: { readonly binlogFile: string; readonly binlogPosition: number }): bigint {
    return packOrder(this.#generation, binlogFile, binlogPosition);
  }

  async #transaction(part: ChangedTransaction): Promise<void> {
    const order = this.#orderOf(part);
    const encoder = this.#encoder;
    if (part.isFirst) {
      // Inside the transaction, whether this is all of it or its first part: what had been read up to is not behind it.
      this.#open = order - 1n;
      encoder.begin(this.#open, part.committedAtMs, Number(order & 0xffff_ffffn));
      if (part.appliedBy !== undefined) this.#ownRow(bookkeeping.applied, [part.appliedBy]);
    }
    if (this.#open === undefined) throw new Error('a part of a transaction that has not begun');
    // Its first parts have gone on their way.
    if (part.end === 'rollback' && !part.isFirst) throw new MigrationError('MIG021', 'a transaction over tables without transactions was rolled back', { detail: `${part.binlogFile}:${part.binlogPosition}` });
    if (part.end !== 'rollback') for (const change of part.changes) await this.#rows(change);
    for (const { name, token } of part.markers) this.#ownRow(bookkeeping.marker, [name, token]);
    if (part.end === undefined) return;
    encoder.commit(this.#open, order, part.committedAtMs);
    this.#open = undefined;
    this.#sent = order;
  }

  async #rows(change: ChangedRows): Promise<void> {
    const { tables } = this.#options;
    if (!tables.isExpected(change.table)) return;
    const table = tables.known(change.table) ?? (await tables.describe(change.table));
    if (!table) return;
    const encoder = this.#encoder;
    this.#describe(table);
    const { op, old, new: rows } = change;
    if (op === 'insert') for (const row of rows) encoder.insert(table, row);
    else if (op === 'delete') for (const row of old) encoder.delete(table, row);
    else for (const [at, row] of rows.entries()) encoder.update(table, old[at] ?? row, row);
  }

  #describe(table: EncodedTable): void {
    if (this.#described.has(table.relation)) return;
    this.#described.add(table.relation);
    this.#encoder.relation(table.relation);
  }

  #ownRow(table: EncodedTable, row: readonly string[]): void {
    this.#describe(table);
    this.#encoder.insert(table, row);
  }

  /** TRUNCATE empties a table; any other statement that names one may have changed its definition, and is looked at where it stands (RULES 6). */
  #statement(statement: LoggedStatement): void {
    const { tables } = this.#options;
    const named = tables.plans.filter(({ source }) => mentions(statement, source.schema, source.name));
    if (named.length === 0) return;
    const order = this.#orderOf(statement);
    this.#encoder.begin(order - 1n, statement.committedAtMs, Number(order & 0xffff_ffffn));
    for (const { source } of named) {
      if (/^\s*truncate\b/i.test(statement.text)) {
        const relation: Relation = { oid: tables.numberOf(source), schema: source.schema, name: source.name, replicaIdentity: 'default', columns: [] };
        this.#encoder.truncate(relation);
      } else this.#ownRow(bookkeeping.ddlLog, [source.schema, source.name]);
    }
    this.#encoder.commit(order - 1n, order, statement.committedAtMs);
    this.#sent = order;
  }

  sendFeedback(_written: bigint, confirmed: bigint, _nowMs: number, askForAnswer: boolean): void {
    this.#confirm(confirmed);
    if (!askForAnswer || this.#isClosed || this.#open !== undefined || !this.#handlers) return;
    // The reader has an end of its own to silence: as long as it has not ended, nothing has come.
    const answer = new ChangeEncoder(this.#options.onRefused);
    answer.keepalive(this.#sent);
    const block = answer.take();
    if (block) this.#handlers.onBlock(block);
  }

  #confirm(confirmed: bigint): void {
    const at = this.#resumes.findLastIndex(({ order }) => order <= confirmed);
    const reached = this.#resumes[at];
    if (at < 1 || !reached) return;
    this.#resumes = this.#resumes.slice(at);
    this.#options.record.write({ generation: this.#generation, confirmed: reached.order, resume: reached.resume });
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

function mentions({ text, database }: LoggedStatement, schema: string, name: string): boolean {
  const lower = text.toLowerCase();
  return lower.includes(name.toLowerCase()) && (database.toLowerCase() === schema.toLowerCase() || lower.includes(schema.toLowerCase()));
}

function ownTable(oid: number, name: string, columns: readonly string[]): EncodedTable {
  const relation: Relation = { oid, schema: bookkeepingSchema, name, replicaIdentity: 'default', columns: columns.map((column, at) => ({ name: column, typeOid: 25, typmod: -1, inKey: at === 0 })) };
  return { relation, toLocal: columns.map(() => (text: string) => text), keyAt: [0] };
}
