/** What stands between pgbench and the source: nothing, a byte pipe, the product, poolers. All take the same user without a password, without TLS. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as path from 'node:path';
import { DATABASE } from '../../e2e/support/stack.ts';
import type { Stack } from '../../e2e/support/stack.ts';
import { freePort } from '../../support/postgres.ts';
import { findTool } from '../../support/tools.ts';
import type { PeerName, ProxyOptions } from './options.ts';
import type { Target } from './pgbench.ts';
import { checkServer, end, poolers, standsStill, startPooler, versionOf } from './poolers.ts';
import type { PoolerKind, PoolMode } from './poolers.ts';
import type { Cell } from './rounds.ts';

export interface Peer {
  readonly name: PeerName;
  readonly target: Target;
  /** Whose processor time counts, with that of their children. */
  readonly pids: readonly number[];
  /** Why this cell cannot work here, if so. */
  notPossible(cell: Cell): string | undefined;
}

export interface Absent {
  readonly name: PeerName;
  readonly why: string;
}

export interface StartedPeers extends AsyncDisposable {
  readonly peers: readonly Peer[];
  readonly absent: readonly Absent[];
  /** Installed, but would not start. */
  readonly failed: readonly Absent[];
  readonly versions: Readonly<Record<string, string>>;
}

export type PooledMode = 'transaction' | 'pipeline';

/** All are the same user on the servers. */
export const userOf = (mode: PooledMode): string => `app-${mode}`;

const always = (): undefined => undefined;

export async function startPeers(stack: Stack, options: ProxyOptions): Promise<StartedPeers> {
  await using started = new AsyncDisposableStack();
  const peers: Peer[] = [];
  const absent: Absent[] = [];
  const failed: Absent[] = [];
  const versions: Record<string, string> = {};
  const { port: serverPort } = stack.source.address;
  const target = (port: number): Target => ({ port, user: 'app', database: DATABASE });
  const start: Record<PeerName, () => Promise<Peer | string>> = {
    direct: () => Promise.resolve({ name: 'direct', target: target(serverPort), pids: [], notPossible: always }),
    pipe: async () => {
      const port = await freePort();
      const child = await startPipe(port, serverPort, options.processes, started);
      return { name: 'pipe', target: target(port), pids: [child.pid ?? 0], notPossible: always };
    },
    gateway: () => Promise.resolve({ name: 'gateway', target: target(stack.gateway.port), pids: [stack.product.pid ?? 0], notPossible: always }),
    'gateway-transaction': () => pooled('transaction'),
    'gateway-pipeline': () => pooled('pipeline'),
    'pgbouncer-session': () => pooler('pgbouncer', 'session'),
    'pgbouncer-transaction': () => pooler('pgbouncer', 'transaction'),
    'odyssey-session': () => pooler('odyssey', 'session'),
    'odyssey-transaction': () => pooler('odyssey', 'transaction'),
  };
  /** The product's pool mode is its user's. */
  const pooled = (mode: PooledMode): Promise<Peer> => Promise.resolve({ name: `gateway-${mode}`, target: { ...target(stack.gateway.port), user: userOf(mode) }, pids: [stack.product.pid ?? 0], notPossible: (cell) => standsStill(cell, options.processes) });
  const pooler = async (kind: PoolerKind, pool: PoolMode): Promise<Peer | string> => {
    const program = findTool(kind);
    if (program === undefined) return poolers[kind].absent;
    const version = versionOf(program);
    versions[kind] = version;
    const address = target(await freePort());
    const child = await startPooler(kind, program, { target: address, serverPort, pool, version }, started);
    return { name: `${kind}-${pool}`, target: address, pids: [child.pid ?? 0], notPossible: (cell) => (pool === 'transaction' ? poolers[kind].notPossible(version, cell) : undefined) };
  };
  for (const name of options.peers) {
    try {
      const peer = await start[name]();
      if (typeof peer === 'string') absent.push({ name, why: peer });
      else {
        await checkServer(peer.target, serverPort);
        peers.push(peer);
      }
    } catch (error) {
      failed.push({ name, why: error instanceof Error ? error.message : String(error) });
    }
  }
  const owned = started.move();
  return { peers, absent, failed, versions, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export async function startPipe(port: number, serverPort: number, workers: number, started: AsyncDisposableStack): Promise<ChildProcess> {
  const child = fork(path.join(import.meta.dirname, 'pipe-process.ts'), [String(port), String(serverPort), String(workers)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  started.defer(() => end(child, 'SIGTERM'));
  await Promise.race([
    new Promise<void>((resolve) => child.once('message', () => resolve())),
    new Promise<never>((_, reject) => child.once('exit', (code, signal) => reject(new Error(`the pipe ended with ${signal ?? code} while starting`)))),
  ]);
  return child;
}
