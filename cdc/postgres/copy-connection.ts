/**
 * A connection for COPY: the bytes of a `COPY … TO STDOUT` come out as they arrived, in whole or partial `CopyData` frames,
 * and can be written as they are to a connection that runs `COPY … FROM STDIN`. No row is decoded.
 *
 * States: idle → (exec, copyOut, copyIn) busy → idle at ReadyForQuery; lost at the socket's end, for good.
 * One request at a time: a second one while busy is a programmer's error.
 */
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { connectServer } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { CopyDataScan, decodeDataRow, decodeError, encodeMessage, encodeText } from './copy-connection-frames.ts';
import type { ServerError } from './copy-connection-frames.ts';
import type { ServerAddress } from './server-address.ts';

export interface StatementResult {
  /** `COPY 42`, `INSERT 0 1` … */
  readonly tag: string;
  readonly rows: readonly (readonly (string | null)[])[];
}

/**
 * Raw `CopyData` bytes, the number of rows that begin in them, and the bytes of the last row that are still to come. Called on the
 * read path: it may pause the connection. True: these bytes, and all before them, have left, and their memory may be written to again.
 */
export type CopySink = (bytes: Buffer, rows: number, unfinished: number) => boolean | void;

/** The socket ended, or was ended, while the connection was in use. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
}

interface Request {
  readonly results: StatementResult[];
  rows: (string | null)[][];
  error: ServerError | undefined;
  readonly sink: CopySink | undefined;
  readonly onCopyIn: (() => void) | undefined;
  readonly finish: (error: Error | undefined) => void;
}

/** The largest message other than a row of a COPY that is taken in; a longer one means that the stream is out of step. */
const MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);

export class CopyConnection {
  readonly #socket: Duplex;
  readonly #address: ServerAddress;
  readonly #cancelKey: Buffer;
  readonly #scan = new CopyDataScan();
  #held: Buffer = EMPTY;
  #copyingOut = false;
  #request: Request | undefined;
  #lost: Error | undefined;

