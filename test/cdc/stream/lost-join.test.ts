/**
 * The target has committed that a table is shared, and the stream never hears of it: the answer is lost with the connection, and the target cannot be
 * reached for long. What the spool keeps meanwhile goes on from there once it answers, although the log of the table has long given back its beginning.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { MigrationError } from '../../../config/migration-error.ts';
import { planOf, until } from './fixture.ts';
import { caughtUp, conflicts, make, options, runError, same, server, share, source, start, stop, stream, target, both, useStream } from './stream-harness.ts';

/** Stands between stream and target. */
class Pipe {
  readonly #to: { readonly host: string; readonly port: number };
  readonly #open = new Set<net.Socket>();
  readonly #server: net.Server;
  #port = 0;
  constructor(to: { readonly host: string; readonly port: number }) {
    this.#to = to;
    this.#server = net.createServer((client) => {
      const server = net.connect(this.#to);
      for (const [from, other] of [[client, server], [server, client]] as const) {
        this.#open.add(from);
        from.on('error', () => other.destroy());
        from.on('close', () => {
          this.#open.delete(from);
          other.destroy();
        });
      }
      client.pipe(server).pipe(client);
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as net.AddressInfo).port;
    return this.#port;
  }

  /** Ends every connection, and takes none until `listen`. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }
}

/** A stream that has ended for something that may pass is run again. */
function goesOn(): boolean {
  if (runError instanceof MigrationError && !runError.retryable) throw runError;
  if (runError !== undefined) start();
  return true;
}

useStream();
let pipe: Pipe;
afterEach(() => pipe.close());

test.each([false, true])('a join whose answer is lost, and then the target (a new process: %s)', { timeout: 60_000 }, async (isNewProcess) => {
  await both('CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, v text)');
  pipe = new Pipe(server.address);
  const log = (): string[] => fs.readdirSync(path.join(options.spoolDirectory, `t-${Buffer.from('id-c').toString('hex')}`)).filter((name) => name.endsWith('.log')).sort();
  const hasGivenBack = (): boolean => Number(log()[0]?.slice(0, -4)) > 0;
  const joined = async (): Promise<boolean> => (await target.query("SELECT 1 FROM causeway.table_applied WHERE table_id = 'id-c' AND mode = 'shared'")).rowCount === 1;
  let next: 'join' | 'commit' | undefined;
  make({ target: { ...options.target, port: await pipe.listen() }, offlineAfterMs: 100 }, {
    armed: true,
    hit: async (point) => {
      if (point === 'stream.join_shared' && next === 'join') {
        await until('the log has given back what is applied', hasGivenBack);
        next = 'commit';
      } else if (point === 'stream.after_commit' && next === 'commit') {
        next = undefined;
        await pipe.close();
        throw new Error('the answer is lost');
      }
    },
  });
  start();
  const a = await share('a');
  const c = await planOf(source, 'c');
  await stream.addTable(c);
  await source.query("INSERT INTO c SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g");
  await caughtUp(a);
  next = 'join';
  await stream.startDraining(c.tableId);
  await until('the target has committed the join', joined);
  await until('the answer is lost', () => next === undefined);
  expect(stream.status(c.tableId)?.mode).toBe('draining');
  await source.query("INSERT INTO a VALUES (1, 'while it is away'); INSERT INTO c VALUES (1001, 'while it is away'); UPDATE c SET v = 'later' WHERE id = 1");
  const { rows: [end] } = await source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  await until('the spool has it, and the source may forget it', async () => goesOn() && (await source.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn', [options.slotName, end?.lsn])).rowCount === 1);
  if (isNewProcess) {
    await stop();
    make();
    stream.restore([a, c].map((plan) => ({ plan, mode: 'draining', intervals: [] })));
    start();
  }
  await pipe.listen();
  await until('both are shared again', () => goesOn() && [a, c].every(({ tableId }) => stream.status(tableId)?.mode === 'shared'));
  await caughtUp(a, c);
  await same('a');
  await same('c');
  expect(conflicts).toEqual([]);
});
