/**
 * Every statement of mysql-to-pg.txt answers on PostgreSQL, translated, what it answers on MySQL and MariaDB: rows as text, descriptions of columns, affected
 * rows, insert ids, and the tables afterwards; or it is refused by the name that the file gives. Nothing differs silently.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MysqlParameter, MysqlPlan } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { parseMysql } from '../../../grammar/dialect/postgres/parse-mysql.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { isWrite, MysqlCorpus, UnboundParameter } from './mysql-corpus.ts';
import { answersDiffer } from './mysql-answers.ts';
import { readDialectCorpus } from './read-dialect-corpus.ts';
import type { CorpusEntry } from './read-dialect-corpus.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const corpus = readDialectCorpus('mysql-to-pg.txt');

/** ER_PARSE_ERROR, ER_SP_DOES_NOT_EXIST, ER_NO_SUCH_TABLE, ER_WRONG_FIELD_WITH_GROUP and the like: what an old server does not know. */
const notKnown = /You have an error in your SQL syntax|FUNCTION .* does not exist|doesn't exist|Unknown (?:column|system variable|collation)|isn't in GROUP BY|is used in HAVING clause|doesn't yet support|Can't reopen table|Incorrect usage/;

/** `5` an integer, `1.5` a decimal, all else a text, without its quotes if it has some. */
function parameterOf(text: string | null): MysqlParameter {
  if (text === null) return { kind: 'text', value: null };
  if (/^-?\d+$/.test(text)) return { kind: 'integer', value: text };
  return /^-?\d+\.\d+$/.test(text) ? { kind: 'decimal', value: text } : { kind: 'text', value: text.replace(/^'(.*)'$/, '$1') };
}

function isOrdered(sql: string, corpusOf: MysqlCorpus): boolean {
  const statement = parseMysql(sql, corpusOf.facts.mode)?.statement;
  return statement?.type === 'query' && statement.query.order.length > 0;
}

/** What is refused of the parameters, when they are bound. */
async function boundRefusal(on: MysqlCorpus, plan: MysqlPlan, parameters: readonly MysqlParameter[]): Promise<string | undefined> {
  try {
    await on.translated(plan, parameters, false);
    return undefined;
  } catch (error) {
    return error instanceof UnboundParameter ? error.construct : undefined;
  }
}

async function isAnswered(on: MysqlCorpus, entry: CorpusEntry): Promise<boolean> {
  await on.setSession(entry.session);
  try {
    await on.reference(entry.sql, entry.parameters.map(parameterOf));
    return true;
  } catch (error) {
    if (error instanceof Error && 'fatal' in error && error.fatal === true) throw error;
    return false;
  }
}

