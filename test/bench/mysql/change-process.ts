/**
 * A change stream from MySQL in a process of its own, so that its time and memory are the stream's alone. Argument: a `ChangeJob` as JSON. Says `streaming`
 * once it has begun; ends at the end of its input, with its figures as a line of JSON.
 */
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { testRuntime } from '../../cdc/stream/fixture.ts';

export interface ChangeJob {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly folder: string;
  readonly plan: TablePlan;
  readonly token: string;
}

export interface ChangeFigures {
  readonly processorSeconds: number;
  readonly maxRssMb: number;
  /** Peaks of what was looked at every 20 ms. */
  readonly heapUsedMb: number;
  readonly heapTotalMb: number;
  readonly buffersMb: number;
}

const MB = 1 << 20;
/** As the product has them with its default settings. */
const limits = { spoolBytes: 1 << 30, bufferBytes: 2 * MB, batchChanges: 1000, batchWaitMs: 100 };

export function openItemStream(job: ChangeJob, signal: AbortSignal): ReturnType<typeof createMysqlStream> {
  const fail = (what: string) => (...details: readonly unknown[]): void => {
    process.stderr.write(`${what}: ${details.map(String).join(' ')}\n`);
    process.exit(1);
  };
  return createMysqlStream(testRuntime(signal), {
    name: 'bench', direction: 'forward', source: job.source, target: job.target, token: BigInt(job.token), types: standardTypes,
    spoolDirectory: `${job.folder}/spool`, recordFile: `${job.folder}/source.json`, limits, conflictStrategy: () => ({ kind: 'source_wins' }),
    onError: fail('a table failed'), onConflict: fail('a conflict'), onSchemaChange: fail('a definition changed'),
  });
}

async function main(job: ChangeJob): Promise<void> {
  const abort = new AbortController();
  const stream = openItemStream(job, abort.signal);
  const peaks = { heapUsed: 0, heapTotal: 0, arrayBuffers: 0 };
  const timer = setInterval(() => {
    const { heapUsed, heapTotal, arrayBuffers } = process.memoryUsage();
    peaks.heapUsed = Math.max(peaks.heapUsed, heapUsed);
    peaks.heapTotal = Math.max(peaks.heapTotal, heapTotal);
    peaks.arrayBuffers = Math.max(peaks.arrayBuffers, arrayBuffers);
  }, 20);
  stream.restore([{ plan: job.plan, mode: 'shared', intervals: [] }]);
  process.stdin.resume().once('end', () => abort.abort());
  process.stdout.write('streaming\n');
  await stream.run(abort.signal);
  clearInterval(timer);
  await stream.close();
  const { user, system } = process.cpuUsage();
  const figures: ChangeFigures = {
    processorSeconds: (user + system) / 1e6, maxRssMb: process.resourceUsage().maxRSS / 1024, heapUsedMb: peaks.heapUsed / MB, heapTotalMb: peaks.heapTotal / MB, buffersMb: peaks.arrayBuffers / MB,
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

const [, program, argument] = process.argv;
if (program === import.meta.filename && argument !== undefined) await main(JSON.parse(argument) as ChangeJob);
