/** The product as processes: supervisor, control, gateway workers; started from a configuration file, killed one by one. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../src/main/main.ts');
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

export class Product {
  readonly #configFile: string;
  readonly #logFile: string;
  readonly #environment: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  constructor(configFile: string, logFile: string, environment: Readonly<Record<string, string>>) {
    this.#configFile = configFile;
    this.#logFile = logFile;
    this.#environment = environment;
  }

  /** Resolves when clients can connect; throws with the end of the log. */
  async start(): Promise<void> {
    const log = fs.openSync(this.#logFile, 'a');
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'start', '--config', this.#configFile], {
      stdio: ['ignore', 'pipe', log], env: { ...process.env, ...this.#environment },
    });
    fs.closeSync(log);
    this.#child = child;
    let said = '';
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        fs.appendFileSync(this.#logFile, chunk);
        said += chunk.toString();
        if (said.includes('is ready.')) resolve();
      });
      child.once('exit', (code, signal) => reject(new Error(`the product ended with ${signal ?? code} while starting\n${this.logTail()}`)));
      setTimeout(() => reject(new Error(`the product was not ready after ${START_LIMIT_MS} ms\n${this.logTail()}`)), START_LIMIT_MS).unref();
    });
    await ready;
  }

  /** Of the supervisor; the other processes are its children. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** In good order; what does not end in time is killed, children first. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const children = [...this.pids('control'), ...this.pids('worker')];
    child.kill('SIGTERM');
    const forced = setTimeout(() => {
      for (const pid of children) killQuietly(pid);
      child.kill('SIGKILL');
    }, STOP_LIMIT_MS);
    await ended;
    clearTimeout(forced);
  }

  /** To the supervisor. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Process ids by role. Linux: read from /proc. */
  pids(role: 'control' | 'worker'): number[] {
    const supervisor = this.#child?.pid;
    if (supervisor === undefined) return [];
    return childrenOf(supervisor).filter((pid) => commandOf(pid).at(-1) === role);
  }

  async kill(role: 'control' | 'worker'): Promise<void> {
    const [pid] = this.pids(role);
    if (pid === undefined) throw new Error(`no ${role} process is running`);
    process.kill(pid, 'SIGKILL');
    while (fs.existsSync(`/proc/${pid}/stat`) && commandOf(pid).length > 0) await delay(5);
  }

  logTail(lines = 40): string {
    if (!fs.existsSync(this.#logFile)) return '';
    return fs.readFileSync(this.#logFile, 'utf8').trim().split('\n').slice(-lines).join('\n');
  }
}

function childrenOf(pid: number): number[] {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((text) => text !== '').map(Number);
  } catch {
    return [];
  }
}

/** Empty for a process that has ended and was not yet waited for. */
function commandOf(pid: number): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter((part) => part !== '');
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
