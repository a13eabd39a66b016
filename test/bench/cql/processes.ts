/** The processes of `bench cql`: two clusters, the load, and what stands between them. Each is ended by the stack that it was started on. */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../support/postgres.ts';
import { end } from '../proxy/poolers.ts';
import type { ClusterCounts } from './cluster-process.ts';
import type { LoadOrder, LoadResult } from './load-process.ts';

export interface BenchCluster {
  readonly port: number;
  readonly pid: number;
  counts(): Promise<ClusterCounts>;
}

export interface Load {
  readonly pid: number;
  run(order: LoadOrder): Promise<LoadResult>;
}

/** What stands between the load and the clusters. */
export interface Between {
  readonly port: number;
  readonly pid: number;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
export const ownProject = path.join(import.meta.dirname, '../../..');

async function started(file: string, args: readonly string[], stack: AsyncDisposableStack): Promise<ChildProcess> {
  const child = fork(path.join(import.meta.dirname, file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  stack.defer(() => end(child, 'SIGKILL'));
  await said(child);
  return child;
}

/** The next message. */
async function said(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const left = (code: number | null, signal: string | null): void => reject(new Error(`a process of the benchmark ended with ${signal ?? code}`));
    child.once('exit', left);
    child.once('message', (message) => {
      child.off('exit', left);
      resolve(message);
    });
  });
}

export async function startCluster(name: string, stack: AsyncDisposableStack): Promise<BenchCluster> {
  const port = await freePort();
  const child = await started('cluster-process.ts', [String(port), name], stack);
  return { port, pid: child.pid ?? 0, counts: async () => {
    const answer = said(child);
    child.send('counts');
    return (await answer) as ClusterCounts;
  } };
}

export async function startLoad(stack: AsyncDisposableStack): Promise<Load> {
  const child = await started('load-process.ts', [], stack);
  return { pid: child.pid ?? 0, run: async (order) => {
    const answer = said(child);
    child.send(order);
    const result = (await answer) as LoadResult;
    if (result.failure !== undefined) throw new Error(result.failure);
    return result;
  } };
}

export interface ProductOptions {
  readonly mode: string;
  /** Settings of the section `cql` beside the usual ones. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly folder: string;
  /** Its checkout. */
  readonly project: string;
  readonly profile: string | undefined;
  readonly clusters: readonly [source: BenchCluster, target: BenchCluster];
}

/** The product as `npm run cql -- --config FILE` runs it. */
export async function startProduct({ mode, settings = {}, folder, project, profile, clusters: [source, target] }: ProductOptions, stack: AsyncDisposableStack): Promise<Between> {
  fs.mkdirSync(folder, { recursive: true });
  const [port, httpPort] = [await freePort(), await freePort()];
  const config = path.join(folder, 'causeway.yaml');
  fs.writeFileSync(config, JSON.stringify({ cql: { listen: { port }, http: { port: httpPort }, mode, source: { hosts: ['127.0.0.1'], port: source.port }, target: { hosts: ['127.0.0.1'], port: target.port }, ...settings } }));
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${path.basename(folder)}.cpuprofile`];
  return runProgram(process.execPath, [...flags, '--disable-warning=ExperimentalWarning', path.join(project, 'src/main/main.ts'), 'cql-proxy', '--config', config, '--state-directory', path.join(folder, 'state')], {}, port, 'SIGTERM', stack);
}

/** ZDM Proxy writes both clusters and waits for both, as `DualSync` does. */
export async function startZdm(program: string, [source, target]: ProductOptions['clusters'], stack: AsyncDisposableStack): Promise<Between> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  return runProgram(program, [], {
    ZDM_ORIGIN_CONTACT_POINTS: '127.0.0.1', ZDM_ORIGIN_PORT: String(source.port), ZDM_ORIGIN_USERNAME: 'any', ZDM_ORIGIN_PASSWORD: 'any',
    ZDM_TARGET_CONTACT_POINTS: '127.0.0.1', ZDM_TARGET_PORT: String(target.port), ZDM_TARGET_USERNAME: 'any', ZDM_TARGET_PASSWORD: 'any',
    ZDM_PROXY_LISTEN_ADDRESS: '127.0.0.1', ZDM_PROXY_LISTEN_PORT: String(port), ZDM_METRICS_PORT: String(metricsPort), ZDM_CONTROL_CONN_MAX_PROTOCOL_VERSION: '4', ZDM_LOG_LEVEL: 'WARN',
  }, port, 'SIGKILL', stack);
}

async function runProgram(program: string, args: readonly string[], environment: Readonly<Record<string, string>>, port: number, signal: NodeJS.Signals, stack: AsyncDisposableStack): Promise<Between> {
  const child = spawn(program, args, { cwd: ownProject, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let text = '';
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => (text = `${text}${chunk.toString()}`.slice(-4000)));
  let problem: Error | undefined;
  child.once('error', (error) => (problem = error));
  // A processor profile is written at the end, which a signal that cannot be caught would cut off.
  stack.defer(async () => {
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await end(child, signal);
    clearTimeout(killer);
  });
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await listens(port))) {
    if (problem !== undefined || child.exitCode !== null || performance.now() > limit) throw new Error(`${path.basename(program)} does not listen: ${problem?.message ?? text.trim()}`);
    await delay(50);
  }
  return { port, pid: child.pid ?? 0 };
}

async function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
