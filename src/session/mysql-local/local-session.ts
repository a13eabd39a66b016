/** A MySQL client's session, as what serves it on local sees it. */
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { AskedRows } from '../mysql/mysql-leg.ts';
import type { MysqlAdmitted } from '../mysql/door-host.ts';

export interface LocalSession {
  readonly sessionId: string;
  readonly client: MysqlAdmitted;
  /** What a barrier waits for; told of a statement that has failed. */
  readonly unit: { failed(): void };
  /** As the MySQL server has said last. */
  readonly serverStatus: number;
  /** False: `writable` comes when it has drained. */
  toClient(bytes: Buffer): boolean;
  fail(error: MysqlError, sequence: number): void;
  /** Something of the gateway's own; undefined for an error. */
  askServer(text: string, done: AskedRows): void;
  /** Until its end what the client sends is a file. */
  wantsFile(): void;
  /** The client may send on. */
  serverDrained(): void;
  /** The statement is answered; a transaction may be open. */
  settled(): void;
  close(): void;
}
