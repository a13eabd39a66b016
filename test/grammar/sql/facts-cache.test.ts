/**
 * Property: facts from the cache are the facts of a fresh parse, whatever stood in the cache before. Texts are made of adversarial
 * pieces, so that texts which only look alike meet in one cache.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FactsCache } from '../../../grammar/sql/facts-cache.ts';
import { Fingerprinter } from '../../../grammar/sql/fingerprint.ts';
import { isShareable } from '../../../grammar/sql/shareable.ts';
import { withoutConstants } from '../../../grammar/sql/without-constants.ts';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';
import type { SqlParser } from '../../../grammar/sql/parser.ts';
import { randomStatement } from './random-query.ts';
import { readCorpus } from './read-corpus.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});
afterAll(() => parser[Symbol.asyncDispose]());

function classOf(sql: string): string | undefined {
  const bytes = Buffer.from(sql);
  return new Fingerprinter().read(bytes, 0, bytes.length);
}

/** Constants of every form, right and wrong ones, and what may stand beside them. */
const literal = fc.oneof(
  fc.constantFrom('0', '1', '42', '2147483647', '2147483648', '99999999999', '007', '1.5', '.5', '1.', '1e5', '1.e-5', '1e', '1.5.5', '1..2', '0x1F', '0b1', '0o7', '1_000', '1_', '1a', '12$', '$1', '$2', '$1a',
    "''", "'a'", "'it''s'", "'\\'", "'a\\'", "E'\\\\'", "E'a\\'b'", "E'\\n'", "E'\\x41'", "E'\\u0041'", "E'\\u00'", "E'\\777'", "E'\\0'", "e'it''s'", "U&'\\0041'", "U&'d!0061' UESCAPE '!'", "N'x'", "n 'x'",
    "B'01'", "b'2'", "X'1F'", "x'zz'", "B'0''1'", "x 'a'", "$$a$$", "$q$it's $$ $q$", "$q$ $Q$ $q$", "$a$ -- $a$", "$1$a$1$", '$$', "'a' 'b'", "'a'\n'b'", "'a' -- c\n'b'", "'a' /* \n */ 'b'", "'a''b'", "'ä€😀'", "'--'", "'/*'", "'\"'", "'$$'",
    "int '4'", "interval '1' day", "date '2024-01-01'", "'1'::float(60)", "'1'::float(10)", "'1'::float (0)", '1::float(24)', "float8 '1'", "interval(7) '1'", "'a'::regclass", "true", 'null', '-1', '- -1', '+-1'),
  fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => `'${text.replaceAll("'", "''").replaceAll('\0', '')}'`),
  fc.integer({ min: -10, max: 3_000_000_000 }).map(String),
);
const gap = fc.constantFrom(' ', '  ', '\n', '\t', ' /* c */ ', '/* /* n */ */', '-- x\n', ' --\r', '/* " \' */', '\v', '\f');
const template = fc.constantFrom(
  'SELECT # FROM a', 'SELECT #,# FROM a WHERE v=# AND s = #', 'SELECT * FROM a WHERE id IN (#, #)', 'INSERT INTO a (id, v) VALUES (#, #)', 'INSERT INTO a VALUES (#),(#)', 'VALUES (#), (#),(#)', 'VALUES (#),(#) (#)', 'VALUES (#), (#), #',
  'SELECT * FROM a WHERE id IN (#),(#)', 'MERGE INTO a USING b ON true WHEN NOT MATCHED THEN INSERT VALUES (#),(#)', 'MERGE INTO a USING b ON true WHEN NOT MATCHED THEN INSERT VALUES (#)',
  'UPDATE a SET v = #, s = # WHERE id = #', 'DELETE FROM a WHERE s LIKE #', 'SELECT # "x", # AS "#" FROM "a#"', 'SELECT * FROM a LIMIT # OFFSET #', 'FETCH # FROM c', "SELECT nextval('seq'), #", 'SELECT nextval(#)', 'SELECT set_config(#, #, false)',
  'SELECT x.#FROM a x', 'SELECT a#b FROM a', 'SELECT #::float(#)', 'SELECT CAST(# AS float(#))', 'SELECT float (#) #', 'CALL pp(#)', 'SELECT f(#, (#))', 'SELECT U&"d\\0061t" FROM a, #', 'EXPLAIN (ANALYZE #) SELECT # FROM a',
  'NOTIFY c, #', 'SELECT (VALUES (#),(#)) FROM a', 'SELECT * FROM (VALUES (#, #), (#, #)) x JOIN a ON true', 'INSERT INTO a VALUES (#, f(#)), (#, f(#)) ON CONFLICT DO NOTHING', 'SELECT #; SELECT #', 'BEGIN; UPDATE a SET v=#; COMMIT', 'COPY a FROM #',
  'SELECT extract(# FROM now())', 'SELECT # # FROM a', 'SELECT * FROM a FETCH FIRST # ROWS ONLY', 'SELECT v[#:#] FROM a', 'SELECT interval(#) #', 'SELECT * FROM a TABLESAMPLE SYSTEM (#)', 'EXECUTE q (#, #)', 'SELECT # IS JSON', 'SELECT * FROM json_table(#, # COLUMNS (x int PATH #)) j',
);

