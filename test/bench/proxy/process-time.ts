/** Processor time of processes and all that they have started, from /proc (Linux). */
import * as fs from 'node:fs';

/** The kernel shows times in ticks of USER_HZ, which is 100 on every platform that Node.js runs on. */
const TICK_US = 10_000;

export interface ProcessorTime {
  /** Of the processes in between with their children, user and system; undefined where there are none. */
  readonly cpuUsPerStatement: number | undefined;
  /** Of it, that of the product's gateway workers: its other processes work for the streams, and once a second for their own sake. */
  readonly workersUsPerStatement: number | undefined;
}

/** Begins to count; the result ends it, and says how much it was for each of so many statements. */
export function meter(pids: readonly number[], workers: readonly number[]): (statements: number) => ProcessorTime {
  const before = [processTimeUs(pids), processTimeUs(workers)] as const;
  return (statements) => ({
    cpuUsPerStatement: pids.length === 0 ? undefined : (processTimeUs(pids) - before[0]) / statements,
    workersUsPerStatement: workers.length === 0 ? undefined : (processTimeUs(workers) - before[1]) / statements,
  });
}

/**
 * User and system time so far in microseconds: of every thread, of the children that live, and of those that have ended and were waited
 * for. Throws when one of `pids` has ended: what it had used would be missing.
 */
export function processTimeUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) ticks += ticksOf(pid);
  return ticks * TICK_US;
}

function ticksOf(pid: number): number {
  // The name, in brackets, may hold anything; what follows are numbers: proc(5), state is the third field.
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return childrenOf(pid).reduce((sum, child) => sum + endedOr(child), own);
}

/** A child that ends between the two looks is in its parent's sum the next time. */
function endedOr(pid: number): number {
  try {
    return ticksOf(pid);
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.flatMap((thread) => {
    try {
      return fs.readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter((text) => text.trim() !== '').map(Number);
    } catch {
      return [];
    }
  });
}
