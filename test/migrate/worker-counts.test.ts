/** A worker is live while its lease runs, silent when its process lives and its lease does not, and nothing once it is gone. */
import { describe, expect, test } from 'vitest';
import { noFaults } from '../../config/faults.ts';
import type { Runtime } from '../../config/runtime.ts';
import { GatewayCounts } from '../../src/main/gateway-counts.ts';
import { WorkerFleet } from '../../src/migrate/worker-fleet.ts';
import { publishFleetMetrics } from '../../src/migrate/stream-metrics.ts';
import { createLog } from '../../src/ops/log.ts';
import { PrometheusMetrics } from '../../src/ops/prometheus.ts';
import { UnitTimes } from '../../src/session/unit-times.ts';

const LEASE_MS = 1_000;

function fleetAt(now: { ms: number }, metrics = new PrometheusMetrics()) {
  const runtime: Runtime = {
    log: createLog({ level: 'error', format: 'json', now: () => 0 }), metrics, signal: new AbortController().signal, faults: noFaults,
    clock: { now: () => now.ms, monotonicMs: () => now.ms, sleep: () => Promise.resolve() },
  };
  const closed: string[] = [];
  const fleet = new WorkerFleet(runtime, { leaseMs: LEASE_MS }, { onRequest: () => undefined, onClosed: (workerId) => closed.push(workerId) });
  const attach = (workerId: string) => {
    const life = { dead: false };
    return { ...fleet.attach(workerId, { send: () => undefined, close: () => undefined, isDead: () => life.dead }), life };
  };
  return { runtime, fleet, attach, closed, metrics };
}

const lines = async (metrics: PrometheusMetrics): Promise<readonly string[]> => (await metrics.text()).split('\n');

describe('workers', () => {
  test('a lease that runs out makes a worker silent, asking again makes it live', () => {
    const now = { ms: 0 };
    const { fleet, attach } = fleetAt(now);
    const [one, other] = [attach('one'), attach('other')];
    expect(fleet.counts).toEqual({ live: 2, silent: 0 });
    now.ms = LEASE_MS;
    one.receive({ type: 'lease_request', sequence: 1 });
    now.ms = LEASE_MS + 500;
    expect(fleet.counts).toEqual({ live: 1, silent: 1 });
    other.receive({ type: 'lease_request', sequence: 1 });
    expect(fleet.counts).toEqual({ live: 2, silent: 0 });
  });

  test('one that is dead is not counted; one that has connected again counts once', () => {
    const now = { ms: 0 };
    const { fleet, attach, closed } = fleetAt(now);
    const [dead, again] = [attach('dead'), attach('again')];
    dead.life.dead = true;
    dead.closed();
    again.closed();
    expect(closed).toEqual(['dead', 'again']);
    now.ms = 5_000;
    expect(fleet.counts).toEqual({ live: 0, silent: 1 });
    attach('again');
    expect(fleet.counts).toEqual({ live: 1, silent: 0 });
  });

  test('are told to Prometheus', async () => {
    const { runtime, fleet, attach, metrics } = fleetAt({ ms: 0 });
    attach('one');
    publishFleetMetrics(runtime, fleet);
    expect(await lines(metrics)).toEqual(expect.arrayContaining([
      'scratchbird_gateway_workers{state="live"} 1', 'scratchbird_gateway_workers{state="silent"} 0', 'scratchbird_gateway_epoch 0', 'scratchbird_gateway_serialization_failures_total{cause="barrier"} 0',
    ]));
  });
});

describe('what a worker counts', () => {
  test('cache and legs: the increase, once', async () => {
    const metrics = new PrometheusMetrics();
    const facts = { counts: { exactHits: 5, classHits: 2, misses: 1 } };
    const counts = new GatewayCounts(metrics, facts, { legs: { source: 3, local: 1 }, pools: () => [{ side: 'source', user: 'app', database: 'shop', open: 5, idle: 2, lanes: 1, waiting: 4, longestWaitMs: 9 }] });
    counts.update();
    counts.update();
    facts.counts = { exactHits: 6, classHits: 2, misses: 4 };
    counts.update();
    expect(await lines(metrics)).toEqual(expect.arrayContaining([
      'scratchbird_gateway_statement_cache_total{result="hit"} 8', 'scratchbird_gateway_statement_cache_total{result="miss"} 4',
      'scratchbird_gateway_legs{side="source"} 3', 'scratchbird_gateway_legs{side="local"} 1',
      'scratchbird_gateway_pool_connections{side="source",state="in_use"} 3', 'scratchbird_gateway_pool_connections{side="source",state="idle"} 2', 'scratchbird_gateway_pool_waiting{side="source"} 4',
    ]));
  });

  test('units by route, in seconds; one chunk in 64 is measured', async () => {
    const metrics = new PrometheusMetrics();
    const times = new UnitTimes(metrics);
    times.unitEnded('source', 250);
    times.unitEnded('local', 1);
    times.unitEnded('dual', 2);
    times.overhead('local', 0.5);
    expect(Array.from({ length: 128 }, () => times.isDue()).filter(Boolean)).toHaveLength(2);
    expect(await lines(metrics)).toEqual(expect.arrayContaining([
      'scratchbird_gateway_query_seconds_sum{route="remote"} 0.25', 'scratchbird_gateway_query_seconds_sum{route="local"} 0.001', 'scratchbird_gateway_query_seconds_sum{route="dual"} 0.002',
      'scratchbird_gateway_overhead_seconds_sum{route="local"} 0.0005',
    ]));
  });
});
