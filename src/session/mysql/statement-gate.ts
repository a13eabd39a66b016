/** Where a session's statement goes, and the wait of one that a barrier holds up: it is decided again whenever the routing has changed, up to a limit. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { parkedTooLong } from '../client-error.ts';
import { gaveWay, mysqlErrorOf, mysqlErrorWith } from './control-result.ts';
import type { MysqlDoorHost } from './door-host.ts';
import type { MysqlDecision } from './mysql-decision.ts';
import type { OpenUnit } from './open-unit.ts';

export interface GatedSession {
  readonly isInTransaction: boolean;
  readonly unit: OpenUnit;
  fail(error: MysqlError, sequence: number): void;
  /** The statement that has waited is answered. */
  next(): void;
  /** Ends the open transaction at the source; `done` when it has. */
  rollBack(done: () => void): void;
}

interface Waiting {
  readonly touches: readonly string[];
  readonly sinceMs: number;
  readonly sequence: number;
  readonly timer: NodeJS.Timeout;
  /** False while the barrier is on. */
  readonly attempt: () => boolean;
}

export class StatementGate {
  readonly #host: MysqlDoorHost;
  readonly #session: GatedSession;
  #waiting: Waiting | undefined;

  constructor(host: MysqlDoorHost, session: GatedSession) {
    this.#host = host;
    this.#session = session;
  }

  /** Tables that a statement waits for. */
  get touches(): readonly string[] {
    return this.#waiting?.touches ?? [];
  }

  get parkedForMs(): number | undefined {
    return this.#waiting && this.#now() - this.#waiting.sinceMs;
  }

  #now(): number {
    return this.#host.services.runtime.clock.monotonicMs();
  }

  /** Undefined: no table migrates. */
  decide(text: string): MysqlDecision | undefined {
    const { unit, isInTransaction } = this.#session;
    const { leaseValid } = this.#host.services.control;
    const decision = this.#host.decide(text, { holdsLocks: unit.holdsLocks, leaseValid, hasTouched: (table) => unit.hasTouched(table) });
    if (decision?.route !== 'remote' || !isInTransaction) return decision;
    // What a transaction sees may be as old as its beginning: of then the source has not all rows of a table that was local's.
    const back = decision.touches.find((key) => unit.first?.tables[key]?.writes === 'local');
    return back === undefined ? decision : { route: 'refused', error: new MigrationError('MIG083', `table "${back}" has come back to the source since the transaction began`) };
  }

  /** Runs `go` now or when a barrier is over, or answers why not. Returns true when the statement is answered. */
  run(text: string, sequence: number, go: () => boolean): boolean {
    const decision = this.decide(text);
    if (decision?.route === 'wait') {
      this.#wait(decision.touches, text, sequence, go);
      return false;
    }
    return this.#carryOut(decision, text, sequence, go);
  }

  #carryOut(decision: Exclude<MysqlDecision, { route: 'wait' }> | undefined, text: string, sequence: number, go: () => boolean): boolean {
    if (decision?.route === 'refused' || decision?.route === 'local') {
      const error = decision.route === 'refused' ? decision.error : new MigrationError('MIG082', 'the statement belongs on local, where a MySQL client\'s session has no connection');
      this.#session.fail(mysqlErrorOf(error), sequence);
      return true;
    }
    this.#session.unit.begins(decision?.touches, this.#host.snapshot, text);
    return go();
  }

  #wait(touches: readonly string[], text: string, sequence: number, go: () => boolean): void {
    const { limits: { parkLimitMs }, runtime } = this.#host.services;
    const attempt = (): boolean => {
      const decision = this.decide(text);
      if (decision?.route === 'wait') return false;
      this.#left();
      if (this.#carryOut(decision, text, sequence, go)) this.#session.next();
      return true;
    };
    const timer = setTimeout(() => this.#giveUp(parkedTooLong(parkLimitMs)), parkLimitMs);
    this.#waiting = { touches, sinceMs: this.#now(), sequence, timer, attempt };
    runtime.metrics.count('scratchbird_gateway_parked_total', {});
    this.#host.unitChanged();
  }

  /** The newest snapshot is another one, or the lease has come or gone. */
  routingChanged(): void {
    this.#waiting?.attempt();
  }

  #giveUp(fields: ErrorFields): void {
    const waiting = this.#left();
    if (!waiting) return;
    this.#session.fail(mysqlErrorWith(fields), waiting.sequence);
    this.#session.next();
  }

  /**
   * Gives a parked transaction up for one that it blocks (RULES 21), as a deadlock is: rolled back, and to be run again. A statement outside of one
   * holds nothing and goes on waiting.
   */
  failParked(): boolean {
    if (!this.#waiting || !this.#session.isInTransaction) return false;
    const waiting = this.#left();
    this.#host.services.runtime.metrics.count('scratchbird_gateway_serialization_failures_total', { cause: 'barrier' });
    this.#session.rollBack(() => {
      this.#session.fail(gaveWay(), waiting?.sequence ?? 0);
      this.#session.next();
    });
    return true;
  }

  /** The session is over. */
  cancel(): void {
    this.#left();
  }

  #left(): Waiting | undefined {
    const waiting = this.#waiting;
    if (!waiting) return undefined;
    clearTimeout(waiting.timer);
    this.#waiting = undefined;
    const { tables } = this.#host.snapshot;
    const operation = waiting.touches.some((key) => tables[key]?.quiescing === true && tables[key].writes === 'local') ? 'rollback' : 'cutover';
    this.#host.services.runtime.metrics.observe('scratchbird_gateway_barrier_wait_seconds', { operation }, (this.#now() - waiting.sinceMs) / 1000);
    this.#host.unitChanged();
    return waiting;
  }
}
