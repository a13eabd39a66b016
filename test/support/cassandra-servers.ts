/**
 * Cassandra clusters of one node for tests. `startCassandra` starts one that is the caller's alone; `sharedCassandra` gives one of two that all test files of
 * a run share (see `cassandra-keeper.ts`): each suite makes keyspaces of its own there. The jars are those that `test/servers/install-cassandra.ts` fetches;
 * where they or Java are missing the suites are skipped by name, or fail under CAUSEWAY_REQUIRE_SERVERS=1.
 */
import * as net from 'node:net';
import cassandra from 'cassandra-driver';
import { inject } from 'vitest';
import { CASSANDRA_VERSION } from '../servers/cassandra-folder.ts';
import { installedCassandra, startCassandraProcess } from './cassandra-process.ts';
import type { CassandraAddress, CassandraProcess, TestCassandraOptions } from './cassandra-process.ts';
import { describeUnless } from './tools.ts';

export interface TestCassandraClients extends AsyncDisposable {
  readonly address: CassandraAddress;
  /** A connected driver, closed with this; the options win over those that a test needs. */
  client(options?: Partial<cassandra.ClientOptions>): Promise<cassandra.Client>;
  /** Runs one statement; text parameters are bound by the server's types. */
  cql(text: string, parameters?: readonly unknown[]): Promise<readonly cassandra.types.Row[]>;
  /** Makes a keyspace with a name of its own and resolves with that. */
  createKeyspace(prefix?: string): Promise<string>;
}

export type TestCassandra = TestCassandraClients & CassandraProcess;

export type SharedCluster = 'source' | 'target';

/** `describe`, when Cassandra can be started. */
export function describeCassandra(name: string, suite: () => void): void {
  describeUnless(installedCassandra() === undefined ? `not installed for test/servers: Cassandra ${CASSANDRA_VERSION} with Java 11 or 17` : undefined, name, suite);
}

export async function startCassandra(options: TestCassandraOptions = {}): Promise<TestCassandra> {
  const server = await startCassandraProcess(options);
  const clients = clientsOf(server.address);
  const dispose = async (): Promise<void> => {
    await clients[Symbol.asyncDispose]();
    await server.dispose();
  };
  const restart = async (): Promise<void> => {
    await server.restart();
    await clients.reconnect();
  };
  return { ...server, ...clients, restart, dispose, [Symbol.asyncDispose]: dispose };
}

/** The run's own cluster of this name; started when the first file of the run asks for it. To be disposed of by the file that asked. */
export async function sharedCassandra(name: SharedCluster): Promise<TestCassandraClients> {
  const lease = net.connect(inject('cassandraKeeper'));
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    lease.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.endsWith('\n')) resolve(text);
    });
    lease.once('error', reject).once('close', () => reject(new Error('the keeper of the clusters has gone')));
    lease.write(`${name}\n`);
  });
  lease.unref();
  const given = JSON.parse(answer) as CassandraAddress | { readonly error: string };
  if ('error' in given) throw new Error(given.error);
  const clients = clientsOf(given);
  return {
    ...clients,
    [Symbol.asyncDispose]: async () => {
      await clients[Symbol.asyncDispose]();
      lease.destroy();
    },
  };
}

let keyspaces = 0;

function clientsOf(address: CassandraAddress): TestCassandraClients & { reconnect(): Promise<void> } {
  const opened: cassandra.Client[] = [];
  const client = async (options: Partial<cassandra.ClientOptions> = {}): Promise<cassandra.Client> => {
    const made = new cassandra.Client({
      contactPoints: [`${address.host}:${address.port}`], localDataCenter: address.datacenter, pooling: { coreConnectionsPerHost: { [cassandra.types.distance.local]: 1 } },
      socketOptions: { readTimeout: 60_000, connectTimeout: 30_000 }, ...options,
    });
    opened.push(made);
    await made.connect();
    return made;
  };
  let own: Promise<cassandra.Client> | undefined;
  const cql = async (text: string, parameters?: readonly unknown[]): Promise<readonly cassandra.types.Row[]> => {
    own ??= client();
    const result = await (await own).execute(text, parameters === undefined ? undefined : [...parameters], { prepare: parameters !== undefined, fetchSize: 100_000 });
    return result.rows ?? [];
  };
  return {
    address, client, cql,
    // A driver waits for its turn before it looks for a server that has come back.
    reconnect: async () => {
      const former = own;
      own = undefined;
      await (await former)?.shutdown();
    },
    createKeyspace: async (prefix = 'ks') => {
      const name = `${prefix}_${process.pid}_${(keyspaces += 1)}`;
      await cql(`CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
      return name;
    },
    [Symbol.asyncDispose]: async () => {
      own = undefined;
      await Promise.all(opened.splice(0).map((one) => one.shutdown()));
    },
  };
}
