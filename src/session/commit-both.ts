/**
 * COMMIT of a block that has written on both sides (RULES 23): prepare one side, commit the other together with the decision, commit the
 * prepared one. Whatever ends in the middle of it is finished by the control (`cdc/postgres/decisions.ts`), which rolls back what
 * was not decided.
 *
 * Between the last two steps a reader may see what the deciding side has committed and not yet what the other will.
 */
import { randomBytes } from 'node:crypto';
import type { Side, TwoPhase } from '../../catalog/routing-snapshot.ts';
import type { InternalReply } from '../execute/segment.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';

export type CommitOutcome =
  /** `late`: it is decided, and the prepared side will follow. */
  | { readonly type: 'committed'; readonly late: boolean }
  /** `unpreparable`: the side that was to be prepared refuses that. */
  | { readonly type: 'failed'; readonly reply: InternalReply; readonly unpreparable: Side | undefined };

export const committedLate: ErrorFields = {
  severity: 'WARNING', sqlstate: '01000', message: 'the transaction has committed, but one side does not show it yet',
  detail: 'Its prepared part could not be committed at once.', hint: 'The gateway commits it within seconds; its log tells when it cannot.',
};

/** `done` is called once, unless a leg is lost: then the session ends. */
export function commitBoth(core: SessionCore, { sides, mark }: TwoPhase, done: (outcome: CommitOutcome) => void): void {
  // What has used temporary tables cannot be prepared.
  const temporary = new Set<Side>([...core.temporaryTables.values(), ...(core.tx ? (['source', 'local'] as const).filter((side) => core.tx?.temporaryOn[side]) : [])]);
  const prepared = sides.find((side) => !temporary.has(side)) ?? sides[0] ?? 'source';
  const decider: Side = prepared === 'source' ? 'local' : 'source';
  const [preparedLeg, decidingLeg] = [core.leg(prepared), core.leg(decider)];
  if (!preparedLeg || !decidingLeg) return;
  const gid = `${mark}${randomBytes(16).toString('hex')}`;
  const ask = (leg: Leg, sql: string, next: (reply: InternalReply) => void): void => core.ask(leg, sql, next);
  const undo = (reply: InternalReply, unpreparable?: Side): void => done({ type: 'failed', reply, unpreparable });
  const point = (name: string, next: () => void): void => {
    const { faults } = core.services.runtime;
    if (faults.armed) void faults.hit(name).then(next, next);
    else next();
  };

  ask(preparedLeg, `PREPARE TRANSACTION '${gid}'`, (reply) => {
    if (reply.error || reply.tag !== 'PREPARE TRANSACTION') return ask(decidingLeg, 'ROLLBACK', () => undo(reply, prepared));
    return point('commit.prepared', decide);
  });

  function decide(): void {
    ask(decidingLeg as Leg, `SELECT causeway.decide('${gid}'); COMMIT`, (reply) => {
      if (!reply.error && reply.tag === 'COMMIT') return point('commit.decided', finish);
      // The block is failed, not over, when the decision could not be written.
      ask(decidingLeg as Leg, 'ROLLBACK', () => undefined);
      return ask(preparedLeg as Leg, `ROLLBACK PREPARED '${gid}'`, () => undo(reply));
    });
  }

  function finish(): void {
    ask(preparedLeg as Leg, `COMMIT PREPARED '${gid}'`, (reply) => {
      if (reply.error) core.services.runtime.log.warn('a decided transaction could not be committed at once on its prepared side', { session: core.identity.sessionId, side: prepared });
      point('commit.finished', () => done({ type: 'committed', late: reply.error !== undefined }));
    });
  }
}
