/** Random values of the types whose texts are made by calculation, and every code of every character set: the binlog's text is the one that SELECT prints. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { endOf, factsOf, installMarkers, openReader, readToNow, replay } from './binlog-harness.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const RUNS = 20;
const ROWS = 50;

const digits = (max: number): fc.Arbitrary<string> => fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: max }).map((list) => list.join(''));
const sign = fc.constantFrom('', '-');
const time = fc.tuple(sign, fc.integer({ min: 0, max: 838 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([minus, hours, minutes, seconds, micros]) => `'${minus}${hours}:${minutes}:${seconds}.${hours === 838 ? '000000' : String(micros).padStart(6, '0')}'`);
const datetime = fc.tuple(fc.integer({ min: 0, max: 9999 }), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 28 }), fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([year, month, day, second, micros]) => `'${String(year).padStart(4, '0')}-${month}-${day} ${Math.trunc(second / 3600)}:${Math.trunc(second / 60) % 60}:${second % 60}.${String(micros).padStart(6, '0')}'`);
const timestamp = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 999 })).map(([second, millis]) => `'${new Date(second * 1000 + millis).toISOString().slice(0, 23).replace('T', ' ')}'`);
const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map(String);
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => value === 0 || Math.abs(value) > 2.3e-308).map(String);
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0'));
const quoted = (value: string): string => `CONVERT(UNHEX('${Buffer.from(value).toString('hex')}') USING utf8mb4)`;

const row = fc.tuple(
  fc.tuple(sign, digits(35), digits(30)).map(([minus, whole, rest]) => `${minus}${whole}.${rest}`),
  fc.tuple(sign, digits(3), digits(2)).map(([minus, whole, rest]) => `${minus}${whole}.${rest}`),
  time, time, datetime, datetime, timestamp, float, double, text.map(quoted), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String), fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }).map((value) => `${value}`),
);
const definition = `a decimal(65,30), b decimal(5,2), c time(6), d time(3), e datetime(6), f datetime(1), g timestamp(3) NULL, h float, i double, j varchar(200) CHARACTER SET utf8mb4, k bigint unsigned, l bit(53)`;
const selected = `id, a, b, c, d, e, f, g, h * 1e0 AS h, i, j, k, LPAD(BIN(l + 0), 53, '0') AS l`;
const lenient = "SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00'; ";

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let server: TestMysql;
    beforeAll(async () => {
      server = await startMysql(kind);
      await installMarkers(server);
      await server.createDatabase('shop');
    });
    afterAll(() => server.dispose());

    test('random values', async () => {
      await server.sql(`CREATE TABLE r (id int PRIMARY KEY, ${definition})`, 'shop');
      await fc.assert(fc.asyncProperty(fc.array(row, { minLength: ROWS, maxLength: ROWS }), async (rows) => {
        const start = await endOf(server);
        await server.sql(`${lenient}INSERT INTO r VALUES ${rows.map((values, id) => `(${id}, ${values.join(', ')})`).join(', ')}`, 'shop');
        const expected = await server.sql(`${lenient}SELECT ${selected} FROM r ORDER BY id`, 'shop');
        await server.sql('DELETE FROM r', 'shop');
        const { items } = await readToNow(server, await openReader(server, start));
        const [inserted, deleted] = items.flatMap((item) => (item.kind === 'transaction' ? item.changes : []));
        expect(deleted?.old).toEqual(inserted?.new);
        inserted?.new.forEach((captured, index) => {
          const [id, a, b, c, d, e, f, g, h, i, ...rest] = captured;
          const { h: theirFloat, i: theirDouble, ...texts } = expected[index] ?? {};
          expect([id, a, b, c, d, e, f, g, ...rest]).toEqual(Object.values(texts));
          expect(Math.fround(Number(h))).toBe(Math.fround(Number(theirFloat)));
          expect(Number(i)).toBe(Number(theirDouble));
        });
        expect(inserted?.new.length).toBe(ROWS);
      }), { numRuns: RUNS, endOnFailure: true });
    });

    test('every character of every character set', async () => {
      const charsets = (await server.sql("SELECT CHARACTER_SET_NAME AS c, MAXLEN AS m FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1"));
      const start = await endOf(server);
      for (const { c: charset } of charsets) {
        await server.sql(`CREATE TABLE cs_${charset} (id int PRIMARY KEY, v text CHARACTER SET ${charset})`, 'shop');
        for (const [id, plane] of planes.entries()) await server.sql(`${lenient}INSERT INTO cs_${charset} VALUES (${id}, REPLACE(${quoted(plane)}, '?', ''))`, 'shop');
        // Any character behind any other: a byte may begin one, end one or be one.
        const known = [...new Set((await server.sql(`${lenient}SELECT v FROM cs_${charset}`, 'shop')).flatMap(({ v }) => [...(v ?? '')]))];
        for (let id = 100; id < 104; id += 1) {
          const mixed = fc.sample(fc.constantFrom(...known), 4000).join('');
          await server.sql(`${lenient}INSERT INTO cs_${charset} VALUES (${id}, ${quoted(mixed)})`, 'shop');
        }
      }
      const { items } = await readToNow(server, await openReader(server, start, { facts: factsOf(server) }));
      for (const { c: charset } of charsets) {
        const captured = replay(items, `cs_${charset}`);
        for (const { id, v } of await server.sql(`${lenient}SELECT * FROM cs_${charset}`, 'shop')) {
          const mine = captured.get(id ?? '')?.[1] ?? '';
          expect(`${charset} ${id} ${firstDifference(mine, v ?? '')}`).toBe(`${charset} ${id} `);
        }
        const known = new Set([...captured.values()].flatMap(([, value]) => [...(value ?? '')])).size;
        expect(`${charset}: ${known >= (atLeast[charset ?? ''] ?? 90)}`).toBe(`${charset}: true`);
      }
    });
  });
}

/** Characters that must have been among those compared. */
const atLeast: Readonly<Record<string, number>> = { latin1: 240, cp1250: 240, koi8r: 250, gbk: 20_000, gb2312: 6500, big5: 13_000, euckr: 8000, sjis: 6500, cp932: 7000, ujis: 12_000, eucjpms: 12_000, utf8mb4: 70_000, utf16: 70_000, utf32: 70_000, ucs2: 63_000, gb18030: 70_000 };

