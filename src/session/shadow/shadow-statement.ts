/** A client's read as it is asked again: the same text and parameters, on a connection where nothing has a name. Pure. */
import { afterName, describePortal, parseAs, queryOf, readParse, sync } from '../../wire/frontend-messages.ts';
import { message, cstring, int16, int32 } from '../../wire/message.ts';

export interface ShadowStatement {
  /** UTF-8 or whatever the client's encoding is; without its zero byte. */
  readonly text: Buffer;
  /** Of the extended protocol. */
  readonly bound: { readonly parse: Buffer; readonly bind: Buffer } | undefined;
}

/** Types from this number on were made in the database: the server finds the parameter's type out by itself. */
const FIRST_OWN_TYPE = 16_384;
const executeAll = message('E', cstring(''), int32(0));

/** Text of the Parse message; undefined when it is malformed. */
export function textOf(parse: Buffer): Buffer | undefined {
  const parts = readParse(parse, 0, parse.length);
  return parts && parse.subarray(parts.textStart, parts.textEnd);
}

/** What is sent, up to one ReadyForQuery. `asText`: all results in text; else in the formats that the client asked for. Undefined when a message is malformed. */
export function messagesOf({ text, bound }: ShadowStatement, otherText: Buffer | undefined, asText: boolean): Buffer | undefined {
  if (!bound) return queryOf(otherText ?? text);
  try {
    const parts = readParse(bound.parse, 0, bound.parse.length);
    if (!parts) return undefined;
    const parse = withoutOwnTypes(parseAs(bound.parse, parts, '', otherText ?? text), (otherText ?? text).length);
    return Buffer.concat([parse, bindUnnamed(bound.bind, asText), describePortal(''), executeAll, sync]);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** `parse` is of the unnamed statement, so its types begin behind the header, two zero bytes and the text. */
function withoutOwnTypes(parse: Buffer, textLength: number): Buffer {
  const at = 5 + 1 + textLength + 1;
  const count = parse.readUInt16BE(at);
  for (let index = 0; index < count; index++) {
    const type = at + 2 + 4 * index;
    if (parse.readUInt32BE(type) >= FIRST_OWN_TYPE) parse.writeUInt32BE(0, type);
  }
  return parse;
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html (Bind) */
function bindUnnamed(bind: Buffer, asText: boolean): Buffer {
  const from = afterName(bind, afterName(bind, 5, bind.length), bind.length);
  let at = from;
  at += 2 + 2 * bind.readUInt16BE(at);
  const count = bind.readUInt16BE(at);
  at += 2;
  for (let index = 0; index < count; index++) at += 4 + Math.max(bind.readInt32BE(at), 0);
  const parameters = bind.subarray(from, at);
  return message('B', cstring(''), cstring(''), parameters, asText ? int16(0) : bind.subarray(at));
}
