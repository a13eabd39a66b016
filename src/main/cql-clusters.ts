/** What the commands of the CQL suite that read both clusters share: their connections by the documents' files, their tables, their signals. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { z } from 'zod';
import { Cluster } from '../../cdc/cassandra/cluster.ts';
import type { Side } from '../../cdc/cassandra/cluster.ts';
import type { TablePair } from '../../cdc/cassandra/compare/compare-tables.ts';
import { listTables } from '../../cdc/cassandra/table.ts';
import { keysWithoutEffect } from '../../config/cql/keys-without-effect.ts';
import type { KeyWithoutEffect, ServiceName } from '../../config/cql/keys-without-effect.ts';
import type { Observability, ServiceCluster } from '../../config/cql/service-files.ts';
import { noMetrics, processClock, processRuntime } from '../../config/process-runtime.ts';
import { readYamlFile } from '../../config/read-yaml.ts';
import type { Runtime } from '../../config/runtime.ts';
import { createLog } from '../ops/log.ts';
import { holdPidFile } from './pid-file.ts';

export type Clusters = { readonly [side in Side]: Cluster };

export interface CqlCommand {
  readonly runtime: Runtime;
  readonly clusters: Clusters;
  /** Of this command's own state. */
  readonly directory: string;
}

/** What the files of loader and reader have in common. */
export interface ServiceFile {
  readonly source: ServiceCluster;
  readonly target: ServiceCluster;
  readonly observability: Observability;
  readonly withoutEffect: readonly KeyWithoutEffect[];
}

/** The file, and which of its keys do nothing. */
export function readServiceFile<File>(service: ServiceName, name: string, schema: z.ZodType<File>): File & Pick<ServiceFile, 'withoutEffect'> {
  return { ...readYamlFile(name, schema, process.env), withoutEffect: keysWithoutEffect(service, readYamlFile(name, z.looseObject({}), process.env)) };
}

/** SIGINT and SIGTERM end the work at the next safe point; a second one does not wait. */
export async function withClusters<T>(directory: string, files: ServiceFile, work: (command: CqlCommand) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort(new Error(`ended by ${signal}`));
    });
  }
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Two processes on one ledger would each count the other's ranges as their own.
  using _held = holdPidFile(path.join(directory, 'command.pid'));
  const log = createLog({ level: files.observability.logLevel ?? 'warn', format: 'auto', now: processClock.now }).child({ role: 'cql' });
  for (const { key, instead } of files.withoutEffect) log.warn('a key of the file has no effect', { key, instead });
  const runtime = processRuntime({ log, metrics: noMetrics, signal: stop.signal });
  await using source = await Cluster.connect('source', optionsOf(files.source));
  await using target = await Cluster.connect('target', optionsOf(files.target));
  return await work({ runtime, clusters: { source, target }, directory });
}

function optionsOf({ hosts, port, username, password, requestTimeoutMs, connectTimeoutMs, poolSize, speculativeDelayMs }: ServiceCluster): Parameters<typeof Cluster.connect>[1] {
  return {
    contactPoints: hosts.map((host) => (/^\[.*\]:\d+$|^[^:]+:\d+$/.test(host) ? host : `${host}:${port}`)), requestTimeoutMs: Math.max(1, Math.round(requestTimeoutMs)), connectTimeoutMs: Math.max(1, Math.round(connectTimeoutMs)), connectionsPerNode: poolSize,
    ...(speculativeDelayMs === undefined ? {} : { speculativeDelayMs }),
    ...(username === undefined ? {} : { username, password: password ?? '' }),
  };
}

/** `named`: tables as the file has them, with or without their keyspace; none are all of the source's keyspace. Names are the same on both sides, but for the keyspace where the file gives each side its own. */
export async function tablePairs(clusters: Clusters, named: readonly string[], source: ServiceCluster, target: ServiceCluster): Promise<readonly TablePair[]> {
  const names = named.length > 0 ? named : await listTables(clusters.source, keyspaceOf(source));
  return names.map((written) => {
    const dot = written.indexOf('.');
    const keyspace = dot < 0 ? keyspaceOf(source) : written.slice(0, dot);
    const name = written.slice(dot + 1);
    return { sourceTable: { keyspace, name }, targetTable: { keyspace: keyspace === source.keyspace ? target.keyspace ?? keyspace : keyspace, name } };
  });
}

function keyspaceOf({ keyspace }: ServiceCluster): string {
  if (keyspace === undefined) throw new Error('source.keyspace: expected a keyspace, or tables with theirs (ks.table)');
  return keyspace;
}

/** Of `--http-port`. */
export function portOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const port = Number(given);
  if (!/^\d+$/.test(given) || port < 1 || port > 65_535) throw new Error(`--http-port: expected a number from 1 to 65535, not "${given}"`);
  return port;
}
