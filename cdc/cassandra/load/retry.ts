/** Doing something to a cluster again when that may help, and the pause before it. */
import type { Runtime } from '../../../config/runtime.ts';
import { kindOfFailure } from '../cluster.ts';
import type { Throttle } from '../throttle.ts';

export interface RetryOptions {
  readonly maxRetries: number;
  /** Before the first; doubled each time, up to ten seconds. */
  readonly retryPauseMs: number;
}

const LONGEST_PAUSE_MS = 10_000;

/** Throws the last failure, or at once one that would be the same again. */
export async function withRetries<T>(runtime: Runtime, throttle: Throttle, options: RetryOptions, signal: AbortSignal, act: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 0, pauseMs = options.retryPauseMs; ; attempt += 1, pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await act(attempt);
    } catch (error) {
      signal.throwIfAborted();
      const kind = kindOfFailure(error);
      if (kind === 'refused' || attempt >= options.maxRetries) throw error;
      if (kind === 'overloaded') throttle.ease();
      await runtime.clock.sleep(pauseMs, signal);
    }
  }
}

/** Runs `act` on every item, at most `limit` at a time; the first failure ends it when those under way have ended. */
export async function forEachLimited<T>(items: readonly T[], limit: number, act: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const item = items[next] as T;
      next += 1;
      try {
        await act(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
}
