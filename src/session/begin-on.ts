/** A client's block on the leg that it has come to. */
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';

/** Nothing is done without a block, or where it has begun. */
export function beginOn(core: SessionCore, leg: Leg): void {
  const { tx } = core;
  if (!tx || tx.begun[leg.side]) return;
  tx.begun[leg.side] = true;
  core.ask(leg, tx.replaySql, (reply) => {
    if (reply.error && core.tx === tx) tx.failedOn = 'gateway';
  });
}
