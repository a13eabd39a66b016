/** Wires the process of the CQL proxy: settings to the service, and the HTTP API beside it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import type { CqlClusterSettings, CqlSettings } from '../../config/cql/cql-settings.ts';
import type { Environment } from '../../config/read-yaml.ts';
import type { Runtime } from '../../config/runtime.ts';
import { CqlService } from '../cql/api/cql-service.ts';
import { HttpApi } from '../cql/api/http-api.ts';
import { WriteClient } from '../cql/api/write-client.ts';
import { defaultLimits } from '../cql/proxy-options.ts';
import type { CqlClusterOptions } from '../cql/proxy-options.ts';
import type { ModeTable } from '../cql/modes.ts';
import { Timestamps } from '../cql/timestamps.ts';
import type { RunningChild } from './child-process.ts';
import { addressOf } from './cql-address.ts';
import { enterGroup } from './cql-group.ts';
import { listenForControl } from './cql-link.ts';
import { bootId } from './boot-id.ts';
import { holdPidFile } from './pid-file.ts';

export interface CqlProcess extends RunningChild {
  readonly port: number;
  readonly httpPort: number;
}

export interface CqlProcessOptions {
  /** Of the log, the modes and the repair list. */
  readonly directory: string;
  /** What relative paths of the settings are relative to. */
  readonly settingsDirectory: string;
  readonly environment: Environment;
  /** Where the control asks; left out, nobody does. */
  readonly controlSocket?: string;
  /** `GET /metrics` there too. */
  readonly metricsPort?: number | undefined;
}

export async function startCql(runtime: Runtime, settings: CqlSettings, { directory, settingsDirectory, environment, controlSocket, metricsPort }: CqlProcessOptions): Promise<CqlProcess> {
  const { listen, http, limits, topology, tls, source } = settings;
  // Two processes on one log would write over each other.
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const held = holdPidFile(path.join(directory, 'cql.pid'));
  const timestamps = new Timestamps(runtime.clock);
  const service = new CqlService(runtime, {
    directory, environment, random: Math.random, shutdownMs: settings.drainMs, intents: settings.intents, keyLog: { ...settings.keyLog, bootId: bootId() }, replay: settings.replay,
    filterRules: settings.filterRules === undefined ? undefined : path.resolve(settingsDirectory, settings.filterRules),
    proxy: {
      listen, timestamps, clusters: [clusterOptions(source), clusterOptions(settings.target)], modes: modesOf(settings),
      topology: { addresses: topology.addresses, index: topology.index, tokensPerProxy: topology.tokens, ...(topology.clusterName === undefined ? {} : { clusterName: topology.clusterName }), ...(topology.dataCenter === undefined ? {} : { dataCenter: topology.dataCenter }) },
      limits: { ...defaultLimits, clients: limits.clients, requestsPerClient: limits.requestsPerClient, requestBytes: limits.requestBytes, frameBytes: limits.frameBytes, preparedBytes: limits.preparedBytes },
      requestTimeoutMs: settings.requestTimeoutMs, shadowTimeoutMs: settings.shadowTimeoutMs, schemaChanges: settings.schemaChanges, sampling: { share: settings.sampledReads, random: Math.random },
      ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key, ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }) } }),
    },
  });
  const failed = async (error: unknown): Promise<never> => {
    await service.close(0);
    throw error;
  };
  const group = await enterGroup(runtime, settings, service).catch(failed);
  const port = await service.start().catch(async (error: unknown) => {
    await group?.[Symbol.asyncDispose]();
    return await failed(error);
  });
  const writes = new WriteClient({
    host: ['0.0.0.0', '::'].includes(listen.host) ? '127.0.0.1' : listen.host, port, usesTls: tls !== undefined, timeoutMs: settings.requestTimeoutMs * 2,
    credentials: source.username === undefined ? undefined : { username: source.username, password: source.password ?? '' }, nowMicros: () => BigInt(Math.trunc(timestamps.next())),
  });
  const api = new HttpApi(runtime.log, service, writes, { host: http.host, port: http.port, metricsPort, config: shown(settings), startedMs: runtime.clock.now(), nowMs: () => runtime.clock.now() });
  let httpPort: number;
  let link: AsyncDisposable | undefined;
  try {
    httpPort = await api.listen();
    if (controlSocket !== undefined) link = await listenForControl(controlSocket, service);
  } catch (error) {
    await group?.[Symbol.asyncDispose]();
    return await failed(error);
  }
  group?.serving();
  runtime.log.info('the CQL proxy serves', { port, httpPort, mode: service.modes.global });
  let closed: Promise<void> | undefined;
  const close = (graceMs: number): Promise<void> => (closed ??= (async () => {
    await link?.[Symbol.asyncDispose]();
    await group?.[Symbol.asyncDispose]();
    await api.close();
    await service.close(graceMs);
    held[Symbol.dispose]();
  })());
  return { port, httpPort, drain: (hurry) => close(hurry.aborted ? 0 : settings.drainMs), [Symbol.asyncDispose]: () => close(0) };
}

function modesOf({ mode, modes }: CqlSettings): ModeTable {
  const entries = Object.entries(modes);
  return { global: mode, keyspaces: new Map(entries.filter(([name]) => !name.includes('.'))), tables: new Map(entries.filter(([name]) => name.includes('.'))) };
}

function clusterOptions({ hosts, port, username, password, ssl, compression, connectionsPerHost, connectTimeoutMs, maxStreams }: CqlClusterSettings): CqlClusterOptions {
  return {
    hosts: hosts.map((host) => addressOf(host, port)), connectionsPerHost, connectTimeoutMs, maxStreams,
    ...(username === undefined || password === undefined ? {} : { credentials: { username, password } }), ...(ssl === undefined ? {} : { tls: tlsOptions(ssl) }), ...(compression === 'none' ? {} : { compression }),
  };
}

export function tlsOptions({ mode, ca, cert, key }: NonNullable<CqlClusterSettings['ssl']>): ConnectionOptions {
  return {
    rejectUnauthorized: mode !== 'require', ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }),
  };
}

/** The settings without what is secret. */
function shown({ source, target, tls, group, ...others }: CqlSettings): Readonly<Record<string, unknown>> {
  const cluster = ({ password, ssl, ...rest }: CqlClusterSettings): unknown => ({ ...rest, hasPassword: password !== undefined, ssl: ssl?.mode ?? null });
  return { ...others, source: cluster(source), target: cluster(target), tls: tls !== undefined, ...(group === undefined ? {} : { group: group.members }) };
}
