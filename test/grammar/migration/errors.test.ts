/** Whatever is wrong with a text, the error is a MigrationError that points at the offending token, and no secret is in it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MigrationError } from '../../../config/migration-error.ts';
import { parseMigration } from '../../../grammar/migration/parse.ts';
import { isMigrationText, rowCountsSource } from '../../../grammar/migration/recognise.ts';
import { statementTypes, syntaxTable } from '../../../grammar/migration/syntax.ts';
import { brokenInputs } from './broken-inputs.ts';

function errorOf(sql: string): MigrationError | undefined {
  try {
    parseMigration(sql);
    return undefined;
  } catch (error) {
    if (error instanceof MigrationError) return error;
    throw new Error(`threw something else for ${JSON.stringify(sql)}`, { cause: error });
  }
}

describe('broken texts', () => {
  test('there are at least sixty of them', () => {
    expect(brokenInputs.length).toBeGreaterThanOrEqual(60);
  });

  test.each(brokenInputs)('%s', (input, code, message) => {
    const error = errorOf(input.replace('‸', ''));
    const position = Array.from(input).indexOf('‸') + 1;
    expect({ code: error?.code, message: error?.message, position: error?.position }).toEqual({ code, message: `${code}: ${message}`, position });
    expect(error?.sqlstate).toBe(code === 'MIG070' ? '42601' : '22023');
  });

  test.each(['START MIGRATON FOR TABLE x', 'SHOW MIGRATOIN STATUS', 'ABORT MIGRATINO ALL', 'CREATE MIGRATON SOURCE s', 'ROLLBACK MIGRTION FOR TABLE x'])('a slip in the second word is ours to explain: %s', (sql) => {
    expect(isMigrationText(sql)).toBe(true);
    expect(errorOf(sql)).toMatchObject({ code: 'MIG070' });
    expect(errorOf(sql)?.message).toMatch(/; did you mean MIGRATION\?$/);
  });

  test('hints lead to the help of the statement at hand', () => {
    expect(errorOf('CUTOVER TABL x')?.hint).toBe('SHOW MIGRATION HELP CUTOVER shows the form.');
    expect(errorOf('CUTOVER ALL TIMEOUT 0')?.hint).toBe('SHOW MIGRATION HELP OPTIONS lists every option with its values.');
    expect(errorOf('CUTOVER ALL; SELECT 1')?.hint).toContain('one by one');
    expect(errorOf('SELECT 1')?.hint).toBe('SHOW MIGRATION HELP lists every statement.');
  });

  test('a password is never repeated, wherever the error is', () => {
    const secret = 'geheim77';
    for (const rest of [`'${secret}' x)`, `${secret})`, `'x' ${secret})`, `'x', port '${secret}')`, `'${secret}`, `'${secret}'; CUTOVER`, `${secret} '${secret}'`, `E'\\q' '${secret}'`, `77${secret})`]) {
      for (const head of ['CREATE USER MAPPING FOR u SERVER s OPTIONS (password ', 'ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password ']) {
        const error = errorOf(head + rest);
        expect(error, rest).toBeDefined();
        expect(JSON.stringify([error?.message, error?.detail, error?.hint]), rest).not.toContain(secret);
      }
    }
  });
});

const words = ['CUTOVER', 'TABLE', 'MIGRATION', 'FOR', 'SHOW', 'OPTIONS', 'START', 'FROM', 'SERVER', 'CREATE', 'ALTER', 'USER', 'MAPPING', 'EXPLAIN', 'ROUTE', 'NO', 'TIMEOUT', 'batch_size',
  'x', '"y"', "'z'", '(', ')', ',', '.', ';', '=', '-', '1', '1.5', '.5', '1e3', '0x1F', '1x', "E'\\n'", "E'\\u12'", "'", '"', '$$', '$a$', '$1', '/*', '*/', '--', '\n', '\\', 'ü', '😀', '\0', '\ud800'];

describe('garbage', () => {
  test('never throws anything but MigrationError, and points into the text', () => {
    const garbage = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fc.constantFrom(...words), { maxLength: 25 }).map((list) => list.join(' ')),
      // A good statement with one thing put in, taken out or doubled.
      fc.tuple(fc.constantFrom(...statementTypes), fc.nat(), fc.nat(3), fc.constantFrom(...words)).map(([type, at, cut, word]) => {
        const text = syntaxTable[type].example;
        const offset = at % (text.length + 1);
        return `${text.slice(0, offset)}${word}${text.slice(offset + cut)}`;
      }),
    );
    fc.assert(fc.property(garbage, (text) => {
      const error = errorOf(text);
      isMigrationText(text);
      rowCountsSource(text);
      if (error === undefined) return;
      expect(['MIG070', 'MIG071']).toContain(error.code);
      expect(error.position).toBeGreaterThanOrEqual(1);
      expect(error.position).toBeLessThanOrEqual(Array.from(text).length + 1);
    }), { numRuns: 5000 });
  });

  test('long and deep texts end quickly and without a stack overflow', () => {
    const many = 200_000;
    for (const text of [`SHOW ${'('.repeat(many)}`, `SHOW ${'/*'.repeat(many)}`, `EXPLAIN ROUTE ${'('.repeat(many)}`, `SHOW MIGRATION HELP ${"'a'\n".repeat(many)}`, ';'.repeat(many), `CUTOVER TABLE ${'a'.repeat(many)} x`, `CUTOVER TABLE "${'""'.repeat(many)}`]) {
      const started = performance.now();
      errorOf(text);
      expect(performance.now() - started).toBeLessThan(2000);
    }
  });
});
