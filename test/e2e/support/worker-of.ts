/**
 * Which gateway worker serves a client: the one that holds the other end of its backend's connection. Linux: read from /proc.
 *
 * A test that stops or kills a worker has to know whom it meets, and where the operator's connection is.
 */
import * as fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Stack } from './stack.ts';

const CONNECT_LIMIT_MS = 20_000;

/** The process id of the worker, and the client's backend on the source. */
export async function workerOf(stack: Stack, client: pg.Client): Promise<{ readonly worker: number; readonly backend: number }> {
  const backend = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0;
  const source = await stack.direct('source');
  const { rows } = await source.query<{ port: number }>('SELECT client_port AS port FROM pg_stat_activity WHERE pid = $1', [backend]);
  await source.end();
  const sockets = socketsFrom(rows[0]?.port ?? -1, stack.source.address.port);
  const worker = stack.product.pids('worker').find((pid) => openSockets(pid).some((inode) => sockets.has(inode)));
  if (worker === undefined) throw new Error(`no worker holds the connection to backend ${backend}`);
  return { worker, backend };
}

/** A client of a worker that is none of `others`; a worker that was killed is given time to come back. */
export async function connectElsewhere(stack: Stack, user: 'app' | 'operator', others: readonly number[]): Promise<pg.Client> {
  const deadline = performance.now() + CONNECT_LIMIT_MS;
  while (performance.now() < deadline) {
    const client = await stack.connect(user);
    if (!others.includes((await workerOf(stack, client)).worker)) return client;
    await client.end();
    await delay(20);
  }
  throw new Error('every connection came to the same worker');
}

/** Inodes of connected TCP sockets with these ports, as seen from the side that connected. https://docs.kernel.org/networking/proc_net_tcp.html */
function socketsFrom(localPort: number, remotePort: number): ReadonlySet<string> {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(1) : []));
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Set(fields.filter(([, local, remote]) => local?.endsWith(hex(localPort)) === true && remote?.endsWith(hex(remotePort)) === true).map((line) => line[9] ?? ''));
}

function openSockets(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`${folder}/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}
