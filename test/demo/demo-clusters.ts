/** The two clusters of the demo: Cassandra servers that it starts itself, clusters that somebody has, or ones that are simulated in this process. */
import * as os from 'node:os';
import cassandra from 'cassandra-driver';
import { CASSANDRA_VERSION } from '../servers/cassandra-folder.ts';
import { installedCassandra, startCassandraProcess } from '../support/cassandra-process.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';

export interface DemoCluster {
  readonly host: string;
  readonly port: number;
  /** For whom reads it. */
  readonly told: string;
  readonly client: cassandra.Client;
}

export interface DemoClusters extends AsyncDisposable {
  readonly source: DemoCluster;
  readonly target: DemoCluster;
}

export type ClusterChoice =
  | { readonly kind: 'cassandra' }
  | { readonly kind: 'simulated' }
  /** `host:port` of a node of each. */
  | { readonly kind: 'given'; readonly source: string; readonly target: string };

export async function startClusters(choice: ClusterChoice, say: (line: string) => void): Promise<DemoClusters> {
  const ends: (() => Promise<unknown>)[] = [];
  const dispose = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  const join = async (host: string, port: number): Promise<DemoCluster> => {
    const client = new cassandra.Client({ contactPoints: [`${host}:${port}`], policies: { loadBalancing: new cassandra.policies.loadBalancing.RoundRobinPolicy() }, socketOptions: { readTimeout: 60_000, connectTimeout: 30_000 } });
    ends.push(() => client.shutdown());
    await client.connect();
    const local = (await client.execute('SELECT cluster_name, release_version FROM system.local')).first();
    return { host, port, client, told: `${host}:${port}, "${String(local['cluster_name'])}", version ${String(local['release_version'])}` };
  };
  try {
    const [source, target] = await addresses(choice, say, ends);
    return { source: await join(...source), target: await join(...target), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

type Address = readonly [host: string, port: number];

async function addresses(choice: ClusterChoice, say: (line: string) => void, ends: (() => Promise<unknown>)[]): Promise<readonly [Address, Address]> {
  switch (choice.kind) {
    case 'given': return [addressOf('source', choice.source), addressOf('target', choice.target)];
    case 'simulated': {
      // Of two products: other prepared ids, other system tables, no times of elements on the target.
      const clusters = [await MockCluster.start({ clusterName: 'old' }), await MockCluster.start({ clusterName: 'new', isScylla: true, releaseVersion: '3.0.8' })] as const;
      ends.push(...clusters.map((cluster) => () => cluster.close()));
      return [[clusters[0].address, clusters[0].port], [clusters[1].address, clusters[1].port]];
    }
    case 'cassandra': {
      if (installedCassandra() === undefined) throw new Error(whatIsMissing());
      say(`starting two clusters of Cassandra ${CASSANDRA_VERSION}, one node each (up to a minute) …`);
      const servers = await Promise.allSettled(['old', 'new'].map((clusterName) => startCassandraProcess({ clusterName, durable: false })));
      for (const server of servers) if (server.status === 'fulfilled') ends.push(() => server.value.dispose());
      const [source, target] = servers.map((server) => {
        if (server.status === 'rejected') throw server.reason;
        return server.value.address;
      });
      if (source === undefined || target === undefined) throw new Error('two servers were asked for');
      return [[source.host, source.port], [target.host, target.port]];
    }
    default: return choice satisfies never;
  }
}

function addressOf(name: string, written: string): Address {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(written) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new Error(`--${name}: expected HOST:PORT, not "${written}"`);
  return [host, Number(port)];
}

function whatIsMissing(): string {
  return `Cassandra ${CASSANDRA_VERSION} cannot be started here (${os.platform()} ${os.arch()}): its jars or a Java 11 or 17 are missing; the lines above say why.
  - Install Java 17 and Maven (Debian 12, Ubuntu: apt-get install openjdk-17-jre-headless maven), see that Maven reaches its repository, and run the command again; or
  - use clusters that you have, which the demo gives a keyspace of its own for its time: npm run cql:demo -- --source HOST:PORT --target HOST:PORT; or
  - see it on two simulated clusters: npm run cql:demo -- --simulated`;
}
