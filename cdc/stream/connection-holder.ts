/**
 * The connection that a stream has or has not, and the order between opening one and changing what opening reads. A table that was
 * added in between would have no route on the new connection, and lose its changes without a word.
 */
import { Turnstile } from '../flow/turnstile.ts';
import { ConnectedStream } from './connected-stream.ts';
import type { StreamState } from './stream-state.ts';

export class ConnectionHolder {
  readonly #state: StreamState;
  readonly #turn = new Turnstile(1);
  #current: ConnectedStream | undefined;
  /** Resolves when `#current` is no more. */
  #isGone: Promise<void> = Promise.resolve();

  constructor(state: StreamState) {
    this.#state = state;
  }

  get current(): ConnectedStream | undefined {
    return this.#current;
  }

  /** Opens a connection, lends it to `use` until that ends, and has none any more. */
  async connect(use: (connected: ConnectedStream) => Promise<void>): Promise<void> {
    const gone = Promise.withResolvers<void>();
    const connected = await this.exclusively(async () => {
      this.#current = await ConnectedStream.open(this.#state);
      this.#isGone = gone.promise;
      return this.#current;
    });
    try {
      await use(connected);
    } finally {
      this.#current = undefined;
      gone.resolve();
    }
  }

  /** While no connection is being opened. Whether there is one does not change to "there is" meanwhile. */
  async exclusively<T>(work: () => T | Promise<T>): Promise<T> {
    const leave = await this.#turn.enter(this.#state.runtime.signal);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Between two source transactions while connected, at once otherwise; what a connection left undone is done after it. */
  async atBoundary(work: () => Promise<void>): Promise<void> {
    for (;;) {
      const connected = this.#current;
      if (connected) {
        try {
          await connected.pipeline.order(work);
          return;
        } catch (error) {
          if (error !== connected.pipeline.ended) throw error;
          await this.#isGone;
        }
      } else {
        const isDone = await this.exclusively(async () => (this.#current ? false : work().then(() => true)));
        if (isDone) return;
      }
    }
  }
}
