/** Where a session's statement goes, and the wait of one that a barrier holds up: it is decided again whenever the routing has changed, up to a limit. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { parkedTooLong } from '../client-error.ts';
import { gaveWay, mysqlErrorOf, mysqlErrorWith } from './control-result.ts';
import type { MysqlDoorHost } from './door-host.ts';
import type { LocalSide } from '../mysql-local/local-side.ts';
import type { MysqlDecision } from './mysql-decision.ts';
import type { OpenUnit } from './open-unit.ts';

export interface GatedSession {
  readonly isInTransaction: boolean;
  readonly unit: OpenUnit;
  fail(error: MysqlError, sequence: number): void;
  /** The statement that has waited is answered. */
  next(): void;
  /** What runs statements on local, where there is such a thing. */
  readonly local: LocalSide | undefined;
  /** Ends the open transaction; `done` when it has. */
  rollBack(done: () => void): void;
}

/** Each returns true when the statement is answered, false when its answer is awaited. */
export interface Ways {
  /** To the MySQL server. */
  readonly server: () => boolean;
  readonly local: () => boolean;
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
    if (this.#host.isTrivial()) return undefined;
    const { unit, isInTransaction, local } = this.#session;
    const { leaseValid } = this.#host.services.control;
    const decision = this.#host.decide(text, { local, holdsLocks: unit.holdsLocks, leaseValid, hasTouched: (table) => unit.hasTouched(table) });
    if (decision?.route !== 'remote' || !isInTransaction) return decision;
    // What a transaction sees may be as old as the first that it has done: of then the source has not all rows of a table that was local's.
    const back = decision.touches.find((key) => unit.seenUnder?.tables[key]?.writes === 'local' && this.#host.snapshot.tables[key]?.writes !== 'local');
    return back === undefined ? decision : { route: 'refused', error: new MigrationError('MIG083', `table "${back}" has come back to the source since the transaction began`) };
  }

  /** Goes one of the ways now or when a barrier is over, or answers why not. Returns true when the statement is answered. `isAside`: it is not carried out. */
  run(text: string, sequence: number, ways: Ways, isAside = false): boolean {
    const decision = this.decide(text);
    if (decision?.route === 'wait') {
      this.#wait(decision.touches, text, sequence, ways, isAside);
      return false;
    }
    return this.#carryOut(decision, text, sequence, ways, isAside);
  }

  #carryOut(decision: Exclude<MysqlDecision, { route: 'wait' }> | undefined, text: string, sequence: number, ways: Ways, isAside: boolean): boolean {
    const { local, unit, isInTransaction } = this.#session;
    if (decision?.route === 'refused') return this.#refuse(decision.error, sequence);
    if (decision?.route === 'ask') {
      local?.learn(() => {
        if (this.run(text, sequence, ways, isAside)) this.#session.next();
      });
      return false;
    }
    unit.begins(decision?.touches, this.#host.snapshot, text, !isAside && decision?.route === 'remote' && decision.waits);
    if (decision?.route === 'local') return ways.local();
    // While nothing migrates nothing is on local, but what has been begun there.
    if (!local || isAside || (!decision && !local.isInTransaction)) return ways.server();
    const isAnswered = local.beforeServer(text, sequence, ways.server);
    if (isAnswered && !isInTransaction) unit.settle();
    return isAnswered;
  }

  /** What is to be run again has been rolled back when the client hears of it. */
  #refuse(error: MigrationError, sequence: number): boolean {
    if (error.code !== 'MIG083') {
      this.#session.fail(mysqlErrorOf(error), sequence);
      return true;
    }
    this.#session.rollBack(() => {
      this.#session.fail({ ...mysqlErrorOf(error), code: ErrorCode.deadlock }, sequence);
      this.#session.next();
    });
    return false;
  }

  #wait(touches: readonly string[], text: string, sequence: number, ways: Ways, isAside: boolean): void {
    const { limits: { parkLimitMs }, runtime } = this.#host.services;
    const attempt = (): boolean => {
      const decision = this.decide(text);
      if (decision?.route === 'wait') return false;
      this.#left();
      if (this.#carryOut(decision, text, sequence, ways, isAside)) this.#session.next();
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
