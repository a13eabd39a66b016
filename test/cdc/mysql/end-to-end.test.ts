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
import { compareWithMysql } from '../../../cdc/mysql/compared-table.ts';
import { MysqlClient } from '../../../cdc/mysql/mysql-client.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { quoteTable } from '../../../cdc/postgres/quote.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { compareTables } from '../../../cdc/validate/validate-table.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { until } from '../stream/fixture.ts';
import { seeded } from '../stream/random-workload.ts';
import { expectSame } from './compare-sides.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';
import { RandomWrites, writtenTables } from './random-writes.ts';
import type { MysqlChildConfiguration } from './stream-child.ts';

const seed = randomSeed('SEED');
const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const allFaults = [
  'load.after_chunk_commit:crash@4', 'load.mid_chunk:crash@3', 'load.before_chunk_commit:crash@2', 'load.before_key_build:crash@2', 'stream.after_decode:crash@4', 'stream.before_commit:crash@8',
  'stream.after_commit:crash@12', 'stream.before_spool_fsync:crash@2', 'stream.after_spool_fsync:crash@2', 'stream.before_confirm:crash@2', 'stream.join_shared:crash@2',
];
/** The others, and the other servers, have their turn in `npm run soak`. */
const faults = isWhole ? allFaults : allFaults.filter((_, at) => at % 2 === 0);
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

for (const kind of isWhole ? sourceKinds : sourceKinds.slice(0, 1)) {
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
      expect(reached.length).toBeGreaterThanOrEqual(isWhole ? 6 : 3);
      expect(writes.transactions).toBeGreaterThan(500);
      for (const plan of plans) {
        await expectSame(server, pair, plan, `seed ${seed}`);
        await expectComparedSame(plan);
      }
    }, 480_000);

    /** By the comparison of VALIDATE: one row less, one value more are found by their keys. */
    async function expectComparedSame(plan: TablePlan): Promise<void> {
      const client = new MysqlClient(pair.source);
      const compared = await compareWithMysql(client, pair.client, plan, standardTypes);
      const options = { plan, mode: { type: 'full' }, settle: () => Promise.resolve(), chunkRows: 4000, monotonicMs: () => performance.now() } as const;
      expect(await compareTables(compared, options), `seed ${seed}`).toMatchObject({ isEqual: true, mismatches: [], unsettled: [] });
      const { rows: [row] } = plan.tableId === 'numbers' ? await pair.client.query<{ id: string }>(`DELETE FROM ${quoteTable(plan.target)} WHERE id = (SELECT min(id) FROM ${quoteTable(plan.target)}) RETURNING id::text`) : { rows: [] };
      if (row) {
        await pair.client.query(`INSERT INTO ${quoteTable(plan.target)} (id) VALUES (99999999)`);
        const report = await compareTables(compared, options);
        expect(report.mismatches.map(({ type, key }) => [type, ...key]).sort()).toEqual([['MISSING_LOCAL', row.id], ['MISSING_REMOTE', '99999999']]);
      }
      await client.close();
    }
  });
}