/** Undefined: as it should be. */
async function difference(on: MysqlCorpus, entry: CorpusEntry, unknown: string[]): Promise<string | undefined> {
  await on.setZone(entry.zone ?? 'UTC');
  await on.setSession(entry.session);
  const place = `line ${entry.line}: ${entry.sql}`;
  const translation = on.translate(entry.sql);
  const wanted = entry.refused.get(on.kind) ?? entry.refused.get('all');
  if (translation.type === 'refused') {
    if (translation.construct === wanted) return undefined;
    // A table that this server does not have.
    if (translation.construct === 'table docs') return undefined;
    return `${place}\n  refused: ${translation.construct}${wanted === undefined ? '' : `, not: ${wanted}`}`;
  }
  const sent = translation.steps.map(({ text }) => text).join('; ');
  const parameters = entry.parameters.map(parameterOf);
  if (wanted !== undefined) return (await boundRefusal(on, translation, parameters)) === wanted ? undefined : `${place}\n  not refused (${wanted}): ${sent}`;
  let expected;
  try {
    expected = await on.reference(entry.sql, parameters);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (entry.fails !== 'everywhere') {
      if (on.kind === 'mysql-9.7' || !notKnown.test(message)) return `${place}\n  the server: ${message}`;
      unknown.push(place);
      return undefined;
    }
  }
  try {
    const found = await on.translated(translation, parameters, isWrite(entry.sql));
    if (entry.fails !== undefined) return `${place}\n  ran: ${sent}\n  ${JSON.stringify(found.rows).slice(0, 300)}`;
    const differing = expected === undefined ? 'the server fails' : answersDiffer(expected, found, isOrdered(entry.sql, on), parameters.length > 0 && on.kind === 'mysql-5.6');
    return differing === undefined ? undefined : `${place}\n  ${differing}\n  ${sent}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (entry.fails === undefined) return `${place}\n  ${message}\n  ${sent}`;
    return undefined;
  }
}

describe('the corpus', () => {
  test('has at least 300 statements, each once', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(300);
    const seen = new Set<string>();
    const twice = corpus.filter(({ sql, parameters, zone, session }) => {
      const key = `${sql} ${parameters.join(' | ')} ${zone ?? ''} ${JSON.stringify(session)}`;
      return seen.has(key) || !seen.add(key);
    });
    expect(twice.map(({ line }) => line)).toEqual([]);
  });

  test('runs at least nine of ten, on one of the servers or more', () => {
    const usual = corpus.filter(({ isFound }) => !isFound);
    expect(usual.filter(({ refused }) => !refused.has('all')).length / usual.length).toBeGreaterThanOrEqual(0.9);
  });
});

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(async () => postgres[Symbol.asyncDispose]());

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let on: MysqlCorpus;
    beforeAll(async () => {
      on = await MysqlCorpus.start(kind, postgres);
    });
    afterAll(async () => on[Symbol.asyncDispose]());

    /** Statements that the server answers, and those of them that local does. */
    const served = { there: 0, here: 0 };

    test('local answers as the server does, or the statement is refused by name', async () => {
      const differences: string[] = [];
      const unknown: string[] = [];
      for (const entry of corpus) {
        if (entry.notOn.has(kind)) continue;
        const before = unknown.length;
        const found = await difference(on, entry, unknown);
        if (found !== undefined) differences.push(found);
        const isRefused = entry.refused.has('all') || entry.refused.has(kind);
        if (entry.isFound || entry.fails !== undefined || unknown.length > before || (isRefused && !(await isAnswered(on, entry)))) continue;
        served.there += 1;
        if (!isRefused) served.here += 1;
      }
      expect(differences.join('\n\n')).toBe('');
      // What the server itself does not know proves nothing: it has to stay the exception.
      expect(unknown.length / corpus.length).toBeLessThan(kind === 'mysql-5.6' ? 0.15 : 0.05);
    }, 240_000);

    test('local answers at least nine of ten that the server answers', () => {
      console.log(`${kind}: ${served.here} of ${served.there}`);
      expect(served.here / served.there).toBeGreaterThanOrEqual(0.9);
    });

    test('in another zone, too', async () => {
      const zoned = [
        'SELECT id, seen FROM items', "SELECT id FROM items WHERE seen >= '2024-01-31 17:30:00' ORDER BY id", 'SELECT id, DATE(seen), HOUR(seen), seen + INTERVAL 1 MONTH, DATEDIFF(changed, seen) FROM items', 'SELECT id FROM items WHERE changed > seen',
        'SELECT id, UNIX_TIMESTAMP(seen), CAST(seen AS CHAR) FROM items', 'SELECT FROM_UNIXTIME(86400), UNIX_TIMESTAMP(\'2024-01-31 00:00:00\')', "INSERT INTO items (seen) VALUES ('2024-02-29 02:00:00')", 'UPDATE items SET seen = seen + INTERVAL 1 DAY WHERE id = 1', 'UPDATE items SET seen = changed WHERE id IN (1, 7)',
      ];
      const differences: string[] = [];
      for (const [index, sql] of zoned.entries()) {
        const found = await difference(on, { line: index, sql, parameters: [], refused: new Map(), notOn: new Set(), fails: undefined, isFound: false, zone: '+05:30' }, []);
        if (found !== undefined) differences.push(found);
      }
      expect(differences.join('\n\n')).toBe('');
    });
  });
}
