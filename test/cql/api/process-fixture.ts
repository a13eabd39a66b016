/** The process of the CQL proxy between two mock clusters with keyspace `ks` and table `ks.t`. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { cqlSettings } from '../../../config/cql/cql-settings.ts';
import { noFaults } from '../../../config/faults.ts';
import { noMetrics, processClock } from '../../../config/process-runtime.ts';
import type { Log } from '../../../config/runtime.ts';
import { startCql } from '../../../src/main/cql-process.ts';
import type { CqlProcess } from '../../../src/main/cql-process.ts';
import { MockCluster } from '../../support/cql/mock-cluster.ts';
import type { MockClusterOptions } from '../../support/cql/mock-cluster.ts';

export interface Setup extends AsyncDisposable {
  readonly source: MockCluster;
  readonly target: MockCluster;
  readonly directory: string;
  readonly logged: string[];
  /** `name`: of one among several, each with a directory of its own. */
  start(more?: object, name?: string): Promise<CqlProcess>;
  driver(running: CqlProcess, options?: Partial<cassandra.ClientOptions>): Promise<cassandra.Client>;
}

export async function setup(options: { readonly source?: MockClusterOptions; readonly target?: MockClusterOptions } = {}): Promise<Setup> {
  const ends: (() => Promise<unknown>)[] = [];
  const source = await MockCluster.start({ clusterName: 'old', ...options.source });
  const target = await MockCluster.start({ clusterName: 'new', isScylla: true, ...options.target });
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-'));
  ends.push(async () => fs.rmSync(directory, { recursive: true }), () => source.close(), () => target.close());
  for (const one of [source, target]) {
    one.run("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    one.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  }
  const logged: string[] = [];
  const write = (message: string, fields?: unknown): void => void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log };
  const hosts = (cluster: MockCluster): string[] => cluster.database.nodes.map(({ address, port }) => `${address}:${port}`);
  return {
    source, target, directory, logged,
    start: async (more = {}, name = '') => {
      const own = path.join(directory, name);
      fs.mkdirSync(own, { recursive: true });
      const settings = { ...cqlSettings.parse({ source: { hosts: hosts(source) }, target: { hosts: hosts(target) }, replay: { first_delay_ms: 20, max_delay_ms: 100 }, shadow_timeout_ms: 300, ...more }), listen: { host: '127.0.0.1', port: 0 }, http: { host: '127.0.0.1', port: 0 } };
      const running = await startCql({ log, metrics: noMetrics, clock: processClock, signal: new AbortController().signal, faults: noFaults }, settings, { directory: own, settingsDirectory: own, environment: {}, controlSocket: path.join(own, 'cql.sock') });
      ends.push(async () => running[Symbol.asyncDispose]());
      return running;
    },
    driver: async (running, more = {}) => {
      const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${running.port}`], localDataCenter: 'dc1', policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy() }, ...more });
      ends.push(() => client.shutdown());
      await client.connect();
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const end of ends.splice(0).reverse()) await end();
    },
  };
}

export async function call(running: CqlProcess, route: string, body?: unknown): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const [method = 'GET', where = '/'] = route.split(' ');
  const response = await fetch(`http://127.0.0.1:${running.httpPort}${where}`, { method, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
