/** Ends the wait of a session that is part of a deadlock over both sides (RULES 22): its statement is cancelled, and the client gets what a server says of a deadlock. */
import { writeError } from '../wire/error-fields.ts';
import type { SessionCore } from './session-core.ts';

/** False when it waits for nothing any more. */
export function breakDeadlock(core: SessionCore): boolean {
  if (core.tx?.sides.length !== 2) return false;
  for (const leg of [core.home, core.local]) {
    const segment = leg?.segments[0];
    if (!leg || !segment || segment.internal) continue;
    segment.replaceError = writeError({
      severity: 'ERROR', sqlstate: '40P01', message: 'deadlock detected', detail: 'Its locks are on the source and on local; neither database sees all of it.', hint: 'Run the transaction again.',
    });
    // What it answers is passed on when the cancel can meet nothing any more: one that comes too late would meet the session's next statement.
    leg.hold();
    leg.cancel(() => leg.release());
    core.services.runtime.metrics.count('scratchbird_gateway_serialization_failures_total', { cause: 'deadlock' });
    return true;
  }
  return false;
}
