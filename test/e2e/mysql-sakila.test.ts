/**
 * Whole schemas of MySQL, with everything that Sakila has and every column type at its ends, go to PostgreSQL, back, and there again under writers on
 * whichever side is the truth: each FULL validation is clean, no client sees an error but that a statement of its engine's own words finds the table on the other one, nothing that was committed is
 * missing, and rows of both sides are the same by a comparison of the test's own.
 */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareEveryType, everyTypeMap, fillEveryType } from '../cdc/mysql/every-type.ts';
import { compareValues } from '../cdc/mysql/compare-sides.ts';
import { seeded } from '../cdc/stream/random-workload.ts';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { PromisedRows } from './support/promised-rows.ts';
import { localBehaviour, makeSakila, repairSakila, sakilaKeys } from './support/sakila.ts';
import { openMysql, promisedTables, sakilaUnits, typeUnits, usePostgres, Writer } from './support/sakila-writers.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import { StepLog } from './support/step-log.ts';
import type { Stack } from './support/stack.ts';

// The others, and a large table, have their turn in `npm run soak`.
const isEveryServer = process.env['CAUSEWAY_CRASH'] === 'all';
const kinds: readonly MysqlKind[] = isEveryServer ? ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] : ['mariadb-10.11'];
const EVENTS = Number(process.env['CAUSEWAY_SAKILA_ROWS'] ?? (isEveryServer ? 1_000_000 : 3_000));
const isLarge = EVENTS >= 100_000;
const TYPED = isLarge ? 20_000 : 200;
const size = isLarge ? { films: 1000, customers: 600, rentals: 16_000 } : { films: 100, customers: 60, rentals: 600 };
// Three files of this kind share two cores: many times what each takes by itself.
const PATIENCE_MS = isLarge ? 900_000 : 300_000;
const schemas = ['sakila', 'types'] as const;

