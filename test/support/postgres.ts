/** Throw-away PostgreSQL servers for tests: a folder and a port of their own, gone at the end. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/ops/embedded-postgres.ts';
import type { EmbeddedPostgres } from '../../src/ops/embedded-postgres.ts';
import { freePort } from './free-port.ts';
import { copyTemplate } from './postgres-template.ts';

export { freePort };

export interface TestPostgres extends AsyncDisposable {
  readonly server: EmbeddedPostgres;
  readonly address: { host: string; port: number; user: string; database: string };
  /** A connected client; closed with the server. */
  client(database?: string): Promise<pg.Client>;
  /** Creates a database and returns its name: tests that share a server share no data. */
  createDatabase(name: string): Promise<string>;
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  restart(): Promise<void>;
}

export interface TestPostgresOptions {
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly nativeDirectory?: string;
  /** fsync on, for tests that kill the server. */
  readonly durable?: boolean;
}

export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-test-'));
  fs.chmodSync(root, 0o755);
  const directory = path.join(root, 'pg');
  if (options.nativeDirectory === undefined) {
    fs.mkdirSync(directory, { mode: 0o700 });
    await copyTemplate(path.join(directory, 'data'));
  }
  let port = await freePort();
  const start = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ directory, port, durable: options.durable ?? false, ...options });
  let server = await start().catch(async (error: unknown) => {
    // Making the data directory takes a second, in which others look for free ports too.
    if (!/is taken|already in use/.test(String(error))) throw error;
    port = await freePort();
    return start();
  });
  const clients: pg.Client[] = [];
  const address = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' };
  const closeClients = async (): Promise<void> => {
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
  };
  const connect = async (database = 'postgres'): Promise<pg.Client> => {
    const client = new pg.Client({ ...address, database });
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  return {
    get server() {
      return server;
    },
    address,
    client: connect,
    createDatabase: async (name) => {
      const admin = await connect();
      await admin.query(`CREATE DATABASE "${name}"`);
      return name;
    },
    stop: (mode) => server.stop(mode),
    restart: async () => {
      server = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await closeClients();
      await server.stop('immediate');
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}
