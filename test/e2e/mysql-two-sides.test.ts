/**
 * Transactions, by clients of either protocol, that write a table of the MySQL server and one that has moved to local, while the gateway, the control and either server are killed at the
 * steps of their commit, and while the rest of the tables is cut over: afterwards none is left prepared, none is on one side only, none that was
 * acknowledged is missing, and the copies of either side on the other agree with it (RULES 23).
 *
 * CAUSEWAY_SIDES_SERVERS names servers, by commas; with CAUSEWAY_CRASH=all (`npm run soak`) everybody is killed at every point, on every server.
 */
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, mysqlKinds, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { commitPoints } from './crash-points.ts';
import type { Kill } from './crash-points.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack, Victim } from './support/stack.ts';
import { ACCOUNTS, preparedLeft, readBalance, transferFaults, Transfers } from './support/transfers.ts';
import type { Balance, TransferClient } from './support/transfers.ts';

const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const wanted = (process.env['CAUSEWAY_SIDES_SERVERS'] ?? (isWhole ? 'mariadb-10.11,mysql-9.7,mysql-5.6' : 'mariadb-10.11')).split(',');
const kinds: readonly MysqlKind[] = mysqlKinds.filter((kind) => wanted.includes(kind));
const victims: readonly Victim[] = ['worker', 'source', 'local', 'control'];
type Door = 'PostgreSQL' | 'MySQL';
type KillOf = Kill & { readonly door: Door };
const sample: readonly KillOf[] = [
  { point: 'commit.prepared', victim: 'worker', door: 'MySQL' }, { point: 'commit.prepared', victim: 'source', door: 'PostgreSQL' },
  { point: 'commit.decided', victim: 'worker', door: 'PostgreSQL' }, { point: 'commit.decided', victim: 'source', door: 'MySQL' }, { point: 'commit.decided', victim: 'local', door: 'MySQL' },
];
const kills = isWhole ? commitPoints.flatMap((point) => victims.flatMap((victim) => (['PostgreSQL', 'MySQL'] as const).map((door): KillOf => ({ point, victim, door })))) : sample;
const RECOVERY_LIMIT_MS = 30_000;

for (const kind of kinds) {
  describeMysql([kind], `transactions over ${kind} and local`, () => {
    let server: TestMysql;
    let stack: Stack;
    let local: pg.Client;
    let port: number;

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
      port = await freePort();
      stack = await startMysqlStack(server, { port, workers: 1, faultPoints: commitPoints, users: [{ name: 'app', role: 'postgres' }, { name: 'shop', role: 'postgres', password: 'right' }] });
      await stack.command('START MIGRATION FOR SCHEMA bank FROM legacy_mysql');
      await stack.makeReady('bank', 120_000);
      for (const table of ['moved', 'moved_journal']) await stack.command(`CUTOVER TABLE bank.${table}`);
    }, 240_000);
    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    async function mysqlClient(): Promise<TransferClient> {
      const client = await mysql.createConnection({ host: '127.0.0.1', port, user: 'shop', password: 'right', database: 'bank', connectTimeout: 10_000 });
      client.on('error', () => undefined);
      return {
        query: (text, values = []) => client.query(text.replace(/\$\d/g, '?'), [...values]),
        end: () => Promise.resolve(client.destroy()),
        codeOf: (error) => (error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : undefined),
      };
    }

    class Doors {
      readonly #doors: readonly Transfers[];

      constructor(...doors: readonly Door[]) {
        this.#doors = doors.map((door) => (door === 'MySQL' ? new Transfers(stack.gateway, 'shop', 'bank.', mysqlClient) : new Transfers(stack.gateway, 'app', 'bank.')));
      }

      start(): void {
        for (const door of this.#doors) door.start(2);
      }

      async stop(): Promise<void> {
        await Promise.all(this.#doors.map((door) => door.stop()));
      }

      get acknowledged(): ReadonlySet<string> {
        return new Set(this.#doors.flatMap(({ acknowledged }) => [...acknowledged]));
      }

      get errors(): readonly string[] {
        return this.#doors.flatMap(({ said }) => [...said].map(([code, text]) => `${code} ${text}`));
      }

      /** Each door gets on. */
      async acknowledgeMore(count: number): Promise<void> {
        const before = this.#doors.map(({ acknowledged }) => acknowledged.size);
        await expect.poll(() => Math.min(...this.#doors.map(({ acknowledged }, at) => acknowledged.size - (before[at] ?? 0))), { timeout: 60_000, interval: 20, message: `transfers; errors ${this.errors.join()}` }).toBeGreaterThan(count);
      }
    }

    async function onServer(side: string): Promise<Balance> {
      const [total] = await server.sql(`SELECT CAST(SUM(balance) AS CHAR) AS n FROM ${side}`, 'bank');
      return { total: Number(total?.['n']), transfers: new Set((await server.sql(`SELECT transfer FROM ${side}_journal`, 'bank')).map((row) => row['transfer'] ?? '')) };
    }

    async function kill(victim: Victim): Promise<void> {
      if (victim !== 'source') return stack.kill(victim);
      await server.kill();
      await server.restart();
    }

    async function expectWhole(transfers: Doors): Promise<void> {
      local = await stack.direct('local');
      await expect.poll(() => preparedLeft(local), { timeout: RECOVERY_LIMIT_MS, message: 'left prepared' }).toBe(0);
      expect(transferFaults(await readBalance(local, 'bank.moved'), await onServer('stayed'), transfers.acknowledged)).toEqual([]);
    }

    it.each(kills)('kill $victim at $point of a $door client', { timeout: 180_000 }, async ({ victim, point, door }) => {
      const transfers = new Doors(door);
      transfers.start();
      await transfers.acknowledgeMore(3);
      stack.faults.arm(point);
      await stack.faults.reached(point, 40_000);
      await kill(victim);
      stack.faults.release(point);
      await transfers.acknowledgeMore(3);
      await transfers.stop();
      await expectWhole(transfers);
    });

    it('while the other tables are cut over: the copies have both halves too', { timeout: 240_000 }, async () => {
      const transfers = new Doors('PostgreSQL', 'MySQL');
      transfers.start();
      await transfers.acknowledgeMore(8);
      await expect.poll(async () => (await stack.status()).filter(({ State }) => State === 'CUTOVER_READY' || State === 'DUAL_WRITE').length, { timeout: 60_000 }).toBe(2);
      await stack.insist('CUTOVER TABLE bank.stayed FORCE', 60_000);
      await transfers.acknowledgeMore(8);
      await stack.insist('CUTOVER TABLE bank.stayed_journal FORCE', 60_000);
      await transfers.acknowledgeMore(8);
      await transfers.stop();
      local = await stack.direct('local');
      await expect.poll(() => preparedLeft(local), { timeout: RECOVERY_LIMIT_MS }).toBe(0);
      expect(transferFaults(await readBalance(local, 'bank.moved'), await readBalance(local, 'bank.stayed'), transfers.acknowledged)).toEqual([]);
      // The way back brings the same to the server.
      await expect.poll(async () => transferFaults(await onServer('moved'), await onServer('stayed'), transfers.acknowledged), { timeout: 30_000 }).toEqual([]);
      // Who is stopped for longer than his lease comes too late, and meets the fence.
      expect(transfers.errors.filter((error) => !/^(40001|40P01) |MIG082: .* is refused by the Causeway gateway/.test(error))).toEqual([]);
    });
  });
}
