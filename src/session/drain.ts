/**
 * The end of a gateway's sessions, in order: who has nothing open is told at once (57P01), who has is told when his transaction is over, and
 * at the limit the rest. A COMMIT that has been sent is never cancelled: its server is left to finish it, and the client's answer is
 * waited for a little longer.
 *
 * States: draining (idle sessions end as they become idle) → finishing (only COMMITs under way are left) → over.
 */
import type { Runtime } from '../../config/runtime.ts';
import type { Activity } from './session-parts.ts';

export interface DrainedSession {
  readonly activity: Activity;
  /** Part of a message has come. */
  readonly isReceiving: boolean;
  /** A COMMIT is on its way to a server, or its answer on the way back. */
  readonly isCommitting: boolean;
  /** A commit that only waits until local shows it is answered now. */
  giveUpCommitWait(): boolean;
  shutDown(): void;
}

export interface DrainOptions {
  readonly sessions: () => Iterable<DrainedSession>;
  readonly onUnitEnded: (listener: () => void) => () => void;
  readonly limitMs: number;
  /** Aborted: everything ends now. */
  readonly hurry: AbortSignal;
}

/** Sessions whose end no event tells of. */
const LOOK_EVERY_MS = 20;
/** After the limit, for COMMITs under way. */
export const COMMIT_GRACE_MS = 2_000;

export async function drain(runtime: Runtime, options: DrainOptions): Promise<void> {
  // What has reached this machine by now is read first: a client that has sent its transaction whole is not idle.
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  await until(options, options.limitMs, () => {
    for (const session of [...options.sessions()]) if (session.activity === 'idle' && !session.isReceiving) end(runtime, session, 'drained');
    return isEmpty(options.sessions());
  });
  if (isEmpty(options.sessions()) || options.hurry.aborted) return;
  for (const session of [...options.sessions()]) if (!session.isCommitting) end(runtime, session, 'drain_timeout');
  await until(options, COMMIT_GRACE_MS, () => {
    for (const session of [...options.sessions()]) {
      if (session.activity !== 'idle') session.giveUpCommitWait();
      if (!session.isCommitting) end(runtime, session, 'drained');
    }
    return isEmpty(options.sessions());
  });
}

function end(runtime: Runtime, session: DrainedSession, reason: 'drained' | 'drain_timeout'): void {
  runtime.metrics.count('scratchbird_gateway_sessions_ended_total', { reason });
  session.shutDown();
}

function isEmpty(sessions: Iterable<DrainedSession>): boolean {
  for (const _ of sessions) return false;
  return true;
}

/** Looks whenever a unit has ended, and now and then, until `look` is true, the time is over, or somebody is in a hurry. */
function until({ onUnitEnded, hurry }: DrainOptions, limitMs: number, look: () => boolean): Promise<void> {
  if (hurry.aborted || look()) return Promise.resolve();
  return new Promise((resolve) => {
    const over = (): void => {
      unsubscribe();
      clearInterval(often);
      clearTimeout(limit);
      hurry.removeEventListener('abort', over);
      resolve();
    };
    const again = (): void => {
      if (look()) over();
    };
    const unsubscribe = onUnitEnded(again);
    const often = setInterval(again, LOOK_EVERY_MS);
    const limit = setTimeout(over, limitMs);
    hurry.addEventListener('abort', over, { once: true });
  });
}
