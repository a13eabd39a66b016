/**
 * A target that crashes loses what it had committed without waiting for its disk. One that is back before the stream has noticed answers as if nothing had
 * been: what it makes durable then is what it still has, and the source may not forget the rest.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MigrationError } from '../../../config/migration-error.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import { createChangeStream } from '../../../cdc/postgres/change-stream.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { contents, planOf, streamOptions, testRuntime, until } from './fixture.ts';

let sourceServer: TestPostgres;
let targetServer: TestPostgres;
let far: net.Server;
const sockets: net.Socket[] = [];

/** A way to the target as to a machine that lost its power: nobody is told, and who writes to a connection of before is refused by the machine that is there now. */
function openFar(port: number): Promise<net.Server> {
  const server = net.createServer((client) => {
    const inner = net.connect(port, '127.0.0.1');
    sockets.push(client, inner);
    let isGone = false;
    client.on('data', (data) => (isGone ? client.resetAndDestroy() : inner.write(data)));
    inner.on('data', (data) => client.write(data));
    inner.on('close', () => (isGone = true)).on('error', () => (isGone = true));
    client.on('close', () => inner.destroy()).on('error', () => undefined);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

beforeAll(async () => {
  // Nobody but a commit that waits for it writes the target's log to the disk.
  [sourceServer, targetServer] = await Promise.all([startTestPostgres(), startTestPostgres({ durable: true, settings: { wal_writer_delay: '10s', wal_writer_flush_after: '1GB', autovacuum: 'off' } })]);
  far = await openFar(targetServer.address.port);
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  far.close();
  await Promise.all([sourceServer, targetServer].map((server) => server[Symbol.asyncDispose]()));
});

test('commits that a crash of the target took come again, also when it is back before they are confirmed', { timeout: 60_000 }, async () => {
  await Promise.all([sourceServer.createDatabase('lost'), targetServer.createDatabase('lost')]);
  const source = await sourceServer.client('lost');
  for (const client of [source, await targetServer.client('lost')]) await client.query('CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE later (id int PRIMARY KEY)');
  const held: (() => void)[] = [];
  let isHolding = false;
  const faults: FaultPoints = { armed: true, hit: (point) => (isHolding && point === 'stream.after_spool_fsync' ? new Promise((resolve) => held.push(resolve)) : Promise.resolve()) };
  const abort = new AbortController();
  const options = streamOptions({
    source: { ...sourceServer.address, database: 'lost' }, target: { ...targetServer.address, port: (far.address() as net.AddressInfo).port, database: 'lost' }, slotName: 'lost', spoolDirectory: fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-')),
  });
  const stream = createChangeStream(testRuntime(abort.signal, faults), options);
  const failures: string[] = [];
  const running = (async () => {
    while (!abort.signal.aborted) {
      await stream.run(abort.signal).catch((error: unknown) => failures.push(`${String(error)} ${error instanceof MigrationError ? (error.detail ?? '') : ''}`));
      await delay(50);
    }
  })();
  try {
    const plan = await planOf(source, 'a');
    await stream.addTable(plan);
    await stream.startDraining(plan.tableId);
    await until('shared', () => stream.status(plan.tableId)?.mode === 'shared');
    isHolding = true;
    await source.query("INSERT INTO a SELECT g, 'lost at first' FROM generate_series(1, 50) g");
    const rowsOf = async (): Promise<number> => (await contents(await targetServer.client('lost'), 'a')).length;
    await until('applied', async () => (await rowsOf()) === 50);
    await until('about to be confirmed', () => held.length > 0);
    await targetServer.stop('immediate');
    await targetServer.restart();
    // Else there would be nothing to lose.
    expect(await rowsOf()).toBe(0);
    // Whoever asks the target for something has the stream's connection to it opened again.
    const later = await planOf(source, 'later');
    const adding = until('the table is there', () => stream.addTable(later).then(() => true, () => false), 40_000);
    const target = await targetServer.client('lost');
    await until('the target is asked', async () => (await target.query("SELECT FROM pg_stat_activity WHERE application_name = 'causeway fwd state'")).rows.length > 0);
    isHolding = false;
    held.splice(0).forEach((release) => release());
    await until('the loss is noticed', async () => {
      await source.query("UPDATE a SET v = 'written again' WHERE id = 1");
      return failures.length > 0 || !stream.health().connected;
    });
    await until('connected again', () => stream.health().connected, 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${failures.join('; ')}`);
    });
    await stream.waitForMarker(await stream.writeMarker(), [plan.tableId], 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${failures.join('; ')}`);
    });
    await adding;
    expect(await rowsOf()).toBe(50);
    expect(failures.filter((failure) => failure.includes('MIG021'))).toEqual([]);
  } finally {
    isHolding = false;
    abort.abort();
    held.splice(0).forEach((release) => release());
    await running;
    await stream.close();
    fs.rmSync(options.spoolDirectory, { recursive: true, force: true });
  }
});
