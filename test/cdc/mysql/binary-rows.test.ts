/** Property: rows as COPY binary give a table the very values that the same rows as COPY text give it. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BinaryRows } from '../../../cdc/mysql/binary-rows.ts';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { keepText } from '../../../cdc/mysql/conversion.ts';
import type { ConvertText } from '../../../cdc/mysql/conversion.ts';
import type { CopyEncoder } from '../../../cdc/mysql/copy-encoder.ts';
import type { SourceColumn } from '../../../cdc/mysql/source-column.ts';
import { TextRows } from '../../../cdc/mysql/text-rows.ts';
import { CopyConnection } from '../../../cdc/postgres/copy-connection.ts';
import { readWireTypes } from '../../../cdc/postgres/row-writer-format.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

interface Column {
  readonly type: string;
  readonly local: string;
  /** What MySQL sends. */
  readonly sent: fc.Arbitrary<string>;
  readonly toLocal?: ConvertText;
  readonly keepsOrdinary?: true;
}

const digits = (most: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^(?:0|[1-9][0-9]{0,${most - 1}})$`));
const signed = (number: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.tuple(fc.constantFrom('', '-'), number).map(([sign, text]) => (/[1-9]/.test(text) ? sign + text : text));
const within = (low: bigint, high: bigint): fc.Arbitrary<string> => fc.oneof(fc.bigInt(low, high), fc.constantFrom(low, high, 0n)).map(String);
const two = (high: number): fc.Arbitrary<string> => fc.nat(high).map((number) => String(number).padStart(2, '0'));
const fraction = fc.stringMatching(/^[0-9]{6}$/);
const day = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10).replace(/^\+?0*(?=\d{4})/, ''));
const moment = fc.tuple(day, two(23), two(59), two(59), fraction).map(([date, hour, minute, second, part]) => `${date} ${hour}:${minute}:${second}.${part}`);
const words = fc.string({ unit: 'grapheme', maxLength: 80 }).map((text) => text.replaceAll('\0', ''));
/** As conversions write what MySQL's calendar has and local's has not. */
const beforeChrist: ConvertText = (text) => (text.startsWith('0000-00') ? '-infinity' : text.startsWith('0000') ? `0001${text.slice(4)} BC` : text);
const oldDays = fc.constantFrom('0000-00-00', '0000-03-04', '0000-12-31', '2023-02-29'.replace('29', '28'), '2024-02-29', '1900-03-01', '1999-12-31', '2000-01-01');

const columns: readonly Column[] = [
  { type: 'smallint', local: 'smallint', sent: within(-32768n, 32767n) },
  { type: 'int', local: 'integer', sent: within(-(1n << 31n), (1n << 31n) - 1n) },
  { type: 'bigint', local: 'bigint', sent: within(-(1n << 63n), (1n << 63n) - 1n) },
  { type: 'bigint unsigned', local: 'numeric(20)', sent: within(0n, (1n << 64n) - 1n) },
  { type: 'decimal(65,30)', local: 'numeric(65,30)', sent: signed(fc.tuple(digits(35), fc.stringMatching(/^[0-9]{30}$/)).map((parts) => parts.join('.'))) },
  { type: 'decimal(20,3)', local: 'numeric', sent: signed(fc.tuple(digits(17), fc.stringMatching(/^[0-9]{3}$/)).map((parts) => parts.join('.'))) },
  { type: 'double', local: 'double precision', sent: fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? '-0' : `${number}`)) },
  { type: 'double', local: 'double precision', sent: signed(fc.tuple(digits(18), fc.stringMatching(/^[0-9]{1,9}$/)).map((parts) => parts.join('.'))) },
  { type: 'double', local: 'real', sent: fc.float({ noNaN: true, noDefaultInfinity: true }).map((number) => `${number}`) },
  { type: 'tinyint(1)', local: 'boolean', sent: fc.constantFrom('0', '1', '7'), toLocal: (text) => (text === '0' ? 'f' : 't') },
  { type: 'date', local: 'date', sent: fc.oneof(day, oldDays), toLocal: beforeChrist, keepsOrdinary: true },
  { type: 'datetime(6)', local: 'timestamp(6)', sent: fc.oneof(moment, oldDays.map((date) => `${date} 00:00:00.000001`)), toLocal: beforeChrist, keepsOrdinary: true },
  { type: 'datetime(6)', local: 'timestamp(2)', sent: moment, toLocal: beforeChrist, keepsOrdinary: true },
  { type: 'timestamp', local: 'timestamptz', sent: moment.map((text) => text.slice(0, 19)), toLocal: (text) => `${text}+00`, keepsOrdinary: true },
  { type: 'time(6)', local: 'interval', sent: signed(fc.tuple(fc.nat(838).map((hours) => String(hours).padStart(2, '0')), two(59), two(59), fraction).map(([hour, minute, second, part]) => `${hour}:${minute}:${second}.${part}`)) },
  { type: 'time', local: 'time', sent: fc.tuple(two(23), two(59), two(59)).map((parts) => parts.join(':')) },
  { type: 'char(36)', local: 'uuid', sent: fc.uuid(), toLocal: (text) => text.toLowerCase() },
  { type: 'bit(13)', local: 'bit(13)', sent: fc.nat(8191).map((number) => String.fromCharCode(number >> 8, number & 255)) },
  { type: 'varchar(200)', local: 'text', sent: words, keepsOrdinary: true },
  { type: 'varchar(200)', local: 'text', sent: words.map((text) => `${text}\0${text}`), toLocal: (text) => text.replaceAll('\0', '·'), keepsOrdinary: true },
  { type: 'json', local: 'jsonb', sent: fc.json({ noUnicodeString: true }).map((text) => text.replaceAll(String.raw`\u0000`, '')) },
  { type: 'json', local: 'json', sent: fc.json() },
  { type: 'varbinary(40)', local: 'bytea', sent: fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
  { type: 'binary(3)', local: 'bytea', sent: fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString('latin1')), toLocal: (text) => text.padEnd(8, '0') },
  { type: "enum('new','paid')", local: 'mood', sent: fc.constantFrom('new', 'paid', ''), toLocal: (text) => (text === '' ? 'new' : text) },
  { type: "set('a','b c','d')", local: 'text[]', sent: fc.subarray(['a', 'b c', 'd']).map((labels) => labels.join(',')), toLocal: (text) => `{${text === '' ? '' : text.split(',').map((label) => `"${label}"`).join(',')}}` },
];
const isBytes = ({ type }: Column): boolean => /^(?:bit|varbinary|binary)/.test(type);

const sourceColumns: readonly SourceColumn[] = columns.map(({ type, local, toLocal, keepsOrdinary }, at) => ({
  name: `c${at}`, type: parseColumnType(type), charset: undefined, collation: undefined, local, toLocal: toLocal ?? keepText, changed: [], keepsOrdinary: keepsOrdinary === true,
}));

/** As the text protocol has it; NULL is 0xfb. */
function packet(values: readonly (string | null)[]): Buffer {
  return Buffer.concat(values.flatMap((value, at) => {
    if (value === null) return [Buffer.of(0xfb)];
    const column = columns[at];
    const bytes = Buffer.from(value, column && isBytes(column) ? 'latin1' : 'utf8');
    return [bytes.length < 0xfb ? Buffer.of(bytes.length) : Buffer.of(0xfc, bytes.length & 255, bytes.length >> 8), bytes];
  }));
}

let local: TestPostgres;
let connection: CopyConnection;

beforeAll(async () => {
  local = await startTestPostgres();
  connection = await CopyConnection.connect(local.address, { applicationName: 'test', signal: AbortSignal.timeout(60_000), textOnly: true });
  const table = (name: string): string => `CREATE TABLE ${name} (n serial, ${columns.map((column, at) => `c${at} ${column.local}`).join(', ')})`;
  await connection.exec(`SET TimeZone = 'UTC'; CREATE TYPE mood AS ENUM ('new', 'paid'); ${table('by_text')}; ${table('by_binary')}`);
});
afterAll(async () => {
  connection?.close();
  await local?.[Symbol.asyncDispose]();
});

async function copy(rows: readonly Buffer[], encoder: CopyEncoder, table: string, format: string): Promise<void> {
  encoder.begin();
  const { ready, done } = connection.copyIn(`COPY ${table} (${columns.map((_, at) => `c${at}`).join(', ')}) FROM STDIN (FORMAT ${format})`);
  await ready;
  for (const row of rows) encoder.add(row, 0, row.length);
  encoder.end();
  connection.write(encoder.take().bytes);
  connection.endCopy();
  await done;
}

it('of every type, with NULLs', async () => {
  const binary = BinaryRows.of(sourceColumns, await readWireTypes(connection, { schema: 'public', name: 'by_binary' }));
  if (!binary) throw new Error('a type has no binary form');
  const text = new TextRows(sourceColumns);
  const row = fc.tuple(...columns.map(({ sent }) => fc.option(sent, { freq: 9 })));
  await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 0, maxLength: 200 }), async (values) => {
    const rows = values.map(packet);
    await connection.exec('TRUNCATE by_text, by_binary RESTART IDENTITY');
    await copy(rows, text, 'by_text', 'text');
    await copy(rows, binary, 'by_binary', 'binary');
    for (const at of columns.keys()) {
      const [found] = await connection.exec(`SELECT t.c${at}::text, b.c${at}::text FROM by_text t FULL JOIN by_binary b ON b.n = t.n WHERE t.c${at}::text IS DISTINCT FROM b.c${at}::text LIMIT 3`);
      expect(found?.rows, `${columns[at]?.type} to ${columns[at]?.local}`).toEqual([]);
    }
    const [counted] = await connection.exec('SELECT (SELECT count(*) FROM by_text), (SELECT count(*) FROM by_binary)');
    expect(counted?.rows).toEqual([[`${rows.length}`, `${rows.length}`]]);
  }), { numRuns: Number(process.env['CAUSEWAY_ROUNDS'] ?? 15) });
});

it('says what cannot be written', () => {
  const types = new Map([['n', { oid: 21, name: 'int2', kind: 'b', hasBinary: true }]]);
  const column: SourceColumn = { name: 'n', type: parseColumnType('int'), charset: undefined, collation: undefined, local: 'smallint', toLocal: keepText, changed: [], keepsOrdinary: false };
  const rows = BinaryRows.of([column], types);
  rows?.begin();
  for (const value of ['32768', '-32769', '1x', '', '-']) expect(() => rows?.add(packet([value]), 0, value.length + 1), value).toThrow(/^MIG014|is no/);
  expect(rows?.isEmpty).toBe(true);
  expect(BinaryRows.of([{ ...column, name: 'other' }], types)).toBeUndefined();
  expect(BinaryRows.of([column], new Map([['n', { oid: 869, name: 'inet', kind: 'b', hasBinary: true }]]))).toBeUndefined();
});
