/**
 * However often and wherever the process that captures, loads and streams is killed, and its MySQL server too, while a writer goes on: local ends with
 * exactly the source's rows, by value and by checksum.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checksumChunk, mysqlDigestTable } from '../../../cdc/mysql/checksum.ts';
import { compareWithMysql } from '../../../cdc/mysql/compared-table.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { MysqlClient } from '../../../cdc/mysql/mysql-client.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { makeConversion, mapColumn } from '../../../cdc/mysql/type-map.ts';
import * as postgres from '../../../cdc/postgres/checksum.ts';
import { fieldDigestTable } from '../../../cdc/postgres/field-digest.ts';
import { quoteIdent, quoteTable } from '../../../cdc/postgres/quote.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { compareTables } from '../../../cdc/validate/validate-table.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { until } from '../stream/fixture.ts';
import { seeded } from '../stream/random-workload.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { readCanonical, sourceKinds } from './mysql-source.ts';
import { RandomWrites, writtenTables } from './random-writes.ts';
import type { MysqlChildConfiguration } from './stream-child.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
const faults = [
  'load.after_chunk_commit:crash@4', 'load.mid_chunk:crash@3', 'load.before_chunk_commit:crash@2', 'load.before_key_build:crash@2', 'stream.after_decode:crash@4', 'stream.before_commit:crash@8',
  'stream.after_commit:crash@12', 'stream.before_spool_fsync:crash@2', 'stream.after_spool_fsync:crash@2', 'stream.before_confirm:crash@2', 'stream.join_shared:crash@2',
];
let local: TestPostgres;

beforeAll(async () => {
  local = await startTestPostgres();
});
afterAll(() => local[Symbol.asyncDispose]());

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<void>;
}

// The others have their turn in `npm run soak`.
for (const kind of process.env['CAUSEWAY_CRASH'] === 'all' ? sourceKinds : sourceKinds.slice(0, 1)) {
  describeMysql([kind], `a migration from ${kind}`, () => {
    const random = seeded(seed);
    const database = 'shop';
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mysql-stream-'));
    let server: TestMysql;
    let pair: MysqlPair;
    let plans: TablePlan[];
    let writes: RandomWrites;

    beforeAll(async () => {
      server = await startMysql(kind);
      pair = await makeMysqlPair(server, local, database, `shop_${kind.replaceAll(/\W/g, '_')}`);
      writes = new RandomWrites(kind, random);
      await writes.create(server, kind, database);
      plans = [];
      for (const table of writtenTables) plans.push(await pair.migrate(table));
    });
    afterAll(async () => {
      await pair[Symbol.asyncDispose]();
      await server.dispose();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    function startChild(fault: string | undefined, token: number): Child {
      const configuration: MysqlChildConfiguration = { source: pair.source, target: pair.target, folder, plans, typeMap: '* ON nul_character REJECT', token: String(token), batchSize: 1500, batchChanges: 400 };
      const child = spawn(process.execPath, [path.join(import.meta.dirname, 'stream-child.ts'), JSON.stringify(configuration)], {
        env: { ...process.env, ...(fault === undefined ? {} : { CAUSEWAY_FAULT: fault }) }, stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines: string[] = [];
      child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter((line) => line !== '')));
      return { process: child, lines, ended: new Promise<void>((resolve) => child.once('exit', () => resolve())) };
    }

    it('comes to an end with the same rows on both sides', async () => {
      const stop = new AbortController();
      const writing = writes.run(server, database, stop.signal);
      let token = 0;
      const reached: string[] = [];
      for (const [at, fault] of faults.entries()) {
        token += 1;
        const child = startChild(fault, token);
        if (at === 2 || at === 6) {
          await new Promise((resolve) => setTimeout(resolve, 1500));
          await server.kill();
          await server.restart();
        }
        const isKilled = await Promise.race([child.ended.then(() => true), new Promise<false>((resolve) => setTimeout(() => resolve(false), 15_000))]);
        if (isKilled && child.process.signalCode === 'SIGKILL') reached.push(fault);
        child.process.kill('SIGKILL');
        await child.ended;
        expect(child.lines.filter((line) => /^(?:failed|ended|differs)/.test(line)), `seed ${seed}, ${fault}`).toEqual([]);
      }
      const child = startChild(undefined, token + 1);
      await until('loaded', () => child.lines.includes('loaded') || child.process.exitCode !== null, 60_000);
      stop.abort();
      await writing;
      child.process.stdin?.write('settle\n');
      await until('settled', () => child.lines.includes('settled') || child.process.exitCode !== null, 70_000).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${child.lines.join('\n')}`, { cause: error });
      });
      expect(child.lines, `seed ${seed}`).toEqual(['loaded', 'settled']);
      child.process.kill();
      await child.ended;
      process.stderr.write(`${kind}: ${writes.transactions} transactions, killed at ${reached.length} of ${faults.length} points\n`);
      expect(reached.length).toBeGreaterThanOrEqual(6);
      expect(writes.transactions).toBeGreaterThan(500);
      for (const plan of plans) await expectSame(plan);
    }, 480_000);

    async function expectSame(plan: TablePlan): Promise<void> {
      const table = await introspectMysqlTable(pair.query, plan.source);
      const [there, here] = [await readCanonical(server, database, plan.source.name, table.columns), await readLocal(plan)];
      const conversions = table.columns.map((column) => makeConversion(mapColumn(column, table.server), () => undefined));
      const types = table.columns.map((column) => column.type);
      const plain = (value: string, at: number): unknown => {
        if (types[at]?.name === 'json') return sortedJson(JSON.parse(value));
        if (types[at]?.name === 'inet6') return allWords(value);
        if (types[at]?.name === 'float') return Math.fround(Number(value));
        return types[at]?.zerofill === true || types[at]?.name === 'double' ? Number(value) : value;
      };
      const keyAt = plan.key.map((name) => table.columns.findIndex((column) => column.name === name));
      const byKey = (rows: readonly (readonly (string | null)[])[], convert: (value: string, at: number) => string | null): Map<string, string[]> => new Map(rows.map((row) => [
        JSON.stringify(keyAt.map((at) => row[at])), row.map((value, at) => {
          const text = value === null ? null : convert(value, at);
          return JSON.stringify(text === null ? null : plain(text, at));
        }),
      ]));
      const [want, have] = [byKey(there, (value) => value), byKey(here, (value, at) => conversions[at]?.toSource(value) ?? null)];
      const missing = [...want.keys()].filter((key) => !have.has(key));
      const extra = [...have.keys()].filter((key) => !want.has(key));
      const others = [...want].flatMap(([key, row]) => row.flatMap((value, at) => (have.has(key) && have.get(key)?.[at] !== value ? [`${key} ${table.columns[at]?.name}: ${have.get(key)?.[at]} instead of ${value}`] : [])));
      expect({ table: plan.tableId, missing: missing.slice(0, 5), extra: extra.slice(0, 5), others: others.slice(0, 5), rows: here.length }, `seed ${seed}`).toEqual({ table: plan.tableId, missing: [], extra: [], others: [], rows: there.length });
      await postgres.pinSession(pair.client);
      const all = { type: 'range', lower: null, upper: null } as const;
      const isAlike = async (columns: TablePlan['columns']): Promise<boolean> => {
        const part = { ...plan, columns };
        const source = mysqlDigestTable(part, await pair.columns(part));
        return postgres.isSameSum(await checksumChunk(pair.ask, source, all), await postgres.checksumChunk(pair.client, fieldDigestTable(part, source.forms), all));
      };
      if (!(await isAlike(plan.columns))) {
        const unlike: string[] = [];
        for (const column of plan.columns) if (!(await isAlike([...plan.columns.filter(({ name }) => plan.key.includes(name) && name !== column.name), column]))) unlike.push(column.name);
        expect(unlike, `seed ${seed} ${plan.tableId}`).toEqual([]);
      }
      const client = new MysqlClient(pair.source);
      const compared = await compareWithMysql(client, pair.client, plan, standardTypes);
      const options = { plan, mode: { type: 'full' }, settle: () => Promise.resolve(), chunkRows: 4000, monotonicMs: () => performance.now() } as const;
      expect(await compareTables(compared, options)).toMatchObject({ isEqual: true, rowsSource: there.length, rowsLocal: there.length, mismatches: [], unsettled: [] });
      // One row less, one value more: both are found by their keys.
      const [row] = here;
      if (row && plan.tableId === 'numbers') {
        await pair.client.query(`DELETE FROM ${quoteTable(plan.target)} WHERE id = $1`, [row[0]]);
        await pair.client.query(`INSERT INTO ${quoteTable(plan.target)} (id) VALUES (99999999)`);
        const report = await compareTables(compared, options);
        expect(report.mismatches.map(({ type, key }) => [type, ...key]).sort()).toEqual([['MISSING_LOCAL', row[0]], ['MISSING_REMOTE', '99999999']]);
      }
      await client.close();
    }

    async function readLocal(plan: TablePlan): Promise<(string | null)[][]> {
      await pair.client.query("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'");
      const { rows } = await pair.client.query<(string | null)[]>({ text: `SELECT ${plan.columns.map(({ name }) => quoteIdent(name)).join(', ')} FROM ${quoteTable(plan.target)}`, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } });
      return rows;
    }
  });
}

function sortedJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sortedJson(each)]));
}

/** Servers do not agree on which zeros are left out. */
function allWords(address: string): string {
  const [left = [], right] = address.split('::').map((part) => part.split(':').filter((word) => word !== ''));
  if (right === undefined) return address;
  const count = address.includes('.') ? 7 : 8;
  return [...left, ...Array.from({ length: count - left.length - right.length }, () => '0'), ...right].join(':');
}
