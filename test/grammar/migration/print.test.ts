/** What is printed parses back to the same statement, is recognised as ours, and shows no password unless asked for. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMigration } from '../../../grammar/migration/parse.ts';
import { printStatement } from '../../../grammar/migration/print.ts';
import { isMigrationText } from '../../../grammar/migration/recognise.ts';
import { statementTypes } from '../../../grammar/migration/syntax.ts';
import { anyStatement, statementArbitraries } from './arbitrary-statement.ts';

describe('parse(print(x)) = x', () => {
  test.each(statementTypes)('%s', (type) => {
    fc.assert(fc.property(statementArbitraries[type], (statement) => {
      const printed = printStatement(statement, 'show');
      expect(isMigrationText(printed)).toBe(true);
      expect({ printed, parsed: parseMigration(printed) }).toEqual({ printed, parsed: [statement] });
    }), { numRuns: 300 });
  });

  test('several, one text', () => {
    fc.assert(fc.property(fc.array(anyStatement, { maxLength: 4 }), (statements) => {
      const separate = statements.filter(({ type }) => type !== 'explain_route');
      expect(parseMigration(separate.map((statement) => `${printStatement(statement, 'show')};`).join('\n'))).toEqual(separate);
    }), { numRuns: 200 });
  });
});

test('what is printed twice is printed the same', () => {
  fc.assert(fc.property(anyStatement, (statement) => {
    const printed = printStatement(statement);
    expect(parseMigration(printed).map((parsed) => printStatement(parsed))).toEqual([printed]);
  }));
});

test('passwords are masked, wherever they stand', () => {
  fc.assert(fc.property(fc.oneof(statementArbitraries.create_user_mapping, statementArbitraries.alter_user_mapping), (statement) => {
    const hidden = printStatement(statement);
    const options = statement.type === 'create_user_mapping' ? [statement.options] : [statement.changes.add, statement.changes.set];
    const count = options.filter(({ password }) => password !== undefined).length;
    expect(hidden.split("password '********'").length - 1).toBe(count);
  }));
  expect(printStatement(parseMigration("CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'x', password 'geheim')")[0] ?? { type: 'show_sources' }))
    .toBe("CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'x', password '********')");
});

test('canonical text', () => {
  const canonical = (sql: string): string => parseMigration(sql).map((statement) => printStatement(statement)).join('; ');
  expect(canonical('start migration for table Public."Orders" from LEGACY options (batch_size 1_000, defer_indexes off, rollback_window \'90 min\')'))
    .toBe('START MIGRATION FOR TABLE public."Orders" FROM legacy OPTIONS (batch_size 1000, defer_indexes FALSE, rollback_window \'90 minutes\')');
  expect(canonical('cutover table "table" timeout 2.5 no fence force')).toBe('CUTOVER TABLE "table" FORCE NO FENCE TIMEOUT 2.5');
  expect(canonical("alter server s options (drop port, set host 'h')")).toBe("ALTER SERVER s OPTIONS (SET host 'h', DROP port)");
});
