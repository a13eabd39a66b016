/**
 * What a session has set that changes results: settings, search path, role. Asked of the session's own connection when nothing is under way there, once
 * after each change of them; sessions that have changed nothing since they began are alike when they began alike.
 */
import type { InternalReply } from '../../execute/segment.ts';
import { stateQueryWith } from '../session-state.ts';
import type { SessionState } from './shadow-connection.ts';
import type { ShadowedSession } from './shadow-port.ts';

type Callback = (state: SessionState | undefined) => void;

interface Known {
  readonly version: number;
  readonly askedAtMs: number;
  readonly state: SessionState | undefined;
  /** Those that wait for it while it is asked. */
  readonly waiting: Callback[] | undefined;
}

/** A session whose settings change all the time is not asked for them more often. */
const ASK_EVERY_MS = 1_000;
const MAX_WAITING = 20;
/** `stateVersion` of a session that has changed nothing. */
const FRESH = 1;
/** For so long it is believed that a role's and a database's own settings are what they were. */
const FRESH_MS = 60_000;
const MAX_FRESH = 100;

export class SessionStates {
  readonly #now: () => number;
  readonly #known = new WeakMap<ShadowedSession, Known>();
  /** By login and start-up parameters. */
  readonly #fresh = new Map<string, { readonly state: SessionState; readonly untilMs: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Calls back with undefined when it cannot be had now; not at all when the session ends before it answers. */
  of(session: ShadowedSession, done: Callback): void {
    const version = session.stateVersion;
    const last = this.#known.get(session);
    const known = last?.version === version ? last : undefined;
    const state = known?.state ?? (version === FRESH ? this.#freshState(session) : undefined);
    if (state) done(state);
    else if (known?.waiting && known.waiting.length < MAX_WAITING) known.waiting.push(done);
    else if (session.ended || session.activity !== 'idle' || (last && this.#now() - last.askedAtMs < ASK_EVERY_MS)) done(undefined);
    else this.#ask(session, version, done);
  }

  #ask(session: ShadowedSession, version: number, done: Callback): void {
    const askedAtMs = this.#now();
    const waiting = [done];
    this.#known.set(session, { version, askedAtMs, state: undefined, waiting });
    session.ask(session.home, stateQueryWith(session.customSettings, session.home.target.user), (reply) => {
      const state = stateOf(reply);
      this.#known.set(session, { version, askedAtMs, state, waiting: undefined });
      if (version === FRESH && state) this.#keepFresh(session, state);
      for (const each of waiting) each(state);
    });
  }

  #freshState(session: ShadowedSession): SessionState | undefined {
    const found = this.#fresh.get(beginningOf(session));
    return found && this.#now() < found.untilMs ? found.state : undefined;
  }

  #keepFresh(session: ShadowedSession, state: SessionState): void {
    if (this.#fresh.size >= MAX_FRESH) this.#fresh.clear();
    this.#fresh.set(beginningOf(session), { state, untilMs: this.#now() + FRESH_MS });
  }
}

function beginningOf({ identity: { user, database, startup } }: ShadowedSession): string {
  return JSON.stringify([user, database, ...[...startup].filter(([name]) => name !== 'application_name')]);
}

/** Its LISTENs, which have no name, and what the connection is called are left out. */
function stateOf({ rows, error }: InternalReply): SessionState | undefined {
  if (error) return undefined;
  const settings = rows.filter(([name]) => name !== null && name !== "'application_name'");
  // Once set on a connection they are there for good, if only empty.
  const custom = settings.flatMap(([name]) => (name?.includes('.') ? [name] : [])).sort().join();
  return { key: JSON.stringify(settings), rows: settings, custom };
}
