/**
 * Property: what the facts say is what PostgreSQL does. Each statement runs on a real server in a transaction that is rolled back;
 * the locks that it took tell the relations it read (ACCESS SHARE) and those it wrote or locked rows of (ROW SHARE and stronger).
 */
import * as fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';
import type { SqlParser } from '../../../grammar/sql/parser.ts';
import type { StatementFacts } from '../../../grammar/sql/statement-facts.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomStatement, schemaSql } from './random-query.ts';
import { readCorpus } from './read-corpus.ts';

let postgres: TestPostgres;
let client: pg.Client;
let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
  postgres = await startTestPostgres();
  client = await postgres.client();
  await client.query(schemaSql);
  await client.query("SET statement_timeout = '2s'");
});
afterAll(async () => {
  await parser[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

interface Touched {
  readonly all: readonly string[];
  readonly writes: readonly string[];
}

/** Tables, sequences and matviews of the schema; partitions count as their parent, and indexes not at all. Sequences are locked alike whatever is done to them. */
const locksSql = `
  SELECT coalesce(p.relname, n.nspname || '.' || c.relname) AS name, bool_or(l.mode <> 'AccessShareLock' AND c.relkind <> 'S') AS writes
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (SELECT 'public.p' AS relname WHERE c.relname IN ('p', 'p1')) p ON true
  WHERE l.pid = pg_backend_pid() AND n.nspname IN ('public', 's2') AND c.relkind IN ('r', 'p', 'S', 'm')
  GROUP BY 1`;

/** Undefined when the server refuses the statement. */
async function touchedByServer(sql: string): Promise<Touched | undefined> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    const locks = await client.query<{ name: string; writes: boolean }>(locksSql);
    return { all: locks.rows.map((row) => row.name).sort(), writes: locks.rows.filter((row) => row.writes).map((row) => row.name).sort() };
  } catch {
    return undefined;
  } finally {
    await client.query('ROLLBACK');
  }
}

function factsOf(sql: string): StatementFacts {
  const facts = parser.parseFacts(sql);
  if (facts === 'too_large_for_sync' || facts.type !== 'sql' || facts.statements[0] === undefined) throw new Error(`not read: ${sql}`);
  return facts.statements[0];
}

function touchedByFacts(facts: StatementFacts): Touched {
  const full = (relations: StatementFacts['reads']): string[] => relations.filter((relation) => relation.schema !== 'pg_catalog' && relation.schema !== 'information_schema')
    .map((relation) => `${relation.schema ?? 'public'}.${relation.name}`);
  const all = [...facts.reads, ...facts.writes, ...facts.sequencesWritten, ...facts.sequencesRead];
  return { all: [...new Set(full(all))].sort(), writes: [...new Set(full(facts.writes))].sort() };
}

/** A table with an identity column draws from the sequence of its own: not in the statement, and of one side with its table. */
function withoutOwned(touched: Touched): Touched {
  const other = (name: string): boolean => !name.endsWith('_id_seq');
  return { all: touched.all.filter(other), writes: touched.writes.filter(other) };
}

describe('the hand-written corpus', () => {
  const runnable = readCorpus().filter(({ expected, sql }) =>
    ['select', 'insert', 'update', 'delete', 'merge', 'truncate', 'lock', 'copy_to', 'declare_cursor', 'prepare', 'explain'].includes(expected.kind)
    && !sql.startsWith('COPY') && !sql.includes('pg_get_serial_sequence') && !sql.includes('lastval') && !sql.includes('EXECUTE'));

  test('agrees with the server wherever the server runs it', async () => {
    let agreed = 0;
    const refused: string[] = [];
    for (const { sql } of runnable) {
      const truth = await touchedByServer(sql);
      if (truth === undefined) {
        refused.push(sql);
        continue;
      }
      // CASCADE and RESTART IDENTITY reach further than the text.
      if (sql.startsWith('TRUNCATE')) expect(truth.writes, sql).toEqual(expect.arrayContaining([...touchedByFacts(factsOf(sql)).writes]));
      else expect(touchedByFacts(factsOf(sql)), sql).toEqual(withoutOwned(truth));
      agreed += 1;
    }
    expect(refused.length, refused.join('\n')).toBeLessThan(25);
    expect(agreed).toBeGreaterThan(190);
  });
});

describe('definitions', () => {
  const runnable = readCorpus().filter(({ expected }) => (expected.kind === 'ddl' || expected.kind === 'maintenance' || expected.kind === 'create_temp') && !expected.flags.includes('outsideTransaction'));
  const before = ['public.a', 'public.b', 'public.c', 'public.d', 's2.a', 'public.Mixed Case', 'public.p', 'public.seq', 'public.My Seq'];

  test('name every relation that was there before and that the server locks for them', async () => {
    let agreed = 0;
    for (const { sql } of runnable) {
      // Of the whole database: they reach what they do not name.
      if (sql === 'ANALYZE' || sql.includes('SCHEMA s2') || sql.includes('REASSIGN')) continue;
      const truth = await touchedByServer(sql);
      if (truth === undefined) continue;
      const facts = factsOf(sql);
      const named = [...facts.ddl, ...facts.reads].map((relation) => `${relation.schema ?? 'public'}.${relation.name}`);
      // A default's sequence is looked up, not changed.
      const locked = withoutOwned(truth).writes.filter((name) => before.includes(name));
      expect(named, sql).toEqual(expect.arrayContaining(locked));
      agreed += 1;
    }
    expect(agreed).toBeGreaterThan(55);
  });
});

describe('random statements', () => {
  test('agree with the server', async () => {
    let agreed = 0;
    let refused = 0;
    await fc.assert(fc.asyncProperty(randomStatement, async (sql) => {
      const truth = await touchedByServer(sql);
      if (truth === undefined) {
        refused += 1;
        return;
      }
      agreed += 1;
      expect(touchedByFacts(factsOf(sql)), sql).toEqual(withoutOwned(truth));
    }), { numRuns: 2_700 });
    expect(agreed).toBeGreaterThan(2_000);
    expect(refused).toBeLessThan(700);
  }, 300_000);
});
