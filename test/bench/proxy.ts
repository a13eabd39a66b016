/**
 * `bench proxy`: pgbench straight to a server and through the product, a bare byte pipe of as many processes and pgbouncer, then the
 * product with half of its tables on a second server. docs/benchmarks.md says how to run it and what each column means.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { findTool } from '../support/tools.ts';
import { matrixCells, measureMatrix } from './proxy/matrix.ts';
import type { MatrixNotes } from './proxy/matrix.ts';
import { measureMix, mixCells } from './proxy/mix.ts';
import { readOptions } from './proxy/options.ts';
import type { ProxyOptions } from './proxy/options.ts';
import { hasFailed, printReport, writeReport } from './proxy/report.ts';
import type { Report } from './proxy/report.ts';
import { Rounds } from './proxy/rounds.ts';

const outputFolder = path.join(import.meta.dirname, '../../.causeway/bench');
/** Beside the seconds of a run: pgbench's start and end, and the checks. */
const OVERHEAD_SECONDS = 0.7;
const VARIANTS = 4;

/** Ends the process: 0 when everything ran, 1 when something did not, 2 for bad arguments, 130 when interrupted. */
export async function run(): Promise<void> {
  const options = optionsOrExit();
  if (findTool('pgbench') === undefined) {
    console.error('bench proxy: pgbench is not installed (Debian package postgresql-contrib, or postgresql-client-N)');
    process.exit(1);
  }
  const stop = new AbortController();
  // Kept until the end: a second Ctrl-C must not leave servers behind.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) process.stderr.write(`${name}: stopping what was started\n`);
      stop.abort(new Error(`interrupted by ${name}`));
    });
  }
  const report = await measure(options, stop.signal);
  if (report.series.some(({ samples }) => samples.length > 0)) {
    console.log(printReport(report));
    console.log(`\nall figures: ${writeReport(report, outputFolder, new Date())}`);
  } else for (const problem of report.problems) console.error(`bench proxy: ${problem}`);
  process.exit(stop.signal.aborted ? 130 : hasFailed(report) ? 1 : 0);
}

function optionsOrExit(): ProxyOptions {
  try {
    const options = readOptions(process.argv.slice(3), process.env);
    return options.threads > 0 ? options : { ...options, threads: Math.max(1, Math.floor(os.availableParallelism() / 2)) };
  } catch (error) {
    console.error(`bench proxy: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

async function measure(options: ProxyOptions, signal: AbortSignal): Promise<Report> {
  const rounds = new Rounds();
  const problems: string[] = [];
  let notes: MatrixNotes = { absent: [], failed: [], versions: {} };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bench-'));
  const [matrix, mix] = [matrixCells(options), mixCells(options)];
  const runs = (matrix.length * options.peers.length + mix.length * VARIANTS) * options.rounds;
  process.stderr.write(`${matrix.length + mix.length} cells, about ${Math.ceil((runs * (options.seconds + OVERHEAD_SECONDS)) / 60)} minutes\n`);
  const part = async (cells: number, work: () => Promise<void>): Promise<void> => {
    if (cells === 0 || signal.aborted) return;
    try {
      await work();
    } catch (error) {
      problems.push(signal.aborted ? `${signal.reason instanceof Error ? signal.reason.message : 'stopped'}; the rest was not measured` : error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  };
  try {
    await part(matrix.length, () => measureMatrix(options, folder, rounds, (said) => (notes = said), signal));
    await part(mix.length, () => measureMix(options, folder, rounds, signal));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return { options, series: rounds.series, notes, problems };
}
