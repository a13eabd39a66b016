/**
 * Holds back what tells a MySQL client of a commit until local shows it (`dual_write_mode 'sync'`): the bytes stay as they came. Past the bound, when the gateway
 * stops, or when nobody reads these tables on local any more, they pass: the server has committed.
 */
import { VisibilityWait } from '../../execute/visibility-wait.ts';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { AnswerTracker } from '../../wire/mysql/answer-tracker.ts';
import { ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { MysqlServices } from './door-host.ts';
import type { AnswerHold } from './mysql-leg.ts';
import type { OpenUnit } from './open-unit.ts';

export class CommitHold implements AnswerHold {
  readonly #services: MysqlServices;
  readonly #unit: OpenUnit;
  #wait: VisibilityWait | undefined;
  #tables: readonly string[] = [];

  constructor(services: MysqlServices, unit: OpenUnit) {
    this.#services = services;
    this.#unit = unit;
  }

  get isWaiting(): boolean {
    return this.#wait !== undefined;
  }

  holdsBack({ isComplete, errorCode, status }: AnswerTracker): boolean {
    return this.#unit.mayTellOfCommit(isComplete, errorCode !== 0, (status & ServerStatus.inTransaction) !== 0);
  }

  start(release: () => void): void {
    const { control, limits, runtime: { clock, metrics } } = this.#services;
    const startedAtMs = clock.monotonicMs();
    const tables = (this.#tables = [...this.#unit.waitedFor]);
    let wait: VisibilityWait | undefined;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      metrics.observe('scratchbird_gateway_commit_wait_seconds', {}, (clock.monotonicMs() - startedAtMs) / 1000);
      // Nobody waits for what local shows later: these clients read on the server.
      wait?.drop();
      this.#wait = undefined;
      if (wait) release();
      else queueMicrotask(release);
    };
    wait = new VisibilityWait((callback) => control.whenCaughtUp(tables, callback), limits.visibilityWaitMs, end, () => undefined);
    if (!isOver) this.#wait = wait;
  }

  /** True when something was waiting. */
  giveUp(): boolean {
    const wait = this.#wait;
    wait?.giveUp();
    return wait !== undefined;
  }

  routingChanged({ tables }: RoutingSnapshot): void {
    if (this.#wait && this.#tables.every((table) => tables[table]?.waitVisible !== true)) this.#wait.release();
  }

  drop(): void {
    this.#wait?.drop();
    this.#wait = undefined;
  }
}