/** Letters of the basic plane, 4096 at a time, and some beyond it; what a character set lacks the server stores as a question mark. */
const planes = [...Array.from({ length: 16 }, (_, index) => index * 0x1000), 0x1f000, 0x20000].map((first) =>
  Array.from({ length: 0x1000 }, (_, index) => first + index).filter((code) => code > 0 && (code < 0xd800 || code > 0xdfff)).map((code) => String.fromCodePoint(code)).join(''));

function firstDifference(mine: string, theirs: string): string {
  if (mine === theirs) return '';
  const index = [...mine].findIndex((character, place) => character !== theirs[place]);
  return `${mine.length}/${theirs.length} at ${index}: ${mine.slice(index, index + 3)} for ${theirs.slice(index, index + 3)}`;
}

describeMysql(['mysql-9.7'], 'mysql-9.7, JSON', () => {
  test('random documents', async () => {
    await using server = await startMysql('mysql-9.7', { settings: ['binlog-row-metadata=FULL'] });
    await installMarkers(server);
    await server.createDatabase('shop');
    await server.sql('CREATE TABLE j (id int PRIMARY KEY, v json)', 'shop');
    const document = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value)).filter((value) => Buffer.byteLength(value) < 20_000);
    const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => `${value.toExponential()}`), fc.tuple(fc.integer({ min: 1, max: 99_999 }), fc.integer({ min: -25, max: 25 })).map(([value, exponent]) => `${value}e${exponent}`),
      fc.tuple(fc.maxSafeInteger(), fc.integer({ min: -20, max: 3 })).map(([value, exponent]) => `${value}e${exponent}`));
    const wide = fc.array(fc.string({ maxLength: 300 }), { minLength: 200, maxLength: 400 }).map((list) => JSON.stringify(list));
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof({ arbitrary: document, weight: 5 }, { arbitrary: number, weight: 5 }, { arbitrary: wide, weight: 1 }), { minLength: ROWS, maxLength: ROWS }), async (documents) => {
      const start = await endOf(server);
      await server.sql(`INSERT INTO j VALUES ${documents.map((text_, id) => `(${id}, ${quoted(text_)})`).join(', ')}`, 'shop');
      const expected = await server.sql('SELECT * FROM j ORDER BY id', 'shop');
      await server.sql('DELETE FROM j', 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      const captured = items.flatMap((item) => (item.kind === 'transaction' ? item.changes.flatMap((change) => change.new) : []));
      expect(captured.map(([, value]) => value)).toEqual(expected.map(({ v }) => v));
    }), { numRuns: 3 * RUNS, endOnFailure: true });
  });
});
