/**
 * Property (RULES 29): while the application writes and a stream carries the changes, validation reports no row that is only on
 * its way, and still reports every row that really differs. The stream is PostgreSQL's own logical subscription.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { repairRows } from '../../../cdc/validate/repair.ts';
import { judge, settleCandidates } from '../../../cdc/validate/settle-candidates.ts';
import type { RowVersion } from '../../../cdc/postgres/checksum.ts';
import { validateTable } from '../../../cdc/validate/validate-table.ts';
import type { ValidationReport } from '../../../cdc/validate/validation-report.ts';
import { startTwoServers } from '../postgres/two-servers.ts';
import type { TwoServers } from '../postgres/two-servers.ts';

let servers: TwoServers;
let stopWriting = false;
let writer: Promise<number>;

beforeAll(async () => {
  servers = await startTwoServers();
  const ddl = 'CREATE TABLE t (id int PRIMARY KEY, n bigint, v text); CREATE TABLE bare (a int, b int); ALTER TABLE bare REPLICA IDENTITY FULL; CREATE TABLE marker (id int PRIMARY KEY)';
  await servers.source.query(`${ddl}; INSERT INTO t SELECT i, 0, repeat('x', 50) FROM generate_series(1, 20000) i; INSERT INTO bare SELECT i % 300, 0 FROM generate_series(1, 600) i; CREATE PUBLICATION p FOR TABLE t, bare, marker`);
  await servers.local.query(ddl);
  const { host, port } = servers.sourceServer.address;
  await servers.local.query(`CREATE SUBSCRIPTION s CONNECTION 'host=${host} port=${port} user=postgres dbname=postgres' PUBLICATION p`);
  for (let wait = 0; wait < 200; wait += 1) {
    const rows = await servers.local.query<{ ready: boolean }>("SELECT bool_and(srsubstate = 'r') AS ready FROM pg_subscription_rel");
    if (rows.rows[0]?.ready === true) break;
    await delay(50);
  }
  writer = write(await servers.sourceServer.client());
});
afterAll(async () => {
  stopWriting = true;
  await writer;
  await servers.local.query('DROP SUBSCRIPTION s');
  await servers[Symbol.asyncDispose]();
});

/** Hot rows (ids 1–5 at every turn, flipping between two values), random updates, deletes and inserts all over the table. */
async function write(client: pg.Client): Promise<number> {
  let turn = 0;
  for (; !stopWriting; turn += 1) {
    await client.query(`UPDATE t SET n = 1 - n WHERE id <= 5; UPDATE t SET n = n + 1 WHERE id = ${6 + ((turn * 7919) % 19_000)}; DELETE FROM t WHERE id = ${19_100 + (turn % 50)};
      INSERT INTO t VALUES (${19_100 + ((turn + 25) % 50)}, ${turn}, 'again') ON CONFLICT (id) DO UPDATE SET n = excluded.n; UPDATE bare SET b = ${turn} WHERE a = ${turn % 300}`);
    // As fast as the one apply worker of a subscription can follow.
    await delay(4);
  }
  return turn;
}

let markers = 0;
async function settle(client: pg.Client, seen: pg.Client): Promise<void> {
  markers += 1;
  await client.query('INSERT INTO marker VALUES ($1)', [markers]);
  for (;;) {
    const rows = await seen.query('SELECT 1 FROM marker WHERE id = $1', [markers]);
    if (rows.rowCount === 1) return;
    await delay(5);
  }
}

/** `reverse`: as after cutover, when local is the authority: the servers' roles are exchanged. */
async function validate(name: string, between: (round: number) => Promise<void> = () => Promise.resolve(), reverse = false): Promise<ValidationReport> {
  const [a, b, marking, seeing] = [await servers.sourceServer.client(), await servers.localServer.client(), await servers.sourceServer.client(), await servers.localServer.client()];
  let round = 0;
  try {
    const plan = planTable(await introspectTable(marking, { schema: 'public', name }), { tableId: name });
    return await validateTable({
      ...(reverse ? { source: b, local: a, authority: 'local' as const } : { source: a, local: b }), plan, mode: { type: 'full' }, chunkRows: 1000, monotonicMs: () => performance.now(),
      settle: async () => {
        await settle(marking, seeing);
        await between((round += 1));
      },
    });
  } finally {
    await Promise.all([a, b, marking, seeing].map((client) => client.end()));
  }
}

