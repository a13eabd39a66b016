/**
 * A connection that reads rows without decoding them. `mysql2` does the log-in (TLS, passwords); then the socket is taken over, because one
 * object per row is what limits the rate otherwise.
 *
 * States: idle → (`read`) busy → idle at the end of the result; lost at the socket's end, for good. One statement at a time.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
 */
import type { Duplex } from 'node:stream';
import type mysql from 'mysql2';
import { MigrationError } from '../../config/migration-error.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import { askMysql, connectMysql, mysqlSession } from './connect.ts';
import { PacketReader } from './packet-reader.ts';

export interface RowSink {
  /** One row, whole. What it throws ends the read once the server has sent the rest. */
  row(bytes: Buffer, at: number, end: number): void;
  /** All rows of one piece of the socket have been told. */
  pieceEnd(): void;
}

/** What a server said in an ERR packet. */
export class MysqlError extends Error {
  readonly errno: number;
  readonly sqlstate: string;

  constructor(errno: number, sqlstate: string, message: string) {
    super(message);
    this.name = 'MysqlError';
    this.errno = errno;
    this.sqlstate = sqlstate;
  }
}

interface Request {
  readonly sink: RowSink;
  /** Definitions of columns that are still to come; undefined before their number is known. */
  definitions: number | undefined;
  failure: unknown;
  readonly settle: (error: unknown) => void;
}

const COM_QUERY = 0x03;
const COM_QUIT = 0x01;
const OK = 0x00;
const EOF = 0xfe;
const ERR = 0xff;
const EOF_BYTES_LIMIT = 9;

export class RowConnection {
  readonly #socket: Duplex;
  readonly #packets = new PacketReader();
  #request: Request | undefined;
  #lost: Error | undefined;

  private constructor(socket: Duplex) {
    this.#socket = socket;
    socket.removeAllListeners('data');
    socket.on('data', (piece: Buffer) => this.#receive(piece));
    socket.on('error', (error: Error) => this.#lose(error));
    socket.on('close', () => this.#lose(undefined));
    socket.resume();
  }

  /** Throws MIG001, MIG003, MIG004. */
  static async open(address: ServerAddress, signal: AbortSignal): Promise<RowConnection> {
    const connection = await connectMysql(address, { signal });
    await askMysql(connection, mysqlSession);
    return new RowConnection(socketOf(connection));
  }

  /** Resolves when the server has sent every row. Throws `MysqlError`, MIG002, or what the sink threw. */
  read(sql: string, sink: RowSink): Promise<void> {
    if (this.#request) throw new Error('RowConnection: a statement is still running');
    if (this.#lost) return Promise.reject(this.#lost);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (error: unknown): void => {
      this.#request = undefined;
      if (error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error(String(error)));
    };
    this.#request = { sink, definitions: undefined, failure: undefined, settle };
    this.#packets.begin();
    const text = Buffer.from(sql);
    const head = Buffer.alloc(5);
    head.writeUIntLE(text.length + 1, 0, 3);
    head[4] = COM_QUERY;
    this.#socket.write(Buffer.concat([head, text]));
    return promise;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (!this.#lost) this.#socket.end(Buffer.from([1, 0, 0, 0, COM_QUIT]));
    this.#socket.resume();
  }

  /** Safe to call twice. The server ends what it does when it finds nobody to send it to. */
  abandon(): void {
    this.#socket.destroy();
    this.#lose(undefined);
  }

  #receive(piece: Buffer): void {
    const request = this.#request;
    try {
      this.#packets.push(piece, (bytes, at, end) => this.#take(bytes, at, end));
      if (request && this.#request === request && request.failure === undefined) request.sink.pieceEnd();
    } catch (error) {
      this.#lose(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(bytes: Buffer, at: number, end: number): void {
    const request = this.#request;
    if (!request) return;
    const kind = bytes[at];
    if (kind === ERR && request.definitions === undefined) return this.#end(readError(bytes, at, end));
    if (request.definitions === undefined) {
      if (kind === OK) return this.#end(undefined);
      // More columns than a byte counts are two more bytes.
      request.definitions = (kind === 0xfc ? bytes.readUInt16LE(at + 1) : (kind ?? 0)) + 1;
      return;
    }
    // The definitions of the columns, and the EOF behind them.
    if (request.definitions > 0) {
      request.definitions -= 1;
      return;
    }
    if (kind === ERR) return this.#end(readError(bytes, at, end));
    if (kind === EOF && end - at < EOF_BYTES_LIMIT) return this.#end(undefined);
    if (request.failure !== undefined) return;
    try {
      request.sink.row(bytes, at, end);
    } catch (error) {
      request.failure = error;
    }
  }

  #end(error: Error | undefined): void {
    const request = this.#request;
    if (!request) return;
    if (error === undefined && request.failure === undefined) {
      try {
        request.sink.pieceEnd();
      } catch (thrown) {
        request.failure = thrown;
      }
    }
    request.settle(request.failure ?? error);
  }

  #lose(cause: Error | undefined): void {
    if (this.#lost) return;
    this.#lost = new MigrationError('MIG002', 'The connection to the source was lost', { detail: cause?.message ?? 'the server closed it', ...(cause === undefined ? {} : { cause }) });
    this.#socket.destroy();
    this.#request?.settle(this.#lost);
  }
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
function readError(bytes: Buffer, at: number, end: number): MysqlError {
  const hasState = bytes[at + 3] === 0x23;
  return new MysqlError(bytes.readUInt16LE(at + 1), hasState ? bytes.toString('latin1', at + 4, at + 9) : 'HY000', bytes.toString('utf8', at + (hasState ? 9 : 3), end));
}

/** The client's socket, encrypted or not; its types leave it out. */
function socketOf(connection: mysql.Connection): Duplex {
  return (connection as unknown as { readonly stream: Duplex }).stream;
}
