/** The one thing that a service does at a time: begun, stopped at its next safe place, or ended by itself. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';

export class OneJob {
  readonly #runtime: Runtime;
  #name: string | undefined;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  #error: string | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Undefined when nothing is under way. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Of the last one, as long as no other has begun. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Throws MIG074 while one is under way. */
  refuseSecond(): void {
    if (this.#name !== undefined) throw new MigrationError('MIG074', `a job is under way: ${this.#name}`, { hint: 'POST /stop ends it at a safe place; GET /status says how far it is.' });
  }

  begin(name: string, work: (signal: AbortSignal) => Promise<void>): void {
    this.refuseSecond();
    const stop = new AbortController();
    this.#stop = stop;
    this.#error = undefined;
    this.#name = name;
    this.#ended = work(AbortSignal.any([this.#runtime.signal, stop.signal])).catch((error: unknown) => {
      if (stop.signal.aborted || this.#runtime.signal.aborted) return;
      this.#error = error instanceof Error ? error.message : String(error);
      this.#runtime.log.error('a job has failed', { job: name, error: this.#error });
    }).finally(() => (this.#name = undefined));
  }

  /** Resolves when it has ended; with false when there was none. */
  async stop(): Promise<boolean> {
    const isUnderWay = this.#name !== undefined;
    if (isUnderWay) this.#stop.abort(new Error('stopped by an operator'));
    await this.#ended;
    return isUnderWay;
  }
}

/** Until the signal. */
export async function untilEnded(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
