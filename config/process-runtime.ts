/** The real clock and the armed fault points: with `load.ts` and `main.ts` the only code that looks at the process around it. */
import { setTimeout as delay } from 'node:timers/promises';
import { armFaults } from './faults.ts';
import type { FaultPoints } from './faults.ts';
import type { Clock, Log, MetricSink, Runtime } from './runtime.ts';

export const processClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal ? { signal } : undefined);
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error;
    }
  },
};

/** Fault points armed by CAUSEWAY_FAULT; `hold` and the `.reached` files use CAUSEWAY_FAULT_DIR. */
export function processFaults(environment: Readonly<Record<string, string | undefined>> = process.env): FaultPoints {
  return armFaults(environment['CAUSEWAY_FAULT'], environment['CAUSEWAY_FAULT_DIR']);
}

export interface RuntimeParts {
  readonly log: Log;
  readonly metrics: MetricSink;
  readonly signal: AbortSignal;
}

export function processRuntime({ log, metrics, signal }: RuntimeParts): Runtime {
  return { log, metrics, signal, clock: processClock, faults: processFaults() };
}

/** A sink for programs that publish no metrics. */
export const noMetrics: MetricSink = { count: () => undefined, gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined };
