/**
 * The connections of one user to one database of one side, lent to sessions for as long as they have something open (`pool_mode` transaction and
 * pipeline). All that a server was told at its start has to be the same for who shares a connection, so the connections of a pool are in groups,
 * by the clients' start-up parameters; the pool's size is for all groups together.
 *
 * A connection: opening → lent ⇄ idle → closed. A borrower: waiting (first come, first served) → served, or refused after `waitMs`.
 */
import type { Runtime } from '../../../config/runtime.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { connectServer } from '../../wire/connect-server.ts';
import type { LoginOutcome } from '../../wire/connect-server.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import { Backend } from '../backend.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { BackendLender, Borrower } from '../leg-connection.ts';
import type { LegTarget } from '../leg-target.ts';

export interface PoolLimits {
  /** Connections of one user to one database of one side, in this process. */
  readonly size: number;
  /** Longest wait for one of them. */
  readonly waitMs: number;
  /** One that nobody wants for so long is closed. */
  readonly idleMs: number;
  /** An older one is closed when it comes back. */
  readonly lifetimeMs: number;
  /** One that has more prepared statements is closed when it comes back: a server never forgets them by itself. */
  readonly preparedStatements: number;
  readonly connectTimeoutMs: number;
}

interface Member {
  readonly backend: Backend;
  readonly group: PoolGroup;
  idleSinceMs: number;
}

interface Waiter {
  readonly borrower: Borrower;
  readonly group: PoolGroup;
  readonly sinceMs: number;
  readonly timer: NodeJS.Timeout;
}

const RETRY_MS = 250;
const LOOK_EVERY_MS = 1_000;
const MOST_GROUPS = 1_000;
/** Starting up or shutting down, out of connections or of memory, not to be reached: it may be better in a moment. */
const passing = /^(?:08|53|57P0)/;

export class BackendPool {
  readonly target: LegTarget;
  readonly #runtime: Runtime;
  readonly #limits: PoolLimits;
  readonly #buffers: LargeBuffers;
  readonly #groups = new Map<string, PoolGroup>();
  readonly #members = new Map<Backend, Member>();
  /** Idle ones, the last used last. */
  readonly #idle: Member[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #aborts = new Set<() => void>();
  #opening = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Why the last connection could not be opened; undefined once one could. */
  #away: ErrorFields | undefined;
  #closed = false;

  constructor(runtime: Runtime, target: LegTarget, limits: PoolLimits, buffers: LargeBuffers) {
    this.#runtime = runtime;
    this.target = target;
    this.#limits = limits;
    this.#buffers = buffers;
    this.#timer = setInterval(() => this.#closeIdle(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Those whose clients have told the same at their start. */
  group(startup: ReadonlyMap<string, string>): PoolGroup {
    const name = [...startup].toSorted(([left], [right]) => (left < right ? -1 : 1)).map((pair) => pair.join('=')).join('\0');
    let group = this.#groups.get(name);
    if (!group) this.#groups.set(name, (group = new PoolGroup(this, startup)));
    return group;
  }

  get longestWaitMs(): number {
    const first = this.#waiting[0];
    return first ? this.#now() - first.sinceMs : 0;
  }

  get counts(): { readonly open: number; readonly idle: number; readonly waiting: number; readonly longestWaitMs: number } {
    return { open: this.#members.size, idle: this.#idle.length, waiting: this.#waiting.length, longestWaitMs: this.longestWaitMs };
  }

  take(group: PoolGroup, borrower: Borrower): Backend | undefined {
    // Who came before and wants the same is served before.
    const member = this.#waiting.every((each) => each.group !== group) ? this.#idleOf(group, borrower.settings) : undefined;
    if (member) return member.backend;
    const timer = setTimeout(() => this.#refuse(waiter, this.#away ?? this.#tooLong()), this.#limits.waitMs);
    const waiter: Waiter = { borrower, group, sinceMs: this.#now(), timer };
    this.#waiting.push(waiter);
    // Later: the borrower has to know that it waits before it is served.
    queueMicrotask(() => this.#serve());
    return undefined;
  }

  forget(borrower: Borrower): void {
    const index = this.#waiting.findIndex((each) => each.borrower === borrower);
    const [waiter] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (waiter) clearTimeout(waiter.timer);
  }

  give(backend: Backend): void {
    const member = this.#members.get(backend);
    if (!member) return;
    const nowMs = this.#now();
    if (this.#closed || backend.wasCancelled || nowMs - backend.openedAtMs > this.#limits.lifetimeMs || backend.prepared.size > this.#limits.preparedStatements) {
      backend.end();
      return;
    }
    member.idleSinceMs = nowMs;
    this.#idle.push(member);
    if (this.#waiting.length > 0) this.#serve();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    for (const abort of this.#aborts) abort();
    for (const { timer } of this.#waiting.splice(0)) clearTimeout(timer);
    for (const backend of [...this.#members.keys()]) backend.end();
  }

  #now(): number {
    return this.#runtime.clock.monotonicMs();
  }

  /** The one used last among those with these settings, else among all of the group. */
  #idleOf(group: PoolGroup, settings: string): Member | undefined {
    let found = -1;
    for (let index = this.#idle.length - 1; index >= 0; index -= 1) {
      const member = this.#idle[index];
      if (member?.group !== group) continue;
      if (found < 0) found = index;
      if (member.backend.settings !== settings) continue;
      found = index;
      break;
    }
    return found < 0 ? undefined : this.#idle.splice(found, 1)[0];
  }

  /** Serves those that wait, in their order, and opens connections for them as far as there is room. */
  #serve(): void {
    if (this.#closed) return;
    let wanted = 0;
    for (let index = 0; index < this.#waiting.length;) {
      const waiter = this.#waiting[index];
      const member = waiter && this.#idleOf(waiter.group, waiter.borrower.settings);
      if (waiter && member) {
        this.#waiting.splice(index, 1);
        clearTimeout(waiter.timer);
        waiter.borrower.lent(member.backend);
        // Anything may have happened meanwhile.
        index = 0;
        wanted = 0;
      } else {
        index += 1;
        wanted += 1;
      }
    }
    for (const waiter of this.#waiting) {
      if (wanted <= this.#opening || this.#retry) return;
      // One of another group has to go for it.
      if (this.#members.size + this.#opening >= this.#limits.size) {
        const spare = this.#idle.shift();
        if (!spare) return;
        spare.backend.end();
      }
      if (waiter.group.opening < this.#waiting.filter(({ group }) => group === waiter.group).length) this.#open(waiter.group);
    }
  }

  #open(group: PoolGroup): void {
    this.#opening += 1;
    group.opening += 1;
    const abort = connectServer(this.target, new Map([['database', this.target.database], ...group.startup]), this.#limits.connectTimeoutMs, (outcome) => {
      this.#aborts.delete(abort);
      this.#opening -= 1;
      group.opening -= 1;
      if (outcome.ok) this.#opened(group, outcome);
      else this.#failed(group, outcome);
    }, this.#buffers);
    this.#aborts.add(abort);
  }

  #opened(group: PoolGroup, outcome: Extract<LoginOutcome, { ok: true }>): void {
    const backend = new Backend(this.target, outcome, this.#now());
    if (this.#closed) return backend.end();
    this.#away = undefined;
    group.loggedIn(outcome.answer);
    const member: Member = { backend, group, idleSinceMs: this.#now() };
    this.#members.set(backend, member);
    backend.use(undefined, () => this.#lost(member));
    this.#idle.push(member);
    this.#serve();
  }

  /** What will not be better in a moment is told to everybody who waits for the same; else it is tried until their time is over. */
  #failed(group: PoolGroup, outcome: Extract<LoginOutcome, { ok: false }>): void {
    if (this.#closed) return;
    this.#runtime.log.warn('pool: a connection could not be opened', { user: this.target.user, database: this.target.database, host: this.target.host, reason: outcome.reason });
    const willPass = passing.test(outcome.sqlstate);
    const fields = refusalOf(outcome);
    // Who has waited for nothing else keeps his session.
    this.#away = { ...fields, severity: 'ERROR' };
    for (const waiter of this.#waiting.filter((each) => each.group === group && (!willPass || each.borrower.isLoggingIn))) this.#refuse(waiter, fields);
    if (!willPass) return this.#serve();
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#serve();
    }, RETRY_MS);
  }

  #lost(member: Member): void {
    this.#members.delete(member.backend);
    const index = this.#idle.indexOf(member);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!this.#closed && this.#waiting.length > 0) queueMicrotask(() => this.#serve());
  }

  #refuse(waiter: Waiter, fields: ErrorFields): void {
    const index = this.#waiting.indexOf(waiter);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    clearTimeout(waiter.timer);
    waiter.borrower.refused(fields);
  }

  #tooLong(): ErrorFields {
    return errorFieldsOf(new MigrationError('MIG085', 'no connection of the pool became free', {
      detail: `The pool of "${this.target.user}" on "${this.target.database}" has ${this.#limits.size} connections in this process (pool.size), all in use; waited ${this.#limits.waitMs} ms (pool.wait_ms).`,
      hint: 'Shorten transactions, or raise pool.size.',
    }));
  }

  #closeIdle(): void {
    const nowMs = this.#now();
    // Clients may tell what they like: who is still connected keeps his group, a new one gets a new one.
    if (this.#groups.size > MOST_GROUPS) this.#groups.clear();
    for (const { backend, idleSinceMs } of [...this.#idle]) if (nowMs - idleSinceMs >= this.#limits.idleMs || nowMs - backend.openedAtMs > this.#limits.lifetimeMs) backend.end();
  }
}

export class PoolGroup implements BackendLender {
  readonly target: LegTarget;
  readonly startup: ReadonlyMap<string, string>;
  readonly #pool: BackendPool;
  /** Connections being opened for it. */
  opening = 0;
  #greeting: Buffer | undefined;

  constructor(pool: BackendPool, startup: ReadonlyMap<string, string>) {
    this.#pool = pool;
    this.target = pool.target;
    this.startup = startup;
  }

  isOf(pool: BackendPool): boolean {
    return this.#pool === pool;
  }

  /** Of whoever waits for a connection of the pool. */
  get longestWaitMs(): number {
    return this.#pool.longestWaitMs;
  }

  /** The ParameterStatus messages with which the server has greeted the last one; undefined before the first. */
  get greeting(): Buffer | undefined {
    return this.#greeting;
  }

  loggedIn(answer: Buffer): void {
    this.#greeting = parametersIn(answer);
  }

  take(borrower: Borrower): Backend | undefined {
    return this.#pool.take(this, borrower);
  }

  forget(borrower: Borrower): void {
    this.#pool.forget(borrower);
  }

  give(backend: Backend): void {
    this.#pool.give(backend);
  }
}

/** The server's own words, when it has said any. */
function refusalOf({ error, reason, sqlstate }: Extract<LoginOutcome, { ok: false }>): ErrorFields {
  if (!error) return errorFieldsOf(new MigrationError('MIG001', undefined, { detail: reason }), 'FATAL');
  const told = readErrorFields(error, 0, error.length);
  return { severity: 'FATAL', sqlstate, message: reason, detail: told.get('D'), hint: told.get('H') };
}

const PARAMETER_STATUS = 0x53;

function parametersIn(answer: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= answer.length;) {
    const end = at + 1 + answer.readInt32BE(at + 1);
    if (answer[at] === PARAMETER_STATUS) parts.push(answer.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}
