/** Each option takes exactly the values of its range, and what holds for a table is decided in one order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MigrationError } from '../../../config/migration-error.ts';
import { helpRows } from '../../../grammar/migration/help.ts';
import { formatInterval, maxIntervalMs, parseInterval } from '../../../grammar/migration/interval.ts';
import { isPredicate } from '../../../grammar/migration/option-kinds.ts';
import { defaultOptions, mergeOptions, optionNames, optionTable } from '../../../grammar/migration/options.ts';
import type { OptionName } from '../../../grammar/migration/options.ts';
import { parseMigration } from '../../../grammar/migration/parse.ts';
import { statementTypes, syntaxTable } from '../../../grammar/migration/syntax.ts';
import { nearest } from '../../../grammar/migration/suggest.ts';

const read = (option: OptionName, written: string): unknown => {
  const [statement] = parseMigration(`START MIGRATION FOR TABLE t FROM s OPTIONS (${optionTable[option].name} ${written})`);
  if (statement?.type !== 'start') throw new Error('not reached');
  return statement.options[option];
};

describe('values', () => {
  const cases: readonly (readonly [OptionName, readonly (readonly [written: string, value: unknown])[], readonly string[]])[] = [
    ['batchSize', [['1', 1], ["'10000'", 10_000], ['10_000_000', 10_000_000], ['0x10', 16], ['+5', 5], ['1e3', 1000]], ['0', '10000001', '1.5', "''", 'many', "'1 '' '", '1e400']],
    ['rateLimitRowsPerSecond', [['0', 0]], ['-1', "'-1'"]],
    ['validationSample', [['1', 1], ['.5', 0.5], ['1e-3', 0.001]], ['0', '1.01', '-0.5', "'NaN'", 'nan']],
    ['cutoverLagThresholdMs', [['0', 0], ['0.25', 250], ["'5'", 5000]], ['-1', '3601', "'5 s'"]],
    ['deferIndexes', [['TRUE', true], ["'on'", true], ['yes', true], ['1', true], ['off', false], ["'False'", false], ['no', false], ['0', false]], ['2', 'y', "''"]],
    ['conflictStrategy', [["'SOURCE_WINS'", 'source_wins'], ['fail', 'fail_on_conflict'], ["'timestamp'", 'timestamp_wins'], ["'custom'", 'custom_merge']], ["''", '1', "'toString'", "'constructor'"]],
    ['dualWriteMode', [["'two_phase'", 'two_phase']], ["'2pc'"]],
    ['rollbackWindowMs', [["'unlimited'", null], ['UNLIMITED', null], ["'7 days'", 604_800_000]], ['7', "'0 s'", "'never'", "'-1 day'", "'1 year'"]],
    ['validationIntervalMs', [["'never'", null], ["'01:30'", 5_400_000], ["'1h30m'", 5_400_000]], ["'unlimited'", "'1'", "'h'", "''"]],
    ['columns', [["'id'", ['id']], ["'ID , \"Na me\",c'", ['id', 'Na me', 'c']]], ["''", "'a,'", "'a b'", "'a.b'", "'*'", "'a,A'", '5']],
    ['orderBy', [["'Id'", 'id'], ['id', 'id'], ["'\"I\"'", 'I']], ["'a, b'", "'a.b'", "'a desc'", "''"]],
    ['targetTable', [["'T'", { schema: undefined, name: 't' }], ["'s.\"T\"'", { schema: 's', name: 'T' }]], ["'a.b.c'", "'a,b'", "'a.'", "''", '1']],
    ['targetSchema', [["'S'", 's']], ["'a.b'", "''"]],
    ['whereClause', [["'a = ''x'''", "a = 'x'"], ['$$a > 1$$', 'a > 1']], ["''", "'('", "' '", "'a -- b'", "'a /* b'", "'a; b'", "'a = $1'", "'a) OR (b'", "'a)--'", "'[)'", '5', 'a']],
  ];

  test.each(cases)('%s', (option, good, bad) => {
    for (const [written, value] of good) expect(read(option, written), written).toEqual(value);
    for (const written of bad) expect(() => read(option, written), written).toThrow(/MIG07[01]/);
  });

  test('every default is in its range', () => {
    for (const key of optionNames) {
      const printed = optionTable[key].print(defaultOptions[key] as never);
      if (printed !== "''") expect(read(key, printed), key).toEqual(defaultOptions[key]);
    }
  });

  test('a condition stays inside its parentheses, whatever it is', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('a', '(', ')', '[', ']', "'", '"', '--', '/*', '*/', ';', '\n', '$$', '$1', ' ', "E'\\'"), { maxLength: 10 }), (parts) => {
      const condition = parts.join('');
      if (!isPredicate(condition)) return;
      // Behind it the parenthesis is closed, and what follows is outside.
      expect(isPredicate(`(${condition}) AND b`)).toBe(true);
      expect(isPredicate(`${condition}) AND (b`)).toBe(false);
    }), { numRuns: 5000 });
  });
});