  private constructor(client: pg.Client, address: ServerAddress) {
    const { socket, cancelKey } = takeOver(client);
    this.#socket = socket;
    this.#address = address;
    this.#cancelKey = cancelKey;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error: Error) => this.#lose(error));
    socket.on('close', () => this.#lose(undefined));
    socket.resume();
  }

  /** The pg client does the encryption and the login, then hands its socket over. Throws MIG001, MIG003, MIG004. */
  static async connect(address: ServerAddress, options: ConnectOptions): Promise<CopyConnection> {
    return new CopyConnection(await connectServer(address, options), address);
  }

  /** Runs statements that copy nothing, as one simple query. Throws `ServerError`, `ConnectionLostError`. */
  exec(sql: string): Promise<readonly StatementResult[]> {
    return this.#send(sql, undefined, undefined);
  }

  /** Runs `COPY … TO STDOUT`; resolves when the server has sent everything. `pause` and `resume` hold the rows back. */
  copyOut(sql: string, sink: CopySink): Promise<readonly StatementResult[]> {
    return this.#send(sql, sink, undefined);
  }

  /** Runs `COPY … FROM STDIN`. `ready` resolves when the server wants rows, `done` after `endCopy` or with the server's error. */
  copyIn(sql: string): { readonly ready: Promise<void>; readonly done: Promise<readonly StatementResult[]> } {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const done = this.#send(sql, undefined, resolve);
    done.then(() => resolve(), reject);
    ready.catch(() => undefined);
    return { ready, done };
  }

  /** Writes raw `CopyData` frames; returns the bytes that wait for the server to take them. */
  write(frames: Buffer): number {
    this.#socket.write(frames);
    return this.#socket.writableLength;
  }

  /** Resolves once everything written has left, or the connection is lost (the request then fails). */
  drained(): Promise<void> {
    if (this.#lost || this.#socket.writableLength === 0 || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#socket.off('drain', settle);
        this.#socket.off('close', settle);
        resolve();
      };
      this.#socket.once('drain', settle);
      this.#socket.once('close', settle);
    });
  }

  endCopy(): void {
    this.#socket.write(encodeMessage('c', EMPTY));
  }

  failCopy(reason: string): void {
    this.#socket.write(encodeText('f', reason));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends an idle connection in good order. */
  close(): void {
    if (!this.#lost) this.#socket.end(encodeMessage('X', EMPTY));
    this.#socket.resume();
  }

  /** Ends the connection at once and asks the server to stop what it is doing for it. Safe to call twice. */
  async abandon(): Promise<void> {
    const busy = this.#request !== undefined && !this.#lost;
    this.#socket.destroy();
    this.#lose(undefined);
    if (busy) await sendCancel(this.#address, this.#cancelKey);
  }

  #send(sql: string, sink: CopySink | undefined, onCopyIn: (() => void) | undefined): Promise<readonly StatementResult[]> {
    if (this.#request) throw new Error('CopyConnection: a request is still running');
    const results: StatementResult[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<readonly StatementResult[]>();
    // A copy waits for both of its ends; the one that fails first may have no listener yet.
    promise.catch(() => undefined);
    const finish = (error: Error | undefined): void => (error ? reject(error) : resolve(results));
    if (this.#lost) {
      finish(this.#lost);
      return promise;
    }
    this.#request = { results, rows: [], error: undefined, sink, onCopyIn, finish };
    this.#socket.write(encodeText('Q', sql));
    return promise;
  }

  #receive(piece: Buffer): void {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    let at = 0;
    for (;;) {
      if (this.#copyingOut) at = this.#passRows(bytes, at);
      const left = bytes.length - at;
      if (left < 5) break;
      const length = 1 + bytes.readUInt32BE(at + 1);
      if (length > MESSAGE_LIMIT_BYTES) return this.#lose(new Error(`message of ${length} bytes: the connection is out of step`));
      if (left < length) break;
      this.#handle(bytes[at] ?? 0, bytes.subarray(at + 5, at + length));
      at += length;
    }
    this.#held = at === bytes.length ? EMPTY : bytes.subarray(at);
  }

  #passRows(bytes: Buffer, from: number): number {
    const before = this.#scan.frames;
    const end = this.#scan.skip(bytes, from);
    if (end > from) this.#request?.sink?.(bytes.subarray(from, end), this.#scan.frames - before, this.#scan.unfinished);
    return end;
  }

  #handle(type: number, body: Buffer): void {
    const request = this.#request;
    switch (String.fromCharCode(type)) {
      case 'D':
        request?.rows.push(decodeDataRow(body));
        return;
      case 'C':
        request?.results.push({ tag: body.toString('utf8', 0, body.length - 1), rows: request.rows.splice(0) });
        return;
      case 'H':
        this.#copyingOut = true;
        return;
      case 'c':
        this.#copyingOut = false;
        return;
      case 'G':
        request?.onCopyIn?.();
        return;
      case 'E':
        this.#copyingOut = false;
        if (request) request.error ??= decodeError(body);
        return;
      case 'Z':
        this.#request = undefined;
        request?.finish(request.error);
        return;
      default:
        // Notices, parameter changes, row descriptions: nothing here depends on them.
        return;
    }
  }

  #lose(cause: Error | undefined): void {
    if (this.#lost) return;
    // A FATAL error comes without ReadyForQuery: it says why the server hung up.
    const reason = this.#request?.error ?? cause;
    this.#lost = this.#request?.error ?? new ConnectionLostError(reason?.message ?? 'the server closed the connection', { cause: reason });
    this.#socket.destroy();
    const request = this.#request;
    this.#request = undefined;
    request?.finish(this.#lost);
  }
}

/** The parts of a pg client that its type declarations leave out. */
interface ClientInternals {
  readonly connection: { readonly stream: Duplex };
  readonly processID: number;
  readonly secretKey: number;
}

function takeOver(client: pg.Client): { socket: Duplex; cancelKey: Buffer } {
  const { connection, processID, secretKey } = client as unknown as ClientInternals;
  const socket = connection.stream;
  socket.pause();
  // The client's parser would read every row; its listeners for errors and the end do no harm.
  socket.removeAllListeners('data');
  const cancelKey = Buffer.alloc(8);
  cancelKey.writeInt32BE(processID, 0);
  cancelKey.writeInt32BE(secretKey, 4);
  return { socket, cancelKey };
}

/** https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS: best effort, never throws. */
function sendCancel(address: ServerAddress, cancelKey: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = net.connect({ host: address.host, port: address.port });
  const head = Buffer.alloc(8);
  head.writeInt32BE(16, 0);
  head.writeInt32BE(80877102, 4);
  socket.setTimeout(2000, () => socket.destroy());
  socket.once('connect', () => socket.end(Buffer.concat([head, cancelKey])));
  socket.once('error', () => socket.destroy());
  socket.once('close', () => resolve());
  socket.resume();
  return promise;
}
