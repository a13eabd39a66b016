/** One run of pgbench: its figures, and the times of a sample of its transactions. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { requireTool } from '../../support/tools.ts';

const execute = promisify(execFile);

export interface Target {
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export interface LoadOptions {
  readonly target: Target;
  /** `-S`, or `-f FILE` several times. */
  readonly what: readonly string[];
  readonly mode: string;
  readonly clients: number;
  readonly threads: number;
  readonly seconds: number;
  /** Part of the transactions whose time is written down: a line each, so fewer of the short ones. */
  readonly sampling: number;
  /** For the log files of this run; emptied afterwards. */
  readonly folder: string;
}

export interface LoadFigures {
  readonly tps: number;
  readonly transactions: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Without what a user's own environment would change: PGOPTIONS, PGSSLMODE, PGSERVICE … */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));

/** What a run may take beyond its seconds: a peer that hangs must not end the whole benchmark. */
const PATIENCE_SECONDS = 60;

export async function runPgbench(args: readonly string[], target: Target, signal: AbortSignal, limitSeconds = 0): Promise<string> {
  const address = ['-h', '127.0.0.1', '-p', String(target.port), '-U', target.user, target.database];
  try {
    const { stdout } = await execute(requireTool('pgbench'), [...args, ...address], { signal, env: environment, maxBuffer: 1 << 26, timeout: limitSeconds * 1_000 });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    const { stderr = '', killed } = error as { stderr?: string; killed?: boolean };
    if (killed === true) throw new Error(`pgbench had not ended after ${limitSeconds} s`, { cause: error });
    const said = stderr.split('\n').find((line) => /error|fatal|aborted/i.test(line)) ?? String(error);
    throw new Error(`pgbench: ${said.trim()}`, { cause: error });
  }
}

/** Throws when a client was aborted or a transaction failed: the rest would be figures of something else. */
export async function runLoad(options: LoadOptions, signal: AbortSignal): Promise<LoadFigures> {
  const prefix = path.join(options.folder, 'transactions');
  const logs = (): string[] => fs.readdirSync(options.folder).filter((name) => name.startsWith('transactions.')).map((name) => path.join(options.folder, name));
  try {
    const output = await runPgbench([
      ...options.what, '-n', '-M', options.mode, '-c', String(options.clients), '-j', String(Math.min(options.threads, options.clients)), '-T', String(options.seconds),
      '-l', `--log-prefix=${prefix}`, `--sampling-rate=${options.sampling}`,
    ], options.target, signal, options.seconds + PATIENCE_SECONDS);
    return { ...readOutput(output), ...readTimes(logs().map((file) => fs.readFileSync(file, 'utf8'))) };
  } finally {
    for (const file of logs()) fs.rmSync(file, { force: true });
  }
}

/** https://www.postgresql.org/docs/current/pgbench.html#PGBENCH-OUTPUT; the number of failed transactions is there from version 15 on. */
export function readOutput(output: string): Pick<LoadFigures, 'tps' | 'transactions'> {
  const tps = Number(/^tps = ([\d.]+) \(without initial connection time/m.exec(output)?.[1]);
  const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(output)?.[1]);
  const failed = Number(/^number of failed transactions: (\d+)/m.exec(output)?.[1] ?? 0);
  if (!Number.isFinite(tps) || !Number.isInteger(transactions) || transactions === 0) throw new Error(`pgbench said no figures: ${output.trim()}`);
  if (failed > 0) throw new Error(`pgbench: ${failed} of ${transactions + failed} transactions failed`);
  return { tps, transactions };
}

/** Lines are `client transaction time script epoch µs`, the time in microseconds, or a word for what has failed. */
export function readTimes(logs: readonly string[]): Pick<LoadFigures, 'p50Us' | 'p99Us'> {
  const times = Float64Array.from(logs.flatMap((log) => log.split('\n').filter((line) => line !== '').map((line) => Number(line.split(' ')[2])))).sort();
  // Sorted, so that a NaN would be the last.
  if (times.length === 0 || Number.isNaN(times.at(-1))) throw new Error('pgbench logged no times, or failures among them');
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? NaN;
  return { p50Us: at(0.5), p99Us: at(0.99) };
}
