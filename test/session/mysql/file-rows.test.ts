/** Property: rows of a file are the same however its bytes are cut into pieces, and what was written by the rules is read back. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FileRows } from '../../../src/session/mysql-local/file-rows.ts';
import type { FileRow } from '../../../src/session/mysql-local/file-rows.ts';

type Format = ConstructorParameters<typeof FileRows>[0];

const formats: readonly Format[] = [
  { fields: { terminated: '\t', enclosed: '', escaped: '\\' }, lines: { starting: '', terminated: '\n' }, skipped: 0 },
  { fields: { terminated: ',', enclosed: '"', escaped: '\\' }, lines: { starting: '', terminated: '\r\n' }, skipped: 1 },
  { fields: { terminated: '||', enclosed: '\'', escaped: '' }, lines: { starting: '', terminated: ';;' }, skipped: 0 },
];

function read(format: Format, pieces: readonly Buffer[]): FileRow[] {
  const rows = new FileRows(format);
  const found: FileRow[] = [];
  const take = (): void => {
    for (let row = rows.next(); row !== undefined; row = rows.next()) found.push(row);
  };
  for (const piece of pieces) {
    rows.push(piece);
    take();
  }
  rows.end();
  take();
  return found;
}

const text = fc.string({ unit: fc.constantFrom('a', 'N', '\\', '"', '\'', ',', '|', ';', '\t', '\r', '\n', '\xff', '\0'), maxLength: 8 });

it.each(formats.map((format) => [format]))('cut anywhere, by %j', (format) => {
  fc.assert(fc.property(text, text, text, fc.array(fc.nat(40), { maxLength: 6 }), (one, two, three, cuts) => {
    const bytes = Buffer.from(`${one}${format.fields.terminated}${two}${format.lines.terminated}${three}`, 'latin1');
    const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
    expect(read(format, places.slice(1).map((end, at) => bytes.subarray(places[at], end)))).toEqual(read(format, [bytes]));
  }), { numRuns: 500 });
});

it.each([[formats[0]], [formats[1]]])('what SELECT … INTO OUTFILE writes by %j is read back', (format) => {
  if (!format) throw new Error('no format');
  const { fields: { terminated, enclosed, escaped }, lines } = format;
  const written = (value: string | null): string => {
    if (value === null) return `${escaped}N`;
    const special = new Set([...terminated, ...lines.terminated, enclosed, escaped]);
    return `${enclosed}${[...value].map((each) => (each === '\0' ? `${escaped}0` : special.has(each) ? `${escaped}${each}` : each)).join('')}${enclosed}`;
  };
  fc.assert(fc.property(fc.array(fc.array(fc.option(text), { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 }), (rows) => {
    const head = format.skipped === 0 ? '' : `a${lines.terminated}`;
    expect(read(format, [Buffer.from(head + rows.map((row) => row.map(written).join(terminated) + lines.terminated).join(''), 'latin1')])).toEqual(rows);
  }), { numRuns: 500 });
});
