/**
 * Every statement of pg-to-mysql.txt answers on MySQL and MariaDB, translated, what it answers on PostgreSQL: rows, values as text, row
 * counts, and the tables afterwards; or it is refused by the name that the file gives. Nothing differs silently.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { treeOf } from '../../../grammar/sql/tree.ts';
import { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { answerText, isWrite } from './dialect-answer.ts';
import type { DialectAnswer } from './dialect-answer.ts';
import { DialectReference } from './dialect-reference.ts';
import { DialectTarget, statementOf } from './dialect-target.ts';
import { readDialectCorpus } from './read-dialect-corpus.ts';
import type { CorpusEntry } from './read-dialect-corpus.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const corpus = readDialectCorpus('pg-to-mysql.txt');
/** What an old server has nothing for at all. */
const lacking: ReadonlySet<string> = new Set(['window function', 'WITH RECURSIVE', 'LATERAL', 'SKIP LOCKED', 'NOWAIT']);

let parser: WasmParser;
/** By line: what PostgreSQL answers, or the message of its error. */
const onPostgres = new Map<number, DialectAnswer | string>();

beforeAll(async () => {
  parser = await WasmParser.load();
  await using reference = await DialectReference.start();
  for (const { line, sql, parameters } of corpus) onPostgres.set(line, await reference.run(sql, parameters));
});

const isOrdered = (sql: string): boolean => treeOf(treeOf(statementOf(parser, sql))?.['SelectStmt'])?.['sortClause'] !== undefined;

/** Undefined: as it should be. */
async function difference(target: DialectTarget, kind: MysqlKind, entry: CorpusEntry): Promise<string | undefined> {
  const place = `line ${entry.line}: ${entry.sql}`;
  const translation = target.translate(entry.sql);
  const wanted = entry.refused.get(kind) ?? entry.refused.get('all');
  if (translation.type === 'refused') return translation.construct === wanted ? undefined : `${place}\n  refused: ${translation.construct}${wanted === undefined ? '' : `, not: ${wanted}`}`;
  const sent = translation.steps.map(({ text }) => text.replace(/\0(\d+)\0/g, '?$1')).join('; ');
  if (wanted !== undefined) return `${place}\n  not refused (${wanted}): ${sent}`;
  const expected = onPostgres.get(entry.line) ?? 'was not run';
  const isError = typeof expected === 'string';
  try {
    const found = await target.run(translation, entry.parameters, isWrite(entry.sql));
    if (entry.fails === 'translated') return `${place}\n  ran: ${sent}`;
    if (isError) return `${place}\n  ran, and does not on PostgreSQL (${expected}): ${sent}\n  ${JSON.stringify(found.rows).slice(0, 300)}`;
    const [one, other] = [answerText(expected, isOrdered(entry.sql)), answerText(found, isOrdered(entry.sql))];
    return one === other ? undefined : `${place}\n  PostgreSQL: ${one.slice(0, 700)}\n  MySQL:      ${other.slice(0, 700)}\n  ${sent}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (isError ? entry.fails === 'everywhere' : entry.fails === 'translated') return undefined;
    return `${place}\n  ${error.message}${isError ? ` (PostgreSQL: ${expected})` : ''}\n  ${sent}`;
  }
}

describe('the corpus', () => {
  test('has at least 300 statements, each once', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(300);
    expect(new Set(corpus.map(({ sql, parameters }) => `${sql} ${parameters.join(' | ')}`)).size).toBe(corpus.length);
  });

  test('says of each whether PostgreSQL runs it', () => {
    const wrong = corpus.filter(({ line, fails, refused }) => (typeof onPostgres.get(line) === 'string') !== (fails === 'everywhere') && !refused.has('all'));
    expect(wrong.map(({ line, sql }) => `${line}: ${sql}: ${JSON.stringify(onPostgres.get(line))}`)).toEqual([]);
  });
});

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let target: DialectTarget;
    beforeAll(async () => {
      target = await DialectTarget.start(kind, parser);
    });
    afterAll(async () => target[Symbol.asyncDispose]());

    test('answers as PostgreSQL does, or refuses by name', async () => {
      const differences: string[] = [];
      for (const entry of corpus) {
        const found = await difference(target, kind, entry);
        if (found !== undefined) differences.push(found);
      }
      expect(differences.join('\n\n')).toBe('');
    }, 120_000);

    test('runs at least nine of ten of what both servers know', () => {
      const answered = corpus.filter(({ line, refused }) => typeof onPostgres.get(line) !== 'string' && !lacking.has(refused.get(kind) ?? ''));
      const run = answered.filter(({ refused }) => !refused.has('all') && !refused.has(kind));
      console.log(`${kind}: ${run.length} of ${answered.length}`);
      expect(run.length / answered.length).toBeGreaterThanOrEqual(0.9);
    });
  });
}
