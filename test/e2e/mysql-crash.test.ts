/**
 * A MySQL database on its way to local, and at every named fault point of load, stream and cutover one part is killed: the control process, a
 * gateway worker, the MySQL server, local's server. Afterwards the migration goes on by itself, clients go on writing through the front door, and
 * nothing that was acknowledged is missing, doubled or counted up once too often.
 *
 * A case is a database of its own: START, a kill on the way into DUAL_WRITE, one while the stream runs, one inside CUTOVER, and the cutover asked
 * for again where the crash has undone it. `npm test` has three cases, with every victim, on MariaDB; with CAUSEWAY_CRASH=all (`npm run soak`) every
 * victim is killed at every point on every server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { mysqlCases, mysqlPoints } from './crash-points.ts';
import type { Kill, MysqlCase } from './crash-points.ts';
import type { ShopTables } from './support/mysql-shop.ts';
import { checkLedger, OPENING_LINES, OPENING_TOTAL, openShop, ShopHistory, shopStatements } from './support/mysql-shop.ts';
import { Stack } from './support/stack.ts';
import type { Victim } from './support/stack.ts';

const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const kinds: readonly MysqlKind[] = isWhole ? ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] : ['mariadb-10.11'];
const CLIENTS = 3;
const REACH_LIMIT_MS = 40_000;
const SETTLE_LIMIT_MS = 60_000;
const CASE_LIMIT_MS = 240_000;

/** What a client may see: the connection went away, a deadlock, a lock that was waited for too long, and the gateway's own words for "again". */
const allowed = /: (connection|1213|1205|MIG083|MIG084)$/;
/** Who logs in while the server is down is told so. */
const allowedWithoutServer = /: MIG001$/;