const text = fc.tuple(template, fc.array(literal, { minLength: 4, maxLength: 4 }), gap, gap, fc.nat(3)).map(([shape, literals, one, two, where]) => {
  let next = 0;
  const filled = shape.replaceAll('#', () => literals[next++ % literals.length] ?? '1');
  return where === 0 ? filled.replace(' ', () => one) : where === 1 ? `${one}${filled}${two}` : where === 2 ? filled.replaceAll(' ', () => two) : filled;
});

async function agrees(cache: FactsCache, sql: string): Promise<void> {
  const cached = await cache.factsOf(sql);
  const fresh = await parser.readFacts(sql);
  expect(cached, JSON.stringify(sql)).toEqual(fresh);
}

describe('facts from the cache', () => {
  test('are those of a fresh parse, for texts full of constants', async () => {
    const cache = new FactsCache(parser);
    await fc.assert(fc.asyncProperty(text, (sql) => agrees(cache, sql)), { numRuns: 12_000 });
    expect(cache.counts.classHits).toBeGreaterThan(2_000);
  }, 120_000);

  test('are those of a fresh parse, for random bytes of SQL', async () => {
    const cache = new FactsCache(parser);
    const piece = fc.constantFrom('select', 'values', 'float', 'merge', 'a', 'e', 'x', 'u&', 'n', "'", "''", '"', '$', '$$', '$q$', '(', ')', ',', '.', '1', '0', '9', '-', '--', '/*', '*/', '\\', ' ', '\n', ';', '::', 'é', '😀', '$1', '_', '\x01', '\x7f');
    await fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 14 }), (pieces) => agrees(cache, `select ${pieces.join('')}`)), { numRuns: 8_000 });
  }, 120_000);

  test('are those of a fresh parse, for the corpus and random statements with changed constants', async () => {
    const cache = new FactsCache(parser);
    const sql = fc.oneof(fc.constantFrom(...readCorpus().map((line) => line.sql)), randomStatement);
    await fc.assert(fc.asyncProperty(sql, fc.nat(99), async (statement, number) => {
      await agrees(cache, statement);
      await agrees(cache, statement.replace(/\b\d+\b/, String(number)));
      await agrees(cache, statement.replace(/'[^']*'/, `'x${number}'`));
    }), { numRuns: 1_500 });
  }, 120_000);
});

describe('a text without its constants', () => {
  const agreesWithout = async (sql: string): Promise<boolean> => {
    const shorter = withoutConstants(sql);
    if (shorter === undefined) return false;
    const [read, fresh] = [await parser.readFacts(shorter), await parser.readFacts(sql)];
    if (fresh.type === 'invalid') expect(read.type, JSON.stringify(sql)).toBe('invalid');
    else if (read.type === 'invalid' || isShareable(read)) expect(read, JSON.stringify([sql, shorter])).toEqual(fresh);
    else return false;
    return true;
  };

  test('has the same facts, or says that they depend on one', async () => {
    let compared = 0;
    const sql = fc.oneof(text, randomStatement, fc.constantFrom(...readCorpus().map((line) => line.sql)));
    await fc.assert(fc.asyncProperty(sql, async (statement) => {
      if (await agreesWithout(statement)) compared += 1;
    }), { numRuns: 8_000 });
    expect(compared).toBeGreaterThan(3_000);
  }, 120_000);

  test('has them too where lists are cut', async () => {
    const list = Array.from({ length: 5_000 }, (_, index) => index).join(',');
    for (const sql of [`SELECT * FROM a WHERE id IN (${list}, 'x', ${list}) AND f(${list}) = ANY (ARRAY[${list}])`, `INSERT INTO a VALUES (${list}), (1), (${list},1.5)`, `SELECT ${list} FROM a`, `SELECT ${list}, FROM a`, `SELECT (${list},,1) FROM a`]) {
      expect((withoutConstants(sql) ?? sql).length).toBeLessThan(sql.length);
      expect(await agreesWithout(sql)).toBe(true);
    }
  });
});

