/** One run of sysbench: one row by its key for each statement, over as many connections as it has threads. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { requireTool } from '../../support/tools.ts';
import type { LoadFigures } from '../proxy/pgbench.ts';
import type { Cell } from '../proxy/rounds.ts';

const execute = promisify(execFile);
const ROWS = 100_000;
const PATIENCE_SECONDS = 60;

export interface MysqlTarget {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export async function fillRows(target: MysqlTarget): Promise<void> {
  await runSysbench(target, ['prepare'], 120);
}

export async function runLoad(target: MysqlTarget, { mode, clients }: Cell, seconds: number): Promise<LoadFigures> {
  return readOutput(await runSysbench(target, [`--threads=${clients}`, `--time=${seconds}`, `--db-ps-mode=${mode === 'prepared' ? 'auto' : 'disable'}`, '--histogram=on', 'run'], seconds + PATIENCE_SECONDS));
}

async function runSysbench({ port, user, password, database }: MysqlTarget, args: readonly string[], limitSeconds: number): Promise<string> {
  try {
    const { stdout } = await execute(requireTool('sysbench'), [
      'oltp_point_select', '--db-driver=mysql', '--mysql-host=127.0.0.1', `--mysql-port=${port}`, `--mysql-user=${user}`, `--mysql-password=${password}`, `--mysql-db=${database}`, '--tables=1', `--table-size=${ROWS}`, ...args,
    ], { timeout: limitSeconds * 1_000 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`sysbench: ${/FATAL.*/.exec(stdout + stderr)?.[0] ?? String(error)}`, { cause: error });
  }
}

/** Statements are its queries; times come from the histogram, `upper bound in ms |***   count`. Throws when anything failed or nothing was done. */
export function readOutput(output: string): LoadFigures {
  const [, total, rate] = /^\s*queries:\s+(\d+)\s+\(([\d.]+) per sec\.\)/m.exec(output) ?? [];
  const problems = ['ignored errors', 'reconnects'].map((name) => Number(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'm').exec(output)?.[1]));
  const transactions = Number(total);
  if (!(transactions > 0) || problems.some((count) => count !== 0)) throw new Error(`sysbench said no figures, or failures: ${output.trim().slice(-500)}`);
  const buckets = [...output.matchAll(/^\s*([\d.]+) \|\**\s+(\d+)$/gm)].map(([, ms, count]) => [Number(ms) * 1000, Number(count)] as const);
  const sum = buckets.reduce((before, [, count]) => before + count, 0);
  const at = (part: number): number => {
    let seen = 0;
    return buckets.find(([, count]) => (seen += count) >= sum * part)?.[0] ?? Number.NaN;
  };
  if (sum === 0) throw new Error('sysbench said no times');
  return { tps: Number(rate), transactions, p50Us: at(0.5), p99Us: at(0.99) };
}
