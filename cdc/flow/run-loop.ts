/** Runs something that throws to be run again, until it ends, the signal says so, or a retry cannot help. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';

export interface RunLoopOptions {
  readonly startMs?: number;
  readonly limitMs?: number;
  readonly onError?: (error: Error) => void;
}

export async function runLoop(runtime: Runtime, name: string, turn: (signal: AbortSignal) => Promise<void>, signal: AbortSignal, options: RunLoopOptions = {}): Promise<void> {
  const { startMs = 100, limitMs = 10_000 } = options;
  let pauseMs = startMs;
  while (!signal.aborted) {
    const begun = runtime.clock.monotonicMs();
    try {
      await turn(signal);
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      options.onError?.(error);
      if (error instanceof MigrationError && !error.retryable) throw error;
      if (runtime.clock.monotonicMs() - begun > limitMs) pauseMs = startMs;
      runtime.log.warn(`${name} is run again`, { error: error.message, pauseMs });
      await runtime.clock.sleep(pauseMs, signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, limitMs);
    }
  }
}
