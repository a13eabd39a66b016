/**
 * Random statements over what the translation of MySQL's dialect lets through: where it translates one, local answers what the server answers, or with an
 * error. CAUSEWAY_DIALECT_STATEMENTS sets how many are tried, CAUSEWAY_DIALECT_SEED from where.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../soak/torture-random.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { answersDiffer } from './mysql-answers.ts';
import { isWrite, MysqlCorpus } from './mysql-corpus.ts';
import type { MysqlAnswer } from './mysql-corpus.ts';
import { MysqlStatements } from './random-mysql-statement.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const count = Number(process.env['CAUSEWAY_DIALECT_STATEMENTS'] ?? 300);
const seed = Number(process.env['CAUSEWAY_DIALECT_SEED'] ?? 1);
/** Errors of a text that is no SQL, or none of these types, on local: the translation is wrong, though not silently. */
const isOurs = /syntax error|does not exist|operator|cannot cast|could not determine|must be type|is of type|collation mismatch|must appear in the GROUP BY|more than one/i;
/** What the server refuses for its form. */
const isForm = /syntax|Unknown column|GROUP BY|Illegal mix|HAVING clause/;

/** What a server answers wrongly itself. */
function isWrongThere(kind: MysqlKind, sql: string): boolean {
  // It loses the rows without a partner of an outer join, and those where NULL <=> NULL.
  if (kind === 'mysql-5.6') return /(?:LEFT|RIGHT) JOIN .* IS (?:NOT TRUE|UNKNOWN)|<=>.* IS NOT NULL/.test(sql);
  // It shows the answer of another row for the group of those whose IN is unknown.
  return kind === 'mariadb-10.11' && /IN \(SELECT .* GROUP BY/.test(sql);
}

describeMysql(kinds, 'random statements', () => {
  let postgres: TestPostgres;
  const corpora: MysqlCorpus[] = [];
  const figures = new Map<MysqlCorpus, Record<'same' | 'refused' | 'failed on local' | 'failed on both' | 'failed on the server', number>>();

  beforeAll(async () => {
    postgres = await startTestPostgres();
    for (const kind of kinds) {
      const corpus = await MysqlCorpus.start(kind, postgres);
      corpora.push(corpus);
      figures.set(corpus, { same: 0, refused: 0, 'failed on local': 0, 'failed on both': 0, 'failed on the server': 0 });
    }
  });
  afterAll(async () => {
    for (const corpus of corpora) await corpus[Symbol.asyncDispose]();
    await postgres[Symbol.asyncDispose]();
  });

  async function attempt(run: () => Promise<MysqlAnswer>): Promise<MysqlAnswer | Error> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Error) || ('fatal' in error && error.fatal === true)) throw error;
      return error;
    }
  }

  async function difference(corpus: MysqlCorpus, sql: string): Promise<string | undefined> {
    const own = figures.get(corpus);
    if (own === undefined) throw new Error(corpus.kind);
    if (isWrongThere(corpus.kind, sql)) return undefined;
    const translation = corpus.translate(sql);
    if (translation.type === 'refused') {
      own.refused += 1;
      return undefined;
    }
    const place = `${corpus.kind}: ${sql}\n  ${translation.steps.map(({ text }) => text).join('; ')}`;
    const expected = await attempt(() => corpus.reference(sql, []));
    const found = await attempt(() => corpus.translated(translation, [], isWrite(sql)));
    if (found instanceof Error) {
      own[expected instanceof Error ? 'failed on both' : 'failed on local'] += 1;
      return isOurs.test(found.message) ? `${place}\n  ${found.message}` : undefined;
    }
    if (expected instanceof Error) {
      own['failed on the server'] += 1;
      // Which values are looked at before it is known that they are needed is each side's own affair.
      return isForm.test(expected.message) ? undefined : /WHERE|IF\(|CASE|AND|OR|COALESCE|IFNULL/.test(sql) ? undefined : `${place}\n  runs, and does not on the server: ${expected.message}`;
    }
    const differing = answersDiffer(expected, found, sql.includes(' ORDER BY ') && sql.startsWith('SELECT'), corpus.kind === 'mysql-5.6');
    if (differing === undefined) own.same += 1;
    return differing === undefined ? undefined : `${place}\n  ${differing}`;
  }

  test(`${count} of them, from seed ${seed}`, async () => {
    const statements = new MysqlStatements(new Random(seed));
    const differences: string[] = [];
    for (let done = 0; done < count; done += 1) {
      const sql = statements.next();
      for (const corpus of corpora) differences.push(...([await difference(corpus, sql)].filter((text) => text !== undefined)));
    }
    console.log([...figures].map(([corpus, own]) => `${corpus.kind}: ${JSON.stringify(own)}`).join('\n'));
    for (const own of figures.values()) expect(own.same).toBeGreaterThan(count * 0.3);
    expect(differences.join('\n\n')).toBe('');
  }, 3_600_000);
});
