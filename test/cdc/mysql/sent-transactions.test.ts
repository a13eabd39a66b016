/** Transactions that are not confirmed are known by GTID with the positions that they were given, in this process and the next, and take no memory as long as nobody asks. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SentTransactions } from '../../../cdc/mysql/sent-transactions.ts';

let folder = '';
let files = 0;
const newFile = (): string => path.join(folder, `source.json.${(files += 1)}.sent`);
const gtidOf = (number: number): string => `3e11fa47-71ca-11e1-9e33-c80aa9429562:orders:${number}`;

beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-sent-'))));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('what is noted, confirmed, read again and found by the next process is what a list in memory says', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constant('note' as const), by: fc.integer({ min: 1, max: 1_500 }) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('flush' as const), by: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('again' as const), by: fc.integer({ min: 1, max: 300 }) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('confirm' as const), by: fc.nat(4_000) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const), by: fc.constant(0) }) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const file = newFile();
    let sent = new SentTransactions(file);
    const model = new Map<string, bigint>();
    let [number, confirmed] = [0, 0n];
    for (const { does, by } of steps) {
      if (does === 'note') {
        for (const end = number + by; number < end; ) {
          number += 1;
          sent.note(gtidOf(number), BigInt(number) * 10n);
          model.set(gtidOf(number), BigInt(number) * 10n);
        }
      } else if (does === 'flush') sent.flush();
      else if (does === 'again') for (let each = Math.max(1, number - by); each <= number; each += 1) sent.note(gtidOf(each), BigInt(each) * 10n);
      else if (does === 'confirm') {
        confirmed = confirmed > BigInt(number * 10 - by * 10) ? confirmed : BigInt(number * 10 - by * 10);
        sent.confirm(confirmed);
        for (const [gtid, order] of model) if (order <= confirmed) model.delete(gtid);
      } else {
        sent.flush();
        sent.close();
        sent = new SentTransactions(file);
        expect(sent.last).toBe(model.size === 0 ? sent.last : BigInt(number) * 10n);
        sent.confirm(confirmed);
      }
      expect([...sent.gtids]).toEqual([...model.keys()]);
      expect(sent.last >= ([...model.values()].at(-1) ?? 0n)).toBe(true);
      const middle = confirmed + BigInt(5 * by);
      expect([...sent.between(confirmed, middle)]).toEqual([...model].filter(([, order]) => order < middle));
      expect(sent.forgottenUpTo).toBe(0n);
    }
    sent.flush();
    // What is read again is not noted twice, and what is confirmed does not stay for ever.
    const bytes = fs.existsSync(file) ? fs.statSync(file).size : 0;
    const needed = [...model].reduce((sum, [gtid, order]) => sum + `${order} ${gtid}\n`.length, 0);
    expect(bytes).toBeLessThan(2 * needed + 600_000);
    sent.remove();
    expect(fs.existsSync(file)).toBe(false);
    expect([sent.last, [...sent.gtids].length]).toEqual([0n, 0]);
  }), { numRuns: 40 });
});

test('a line that a crash has cut off does not make the next one unreadable', () => {
  const file = newFile();
  fs.writeFileSync(file, `10 ${gtidOf(1)}\n20 ${gtidOf(2).slice(0, 9)}`);
  const sent = new SentTransactions(file);
  expect([sent.last, ...sent.gtids]).toEqual([10n, gtidOf(1)]);
  sent.note(gtidOf(2), 20n);
  sent.flush();
  sent.close();
  expect([...new SentTransactions(file).between(0n, 100n)]).toEqual([[gtidOf(1), 10n], [gtidOf(2), 20n]]);
});

test('a position that is given anew counts, and a statement is known apart from the rows of its transaction', () => {
  const sent = new SentTransactions(newFile());
  sent.note('0-1-7 statement', 10n);
  sent.note('0-1-7', 20n);
  sent.note('', 25n);
  sent.note('0-1-8', 30n);
  sent.flush();
  sent.note('0-1-7', 21n);
  sent.flush();
  expect([...sent.between(0n, 100n)].sort()).toEqual([['0-1-7 statement', 10n], ['0-1-7', 21n], ['0-1-8', 30n]].sort());
});

test('beyond its limit the oldest are forgotten, and said to be, until they are confirmed', () => {
  const file = newFile();
  const sent = new SentTransactions(file, 2_000);
  for (let number = 1; number <= 5_000; number += 1) {
    sent.note(gtidOf(number), BigInt(number));
    if (number % 50 === 0) sent.flush();
  }
  const kept = [...sent.between(0n, 10_000n).values()];
  expect(kept.length).toBeGreaterThan(1_000);
  expect(kept.length).toBeLessThanOrEqual(2_000);
  expect(sent.forgottenUpTo).toBe((kept[0] ?? 0n) - 1n);
  expect(fs.statSync(file).size).toBeLessThan(2_100 * `5000 ${gtidOf(5_000)}\n`.length);
  sent.confirm(sent.forgottenUpTo - 1n);
  expect(sent.forgottenUpTo).toBe((kept[0] ?? 0n) - 1n);
  sent.confirm(sent.forgottenUpTo);
  expect(sent.forgottenUpTo).toBe(0n);
});

test('300,000 that are not confirmed take no memory', () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const sent = new SentTransactions(newFile());
  const before = held();
  for (let number = 1; number <= 300_000; number += 1) {
    sent.note(gtidOf(number), BigInt(number));
    if (number % 300 === 0) sent.flush();
  }
  expect((held() - before) / 1e6).toBeLessThan(5);
  expect(sent.last).toBe(300_000n);
});