for (const kind of kinds) {
  describeMysql([kind], `whole schemas from ${kind}`, () => {
    const kept = new PromisedRows();
    let server: TestMysql;
    let stack: Stack;
    let port: number;
    let writing: { readonly stop: AbortController; readonly writers: readonly Writer[]; readonly ended: Promise<readonly unknown[]> } | undefined;
    let labels = 0;

    beforeAll(async () => {
      server = await startMysql(kind);
      await makeSakila(server, size);
      await server.createDatabase('types');
      await fillEveryType(server, 'types', TYPED);
      await server.sql('CREATE TABLE events (id bigint AUTO_INCREMENT PRIMARY KEY, amount decimal(12,2) NOT NULL, note varchar(60), made datetime NOT NULL, KEY by_made (made)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4', 'types');
      await server.sql("INSERT INTO events (amount, note, made) VALUES (1.50, 'größer als ß', '2024-01-01 00:00:00')", 'types');
      for (let rows = 1; rows < EVENTS; rows *= 2) await server.sql(`INSERT INTO events (amount, note, made) SELECT amount + id, CONCAT('Zeile ', id), made + INTERVAL id SECOND FROM events LIMIT ${EVENTS - rows}`, 'types');
      port = await freePort();
      stack = await startMysqlStack(server, { port, users: [{ name: 'app', password: 'right', isTrusted: true }] });
    }, PATIENCE_MS);

    afterAll(async () => {
      writing?.stop.abort();
      // What a writer waits for ends with the product.
      await stack?.[Symbol.asyncDispose]();
      await writing?.ended;
      await server?.dispose();
    });

    async function startWriters(side: 'source' | 'local'): Promise<void> {
      const stop = new AbortController();
      const writers: Writer[] = [];
      const runs: Promise<unknown>[] = [];
      for (const units of [sakilaUnits, sakilaUnits, typeUnits]) {
        labels += 1;
        const session = side === 'source' ? await openMysql(port, labels % 2 === 0) : usePostgres(await stack.connect('app'));
        const writer = new Writer(session, kept, seeded(labels), size, String(labels));
        writers.push(writer);
        runs.push(writer.run(units, stop.signal));
      }
      writing = { stop, writers, ended: Promise.all(runs) };
    }

    /** All have met their table on the other side, with a statement that the other engine does not take (MIG080, MIG082), and nothing else. */
    async function writersAreElsewhere(): Promise<void> {
      const errors = (await writing?.ended)?.map(String) ?? [];
      for (const error of errors) expect(error).toMatch(/MIG08[02]/);
      expect(errors.length).toBe(3);
      writing = undefined;
    }

    function stepLog(): StepLog {
      return new StepLog(async () => `commits: ${kept.commits}; writers: ${writing?.writers.map((writer) => writer.state).join('; ') ?? 'none'}\n${JSON.stringify(await stack.status())}\n${stack.product.logTail()}`);
    }

    /** Each of them has committed so many more units. */
    async function writersGoOn(units: number): Promise<void> {
      const before = kept.commits;
      await expect.poll(() => kept.commits, { timeout: 60_000 }).toBeGreaterThan(before + units);
    }

    async function allReady(): Promise<void> {
      for (const schema of schemas) {
        stack.watchedSchema = schema;
        await stack.makeReady(schema, PATIENCE_MS);
      }
      stack.watchedSchema = undefined;
    }

    async function isClean(): Promise<void> {
      for (const schema of schemas) {
        for (const row of await stack.command<Record<string, string>>(`VALIDATE MIGRATION FOR SCHEMA ${schema} FULL`)) expect(row).toMatchObject({ Result: 'PASS' });
      }
    }

    async function errorsOfCheck(): Promise<readonly Record<string, string>[]> {
      return (await stack.command<Record<string, string>>('CHECK MIGRATION FOR SCHEMA sakila FROM legacy_mysql')).filter((row) => row['Severity'] === 'error');
    }

    /** Past the gateway and past VALIDATE: what is not the same on both sides, or not as it was committed. Nobody writes. */
    async function differences(): Promise<readonly unknown[]> {
      const found: unknown[] = [];
      const local = await stack.direct('local');
      await local.query("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'");
      const there = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'types', rowsAsArray: true, charset: 'utf8mb4', typeCast: (field) => field.string() });
      await there.query("SET time_zone = '+00:00'");
      const read = {
        source: async (sql: string) => (await there.query<(string & mysql.RowDataPacket)[][]>(sql))[0],
        local: async (sql: string) => (await local.query<(string | null)[]>({ text: sql, rowMode: 'array', types: { getTypeParser: () => String } })).rows,
        schema: 'types',
      };
      const step = TYPED / 10;
      for (let from = -100; from < TYPED; from += step) found.push(...(await compareEveryType(read, from, from + step)).different);
      found.push(...(await compareEveryType(read, TYPED, 1e9)).different);
      const [events] = await read.source("SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', id, amount, IFNULL(note, '-'), made))) FROM events");
      const [same] = await read.local("SELECT count(*), sum(crc32(convert_to(concat_ws('|', id, amount, coalesce(note, '-'), made), 'UTF8'))) FROM types.events");
      if (String(events) !== String(same) || Number(events?.[0]) < EVENTS) found.push({ events, same });
      there.destroy();
      for (const [name, key] of Object.entries(sakilaKeys)) {
        const { rows, expectedRows, ...others } = await compareValues({ server, local, source: { schema: 'sakila', name }, target: { schema: 'sakila', name }, key });
        if (rows !== expectedRows || Object.values(others).some((some) => some.length > 0)) found.push({ name, rows, expectedRows, ...others });
      }
      found.push(...(await kept.broken('local', promisedTables, async (sql) => (await local.query<Record<string, unknown>>(sql)).rows)));
      found.push(...(await kept.broken('source', promisedTables, (sql) => server.sql(sql))));
      return found;
    }

    /** What was committed after the change of sides follows a moment later. */
    async function expectNoDifference(): Promise<void> {
      await expect.poll(differences, { timeout: 60_000 }).toEqual([]);
    }

    it('says what stands in the way, and goes once the operator has done what it says', async () => {
      const errors = await errorsOfCheck();
      const inTheWay = kind === 'mysql-9.7' ? ['sakila.film_text'] : ['sakila.film_text', 'sakila.payment'];
      await expect(stack.command('START MIGRATION FOR SCHEMA sakila FROM legacy_mysql')).rejects.toMatchObject({
        message: expect.stringContaining(`in the way: ${inTheWay.join(', ')}`) as string,
        detail: expect.stringMatching(/film_text.*its engine is MyISAM.*→ ALTER TABLE/) as string, hint: expect.stringContaining(`EXCLUDING (${inTheWay.join(', ')})`) as string,
      });
      expect(await stack.status()).toEqual([]);
      await repairSakila(server, errors.map((row) => row['Remedy'] ?? ''));
      expect(await errorsOfCheck()).toEqual([]);
    }, PATIENCE_MS);

    it('moves under writers', async () => {
      const steps = stepLog();
      await startWriters('source');
      steps.begin('start and load');
      for (const schema of schemas) await stack.command(`START MIGRATION FOR SCHEMA ${schema} FROM legacy_mysql OPTIONS (type_map '${everyTypeMap}')`);
      await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], PATIENCE_MS);
      const local = await stack.direct('local');
      for (const sql of [...localBehaviour(kind), 'GRANT USAGE ON SCHEMA sakila, types TO app; GRANT ALL ON ALL TABLES IN SCHEMA sakila, types TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA sakila, types TO app']) await local.query(sql);
      steps.begin('writers go on');
      await writersGoOn(30);
      steps.begin('ready');
      await allReady();
      steps.begin('cutover');
      await expect(stack.command('CUTOVER SCHEMA sakila')).rejects.toThrow('MIG053');
      await stack.command('ALTER MIGRATION ALL ACCEPT TYPE LOSS');
      for (const schema of schemas) await stack.command(`CUTOVER SCHEMA ${schema}`);
      steps.begin('writers end');
      await writersAreElsewhere();
      steps.begin('validate');
      await isClean();
      steps.begin('compare');
      await expectNoDifference();
    }, PATIENCE_MS);

    it('comes back with what was written on local', async () => {
      await startWriters('local');
      await writersGoOn(100);
      await isClean();
      for (const table of ['sakila.film', 'types.every_type', 'types.events']) await stack.command(`ROLLBACK MIGRATION FOR GROUP OF ${table} PRESERVE LOCAL DATA`);
      await writersAreElsewhere();
      await expectNoDifference();
    }, PATIENCE_MS);

    it('and goes again', async () => {
      await startWriters('source');
      await writersGoOn(100);
      await allReady();
      for (const schema of schemas) await stack.command(`CUTOVER SCHEMA ${schema}`);
      await writersAreElsewhere();
      await isClean();
      await expectNoDifference();
      await startWriters('local');
      await writersGoOn(30);
      writing?.stop.abort();
      expect(await writing?.ended).toEqual([undefined, undefined, undefined]);
      writing = undefined;
      await isClean();
      await expectNoDifference();
    }, PATIENCE_MS);
  });
}
