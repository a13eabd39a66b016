/**
 * One connection to a MySQL or MariaDB server as a replica has it: a few queries, then the binlog.
 *
 * States: open (`query`) → dumping (`dump`) → closed. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ReplicationAddress } from '../replication-address.ts';
import { Cursor } from './cursor.ts';
import { logIn } from './login.ts';
import { ServerChannel } from './server-channel.ts';
import { errorOf, MysqlServerError } from './server-error.ts';

export type QueryRow = readonly (string | null)[];

export interface DumpHandlers {
  /** One event with its header: all of `packet` behind `at`. Must not throw. */
  readonly onEvent: (packet: Buffer, at: number) => void;
  readonly onEnd: (error: Error) => void;
}

/** Where a server is asked to begin. */
export type DumpStart =
  | { readonly by: 'file'; readonly file: string; readonly offset: number }
  /** `encoded`: transactions that are not wanted, as COM_BINLOG_DUMP_GTID has them. */
  | { readonly by: 'gtid'; readonly encoded: Buffer }
  /** MariaDB: `@slave_connect_state` has been set. */
  | { readonly by: 'connectState' };

const command = { query: 0x03, binlogDump: 0x12, registerSlave: 0x15, binlogDumpGtid: 0x1e } as const;
const OK = 0x00;
const EOF = 0xfe;
const ERROR = 0xff;
const NULL_VALUE = 0xfb;
const THROUGH_GTID = 0x04;
const FIRST_EVENT = 4;
/** The largest answer is the table of a character set. */
const ANSWER_MS = 60_000;

export class ReplicaConnection {
  readonly #channel: ServerChannel;
  /** As the server greets: MariaDB puts `5.5.5-` before its own. */
  readonly version: string;

  private constructor(channel: ServerChannel, version: string) {
    this.#channel = channel;
    this.version = version;
  }

  static async open(address: ReplicationAddress, timeoutMs = 10_000): Promise<ReplicaConnection> {
    const where = `${address.user}@${address.host}:${address.port}`;
    let channel: ServerChannel | undefined;
    try {
      channel = await ServerChannel.connect(address.host, address.port, timeoutMs);
      const version = await logIn(channel, { user: address.user, password: address.password, tls: address.tls });
      channel.expectWithin(0);
      return new ReplicaConnection(channel, version);
    } catch (error) {
      channel?.close();
      const cause = error instanceof Error ? error : new Error(String(error));
      const isRefused = cause instanceof MysqlServerError && [1044, 1045, 1698, 1251].includes(cause.errno);
      throw new MigrationError(isRefused ? 'MIG003' : 'MIG001', `${where} ${isRefused ? 'refused the credentials' : 'cannot be reached'}`, { detail: cause.message, cause });
    }
  }

  get isMariadb(): boolean {
    return this.version.includes('MariaDB');
  }

  /** Rows as text. */
  query(text: string): Promise<readonly QueryRow[]> {
    return new Promise((resolve, reject) => {
      const rows: QueryRow[] = [];
      const cursor = new Cursor();
      let columns = -1;
      let isInRows = false;
      const finish = (error?: Error): void => {
        this.#channel.unlisten();
        this.#channel.expectWithin(0);
        if (error) reject(error);
        else resolve(rows);
      };
      this.#channel.listen({
        onPacket: (payload) => {
          if (payload[0] === ERROR) finish(errorOf(payload));
          else if (columns < 0) {
            if (payload[0] === OK) finish();
            else columns = payload[0] ?? 0;
          } else if (payload[0] === EOF && payload.length < 9) {
            if (isInRows) finish();
            isInRows = true;
          } else if (isInRows) rows.push(readRow(cursor.point(payload, 0, payload.length), columns));
        },
        onEnd: finish,
      });
      this.#channel.expectWithin(ANSWER_MS);
      this.#channel.send(Buffer.concat([Buffer.from([command.query]), Buffer.from(text)]));
    });
  }

  /** The server's list of replicas shows this one, by an id that no other may have. */
  async register(serverId: number): Promise<void> {
    const body = Buffer.alloc(18);
    body[0] = command.registerSlave;
    body.writeUInt32LE(serverId, 1);
    this.#channel.expectWithin(ANSWER_MS);
    this.#channel.send(body);
    const reply = await this.#channel.next();
    this.#channel.expectWithin(0);
    if (reply[0] === ERROR) throw errorOf(reply);
  }

  /** `silenceMs`: longer than the heartbeat's period. */
  dump(serverId: number, start: DumpStart, silenceMs: number, handlers: DumpHandlers): void {
    const channel = this.#channel;
    channel.expectWithin(silenceMs);
    channel.listen({
      onPacket: (payload) => {
        if (payload[0] === OK) handlers.onEvent(payload, 1);
        else {
          handlers.onEnd(payload[0] === ERROR ? errorOf(payload) : new MigrationError('MIG023', 'the server ended the binlog stream'));
          channel.close();
        }
      },
      onEnd: handlers.onEnd,
    });
    channel.send(dumpCommand(serverId, start));
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  close(): void {
    this.#channel.close();
  }
}

function readRow(cursor: Cursor, columns: number): QueryRow {
  return Array.from({ length: columns }, () => {
    if (cursor.buffer[cursor.at] === NULL_VALUE) {
      cursor.skip(1);
      return null;
    }
    return cursor.text(cursor.packed());
  });
}

function dumpCommand(serverId: number, start: DumpStart): Buffer {
  if (start.by === 'gtid') {
    const head = Buffer.alloc(23);
    head[0] = command.binlogDumpGtid;
    head.writeUInt16LE(THROUGH_GTID, 1);
    head.writeUInt32LE(serverId, 3);
    // No name of a file: 4 bytes of its length, then the offset.
    head.writeBigUInt64LE(BigInt(FIRST_EVENT), 11);
    head.writeUInt32LE(start.encoded.length, 19);
    return Buffer.concat([head, start.encoded]);
  }
  const head = Buffer.alloc(11);
  head[0] = command.binlogDump;
  if (start.by === 'file' && start.offset > 0xffff_ffff) throw new MigrationError('MIG021', 'a server without GTIDs cannot be asked for what lies behind 4 GB of a file', { detail: `${start.file}:${start.offset}` });
  head.writeUInt32LE(start.by === 'file' ? start.offset : FIRST_EVENT, 1);
  head.writeUInt32LE(serverId, 7);
  return Buffer.concat([head, Buffer.from(start.by === 'file' ? start.file : '')]);
}
