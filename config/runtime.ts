/** What every long-lived part is handed as its first argument; nothing reaches for a clock, a log or an environment variable itself. */
import type { FaultPoints } from './faults.ts';

export interface Runtime {
  readonly log: Log;
  readonly metrics: MetricSink;
  readonly clock: Clock;
  /** Aborted when the process is to end. */
  readonly signal: AbortSignal;
  readonly faults: FaultPoints;
}

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry these fields. */
  child(fields: LogFields): Log;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Milliseconds on a clock that never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once with `signal.reason` thrown when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Names are those of `metric-list.ts`; an unknown name is a programmer's error and throws. */
export interface MetricSink {
  count(name: string, labels: Labels, by?: number): void;
  gauge(name: string, labels: Labels, value: number): void;
  observe(name: string, labels: Labels, value: number): void;
  /** `observe` with name and labels settled beforehand: for what is measured at every statement. Not for series that are removed. */
  observer(name: string, labels: Labels): (value: number) => void;
  /** Removes every series of the metric that has these labels (a dropped table). */
  remove(name: string, labels: Labels): void;
}

export type Labels = Readonly<Record<string, string>>;
