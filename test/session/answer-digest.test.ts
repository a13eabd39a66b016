/** Property: the same answer gives the same digest however its bytes are split; another row, another order, another number of rows give another one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerDigest } from '../../src/session/shadow/answer-digest.ts';
import { exampleOf, likeness } from '../../src/session/shadow/compare-answers.ts';
import { commandComplete, dataRow, noData, readyForQuery, rowDescription } from '../../src/wire/backend-messages.ts';
import { writeError, writeNotice } from '../../src/wire/error-fields.ts';
import { message } from '../../src/wire/message.ts';

type Row = readonly (string | null)[];

const columns = [{ name: 'id', typeOid: 23 }, { name: 'name', typeOid: 25 }];
const answerOf = (rows: readonly Row[]): Buffer => Buffer.concat([rowDescription(columns), ...rows.map((row) => dataRow(row)), commandComplete(`SELECT ${rows.length}`)]);

function digestOf(bytes: Buffer, splits: readonly number[] = [], options: { readonly maxBytes?: number; readonly keeps?: boolean } = {}): AnswerDigest {
  const digest = new AnswerDigest(options.maxBytes ?? 1 << 20, options.keeps);
  let from = 0;
  for (const at of [...splits.map((split) => split % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    digest.see(bytes.subarray(from, at));
    from = at;
  }
  return digest;
}

const summary = (digest: AnswerDigest): unknown => [digest.end, digest.rows, digest.bytes, digest.columns, digest.anyOrder, digest.inOrder, digest.kept?.map((row) => row.toString('hex')), digest.error];
const row = fc.array(fc.option(fc.string({ maxLength: 12 }).filter((text) => !text.includes('\0'))), { minLength: 1, maxLength: 4 });
const rows = fc.array(row, { maxLength: 12 });

it('splits make no difference', () => {
  fc.assert(fc.property(rows, fc.array(fc.nat(5_000), { maxLength: 20 }), (all, splits) => {
    const bytes = Buffer.concat([readyForQuery('I'), writeNotice({ severity: 'NOTICE', sqlstate: '00000', message: 'in between' }), answerOf(all)]);
    expect(summary(digestOf(bytes, splits, { keeps: true }))).toEqual(summary(digestOf(bytes, [], { keeps: true })));
  }));
  const bytes = Buffer.concat([answerOf([['1', 'a'], ['22', null]]), writeError({ severity: 'ERROR', sqlstate: '22012', message: 'division by zero' })]);
  const whole = summary(digestOf(bytes));
  for (let at = 0; at <= bytes.length; at++) expect(summary(digestOf(bytes, [at]))).toEqual(whole);
});

it('rows in another order are alike, and known to be in another order', () => {
  fc.assert(fc.property(rows.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))), ([all, shuffled]) => {
    const found = likeness(digestOf(answerOf(all)), digestOf(answerOf(shuffled)));
    expect(found).toBe(JSON.stringify(all) === JSON.stringify(shuffled) ? 'same' : 'same_in_other_order');
  }));
});

it('other rows are different', () => {
  fc.assert(fc.property(rows, rows, (one, other) => {
    const sorted = (all: readonly Row[]): string => JSON.stringify(all.map((each) => JSON.stringify(each)).sort());
    expect(likeness(digestOf(answerOf(one)), digestOf(answerOf(other))) === 'different').toBe(sorted(one) !== sorted(other));
  }), { numRuns: 500 });
});

it('a hundred thousand rows that differ in one digit have no two digests alike', () => {
  const seen = new Set<string>();
  for (let n = 0; n < 100_000; n++) seen.add(digestOf(dataRow([String(n), 'name'])).anyOrder);
  expect(seen.size).toBe(100_000);
});

describe('ends', () => {
  const answer = answerOf([['1', 'a'], ['2', 'b']]);
  it.each([
    ['complete', answer], ['open', answer.subarray(0, answer.length - 20)], ['other', Buffer.concat([answer, answer])], ['other', Buffer.concat([dataRow(['1']), message('s')])],
    ['other', message('I')], ['complete', Buffer.concat([noData, dataRow(['1']), commandComplete('SELECT 1'), readyForQuery('I')])], ['other', message('H', Buffer.from([0, 0, 0]))],
    ['failed', Buffer.concat([dataRow(['1']), writeError({ severity: 'ERROR', sqlstate: '22012', message: 'division by zero' })])],
  ] as const)('%s', (end, bytes) => expect(digestOf(bytes).end).toBe(end));

  it('too large, and nothing is kept of what comes then', () => {
    const digest = digestOf(answerOf(Array.from({ length: 100 }, (_, n) => [String(n), 'x'.repeat(50)])), [], { maxBytes: 500, keeps: true });
    expect(digest.end).toBe('too_large');
    expect(digest.kept?.length).toBeLessThan(10);
  });

  it('errors are alike by their code, types by their number unless they are the database\'s own', () => {
    const failed = (sqlstate: string): AnswerDigest => digestOf(writeError({ severity: 'ERROR', sqlstate, message: sqlstate }));
    expect(likeness(failed('22012'), failed('22012'))).toBe('same');
    expect(likeness(failed('22012'), failed('42P01'))).toBe('different');
    expect(likeness(failed('22012'), digestOf(answer))).toBe('different');
    const of = (typeOid: number): AnswerDigest => digestOf(Buffer.concat([rowDescription([{ name: 'a', typeOid }]), dataRow(['1']), commandComplete('SELECT 1')]));
    expect([likeness(of(23), of(20)), likeness(of(16_400), of(17_000)), likeness(of(23), digestOf(Buffer.concat([dataRow(['1']), commandComplete('SELECT 1')])))]).toEqual(['different', 'same', 'same']);
  });
});

it('an example is the first row that the other side does not have, cut where it is long', () => {
  const of = (all: readonly Row[]): AnswerDigest => digestOf(answerOf(all), [], { keeps: true });
  expect(exampleOf(of([['1', 'a'], ['2', null], ['2', null]]), of([['2', null], ['3', 'c'], ['1', 'a']]))).toBe('only on the source: (2, NULL); only on local: (3, c)');
  expect(exampleOf(of([['1', 'a']]), of([]))).toBe('only on the source: (1, a); only on local: none; 1 and 0 rows');
  expect(exampleOf(of([['1', 'ü'.repeat(1_000)]]), of([])).length).toBeLessThan(300);
});
