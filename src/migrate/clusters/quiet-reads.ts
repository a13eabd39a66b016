/**
 * Reads of both clusters in moments in which no client writes the table at any proxy. The difference of two counters is exact only so: increments that are under way stand on one side and not on the other.
 *
 * What wants to be read is gathered: one moment serves all that waits. Clients wait while it is read, and are served several times as long before the next one.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { ProxyPort } from './proxy-port.ts';

/** Read in one moment. */
const MOST_READS = 64;
/** Of so much time clients have all but one part. */
const SHARE_OF_CLIENTS = 4;
const LEAST_PAUSE_MS = 20;
/** Without one moment in which it could be read. */
const PATIENCE_MS = 60_000;

interface Wanted {
  readonly read: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class QuietReads {
  readonly #runtime: Pick<Runtime, 'clock' | 'signal'>;
  readonly #proxy: Pick<ProxyPort, 'pause'>;
  readonly #table: string;
  #wanted: Wanted[] = [];
  #isTurning = false;

  constructor(runtime: Pick<Runtime, 'clock' | 'signal'>, proxy: Pick<ProxyPort, 'pause'>, table: string) {
    this.#runtime = runtime;
    this.#proxy = proxy;
    this.#table = table;
  }

  /** `read` may be called again, where the moment was over before it had ended; its last result counts. */
  readonly quietly = <T>(read: () => Promise<T>): Promise<T> => new Promise<T>((resolve, reject) => {
    this.#wanted.push({ read, resolve: resolve as (value: unknown) => void, reject });
    if (!this.#isTurning) void this.#turn();
  });

  async #turn(): Promise<void> {
    const { clock, signal } = this.#runtime;
    this.#isTurning = true;
    let lastMs = clock.monotonicMs();
    try {
      while (this.#wanted.length > 0) {
        const beganMs = clock.monotonicMs();
        if (await this.#moment()) lastMs = clock.monotonicMs();
        else if (clock.monotonicMs() - lastMs > PATIENCE_MS) throw new MigrationError('MIG087', `For ${PATIENCE_MS / 1000} s there was no moment in which nothing of ${this.#table} was under way`, { hint: 'A cluster is slow or owed writes, or a proxy of the group cannot be reached: SHOW MIGRATION STATUS tells.' });
        await clock.sleep(Math.max(LEAST_PAUSE_MS, SHARE_OF_CLIENTS * (clock.monotonicMs() - beganMs)), signal);
      }
    } catch (error) {
      for (const { reject } of this.#wanted.splice(0)) reject(error);
    } finally {
      this.#isTurning = false;
    }
  }

  /** False: there was none. */
  async #moment(): Promise<boolean> {
    const end = await this.#proxy.pause(this.#table);
    if (!end) return false;
    const batch = this.#wanted.splice(0, MOST_READS);
    const results = await Promise.allSettled(batch.map(({ read }) => read()));
    // What was read is worth something only if nobody has written meanwhile.
    const hasHeld = await end().catch(() => false);
    if (!hasHeld) {
      this.#wanted.unshift(...batch);
      return false;
    }
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') batch[index]?.resolve(result.value);
      else batch[index]?.reject(result.reason);
    }
    return true;
  }
}
