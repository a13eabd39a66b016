/**
 * Places for clients: between the end of authentication and the opening of the home leg a client needs a place in its user's and its
 * database's limit, and waits for one if there is none. It has nothing to cancel with yet (its cancel key is its server's), so what
 * takes it out of the queue is its goodbye, or the end of its connection.
 *
 * A client is waiting → in → gone, or waiting → refused or gone.
 */
import type { ConnectionLimits, Pool } from '../../config/connection-limits.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { errorFieldsOf } from './client-error.ts';

/** Who counts the places: the control for all gateway workers; a test, or a gateway alone, for itself. */
export interface SlotPort {
  /** `answered` comes at most once, perhaps before this returns; false: too many wait already. Returns what leaves the queue or gives the place back. */
  request(pool: Pool, answered: (granted: boolean) => void): () => void;
}

/** As many as there are. */
export const freeSlots: SlotPort = {
  request: (_pool, answered) => {
    answered(true);
    return nothingToLeave;
  },
};

export interface WaitingClient extends Pool {
  readonly address: string;
  readonly port: number;
  readonly sinceMs: number;
}

export type Refusal = { readonly fields: ErrorFields; readonly reason: 'queue_full' | 'queue_timeout' };

/** A control that is away for so long is not waited for by clients that are not to wait. */
const LEAST_WAIT_MS = 1_000;

export class Admission {
  readonly #runtime: Runtime;
  readonly #slots: SlotPort;
  readonly #limits: ConnectionLimits;
  readonly #waitMs: number;
  readonly #waiting = new Set<WaitingClient>();
  /** Of clients that have waited, by pool. */
  readonly #waitedMs = new Map<string, number>();

  constructor(runtime: Runtime, slots: SlotPort, limits: ConnectionLimits, waitMs: number) {
    this.#runtime = runtime;
    this.#slots = slots;
    this.#limits = limits;
    this.#waitMs = waitMs;
    this.#countWaiting();
  }

  get waiting(): ReadonlySet<WaitingClient> {
    return this.#waiting;
  }

  /** Time that clients of the database have waited. */
  waitedMs(database: string): number {
    return this.#waitedMs.get(database) ?? 0;
  }

  /**
   * `entered` comes once: undefined when there is a place, perhaps before this returns; or why there is none. Returns what gives
   * the place back, or leaves the queue.
   */
  enter(client: Omit<WaitingClient, 'sinceMs'>, entered: (refusal: Refusal | undefined) => void): () => void {
    const { ofUser, ofDatabase, isExempt } = this.#limits;
    if (isExempt(client.user) || (ofUser(client.user) === 0 && ofDatabase(client.database) === 0)) {
      entered(undefined);
      return nothingToLeave;
    }
    // What is returned lives as long as the session: it must not keep who has waited.
    let waiter: ((refusal: Refusal | undefined) => void) | undefined = entered;
    const tell = (refusal: Refusal | undefined): void => {
      const told = waiter;
      waiter = undefined;
      told?.(refusal);
    };
    const { clock } = this.#runtime;
    const waiting: WaitingClient = { ...client, sinceMs: clock.monotonicMs() };
    let isOver = false;
    let timer: NodeJS.Timeout | undefined;
    const stopWaiting = (): void => {
      isOver = true;
      clearTimeout(timer);
      if (!this.#waiting.delete(waiting)) return;
      const ms = clock.monotonicMs() - waiting.sinceMs;
      this.#waitedMs.set(client.database, this.waitedMs(client.database) + ms);
      this.#runtime.metrics.observe('scratchbird_gateway_connection_wait_seconds', {}, ms / 1000);
      this.#countWaiting();
    };
    const leave = this.#slots.request({ user: client.user, database: client.database }, (granted) => {
      if (isOver) return;
      stopWaiting();
      tell(granted ? undefined : { fields: this.#full(client), reason: 'queue_full' });
    });
    if (!isOver) {
      this.#waiting.add(waiting);
      this.#countWaiting();
      timer = setTimeout(() => {
        stopWaiting();
        leave();
        tell({ fields: this.#timedOut(client), reason: 'queue_timeout' });
      }, Math.max(LEAST_WAIT_MS, this.#waitMs));
    }
    return () => {
      stopWaiting();
      leave();
    };
  }

  #countWaiting(): void {
    this.#runtime.metrics.gauge('scratchbird_gateway_connections_waiting', {}, this.#waiting.size);
  }

  #full(pool: Pool): ErrorFields {
    const { maxWaiting } = this.#limits;
    return errorFieldsOf(new MigrationError('MIG085', `too many connections for user "${pool.user}" of database "${pool.database}"`, {
      detail: `${this.#cause(pool)} ${maxWaiting === 0 ? 'Clients over it do not wait.' : `${maxWaiting} clients wait already (limits.max_waiting_clients).`}`, hint: nextStep,
    }), 'FATAL');
  }

  #timedOut(pool: Pool): ErrorFields {
    return errorFieldsOf(new MigrationError('MIG085', `no place for user "${pool.user}" of database "${pool.database}" became free in ${this.#waitMs} ms`, { detail: `${this.#cause(pool)} The wait is timeouts.connection_wait_ms.`, hint: nextStep }), 'FATAL');
  }

  #cause({ user, database }: Pool): string {
    const ofUser = this.#limits.ofUser(user);
    const ofDatabase = this.#limits.ofDatabase(database);
    const limits = [...(ofUser === 0 ? [] : [`its user (max_user_connections) is ${ofUser}`]), ...(ofDatabase === 0 ? [] : [`its database (max_db_connections) is ${ofDatabase}`])];
    return `The limit of ${limits.join(', that of ')}.`;
  }
}

const nothingToLeave = (): void => undefined;
const nextStep = 'End sessions that are not needed (an operator sees them with SHOW POOLS and SHOW CLIENTS), raise the limit, or connect later.';
