/** How each command is answered by a server, and what is said of those that do not pass. */
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import { Command, refusedCommands } from '../../wire/mysql/commands.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';

export const shapes: Readonly<Record<number, AnswerShape>> = {
  [Command.initDatabase]: 'packet', [Command.query]: 'result', [Command.fieldList]: 'fields', [Command.statistics]: 'packet', [Command.processInfo]: 'result', [Command.processKill]: 'packet',
  [Command.debug]: 'packet', [Command.ping]: 'packet', [Command.prepare]: 'prepare', [Command.execute]: 'result', [Command.resetStatement]: 'packet', [Command.setOption]: 'packet',
  [Command.fetch]: 'rows', [Command.resetConnection]: 'packet',
};

/** 0: several statements in one text are allowed; 1: they are not. */
export function setOption(option: number): Buffer {
  return Buffer.of(Command.setOption, option, 0);
}

/** `command` undefined: the packet was empty. */
export function notPassed(command: number | undefined): MysqlError {
  const name = (command === undefined ? undefined : refusedCommands[command]) ?? `command ${command ?? 'of no bytes'}`;
  return { code: ErrorCode.unknownCommand, sqlstate: '08S01', message: `${name} is not possible through the gateway` };
}

export const notPreparable: MysqlError = { code: ErrorCode.notPreparable, sqlstate: 'HY000', message: 'Migration statements cannot be prepared; send them as text' };

export function unknownStatement(payload: Buffer): MysqlError {
  const id = payload.length >= 5 ? payload.readUInt32LE(1) : 0;
  return { code: ErrorCode.unknownStatement, sqlstate: 'HY000', message: `Unknown prepared statement handler (${id}) given to mysqld_stmt_execute` };
}

export function noSuchThread(id: number): MysqlError {
  return { code: ErrorCode.noSuchThread, sqlstate: 'HY000', message: `Unknown thread id: ${id}` };
}

export function tooLargeCommand(maxBytes: number): MysqlError {
  return { code: ErrorCode.packetTooLarge, sqlstate: '08S01', message: `MIG088: the command is larger than the gateway takes (${maxBytes} bytes)` };
}

export const goingAway: MysqlError = { code: ErrorCode.shuttingDown, sqlstate: '08S01', message: 'the gateway is shutting down; connect again in a moment' };
