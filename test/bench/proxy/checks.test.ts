/** The checks of a run can fail: pgbench's own words, where statements went, who is measured when, whose time is counted. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readDocument, tableRows } from '../../ops/document-table.ts';
import { shareProblem } from './mix.ts';
import { readOptions, usage } from './options.ts';
import { readOutput, readTimes } from './pgbench.ts';
import { isAtLeast, poolers, standsStill } from './poolers.ts';
import { processTimeUs } from './process-time.ts';
import { inTurn, Rounds } from './rounds.ts';
import type { Contender } from './rounds.ts';

const output = `transaction type: <builtin: select only>
number of transactions actually processed: 1200
number of failed transactions: 0 (0.000%)
initial connection time = 5.512 ms
tps = 599.123456 (without initial connection time)
`;

describe('what pgbench says', () => {
  test('is read, with and without the line of version 15', () => {
    expect(readOutput(output)).toEqual({ tps: 599.123456, transactions: 1_200 });
    expect(readOutput(output.replace(/number of failed.*\n/, ''))).toEqual({ tps: 599.123456, transactions: 1_200 });
  });

  test('is refused when transactions failed or nothing was done', () => {
    expect(() => readOutput(output.replace(': 0 (', ': 3 ('))).toThrow('3 of 1203 transactions failed');
    expect(() => readOutput(output.replace('1200', '0'))).toThrow('no figures');
    expect(() => readOutput('')).toThrow('no figures');
  });

  test('times of all its threads count; a failure among them is refused', () => {
    expect(readTimes(['0 1 100 0 1700000000 1\n0 2 300 0 1700000000 2\n', '1 1 200 0 1700000000 3\n'])).toEqual({ p50Us: 200, p99Us: 300 });
    expect(() => readTimes(['0 1 failed 0 1700000000 1\n'])).toThrow('failures');
    expect(() => readTimes([])).toThrow('no times');
  });
});

describe('where the statements of the mix went', () => {
  test('half on each side, each once', () => {
    expect(shareProblem({ source: 5_010, local: 4_990 }, 10_000, 0.5, true)).toBeUndefined();
    expect(shareProblem({ source: 10_000, local: 0 }, 10_000, 0, true)).toBeUndefined();
    expect(shareProblem({ source: 5_010, local: 5_020 }, 10_000, 0.5, false)).toBeUndefined();
  });

  test('one that is missing, one too many, the wrong side', () => {
    expect(shareProblem({ source: 5_000, local: 4_999 }, 10_000, 0.5, true)).toContain('not each once');
    expect(shareProblem({ source: 5_000, local: 5_001 }, 10_000, 0.5, true)).toContain('not each once');
    expect(shareProblem({ source: 5_000, local: 4_999 }, 10_000, 0.5, false)).toContain('not each once');
    expect(shareProblem({ source: 10_000, local: 0 }, 10_000, 0.5, true)).toContain('not 50 % on local');
    expect(shareProblem({ source: 9_999, local: 1 }, 10_000, 0, true)).toContain('not 0 % on local');
  });
});

describe('rounds', () => {
  const cell = { workload: 'select', mode: 'simple', clients: 1 };
  const contender = (name: string, order: string[], fail?: () => void): Contender => ({
    name, notPossible: () => (name === 'old' ? 'too old' : undefined),
    measure: (_cell, round) => {
      order.push(name);
      fail?.();
      return Promise.resolve({ round, tps: 1, transactions: 1, p50Us: 1, p99Us: 1, cpuUsPerStatement: undefined, workersUsPerStatement: undefined });
    },
  });

  test('everybody is in each, and each begins with another', () => {
    const orders = [0, 1, 2, 3].map((round) => inTurn(['a', 'b', 'c', 'd'], round));
    for (const order of orders) expect(order.toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(orders.map(([first]) => first)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('one that fails is noted, and the others are measured all the same', async () => {
    const order: string[] = [];
    const rounds = new Rounds();
    await rounds.run([cell], [contender('good', order), contender('bad', order, () => { throw new Error('broken'); }), contender('old', order)], 2, new AbortController().signal);
    expect(rounds.series.map(({ through, samples, failure, notPossible }) => [through, samples.length, failure, notPossible])).toEqual([['good', 2, undefined, undefined], ['bad', 0, 'broken', undefined], ['old', 0, undefined, 'too old']]);
    expect(order).not.toContain('old');
  });

  test('an interruption ends them, and what was measured stays', async () => {
    const stop = new AbortController();
    const rounds = new Rounds();
    const order: string[] = [];
    const interrupted = contender('b', order, () => { stop.abort(new Error('interrupted')); throw new Error('killed'); });
    await expect(rounds.run([cell], [contender('a', order), interrupted], 3, stop.signal)).rejects.toThrow('interrupted');
    expect(order).toEqual(['a', 'b']);
    expect(rounds.series.map(({ samples, failure }) => [samples.length, failure])).toEqual([[1, undefined], [0, undefined]]);
  });
});

test('the time of a process counts that of its children, living and ended', async () => {
  const burn = 'while (process.cpuUsage().user < 300_000);';
  const program = `const { spawn, spawnSync } = require('node:child_process'); spawnSync(process.execPath, ['-e', ${JSON.stringify(burn)}]);
    spawn(process.execPath, ['-e', ${JSON.stringify(`${burn} console.log('burnt'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit()); process.stdin.on('end', () => process.exit()).resume();`)}], { stdio: ['pipe', 'inherit', 'inherit'] });`;
  const parent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => parent.stdout.once('data', resolve));
    await delay(20);
    expect(processTimeUs([parent.pid ?? 0])).toBeGreaterThan(550_000);
    expect(processTimeUs([])).toBe(0);
  } finally {
    parent.kill('SIGKILL');
  }
  await new Promise((resolve) => parent.once('exit', resolve));
  await delay(20);
  expect(() => processTimeUs([parent.pid ?? 0])).toThrow('ENOENT');
});

describe('options', () => {
  test('flags win over variables, variables over defaults, --quick over defaults only', () => {
    expect(readOptions([], {})).toMatchObject({ seconds: 5, rounds: 5, clients: [1, 8, 64], modes: ['simple', 'extended', 'prepared'] });
    expect(readOptions(['--quick', '--rounds', '3'], { BENCH_ROUNDS: '7', BENCH_CLIENTS: '4, 2' })).toMatchObject({ seconds: 2, rounds: 3, clients: [4, 2], modes: ['simple', 'prepared'] });
    expect(readOptions(['--peers=gateway,direct'], {}).peers).toEqual(['direct', 'gateway']);
    expect(readOptions(['--mix-clients', '1'], { BENCH_MIX_CLIENTS: '2' }).mixClients).toEqual([1]);
  });

  test.each([[['--second', '1']], [['--seconds']], [['--seconds', 'x']], [['--seconds', '0']], [['--peers', 'pgbounce']], [['quick']], [['--quick=1']]])('%j is refused with the usage', (args) => {
    expect(() => readOptions(args, {})).toThrow(usage);
  });

  test('each is in the document, with its default', () => {
    const rows = tableRows(readDocument('benchmarks.md'), ['option', 'default', 'what it is']).map(([name, fallback]) => `[${name?.replaceAll('`', '')}${fallback === '' ? '' : ` ${fallback?.replaceAll('`', '')}`}]`);
    expect(rows).toEqual(usage.replace('usage: bench proxy ', '').replaceAll('--output FILE', '--output').replaceAll('--profile DIR', '--profile').match(/\[[^\]]*\]/g));
  });
});

test('versions are compared by their numbers', () => {
  expect(['1.18.0', '1.9', '1.21', '1.21.0', '1.24.1', '2.0'].map((version) => isAtLeast(version, [1, 21]))).toEqual([false, false, true, true, true, true]);
});

test('what a pooler cannot do in transaction mode is known beforehand', () => {
  const cell = { workload: 'select', mode: 'prepared', clients: 64 };
  expect(poolers.pgbouncer.notPossible('1.18.0', cell)).toContain('1.21 and later');
  expect(poolers.pgbouncer.notPossible('1.18.0', { ...cell, mode: 'extended' })).toBeUndefined();
  expect(poolers.pgbouncer.notPossible('1.24.1', cell)).toBeUndefined();
  expect(poolers.pgbouncer.notPossible('1.24.1', { ...cell, workload: 'tpcb' })).toContain('stands still');
  expect(poolers.odyssey.notPossible('1.5.2', { ...cell, workload: 'tpcb' })).toContain('stands still');
  expect(poolers.odyssey.notPossible('1.5.2', { ...cell, workload: 'tpcb', clients: 8 })).toBeUndefined();
  expect([32, 64].map((clients) => standsStill({ workload: 'tpcb', mode: 'prepared', clients }, 2))).toEqual([undefined, expect.stringContaining('stands still')]);
});
