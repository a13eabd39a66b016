/**
 * What the control and the workers have in common as processes: settings from the supervisor, an end on SIGTERM or with the supervisor.
 *
 * States: running → draining (SIGTERM; nothing of the runtime has ended yet) → ending (drained, or a second SIGTERM, or the supervisor is gone).
 */
import { createLog } from '../ops/log.ts';
import { processClock, processRuntime } from '../../config/process-runtime.ts';
import type { MetricSink, Runtime } from '../../config/runtime.ts';
import type { ProcessSettings } from './process-settings.ts';
import type { ChildMessage } from './supervisor.ts';

export interface RunningChild extends AsyncDisposable {
  /** What is to come to an end by itself before the process ends; at once when `hurry` is aborted. */
  drain?(hurry: AbortSignal): Promise<void>;
}

/** Runs `start` and ends the process when what it returned has been closed. */
export async function runChild(role: string, metrics: MetricSink, start: (runtime: Runtime, handed: ProcessSettings) => Promise<RunningChild>): Promise<void> {
  const handed = await new Promise<ProcessSettings>((resolve) => process.once('message', (message) => resolve(message as ProcessSettings)));
  const stop = new AbortController();
  const log = createLog({ ...handed.settings.log, now: processClock.now }).child({ role, pid: process.pid });
  const runtime = processRuntime({ log, metrics, signal: stop.signal });
  let running: RunningChild | undefined;
  const hurry = new AbortController();
  let isDraining = false;
  const end = async (): Promise<void> => {
    hurry.abort();
    if (stop.signal.aborted) return;
    stop.abort(new Error('the process is stopping'));
    await running?.[Symbol.asyncDispose]();
    process.exit(0);
  };
  const drainFirst = async (): Promise<void> => {
    if (isDraining) return end();
    isDraining = true;
    await running?.drain?.(hurry.signal).catch((error: unknown) => log.error('the sessions could not be ended in order', { error: String(error) }));
    await end();
  };
  process.on('SIGTERM', () => void drainFirst());
  // Ctrl-C reaches every process of the terminal; the supervisor says when it is this one's turn.
  process.on('SIGINT', () => undefined);
  process.once('disconnect', () => void end());
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
  try {
    running = await start(runtime, handed);
    tell({ type: 'ready' });
  } catch (error) {
    log.error(`${role} cannot start`, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
}

function tell(message: ChildMessage): void {
  process.send?.(message);
}