describe('what holds', () => {
  test('statement before source before configuration before default', () => {
    const merged = mergeOptions({ batchSize: 1, parallelWorkers: 1, maxErrors: 1 }, { batchSize: 2, parallelWorkers: 2 }, { batchSize: 3 });
    expect([merged.batchSize, merged.parallelWorkers, merged.maxErrors, merged.cdcBatchSize]).toEqual([3, 2, 1, 1000]);
    expect(Object.isFrozen(merged)).toBe(true);
    expect(Object.keys(mergeOptions({}, {}, {})).toSorted()).toEqual(optionNames.toSorted());
  });

  test('"none" given by a statement goes before a value of the source', () => {
    expect(mergeOptions({}, { rollbackWindowMs: 1000 }, { rollbackWindowMs: null }).rollbackWindowMs).toBe(null);
  });

  test('options survive being stored as JSON', () => {
    const merged = mergeOptions({}, {}, { targetTable: { schema: 's', name: 't' }, columns: ['a'] });
    expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
  });

  test.each([
    [{ conflictStrategy: 'timestamp_wins' }, 'needs conflict_timestamp_column'],
    [{ conflictStrategy: 'custom_merge' }, 'needs conflict_merge_function'],
    [{ targetSchema: 'a', targetTable: { schema: 'b', name: 't' } }, 'different schemas'],
    [{ skipOnError: true }, 'needs max_errors'],
    [{ orderBy: 'x', columns: ['y'] }, 'not among columns'],
  ] as const)('a contradiction is refused: %o', (options, message) => {
    expect(() => mergeOptions({}, {}, options)).toThrow(MigrationError);
    expect(() => mergeOptions({}, {}, options)).toThrow(message);
  });
});

describe('lengths of time', () => {
  test('what is printed reads back', () => {
    fc.assert(fc.property(fc.oneof(fc.integer({ min: 0, max: maxIntervalMs }), fc.integer({ min: 0, max: 1000 }).map((n) => n * 60_000)), (ms) => {
      expect(parseInterval(formatInterval(ms))).toBe(ms);
    }));
  });

  test.each([['1 hour', 3_600_000], ['24 hours', 86_400_000], [' 1 Day  2 hours ', 93_600_000], ['1.5 s', 1500], ['250 ms', 250], ['01:00:00', 3_600_000], ['00:00:01.5', 1500], ['1 day 01:00', 90_000_000], ['2w', 1_209_600_000]])('%s', (text, ms) => {
    expect(parseInterval(text)).toBe(ms);
  });

  test.each(['', ' ', '1', 'hour', '1 month', '1 hour ago', '-1 hour', '1,5 s', '1:2', '99999999 weeks', '1 constructor', '1 hour,'])('refused: "%s"', (text) => {
    expect(parseInterval(text)).toBe(undefined);
  });
});

describe('help', () => {
  test('without a topic: every statement, and the way to the options', () => {
    expect(helpRows(undefined).map(({ syntax }) => syntax)).toEqual([...statementTypes.map((type) => syntaxTable[type].form), 'SHOW MIGRATION HELP OPTIONS']);
  });

  test('a topic is the beginning of a statement, a word in it, an option, or all options', () => {
    expect(helpRows('cutover').map(({ topic }) => topic)).toEqual(['CUTOVER']);
    expect(helpRows('Show Migration').length).toBe(statementTypes.filter((type) => type.startsWith('show_')).length);
    expect(helpRows('accept ddl').map(({ topic }) => topic)).toEqual(['RESUME MIGRATION']);
    expect(helpRows('batch_size')).toEqual([{ topic: 'batch_size', syntax: 'a whole number from 1 to 10000000 (default 10000)', description: 'Rows per chunk of the bulk load. [START MIGRATION, MIGRATION SOURCE]' }]);
    const options = helpRows('options').map(({ topic }) => topic);
    for (const key of optionNames) expect(options).toContain(optionTable[key].name);
    expect(helpRows('weather')).toEqual([]);
  });

  test('the topic shown for a statement leads back to it', () => {
    for (const row of helpRows(undefined).slice(0, -1)) expect(helpRows(row.topic).map(({ syntax }) => syntax)).toContain(row.syntax);
  });
});

test('near misses', () => {
  const names = ['batch_size', 'columns', 'order_by', 'TABLE'];
  expect(nearest('bathc_size', names)).toBe('batch_size');
  expect(nearest('tabel', names)).toBe('TABLE');
  expect(nearest('colums', names)).toBe('columns');
  expect(nearest('table', names)).toBe(undefined);
  expect(nearest('ab', names)).toBe(undefined);
  expect(nearest('weather', names)).toBe(undefined);
});
