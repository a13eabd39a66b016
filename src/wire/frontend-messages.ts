/** Messages that a client sends: https://www.postgresql.org/docs/current/protocol-message-formats.html (those marked "F"). */
import { cstring, endOfString, int16, int32, message } from './message.ts';

/** First byte of what a client sends. */
export const FrontendType = { query: 81, parse: 80, bind: 66, describe: 68, execute: 69, close: 67, sync: 83, flush: 72, copyData: 100, copyDone: 99, copyFail: 102, functionCall: 70, terminate: 88 } as const;

const zeroByte = Buffer.alloc(1);
export const sync = message('S');
export const flush = message('H');
export const terminate = message('X');

export const copyDone = message('c');

export function copyFail(reason: string): Buffer {
  return message('f', cstring(reason));
}

export function query(sql: string): Buffer {
  return message('Q', cstring(sql));
}

export function parse(name: string, sql: string): Buffer {
  return message('P', cstring(name), cstring(sql), int16(0));
}

/** No parameters, results in text. */
export function bind(portal: string, statement: string): Buffer {
  return message('B', cstring(portal), cstring(statement), int16(0), int16(0), int16(0));
}

export function execute(portal: string): Buffer {
  return message('E', cstring(portal), int32(0));
}

export function closeStatement(name: string): Buffer {
  return message('C', Buffer.from('S'), cstring(name));
}

export function closePortal(name: string): Buffer {
  return message('C', Buffer.from('P'), cstring(name));
}

export function password(secret: string): Buffer {
  return message('p', cstring(secret));
}

export function saslInitialResponse(mechanism: string, data: string): Buffer {
  const bytes = Buffer.from(data, 'utf8');
  return message('p', cstring(mechanism), int32(bytes.length), bytes);
}

export function saslResponse(data: string): Buffer {
  return message('p', Buffer.from(data, 'utf8'));
}

/** Where the parts of a Parse stand; undefined when it is malformed. `text` is [start, end) without the zero byte. */
export interface ParseParts {
  readonly name: string;
  readonly textStart: number;
  readonly textEnd: number;
}

export function readParse(buffer: Buffer, start: number, length: number): ParseParts | undefined {
  const end = start + length;
  const nameEnd = buffer[start + 5] === 0 ? start + 5 : endOfString(buffer, start + 5, end);
  if (nameEnd < 0) return undefined;
  const textEnd = endOfString(buffer, nameEnd + 1, end);
  if (textEnd < 0) return undefined;
  return { name: nameEnd === start + 5 ? '' : buffer.toString('utf8', start + 5, nameEnd), textStart: nameEnd + 1, textEnd };
}

/** The name at the start of a Describe or Close body, after its kind byte ('S' or 'P'), or of an Execute body. */
export function readName(buffer: Buffer, at: number, end: number): string | undefined {
  if (buffer[at] === 0) return '';
  const zero = endOfString(buffer, at, end);
  return zero < 0 ? undefined : buffer.toString('utf8', at, zero);
}

/** Offset behind the string that starts at `at`. */
export function afterName(buffer: Buffer, at: number, end: number): number {
  const zero = endOfString(buffer, at, end);
  return zero < 0 ? end : zero + 1;
}

/** A Query with this text. */
export function queryOf(text: Buffer): Buffer {
  return message('Q', text, zeroByte);
}

/** The Parse message at `start` with another text. */
export function parseWith(buffer: Buffer, start: number, length: number, { textStart, textEnd }: ParseParts, text: Buffer): Buffer {
  return message('P', buffer.subarray(start + 5, textStart), text, buffer.subarray(textEnd, start + length));
}

/** A Parse for the same types, of this name and text. */
export function parseAs(buffer: Buffer, { textEnd }: ParseParts, name: string, text: Buffer): Buffer {
  return message('P', cstring(name), text, buffer.subarray(textEnd));
}

/** An unnamed Parse under this name. */
export function parseNamed(unnamed: Buffer, name: string): Buffer {
  return message('P', cstring(name), unnamed.subarray(6));
}

/** The Bind message at `start` for another statement. */
export function bindTo(buffer: Buffer, start: number, length: number, statement: string): Buffer {
  const end = start + length;
  const portalEnd = afterName(buffer, start + 5, end);
  return message('B', buffer.subarray(start + 5, portalEnd), cstring(statement), buffer.subarray(afterName(buffer, portalEnd, end), end));
}

/**
 * The same, with every result in text. Undefined for a message that is not well formed, and where `asked` says that the client gets results and it wants
 * some of them in binary.
 */
export function bindToText(buffer: Buffer, start: number, length: number, statement: string, asked: boolean): Buffer | undefined {
  const end = start + length;
  const portalEnd = afterName(buffer, start + 5, end);
  const from = afterName(buffer, portalEnd, end);
  if (from + 2 > end) return undefined;
  let at = from + 2 + 2 * buffer.readUInt16BE(from);
  if (at + 2 > end) return undefined;
  let left = buffer.readUInt16BE(at);
  at += 2;
  for (; left > 0 && at + 4 <= end; left -= 1) at += 4 + Math.max(buffer.readInt32BE(at), 0);
  if (left > 0 || at + 2 > end) return undefined;
  for (let code = at + 2; asked && code + 2 <= end; code += 2) if (buffer.readUInt16BE(code) !== 0) return undefined;
  return message('B', buffer.subarray(start + 5, portalEnd), cstring(statement), buffer.subarray(from, at), int16(0));
}

export function describeStatement(name: string): Buffer {
  return message('D', Buffer.from('S'), cstring(name));
}

export function describePortal(name: string): Buffer {
  return message('D', Buffer.from('P'), cstring(name));
}

/** The Query message at `start` with more text behind its own. */
export function extendQuery(buffer: Buffer, start: number, length: number, suffix: Buffer): Buffer {
  const longer = Buffer.allocUnsafe(length + suffix.length);
  buffer.copy(longer, 0, start, start + length - 1);
  suffix.copy(longer, length - 1);
  longer[longer.length - 1] = 0;
  longer.writeInt32BE(longer.length - 1, 1);
  return longer;
}