for (const kind of kinds) {
  describeMysql([kind], `a migration from ${kind} with crashes`, () => {
    let server: TestMysql;
    let stack: Stack;
    let port: number;
    let number = 0;
    let history = new ShopHistory();
    let pending: (() => Promise<void>)[] = [];

    beforeAll(async () => {
      server = await startMysql(kind);
      port = await freePort();
      const login = (): object => ({ user: server.user, password: server.password });
      stack = await Stack.start({
        sourceSql: 'CREATE TABLE other (id int PRIMARY KEY)', workers: 2, faultPoints: mysqlPoints,
        settings: {
          mysql: { listen: { port }, server: { host: server.host, port: server.port, ...login() } },
          users: [
            { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], source: { user: 'postgres' }, local: { user: 'postgres' }, mysql: login() },
            { name: 'app', password: 'right', source: { user: 'app' }, local: { user: 'app' }, mysql: login() },
          ],
        },
      });
    });

    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    async function kill(victim: Victim): Promise<void> {
      if (victim !== 'source') return stack.kill(victim);
      await server.kill();
      await server.restart();
    }

    /** Holds who comes to the point, kills, lets go; the answer of `work` is no surprise once something has been killed. */
    async function killAt({ point, victim }: Kill, work: () => Promise<unknown>): Promise<unknown> {
      stack.faults.arm(point);
      const answer = work().then(() => undefined, (error: unknown) => error);
      const refused = answer.then((error) => (error === undefined ? new Promise<never>(() => undefined) : Promise.reject(new Error(`refused before ${point}: ${String(error)}`))));
      refused.catch(() => undefined);
      try {
        await Promise.race([stack.faults.reached(point, REACH_LIMIT_MS), refused]);
        await kill(victim);
      } finally {
        stack.faults.release(point);
      }
      return answer;
    }

    async function expectLife(): Promise<void> {
      const before = history.acknowledged;
      await expect.poll(() => history.acknowledged, { message: `new writes after ${history.phase}`, timeout: 30_000, interval: 50 }).toBeGreaterThan(before + 5);
    }

    async function expectSourceIsAuthority(database: string, { ledger }: ShopTables): Promise<void> {
      expect(await standing(database)).toEqual([]);
      await expect((await stack.direct('local')).query(`DELETE FROM ${database}.${ledger}`)).rejects.toThrow(/MIG082|guard|refused/i);
    }

    async function standing(database: string): Promise<readonly unknown[]> {
      return server.sql(`SELECT table_name FROM causeway.fence WHERE standing = 1 AND schema_name = '${database}' ORDER BY 1`);
    }

    /** The moves of each table follow each other. */
    async function expectOneHistory(): Promise<void> {
      const moves = await stack.insist<{ table_id: string; old_state: string | null; new_state: string | null }>(
        "SELECT table_id, old_state, new_state FROM SYS$MIGRATION_HISTORY WHERE event_type = 'state_change' ORDER BY created_at");
      const at = new Map<string, string | null>();
      for (const { table_id: id, old_state: from, new_state: to } of moves) {
        if (from === to) continue;
        expect(at.get(id) ?? from, `history of ${id}`).toBe(from);
        at.set(id, to);
      }
    }

    /** To LOCAL_ONLY by one crash inside CUTOVER, then as often as a crash has undone it. */
    async function cutOver(database: string, tables: ShopTables, { point, victim }: Kill): Promise<void> {
      const statement = `CUTOVER SCHEMA ${database} NO ROLLBACK`;
      await killAt({ point, victim }, () => stack.command(statement));
      for (const deadline = performance.now() + SETTLE_LIMIT_MS; ;) {
        const state = await stack.waitState(['LOCAL_ONLY', 'CUTOVER_READY', 'DUAL_WRITE', 'SYNCHRONIZING'], SETTLE_LIMIT_MS);
        if (state === 'LOCAL_ONLY') return;
        if (performance.now() > deadline) throw new Error(`not cut over\n${stack.product.logTail(60)}`);
        // It goes on without the worker that it was asked for through.
        if (victim === 'worker') {
          await delay(100);
          continue;
        }
        history.phase = `${point} undone`;
        // An undo that a server was down for is tried again.
        await expect.poll(() => standing(database), { timeout: 20_000 }).toEqual([]);
        await stack.makeReady(database);
        await expectLife();
        await expectSourceIsAuthority(database, tables);
        await stack.command(statement).catch(() => delay(200));
      }
    }

    async function runCase({ load, stream, cutover }: MysqlCase): Promise<void> {
      number += 1;
      const database = `shop_${number}`;
      await server.createDatabase(database);
      stack.watchedSchema = database;
      // MySQL clients' statements are judged by the names of tables alone, whatever their database.
      const tables = { account: `account_${number}`, ledger: `ledger_${number}` };
      for (const statement of shopStatements(tables)) await server.sql(statement, database);
      history = new ShopHistory();
      const shop = openShop({ port, user: 'app', password: 'right', database, tables }, history, CLIENTS);
      pending.push(() => shop.stop());

      history.phase = load.point;
      await expectLife();
      await killAt(load, () => stack.insist(`START MIGRATION FOR SCHEMA ${database} FROM legacy_mysql OPTIONS (batch_size 400)`));
      await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], SETTLE_LIMIT_MS);
      await expectLife();

      history.phase = stream.point;
      await killAt(stream, () => Promise.resolve());
      await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], SETTLE_LIMIT_MS);
      await expectLife();
      await expectSourceIsAuthority(database, tables);
      // FULL: no row differs.
      await stack.makeReady(database);
      expect(history.moved, 'refused while the source was the authority').toBe(0);

      history.phase = cutover.point;
      await cutOver(database, tables, cutover);
      await expect.poll(() => history.moved, { timeout: 20_000 }).toBeGreaterThan(CLIENTS);
      await shop.stop();
      pending = [];
      await expectLocalIsAuthority(database, tables);
      await expectOneHistory();
      console.log(JSON.stringify({ kind, load, stream, cutover, acknowledged: history.acknowledged, unknown: history.unknown, reconnects: history.reconnects, errors: history.errorsByName() }));
      const isServerKilled = [load, stream, cutover].some(({ victim }) => victim === 'source');
      const unexpected = Object.entries(history.errorsByName()).filter(([name]) => !allowed.test(name) && !(isServerKilled && allowedWithoutServer.test(name)));
      expect(Object.fromEntries(unexpected)).toEqual({});
      for (const table of Object.values(tables)) await stack.insist(`COMPLETE MIGRATION FOR TABLE ${database}.${table}`);
    }

    async function expectLocalIsAuthority(database: string, { account, ledger }: ShopTables): Promise<void> {
      const columns = 'id, times, token, account_id, note, made';
      const here = await stack.insist<Record<string, string | null>>(`SELECT id::text, times::text, token::text, account_id::text, note, made::text FROM ${database}.${ledger} ORDER BY ${ledger}.id`);
      const findings = checkLedger(history, here.map(({ token, times }) => ({ token: Number(token), times: Number(times) })));
      expect(findings.join('\n'), findings.length === 0 ? '' : stack.product.logTail(60)).toBe('');
      expect(here.length).toBeGreaterThan(OPENING_LINES);
      const [total] = await stack.insist<{ total: string }>(`SELECT sum(balance)::text AS total FROM ${database}.${account}`);
      expect(total?.total).toBe(OPENING_TOTAL);
      // Nobody has written on local yet, and nobody may write on the source any more: both hold the same rows.
      expect(here.map((row) => Object.values(row).join('|')).join('\n')).toBe((await server.sql(`SELECT ${columns} FROM ${ledger} ORDER BY id`, database)).map((row) => Object.values(row).join('|')).join('\n'));
      const balances = await stack.insist<{ id: string; balance: string }>(`SELECT id::text, balance::text FROM ${database}.${account} ORDER BY ${account}.id`);
      expect(balances).toEqual((await server.sql(`SELECT id, balance FROM ${account} ORDER BY id`, database)).map((row) => ({ ...row })));
      expect(await standing(database)).toHaveLength(2);
      await expect(server.sql(`UPDATE ${account} SET balance = 0 WHERE id = 1`, database)).rejects.toThrow('MIG082');
      const [made] = await stack.insist<{ id: string }>(`INSERT INTO ${database}.${ledger} (times, token, account_id, made) VALUES (0, 99, 1, now()) RETURNING id::text`);
      expect(Number(made?.id)).toBeGreaterThan(Math.max(...here.map(({ id }) => Number(id))));
    }

    it.each(mysqlCases(isWhole))('kill $load.victim at $load.point, $stream.victim at $stream.point, $cutover.victim at $cutover.point', { timeout: CASE_LIMIT_MS }, async (each) => {
      try {
        await runCase(each);
      } catch (error) {
        const log = stack.product.logTail(40);
        const seen = `moved ${history.moved}, ${JSON.stringify(history.errorsByName())}`;
        await Promise.all(pending.map((stop) => stop()));
        pending = [];
        throw error instanceof Error ? Object.assign(error, { message: `${error.message}\n${seen}\n${log}` }) : error;
      }
    });
  });
}
