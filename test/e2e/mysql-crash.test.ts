/**
 * A MySQL database on its way to local, and at every named fault point of load, stream and cutover one part is killed: the control process, a
 * gateway worker, the MySQL server, local's server. Afterwards the migration goes on by itself, clients go on writing through the front door, on local
 * once the tables are there, and nothing that was acknowledged is missing, doubled or counted up once too often.
 *
 * A case is a database of its own: START, a kill on the way into DUAL_WRITE, one while the stream runs, one inside CUTOVER, and the cutover asked
 * for again where the crash has undone it. Another database goes to local and comes back, again and again, under writers at both doors: a kill inside
 * CUTOVER, one while local's changes go back, one inside ROLLBACK. `npm test` has some cases, with every victim, on MariaDB; with CAUSEWAY_CRASH=all
 * (`npm run soak`) every victim is killed at every point on every server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { mysqlCases, mysqlPoints, mysqlReturns } from './crash-points.ts';
import type { Kill, MysqlCase, MysqlReturn } from './crash-points.ts';
import type { ShopTables } from './support/mysql-shop.ts';
import { checkLedger, localShop, mysqlShop, OPENING_LINES, OPENING_TOTAL, openShop, ShopHistory, shopStatements } from './support/mysql-shop.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';
import type { Victim } from './support/stack.ts';

const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const kinds: readonly MysqlKind[] = isWhole ? ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] : ['mariadb-10.11'];
const CLIENTS = 3;
const REACH_LIMIT_MS = 40_000;
const SETTLE_LIMIT_MS = 60_000;
const CASE_LIMIT_MS = 240_000;

/** What a client may see: the connection went away, a deadlock, a lock that was waited for too long, and the gateway's own words for "again". */
const allowed = /: (connection|1213|1205|40P01|40001|MIG083|MIG084)$/;
/** Local is down, and the tables are there. */
const allowedWithoutLocal = /: MIG001$/;
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
      stack = await startMysqlStack(server, { port, faultPoints: mysqlPoints });
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

    /** An operator's statement; what a control process has taken up from the one before it may have to end first. */
    async function say(statement: string): Promise<void> {
      for (const deadline = performance.now() + SETTLE_LIMIT_MS; ;) {
        try {
          await stack.command(statement);
          return;
        } catch (error) {
          if (!/MIG074: .* is (?:running|under way)/.test(String(error)) || performance.now() > deadline) throw error;
          await delay(100);
        }
      }
    }

    async function expectLife(of = history): Promise<void> {
      const before = of.acknowledged;
      await expect.poll(() => of.acknowledged, { message: `new writes after ${history.phase}`, timeout: 30_000, interval: 50 }).toBeGreaterThan(before + 5);
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
    async function cutOver(statement: string, database: string, tables: ShopTables, { point, victim }: Kill): Promise<void> {
      await killAt({ point, victim }, () => say(statement));
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

    async function openDatabase(): Promise<{ database: string; tables: ShopTables; shop: { stop(): Promise<void> } }> {
      number += 1;
      const database = `shop_${number}`;
      await server.createDatabase(database);
      stack.watchedSchema = database;
      // MySQL clients' statements are judged by the names of tables alone, whatever their database.
      const tables = { account: `account_${number}`, ledger: `ledger_${number}` };
      for (const statement of shopStatements(tables)) await server.sql(statement, database);
      history = new ShopHistory();
      const shop = openShop(mysqlShop({ port, user: 'app', password: 'right', database }, tables), history, CLIENTS);
      pending.push(() => shop.stop());
      return { database, tables, shop };
    }

    function expectAllowedErrors(kills: readonly Kill[], ...histories: readonly ShopHistory[]): void {
      const allowedHere = [allowed, ...kills.flatMap(({ victim }) => (victim === 'source' ? [allowedWithoutServer] : victim === 'local' ? [allowedWithoutLocal] : []))];
      const unexpected = histories.flatMap((each) => Object.entries(each.errorsByName())).filter(([name]) => !allowedHere.some((pattern) => pattern.test(name)));
      expect(Object.fromEntries(unexpected)).toEqual({});
    }

    async function runCase({ load, stream, cutover }: MysqlCase): Promise<void> {
      const { database, tables, shop } = await openDatabase();

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
      // Who may do what on local is not carried.
      await (await stack.direct('local')).query(`GRANT USAGE ON SCHEMA ${database} TO app; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA ${database} TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA ${database} TO app`);
      // FULL: no row differs.
      await stack.makeReady(database);

      history.phase = cutover.point;
      await cutOver(`CUTOVER SCHEMA ${database} NO ROLLBACK`, database, tables, cutover);
      history.phase = 'on local';
      await expectLife();
      await shop.stop();
      expect(history.moved, 'refused').toBe(0);
      pending = [];
      await expectLocalIsAuthority(database, tables);
      await expectOneHistory();
      console.log(JSON.stringify({ kind, load, stream, cutover, acknowledged: history.acknowledged, unknown: history.unknown, reconnects: history.reconnects, errors: history.errorsByName() }));
      expectAllowedErrors([load, stream, cutover], history);
      for (const table of Object.values(tables)) await stack.insist(`COMPLETE MIGRATION FOR TABLE ${database}.${table}`);
    }

    async function expectLocalIsAuthority(database: string, { account, ledger }: ShopTables): Promise<void> {
      const here = await stack.insist<Record<string, string | null>>(`SELECT id::text, times::text, token::text, account_id::text, note, made::text FROM ${database}.${ledger} ORDER BY ${ledger}.id`);
      const findings = checkLedger(history, here.map(({ token, times }) => ({ token: Number(token), times: Number(times) })));
      expect(findings.join('\n'), findings.length === 0 ? '' : stack.product.logTail(60)).toBe('');
      expect(here.length).toBeGreaterThan(OPENING_LINES);
      const [total] = await stack.insist<{ total: string }>(`SELECT sum(balance)::text AS total FROM ${database}.${account}`);
      expect(total?.total).toBe(OPENING_TOTAL);
      // Clients go on writing on local, and there is no way back: the source has what was written before.
      const byId = new Map(here.map((row) => [row['id'], row]));
      const before = await server.sql(`SELECT id, token, account_id, note, made FROM ${ledger}`, database);
      expect(before.filter(({ id, token, account_id, note, made }) => {
        const row = byId.get(id);
        return row?.['token'] !== token || row?.['account_id'] !== account_id || row?.['note'] !== note || row?.['made'] !== made;
      })).toEqual([]);
      expect(await standing(database)).toHaveLength(2);
      await expect(server.sql(`UPDATE ${account} SET balance = 0 WHERE id = 1`, database)).rejects.toThrow('MIG082');
      const [made] = await stack.insist<{ id: string }>(`INSERT INTO ${database}.${ledger} (times, token, account_id, made) VALUES (0, 99, 1, now()) RETURNING id::text`);
      expect(Number(made?.id)).toBeGreaterThan(Math.max(...here.map(({ id }) => Number(id))));
    }

    /** Goes to local and comes back. `there` is of who writes while the tables are on local. */
    interface Journey {
      readonly database: string;
      readonly tables: ShopTables;
      readonly there: ShopHistory;
      readonly kills: Kill[];
      stop(): Promise<void>;
    }
    let journey: Journey | undefined;

    async function beginJourney(): Promise<Journey> {
      const { database, tables, shop } = await openDatabase();
      await stack.insist(`START MIGRATION FOR SCHEMA ${database} FROM legacy_mysql OPTIONS (batch_size 400)`);
      await stack.makeReady(database);
      const local = await stack.direct('local');
      await local.query(`GRANT USAGE ON SCHEMA ${database} TO app; GRANT ALL ON ALL TABLES IN SCHEMA ${database} TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA ${database} TO app`);
      const there = new ShopHistory();
      const localClients = openShop(localShop({ port: stack.gateway.port, user: 'app', password: 'right', database: stack.gateway.database }, database, tables), there, 2, CLIENTS + 1);
      pending.push(() => localClients.stop());
      return { database, tables, there, kills: [], stop: async () => void (await Promise.all([shop.stop(), localClients.stop()])) };
    }

    async function runReturn({ cutover, stream, rollback }: MysqlReturn): Promise<void> {
      const { database, tables, there, kills } = (journey ??= await beginJourney());
      kills.push(cutover, stream, rollback);
      const name = (phase: string): void => void (history.phase = there.phase = phase);
      name(cutover.point);
      await stack.makeReady(database);
      await cutOver(`CUTOVER SCHEMA ${database}`, database, tables, cutover);
      await expectLife(there);
      name(`${stream.point} of the way back`);
      await killAt(stream, () => Promise.resolve());
      await stack.waitState(['LOCAL_ONLY'], SETTLE_LIMIT_MS);
      await expectLife(there);
      name(rollback.point);
      await rollBack(`ROLLBACK MIGRATION FOR GROUP OF ${database}.${tables.ledger} PRESERVE LOCAL DATA`, rollback, there);
      await expectLife();
      await expectSourceIsAuthority(database, tables);
      const certain = [history, there].flatMap(({ lines }) => [...lines].filter(([, { possible }]) => !possible.has(undefined)).map(([token]) => token));
      const lines = new Set((await server.sql(`SELECT token FROM ${tables.ledger}`, database)).map(({ token }) => Number(token)));
      expect(certain.filter((token) => !lines.has(token)), stack.product.logTail(60)).toEqual([]);
      expect(await server.sql(`SELECT CAST(SUM(balance) AS CHAR) AS total FROM ${tables.account}`, database)).toEqual([{ total: OPENING_TOTAL }]);
    }

    /** Back to the source by one crash inside ROLLBACK, then as often as a crash has undone it. */
    async function rollBack(statement: string, kill: Kill, there: ShopHistory): Promise<void> {
      await killAt(kill, () => say(statement));
      for (const deadline = performance.now() + SETTLE_LIMIT_MS; ;) {
        if ((await stack.waitState(['LOCAL_ONLY', 'CUTOVER_READY', 'DUAL_WRITE', 'SYNCHRONIZING'], SETTLE_LIMIT_MS)) !== 'LOCAL_ONLY') return;
        if (performance.now() > deadline) throw new Error(`not rolled back\n${stack.product.logTail(60)}`);
        // It goes on without the worker that it was asked for through.
        if (kill.victim === 'worker') {
          await delay(100);
          continue;
        }
        there.phase = `${kill.point} undone`;
        await expectLife(there);
        await stack.command(statement).catch(() => delay(200));
      }
    }

    /** Local is the authority at the end, and its changes have gone back. */
    async function endJourney({ database, tables, there, kills, stop }: Journey): Promise<void> {
      await stack.makeReady(database);
      await stack.insist(`CUTOVER SCHEMA ${database}`);
      await expectLife(there);
      await stop();
      pending = [];
      const ledger = (await stack.insist<Record<string, string | null>>(`SELECT id::text, times::text, token::text, account_id::text, note, made::text FROM ${database}.${tables.ledger} ORDER BY ${tables.ledger}.id`)).map((row) => Object.values(row).join('|'));
      const accounts = (await stack.insist<Record<string, string>>(`SELECT id::text, balance::text FROM ${database}.${tables.account} ORDER BY ${tables.account}.id`)).map((row) => Object.values(row).join('|'));
      const rows = ledger.map((row) => row.split('|')).map(([, times, token]) => ({ times: Number(times), token: Number(token) }));
      expect(checkLedger({ lines: new Map([...history.lines, ...there.lines]) }, rows)).toEqual([]);
      const onServer = async (sql: string): Promise<string[]> => (await server.sql(sql, database)).map((row) => Object.values(row).join('|'));
      // The way back follows a moment later.
      await expect.poll(() => onServer(`SELECT id, times, token, account_id, note, made FROM ${tables.ledger} ORDER BY id`), { timeout: 20_000 }).toEqual(ledger);
      await expect.poll(() => onServer(`SELECT id, balance FROM ${tables.account} ORDER BY id`), { timeout: 20_000 }).toEqual(accounts);
      await expectOneHistory();
      console.log(JSON.stringify({ kind, acknowledged: [history.acknowledged, there.acknowledged], unknown: [history.unknown, there.unknown], errors: { ...history.errorsByName(), ...there.errorsByName() } }));
      expectAllowedErrors(kills, history, there);
    }

    const tell = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        const log = stack.product.logTail(40);
        const seen = `moved ${history.moved}, ${JSON.stringify(history.errorsByName())}`;
        await Promise.all(pending.map((stop) => stop()));
        pending = [];
        journey = undefined;
        throw error instanceof Error ? Object.assign(error, { message: `${error.message}\n${seen}\n${log}` }) : error;
      }
    };

    it.each(mysqlCases(isWhole))('kill $load.victim at $load.point, $stream.victim at $stream.point, $cutover.victim at $cutover.point', { timeout: CASE_LIMIT_MS }, (each) => tell(() => runCase(each)));
    it.each(mysqlReturns(isWhole))('to local and back, kill $cutover.victim at $cutover.point, $stream.victim at $stream.point, $rollback.victim at $rollback.point', { timeout: CASE_LIMIT_MS }, (each) => tell(() => runReturn(each)));
    it('and at the end both sides agree on every row', { timeout: CASE_LIMIT_MS }, () => tell(async () => endJourney(journey ?? (await beginJourney()))));
  });
}
