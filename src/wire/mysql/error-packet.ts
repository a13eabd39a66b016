/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
import { integer } from './payload.ts';

export const ERROR = 0xff;

export interface MysqlError {
  readonly code: number;
  readonly sqlstate: string;
  readonly message: string;
}

/** Numbers of errors that servers have for what the gateway says too. */
export const ErrorCode = {
  tooManyConnections: 1040,
  badHandshake: 1043,
  accessDenied: 1045,
  unknownCommand: 1047,
  shuttingDown: 1053,
  noSuchThread: 1094,
  unknown: 1105,
  packetTooLarge: 1153,
  deadlock: 1213,
  malformedPacket: 1835,
  /** A client's own, for a server that it cannot reach; proxies send it as well. */
  cannotConnect: 2003,
  unknownStatement: 1243,
  notPreparable: 1295,
  notSupported: 1235,
  idleTooLong: 4031,
} as const;

/** What a server has answered in the place of its greeting. */
export class MysqlServerError extends Error {
  readonly packet: MysqlError;

  constructor(packet: MysqlError) {
    super(packet.message);
    this.packet = packet;
  }
}

/** `isGreeting`: before a client has said what it can there is no SQLSTATE. */
export function writeMysqlError({ code, sqlstate, message }: MysqlError, isGreeting = false): Buffer {
  return Buffer.concat([Buffer.of(ERROR), integer(code, 2), Buffer.from(isGreeting ? message : `#${sqlstate}${message}`, 'utf8')]);
}

export function readMysqlError(payload: Buffer): MysqlError {
  const code = payload.length >= 3 ? payload.readUInt16LE(1) : 0;
  const hasState = payload[3] === 0x23;
  return { code, sqlstate: hasState ? payload.toString('latin1', 4, 9) : 'HY000', message: payload.toString('utf8', hasState ? 9 : 3) };
}
