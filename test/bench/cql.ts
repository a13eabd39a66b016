/** `bench cql`: prepared statements straight to a cluster that does next to nothing, through a byte pipe, through the CQL proxy in its modes, and through ZDM Proxy. docs/benchmarks.md says what is measured. */
import * as os from 'node:os';
import { measure } from './cql/measure.ts';
import { readOptions } from './cql/options.ts';
import type { CqlBenchOptions } from './cql/options.ts';
import { printReport } from './cql/report.ts';

/** Ends the process: 0 when everything ran, 1 when something did not, 2 for bad arguments, 130 when interrupted. A goal that is missed is said, and is no failure. */
export async function run(): Promise<void> {
  const options = optionsOrExit();
  const stop = new AbortController();
  // Kept until the end: a second Ctrl-C must not leave processes behind.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort(new Error(`interrupted by ${name}`)));
  const before = os.loadavg()[0] ?? 0;
  console.log(`${os.availableParallelism()} processors, Node.js ${process.version}; timestamps of writes are the ${options.timestamps}'s`);
  try {
    const figures = await measure(options, stop.signal);
    console.log(printReport(figures));
    console.log(`\nload of the machine before and after: ${before.toFixed(1)}, ${(os.loadavg()[0] ?? 0).toFixed(1)}\n${JSON.stringify({ bench: 'cql', options, series: figures.series })}`);
    process.exit(figures.series.some(({ failure }) => failure !== undefined) ? 1 : 0);
  } catch (error) {
    console.error(`bench cql: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(stop.signal.aborted ? 130 : 1);
  }
}

function optionsOrExit(): CqlBenchOptions {
  try {
    return readOptions(process.argv.slice(3));
  } catch (error) {
    console.error(`bench cql: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}
