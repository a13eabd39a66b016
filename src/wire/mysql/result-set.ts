/** A whole result set of texts: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html */
import { can, Capability, MariadbCapability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { writeColumnDefinition } from './column-definition.ts';
import type { ColumnDefinition } from './column-definition.ts';
import { writeEnd } from './ok-packet.ts';
import { nextSequence, writePackets } from './packets.ts';
import { lengthEncoded } from './payload.ts';
import { writeTextRow } from './text-row.ts';

export interface ResultSet {
  readonly columns: readonly ColumnDefinition[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly status: number;
  readonly warnings?: number;
}

/** As packets, the first of which has this sequence id. */
export function writeResultSet({ columns, rows, status, warnings = 0 }: ResultSet, capabilities: Capabilities, sequence: number): Buffer {
  const sendsMetadataFlag = can(capabilities, Capability.optionalMetadata) || (capabilities.mariadb & MariadbCapability.cacheMetadata) !== 0;
  const isExtended = (capabilities.mariadb & MariadbCapability.extendedMetadata) !== 0;
  // With extended metadata a column has one more text, before the fixed part.
  const definitions = columns.map((column) => (isExtended ? withEmptyExtension(writeColumnDefinition(column)) : writeColumnDefinition(column)));
  const payloads = [
    // MySQL puts the flag before the number, MariaDB behind it; both are 1 here.
    writeColumnCount(columns.length, capabilities, sendsMetadataFlag), ...definitions,
    ...(can(capabilities, Capability.deprecateEof) ? [] : [writeEnd(status, capabilities, warnings)]),
    ...rows.map((row) => writeTextRow(row)), writeEnd(status, capabilities, warnings),
  ];
  let next = sequence;
  return Buffer.concat(payloads.map((payload) => {
    const packets = writePackets(payload, next);
    next = nextSequence(payload, next);
    return packets;
  }));
}

const FIXED_PART_BYTES = 13;

function withEmptyExtension(definition: Buffer): Buffer {
  const at = definition.length - FIXED_PART_BYTES;
  return Buffer.concat([definition.subarray(0, at), Buffer.of(0), definition.subarray(at)]);
}

function writeColumnCount(count: number, capabilities: Capabilities, sendsMetadataFlag: boolean): Buffer {
  const number = lengthEncoded(count);
  if (!sendsMetadataFlag) return number;
  return can(capabilities, Capability.optionalMetadata) ? Buffer.concat([Buffer.of(1), number]) : Buffer.concat([number, Buffer.of(1)]);
}
