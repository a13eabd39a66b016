/** Property: rows written in place are the same packets that the writers of whole rows make, whatever the values, and wherever they are taken. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeBinaryRow } from '../../../src/wire/mysql/binary-row.ts';
import { ColumnType } from '../../../src/wire/mysql/column-definition.ts';
import { nextSequence, writePackets } from '../../../src/wire/mysql/packets.ts';
import { RowWriter } from '../../../src/wire/mysql/row-writer.ts';
import { writeTextRow } from '../../../src/wire/mysql/text-row.ts';

const moment = fc.constantFrom('2024-05-06', '2024-05-06 07:08:09', '2024-05-06 07:08:09.120000', '0000-00-00 00:00:00');
const integer = (bits: number): fc.Arbitrary<string> => fc.bigInt({ min: -(1n << BigInt(bits - 1)), max: (1n << BigInt(bits)) - 1n }).map(String);
const cell = fc.oneof(
  fc.tuple(fc.constant(ColumnType.tiny), integer(8)), fc.tuple(fc.constant(ColumnType.short), integer(16)), fc.tuple(fc.constant(ColumnType.year), fc.constantFrom('1999', '0000', '2155')), fc.tuple(fc.constant(ColumnType.long), integer(32)),
  fc.tuple(fc.constant(ColumnType.longLong), fc.oneof(integer(64), fc.constantFrom('-9007199254740993', '4294967296', '-4294967296', '-1', '0'))), fc.tuple(fc.constant(ColumnType.double), fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)), fc.tuple(fc.constant(ColumnType.float), fc.constantFrom('1.5', '-0.25')),
  fc.tuple(fc.constant(ColumnType.dateTime), moment), fc.tuple(fc.constant(ColumnType.time), fc.constantFrom('-838:59:59', '00:00:00', '12:34:56.5')),
  fc.tuple(fc.constant(ColumnType.varString), fc.oneof(fc.string(), fc.nat(70_000).map((length) => 'x'.repeat(length)))), fc.tuple(fc.constant(ColumnType.newDecimal), fc.constant('-12.50')),
);
const rows = fc.array(cell, { minLength: 1, maxLength: 12 }).chain((cells) => fc.tuple(fc.constant(cells.map(([type]) => type)), fc.array(fc.tuple(...cells.map(([, text]) => fc.option(fc.constant(text)))), { maxLength: 20 })));

test.each([true, false])('binary: %s', (isBinary) => {
  fc.assert(fc.property(rows, fc.nat(255), fc.nat(20), ([types, values], first, takeEvery) => {
    const writer = new RowWriter(isBinary, types.length, first);
    const taken: Buffer[] = [];
    const expected: Buffer[] = [];
    let sequence = first;
    values.forEach((row, at) => {
      writer.beginRow();
      row.forEach((value, index) => {
        if (value === null) return writer.null(index);
        const bytes = Buffer.from(`(${value})`, 'utf8');
        if (isBinary) writer.typed(types[index] ?? 0, bytes, 1, bytes.length - 1);
        else writer.bytesOf(bytes, 1, bytes.length - 1);
      });
      writer.endRow();
      const payload = isBinary ? writeBinaryRow(row, types) : writeTextRow(row);
      expected.push(writePackets(payload, sequence));
      sequence = nextSequence(payload, sequence);
      if (at % (takeEvery + 1) === 0) taken.push(writer.take());
    });
    taken.push(writer.take());
    expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true);
    expect(writer.sequence).toBe(sequence);
  }), { numRuns: 200 });
});

test.each([0xffffff - 4, 0xffffff - 3, 0xffffff, 2 * 0xffffff + 5])('a row of %i bytes and some', (length) => {
  const value = Buffer.alloc(length, 'v');
  const writer = new RowWriter(false, 1, 254);
  writer.beginRow();
  writer.bytesOf(value, 0, length);
  writer.endRow();
  const payload = writeTextRow([value]);
  expect(writer.take().equals(writePackets(payload, 254))).toBe(true);
  expect(writer.sequence).toBe(nextSequence(payload, 254));
});

test('a row that is dropped has never been there', () => {
  const writer = new RowWriter(true, 1, 7);
  writer.beginRow();
  expect(() => writer.typed(ColumnType.long, Buffer.from('12x'), 0, 3)).toThrow('no integer');
  writer.dropRow();
  expect([writer.bytes, writer.sequence]).toEqual([0, 7]);
});
