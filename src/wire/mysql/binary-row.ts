/** Rows of prepared statements: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html#sect_protocol_binary_resultset_row */
import { readBinaryValue, writeBinaryValue } from './binary-value.ts';
import { ColumnFlag } from './column-definition.ts';
import type { ColumnDefinition } from './column-definition.ts';
import { PayloadReader } from './payload.ts';

/** The first two bits of a row's map of NULLs are not used. */
const UNUSED_BITS = 2;

export function writeBinaryRow(values: readonly (Buffer | string | null)[], types: readonly number[]): Buffer {
  const nulls = Buffer.alloc((values.length + 7 + UNUSED_BITS) >> 3);
  const parts: Buffer[] = [Buffer.of(0), nulls];
  values.forEach((value, index) => {
    const bit = index + UNUSED_BITS;
    if (value === null) nulls[bit >> 3] = (nulls[bit >> 3] ?? 0) | (1 << (bit & 7));
    else parts.push(writeBinaryValue(value, types[index] ?? 0));
  });
  return Buffer.concat(parts);
}

/** Throws a `ProtocolFault`. */
export function readBinaryRow(payload: Buffer, columns: readonly Pick<ColumnDefinition, 'type' | 'flags'>[]): (Buffer | string | null)[] {
  const reader = new PayloadReader(payload, 1);
  const nulls = reader.bytes((columns.length + 7 + UNUSED_BITS) >> 3);
  return columns.map(({ type, flags }, index) => {
    const bit = index + UNUSED_BITS;
    return ((nulls[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0 ? null : readBinaryValue(reader, type, (flags & ColumnFlag.unsigned) !== 0);
  });
}
