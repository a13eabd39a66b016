/** A unit that has come in one piece: a Query, or (Parse,) Bind, (Describe of the portal,) Execute and Sync, with the portal without a name and all rows asked for. */
import { bindParts } from './bind-parameters.ts';
import { endOfString } from './message.ts';

export type WholeUnit =
  | { readonly type: 'query'; readonly textStart: number; readonly textEnd: number }
  /** `parseLength` is 0 without a Parse; the Bind stands behind it. `statement`: what it binds. */
  | { readonly type: 'extended'; readonly parseLength: number; readonly bindLength: number; readonly statement: string };

const F = { query: 81, parse: 80, bind: 66, describe: 68, execute: 69, sync: 83 } as const;
const DESCRIBE_PORTAL = 0x50;
const SYNC_BYTES = 5;
/** Of the portal without a name, all rows. */
const EXECUTE_BYTES = 10;
/** Of the portal without a name. */
const DESCRIBE_BYTES = 7;

/** Undefined when the chunk is anything else, more, or less. */
export function readUnit(chunk: Buffer): WholeUnit | undefined {
  const end = chunk.length;
  if (end < SYNC_BYTES) return undefined;
  if (chunk[0] === F.query) return lengthAt(chunk, 0) === end && endOfString(chunk, 5, end) === end - 1 ? { type: 'query', textStart: 5, textEnd: end - 1 } : undefined;
  const parseLength = chunk[0] === F.parse ? lengthAt(chunk, 0) : 0;
  if (parseLength + SYNC_BYTES > end || chunk[parseLength] !== F.bind) return undefined;
  const bindLength = lengthAt(chunk, parseLength);
  let at = parseLength + bindLength;
  if (bindLength < 7 || at + SYNC_BYTES > end || chunk[parseLength + 5] !== 0) return undefined;
  const nameEnd = endOfString(chunk, parseLength + 6, at);
  if (nameEnd < 0) return undefined;
  if (chunk[at] === F.describe) {
    if (lengthAt(chunk, at) !== DESCRIBE_BYTES || chunk[at + 5] !== DESCRIBE_PORTAL || chunk[at + 6] !== 0) return undefined;
    at += DESCRIBE_BYTES;
  }
  if (at + EXECUTE_BYTES + SYNC_BYTES !== end || chunk[at] !== F.execute || lengthAt(chunk, at) !== EXECUTE_BYTES || chunk[at + 5] !== 0 || chunk.readInt32BE(at + 6) !== 0) return undefined;
  at += EXECUTE_BYTES;
  if (chunk[at] !== F.sync || lengthAt(chunk, at) !== SYNC_BYTES) return undefined;
  return { type: 'extended', parseLength, bindLength, statement: nameEnd === parseLength + 6 ? '' : chunk.toString('utf8', parseLength + 6, nameEnd) };
}

/** The list that begins at `at` with the number of its elements has none. */
export function holdsNothing(buffer: Buffer, at: number): boolean {
  return buffer.readUInt16BE(at) === 0;
}

/** The Bind at `at` has no value in binary, and wants none. */
export function isAllText(buffer: Buffer, at: number, length: number): boolean {
  const parts = bindParts(buffer, at, length);
  return parts !== undefined && formatsAreText(buffer, parts.formatsAt) && formatsAreText(buffer, parts.resultFormatsAt);
}

/** It has no value in binary; what it wants may be. */
export function takesText(buffer: Buffer, at: number, length: number): boolean {
  const parts = bindParts(buffer, at, length);
  return parts !== undefined && formatsAreText(buffer, parts.formatsAt);
}

function formatsAreText(buffer: Buffer, at: number): boolean {
  const count = buffer.readUInt16BE(at);
  for (let index = 0; index < count; index += 1) if (buffer.readUInt16BE(at + 2 + 2 * index) !== 0) return false;
  return true;
}

/** Length of the message at `at`, header and all; one that does not end within the buffer is longer than it. */
function lengthAt(buffer: Buffer, at: number): number {
  if (at + SYNC_BYTES > buffer.length) return buffer.length + 1;
  return buffer.readUInt32BE(at + 1) + 1;
}
