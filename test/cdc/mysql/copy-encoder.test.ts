/** What an encoder has handed over stays as it is until it is told that it has left; then its memory is used again. */
import { expect, test } from 'vitest';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { keepText } from '../../../cdc/mysql/conversion.ts';
import { TextRows } from '../../../cdc/mysql/text-rows.ts';

const column = { name: 'c', type: parseColumnType('bigint'), charset: undefined, collation: undefined, local: 'bigint', toLocal: keepText, changed: [], keepsOrdinary: false };
const row = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);

function encode(rows: TextRows, value: string, count: number): Buffer {
  const bytes = row(value);
  for (let index = 0; index < count; index += 1) rows.add(bytes, 0, bytes.length);
  return rows.take().bytes;
}

test('what has not left is not written over', () => {
  const rows = new TextRows([column]);
  const taken = Array.from({ length: 40 }, (_, index) => encode(rows, `${1000 + index}`, 1000));
  for (const [index, bytes] of taken.entries()) expect(bytes.toString('latin1')).toBe(`d\0\0\0\x09${1000 + index}\n`.repeat(1000));
});

test('what has left is', () => {
  const rows = new TextRows([column]);
  const first = encode(rows, '1111', 1000);
  rows.reuse();
  const second = encode(rows, '2222', 1000);
  expect([second.buffer === first.buffer, second.byteOffset === first.byteOffset, first.equals(second)]).toEqual([true, true, true]);
  // A row is begun: it stays where it is.
  const bytes = row('3333');
  rows.add(bytes, 0, bytes.length);
  rows.reuse();
  expect(rows.take().bytes.toString('latin1')).toBe('d\0\0\0\x093333\n');
});

test('a block that had to grow is not kept', () => {
  const rows = new TextRows([{ ...column, type: parseColumnType('longtext'), local: 'text' }]);
  const long = Buffer.concat([Buffer.of(0xfd, 0, 0, 8), Buffer.alloc(8 << 16, 0x61)]);
  rows.add(long, 0, long.length);
  const grown = rows.take().bytes;
  rows.reuse();
  const next = row('5');
  rows.add(next, 0, next.length);
  const { bytes } = rows.take();
  rows.reuse();
  expect(bytes.byteOffset === grown.byteOffset && bytes.buffer === grown.buffer).toBe(false);
});
