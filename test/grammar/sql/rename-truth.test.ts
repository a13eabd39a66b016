/**
 * Property: a text whose relations are named otherwise does in a database that has them under the other names what the client's own text
 * does in one that has them under theirs: the same rows, columns, tags, and the same errors at the same places.
 */
import * as fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placeBefore, renameRelations } from '../../../grammar/sql/rename-relations.ts';
import type { OtherName } from '../../../grammar/sql/rename-relations.ts';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';
import type { SqlParser } from '../../../grammar/sql/parser.ts';
import type { RelationRef } from '../../../grammar/sql/statement-facts.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomStatement, schemaSql } from './random-query.ts';
import { readCorpus } from './read-corpus.ts';

let postgres: TestPostgres;
let plain: pg.Client;
let renamed: pg.Client;
let parser: SqlParser;

const otherNames: Readonly<Record<string, OtherName>> = {
  'public.a': { schema: 'public', name: 'a_new' }, 'public.b': { schema: 'app', name: 'b' }, 'public.c': { schema: 'app', name: 'The "C"' },
  's2.a': { schema: 's2', name: 'ä two' }, 'public.Mixed Case': { schema: 'app', name: 'mixed' }, 'public.p': { schema: 'app', name: 'p' }, 'public.p1': { schema: 'app', name: 'p1' },
  'public.seq': { schema: 'app', name: 'seq' }, 'public.a_id_seq': { schema: 'app', name: 'a_id_seq' },
};