describe('classes', () => {
  test.each([
    ['SELECT 1', 'SELECT 2'], ["SELECT 'a'", "SELECT E'b\\n'"], ["SELECT 'a'", 'SELECT $x$b$x$'], ['SELECT  1', 'SELECT\n/* c */ 1'], ['VALUES (1)', 'VALUES (1), (2),(3)'], ["INSERT INTO a VALUES (1,'x')", "INSERT INTO a VALUES (2,'y'), (3,'z')"], ['SELECT 1.5', 'SELECT 99999999999'],
  ])('the same: %j and %j', (one, other) => {
    expect(classOf(one)).toBeDefined();
    expect(classOf(one)).toBe(classOf(other));
  });

  test.each([
    ['SELECT 1', 'SELECT 1.5'], ['SELECT 1', "SELECT '1'"], ['SELECT "a"', 'SELECT "b"'], ['SELECT a1', 'SELECT a2'], ['SELECT $1', 'SELECT $2'], ["SELECT b'1'", "SELECT '1'"], ['SELECT 1 a', 'SELECT 1a'], ['VALUES (1),(2)', "VALUES (1),('a')"], ['SELECT A', 'SELECT a'],
    ['SELECT 1 WHERE a IN (1)', 'SELECT 1 WHERE a IN (1),(1)'],
  ])('not the same: %j and %j', (one, other) => {
    expect(classOf(one)).not.toBe(classOf(other));
  });

  test.each(["SELECT 'a' 'b'", "SELECT 'a'\n'b'", "SELECT U&'x'", "SELECT E'\\x41'", "SELECT 'a", '/* open', 'SELECT "a', '$$a', 'SELECT 1a', '0x1'])('none: %j', (sql) => {
    expect(classOf(sql)).toBeUndefined();
  });
});

describe('bounds', () => {
  test('equal classes share one object, so that routes are remembered for all of them', async () => {
    const cache = new FactsCache(parser);
    expect(await cache.factsOf('SELECT * FROM a WHERE id = 1')).toBe(await cache.factsOf('SELECT * FROM a WHERE id = 2'));
    expect(await cache.factsOf("SELECT nextval('a')")).not.toBe(await cache.factsOf("SELECT nextval('b')"));
  });

  test('old entries go when the bytes are used up, those in use stay', async () => {
    const cache = new FactsCache(parser, { maxBytes: 200_000 });
    const used = await cache.factsOf('SELECT 1 FROM used');
    for (let index = 0; index < 1_000; index += 1) {
      await cache.factsOf(`SELECT 1 FROM t${index}`);
      expect(await cache.factsOf('SELECT 1 FROM used')).toBe(used);
    }
    const misses = cache.counts.misses;
    await cache.factsOf('SELECT 1 FROM t1');
    expect(cache.counts.misses).toBe(misses + 1);
  });

  test('large texts are read elsewhere and then known', async () => {
    const cache = new FactsCache(parser);
    const rows = (from: number): string => `INSERT INTO a VALUES ${Array.from({ length: 2_000 }, (_, index) => `(${from + index}, 'x')`).join(',')}`;
    const first = cache.factsOf(rows(1));
    expect(first).toBeInstanceOf(Promise);
    expect(cache.factsOf('SELECT 1')).not.toBeInstanceOf(Promise);
    expect(cache.factsOf(rows(5_000))).toBeInstanceOf(Promise);
    expect(cache.factsOf('SELECT 2')).not.toBeInstanceOf(Promise);
    const facts = await first;
    expect(facts).toMatchObject({ statements: [{ kind: 'insert' }] });
    expect(cache.factsOf(rows(9_000))).not.toBeInstanceOf(Promise);
  });
});
