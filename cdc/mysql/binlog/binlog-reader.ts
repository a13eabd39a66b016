/**
 * Reads a server's binlog as a replica does: `open` at a position, then pull batches until something ends it.
 *
 * The place behind each batch is known by file and offset, and by GTID where the server has them. After a lost connection another reader
 * is opened at the last position, on the same server or, by GTID, on another one.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { Wake } from '../../flow/wake.ts';
import type { MysqlPosition } from '../position.ts';
import type { ReplicationAddress } from '../replication-address.ts';
import { gap, prepareDump, readBinlogEnd } from './begin-dump.ts';
import type { DumpSettings } from './begin-dump.ts';
import { BinlogPlace } from './binlog-place.ts';
import { Charsets } from './charsets.ts';
import type { TableFacts } from './column-facts.ts';
import { EventQueue } from './event-queue.ts';
import { EventSource } from './event-source.ts';
import { KnownDefinitions } from './known-definitions.ts';
import { ReplicaConnection } from './replica-connection.ts';
import { MysqlServerError } from './server-error.ts';
import { TableBindings } from './table-bindings.ts';
import { TransactionAssembler } from './transaction-assembler.ts';
import type { BinlogBatch } from './transaction.ts';

export interface BinlogReaderOptions {
  readonly address: ReplicationAddress;
  readonly start: MysqlPosition;
  /** Among all servers and replicas of the topology no other may have it. */
  readonly replicaId: number;
  readonly captures: (schema: string, name: string) => boolean;
  /** The catalog as it is now. Asked where the binlog does not say enough (`binlog_row_metadata` is not FULL, or types that look like bytes). */
  readonly facts: TableFacts;
  /** Default: nothing, kept for this reader alone. */
  readonly known?: KnownDefinitions;
  /** Events that have come and are not read yet. Default 1 MB; one larger event is held all the same. */
  readonly queueBytes?: number;
  /** Events that one batch is made of, default 128 KB, and after which a transaction is given out in parts, default 1 MB. */
  readonly batchBytes?: number;
  /** Default 256 MB. */
  readonly preparedBytes?: number;
  /** An idle server says so; three times as long without a word, and it is lost. Default 5 s. */
  readonly heartbeatMs?: number;
}

const MB = 1024 * 1024;
/** As strings its rows are many times as large: few enough that they are gone before a collector moves them. */
const BATCH_BYTES = 128 * 1024;
/** Events that are held back at the most. What comes behind them is given out in doubt; a statement that proves it misread still says so. */
const HELD_BYTES = 4 * MB;
const HEARTBEAT_MS = 5000;
const SILENT_HEARTBEATS = 3;
/** ER_MASTER_FATAL_ERROR_READING_BINLOG: purged, a wrong offset, another history. */
const FATAL_READING = 1236;
/** Another replica has come under this one's id: MySQL says it with the number above, MariaDB with ER_SLAVE_SAME_ID, where it says anything. */
const SAME_ID = /\bsame server_(?:uuid|id)\b/;
const SLAVE_SAME_ID = 4052;
/** ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR: after the log-in. */
const missingPrivilege: ReadonlySet<number> = new Set([1044, 1045, 1227]);

export class BinlogReader implements AsyncDisposable {
  readonly #options: BinlogReaderOptions;
  readonly #connection: ReplicaConnection;
  readonly #place: BinlogPlace;
  readonly #queue: EventQueue;
  readonly #wake = new Wake();
  readonly #assembler: TransactionAssembler;
  readonly #tables: TableBindings;
  readonly #events: EventSource;
  #ended: Error | undefined;
  #isClosed = false;

  private constructor(options: BinlogReaderOptions, connection: ReplicaConnection, settings: DumpSettings) {
    this.#options = options;
    this.#connection = connection;
    this.#place = new BinlogPlace(options.start);
    this.#queue = new EventQueue(options.queueBytes ?? MB, () => connection.pause(), () => connection.resume());
    const { captures, facts } = options;
    // What hinders an answer now may not hinder the next one.
    const failed = (error: unknown): never => {
      throw streamError(error, options);
    };
    const ask = <T>(question: (asked: ReplicaConnection) => Promise<T>): Promise<T> => once(options.address, question).catch(failed);
    const charsets = new Charsets((text) => ask((asked) => asked.query(text)));
    this.#tables = new TableBindings({ captures, facts: (schema, name) => facts(schema, name).catch(failed), known: options.known ?? new KnownDefinitions(), charsets, isMariadb: connection.isMariadb, readEnd: () => ask(readBinlogEnd) });
    this.#assembler = new TransactionAssembler({ captures, charsets, partBytes: options.batchBytes ?? MB, preparedBytes: options.preparedBytes ?? 256 * MB }, this.#tables, this.#place);
    this.#events = new EventSource(this.#queue, this.#place, settings.hasChecksums, () => this.#wake.notify());
  }

