/**
 * The first packet of a connection, which has no type byte:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest).
 */
import { cstring, endOfString, int32 } from './message.ts';

export type StartupPacket =
  | { readonly type: 'startup'; readonly minorVersion: number; readonly parameters: ReadonlyMap<string, string> }
  | { readonly type: 'ssl_request' }
  | { readonly type: 'gssenc_request' }
  /** A Terminate: a client that has thought better of it. */
  | { readonly type: 'goodbye' }
  | { readonly type: 'cancel'; readonly pid: number; readonly key: Buffer }
  | { readonly type: 'bad'; readonly sqlstate: string; readonly reason: string };

/** The server's own limit (MAX_STARTUP_PACKET_LENGTH). */
export const MAX_STARTUP_BYTES = 10_000;

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PROTOCOL_3 = 3 << 16;
const TERMINATE = 0x58;

const bad = (sqlstate: string, reason: string): StartupPacket => ({ type: 'bad', sqlstate, reason });

/** Undefined while the packet is not all there; `length` is the packet's own. */
export function readStartupPacket(bytes: Buffer): { readonly packet: StartupPacket; readonly length: number } | undefined {
  if (bytes.length < 4) return undefined;
  if (bytes[0] === TERMINATE && bytes.length < 5) return undefined;
  if (bytes[0] === TERMINATE && bytes.readInt32BE(1) === 4) return { packet: { type: 'goodbye' }, length: 5 };
  const length = bytes.readInt32BE(0);
  if (length < 8 || length > MAX_STARTUP_BYTES) return { packet: bad('08P01', 'invalid length of startup packet'), length: bytes.length };
  if (bytes.length < length) return undefined;
  return { packet: parse(bytes.subarray(0, length)), length };
}

function parse(bytes: Buffer): StartupPacket {
  const code = bytes.readInt32BE(4);
  if (code === SSL_REQUEST) return { type: 'ssl_request' };
  if (code === GSSENC_REQUEST) return { type: 'gssenc_request' };
  if (code === CANCEL_REQUEST) {
    if (bytes.length < 16) return bad('08P01', 'invalid length of cancel request packet');
    return { type: 'cancel', pid: bytes.readInt32BE(8), key: Buffer.from(bytes.subarray(12)) };
  }
  const major = bytes.readUInt16BE(4);
  const minor = bytes.readUInt16BE(6);
  if (major !== 3) return bad('0A000', `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.0`);
  const parameters = readParameters(bytes);
  return parameters ? { type: 'startup', minorVersion: minor, parameters } : bad('08P01', 'invalid startup packet layout: expected terminator as last byte');
}

function readParameters(bytes: Buffer): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  let at = 8;
  while (at < bytes.length) {
    const nameEnd = endOfString(bytes, at, bytes.length);
    if (nameEnd < 0) return undefined;
    if (nameEnd === at) return nameEnd === bytes.length - 1 ? parameters : undefined;
    const valueEnd = endOfString(bytes, nameEnd + 1, bytes.length);
    if (valueEnd < 0) return undefined;
    parameters.set(bytes.toString('utf8', at, nameEnd), bytes.toString('utf8', nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  return undefined;
}

function packet(code: number, ...body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 8);
  return Buffer.concat([int32(length), int32(code), ...body]);
}

export function writeStartup(parameters: Iterable<readonly [string, string]>): Buffer {
  const body: Buffer[] = [];
  for (const [name, value] of parameters) body.push(cstring(name), cstring(value));
  return packet(PROTOCOL_3, ...body, Buffer.from([0]));
}

export function writeSslRequest(): Buffer {
  return packet(SSL_REQUEST);
}

export function writeCancelRequest(pid: number, key: Buffer): Buffer {
  return packet(CANCEL_REQUEST, int32(pid), key);
}
