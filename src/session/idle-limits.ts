/**
 * Ends sessions that keep a connection, or a transaction with its locks, and send nothing. One look at all sessions now and then in place of
 * a timer for every message: a limit is kept to within an eighth of itself, and a second at most.
 *
 * The client's own `idle_in_transaction_session_timeout` and `idle_session_timeout` are the servers' business.
 */
import type { Runtime } from '../../config/runtime.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { Activity } from './session-parts.ts';
import type { GatewayLimits } from './services.ts';

export interface WatchedSession {
  readonly activity: Activity;
  readonly socket: { readonly bytesRead: number };
  fatal(fields: ErrorFields): void;
}

interface Seen {
  readonly activity: Activity;
  readonly bytesRead: number;
  readonly sinceMs: number;
}

/** In the servers' own words, which drivers and pools know. */
const idleInTransaction: ErrorFields = { severity: 'FATAL', sqlstate: '25P03', message: 'terminating connection due to idle-in-transaction timeout', detail: 'The gateway\'s limit is timeouts.idle_transaction_ms.' };
const idleSession: ErrorFields = { severity: 'FATAL', sqlstate: '57P05', message: 'terminating connection due to idle-session timeout', detail: 'The gateway\'s limit is timeouts.client_idle_ms.' };

const LEAST_PERIOD_MS = 20;
const MOST_PERIOD_MS = 1_000;

export class IdleLimits {
  readonly #runtime: Runtime;
  readonly #limits: Pick<GatewayLimits, 'clientIdleMs' | 'idleTransactionMs'>;
  readonly #sessions: () => Iterable<WatchedSession>;
  readonly #seen = new WeakMap<WatchedSession, Seen>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(runtime: Runtime, limits: Pick<GatewayLimits, 'clientIdleMs' | 'idleTransactionMs'>, sessions: () => Iterable<WatchedSession>) {
    this.#runtime = runtime;
    this.#limits = limits;
    this.#sessions = sessions;
    const set = [limits.clientIdleMs, limits.idleTransactionMs].filter((ms) => ms > 0);
    if (set.length === 0) return;
    this.#timer = setInterval(() => this.#look(), Math.min(MOST_PERIOD_MS, Math.max(LEAST_PERIOD_MS, Math.min(...set) / 8)));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = this.#runtime.clock.monotonicMs();
    for (const session of [...this.#sessions()]) {
      const limitMs = this.#limitOf(session.activity);
      if (limitMs > 0 && nowMs - this.#idleSince(session, nowMs) >= limitMs) this.#end(session);
    }
  }

  #limitOf(activity: Activity): number {
    if (activity === 'idle') return this.#limits.clientIdleMs;
    return activity === 'idle in transaction' ? this.#limits.idleTransactionMs : 0;
  }

  /** A client that has sent something since the last look was not idle all the time, even if it is now. */
  #idleSince(session: WatchedSession, nowMs: number): number {
    const { activity, socket: { bytesRead } } = session;
    const seen = this.#seen.get(session);
    if (seen?.activity === activity && seen.bytesRead === bytesRead) return seen.sinceMs;
    this.#seen.set(session, { activity, bytesRead, sinceMs: nowMs });
    return nowMs;
  }

  #end(session: WatchedSession): void {
    const isInTransaction = session.activity === 'idle in transaction';
    this.#runtime.metrics.count('scratchbird_gateway_sessions_ended_total', { reason: isInTransaction ? 'idle_transaction' : 'client_idle' });
    session.fatal(isInTransaction ? idleInTransaction : idleSession);
  }
}
