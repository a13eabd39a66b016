/** Settings of the section `cql` for the control: the source as a server that migrations can be started from, and the parts that move its tables. */
import * as path from 'node:path';
import type { Catalog } from '../../catalog/catalog.ts';
import { clusterWrapper } from '../../catalog/records.ts';
import type { ClusterOptions } from '../../cdc/cassandra/cluster.ts';
import type { CqlClusterSettings, CqlSettings } from '../../config/cql/cql-settings.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { ClusterMigrations } from '../migrate/clusters/cluster-migrations.ts';
import { tlsOptions } from './cql-process.ts';
import { proxiesOf } from './cql-group.ts';
import type { ProcessSettings } from './process-settings.ts';

/** Undefined where there is no CQL proxy. */
export async function openClusters(runtime: Runtime, catalog: Catalog, { settings, paths }: ProcessSettings): Promise<ClusterMigrations | undefined> {
  const { cql, migration, timeouts } = settings;
  if (!cql) return undefined;
  await registerCluster(catalog, cql);
  return new ClusterMigrations(runtime, {
    catalog, proxy: proxiesOf(runtime, cql, paths.cqlSocket), clusters: { source: clusterOptions(cql.source), target: clusterOptions(cql.target) }, directory: path.join(paths.cql, 'load'),
    retry: { max: migration.maxRetries, initialMs: migration.retryInitialDelayMs, maxMs: migration.retryMaxDelayMs }, maxConcurrentMigrations: migration.maxConcurrentMigrations, switchTimeoutMs: timeouts.cutoverMs,
    strangers: cql.group ? 0 : Math.max(0, cql.topology.addresses.length - 1),
  });
}

/** START … FROM cassandra_source works at once. */
async function registerCluster(catalog: Catalog, { source, sourceName: name }: CqlSettings): Promise<void> {
  const options = { host: source.hosts.join(', '), port: String(source.port) };
  const known = await catalog.server(name);
  if (known && known.wrapper !== clusterWrapper) throw new MigrationError('MIG073', `cql.source_name: there is a server ${name} already`, { hint: 'Give the source another name in the settings, or DROP that server first.' });
  if (known) await catalog.alterServer(name, options);
  else await catalog.createServer({ name, wrapper: clusterWrapper, options });
  if (!(await catalog.source(name))) await catalog.createSource({ name, serverName: name, options: {} });
}

function clusterOptions({ hosts, port, username, password, ssl, connectTimeoutMs }: CqlClusterSettings): ClusterOptions {
  return {
    contactPoints: hosts.map((host) => (/^\[.*\]:\d+$|^[^:]+:\d+$/.test(host) ? host : `${host}:${port}`)), requestTimeoutMs: Math.max(connectTimeoutMs, 12_000),
    ...(username === undefined ? {} : { username, password: password ?? '' }), ...(ssl === undefined ? {} : { tls: tlsOptions(ssl) }),
  };
}
