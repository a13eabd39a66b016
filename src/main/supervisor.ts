/**
 * The process that `npm start` runs: starts the embedded databases, the control, the gateway workers and the CQL proxy, restarts what
 * ends, and stops everything in reverse order: the workers first, which let their clients finish while the control is still there. It holds no state that matters: the catalog does.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Runtime } from '../../config/runtime.ts';
import { COMMIT_GRACE_MS } from '../session/drain.ts';
import type { ProcessSettings } from './process-settings.ts';
import { SharedPorts } from './shared-port.ts';

/** Child → supervisor. */
export type ChildMessage = { readonly type: 'ready' } | { readonly type: 'failed'; readonly message: string };

export interface Supervised extends AsyncDisposable {
  readonly pids: () => { readonly control: number | undefined; readonly workers: readonly number[]; readonly cql: number | undefined };
}

/**
 * Streams and loads leave much that is soon of no use: with the default of 32 MB the control takes some 60 MB more, and is no faster. The old generation may
 * only double before it is collected: what little is alive in it grows fourfold by default, and the buffers that wait for the collector with it.
 */
export const controlFlags: readonly string[] = ['--max-semi-space-size=16', '--heap-growing-percent=100'];

const RESTART_MS = 200;
const SLOW_RESTART_MS = 2_000;
/** A child that never got ready this often in a row is not started again. */
const MAX_FAILED_STARTS = 5;
const STOP_MS = 15_000;

export async function supervise(runtime: Runtime, main: string, handed: ProcessSettings, workers: number, hurry: AbortSignal): Promise<Supervised> {
  let isStopping = false;
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  let control: ChildProcess | undefined;

  const startControl = async (failedStarts: number): Promise<void> => {
    const child = fork(main, ['control'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced', execArgv: [...controlFlags, ...process.execArgv] });
    control = child;
    child.send(handed);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const started = await untilReady(child, ended);
    void ended.then(() => {
      if (isStopping) return;
      runtime.log.error('the control process ended; it is started again', { pid: child.pid });
      setTimeout(() => void startControl(started === undefined ? 0 : failedStarts + 1).catch(failure.reject), RESTART_MS);
    });
    if (started !== undefined && (failedStarts === 0 && !isRunning(control) || failedStarts >= MAX_FAILED_STARTS)) throw new Error(started);
  };

  const ports = new SharedPorts(runtime.log);
  const gatewayWorkers = new Set<ChildProcess>();
  const startWorker = async (): Promise<void> => {
    const worker = fork(main, ['worker'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
    gatewayWorkers.add(worker);
    worker.send(handed);
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    void ended.then(() => {
      gatewayWorkers.delete(worker);
      if (isStopping) return;
      runtime.log.error('a gateway worker ended; another one is started', { pid: worker.pid });
      setTimeout(() => void startWorker().catch((error: unknown) => runtime.log.error('a gateway worker cannot be started', { error: String(error) })), RESTART_MS);
    });
    const problem = await untilReady(worker, ended);
    if (problem !== undefined) throw new Error(problem);
    ports.add(worker);
  };

  let cql: ChildProcess | undefined;
  /** Its clients connect again by themselves; what it owed to a cluster stands in its log. */
  const startCql = async (isFirst: boolean): Promise<void> => {
    const child = fork(main, ['cql'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
    cql = child;
    child.send(handed);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const problem = await untilReady(child, ended);
    if (problem !== undefined && isFirst) throw new Error(problem);
    void ended.then(() => {
      if (isStopping) return;
      runtime.log.error('the process of the CQL proxy ended; it is started again', { pid: child.pid });
      setTimeout(() => void startCql(false), problem === undefined ? RESTART_MS : SLOW_RESTART_MS);
    });
  };

  const stop = async (): Promise<void> => {
    isStopping = true;
    ports.close();
    const drainMs = handed.settings.timeouts.shutdownMs + COMMIT_GRACE_MS;
    await Promise.all([
      ...[...gatewayWorkers].map((child) => endChild(child, drainMs + STOP_MS, hurry)),
      endChild(cql, 2 * (handed.settings.cql?.drainMs ?? 0) + STOP_MS, hurry),
    ]);
    await endChild(control, STOP_MS, hurry);
  };

  try {
    await startControl(0);
    await Promise.all(Array.from({ length: workers }, () => startWorker()));
    const { listen, mysql } = handed.settings;
    await ports.listen('postgres', listen);
    if (mysql) await ports.listen('mysql', mysql.listen);
    if (handed.settings.cql) await startCql(true);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pids: () => ({ control: control?.pid, workers: [...gatewayWorkers].flatMap((worker) => worker.pid ?? []), cql: cql?.pid }),
    [Symbol.asyncDispose]: stop,
  };
}

function isRunning(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

/** undefined once the child says that it is ready; else why it is not. */
function untilReady(child: ChildProcess, ended: Promise<void>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const listen = (message: unknown): void => {
      const said = message as ChildMessage;
      if (said.type === 'ready') resolve(undefined);
      if (said.type === 'failed') resolve(said.message);
    };
    child.on('message', listen);
    void ended.then(() => resolve('the process ended while it was starting; the lines above say why'));
  });
}

/** `hurry`: told again, it no longer waits for what is open. */
async function endChild(child: ChildProcess | undefined, limitMs: number, hurry: AbortSignal): Promise<void> {
  if (!child || !isRunning(child)) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const tell = (): void => void child.kill('SIGTERM');
  tell();
  if (hurry.aborted) tell();
  hurry.addEventListener('abort', tell, { once: true });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await ended;
  clearTimeout(timer);
  hurry.removeEventListener('abort', tell);
}
