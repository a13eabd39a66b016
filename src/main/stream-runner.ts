/** Runs a change stream from when the first table needs it until none does any more. */
import type { ChangeStream } from '../../cdc/ports.ts';
import { runLoop } from '../../cdc/flow/run-loop.ts';
import type { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { toMigrationError } from '../migrate/trouble.ts';

export class StreamRunner {
  readonly #runtime: Runtime;
  readonly #stream: ChangeStream;
  readonly #onStopped: (error: MigrationError) => void;
  #failure: MigrationError | undefined;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(runtime: Runtime, stream: ChangeStream, onStopped: (error: MigrationError) => void) {
    this.#runtime = runtime;
    this.#stream = stream;
    this.#onStopped = onStopped;
  }

  /** Why it has stopped for good: a gap, another owner, a missing privilege. Over a gap only `end` helps; else `start`, once the cause is removed. */
  get failure(): MigrationError | undefined {
    return this.#failure;
  }

  /** Returns false when it is running already. */
  start(): boolean {
    if (this.#running && !this.#failure) return false;
    this.#failure = undefined;
    const stop = new AbortController();
    this.#running = { stop, ended: this.#run(AbortSignal.any([stop.signal, this.#runtime.signal])) };
    return true;
  }

  /** Stops it and removes what it has on both servers: its slot, its publication, its records. */
  async end(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
    this.#running = undefined;
    this.#failure = undefined;
    await this.#stream.drop();
  }

  /** A stream that ends for good (a gap, another owner) is said loudly; its tables show the error through `health`. */
  async #run(signal: AbortSignal): Promise<void> {
    const { log } = this.#runtime;
    try {
      // Clients wait for this stream: a server that is back is noticed soon.
      await runLoop(this.#runtime, this.#stream.name, (aborted) => this.#stream.run(aborted), signal, { limitMs: 2_000 });
    } catch (error) {
      this.#failure = toMigrationError(error);
      const { message, detail, hint } = this.#failure;
      log.error('a change stream has stopped', { stream: this.#stream.name, error: message, detail, hint });
      this.#onStopped(this.#failure);
    }
  }
}
