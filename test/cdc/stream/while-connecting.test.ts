/**
 * What is asked of a stream while its connection is being opened takes effect on that connection: a table that came in too late for the
 * routes and too early for the connection would lose its changes without a word.
 */
import * as net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { contents, planOf, until } from './fixture.ts';
import { both, make, options, server, source, start, stop, stream, target, useStream } from './stream-harness.ts';

/** Stands between stream and source; holds START_REPLICATION until it is released, or what the source sends after its first answer to it. */
class Gate {
  #isOpen = true;
  /** How long the source sends nothing once it has been asked to stream. */
  silenceMs = 0;
  #held: (() => void)[] = [];
  readonly #server = net.createServer((client) => {
    const server = net.connect(this.#to);
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    server.pipe(client);
    const ask = (chunk: Buffer): void => {
      server.write(chunk);
      if (this.silenceMs === 0 || !chunk.includes('START_REPLICATION')) return;
      server.once('data', () => {
        server.unpipe(client);
        setTimeout(() => server.pipe(client), this.silenceMs);
      });
    };
    client.on('data', (chunk) => {
      if (this.#isOpen || !chunk.includes('START_REPLICATION')) ask(chunk);
      else this.#held.push(() => ask(chunk));
    });
  });
  readonly #to: { host: string; port: number };

  constructor(to: { host: string; port: number }) {
    this.#to = to;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as net.AddressInfo).port;
  }

  close(): void {
    this.#isOpen = false;
  }

  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  open(): void {
    this.#isOpen = true;
    for (const send of this.#held.splice(0)) send();
  }

  end(): void {
    this.#server.close();
  }
}

let gate: Gate;

useStream();
beforeEach(async () => {
  await both('CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, v text)');
  gate = new Gate(server.address);
  make({ source: { ...options.source, port: await gate.listen() } });
});
afterEach(() => {
  gate.open();
  gate.end();
});

/** Begins to run and stops where the source has been asked to stream and has not answered. */
async function startHeld(): Promise<void> {
  gate.close();
  start();
  await until('asks for the stream', () => gate.isHolding);
}

/** Answers what was asked of the stream meanwhile; it may wait for the connection, and may not wait for longer. */
async function release(...asked: Promise<unknown>[]): Promise<void> {
  await Promise.race([Promise.all(asked), delay(300)]);
  gate.open();
  await Promise.all(asked);
}

async function expectSame(name: string): Promise<void> {
  await stream.waitForMarker(await stream.writeMarker(), [`id-${name}`], 6_000);
  expect(await contents(target, name)).toEqual(await contents(source, name));
}

test('a table that is added', async () => {
  const plan = await planOf(source, 'a');
  await startHeld();
  await release(stream.addTable(plan));
  await source.query("INSERT INTO a VALUES (1, 'after it was added')");
  await stream.startDraining(plan.tableId);
  await expectSame('a');
});

test('a table that begins to drain', async () => {
  const plan = await planOf(source, 'a');
  await stream.addTable(plan);
  await source.query("INSERT INTO a VALUES (1, 'spooled')");
  await startHeld();
  await release(stream.startDraining(plan.tableId));
  await expectSame('a');
  await until('it is shared', () => stream.status(plan.tableId)?.mode === 'shared');
});

test('a table that is paused, and one that is taken away', async () => {
  const plans = [await planOf(source, 'a'), await planOf(source, 'b')] as const;
  for (const plan of plans) {
    await stream.addTable(plan);
    await stream.startDraining(plan.tableId);
  }
  await startHeld();
  await release(stream.pauseTable('id-a'), stream.removeTable('id-b'));
  await source.query("INSERT INTO a VALUES (1, 'while paused'); INSERT INTO b VALUES (1, 'of no table')");
  await until('it is spooled', () => (stream.status('id-a')?.pendingChanges ?? 0) > 0);
  expect(stream.status('id-a')?.mode).toBe('spooling');
  expect(await contents(target, 'a')).toEqual([]);
  await stream.startDraining('id-a');
  await expectSame('a');
  expect(await contents(target, 'b')).toEqual([]);
});

test('tables that wait to join, and cannot, do not stop the shared ones; nor does what is sent again after a reconnect', async () => {
  const [a, b, c] = [await planOf(source, 'a'), await planOf(source, 'b'), await planOf(source, 'c')];
  start();
  for (const plan of [a, b, c]) await stream.addTable(plan);
  await stream.startDraining(a.tableId);
  await until('a is shared', () => stream.status(a.tableId)?.mode === 'shared');
  const holder = await server.client(options.target.database);
  await holder.query('BEGIN; LOCK TABLE b, c IN SHARE MODE');
  await source.query("INSERT INTO b VALUES (1, 'spooled'); INSERT INTO c VALUES (1, 'spooled')");
  for (const { tableId } of [b, c]) await stream.startDraining(tableId);
  for (const batch of [1, 2, 3]) {
    await source.query('INSERT INTO a SELECT g, $2 FROM generate_series($1::int, $1::int + 99) g', [batch * 100, `batch ${batch}`]);
    await expectSame('a');
  }
  expect([b, c].map(({ tableId }) => stream.status(tableId)?.mode)).toEqual(['draining', 'draining']);
  await source.query("INSERT INTO a SELECT g, 'applied and not confirmed, most of the time' FROM generate_series(1, 99) g");
  await expectSame('a');
  await stop();
  await holder.query('ROLLBACK');
  gate.silenceMs = 500;
  make();
  stream.restore([{ plan: a, mode: 'shared', intervals: [] }, { plan: b, mode: 'draining', intervals: [] }, { plan: c, mode: 'draining', intervals: [] }]);
  start();
  await until('all are shared', () => [a, b, c].every(({ tableId }) => stream.status(tableId)?.mode === 'shared'));
  for (const name of ['a', 'b', 'c']) await expectSame(name);
});
