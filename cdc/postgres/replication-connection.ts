/**
 * One replication connection to a PostgreSQL source. `pg` does the log-in (TLS, SCRAM); before START_REPLICATION the socket is taken
 * over, because one event and one object per message is what limits the rate otherwise.
 *
 * States: connected (simple queries) → streaming (`start`) → closed. Whatever ends the stream is told once through `onEnd`.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import { formatLsn } from '../change.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { connectionConfig } from './connect.ts';
import { utf8 } from './pgoutput.ts';
import type { ServerAddress } from './server-address.ts';

export interface IdentifySystem {
  readonly systemId: string;
  readonly timeline: number;
  readonly writtenLsn: string;
}

export interface StreamStart {
  readonly slotName: string;
  readonly publicationName: string;
  readonly from: bigint;
}

export interface StreamHandlers {
  /** Whole protocol messages; those of kind `d` hold XLogData and keepalives. Must not throw. */
  readonly onBlock: (block: Buffer) => void;
  /** The source asks for an answer now. */
  readonly onReplyRequested: () => void;
  readonly onEnd: (error: Error) => void;
}

const COPY_DATA = 0x64;
const COPY_BOTH = 0x57;
const ERROR = 0x45;
const KEEPALIVE = 0x6b;

export class ReplicationConnection {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  #streaming = false;
  #ended = false;
  #onEnd: ((error: Error) => void) | undefined;

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  }

  static async open(address: ServerAddress): Promise<ReplicationConnection> {
    const config = { ...connectionConfig(address, 'causeway capture'), replication: 'database' };
    const client = new pg.Client(config as pg.ClientConfig);
    client.on('error', () => undefined);
    await client.connect();
    return new ReplicationConnection(client);
  }

  async identify(): Promise<IdentifySystem> {
    const { rows } = await this.#client.query<{ systemid: string; timeline: number; xlogpos: string }>('IDENTIFY_SYSTEM');
    const row = rows[0];
    if (!row) throw new Error('IDENTIFY_SYSTEM gave no row');
    return { systemId: row.systemid, timeline: Number(row.timeline), writtenLsn: row.xlogpos };
  }

  /** Text of the history file of a timeline: one line per switch. */
  async timelineHistory(timeline: number): Promise<string> {
    const { rows } = await this.#client.query<{ content: string | Buffer }>(`TIMELINE_HISTORY ${timeline}`);
    return String(rows[0]?.content ?? '');
  }

  async query(text: string): Promise<readonly Record<string, string>[]> {
    return (await this.#client.query<Record<string, string>>(text)).rows;
  }

  start(options: StreamStart, handlers: StreamHandlers): Promise<void> {
    const splitter = new FrameSplitter();
    const socket = this.#socket;
    // What has closed before anybody listens tells nobody.
    if (socket.destroyed || !socket.writable || socket.readableEnded) return Promise.reject(new Error('the source closed the replication connection'));
    this.#onEnd = handlers.onEnd;
    socket.removeAllListeners('data');
    this.#streaming = true;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        reject(error);
        this.#end(error);
      };
      socket.on('data', (chunk: Buffer) => {
        try {
          const block = splitter.push(chunk);
          if (block) this.#receive(block, handlers, resolve, fail);
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
        }
      });
      socket.once('error', fail);
      socket.once('close', () => fail(new Error('the source closed the replication connection')));
      const publication = options.publicationName.replaceAll('"', '""').replaceAll("'", "''");
      socket.write(queryMessage(`START_REPLICATION SLOT "${options.slotName}" LOGICAL ${formatLsn(options.from)} (proto_version '1', publication_names '"${publication}"')`));
    });
  }

  #receive(block: Buffer, handlers: StreamHandlers, started: () => void, fail: (error: Error) => void): void {
    let wanted = false;
    for (let at = 0; at < block.length; at += 1 + block.readUInt32BE(at + 1)) {
      const kind = block[at];
      if (kind === COPY_DATA) {
        if (block[at + 5] === KEEPALIVE && block[at + 22] === 1) wanted = true;
      } else if (kind === COPY_BOTH) started();
      else if (kind === ERROR) return fail(readError(block, at));
    }
    handlers.onBlock(block);
    if (wanted) handlers.onReplyRequested();
  }

  /**
   * `written` is how far the stream was read, `confirmed` what the source may forget. `askForAnswer`: a source with nothing to send
   * answers with a keepalive, which tells idleness from a lost source.
   */
  sendFeedback(written: bigint, confirmed: bigint, nowMs: number, askForAnswer: boolean): void {
    if (!this.#streaming || this.#ended) return;
    const message = Buffer.alloc(5 + 34);
    message[0] = COPY_DATA;
    message.writeUInt32BE(4 + 34, 1);
    message[5] = 0x72;
    message.writeBigUInt64BE(written, 6);
    message.writeBigUInt64BE(confirmed, 14);
    message.writeBigUInt64BE(confirmed, 22);
    message.writeBigInt64BE(BigInt(Math.round((nowMs - 946_684_800_000) * 1000)), 30);
    message[38] = askForAnswer ? 1 : 0;
    this.#socket.write(message);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    this.#onEnd?.(error);
  }
}

function queryMessage(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head[0] = 0x51;
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export class ReplicationError extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string) {
    super(message);
    this.name = 'ReplicationError';
    this.sqlstate = sqlstate;
  }
}

function readError(block: Buffer, at: number): Error {
  const fields = new Map<string, string>();
  const end = at + 1 + block.readUInt32BE(at + 1);
  for (let next = at + 5; next < end && block[next] !== 0; ) {
    const zero = block.indexOf(0, next + 1);
    fields.set(String.fromCharCode(block[next] ?? 0), utf8(block, next + 1, zero));
    next = zero + 1;
  }
  return new ReplicationError(fields.get('C') ?? 'XX000', fields.get('M') ?? 'replication failed');
}
