/**
 * The figures of the document's dashboard and its health rules: writes of the last minute, how far the load is, what the validations have said.
 *
 * The proxy counts since its start; rates are the difference to a sample of about a minute ago. Loader and validator tell their figures themselves: the loader while it runs, the validator at
 * the end of a comparison.
 */
import { latencyBounds, outcomes } from '../proxy-stats.ts';
import type { ProxyStats } from '../proxy-stats.ts';
import { plans } from '../modes.ts';
import type { CqlMode } from '../modes.ts';
import type { TableRecord } from './validations.ts';

const WINDOW_MS = 60_000;
const SAMPLE_MS = 1000;
/** The document's rules. */
const MOST_FAILURES = 0.01;
const MOST_DISCREPANCIES = 100;
/** A load that has not read a row for so long, or has not been heard of, stands still. */
const STALLED_MS = 60_000;

/** What `load` tells while it runs. */
export interface LoaderReport {
  /** 0 to 1. */
  readonly share: number;
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly remainingMs: number | undefined;
  readonly tablesDone: number;
  readonly tablesTotal: number;
  readonly hasEnded: boolean;
}

/** The report with when it came, and when it last came with more rows than before. */
export type HeardLoad = LoaderReport & { readonly heardMs: number; readonly advancedMs: number };

export interface Figures {
  readonly stats: ProxyStats;
  readonly mode: CqlMode;
  readonly validated: ReadonlyMap<string, TableRecord>;
  readonly nowMs: number;
}

interface Sample {
  readonly atMs: number;
  readonly ended: number;
  readonly failed: number;
  /** Counts of the latency buckets, by cluster. */
  readonly latency: readonly (readonly number[])[];
}

export interface Dashboard {
  readonly dual_writer: { readonly mode: CqlMode; readonly writes_per_second: number; readonly failure_rate: number; readonly latency_p99: number; readonly latency_p99_ms: number };
  /** Null: no load was heard of. */
  readonly loader: { readonly progress_percent: number; readonly rows_migrated: number; readonly rows_per_second: number; readonly eta: string | null; readonly tables_completed: number; readonly tables: number; readonly running: boolean } | null;
  readonly validator: { readonly consistency_score: number | null; readonly discrepancy_count: number; readonly rows_validated: number; readonly coverage: number; readonly last_validation: string | null };
  readonly alerts: readonly string[];
  readonly health: { readonly healthy: boolean; readonly issues: readonly string[]; readonly timestamp: string };
}

export class Monitor {
  #samples: Sample[] = [];
  #load: HeardLoad | undefined;

  get load(): HeardLoad | undefined {
    return this.#load;
  }

  /** To be called every few seconds. */
  sample({ stats, nowMs }: Figures): void {
    const latest = this.#samples.at(-1);
    if (latest && nowMs - latest.atMs < SAMPLE_MS) return;
    this.#samples.push(sampleOf(stats, nowMs));
    while ((this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift();
  }

  heard(report: LoaderReport, nowMs: number): void {
    const hasAdvanced = this.#load === undefined || report.rows !== this.#load.rows || report.share !== this.#load.share;
    this.#load = { ...report, heardMs: nowMs, advancedMs: hasAdvanced ? nowMs : this.#load?.advancedMs ?? nowMs };
  }

  dashboard(figures: Figures): Dashboard {
    const { mode, validated, nowMs } = figures;
    this.sample(figures);
    const writer = this.#writer(figures);
    const { rows, different, coverage, lastMs } = validationOf(validated);
    const issues = [
      ...(writer.failure_rate > MOST_FAILURES ? ['High write failure rate detected'] : []),
      ...(this.#load && !this.#load.hasEnded && nowMs - this.#load.advancedMs > STALLED_MS ? ['Migration appears stalled'] : []),
      ...(different > MOST_DISCREPANCIES ? ['High number of validation discrepancies'] : []),
    ];
    return {
      dual_writer: { mode, ...writer }, loader: this.#loader(nowMs),
      validator: { consistency_score: consistencyScore(validated), discrepancy_count: different, rows_validated: rows, coverage, last_validation: lastMs === 0 ? null : new Date(lastMs).toISOString() },
      alerts: issues, health: { healthy: issues.length === 0, issues, timestamp: new Date(nowMs).toISOString() },
    };
  }

  #writer({ stats, mode, nowMs }: Figures): Omit<Dashboard['dual_writer'], 'mode'> {
    const now = sampleOf(stats, nowMs);
    const [before = now] = this.#samples;
    const seconds = (now.atMs - before.atMs) / 1000;
    const { primary } = plans[mode];
    const counts = (now.latency[primary] ?? []).map((count, index) => count - (before.latency[primary]?.[index] ?? 0));
    const answered = counts.reduce((sum, count) => sum + count, 0);
    const ended = now.ended - before.ended;
    const p99 = percentile(counts, answered * 0.99);
    return { writes_per_second: seconds > 0 ? answered / seconds : 0, failure_rate: ended > 0 ? (now.failed - before.failed) / ended : 0, latency_p99: p99, latency_p99_ms: p99 };
  }

  #loader(nowMs: number): Dashboard['loader'] {
    if (!this.#load) return null;
    const { share, rows, rowsPerSecond, remainingMs, tablesDone, tablesTotal, hasEnded } = this.#load;
    return { progress_percent: share * 100, rows_migrated: rows, rows_per_second: hasEnded ? 0 : rowsPerSecond, eta: hasEnded || remainingMs === undefined ? null : new Date(nowMs + remainingMs).toISOString(), tables_completed: tablesDone, tables: tablesTotal, running: !hasEnded };
  }
}

/** 0 to 100: how many of the rows that were compared are the same; null when none were. */
export function consistencyScore(validated: ReadonlyMap<string, TableRecord>): number | null {
  const { rows, different } = validationOf(validated);
  return rows === 0 ? null : Math.max(0, 1 - different / rows) * 100;
}

/** Rows that were repaired are the same by now. */
function validationOf(validated: ReadonlyMap<string, TableRecord>): { readonly rows: number; readonly different: number; readonly coverage: number; readonly lastMs: number } {
  const all = [...validated.values()];
  const sum = (of: (record: TableRecord) => number): number => all.reduce((total, record) => total + of(record), 0);
  return { rows: sum(({ rows }) => rows), different: sum(({ passed, different }) => (passed ? 0 : different)), coverage: all.length === 0 ? 0 : sum(({ share }) => share) / all.length, lastMs: Math.max(0, ...all.map(({ heardMs }) => heardMs)) };
}

function sampleOf({ clusters }: ProxyStats, atMs: number): Sample {
  const total = (of: (outcome: string) => boolean): number => clusters.reduce((sum, { counts }) => sum + outcomes.reduce((part, outcome, index) => (of(outcome) ? part + (counts.writesEnded[index] ?? 0) : part), 0), 0);
  return { atMs, ended: total(() => true), failed: total((outcome) => outcome !== 'ok'), latency: clusters.map(({ counts }) => [...counts.writes.counts]) };
}

/** The upper bound of the bucket in which it is, in milliseconds; 0 when there is nothing. */
function percentile(counts: readonly number[], rank: number): number {
  if (rank <= 0) return 0;
  let sum = 0;
  const index = counts.findIndex((count) => (sum += count) >= rank);
  return (latencyBounds[index] ?? latencyBounds.at(-1) ?? 0) * 1000;
}
