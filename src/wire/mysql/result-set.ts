/** A whole result set of texts: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html */
import { can, Capability, MariadbCapability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { readColumnDefinition, writeColumnDefinition } from './column-definition.ts';
import type { ColumnDefinition } from './column-definition.ts';
import { ERROR } from './error-packet.ts';
import { EOF, OK, writeEnd } from './ok-packet.ts';
import { MAX_PACKET_BYTES, nextSequence, readPayload, writePackets } from './packets.ts';
import { lengthEncoded, PayloadReader } from './payload.ts';
import { readTextRow, writeTextRow } from './text-row.ts';

const PROGRESS = 0xffff;

export interface ResultSet {
  readonly columns: readonly ColumnDefinition[];
  readonly rows: readonly (readonly (Buffer | string | null)[])[];
  readonly status: number;
  readonly warnings?: number;
}

export type ReadColumn = ReturnType<typeof readColumnDefinition>;

/** What stands before the rows, as packets from that sequence id on. */
export function writeResultHead(columns: readonly ColumnDefinition[], status: number, capabilities: Capabilities, sequence: number, warnings = 0): { readonly packets: Buffer; readonly next: number } {
  const sendsMetadataFlag = can(capabilities, Capability.optionalMetadata) || (capabilities.mariadb & MariadbCapability.cacheMetadata) !== 0;
  const isExtended = (capabilities.mariadb & MariadbCapability.extendedMetadata) !== 0;
  const definitions = columns.map((column) => writeColumnDefinition(column, isExtended));
  return inPackets([
    // MySQL puts the flag before the number, MariaDB behind it; both are 1 here.
    writeColumnCount(columns.length, capabilities, sendsMetadataFlag), ...definitions,
    ...(can(capabilities, Capability.deprecateEof) ? [] : [writeEnd(status, capabilities, warnings)]),
  ], sequence);
}

/** As packets, the first of which has this sequence id. */
export function writeResultSet({ columns, rows, status, warnings = 0 }: ResultSet, capabilities: Capabilities, sequence: number): Buffer {
  const head = writeResultHead(columns, status, capabilities, sequence, warnings);
  return Buffer.concat([head.packets, inPackets([...rows.map((row) => writeTextRow(row)), writeEnd(status, capabilities, warnings)], head.next).packets]);
}

function inPackets(payloads: readonly Buffer[], sequence: number): { readonly packets: Buffer; readonly next: number } {
  let next = sequence;
  const packets = Buffer.concat(payloads.map((payload) => {
    const written = writePackets(payload, next);
    next = nextSequence(payload, next);
    return written;
  }));
  return { packets, next };
}

function writeColumnCount(count: number, capabilities: Capabilities, sendsMetadataFlag: boolean): Buffer {
  const number = lengthEncoded(count);
  if (!sendsMetadataFlag) return number;
  return can(capabilities, Capability.optionalMetadata) ? Buffer.concat([Buffer.of(1), number]) : Buffer.concat([number, Buffer.of(1)]);
}

/** Rows of one result set of texts, as a server has answered; none for an answer without columns. Throws a `ProtocolFault`. */
export function readResultRows(packets: Buffer, capabilities: Capabilities): (string | null)[][] {
  const rows: (string | null)[][] = [];
  const [first, ...others] = payloadsOf(packets);
  if (!first || first[0] === OK) return rows;
  const reader = new PayloadReader(first, can(capabilities, Capability.optionalMetadata) ? 1 : 0);
  const columns = reader.lengthEncoded() ?? 0;
  const from = columns + (can(capabilities, Capability.deprecateEof) ? 0 : 1);
  for (const payload of others.slice(from)) {
    if (payload[0] === EOF && payload.length < MAX_PACKET_BYTES && rows.length === others.length - from - 1) break;
    rows.push(readTextRow(payload).map((value) => value?.toString('utf8') ?? null));
  }
  return rows;
}

/** Its columns; as `readResultRows`. */
export function readResultColumns(packets: Buffer, capabilities: Capabilities): readonly ReadColumn[] {
  const [first, ...others] = payloadsOf(packets);
  if (!first || first[0] === OK) return [];
  const columns = new PayloadReader(first, can(capabilities, Capability.optionalMetadata) ? 1 : 0).lengthEncoded() ?? 0;
  return others.slice(0, columns).map((payload) => readColumnDefinition(payload, (capabilities.mariadb & MariadbCapability.extendedMetadata) !== 0));
}

/** The first packet of an answer. */
export function readHead(packets: Buffer): Buffer | undefined {
  return payloadsOf(packets)[0];
}

/** Reports of progress come before the answer of a statement that takes long. https://mariadb.com/kb/en/progress-reporting/ */
function isProgress(payload: Buffer): boolean {
  return payload[0] === ERROR && payload.length > 3 && payload.readUInt16LE(1) === PROGRESS;
}

function payloadsOf(packets: Buffer): Buffer[] {
  const payloads: Buffer[] = [];
  for (let at = 0; at < packets.length;) {
    const read = readPayload(packets.subarray(at), Infinity);
    if (read.type !== 'payload') break;
    if (!isProgress(read.payload)) payloads.push(read.payload);
    at += read.length;
  }
  return payloads;
}
