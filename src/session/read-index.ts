/**
 * Before a read on local: what the session may have seen on the source must be there too (RULES 18). Asks for the source's position, then
 * waits until local shows it; past the bound the session reads the source until local has caught up.
 */
import { VisibilityWait } from '../execute/visibility-wait.ts';
import type { Verdict } from '../wire/framing.ts';
import type { SessionCore } from './session-core.ts';

export class ReadIndex {
  readonly #core: SessionCore;
  #wait: VisibilityWait | undefined;
  #startedAtMs: number | undefined;
  #isDone = false;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  start(): Verdict {
    const core = this.#core;
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = core.now();
      // What comes from the source from here on counts again.
      core.sourceSeen = false;
      core.notifiedBySource = false;
      core.trackPending = false;
      // Deferred: an answer at once must not find the session before it waits.
      queueMicrotask(() => core.services.sourcePosition.fetch((lsn) => this.#fetched(lsn)));
    }
    return core.wait('visible');
  }

  /** The same of these tables of the MySQL server. */
  startOnMysql(tables: readonly string[]): Verdict {
    const core = this.#core;
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = core.now();
      core.mysqlSeen = false;
      queueMicrotask(() => {
        if (!core.ended) this.#until((callback) => core.services.control.whenCaughtUp(tables, callback), () => (core.mysqlSeen = true));
      });
    }
    return core.wait('visible');
  }

  /** True for the statement that has just waited here, once. */
  takeDone(): boolean {
    const isDone = this.#isDone;
    this.#isDone = false;
    return isDone;
  }

  /** True when the session was waiting here. */
  giveUp(): boolean {
    this.#wait?.giveUp();
    return this.#startedAtMs !== undefined;
  }

  drop(): void {
    this.#wait?.drop();
  }

  #fetched(lsn: bigint | undefined): void {
    const core = this.#core;
    if (core.ended) return;
    if (lsn === undefined) {
      core.lagging = true;
      // Nothing says when local has caught up: the next read asks again.
      core.sourceSeen = true;
      setTimeout(() => (core.lagging = false), core.services.limits.visibilityWaitMs).unref();
      this.#done();
      return;
    }
    if (core.services.control.visibility.visibleLsn >= lsn) {
      this.#done();
      return;
    }
    this.#until((callback) => core.services.control.visibility.whenPositionVisible(lsn, callback), () => (core.sourceSeen = true));
  }

  /** `again`: the next read asks again. */
  #until(register: (callback: () => void) => () => void, again: () => void): void {
    const core = this.#core;
    this.#wait = new VisibilityWait(
      register,
      core.services.limits.visibilityWaitMs,
      (end) => {
        if (end === 'gave_up') {
          core.lagging = true;
          again();
        }
        this.#done();
      },
      () => (core.lagging = false),
    );
  }

  #done(): void {
    const core = this.#core;
    core.services.runtime.metrics.observe('scratchbird_gateway_read_wait_seconds', {}, (core.now() - (this.#startedAtMs ?? core.now())) / 1000);
    this.#startedAtMs = undefined;
    this.#isDone = true;
    core.proceed('visible');
    this.#isDone = false;
  }
}
