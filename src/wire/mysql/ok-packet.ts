/**
 * How an answer ends, and how a result set does.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
 */
import { can, Capability, ServerStatus } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { integer, lengthEncoded, lengthEncodedText, PayloadReader } from './payload.ts';

export const OK = 0x00;
export const EOF = 0xfe;

export interface OkPacket {
  readonly affectedRows?: number | bigint;
  readonly lastInsertId?: number | bigint;
  readonly status: number;
  readonly warnings?: number;
  /** For people. */
  readonly info?: string;
}

const SESSION_STATE_CHANGED = 1 << 14;

export function writeOk({ affectedRows = 0, lastInsertId = 0, status, warnings = 0, info = '' }: OkPacket, capabilities: Capabilities, header: number = OK): Buffer {
  return Buffer.concat([
    Buffer.of(header), lengthEncoded(affectedRows), lengthEncoded(lastInsertId), integer(status & ~SESSION_STATE_CHANGED, 2), integer(warnings, 2),
    can(capabilities, Capability.sessionTrack) ? (info === '' ? Buffer.alloc(0) : lengthEncodedText(info)) : Buffer.from(info, 'utf8'),
  ]);
}

/** What ends rows; between columns and rows there is none with `deprecateEof`. */
export function writeEnd(status: number, capabilities: Capabilities, warnings = 0): Buffer {
  if (can(capabilities, Capability.deprecateEof)) return writeOk({ status, warnings }, capabilities, EOF);
  return Buffer.concat([Buffer.of(EOF), integer(warnings, 2), integer(status, 2)]);
}

/** A change that a server tells of: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html#sect_protocol_basic_ok_packet_sessinfo */
export type SessionChange =
  | { readonly type: 'variable'; readonly name: string; readonly value: string }
  | { readonly type: 'database'; readonly name: string }
  | { readonly type: 'other'; readonly kind: number; readonly data: Buffer };

export interface ReadOk {
  readonly affectedRows: number;
  readonly lastInsertId: number;
  readonly status: number;
  readonly warnings: number;
  readonly info: string;
  readonly changes: readonly SessionChange[];
}

/** Whole. Throws a `ProtocolFault`. */
export function readOk(payload: Buffer, capabilities: Capabilities): ReadOk {
  const reader = new PayloadReader(payload, 1);
  const affectedRows = reader.lengthEncoded() ?? 0;
  const lastInsertId = reader.lengthEncoded() ?? 0;
  const status = reader.integer(2);
  const warnings = reader.integer(2);
  const tracks = can(capabilities, Capability.sessionTrack);
  const info = tracks ? (reader.left > 0 ? reader.text() : undefined) ?? Buffer.alloc(0) : reader.rest();
  const changes = tracks && (status & SESSION_STATE_CHANGED) !== 0 && reader.left > 0 ? readChanges(reader.text() ?? Buffer.alloc(0)) : [];
  return { affectedRows, lastInsertId, status, warnings, info: info.toString('utf8'), changes };
}

function readChanges(bytes: Buffer): SessionChange[] {
  const reader = new PayloadReader(bytes);
  const changes: SessionChange[] = [];
  while (reader.left > 0) {
    const kind = reader.integer(1);
    const data = reader.text() ?? Buffer.alloc(0);
    const inner = new PayloadReader(data);
    const text = (): string => inner.text()?.toString('utf8') ?? '';
    if (kind === 0) changes.push({ type: 'variable', name: text(), value: text() });
    else if (kind === 1) changes.push({ type: 'database', name: text() });
    else changes.push({ type: 'other', kind, data });
  }
  return changes;
}

/** Of the first bytes of an OK or EOF. */
export function readStatus(bytes: Buffer, start: number, end: number, isEof: boolean): number {
  let at = start + 1;
  if (isEof) at += 2;
  else for (let number = 0; number < 2; number += 1) at += lengthOfNumber(bytes[at] ?? 0);
  return at + 2 <= end ? bytes.readUInt16LE(at) : 0;
}

function lengthOfNumber(first: number): number {
  if (first === 0xfc) return 3;
  if (first === 0xfd) return 4;
  return first === 0xfe ? 9 : 1;
}

/** Outside a transaction, with autocommit: what a gateway's own answer says where nothing is known. */
export const idleStatus: number = ServerStatus.autocommit;
