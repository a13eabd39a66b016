/**
 * Holds the answer of a commit back until local shows it (RULES 19). Every leg has finished before the wait begins (RULES 22).
 * Past the bound, or when the client cancels, the commit is answered with a WARNING and the session reads the source until local has caught up.
 */
import { streamTransactionId } from '../execute/stream-transaction-id.ts';
import { VisibilityWait } from '../execute/visibility-wait.ts';
import type { AfterWrite } from '../route/route.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { SessionCore } from './session-core.ts';

const notYetVisible: ErrorFields = {
  severity: 'WARNING', sqlstate: '01000', message: 'the transaction has committed, but local does not show it yet',
  detail: 'Waiting for it was given up.', hint: 'This session reads the source until local has caught up.',
};

interface Waiting {
  readonly touches: readonly string[];
  readonly wait: VisibilityWait;
}

export class CommitWait {
  readonly #core: SessionCore;
  readonly #waiting = new Set<Waiting>();
  /** Given up, and still to be called when local has caught up. */
  readonly #late = new Set<VisibilityWait>();

  constructor(core: SessionCore) {
    this.#core = core;
  }

  get active(): boolean {
    return this.#waiting.size > 0;
  }

  /** `xid` is what the server told, undefined when it had assigned none. `done` may be called at once. */
  start(after: AfterWrite, xid: string | undefined, touches: readonly string[], done: () => void): void {
    if (after === 'xid' && xid !== undefined) {
      const id = streamTransactionId(xid);
      this.#until((callback) => this.#core.services.control.visibility.whenTransactionVisible(id, callback), touches, done);
    } else if (after === 'position') this.#afterPosition(touches, done);
    else done();
  }

  /** Of what was written on the MySQL server: these of its tables are waited for. */
  startOnMysql(touches: readonly string[], done: () => void): void {
    const core = this.#core;
    this.#until((callback) => core.services.control.whenCaughtUp(touches, callback), touches, done, () => (core.mysqlSeen = false));
  }

  /** True when something was waiting. */
  giveUp(): boolean {
    const active = this.active;
    for (const { wait } of [...this.#waiting]) wait.giveUp();
    return active;
  }

  /** The tables waited for are no longer read on local by anyone (RULES 12): there is nothing to wait for. */
  routingChanged(): void {
    const { tables } = this.#core.services.control.snapshot;
    for (const { touches, wait } of [...this.#waiting]) {
      if (touches.length > 0 && touches.every((table) => tables[table]?.waitVisible !== true)) wait.release();
    }
  }

  drop(): void {
    for (const { wait } of this.#waiting) wait.drop();
    for (const wait of this.#late) wait.drop();
    this.#waiting.clear();
    this.#late.clear();
  }

  #shownOfHome(): void {
    if (this.#core.home.idle) this.#core.sourceSeen = false;
  }

  #afterPosition(touches: readonly string[], done: () => void): void {
    const { home } = this.#core;
    this.#core.ask(home, 'SELECT pg_catalog.pg_current_wal_insert_lsn()::text', (reply) => {
      const lsn = parseLsn(reply.rows[0]?.[0]);
      if (lsn === undefined) done();
      else this.#until((callback) => this.#core.services.control.visibility.whenPositionVisible(lsn, callback), touches, done);
    });
  }

  /** `shown`: local shows this commit, and with it everything that the session has seen there before it. */
  #until(register: (callback: () => void) => () => void, touches: readonly string[], done: () => void, shown = (): void => this.#shownOfHome()): void {
    const core = this.#core;
    const startedAtMs = core.now();
    // The tracker may call back at once, before there is an entry.
    let entry: Waiting | undefined;
    let ended = false;
    const wait = new VisibilityWait(register, core.services.limits.visibilityWaitMs, (end) => {
      ended = true;
      if (entry) this.#waiting.delete(entry);
      core.services.runtime.metrics.observe('scratchbird_gateway_commit_wait_seconds', {}, (core.now() - startedAtMs) / 1000);
      if (end === 'gave_up') {
        core.lagging = true;
        if (entry) this.#late.add(entry.wait);
        core.notice(notYetVisible);
      }
      else if (core.tx === undefined) shown();
      done();
    }, () => {
      core.lagging = false;
      if (entry) this.#late.delete(entry.wait);
    });
    if (ended) return;
    entry = { touches, wait };
    this.#waiting.add(entry);
  }
}

/** `16/B374D848` → the 64-bit position. */
export function parseLsn(text: string | null | undefined): bigint | undefined {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text ?? '');
  return match ? (BigInt(`0x${match[1] ?? '0'}`) << 32n) | BigInt(`0x${match[2] ?? '0'}`) : undefined;
}
