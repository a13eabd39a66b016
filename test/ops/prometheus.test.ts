/**
 * Metrics are the closed list, in Prometheus' format; what workers count, whatever they send and however often, adds up
 * in the control to what one process would have counted.
 */
import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { metricList } from '../../config/metric-list.ts';
import type { MetricName } from '../../config/metric-list.ts';
import { maxSeriesPerMetric, PrometheusMetrics } from '../../src/ops/prometheus.ts';
import type { MetricDelta } from '../../src/ops/prometheus.ts';

const samples = async (metrics: PrometheusMetrics): Promise<string[]> => (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
/** As it travels between processes. */
const sent = (delta: MetricDelta): MetricDelta => JSON.parse(JSON.stringify(delta)) as MetricDelta;

describe('the closed list', () => {
  test('unknown names, wrong types, missing and unknown labels are programmer errors', () => {
    const metrics = new PrometheusMetrics();
    expect(() => metrics.count('scratchbird_migration_nothing', {})).toThrow('unknown metric');
    expect(() => metrics.count('toString', {})).toThrow('unknown metric');
    expect(() => metrics.count('scratchbird_migration_bulk_rate', { table: 't' })).toThrow('is a gauge');
    expect(() => metrics.gauge('scratchbird_migration_bulk_rate', {}, 1)).toThrow('needs the labels table');
    expect(() => metrics.gauge('scratchbird_migration_bulk_rate', { table: 't', state: 'x' }, 1)).toThrow('no label state');
    expect(() => metrics.gauge('scratchbird_migration_bulk_rate', { state: 'x' }, 1)).toThrow('no label state');
    expect(() => metrics.count('scratchbird_gateway_connections_total', {}, -1)).toThrow('only grows');
    expect(() => metrics.remove('scratchbird_migration_bulk_rate', { state: 'x' })).toThrow('no label state');
  });

  test('names and buckets are as Prometheus wants them', () => {
    for (const [name, { type, help, labels, buckets }] of Object.entries(metricList)) {
      expect(name).toMatch(/^scratchbird_(migration|gateway)_[a-z_]+$/);
      expect(help).not.toBe('');
      for (const label of labels) expect(label).toMatch(/^[a-z_]+$/);
      expect([...buckets]).toEqual([...new Set(buckets)].toSorted((a, b) => a - b));
      expect(buckets.length > 0).toBe(type === 'histogram');
      if (name.startsWith('scratchbird_gateway_')) expect(name.endsWith('_total')).toBe(type === 'counter');
    }
  });

  test('every metric of specification §9.1, by name, type and labels', () => {
    const specified: readonly (readonly [MetricName, string, string])[] = [
      ['scratchbird_migration_table_state', 'gauge', 'table,state'], ['scratchbird_migration_bulk_rows_total', 'gauge', 'table'],
      ['scratchbird_migration_bulk_rows_migrated', 'gauge', 'table'], ['scratchbird_migration_bulk_rate', 'gauge', 'table'],
      ['scratchbird_migration_cdc_lag_seconds', 'gauge', 'table,source'], ['scratchbird_migration_cdc_pending_changes', 'gauge', 'table'],
      ['scratchbird_migration_cdc_applied_total', 'counter', 'table,operation'], ['scratchbird_migration_queries_routed_total', 'counter', 'table,route'],
      ['scratchbird_migration_conflicts_total', 'counter', 'table,resolution'], ['scratchbird_migration_errors_total', 'counter', 'table,error'],
    ];
    for (const [name, type, labels] of specified) expect([metricList[name].type, metricList[name].labels.join(',')]).toEqual([type, labels]);
    expect(Object.keys(metricList).filter((name) => name.startsWith('scratchbird_migration_'))).toEqual(specified.map(([name]) => name));
  });
});

describe('the text', () => {
  test('reads as the specification shows it', async () => {
    const metrics = new PrometheusMetrics();
    metrics.gauge('scratchbird_migration_table_state', { state: 'dual_write', table: 'users' }, 1);
    metrics.gauge('scratchbird_migration_cdc_lag_seconds', { table: 'users', source: 'legacy_pg' }, 0.5);
    metrics.count('scratchbird_migration_cdc_applied_total', { table: 'users', operation: 'insert' }, 45_678);
    const text = await metrics.text();
    expect(text).toContain('# HELP scratchbird_migration_table_state Current migration state per table\n# TYPE scratchbird_migration_table_state gauge\n');
    expect(text).toContain('\nscratchbird_migration_table_state{table="users",state="dual_write"} 1\n');
    expect(text).toContain('\nscratchbird_migration_cdc_lag_seconds{table="users",source="legacy_pg"} 0.5\n');
    expect(text).toContain('\nscratchbird_migration_cdc_applied_total{table="users",operation="insert"} 45678\n');
    expect(text.endsWith('\n')).toBe(true);
  });

  test('labels are escaped, and values with commas and colons stay apart', async () => {
    const metrics = new PrometheusMetrics();
    metrics.count('scratchbird_migration_errors_total', { table: 'a"\\\n', error: '1' });
    metrics.count('scratchbird_migration_errors_total', { table: 'a,error:b', error: '' });
    metrics.count('scratchbird_migration_errors_total', { table: 'a', error: 'b,' });
    expect((await samples(metrics)).filter((line) => line.includes('errors_total{table'))).toEqual([
      'scratchbird_migration_errors_total{table="a\\"\\\\\\n",error="1"} 1',
      'scratchbird_migration_errors_total{table="a,error:b",error=""} 1',
      'scratchbird_migration_errors_total{table="a",error="b,"} 1',
    ]);
  });

  test('histograms are those of prom-client, line for line', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.double({ min: 0, max: 40, noNaN: true }), fc.constantFrom(...metricList.scratchbird_gateway_commit_wait_seconds.buckets)), { minLength: 1 }), async (values) => {
      const name = 'scratchbird_gateway_barrier_wait_seconds';
      const metrics = new PrometheusMetrics();
      const registry = new Registry();
      const peer = new Histogram({ name, help: 'x', labelNames: ['operation'], buckets: [...metricList[name].buckets], registers: [registry] });
      for (const value of values) {
        metrics.observe(name, { operation: 'cutover' }, value);
        peer.observe({ operation: 'cutover' }, value);
      }
      const theirs = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#')).map(sorted);
      expect((await samples(metrics)).filter((line) => line.startsWith(name)).map(sorted)).toEqual(theirs);
    }), { numRuns: 50 });
  });

  test('a removed table is gone, other tables stay', async () => {
    const metrics = new PrometheusMetrics();
    for (const [table, state] of [['a', 'paused'], ['a', 'error'], ['b', 'paused']] as const) metrics.gauge('scratchbird_migration_table_state', { table, state }, 1);
    metrics.remove('scratchbird_migration_table_state', { table: 'a' });
    expect((await samples(metrics)).filter((line) => line.includes('table_state'))).toEqual(['scratchbird_migration_table_state{table="b",state="paused"} 1']);
  });

  test('the process\' own metrics come behind', async () => {
    expect(await new PrometheusMetrics({ processMetrics: true }).text()).toContain('process_cpu_seconds_total');
  });

  test('series are bounded, and what is left out is counted', async () => {
    const metrics = new PrometheusMetrics();
    for (let i = 0; i < maxSeriesPerMetric + 5; i += 1) metrics.gauge('scratchbird_migration_bulk_rate', { table: `t${i}` }, i);
    expect(await samples(metrics)).toContain('scratchbird_gateway_metric_series_dropped_total 5');
  });
});

