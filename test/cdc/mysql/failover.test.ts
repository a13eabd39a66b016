/**
 * A MySQL source that fails over to its replica: the stream goes on there by GTID, nothing is lost or applied twice, whatever of it had been applied, spooled
 * or confirmed; a server that lacks what has been read is refused, and the transactions are named.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { ServerPlaces } from '../../../cdc/mysql/server-places.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { replicate, promote, untilReplicated } from '../../support/mysql-replica.ts';
import { defaultOptions } from '../snapshot/loader-fixture.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7'];
let number = 0;

for (const kind of kinds) {
  describeMysql([kind], `failover of ${kind}`, () => {
    let local: TestPostgres;
    let primary: TestMysql;
    let replica: TestMysql;
    let pair: MysqlPair;
    let folder: string;
    let places: ServerPlaces;
    let stream: OpenedStream;
    let abort: AbortController;
    let running: Promise<void>;
    let ended: unknown;
    let plans: ReadonlyMap<string, TablePlan>;
    const conflicts: unknown[] = [];
    /** While it is there nothing is confirmed. */
    let unconfirmed: PromiseWithResolvers<void> | undefined;
    const faults: FaultPoints = { armed: true, hit: (point) => (point === 'stream.before_spool_fsync' && unconfirmed ? unconfirmed.promise : Promise.resolve()) };

    beforeAll(async () => {
      local = await startTestPostgres();
    });
    afterAll(async () => local?.[Symbol.asyncDispose]());

    beforeEach(async () => {
      conflicts.length = 0;
      [primary, replica] = await Promise.all([startMysql(kind), startMysql(kind)]);
      await replicate(replica, primary);
      pair = await makeMysqlPair(primary, local, `failover${number += 1}`);
      for (const name of ['a', 'b', 'c']) {
        await pair.ask(`CREATE TABLE ${name} (id int PRIMARY KEY, v varchar(100)) ENGINE = InnoDB`);
        await pair.ask(`INSERT INTO ${name} VALUES (1, 'copied'), (2, 'copied')`);
      }
      folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-failover-'));
      const made = new Map<string, TablePlan>();
      // One after the other: they are made in transactions of one connection.
      for (const name of ['a', 'b', 'c']) made.set(name, await pair.migrate(name));
      plans = made;
      start();
      // a is shared, b waits in the spool, c is being loaded.
      for (const name of ['a', 'b', 'c']) await stream.addTable(planOf(name));
      const loader = createMysqlLoader(testRuntime(abort.signal), { source: places.address, target: pair.target, token: 1n, types: standardTypes, memoryBytes: 16 << 20 });
      for (const name of ['a', 'b']) {
        await loader.load(planOf(name), defaultOptions, () => undefined, abort.signal);
        await stream.startDraining(name);
        await until(`${name} is shared`, () => stream.status(name)?.mode === 'shared');
      }
      await stream.pauseTable('b');
    });
    afterEach(async () => {
      await stop();
      await pair[Symbol.asyncDispose]();
      await Promise.all([primary.dispose(), replica.dispose()]);
      fs.rmSync(folder, { recursive: true, force: true });
    });

    function planOf(name: string): TablePlan {
      const plan = plans.get(name);
      if (!plan) throw new Error(`no table ${name}`);
      return plan;
    }

    function start(restored: readonly (readonly [string, 'spooling' | 'draining'])[] = []): void {
      abort = new AbortController();
      ended = undefined;
      const runtime = testRuntime(abort.signal, faults);
      places = new ServerPlaces(pair.source, [{ host: replica.host, port: replica.port }]);
      stream = createMysqlStream(runtime, {
        name: 'fwd', direction: 'forward', source: places.address, places, target: pair.target, token: 1n, types: standardTypes, spoolDirectory: path.join(folder, 'spool'), recordFile: path.join(folder, 'source.json'),
        limits: { spoolBytes: 1 << 30, bufferBytes: 1 << 20, batchChanges: 100, batchWaitMs: 10 }, conflictStrategy: () => ({ kind: 'fail' }),
        onConflict: (conflict) => conflicts.push(conflict), onError: () => undefined, onSchemaChange: () => undefined,
      });
      stream.restore(restored.map(([name, mode]) => ({ plan: planOf(name), mode, intervals: [] })));
      running = runLoop(runtime, 'stream', (signal) => stream.run(signal), abort.signal, { limitMs: 200 }).catch((error: unknown) => {
        ended = error;
      });
    }

    async function stop(): Promise<void> {
      abort.abort();
      await running;
      await stream.close();
    }

    function holdConfirmation(): void {
      unconfirmed = Promise.withResolvers();
      unconfirmed.promise.catch(() => undefined);
    }

    function releaseConfirmation(): void {
      unconfirmed?.reject(new Error('it ended before'));
      unconfirmed = undefined;
    }

    /** Transactions of several kinds, over both tables too; `from` on, each row once. */
    async function write(server: TestMysql, from: number): Promise<void> {
      for (let at = 0; at < 10; at += 1) {
        const id = from + at;
        await server.sql(`INSERT INTO a VALUES (${id}, 'a${id}')`, pair.database);
        await server.sql(`BEGIN; INSERT INTO b VALUES (${id}, 'b${id}'); UPDATE a SET v = CONCAT(v, '+') WHERE id IN (1, ${id}); COMMIT`, pair.database);
        if (at % 3 === 0) await server.sql(`DELETE FROM a WHERE id = ${id}`, pair.database);
      }
    }

    async function applied(server: TestMysql, name: string): Promise<void> {
      const rows = async (): Promise<readonly unknown[]> => (await server.sql(`SELECT id, v FROM ${name} ORDER BY id`, pair.database)).map(({ id, v }) => ({ id: Number(id), v }));
      await expect.poll(async () => {
        if (ended !== undefined) throw ended as Error;
        return (await pair.client.query(`SELECT id, v FROM ${name} ORDER BY id`)).rows as unknown[];
      }, { timeout: 30_000 }).toEqual(await rows());
    }

    /** A change that is applied twice may leave the same rows. `writes`: calls of `write` that this process has carried. */
    function expectOnce(name: 'a' | 'b', writes: number): void {
      const applied = { a: { insert: 10 * writes, update: 20 * writes, delete: 4 * writes, truncate: 0 }, b: { insert: 10 * writes, update: 0, delete: 0, truncate: 0 } };
      expect(stream.status(name)?.applied).toEqual(applied[name]);
    }

    async function drainSpooled(server: TestMysql): Promise<void> {
      await stream.startDraining('b');
      await until('b is shared', () => {
        const status = stream.status('b');
        if (status?.mode === 'failed') throw status.error ?? new Error('b has failed');
        return status?.mode === 'shared';
      }, 30_000);
      for (const name of ['a', 'b']) await applied(server, name);
      expect(conflicts).toEqual([]);
    }

    it('goes on where the old server ended, with what was not confirmed', { timeout: 180_000 }, async () => {
      await write(primary, 100);
      await applied(primary, 'a');
      holdConfirmation();
      await write(primary, 200);
      await applied(primary, 'a');
      await untilReplicated(replica, primary);
      await primary.kill();
      releaseConfirmation();
      // Not promoted yet: nobody goes there.
      await until('the loss is noticed', () => !stream.health().connected);
      expect(places.current.port).toBe(primary.port);
      await promote(replica);
      await write(replica, 300);
      await until('the stream goes on', () => places.current.port === replica.port);
      await applied(replica, 'a');
      expectOnce('a', 3);
      await drainSpooled(replica);
      expectOnce('b', 3);
      // Rows of c were copied from a server that nobody can ask any more.
      expect(stream.status('c')).toMatchObject({ mode: 'failed', needsResync: true });
      await stream.removeTable('c');
      await write(replica, 400);
      for (const name of ['a', 'b']) await applied(replica, name);
      expect(conflicts).toEqual([]);
      // The old one comes back, and is not gone back to.
      await primary.restart();
      await stop();
      start([['a', 'draining'], ['b', 'draining']]);
      await write(replica, 500);
      for (const name of ['a', 'b']) await applied(replica, name);
      expect(places.current.port).toBe(replica.port);
      expect(conflicts).toEqual([]);
    });

    it('follows a planned change of servers, with the old one there', { timeout: 180_000 }, async () => {
      await write(primary, 100);
      await applied(primary, 'a');
      await primary.sql('SET GLOBAL read_only = 1');
      // By a user who may do so all the same.
      await write(primary, 200);
      await untilReplicated(replica, primary);
      await promote(replica);
      await write(replica, 300);
      await until('the stream goes on there', () => places.current.port === replica.port, 30_000);
      await applied(replica, 'a');
      await drainSpooled(replica);
    });

    it('goes on in another process', { timeout: 180_000 }, async () => {
      holdConfirmation();
      await write(primary, 100);
      await applied(primary, 'a');
      const stopped = stop();
      releaseConfirmation();
      await stopped;
      await write(primary, 200);
      await untilReplicated(replica, primary);
      await primary.kill();
      await promote(replica);
      start([['a', 'draining'], ['b', 'spooling']]);
      await write(replica, 300);
      await applied(replica, 'a');
      expectOnce('a', 2);
      await drainSpooled(replica);
      expectOnce('b', 3);
    });

    it('does not go to a server that lacks what has been read', { timeout: 180_000 }, async () => {
      await write(primary, 100);
      await untilReplicated(replica, primary);
      await promote(replica);
      const before = await gtidsOf(primary);
      await primary.sql("INSERT INTO a VALUES (999, 'lost')", pair.database);
      await applied(primary, 'a');
      const lost = (await gtidsOf(primary)).filter((gtid) => !before.includes(gtid));
      await primary.kill();
      await replica.sql("INSERT INTO a VALUES (1000, 'on the new one')", pair.database);
      await expect.poll(() => ended, { timeout: 30_000 }).toMatchObject({ code: 'MIG021', message: expect.stringContaining('was promoted') as unknown, detail: expect.stringContaining('lacks transactions that have been read') as unknown });
      for (const gtid of lost) expect((ended as { detail: string }).detail).toContain(gtid.split(':').at(-1));
      expect((await pair.client.query('SELECT v FROM a WHERE id = 1000')).rows).toEqual([]);
      expect(places.current.port).toBe(primary.port);
      // RESYNC begins from nothing, where the source is now.
      await stream.drop();
      expect(places.current.port).toBe(replica.port);
      start();
      await stream.addTable(planOf('a'));
      await until('connected', () => stream.health().connected);
    });

    it('waits while nobody is promoted, and goes on with the old one when it is back', { timeout: 180_000 }, async () => {
      await write(primary, 100);
      await primary.kill();
      await until('the loss is noticed', () => !stream.health().connected);
      await primary.restart();
      await write(primary, 200);
      await applied(primary, 'a');
      expect(places.current.port).toBe(primary.port);
      await drainSpooled(primary);
    });

    /** Last transactions, as the server writes them. */
    async function gtidsOf(server: TestMysql): Promise<readonly string[]> {
      const [row] = await server.sql(kind === 'mysql-9.7' ? 'SELECT @@GLOBAL.gtid_executed AS gtids' : 'SELECT @@GLOBAL.gtid_binlog_pos AS gtids');
      const text = row?.['gtids'] ?? '';
      return kind === 'mysql-9.7' ? text.split(/,\s*/).map((each) => `:${each.split(/[:-]/).at(-1) ?? ''}`) : text.split(',');
    }
  });
}
