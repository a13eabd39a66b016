/**
 * Vitest's global set-up: keeps the two clusters that the test files of a run share. A start takes seconds, so a cluster starts when the first file asks for it
 * and ends when nobody has used it for a while, since later files measure, or when the run ends. A file holds a connection as long as it uses one.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startCassandraProcess } from './cassandra-process.ts';
import type { CassandraProcess } from './cassandra-process.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    cassandraKeeper: string;
  }
}

const IDLE_MS = 20_000;

interface Kept {
  readonly server: Promise<CassandraProcess>;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-keeper-'));
  const socketPath = path.join(folder, 's');
  const kept = new Map<string, Kept>();
  const stop = async (name: string): Promise<void> => {
    const cluster = kept.get(name);
    kept.delete(name);
    clearTimeout(cluster?.idle);
    await cluster?.server.then((server) => server.dispose(), () => undefined);
  };
  const use = (name: string): Kept => {
    const present = kept.get(name);
    if (present !== undefined) return present;
    const made: Kept = { server: startCassandraProcess({ clusterName: `the run's ${name}`, durable: false }), users: 0, idle: undefined };
    kept.set(name, made);
    // The next file may find a better moment.
    made.server.catch(() => kept.delete(name));
    return made;
  };
  const keeper = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.setEncoding('utf8').once('data', (line: string) => {
      const name = line.trim();
      const cluster = use(name);
      cluster.users += 1;
      clearTimeout(cluster.idle);
      socket.once('close', () => {
        cluster.users -= 1;
        if (cluster.users === 0 && kept.get(name) === cluster) cluster.idle = setTimeout(() => void stop(name), IDLE_MS);
      });
      cluster.server.then((server) => socket.write(`${JSON.stringify(server.address)}\n`), (error: unknown) => socket.write(`${JSON.stringify({ error: String(error) })}\n`));
    });
  });
  await new Promise<void>((resolve) => keeper.listen(socketPath, resolve));
  project.provide('cassandraKeeper', socketPath);
  return async () => {
    keeper.close();
    await Promise.all([...kept.keys()].map(stop));
    fs.rmSync(folder, { recursive: true, force: true });
  };
}
