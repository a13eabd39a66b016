/**
 * Random statements of MySQL's dialect: where the translation takes one, local answers what the server answers, or with an error. One generator makes what the
 * translation lets through, the other puts values of every type into every place. CAUSEWAY_DIALECT_STATEMENTS sets how many are tried, CAUSEWAY_DIALECT_SEED from where,
 * CAUSEWAY_DIALECT_ZONE in which time zone (Europe/Berlin, Australia/Lord_Howe), CAUSEWAY_DIALECT_SESSION with what else set, as read-dialect-corpus.ts has it.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MysqlParameter } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { Random } from '../../soak/torture-random.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { answersDiffer, foldedAnswer } from './mysql-answers.ts';
import { isWrite, MysqlCorpus, UnboundParameter } from './mysql-corpus.ts';
import type { MysqlAnswer } from './mysql-corpus.ts';
import { errorNumber } from './mysql-error-number.ts';
import type { SessionSettings } from './read-dialect-corpus.ts';
import { MysqlStatements } from './random-mysql-statement.ts';
import { WildMysqlStatements } from './wild-mysql-statement.ts';
import type { WildStatement } from './wild-mysql-statement.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const count = Number(process.env['CAUSEWAY_DIALECT_STATEMENTS'] ?? 300);
const seed = Number(process.env['CAUSEWAY_DIALECT_SEED'] ?? 1);
const zone = process.env['CAUSEWAY_DIALECT_ZONE'] ?? 'UTC';
const session = JSON.parse(process.env['CAUSEWAY_DIALECT_SESSION'] ?? '{}') as SessionSettings;
/** Of the wild ones as many are made for one that is tried. */
const WILD = 3;
/** Errors of a text that is no SQL, or none of these types, on local: the translation is wrong, though not silently. */
const isOurs = /syntax error|does not exist|operator|cannot cast|could not determine|must be type|is of type|collation mismatch|must appear in the GROUP BY|more than one|UNION types|could not be matched|not unique|conflicting|collations|invalid reference/i;
/** What the server refuses for its form. */
const isForm = /syntax|Unknown column|GROUP BY|Illegal mix|HAVING clause|FUNCTION .* does not exist|is not valid for CHARACTER SET|doesn't yet support|Incorrect usage|Can't reopen|specify target table/;

/** ER_WARN_DATA_OUT_OF_RANGE and ER_DATA_OUT_OF_RANGE: local does not say whether it was the value or the column. */
const isRange: ReadonlySet<number | undefined> = new Set([1264, 1690]);
/** ER_BAD_NULL_ERROR, ER_DIVISION_BY_ZERO, ER_WARN_DATA_OUT_OF_RANGE, WARN_DATA_TRUNCATED, ER_TRUNCATED_WRONG_VALUE, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ER_DATA_TOO_LONG, ER_DATETIME_FUNCTION_OVERFLOW, ER_DATA_OUT_OF_RANGE: of several rows and columns each side comes to another one first. */
const isValue: ReadonlySet<number | undefined> = new Set([1048, 1264, 1265, 1292, 1365, 1366, 1406, 1441, 1690]);
/** ER_DATETIME_FUNCTION_OVERFLOW, of DATE another one in MySQL 9. */
const isOverflow: ReadonlySet<number | undefined> = new Set([1441, 6527]);

