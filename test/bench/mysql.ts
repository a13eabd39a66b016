/** `bench mysql`: the load beside pgloader, a backlog and the lag of the stream, and the front door beside no gateway and a byte pipe. docs/benchmarks.md says what is measured. */
import * as os from 'node:os';
import { isMysqlInstalled } from '../support/mysql-servers.ts';
import type { MysqlKind } from '../support/mysql-servers.ts';
import { measureApply } from './mysql/apply.ts';
import type { ApplyFigure } from './mysql/apply.ts';
import { measureBulk, printBulk } from './mysql/bulk.ts';
import { measureDoor, printDoor } from './mysql/door.ts';
import { measureLag } from './mysql/lag.ts';
import type { LagFigure } from './mysql/lag.ts';
import { readOptions } from './mysql/options.ts';
import type { MysqlBenchOptions, Part } from './mysql/options.ts';

interface Said {
  readonly text: string;
  readonly figures: unknown;
}

/** Ends the process: 0 when everything ran, 1 when something did not, 2 for bad arguments. A goal that is missed is said, and is no failure. */
export async function run(): Promise<void> {
  const options = optionsOrExit();
  const missing = options.servers.filter((kind) => !isMysqlInstalled(kind));
  const servers = options.servers.filter(isMysqlInstalled);
  let hasFailed = false;
  console.log(`${os.availableParallelism()} processors, Node.js ${process.version}${missing.length === 0 ? '' : `; not installed for test/servers: ${missing.join(', ')}`}`);
  for (const part of options.parts) {
    for (const kind of part === 'bulk' ? servers.filter((each) => each === 'mariadb-10.11') : servers) {
      const before = os.loadavg()[0] ?? 0;
      try {
        const { text, figures } = await measure(part, kind, options);
        console.log(`\n${part}, ${kind}; load of the machine before and after: ${before.toFixed(1)}, ${(os.loadavg()[0] ?? 0).toFixed(1)}\n${text}\n${JSON.stringify({ bench: 'mysql', part, kind, figures })}`);
      } catch (error) {
        hasFailed = true;
        console.log(`\n${part}, ${kind}: FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    }
  }
  process.exit(hasFailed ? 1 : 0);
}

function optionsOrExit(): MysqlBenchOptions {
  try {
    return readOptions(process.argv.slice(3));
  } catch (error) {
    console.error(`bench mysql: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

async function measure(part: Part, kind: MysqlKind, options: MysqlBenchOptions): Promise<Said> {
  switch (part) {
    case 'bulk': {
      const figures = await measureBulk(options.rows, options.rounds);
      return { text: printBulk(options.rows, figures), figures };
    }
    case 'apply': {
      const figures = await measureApply(kind, options.changes, options.sizes);
      return { text: printApply(figures), figures };
    }
    case 'lag': {
      const figures = await measureLag(kind, options.rate, options.seconds);
      return { text: printLag(figures), figures };
    }
    case 'door': {
      const figures = await measureDoor(kind, { clients: options.clients, seconds: options.run, rounds: options.rounds, processes: 2 });
      if (figures?.some(({ failure }) => failure !== undefined) === true) throw new Error(printDoor(figures));
      return { text: printDoor(figures), figures };
    }
    default:
      return part satisfies never;
  }
}

const GOAL_CHANGES = 30_000;
const GOAL_RSS_MB = 300;
const GOAL_LAG_MS = 500;
const goal = (isMet: boolean): string => (isMet ? 'met' : 'MISSED');

function printApply(figures: readonly ApplyFigure[]): string {
  return ['changes/transaction   changes/s   of 30,000   processor s   memory MB   heap MB   buffers MB   goal (30,000/s, 300 MB)', ...figures.map((each) =>
    `${String(each.changesPerTransaction).padStart(19)}${String(each.changesPerSecond).padStart(12)}${(each.changesPerSecond / GOAL_CHANGES).toFixed(2).padStart(12)}${each.processorSeconds.toFixed(1).padStart(14)}${each.maxRssMb.toFixed(0).padStart(12)}${each.heapTotalMb.toFixed(0).padStart(10)}${each.buffersMb.toFixed(0).padStart(13)}   ${goal(each.changesPerSecond >= GOAL_CHANGES && each.maxRssMb < GOAL_RSS_MB)}`)].join('\n');
}

function printLag({ changesPerSecond, p50Ms, p99Ms, maxMs, maxRssMb, processorSeconds }: LagFigure): string {
  return `${changesPerSecond} changes/s in transactions of 10: p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms, longest ${maxMs.toFixed(0)} ms; ${processorSeconds.toFixed(1)} s of processor, ${maxRssMb.toFixed(0)} MB; goal (p99 below ${GOAL_LAG_MS} ms): ${goal(p99Ms < GOAL_LAG_MS)}`;
}
