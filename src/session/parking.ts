/** A session that waits for a barrier. Its bytes stay where they are; the next snapshot decides anew. */

import type { Verdict } from '../wire/framing.ts';
import { parkedTooLong, statementTimedOut } from './client-error.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { SessionCore } from './session-core.ts';

/** The sessions of a gateway that are parked now. */
export interface ParkingLot {
  entered(parking: Parking): void;
  left(parking: Parking): void;
}

export class Parking {
  readonly core: SessionCore;
  readonly #lot: ParkingLot;
  readonly #fail: (fields: ErrorFields) => void;
  #since: number | undefined;
  #operation = 'cutover';
  #timer: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  touches: readonly string[] = [];

  constructor(core: SessionCore, lot: ParkingLot, fail: (fields: ErrorFields) => void) {
    this.core = core;
    this.#lot = lot;
    this.#fail = fail;
  }

  get parkedSinceMs(): number | undefined {
    return this.#since;
  }

  park(touches: readonly string[]): Verdict {
    this.touches = touches;
    if (this.#since === undefined) {
      this.#since = this.core.now();
      this.#operation = this.#isFromLocal(touches) ? 'rollback' : 'cutover';
      this.#lot.entered(this);
      this.#limit = setTimeout(() => this.#fail(parkedTooLong(this.core.services.limits.parkLimitMs)), this.core.services.limits.parkLimitMs);
      this.#watchTimeout();
    }
    return this.core.wait('park');
  }

  /** The unit goes on, or has ended. */
  unpark(): void {
    if (this.#since === undefined) return;
    this.core.services.runtime.metrics.observe('scratchbird_gateway_barrier_wait_seconds', { operation: this.#operation }, (this.core.now() - this.#since) / 1000);
    this.#since = undefined;
    clearTimeout(this.#timer);
    clearTimeout(this.#limit);
    this.#lot.left(this);
  }

  /** A barrier over a table that is written on local is a rollback's. */
  #isFromLocal(touches: readonly string[]): boolean {
    const { tables } = this.core.services.view().snapshot;
    return touches.some((table) => tables[table]?.quiescing === true && tables[table].writes === 'local');
  }

  /** The client's statement_timeout counts while it is parked. Asked for only now, and only when the home leg can be asked. */
  #watchTimeout(): void {
    const { core } = this;
    const since = this.#since;
    if (core.unit.segment || !core.home.idle || core.home.status === 'E') return;
    core.ask(core.home, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'", (reply) => {
      const ms = Number(reply.rows[0]?.[0] ?? 0);
      if (!(ms > 0) || this.#since === undefined || this.#since !== since) return;
      this.#timer = setTimeout(() => this.#fail(statementTimedOut), Math.max(0, ms - (core.now() - this.#since)));
    });
  }
}