describe('validation of a table that is written to', () => {
  it('gives no false alarm, whole rows and keyless tables included', async () => {
    let suspicious = 0;
    // Until the two sides were once read at different moments: on a quick machine local is hardly ever behind.
    for (let turn = 0; turn < 5 || (suspicious === 0 && turn < 100); turn += 1) {
      const report = await validate('t');
      expect(report.counts).toEqual({ MISSING_LOCAL: 0, MISSING_REMOTE: 0, VALUE_DIFF: 0 });
      expect(report.isEqual).toBe(true);
      expect(report.unsettled.length).toBeLessThanOrEqual(60);
      suspicious += report.falseAlarms + report.unsettled.length;
    }
    // Else the test would prove nothing.
    expect(suspicious).toBeGreaterThan(0);
    const bare = await validate('bare');
    expect(bare.counts).toEqual({ MISSING_LOCAL: 0, MISSING_REMOTE: 0, VALUE_DIFF: 0 });
  });

  it('gives none while the subscription is held up and let go again', async () => {
    const report = validate('t', async (round) => {
      if (round > 3) return;
      await servers.local.query('ALTER SUBSCRIPTION s DISABLE');
      await delay(100);
      await servers.local.query('ALTER SUBSCRIPTION s ENABLE');
    });
    expect((await report).counts).toEqual({ MISSING_LOCAL: 0, MISSING_REMOTE: 0, VALUE_DIFF: 0 });
  });

  it('still finds exactly what really differs, and a repair under way of the stream brings it back', async () => {
    await servers.local.query("DELETE FROM t WHERE id IN (19500, 19999); UPDATE t SET v = 'y' WHERE id = 19600; INSERT INTO t VALUES (30000, 1, 'z')");
    const report = await validate('t');
    expect(report.mismatches.map((mismatch) => `${mismatch.type} ${mismatch.key.join()}`).sort()).toEqual(['MISSING_LOCAL 19500', 'MISSING_LOCAL 19999', 'MISSING_REMOTE 30000', 'VALUE_DIFF 19600']);
    const [a, b] = [await servers.sourceServer.client(), await servers.localServer.client()];
    const plan = planTable(await introspectTable(servers.source, { schema: 'public', name: 't' }), { tableId: 't' });
    const repaired = await repairRows({ source: a, local: b, plan, mismatches: report.mismatches, strategy: 'COPY_FROM_SOURCE', replicaRole: true });
    expect(repaired).toEqual({ written: 3, deleted: 1, left: 0 });
    expect((await validate('t')).isEqual).toBe(true);
  });

  it('works the other way round, when local is the authority', async () => {
    expect((await validate('t', undefined, true)).counts).toEqual({ MISSING_LOCAL: 0, MISSING_REMOTE: 0, VALUE_DIFF: 0 });
    await servers.local.query('DELETE FROM t WHERE id = 19501; INSERT INTO t VALUES (30001, 1, NULL)');
    const report = await validate('t', undefined, true);
    await servers.local.query("DELETE FROM t WHERE id = 30001; INSERT INTO t VALUES (19501, 0, repeat('x', 50)) ON CONFLICT DO NOTHING");
    expect(report.mismatches.map((mismatch) => `${mismatch.type} ${mismatch.key.join()}`).sort()).toEqual(['MISSING_LOCAL 30001', 'MISSING_REMOTE 19501']);
  });

  it('takes no lock that a writer or DDL would wait for once it is over, and holds none while settling', async () => {
    await validate('t', async () => {
      const locks = await servers.source.query("SELECT count(*)::int AS n FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relname = 't' JOIN pg_stat_activity a ON a.pid = l.pid WHERE a.state = 'idle in transaction'");
      expect(locks.rows).toEqual([{ n: 0 }]);
    });
  });
});

describe('settling', () => {
  /** A source that changes at random, a local that shows it with a lag until a settle; the oracle knows which keys are spoilt on local. */
  it('never blames a row that the stream brings, and always blames one that it does not (random histories)', async () => {
    const step = fc.record({ key: fc.nat(3), value: fc.option(fc.nat(2), { nil: undefined }) });
    await fc.assert(fc.asyncProperty(fc.array(fc.array(step, { maxLength: 4 }), { minLength: 2, maxLength: 12 }), fc.array(step, { maxLength: 4 }), fc.subarray([0, 1, 2, 3]), async (histories, lateSteps, spoilt) => {
      const source = new Map<number, RowVersion>();
      const local = new Map<number, RowVersion>();
      const pending: (() => void)[] = [];
      let version = 0;
      const change = ({ key, value }: { key: number; value: number | undefined }): void => {
        if (spoilt.includes(key)) return;
        version += 1;
        const row = value === undefined ? undefined : { digest: String(value), version: `s${version}` };
        if (row) source.set(key, row);
        else source.delete(key);
        const at = version;
        pending.push(() => (value === undefined ? local.delete(key) : local.set(key, { digest: String(value), version: `l${at}` })));
      };
      for (const key of spoilt) local.set(key, { digest: 'spoilt', version: 'l0' });
      const flush = (count: number): void => pending.splice(0, count).forEach((apply) => apply());
      let round = 0;
      const look = (side: Map<number, RowVersion>) => async (keys: readonly (readonly string[])[]): Promise<Map<number, RowVersion>> => {
        const found = new Map<number, RowVersion>();
        for (const [at, key] of keys.entries()) {
          const row = side.get(Number(key[0]));
          if (row) found.set(at, row);
          for (const each of histories[round % histories.length] ?? []) change(each);
          flush(round % 3);
        }
        return found;
      };
      const result = await settleCandidates([0, 1, 2, 3].map((key) => ({ key: [String(key)], chunk: 0 })), {
        lookUpAuthority: look(source), lookUpFollower: look(local), rounds: 4, batch: 2,
        settle: async () => {
          round += 1;
          const everything = pending.length;
          lateSteps.forEach(change);
          flush(everything + (round % 2));
        },
      });
      expect(result.different.map((each) => Number(each.key[0])).sort()).toEqual([...spoilt].sort());
    }), { numRuns: 500 });
  });

  it('compares versions, not values: a row that flips between two values stays open', () => {
    const a = { authority: { digest: 'x', version: '1' }, follower: { digest: 'y', version: '5' } };
    const b = { authority: { digest: 'x', version: '3' }, follower: { digest: 'y', version: '5' } };
    expect(judge(a, undefined)).toBe('open');
    expect(judge(b, a)).toBe('open');
    expect(judge(b, b)).toBe('different');
    expect(judge({ authority: undefined, follower: undefined }, a)).toBe('equal');
  });
});