/** Labels of a histogram may stand in any order. */
function sorted(line: string): string {
  return line.replace(/\{(.*)\}/, (_all, labels: string) => `{${labels.split(',').toSorted().join(',')}}`);
}

describe('workers', () => {
  type Act = { readonly worker: number; readonly act: 'count' | 'observe' | 'send'; readonly value: number; readonly label: string };
  const acts = fc.array(fc.record({
    worker: fc.nat(2), act: fc.constantFrom<Act['act']>('count', 'observe', 'send'), value: fc.integer({ min: 0, max: 1000 }), label: fc.constantFrom('local', 'remote'),
  }));

  test('counters and histograms of three workers add up to those of one process', async () => {
    await fc.assert(fc.asyncProperty(acts, async (list) => {
      const control = new PrometheusMetrics();
      const alone = new PrometheusMetrics();
      const workers = [new PrometheusMetrics(), new PrometheusMetrics(), new PrometheusMetrics()];
      for (const { worker, act, value, label } of list) {
        const mine = workers[worker];
        if (mine === undefined) continue;
        if (act === 'send') control.absorb(sent(mine.exportDelta()), `${worker}`);
        for (const metrics of act === 'send' ? [] : [mine, alone]) {
          if (act === 'count') metrics.count('scratchbird_migration_queries_routed_total', { table: 't', route: label }, value);
          else metrics.observe('scratchbird_gateway_query_seconds', { route: label }, value / 100);
        }
      }
      workers.forEach((worker, index) => control.absorb(sent(worker.exportDelta()), `${index}`));
      expect(numbers(await samples(control))).toEqual(numbers(await samples(alone)));
    }), { numRuns: 100 });
  });

  test('nothing new is an empty delta', () => {
    const worker = new PrometheusMetrics();
    worker.count('scratchbird_gateway_connections_total', {}, 3);
    worker.gauge('scratchbird_gateway_connections', {}, 3);
    expect(sent(worker.exportDelta()).series.filter(({ value }) => value !== 0)).toHaveLength(2);
    expect(worker.exportDelta()).toEqual({ series: [] });
  });

  test('gauges are summed over workers, replaced by later ones, and go with the worker', async () => {
    const control = new PrometheusMetrics();
    const worker = new PrometheusMetrics();
    const shown = async (): Promise<string[]> => (await samples(control)).filter((line) => line.startsWith('scratchbird_gateway_legs'));
    worker.gauge('scratchbird_gateway_legs', { side: 'source' }, 5);
    control.absorb(sent(worker.exportDelta()), 'a');
    control.absorb({ series: [{ name: 'scratchbird_gateway_legs', labelValues: ['source'], value: 2 }] }, 'b');
    control.gauge('scratchbird_gateway_legs', { side: 'source' }, 1);
    expect(await shown()).toEqual(['scratchbird_gateway_legs{side="source"} 8']);
    worker.gauge('scratchbird_gateway_legs', { side: 'source' }, 4);
    control.absorb(sent(worker.exportDelta()), 'a');
    expect(await shown()).toEqual(['scratchbird_gateway_legs{side="source"} 7']);
    worker.remove('scratchbird_gateway_legs', {});
    control.absorb(sent(worker.exportDelta()), 'a');
    expect(await shown()).toEqual(['scratchbird_gateway_legs{side="source"} 3']);
    control.forgetWorker('b');
    expect(await shown()).toEqual(['scratchbird_gateway_legs{side="source"} 1']);
  });

  test('a restarted worker does not take back what it counted', async () => {
    const control = new PrometheusMetrics();
    for (let life = 0; life < 3; life += 1) {
      const worker = new PrometheusMetrics();
      worker.count('scratchbird_gateway_connections_total', {}, 10);
      control.absorb(sent(worker.exportDelta()), `worker ${life}`);
    }
    expect(await samples(control)).toContain('scratchbird_gateway_connections_total 30');
  });

  test('a series that was removed and made anew is counted from zero', async () => {
    const control = new PrometheusMetrics();
    const worker = new PrometheusMetrics();
    for (const by of [5, 2, 9]) {
      worker.count('scratchbird_gateway_bypass_writes_total', { table: 't' }, by);
      worker.observe('scratchbird_gateway_query_seconds', { route: 'local' }, by);
      control.absorb(sent(worker.exportDelta()), 'a');
      worker.remove('scratchbird_gateway_bypass_writes_total', { table: 't' });
      worker.remove('scratchbird_gateway_query_seconds', {});
    }
    expect(await samples(control)).toEqual(expect.arrayContaining([
      'scratchbird_gateway_bypass_writes_total{table="t"} 16', 'scratchbird_gateway_query_seconds_count{route="local"} 3', 'scratchbird_gateway_query_seconds_sum{route="local"} 16',
    ]));
  });

  test('a new control is told the gauges again, and nothing is counted twice', async () => {
    const worker = new PrometheusMetrics();
    worker.gauge('scratchbird_gateway_connections', {}, 7);
    worker.count('scratchbird_gateway_connections_total', {}, 9);
    worker.exportDelta();
    worker.exportGaugesAgain();
    const control = new PrometheusMetrics();
    control.absorb(sent(worker.exportDelta()), 'a');
    expect(await samples(control)).toEqual(expect.arrayContaining(['scratchbird_gateway_connections 7', 'scratchbird_gateway_connections_total 0']));
  });

  test('an observer with settled labels counts as `observe` does', async () => {
    const [one, other] = [new PrometheusMetrics(), new PrometheusMetrics()];
    const observe = one.observer('scratchbird_gateway_query_seconds', { route: 'local' });
    for (const seconds of [0.00003, 0.002, 0.02, 11, Number.NaN]) {
      observe(seconds);
      other.observe('scratchbird_gateway_query_seconds', { route: 'local' }, seconds);
    }
    expect(await samples(one)).toEqual(await samples(other));
    expect(() => one.observer('scratchbird_gateway_parked', {})).toThrow('is a gauge');
  });

  test('a delta with an unknown metric is refused', () => {
    expect(() => new PrometheusMetrics().absorb({ series: [{ name: 'x', labelValues: [], value: 1 }] }, 'a')).toThrow('unknown metric');
  });
});

/** Sums of floating point numbers depend on their order. */
function numbers(lines: readonly string[]): readonly (readonly [string, number])[] {
  return lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Math.round(Number(line.slice(line.lastIndexOf(' ') + 1)) * 1e6) / 1e6] as const).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
