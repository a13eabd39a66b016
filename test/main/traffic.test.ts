/**
 * The traffic tells the truth about a database that loses, repeats or invents writes: run straight at a server it finds nothing, and
 * each kind of damage done behind its back is found.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSampleDatabase } from '../../src/main/sample/load-sample.ts';
import { runTraffic } from '../../src/main/sample/traffic.ts';
import type { TrafficResult } from '../../src/main/sample/traffic.ts';
import { verifyTraffic } from '../../src/main/sample/verify-traffic.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startTestPostgres();
  await loadSampleDatabase({ ...server.address, database: 'shop' }, { scale: 0.05 });
});
afterAll(() => server[Symbol.asyncDispose]());

async function traffic(seconds: number, targetTps: number, during?: () => Promise<void>): Promise<TrafficResult> {
  const stop = new AbortController();
  const running = runTraffic({ ...server.address, user: 'app', database: 'shop', connections: 8, targetTps, signal: stop.signal, stopLimitMs: 5000, runId: Math.trunc(Math.random() * 1e9) });
  await delay(seconds * 500);
  await during?.();
  await delay(seconds * 500);
  stop.abort();
  return running;
}

describe('traffic', () => {
  test('straight at a server: no error, no violation, nothing lost, at the rate that was asked for', async () => {
    const { stats, ledger } = await traffic(6, 300);
    console.log(`${stats.writesPerSecond.toFixed(0)} writes/s`, stats.writeLatency, stats.readLatency, Math.max(...stats.longestPauseMs));
    expect(stats).toMatchObject({ errors: {}, errorMessages: {}, serializationFailures: 0, unknownOutcomes: 0, readYourWritesViolations: 0, sumViolations: 0 });
    // Paced, not measured: a machine that is busy with other suites gives less than the 300 asked for.
    expect(stats.writesPerSecond).toBeGreaterThan(30);
    expect(stats.longestPauseMs).toHaveLength(8);
    const verdict = await verifyTraffic(ledger, await server.client('shop'));
    expect(verdict).toMatchObject({ ok: true, lost: 0, checked: stats.writes, findings: [] });
  });

  test('every kind of damage is found', async () => {
    const { ledger } = await traffic(3, 200);
    const client = await server.client('shop');
    const damage = async (sql: string): Promise<Record<string, unknown>> => {
      await client.query('BEGIN');
      const { rowCount } = await client.query(sql);
      expect(rowCount, sql).toBeGreaterThan(0);
      const verdict = await verifyTraffic(ledger, client);
      await client.query('ROLLBACK');
      expect(verdict.findings.length).toBeGreaterThan(0);
      return { ...verdict };
    };
    const run = `run_id = ${ledger.runId}`;
    expect(await damage(`DELETE FROM event_write_log WHERE id = (SELECT max(id) FROM event_write_log WHERE ${run})`)).toMatchObject({ ok: false, lost: 1 });
    expect(await damage(`INSERT INTO account_write_log (run_id, client_id, seq, operation) SELECT run_id, client_id, seq, operation FROM account_write_log WHERE ${run} LIMIT 1`)).toMatchObject({ ok: false, duplicated: 1 });
    expect(await damage(`INSERT INTO order_write_log (run_id, client_id, seq, operation) VALUES (${ledger.runId}, 0, 1000000, 'forged')`)).toMatchObject({ ok: false, resurrected: 1 });
    expect(await damage('UPDATE accounts SET balance = balance + 1 WHERE id = 7')).toMatchObject({ ok: false, balanceMismatches: 1 });
    expect(await damage(`UPDATE inventory SET quantity = quantity + 3 WHERE ctid = (SELECT min(ctid) FROM inventory)`)).toMatchObject({ ok: false, stockDifference: 3 });
    expect(await damage(`UPDATE customers SET preferences = jsonb_set(preferences, '{visits}', '-1') WHERE id = 5`)).toMatchObject({ ok: false });
    expect(await damage(`UPDATE orders SET total = total + 1 WHERE id = (SELECT max(order_id) FROM order_write_log WHERE ${run})`)).toMatchObject({ ok: false, tornOrders: 1 });
    expect(await damage(`DELETE FROM order_audit WHERE id = (SELECT max(a.id) FROM order_audit a JOIN order_write_log USING (order_id) WHERE ${run} AND operation = 'place order')`)).toMatchObject({ ok: false, auditDifference: -1 });
  });

  test('lost connections make writes unknown or failed, never lost, and the clients come back', async () => {
    const { stats, ledger } = await traffic(4, 300, async () => {
      const admin = await server.client();
      for (let round = 0; round < 5; round += 1) {
        await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway traffic'`);
        await delay(150);
      }
    });
    console.log({ errors: stats.errors, reconnects: stats.reconnects, unknown: stats.unknownOutcomes });
    expect(stats.reconnects).toBeGreaterThan(8);
    expect(stats.errorCount).toBeGreaterThan(0);
    expect(await verifyTraffic(ledger, await server.client('shop'))).toMatchObject({ ok: true, lost: 0, resurrected: 0, findings: [] });
  });
});
