/**
 * However often and wherever the process that carries local's changes back is killed, and its MySQL server too, while a writer goes on: MySQL ends with
 * exactly local's rows, value by value.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { until } from '../stream/fixture.ts';
import { seeded } from '../stream/random-workload.ts';
import { expectSameValues } from './compare-sides.ts';
import { LocalWrites } from './local-writes.ts';
import type { WrittenLocal } from './local-writes.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';
import { RandomWrites, writtenTables } from './random-writes.ts';
import type { ReverseChildConfiguration } from './reverse-child.ts';
import { copyToLocal } from './reverse-fixture.ts';
import type { WayBack } from './reverse-fixture.ts';

const seed = randomSeed('SEED');
const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const allFaults = [
  'stream.after_decode:crash@4', 'stream.before_commit:crash@3', 'stream.after_commit:crash@3', 'stream.before_spool_fsync:crash', 'stream.join_shared:crash',
  'stream.before_commit:crash@5', 'stream.after_commit:crash@6', 'stream.before_confirm:crash',
];
/** The others, and the other servers, have their turn in `npm run soak`. */
const faults = isWhole ? allFaults : allFaults.slice(0, 4);
const extra: Readonly<Record<string, Omit<WrittenLocal, 'plan'>>> = {
  'every type': { newKey: { id: 'n' } },
  'text key': { newKey: { code: "'k' || n", area: '(o.area + 1) % 3' } },
  numbers: { newKey: { id: 'n' } },
  emptied: { newKey: { id: 'n' }, mayTruncate: true },
  swaps: { newKey: { id: 'n' }, unique: { place: 'n', name: "'u' || n" } },
};
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
  describeMysql([kind], `the way back to ${kind}`, () => {
    const random = seeded(seed);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-way-back-'));
    const stop = new AbortController();
    let server: TestMysql;
    let pair: MysqlPair;
    const tables: WayBack[] = [];

    beforeAll(async () => {
      server = await startMysql(kind);
      pair = await makeMysqlPair(server, local, 'shop', `shop_${kind.replaceAll(/\W/g, '_')}`);
      await new RandomWrites(kind, random).create(server, kind, 'shop');
      await server.sql(`CREATE TABLE swaps (id int NOT NULL PRIMARY KEY, place int NOT NULL, name varchar(40) NOT NULL, v text, UNIQUE KEY (place), UNIQUE KEY (name)) ENGINE=InnoDB;
        INSERT INTO swaps VALUES ${Array.from({ length: 60 }, (_, at) => `(${at}, ${at * 10}, 'name ${at}', 'v${at}')`).join(', ')}; INSERT INTO emptied VALUES (1, 'a'), (2, 'b')`, 'shop');
      for (const table of [...writtenTables, 'swaps']) tables.push(await copyToLocal(pair, table, standardTypes));
    });
    afterAll(async () => {
      stop.abort();
      await pair[Symbol.asyncDispose]();
      await server.dispose();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    function startChild(fault: string | undefined, token: number): Child {
      const configuration: ReverseChildConfiguration = { source: pair.source, target: pair.target, folder, plans: tables.map(({ reverse }) => reverse), token: String(token), batchChanges: 300 };
      const child = spawn(process.execPath, [path.join(import.meta.dirname, 'reverse-child.ts'), JSON.stringify(configuration)], {
        env: { ...process.env, ...(fault === undefined ? {} : { CAUSEWAY_FAULT: fault }) }, stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines: string[] = [];
      child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter((line) => line !== '')));
      return { process: child, lines, ended: new Promise<void>((resolve) => child.once('exit', () => resolve())) };
    }

    async function isConnected(): Promise<boolean> {
      const { rows } = await pair.client.query<{ active: boolean }>('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [`causeway_back_${pair.target.database ?? ''}`]);
      return rows[0]?.active === true;
    }

    it('comes to an end with the same rows on both sides', async () => {
      let token = 1;
      // Nothing is written before its interval begins.
      const first = startChild(undefined, token);
      await until('ready', () => first.lines.includes('ready') || first.process.exitCode !== null, 60_000);
      expect(first.lines).toEqual(['ready']);
      const writes = new LocalWrites(random, tables.map(({ reverse, forward }) => ({ ...(extra[forward.tableId] ?? { newKey: {} }), plan: { ...reverse, target: forward.target } })));
      const writer = await local.client(pair.target.database);
      const writing = writes.run(writer, stop.signal);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      first.process.kill('SIGKILL');
      await first.ended;
      const reached: string[] = [];
      for (const [at, fault] of faults.entries()) {
        token += 1;
        await until('no stream is connected', async () => !(await isConnected()));
        const child = startChild(fault, token);
        // Tables join again once they have left for a server that was away for longer than the stream waits.
        const isAway = fault.startsWith('stream.join_shared');
        if (at === 2 || isAway) {
          await until('the stream is connected, or has been', async () => child.process.exitCode !== null || child.process.signalCode !== null || (await isConnected()));
          await server.kill();
          if (isAway) await new Promise((resolve) => setTimeout(resolve, 2500));
          await server.restart();
        }
        const isKilled = await Promise.race([child.ended.then(() => true), new Promise<false>((resolve) => setTimeout(() => resolve(false), 30_000))]);
        if (isKilled && child.process.signalCode === 'SIGKILL') reached.push(fault);
        child.process.kill('SIGKILL');
        await child.ended;
        expect(child.lines.filter((line) => /^(?:failed|ended|differs|conflict)/.test(line)), `seed ${seed}, ${fault}`).toEqual([]);
      }
      const child = startChild(undefined, token + 1);
      await until('ready', () => child.lines.includes('ready') || child.process.exitCode !== null, 60_000);
      stop.abort();
      await writing;
      await writer.end();
      child.process.stdin?.write('settle\n');
      await until('settled', () => child.lines.includes('settled') || child.process.exitCode !== null, 70_000).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${child.lines.join('\n')}`, { cause: error });
      });
      expect(child.lines, `seed ${seed}`).toEqual(['ready', 'settled']);
      child.process.kill();
      await child.ended;
      process.stderr.write(`${kind}: ${writes.transactions} transactions, killed at ${reached.length} of ${faults.length} points\n`);
      expect(reached, `seed ${seed}`).toEqual(faults);
      expect(writes.transactions).toBeGreaterThan(300);
      for (const { forward } of tables) await expectSameValues(server, pair, forward, `seed ${seed}`);
    }, 300_000);
  });
}
