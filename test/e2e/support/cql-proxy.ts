/** A CQL proxy in a process of its own, as it stands on another machine: it can be killed, held at fault points, and started again. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FaultFiles } from './fault-files.ts';

const main = path.join(import.meta.dirname, '../../../src/main/main.ts');

export class LoneCqlProxy implements AsyncDisposable {
  readonly faults: FaultFiles;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #said = '';

  /** `settings`: of the section `cql`. */
  constructor(directory: string, settings: object, faultPoints: readonly string[] = []) {
    this.#directory = directory;
    fs.mkdirSync(directory, { recursive: true });
    // JSON is YAML.
    fs.writeFileSync(path.join(directory, 'cql.yaml'), JSON.stringify({ cql: settings }));
    this.faults = new FaultFiles(path.join(directory, 'faults'), faultPoints);
  }

  spawn(): void {
    this.#said = '';
    this.#child = spawn(process.execPath, [main, 'cql-proxy', '--config', path.join(this.#directory, 'cql.yaml'), '--state-directory', path.join(this.#directory, 'state')], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.faults.environment } });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  async serving(): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (!this.#said.includes('HTTP API')) {
      if (performance.now() > endMs) throw new Error(`the proxy does not serve\n${this.#said}`);
      await delay(10);
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.kill(signal);
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}
