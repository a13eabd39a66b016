/** What is made of runs: medians, ratios of the same round, goals; and that a failure is one. */
import { describe, expect, test } from 'vitest';
import { compare, costOf, cpuOf, figuresOf, goalsOf, rateOf, spreadOf } from './figures.ts';
import type { Sample, Series } from './figures.ts';
import { readOptions } from './options.ts';
import { hasFailed, printReport } from './report.ts';
import type { Report } from './report.ts';

const sample = (round: number, tps: number, more: Partial<Sample> = {}): Sample => ({ round, tps, transactions: 1_000, p50Us: 100, p99Us: 300, cpuUsPerStatement: undefined, workersUsPerStatement: undefined, ...more });
const series = (through: string, samples: readonly Sample[], more: Partial<Series> = {}): Series => ({ workload: 'select', mode: 'prepared', clients: 8, through, samples, ...more });
const report = (all: readonly Series[], more: Partial<Report> = {}): Report => ({ options: readOptions([], {}), series: all, notes: { absent: [], failed: [], versions: {} }, problems: [], ...more });

describe('figures', () => {
  test('medians of an odd and an even number of values, with their spread', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spreadOf([])).toBeUndefined();
  });

  test('ratios are of runs of the same round; a round that one of them lacks does not count', () => {
    const gateway = series('gateway', [sample(0, 90), sample(1, 45), sample(2, 1)]);
    const pipe = series('pipe', [sample(0, 100), sample(1, 50)]);
    expect(compare(gateway, pipe, rateOf)).toEqual({ median: 0.9, min: 0.9, max: 0.9 });
    expect(compare(pipe, gateway, costOf)).toEqual({ median: 0.9, min: 0.9, max: 0.9 });
    expect(compare(gateway, gateway, rateOf)).toBeUndefined();
    expect(compare(gateway, undefined, rateOf)).toBeUndefined();
    expect(compare(gateway, pipe, cpuOf)).toBeUndefined();
  });

  test('a series is compared within its own cell', () => {
    const all = [series('direct', [sample(0, 200, { p50Us: 40 })]), series('pipe', [sample(0, 1)], { clients: 1 }), series('pipe', [sample(0, 100)]), series('gateway', [sample(0, 97)])];
    expect(figuresOf(all[3] ?? series('', []), all)).toMatchObject({ tpsOfPipe: { median: 0.97 }, tpsOfDirect: { median: 0.485 }, addedP50Us: { median: 60 }, tpsOfPgbouncer: undefined });
  });

  test('goals count the cells that meet them, and name the farthest', () => {
    const cell = (clients: number, tps: number): readonly Series[] => [series('pipe', [sample(0, 100)], { clients }), series('gateway', [sample(0, tps)], { clients })];
    expect(goalsOf([...cell(1, 95), ...cell(8, 94), ...cell(64, 120)])).toEqual([{ text: 'gateway/pipe ≥ 0.95', measured: 3, met: 2, worst: { cell: 'select prepared 8', value: 0.94 } }]);
    const mixed = (through: string, tps: number): Series => series(through, [sample(0, tps)], { workload: 'mix-read' });
    expect(goalsOf([mixed('unrouted', 120), mixed('routed', 100)])).toEqual([{ text: 'routed/unrouted cost ≤ 1.15', measured: 1, met: 0, worst: { cell: 'mix-read prepared 8', value: 1.2 } }]);
  });
});

describe('the report', () => {
  test('a missed goal, an absent peer and a cell that is not possible are no failures', () => {
    const all = [series('pipe', [sample(0, 100)]), series('gateway', [sample(0, 10)]), series('pgbouncer-transaction', [], { notPossible: 'too old' })];
    const said = report(all, { notes: { absent: [{ name: 'odyssey-session', why: 'not installed' }], failed: [], versions: {} } });
    expect(hasFailed(said)).toBe(false);
    expect(printReport(said)).toContain('pgbouncer-transaction: not possible: too old');
    expect(printReport(said)).toContain('absent: odyssey-session: not installed');
    expect(printReport(said)).toContain('met in 0 of 1 cells; farthest from it: 0.100 (select prepared 8)');
  });

  test('a run that failed, a peer that does not start and an error elsewhere are', () => {
    const failed = report([series('gateway', [sample(0, 10)], { failure: 'pgbench: 3 of 10 transactions failed' })]);
    expect(hasFailed(failed)).toBe(true);
    expect(printReport(failed)).toContain('gateway: FAILED (1 runs were good): pgbench: 3 of 10 transactions failed');
    expect(hasFailed(report([], { notes: { absent: [], failed: [{ name: 'pipe', why: 'ended' }], versions: {} } }))).toBe(true);
    expect(hasFailed(report([], { problems: ['no servers'] }))).toBe(true);
  });
});
