/** A proxy between the driver and two mock clusters. */
import cassandra from 'cassandra-driver';
import type { Log } from '../../config/runtime.ts';
import { processClock } from '../../config/process-runtime.ts';
import { createProxy } from '../../src/cql/create-proxy.ts';
import type { Intent } from '../../src/cql/intents/intent-log.ts';
import { everywhere } from '../../src/cql/modes.ts';
import type { CqlMode } from '../../src/cql/modes.ts';
import { defaultLimits, defaultTopology } from '../../src/cql/proxy-options.ts';
import type { CqlClusterOptions, CqlProxy, CqlProxyOptions } from '../../src/cql/proxy-options.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import type { MockClusterOptions } from '../support/cql/mock-cluster.ts';
import { MemoryIntents } from './memory-intents.ts';

export interface FixtureOptions extends Partial<Omit<CqlProxyOptions, 'clusters' | 'modes' | 'intents' | 'repairs'>> {
  readonly mode?: CqlMode;
  readonly source?: MockClusterOptions;
  readonly target?: MockClusterOptions;
  readonly cluster?: (name: 'source' | 'target') => Partial<CqlClusterOptions>;
  readonly intents?: CqlProxyOptions['intents'];
}

export interface Fixture extends AsyncDisposable {
  readonly source: MockCluster;
  readonly target: MockCluster;
  readonly proxy: CqlProxy;
  readonly port: number;
  readonly intents: MemoryIntents;
  readonly repairs: { readonly reason: string; readonly intent: Omit<Intent, 'ticket' | 'order'> }[];
  readonly logged: { readonly level: string; readonly message: string; readonly fields: unknown }[];
  client(options?: Partial<cassandra.ClientOptions>): Promise<cassandra.Client>;
  /** On both clusters, without the proxy. */
  both(text: string): void;
  setMode(mode: CqlMode): void;
}

export interface ProxyBetween extends AsyncDisposable {
  readonly proxy: CqlProxy;
  readonly port: number;
  readonly intents: MemoryIntents;
  readonly repairs: Fixture['repairs'];
  readonly logged: Fixture['logged'];
  client(options?: Partial<cassandra.ClientOptions>): Promise<cassandra.Client>;
  setMode(mode: CqlMode): void;
}

/** A proxy between the driver and clusters that are there. */
export async function proxyBetween(clusters: CqlProxyOptions['clusters'], { mode = 'SourceOnly', intents: givenIntents, localDataCenter = 'dc1', ...rest }: Omit<FixtureOptions, 'source' | 'target' | 'cluster'> & { readonly localDataCenter?: string }): Promise<ProxyBetween> {
  const intents = new MemoryIntents();
  const repairs: Fixture['repairs'] = [];
  const logged: Fixture['logged'] = [];
  const write = (level: string) => (message: string, fields?: unknown): void => void logged.push({ level, message, fields });
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'), child: () => log };
  const proxy = createProxy({ clock: processClock, log }, {
    listen: { host: '127.0.0.1', port: 0 }, modes: everywhere(mode), topology: defaultTopology, limits: defaultLimits, requestTimeoutMs: 5000, shadowTimeoutMs: 5000, schemaChanges: 'both', ...rest,
    clusters, intents: givenIntents ?? intents,
    repairs: { note: (reason, intent) => {
      repairs.push({ reason, intent });
      return Promise.resolve();
    } },
  });
  const port = await proxy.listen();
  const clients: cassandra.Client[] = [];
  return {
    proxy, port, intents, repairs, logged,
    setMode: (next) => proxy.setModes(everywhere(next)),
    client: async (more = {}) => {
      const client = new cassandra.Client({
        contactPoints: [`127.0.0.1:${port}`], localDataCenter, pooling: { coreConnectionsPerHost: { [cassandra.types.distance.local]: 1 } },
        policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy() }, ...more,
      });
      clients.push(client);
      await client.connect();
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.shutdown()));
      await proxy.close();
    },
  };
}

/** Keyspace `ks` on two mock clusters. */
export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const { source: sourceOptions, target: targetOptions, cluster, ...rest } = options;
  const source = await MockCluster.start({ clusterName: 'old', ...sourceOptions });
  const target = await MockCluster.start({ clusterName: 'new', isScylla: true, ...targetOptions });
  const address = (one: MockCluster, name: 'source' | 'target'): CqlClusterOptions => ({
    hosts: one.database.nodes.map(({ address: host, port }) => ({ host, port })), connectionsPerHost: 1, connectTimeoutMs: 5000, maxStreams: 1024, ...cluster?.(name),
  });
  const between = await proxyBetween([address(source, 'source'), address(target, 'target')], rest);
  const both = (text: string): void => {
    source.run(text);
    target.run(text);
  };
  both("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
  return {
    ...between, source, target, both,
    [Symbol.asyncDispose]: async () => {
      await between[Symbol.asyncDispose]();
      await source.close();
      await target.close();
    },
  };
}

/** What a mock cluster has of a table, each row as text; WRITETIME of the columns that are asked for. */
export function rowsOn(cluster: MockCluster, text: string): string[] {
  const result = cluster.run(text);
  if (result.is !== 'rows') throw new Error(`${text} gives no rows`);
  return result.rows.map((row) => row.map((cell) => (cell ? cell.toString('hex') : 'null')).join('|')).sort();
}