beforeAll(async () => {
  parser = await loadSqlParser();
  postgres = await startTestPostgres();
  for (const name of ['plain', 'renamed']) await postgres.createDatabase(name);
  plain = await postgres.client('plain');
  renamed = await postgres.client('renamed');
  for (const client of [plain, renamed]) await client.query(`${schemaSql}; SET statement_timeout = '2s'; CREATE SCHEMA app`);
  await renamed.query(`ALTER TABLE a RENAME TO a_new; ALTER TABLE b SET SCHEMA app; ALTER TABLE c SET SCHEMA app; ALTER TABLE app.c RENAME TO "The ""C"""; ALTER TABLE s2.a RENAME TO "ä two";
    ALTER TABLE "Mixed Case" SET SCHEMA app; ALTER TABLE app."Mixed Case" RENAME TO mixed; ALTER TABLE p SET SCHEMA app; ALTER TABLE p1 SET SCHEMA app; ALTER SEQUENCE seq SET SCHEMA app`);
});
afterAll(async () => {
  await parser[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

function nameOf({ schema, name }: RelationRef): OtherName | undefined {
  return otherNames[`${schema ?? 'public'}.${name}`];
}

interface Outcome {
  readonly rows?: readonly unknown[];
  readonly columns?: readonly string[];
  readonly tag?: string;
  readonly error?: string;
}

async function run(client: pg.Client, sql: string, toOwn: (characters: number) => number): Promise<Outcome> {
  await client.query('BEGIN');
  try {
    const results = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    const last = (Array.isArray(results) ? results.at(-1) : results) as pg.QueryArrayResult<unknown[]>;
    return { rows: last.rows.map((row) => JSON.stringify(row)).sort(), columns: last.fields.map((field) => field.name), tag: `${last.command} ${last.rowCount}` };
  } catch (error) {
    const { code, position } = error as pg.DatabaseError;
    return { error: `${code} at ${position === undefined ? '-' : toOwn(Number(position))}` };
  } finally {
    await client.query('ROLLBACK');
  }
}

async function expectSame(sql: string): Promise<{ readonly renamed: boolean; readonly ran: boolean }> {
  const text = Buffer.from(sql);
  const places = await parser.namePlaces(sql);
  const other = renameRelations(text, places ?? [], nameOf);
  const written = other?.bytes.toString() ?? sql;
  const own = await run(plain, sql, (at) => at);
  const theirs = await run(renamed, written, (at) => {
    if (!other) return at;
    const before = placeBefore(other.edits, Buffer.byteLength([...written].slice(0, at - 1).join('')));
    return [...text.toString('utf8', 0, before)].length + 1;
  });
  expect(theirs, `${sql}\n→ ${written}`).toEqual(own);
  return { renamed: other !== undefined, ran: own.error === undefined };
}

const kinds = ['select', 'insert', 'update', 'delete', 'merge', 'truncate', 'lock', 'declare_cursor', 'prepare', 'explain', 'call', 'copy_to'];

describe('the hand-written corpus', () => {
  const statements = readCorpus().filter(({ expected, sql }) => kinds.includes(expected.kind) && !/^COPY|TABLESAMPLE|regclass|pg_|txid|current_|now\(\)|random|pg_get_serial|pg_catalog|pg_class|version|information_schema|EXPLAIN/.test(sql));

  test('does the same', async () => {
    let ran = 0;
    let changed = 0;
    for (const { sql } of statements) {
      const outcome = await expectSame(sql);
      if (outcome.ran) ran += 1;
      if (outcome.renamed) changed += 1;
    }
    expect(ran).toBeGreaterThan(170);
    expect(changed).toBeGreaterThan(150);
  });
});

test.each([
  'SELECT a.id, public.b.v, b.*, s2.a.s FROM a, public.b, s2.a AS other',
  'SELECT public.b.v, b.*, s2.a.s FROM public.b, s2.a',
  'SELECT public.p.v, p.id FROM public.p WHERE public.p.id = 1',
  'SELECT PUBLIC . "a" . id FROM "public" /* one */ . -- two\n a',
  'SELECT a FROM a',
  'SELECT a.*::text, (a).v, row_to_json(a) FROM a',
  'SELECT * FROM ONLY (a) JOIN ONLY (public.b) ON a.id = b.id',
  'SELECT * FROM a * WHERE a.id > 0',
  'TABLE a',
  'TABLE ONLY a ORDER BY id',
  'SELECT * FROM a TABLESAMPLE SYSTEM (100) WHERE a.id = 100',
  'SELECT * FROM a FOR UPDATE OF a',
  'SELECT * FROM c FOR NO KEY UPDATE OF c SKIP LOCKED',
  'INSERT INTO c (id, v) VALUES (100, 2), (101, 3) ON CONFLICT (id) DO UPDATE SET v = c.v + excluded.v RETURNING c.id, c.v',
  'INSERT INTO public.a AS x (id, v) VALUES (100, 2) ON CONFLICT (id) DO UPDATE SET v = x.v + excluded.v RETURNING x.id, x.v',
  'UPDATE ONLY c SET v = c.v + a.v FROM a WHERE a.id = c.id RETURNING c.*, a.s',
  'DELETE FROM "Mixed Case" USING c WHERE c.id = "Mixed Case".id RETURNING "Mixed Case".v',
  'MERGE INTO a USING c ON a.id = c.id WHEN MATCHED THEN UPDATE SET v = c.v + a.v',
  'WITH a AS (SELECT 5 AS id) SELECT a.id, x.id FROM a, public.a AS x',
  'WITH b AS (SELECT * FROM a), x AS (SELECT b.* FROM b) SELECT * FROM x, b, c',
  'SELECT NULL::public.a AS a, (NULL::c).v',
  "SELECT 'a'::regclass::oid IS NOT NULL, 'public.b'::regclass IS NOT NULL, to_regclass('s2.a') IS NOT NULL, to_regclass('nothing.a')",
  "SELECT nextval('seq'), currval('public.seq'), setval('\"seq\"'::regclass, 7)",
  'SELECT 1; SELECT * FROM a; UPDATE b SET v = 5 RETURNING b.id, b.v',
  "SELECT 'ä a b' AS \"a\", a.v /* a */ -- b\n FROM a",
  'SELECT nothing FROM a',
  "SELECT 'ä', a.v, wrong.x FROM b, a",
  'SELECT a.v, a.wrong FROM a AS a',
  'SELECT * FROM c JOIN missing ON true',
  'INSERT INTO a (id, v) SELECT id, s FROM c',
  'LOCK TABLE a, ONLY b, s2.a IN SHARE MODE',
  'TRUNCATE ONLY a, b, c',
  'ANALYZE a',
  'SELECT * INTO TEMP x FROM a',
  'CREATE TEMP TABLE x AS SELECT a.v FROM a',
  'PREPARE q(int) AS SELECT a.v FROM a WHERE id = $1; EXECUTE q(100)',
  'DECLARE k CURSOR FOR SELECT a.v, c.v FROM a, c; FETCH k',
  'COPY (SELECT a.v FROM a) TO STDOUT',
])('%s', async (sql) => {
  if (sql.startsWith('COPY')) expect(renameRelations(Buffer.from(sql), (await parser.namePlaces(sql)) ?? [], nameOf)?.bytes.toString()).toBe('COPY (SELECT a.v FROM "public"."a_new" AS "a") TO STDOUT');
  else await expectSame(sql);
});

test('random statements do the same', { timeout: 300_000 }, async () => {
  let ran = 0;
  await fc.assert(fc.asyncProperty(randomStatement, async (sql) => {
    if ((await expectSame(sql)).ran) ran += 1;
  }), { numRuns: 1_500 });
  expect(ran).toBeGreaterThan(1_000);
});

test('a place in a renamed text is where it was, or where the name began', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(4), fc.nat(6)), { maxLength: 6 }), (shapes) => {
    let text = '';
    const places = shapes.map(([gap, length]) => {
      text += 'x'.repeat(gap);
      const start = text.length;
      text += 'n'.repeat(length + 1);
      return { kind: 'relation' as const, relation: { schema: undefined, name: 'n' }, start, end: text.length, aliasAt: undefined, isAliased: false };
    });
    text += 'yz';
    let next = 0;
    const renamedText = renameRelations(Buffer.from(text), places, () => ({ schema: 's', name: 'm'.repeat((shapes[next++]?.[2] ?? 0) + 1) }));
    const bytes = renamedText?.bytes.toString() ?? text;
    const plainBytes = [...bytes].flatMap((character, at) => ('xyz'.includes(character) ? [at] : []));
    const own = [...text].flatMap((character, at) => ('xyz'.includes(character) ? [at] : []));
    expect(plainBytes.map((at) => placeBefore(renamedText?.edits ?? [], at))).toEqual(own);
  }));
});
