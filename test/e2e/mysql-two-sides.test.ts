/**
 * Transactions that write a table of the MySQL server and one that has moved to local, while the gateway, the control and either server are killed at the
 * steps of their commit, and while the rest of the tables is cut over: afterwards none is left prepared, none is on one side only, none that was
 * acknowledged is missing, and the copies of either side on the other agree with it (RULES 23).
 *
 * CAUSEWAY_SIDES_SERVERS names other servers (mysql-9.7, mysql-5.6), by commas; with CAUSEWAY_CRASH=all everybody is killed at every point.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, mysqlKinds, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { commitPoints } from './crash-points.ts';
import type { Kill } from './crash-points.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack, Victim } from './support/stack.ts';
import { ACCOUNTS, preparedLeft, readBalance, transferFaults, Transfers } from './support/transfers.ts';
import type { Balance } from './support/transfers.ts';

const wanted = (process.env['CAUSEWAY_SIDES_SERVERS'] ?? 'mariadb-10.11').split(',');
const kinds: readonly MysqlKind[] = mysqlKinds.filter((kind) => wanted.includes(kind));
const victims: readonly Victim[] = ['worker', 'source', 'local', 'control'];
const sample: readonly Kill[] = [
  { point: 'commit.prepared', victim: 'worker' }, { point: 'commit.prepared', victim: 'source' }, { point: 'commit.decided', victim: 'worker' }, { point: 'commit.decided', victim: 'source' }, { point: 'commit.decided', victim: 'local' },
];
const kills = process.env['CAUSEWAY_CRASH'] === 'all' ? commitPoints.flatMap((point) => victims.map((victim): Kill => ({ point, victim }))) : sample;
const RECOVERY_LIMIT_MS = 30_000;

for (const kind of kinds) {
  describeMysql([kind], `transactions over ${kind} and local`, () => {
    let server: TestMysql;
    let stack: Stack;
    let local: pg.Client;

    beforeAll(async () => {
      // A decision must outlive a crash, or the server is not asked for any.
      server = await startMysql(kind, { settings: ['sync-binlog=1', 'innodb-flush-log-at-trx-commit=1'] });
      await server.createDatabase('bank');
      const accounts = Array.from({ length: ACCOUNTS }, (_, at) => `(${at + 1}, 1000)`).join(', ');
      for (const side of ['moved', 'stayed']) await server.sql(`
        CREATE TABLE ${side} (id int PRIMARY KEY, balance bigint NOT NULL) ENGINE = InnoDB;
        CREATE TABLE ${side}_journal (transfer varchar(100) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, amount bigint NOT NULL) ENGINE = InnoDB;
        INSERT INTO ${side} VALUES ${accounts}`, 'bank');
      // One worker: the one that stands at the point is the one that is killed.
      stack = await startMysqlStack(server, { workers: 1, faultPoints: commitPoints, users: [{ name: 'app', role: 'postgres' }] });
      await stack.command('START MIGRATION FOR SCHEMA bank FROM legacy_mysql');
      await stack.makeReady('bank', 120_000);
      for (const table of ['moved', 'moved_journal']) await stack.command(`CUTOVER TABLE bank.${table}`);
      const { rows } = await (await stack.connect('app')).query<Record<string, string>>("EXPLAIN ROUTE SELECT balance FROM bank.moved");
      expect(JSON.stringify(rows)).toMatch(/local/i);
    }, 240_000);
    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    async function onServer(side: string): Promise<Balance> {
      const [total] = await server.sql(`SELECT CAST(SUM(balance) AS CHAR) AS n FROM ${side}`, 'bank');
      return { total: Number(total?.['n']), transfers: new Set((await server.sql(`SELECT transfer FROM ${side}_journal`, 'bank')).map((row) => row['transfer'] ?? '')) };
    }

    async function kill(victim: Victim): Promise<void> {
      if (victim !== 'source') return stack.kill(victim);
      await server.kill();
      await server.restart();
    }

    async function acknowledgeMore(transfers: Transfers, count: number): Promise<void> {
      const before = transfers.acknowledged.size;
      await expect.poll(() => transfers.acknowledged.size, { timeout: 60_000, interval: 20, message: () => `transfers after ${JSON.stringify([...transfers.errors])}` } as never).toBeGreaterThan(before + count);
    }

    async function expectWhole(transfers: Transfers): Promise<void> {
      local = await stack.direct('local');
      await expect.poll(() => preparedLeft(local), { timeout: RECOVERY_LIMIT_MS, message: 'left prepared' }).toBe(0);
      expect(transferFaults(await readBalance(local, 'bank.moved'), await onServer('stayed'), transfers.acknowledged)).toEqual([]);
    }

    it.each(kills)('kill $victim at $point', { timeout: 180_000 }, async ({ victim, point }) => {
      const transfers = new Transfers(stack.gateway, 'app', 'bank.');
      transfers.start(3);
      await acknowledgeMore(transfers, 5);
      stack.faults.arm(point);
      await stack.faults.reached(point, 40_000);
      await kill(victim);
      stack.faults.release(point);
      await acknowledgeMore(transfers, 5);
      await transfers.stop();
      await expectWhole(transfers);
    });

    it('while the other tables are cut over: the copies have both halves too', { timeout: 240_000 }, async () => {
      const transfers = new Transfers(stack.gateway, 'app', 'bank.');
      transfers.start(4);
      await acknowledgeMore(transfers, 10);
      await expect.poll(async () => (await stack.status()).filter(({ State }) => State === 'CUTOVER_READY' || State === 'DUAL_WRITE').length, { timeout: 60_000 }).toBe(2);
      await stack.insist('CUTOVER TABLE bank.stayed FORCE', 60_000);
      await acknowledgeMore(transfers, 10);
      await stack.insist('CUTOVER TABLE bank.stayed_journal FORCE', 60_000);
      await acknowledgeMore(transfers, 10);
      await transfers.stop();
      local = await stack.direct('local');
      await expect.poll(() => preparedLeft(local), { timeout: RECOVERY_LIMIT_MS }).toBe(0);
      expect(transferFaults(await readBalance(local, 'bank.moved'), await readBalance(local, 'bank.stayed'), transfers.acknowledged)).toEqual([]);
      // The way back brings the same to the server.
      await expect.poll(async () => transferFaults(await onServer('moved'), await onServer('stayed'), transfers.acknowledged), { timeout: 30_000 }).toEqual([]);
      const unexpected = [...transfers.errors.keys()].filter((code) => !/^(connection|08|57P|25P02|40001|40P01)/.test(code));
      expect(unexpected).toEqual([]);
    });
  });
}
