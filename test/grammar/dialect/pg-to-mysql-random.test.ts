/**
 * Random statements over what the emitter lets through, and wild ones that put values of every type into every place: where it translates one, the servers answer what PostgreSQL
 * answers, or with an error. CAUSEWAY_DIALECT_STATEMENTS sets how many are tried, CAUSEWAY_DIALECT_SEED from where.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { Random } from '../../soak/torture-random.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { answerText, isWrite } from './dialect-answer.ts';
import { DialectReference } from './dialect-reference.ts';
import { DialectTarget } from './dialect-target.ts';
import { DialectStatements } from './random-dialect-statement.ts';
import type { RandomStatement } from './random-dialect-statement.ts';
import { WildDialectStatements } from './wild-dialect-statement.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const count = Number(process.env['CAUSEWAY_DIALECT_STATEMENTS'] ?? 400);
/** Of the wild ones as many are made for one that is tried: half of them are no statements to PostgreSQL. */
const WILD = 2;
const seed = Number(process.env['CAUSEWAY_DIALECT_SEED'] ?? 1);

describeMysql(kinds, 'random statements', () => {
  let reference: DialectReference;
  const targets: DialectTarget[] = [];

  beforeAll(async () => {
    const parser = await WasmParser.load();
    reference = await DialectReference.start();
    for (const kind of kinds) targets.push(await DialectTarget.start(kind, parser));
  });

  afterAll(async () => {
    for (const target of targets) await target[Symbol.asyncDispose]();
    await reference[Symbol.asyncDispose]();
  });

  /** Figures of one server: what became of its statements. */
  const figures = new Map<DialectTarget, Record<'same' | 'refused' | 'failed' | 'failed on both' | 'failed on PostgreSQL', number>>();

  async function difference(target: DialectTarget, statement: RandomStatement, expected: Awaited<ReturnType<DialectReference['run']>>): Promise<string | undefined> {
    const own = figures.get(target) ?? { same: 0, refused: 0, failed: 0, 'failed on both': 0, 'failed on PostgreSQL': 0 };
    figures.set(target, own);
    const { sql, parameters } = statement;
    const translation = target.translate(sql);
    if (translation.type === 'refused') {
      own.refused += 1;
      return undefined;
    }
    const place = (): string => `${target.facts.capabilities.name}: ${sql} ${JSON.stringify(parameters)}\n  ${translation.steps.map(({ text }) => text.replace(/\0(\d+)\0/g, '?$1')).join('; ')}`;
    let found;
    try {
      found = await target.run(translation, parameters, isWrite(sql));
    } catch (error) {
      if (!(error instanceof Error) || ('fatal' in error && error.fatal === true)) throw new Error(place(), { cause: error });
      own[typeof expected === 'string' ? 'failed on both' : 'failed'] += 1;
      // MySQL 5.6 loses sight of a parameter in a UNION within FROM, and says so.
      return /syntax|Unknown (column|table)|Incorrect usage/.test(error.message) && !/Unknown column 'r\d+.c\d+'/.test(error.message) ? `${place()}\n  ${error.message}` : undefined;
    }
    if (typeof expected === 'string') {
      // Which values a server looks at before it knows that it needs them is its own affair, on PostgreSQL too.
      if (statement.isStrict || !/^2[12]/.test(expected)) return `${place()}\n  runs, and does not on PostgreSQL: ${expected}`;
      own['failed on PostgreSQL'] += 1;
      return undefined;
    }
    const [one, other] = [answerText(expected, statement.isOrdered), answerText(found, statement.isOrdered)];
    if (one === other) own.same += 1;
    return one === other ? undefined : `${place()}\n  PostgreSQL: ${one.slice(0, 500)}\n  found:      ${other.slice(0, 500)}`;
  }

  async function run(next: () => RandomStatement, many: number, isWild: boolean): Promise<void> {
    figures.clear();
    const differences: string[] = [];
    for (let done = 0; done < many; done += 1) {
      const statement = next();
      const expected = await reference.run(statement.sql, statement.parameters);
      // What PostgreSQL itself refuses for its form or types is asked of nobody.
      if (isWild && typeof expected === 'string' && /^42/.test(expected)) continue;
      for (const target of targets) differences.push(...([await difference(target, statement, expected)].filter((text) => text !== undefined)));
    }
    console.log([...figures].map(([target, own]) => `${target.facts.capabilities.name}: ${JSON.stringify(own)}`).join('\n'));
    for (const own of figures.values()) expect(own['failed on PostgreSQL']).toBeLessThanOrEqual(2 + many * 0.02);
    expect(differences.join('\n\n')).toBe('');
  }

  test(`${count} of them, from seed ${seed}`, async () => {
    const statements = new DialectStatements(new Random(seed));
    await run(() => statements.next(), count, false);
  }, 3_600_000);

  test(`${count * WILD} wild ones, from seed ${seed}`, async () => {
    const statements = new WildDialectStatements(new Random(seed));
    await run(() => statements.next(), count * WILD, true);
  }, 3_600_000);
});
