/** The table of items on a MySQL server and, shared by a stream, on local: where backlogs and lag are measured. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type pg from 'pg';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { controlFlags } from '../../../src/main/supervisor.ts';
import { defaultOptions } from '../../cdc/snapshot/loader-fixture.ts';
import { testRuntime, until } from '../../cdc/stream/fixture.ts';
import { makeMysqlPair } from '../../cdc/mysql/mysql-pair.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { openItemStream } from './change-process.ts';
import type { ChangeFigures, ChangeJob } from './change-process.ts';
import { fillItems } from './item-table.ts';

export interface ItemPair extends AsyncDisposable {
  readonly database: string;
  readonly plan: TablePlan;
  readonly local: pg.Client;
  /** The stream in a process of its own; the result ends it. */
  startStream(): Promise<() => Promise<ChangeFigures>>;
}

/** Filled on both sides, and captured: changes from now on are a backlog until `startStream`. */
export async function makeItemPair(server: TestMysql, local: TestPostgres, database: string): Promise<ItemPair> {
  await using started = new AsyncDisposableStack();
  const pair = started.use(await makeMysqlPair(server, local, database));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bench-'));
  started.defer(() => fs.rmSync(folder, { recursive: true, force: true }));
  await fillItems(server, database);
  const plan = await pair.migrate('item');
  const job: ChangeJob = { source: pair.source, target: pair.target, folder, plan, token: '1' };
  await shareTable(job);
  const owned = started.move();
  return { database, plan, local: pair.client, startStream: () => startProcess({ ...job, token: '2' }), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function shareTable(job: ChangeJob): Promise<void> {
  const abort = new AbortController();
  const runtime = testRuntime(abort.signal);
  const stream = openItemStream(job, abort.signal);
  const running = stream.run(abort.signal);
  const share = async (): Promise<void> => {
    const { plan } = job;
    await stream.addTable(plan);
    await createMysqlLoader(runtime, { source: job.source, target: job.target, token: 1n, types: standardTypes, memoryBytes: 64 << 20 }).load(plan, { ...defaultOptions, batchSize: 100_000 }, () => undefined, abort.signal);
    await stream.startDraining(plan.tableId);
    await until('the table is shared', () => stream.status(plan.tableId)?.mode === 'shared', 60_000);
  };
  await Promise.race([share(), running.then(() => Promise.reject(new Error('the stream ended')))]);
  abort.abort();
  await running;
  await stream.close();
}

async function startProcess(job: ChangeJob): Promise<() => Promise<ChangeFigures>> {
  const child = spawn(process.execPath, [...controlFlags, path.join(import.meta.dirname, 'change-process.ts'), JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('streaming\n')) resolve();
    });
    void ended.then((code) => reject(new Error(`the stream's process ended with ${code}`)));
  });
  return async () => {
    child.stdin.end();
    const code = await ended;
    if (code !== 0) throw new Error(`the stream's process ended with ${code}`);
    return JSON.parse(said.trim().split('\n').at(-1) ?? '') as ChangeFigures;
  };
}
