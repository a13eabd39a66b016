/** From runs to figures: medians with their spread, and ratios of runs that were neighbours in time. */
import type { LoadFigures } from './pgbench.ts';
import type { ProcessorTime } from './process-time.ts';

export interface Sample extends LoadFigures, ProcessorTime {
  readonly round: number;
}

/** All runs of one cell of the table: the same load through the same peer. */
export interface Series {
  readonly workload: string;
  readonly mode: string;
  readonly clients: number;
  /** A peer, or a variant of the mix. */
  readonly through: string;
  readonly samples: readonly Sample[];
  /** Why this cannot be measured with this version of the peer: no failure. */
  readonly notPossible?: string;
  /** What the first run that failed said. */
  readonly failure?: string;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((left, right) => left - right);
  const [lower, upper, min, max] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1], sorted[0], sorted.at(-1)];
  return lower === undefined || upper === undefined || min === undefined || max === undefined ? undefined : { median: (lower + upper) / 2, min, max };
}

/**
 * `combine(a, b)` for each round that both were measured in. A machine changes its pace between rounds more than within one, so the
 * median of these ratios varies less than the ratio of the two medians, and their own spread says how far to trust them.
 */
export function compare(series: Series | undefined, other: Series | undefined, combine: (mine: Sample, its: Sample) => number | undefined): Spread | undefined {
  if (!series || !other || series === other) return undefined;
  const values = series.samples.flatMap((mine) => {
    const its = other.samples.find(({ round }) => round === mine.round);
    return (its && combine(mine, its)) ?? [];
  });
  return spreadOf(values);
}

export const rateOf = (mine: Sample, its: Sample): number => mine.tps / its.tps;
/** Time for the same work: the inverse of the rate. */
export const costOf = (mine: Sample, its: Sample): number => its.tps / mine.tps;
const quotient = (mine: number | undefined, its: number | undefined): number | undefined => (mine === undefined || its === undefined || its === 0 ? undefined : mine / its);
export const cpuOf = (mine: Sample, its: Sample): number | undefined => quotient(mine.cpuUsPerStatement, its.cpuUsPerStatement);
const workersOf = (mine: Sample, its: Sample): number | undefined => quotient(mine.workersUsPerStatement, its.workersUsPerStatement);

export interface Figures {
  readonly tps: Spread | undefined;
  readonly cpuUsPerStatement: Spread | undefined;
  readonly workersUsPerStatement: Spread | undefined;
  readonly p50Us: Spread | undefined;
  readonly p99Us: Spread | undefined;
  readonly tpsOfDirect: Spread | undefined;
  readonly tpsOfPipe: Spread | undefined;
  readonly tpsOfPgbouncer: Spread | undefined;
  readonly cpuOfPipe: Spread | undefined;
  readonly addedP50Us: Spread | undefined;
  readonly addedP99Us: Spread | undefined;
  readonly costOfUnrouted: Spread | undefined;
  readonly workersOfUnrouted: Spread | undefined;
}

/** `all` holds the others of its cell that it is compared with. */
export function figuresOf(series: Series, all: readonly Series[]): Figures {
  const beside = (through: string): Series | undefined =>
    all.find((other) => other.through === through && other.workload === series.workload && other.mode === series.mode && other.clients === series.clients);
  const [direct, pipe, pgbouncer, unrouted] = [beside('direct'), beside('pipe'), beside('pgbouncer-session'), beside('unrouted')];
  const own = (pick: (sample: Sample) => number | undefined): Spread | undefined => spreadOf(series.samples.flatMap((sample) => pick(sample) ?? []));
  return {
    tps: own(({ tps }) => tps), cpuUsPerStatement: own(({ cpuUsPerStatement }) => cpuUsPerStatement),
    workersUsPerStatement: own(({ workersUsPerStatement }) => workersUsPerStatement), p50Us: own(({ p50Us }) => p50Us), p99Us: own(({ p99Us }) => p99Us),
    tpsOfDirect: compare(series, direct, rateOf), tpsOfPipe: compare(series, pipe, rateOf), tpsOfPgbouncer: compare(series, pgbouncer, rateOf), cpuOfPipe: compare(series, pipe, cpuOf),
    addedP50Us: compare(series, direct, (mine, its) => mine.p50Us - its.p50Us), addedP99Us: compare(series, direct, (mine, its) => mine.p99Us - its.p99Us),
    costOfUnrouted: compare(series, unrouted, costOf), workersOfUnrouted: compare(series, unrouted, workersOf),
  };
}

export interface Goal {
  readonly text: string;
  /** Cells that it is about. */
  readonly measured: number;
  readonly met: number;
  /** The cell farthest from it. */
  readonly worst: { readonly cell: string; readonly value: number } | undefined;
}

export function goalsOf(all: readonly Series[]): readonly Goal[] {
  const goal = (text: string, through: string, pick: (figures: Figures) => Spread | undefined, limit: number, isAtLeast: boolean): Goal => {
    const values = all.filter((series) => series.through === through).flatMap((series) => {
      const value = pick(figuresOf(series, all))?.median;
      return value === undefined ? [] : [{ cell: `${series.workload} ${series.mode} ${series.clients}`, value }];
    }).toSorted((left, right) => (isAtLeast ? left.value - right.value : right.value - left.value));
    return { text, measured: values.length, met: values.filter(({ value }) => (isAtLeast ? value >= limit : value <= limit)).length, worst: values[0] };
  };
  return [
    goal('gateway/pipe ≥ 0.95', 'gateway', ({ tpsOfPipe }) => tpsOfPipe, 0.95, true),
    goal('routed/unrouted cost ≤ 1.15', 'routed', ({ costOfUnrouted }) => costOfUnrouted, 1.15, false),
  ].filter(({ measured }) => measured > 0);
}
