/** The dashboard's figures and the document's health rules, minute by minute on a clock of the test's. */
import { describe, expect, test } from 'vitest';
import { Monitor } from '../../../src/cql/api/monitor.ts';
import type { Figures, LoaderReport } from '../../../src/cql/api/monitor.ts';
import type { TableRecord } from '../../../src/cql/api/validations.ts';
import { outcomes, ProxyCounts } from '../../../src/cql/proxy-stats.ts';

const counts = (): ProxyCounts => new ProxyCounts();
const at = (given: ProxyCounts, nowMs: number, more: Partial<Figures> = {}): Figures => {
  const cluster = (index: 0 | 1): Figures['stats']['clusters'][0] => ({ counts: given.cluster(index), connections: 1, streamsInUse: 0, isReachable: true });
  return { stats: { counts: given, prepared: 0, awaitedWrites: 0, clusters: [cluster(0), cluster(1)] }, mode: 'DualSync', validated: new Map(), nowMs, ...more };
};
const write = (given: ProxyCounts, times: number, outcome: (typeof outcomes)[number], ms: number): void => {
  for (let n = 0; n < times; n += 1) for (const cluster of [0, 1] as const) given.cluster(cluster).ended(false, outcomes.indexOf(outcome), ms);
};
const record = (rows: number, different: number, more: Partial<TableRecord> = {}): TableRecord => ({ passed: different === 0, mode: 'FullScan', summary: '', rows, different, share: 1, heardMs: 5, goodSinceMs: null, ...more });
const load = (rows: number, more: Partial<LoaderReport> = {}): LoaderReport => ({ share: rows / 1000, rows, rowsPerSecond: 50, remainingMs: 20_000, tablesDone: 1, tablesTotal: 2, hasEnded: false, ...more });

describe('writes', () => {
  test('are those of the last minute, not of the whole life', () => {
    const given = counts();
    const monitor = new Monitor();
    write(given, 1000, 'uncertain', 900);
    monitor.sample(at(given, 0));
    write(given, 600, 'ok', 1);
    monitor.sample(at(given, 61_000));
    write(given, 120, 'ok', 3);
    const { dual_writer: writer, health } = monitor.dashboard(at(given, 121_000));
    expect(writer).toEqual({ mode: 'DualSync', writes_per_second: 2, failure_rate: 0, latency_p99: writer.latency_p99_ms, latency_p99_ms: expect.closeTo(4.096, 3) as number });
    expect(health).toMatchObject({ healthy: true, issues: [] });
  });

  test('that fail on either cluster, more than one in a hundred, are an issue', () => {
    const given = counts();
    const monitor = new Monitor();
    monitor.sample(at(given, 0));
    write(given, 990, 'ok', 1);
    write(given, 10, 'uncertain', 1);
    expect(monitor.dashboard(at(given, 10_000)).health.issues).toEqual([]);
    given.cluster(1).ended(false, outcomes.indexOf('unsent'), 1);
    expect(monitor.dashboard(at(given, 10_001)).health).toMatchObject({ healthy: false, issues: ['High write failure rate detected'] });
  });
});

describe('a load', () => {
  test('is shown with what is left of it', () => {
    const monitor = new Monitor();
    expect(monitor.dashboard(at(counts(), 0)).loader).toBeNull();
    monitor.heard(load(250), 1000);
    expect(monitor.dashboard(at(counts(), 1000)).loader).toEqual({ progress_percent: 25, rows_migrated: 250, rows_per_second: 50, eta: '1970-01-01T00:00:21.000Z', tables_completed: 1, tables: 2, running: true });
    monitor.heard(load(1000, { hasEnded: true }), 2000);
    expect(monitor.dashboard(at(counts(), 2000)).loader).toMatchObject({ eta: null, rows_per_second: 0, running: false });
  });

  test('stands still when it is heard of and does not advance, or is not heard of; not when it has ended', () => {
    const monitor = new Monitor();
    const issues = (nowMs: number): readonly string[] => monitor.dashboard(at(counts(), nowMs)).alerts;
    monitor.heard(load(10), 0);
    monitor.heard(load(11), 50_000);
    expect(issues(100_000)).toEqual([]);
    monitor.heard(load(11), 105_000);
    expect(issues(110_001)).toEqual(['Migration appears stalled']);
    monitor.heard(load(12), 111_000);
    expect(issues(111_000)).toEqual([]);
    monitor.heard(load(12, { hasEnded: true }), 112_000);
    expect(issues(999_000)).toEqual([]);
  });
});

describe('validations', () => {
  test('give a score, the rows that differ, and how much was looked at', () => {
    const monitor = new Monitor();
    expect(monitor.dashboard(at(counts(), 0)).validator).toEqual({ consistency_score: null, discrepancy_count: 0, rows_validated: 0, coverage: 0, last_validation: null });
    const validated = new Map([['ks.a', record(900, 0, { heardMs: 7000 })], ['ks.b', record(100, 50, { share: 0.5 })], ['ks.c', record(0, 9, { passed: true })]]);
    expect(monitor.dashboard(at(counts(), 0, { validated })).validator).toEqual({ consistency_score: 95, discrepancy_count: 50, rows_validated: 1000, coverage: 2.5 / 3, last_validation: '1970-01-01T00:00:07.000Z' });
  });

  test('with more than a hundred rows that differ are an issue', () => {
    const issues = (different: number): readonly string[] => new Monitor().dashboard(at(counts(), 0, { validated: new Map([['ks.a', record(1000, different)]]) })).alerts;
    expect([issues(100), issues(101)]).toEqual([[], ['High number of validation discrepancies']]);
  });
});
