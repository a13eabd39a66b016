/** The product as the demo uses it: the proxy as a process of its own, its HTTP API, and the commands beside it, all as an operator would run them. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../support/postgres.ts';
import type { DemoCluster, DemoClusters } from './demo-clusters.ts';
import { KEYSPACE, tables } from './demo-data.ts';

const main = path.resolve(import.meta.dirname, '../../src/main/main.ts');
const START_MS = 120_000;
/** A switch waits for the queue. */
const SWITCH_MS = 120_000;

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface Running {
  readonly ended: Promise<Ended>;
  output(): string;
  stop(): void;
}

export interface DemoProxyOptions {
  readonly folder: string;
  readonly clusters: DemoClusters;
  readonly port: number | undefined;
  readonly httpPort: number | undefined;
  readonly signal: AbortSignal;
  say(line: string): void;
}

export class DemoProxy implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly #options: DemoProxyOptions;
  readonly #children = new Set<ChildProcess>();

  private constructor(options: DemoProxyOptions, port: number, httpPort: number) {
    this.#options = options;
    this.port = port;
    this.url = `http://127.0.0.1:${httpPort}`;
  }

  /** Resolves when it serves, in SourceOnly. */
  static async start(options: DemoProxyOptions): Promise<DemoProxy> {
    const { folder, clusters, signal } = options;
    const [port, httpPort] = [options.port ?? await freePort(), options.httpPort ?? await freePort()];
    const cluster = ({ host, port: at }: DemoCluster): object => ({ driver: 'cassandra', hosts: [host], port: at, keyspace: KEYSPACE });
    const write = (name: string, settings: object): void => fs.writeFileSync(path.join(folder, name), stringify({ source: cluster(clusters.source), target: cluster(clusters.target), ...settings }));
    write('dual-writer-cassandra.yaml', { writer: { mode: 'PrimaryOnly', shadow_timeout_ms: 5000, retry_interval_secs: 2 } });
    write('sstable-loader.yaml', { loader: { tables: tables.map((name) => ({ name })), max_concurrent_loaders: 4, page_size: 1000, num_ranges_per_core: 16 } });
    write('dual-reader.yaml', { reader: { tables: [...tables], batch_size: 1000, validation_interval_secs: 1, max_discrepancies_to_report: 100 } });
    const proxy = new DemoProxy(options, port, httpPort);
    const log = fs.openSync(path.join(folder, 'proxy.log'), 'w');
    const child = proxy.#spawn(['--config', path.join(folder, 'dual-writer-cassandra.yaml'), '--port', String(port), '--http-port', String(httpPort), '--state-directory', path.join(folder, 'proxy'), '--log-format', 'json'], ['ignore', 'ignore', log]);
    fs.closeSync(log);
    try {
      for (const deadline = Date.now() + START_MS; !(await proxy.#isReady()); await delay(100, undefined, { signal })) {
        if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) throw new Error(`the proxy did not start: ${fs.readFileSync(path.join(folder, 'proxy.log'), 'utf8').slice(-2000)}`);
      }
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      throw error;
    }
    return proxy;
  }

  async #isReady(): Promise<boolean> {
    return await this.get('/health').then(({ source_connected: source, target_connected: target }) => source === true && target === true, () => false);
  }

  async get(route: string): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(`${this.url}${route}`, { signal: AbortSignal.timeout(30_000) });
    return (await response.json()) as Readonly<Record<string, unknown>>;
  }

  /** The refusal's reasons; undefined when it was switched. */
  async refusalOf(mode: string): Promise<string | undefined> {
    const response = await fetch(`${this.url}/config/mode`, { method: 'POST', body: JSON.stringify({ mode }), signal: AbortSignal.timeout(60_000) });
    const body = (await response.json()) as { readonly detail?: string; readonly error?: string };
    return response.ok ? undefined : body.detail ?? body.error ?? String(response.status);
  }

  /** As soon as nothing is on its way to a cluster that would be read; what else stands against it ends the demo. */
  async switchTo(mode: string): Promise<void> {
    for (const deadline = Date.now() + SWITCH_MS; ; await delay(50, undefined, { signal: this.#options.signal })) {
      const refusal = await this.refusalOf(mode);
      if (refusal === undefined) return;
      if (!/^\d+ writes are queued/.test(refusal) || Date.now() > deadline) throw new Error(`the proxy refuses ${mode}: ${refusal}`);
    }
  }

  /** `npm run cql -- NAME …`; its lines are shown as they come. */
  command(name: string, file: string, ...more: readonly string[]): Running {
    const { folder, say } = this.#options;
    say(`$ npm run cql -- ${name} --config ${file} ${more.map((word) => path.basename(word) === word || word.startsWith('http') ? word : path.basename(word)).join(' ')}`.trimEnd());
    const child = this.#spawn([name, '--config', path.join(folder, file), '--state-directory', path.join(folder, name), ...more], ['ignore', 'pipe', 'pipe']);
    let output = '';
    let line = '';
    const take = (chunk: string): void => {
      output += chunk;
      const lines = (line + chunk).split('\n');
      line = lines.pop() ?? '';
      for (const one of lines) if (one.trim() !== '') say(`    ${one}`);
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    const ended = new Promise<Ended>((resolve) => {
      child.once('error', (error) => resolve({ code: 127, output: String(error) }));
      child.once('close', (code) => resolve({ code, output }));
    });
    return { ended, output: () => output, stop: () => void child.kill('SIGINT') };
  }

  /** Of its own session: Ctrl-C in a terminal reaches the demo, which ends what it started in order. On Linux the kernel does so when the demo is killed. */
  #spawn(args: readonly string[], stdio: ['ignore', 'pipe' | 'ignore', 'pipe' | number]): ChildProcess {
    const program = [process.execPath, '--disable-warning=ExperimentalWarning', main, 'cql-proxy', ...args];
    const words = process.platform === 'linux' ? ['setpriv', '--pdeathsig', 'KILL', '--', ...program] : program;
    const child = spawn(words[0] ?? process.execPath, words.slice(1), { stdio, detached: true });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child)).once('error', () => this.#children.delete(child));
    return child;
  }

  /** Commands first, so that they do not find their proxy gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#children].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
      child.kill('SIGTERM');
      const hurry = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await ended;
      clearTimeout(hurry);
    }
  }
}