/** What a server answers wrongly itself. */
function isWrongThere(kind: MysqlKind, sql: string): boolean {
  // Doubles are added in the order of an index, whose last digits are others.
  if (/(?:SUM|AVG)\((?:DISTINCT )?.*\b(?:LN|LOG10|SQRT|POW|EXP)\(.* FROM moments/.test(sql)) return true;
  // It loses the rows without a partner of an outer join, and those where NULL <=> NULL.
  // It sums distinct large numbers through others, forgets that an IN over a subquery of NULLs was unknown, and takes what is made of TIME for Latin-1.
  // It takes a bound number of 64 bits for a negative one, and has no room for the integers of a column beside a DECIMAL.
  if (kind === 'mysql-5.6') return /(?:LEFT|RIGHT) JOIN .* IS (?:NOT TRUE|UNKNOWN)|<=>.* IS NOT NULL|(?:SUM\(DISTINCT CEIL|DISTINCT bm)|IN \(SELECT .*(?:NULL|SUM)|@n\) IN \(|SEC_TO_TIME|CAST\(\? AS|(?:ALL|ANY) \(SELECT (?:MIN|@n)|CONCAT\(COUNT|(?:LN|POW|LOG10|SQRT)\(\?|M(?:IN|AX)\(IFNULL\(price, qty/.test(sql);
  // It shows the answer of another row for the group of those whose IN is unknown.
  // It counts a bound NULL among distinct values.
  if (kind === 'mysql-9.7') return /COUNT\(DISTINCT .*\?/.test(sql);
  return kind === 'mariadb-10.11' && /IN \(SELECT .* GROUP BY/.test(sql);
}

interface Figures {
  same: number;
  refused: number;
  'failed on local': number;
  'failed on both': number;
  'with another number': number;
  'failed on the server': number;
}

describeMysql(kinds, 'random statements', () => {
  let postgres: TestPostgres;
  const corpora: MysqlCorpus[] = [];

  beforeAll(async () => {
    postgres = await startTestPostgres();
    for (const kind of kinds) corpora.push(await MysqlCorpus.start(kind, postgres));
    for (const corpus of corpora) await corpus.setZone(zone);
    for (const corpus of corpora) await corpus.setSession(session);
    // Three servers, one after the other, on a machine that others use too.
  }, 300_000);
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

  async function difference(corpus: MysqlCorpus, statement: WildStatement, own: Figures, isBound: boolean): Promise<string | undefined> {
    const { sql, parameters } = statement;
    if (isWrongThere(corpus.kind, sql)) return undefined;
    const translation = corpus.translate(sql, isBound ? parameters : undefined);
    if (translation.type === 'refused') {
      own.refused += 1;
      return undefined;
    }
    const place = `${corpus.kind}: ${sql}${parameters.length === 0 ? '' : ` ${JSON.stringify(parameters.map(({ kind, value }: MysqlParameter) => `${kind} ${value}`))}`}\n  ${translation.steps.map(({ text }) => text).join('; ')}`;
    const found = await attempt(() => corpus.translated(translation, parameters, isWrite(sql)));
    if (found instanceof UnboundParameter && found.number === undefined) {
      own.refused += 1;
      return undefined;
    }
    const expected = await attempt(() => corpus.reference(sql, parameters));
    if (found instanceof Error) {
      own[expected instanceof Error ? 'failed on both' : 'failed on local'] += 1;
      if (isOurs.test(found.message)) return `${place}\n  ${found.message}`;
      if (!(expected instanceof Error) || isForm.test(expected.message)) return undefined;
      const [one, other] = [errorNumber(expected, corpus.facts.mode.server), errorNumber(found, corpus.facts.mode.server)];
      // Of several rows each side may come to another first.
      if (one === other || (isRange.has(one) && isRange.has(other)) || (isOverflow.has(one) && isOverflow.has(other)) || (one === 1365 && isRange.has(other)) || (isWrite(sql) && isValue.has(one) && isValue.has(other)) || one === 1062 || /ROWS BETWEEN|INTO.* SELECT /.test(sql) || / after 2038: | longer than |affect row a second time/.test(found.message) || /max_allowed_packet/.test(expected.message) || (corpus.kind === 'mysql-5.6' && one === 1265)) return undefined;
      own['with another number'] += 1;
      return `${place}\n  ${one}: ${expected.message}\n  local: ${other}: ${found.message}`;
    }
    if (expected instanceof Error) {
      own['failed on the server'] += 1;
      // Which values are looked at before it is known that they are needed is each side's own affair.
      return isForm.test(expected.message) || /WHERE|IF\(|CASE|AND|OR|COALESCE|IFNULL| ON /.test(sql) ? undefined : `${place}\n  runs, and does not on the server: ${expected.message}`;
    }
    const [one, other] = statement.isFolded ? [foldedAnswer(expected), foldedAnswer(found)] : [expected, found];
    // A number that is bound among integers is described as one of them.
    const differing = answersDiffer(one, other, statement.isOrdered, corpus.kind === 'mysql-5.6' || parameters.some(({ kind }) => kind === 'double' || kind === 'unsigned'));
    if (differing === undefined) own.same += 1;
    return differing === undefined ? undefined : `${place}\n  ${differing}`;
  }

  async function run(statements: Iterable<WildStatement>, least: number): Promise<void> {
    const figures = new Map(corpora.map((corpus): [MysqlCorpus, Figures] => [corpus, { same: 0, refused: 0, 'failed on local': 0, 'failed on both': 0, 'with another number': 0, 'failed on the server': 0 }]));
    const differences: string[] = [];
    let at = 0;
    for (const statement of statements) {
      at += 1;
      for (const [corpus, own] of figures) differences.push(...([await difference(corpus, statement, own, at % 2 === 0)].filter((text) => text !== undefined)));
    }
    console.log([...figures].map(([corpus, own]) => `${corpus.kind}: ${JSON.stringify(own)}`).join('\n'));
    for (const own of figures.values()) expect(own.same).toBeGreaterThan(least);
    expect(differences.join('\n\n')).toBe('');
  }

  function* known(): Iterable<WildStatement> {
    const statements = new MysqlStatements(new Random(seed));
    for (let done = 0; done < count; done += 1) {
      const sql = statements.next();
      yield { sql, parameters: [], isOrdered: sql.includes(' ORDER BY ') && sql.startsWith('SELECT'), isFolded: false };
    }
  }

  function* wild(): Iterable<WildStatement> {
    const statements = new WildMysqlStatements(new Random(seed), zone === 'UTC' ? undefined : 'moments');
    for (let done = 0; done < count * WILD; done += 1) yield statements.next();
  }

  test(`${count} of them, from seed ${seed}`, async () => run(known(), count * 0.3), 3_600_000);

  test(`${count * WILD} wild ones, from seed ${seed}`, async () => run(wild(), count * WILD * 0.05), 3_600_000);
});