  /** MIG001, MIG003: the server cannot be used. MIG021: it does not have what follows the position. */
  static async open(options: BinlogReaderOptions): Promise<BinlogReader> {
    const connection = await ReplicaConnection.open(options.address);
    try {
      const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
      const settings = await prepareDump(connection, options.start, heartbeatMs);
      // By this id a server recognises a replica that has come back, and ends its old connection.
      const uuid = uuidOf(options.replicaId);
      await connection.query(`SET @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`);
      await connection.register(options.replicaId);
      const reader = new BinlogReader(options, connection, settings);
      connection.dump(options.replicaId, settings.start, heartbeatMs * SILENT_HEARTBEATS, {
        onEvent: (packet, at) => {
          reader.#queue.push(packet, at);
          reader.#wake.notify();
        },
        onEnd: (error) => {
          reader.#ended ??= streamError(error, options);
          reader.#wake.notify();
        },
      });
      return reader;
    } catch (error) {
      connection.close();
      throw error instanceof MigrationError ? error : streamError(error, options);
    }
  }

  /** Asking for the next batch says that the last one is done with. Throws what ended the stream, after everything that had come; ends when closed. */
  async *batches(): AsyncGenerator<BinlogBatch, void, undefined> {
    let held = 0;
    while (!this.#isClosed) {
      const { bytes, isMoved } = await this.#fill();
      held += bytes;
      // Not given out before it is known how it is to be read: that lies as near as the binlog's end did.
      if (held > 0 && held < HELD_BYTES && this.#tables.isInDoubt(this.#place)) {
        if (bytes > 0) continue;
        if (this.#ended && !this.#events.isBusy) throw this.#ended;
        await this.#wake.wait();
        continue;
      }
      if (isMoved || held > 0) {
        held = 0;
        yield { items: this.#assembler.takeItems(), position: this.#place.position, resume: this.#assembler.resume };
      } else if (this.#isClosed) return;
      else if (this.#ended && !this.#events.isBusy) throw this.#ended;
      else await this.#wake.wait();
    }
  }

  /** Reads events until a batch is full or nothing more has come. */
  async #fill(): Promise<{ readonly bytes: number; readonly isMoved: boolean }> {
    const limit = this.#options.batchBytes ?? BATCH_BYTES;
    const assembler = this.#assembler;
    const { file, offset } = this.#place;
    let bytes = 0;
    try {
      while (bytes < limit && (!assembler.isStopped || this.#tables.isInDoubt(this.#place))) {
        const next = this.#events.next(assembler.isInGroup);
        if (!next) break;
        bytes += next.event.length;
        const asked = assembler.take(next.event, next.body);
        if (asked) await asked;
      }
    } catch (error) {
      this.#connection.close();
      throw error instanceof MigrationError ? error : new MigrationError('MIG090', 'the binlog cannot be read', { detail: `${this.#place.file}:${this.#place.offset}: ${String(error)}`, cause: error });
    }
    return { bytes, isMoved: bytes > 0 || file !== this.#place.file || offset !== this.#place.offset };
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.close();
    this.#wake.notify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.resolve();
  }
}

function uuidOf(replicaId: number): string {
  return `00000000-0000-4000-8000-${replicaId.toString(16).padStart(12, '0')}`;
}

/** A connection for one question, since the other one is busy with the binlog. */
async function once<T>(address: ReplicationAddress, question: (connection: ReplicaConnection) => Promise<T>): Promise<T> {
  const connection = await ReplicaConnection.open(address);
  try {
    await connection.query('SET NAMES utf8mb4');
    return await question(connection);
  } finally {
    connection.close();
  }
}

function streamError(error: unknown, { start }: BinlogReaderOptions): MigrationError {
  if (error instanceof MigrationError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof MysqlServerError && (error.errno === SLAVE_SAME_ID || (error.errno === FATAL_READING && SAME_ID.test(message)))) {
    return new MigrationError('MIG023', 'another replica has connected to the server under the same id', { detail: message, hint: 'Each reader of a binlog, and each replica of the server, needs an id of its own.' });
  }
  if (error instanceof MysqlServerError && error.errno === FATAL_READING) return gap('the server cannot send what follows the position', `${message} (${start.binlogFile}:${start.binlogPosition})`);
  if (error instanceof MysqlServerError && missingPrivilege.has(error.errno)) return new MigrationError('MIG004', 'the user may not read the binlog', { detail: message, hint: 'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user.' });
  return new MigrationError('MIG023', 'the binlog stream ended', { detail: message, cause: error });
}
