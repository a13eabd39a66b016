/**
 * COMMIT of a block whose rows local is to have at once (RULES 23, 24): local is prepared with the rows and their marks, the source commits together with the
 * decision, then local commits. Until the source is asked to commit, local is free to fail: then nothing of it is left, and the block commits as in
 * `sync`. From then on the source needs nothing of local; what is left prepared there the control finishes by the decision (`cdc/postgres/decisions.ts`).
 */
import { randomBytes } from 'node:crypto';
import type { TwoPhase } from '../../../catalog/routing-snapshot.ts';
import type { RowImages } from '../../execute/row-images.ts';
import type { InternalReply } from '../../execute/segment.ts';
import { streamTransactionId } from '../../execute/stream-transaction-id.ts';
import type { SessionCore } from '../session-core.ts';
import type { PreparedRows } from './marked-rows-port.ts';

export type MarkedOutcome =
  | { readonly type: 'committed' }
  /** The source has committed, and local will follow. */
  | { readonly type: 'late' }
  /** Local has not taken the rows: the block is as it was. */
  | { readonly type: 'unmarked' }
  | { readonly type: 'failed'; readonly reply: InternalReply };

/** `done` is called once, unless the source's leg is lost: then the session ends. */
export function commitMarked(core: SessionCore, { mark }: TwoPhase, images: RowImages, done: (outcome: MarkedOutcome) => void): void {
  const { markedRows, runtime } = core.services;
  const { xid } = images;
  if (!markedRows || xid === undefined) return done({ type: 'unmarked' });
  const gid = `${mark}${randomBytes(16).toString('hex')}`;
  const tables = [...images.tables].map(([tableId, { table, rows }]) => ({ tableId, local: table.local, columns: table.columns, key: table.key, rows }));
  const ended = (outcome: MarkedOutcome): void => {
    runtime.metrics.count('scratchbird_gateway_two_phase_commits_total', { outcome: outcome.type });
    done(outcome);
  };
  const point = (name: string, next: () => void): void => {
    const { faults } = runtime;
    if (faults.armed) void faults.hit(name).then(next, next);
    else next();
  };

  markedRows.prepare({ gid, transactionId: streamTransactionId(xid), tables }, (prepared) => {
    // The client has gone, and its block with it.
    if (core.ended) return prepared?.rollback();
    if (!prepared) return ended({ type: 'unmarked' });
    return point('commit.rows_prepared', () => decide(prepared));
  });

  function decide(prepared: PreparedRows): void {
    core.ask(core.home, `SAVEPOINT causeway_decide; SELECT causeway.decide('${gid}'); RELEASE causeway_decide; COMMIT`, (reply) => {
      if (!reply.error && reply.tag === 'COMMIT') return point('commit.rows_decided', () => finish(prepared));
      prepared.rollback();
      // When it is the decision that could not be written (recovery was first: this process has slept), the block goes on without it.
      return core.ask(core.home, 'ROLLBACK TO causeway_decide', (undone) => ended(undone.error ? { type: 'failed', reply } : { type: 'unmarked' }));
    });
  }

  function finish(prepared: PreparedRows): void {
    prepared.commit((isDone) => point('commit.rows_finished', () => ended({ type: isDone ? 'committed' : 'late' })));
  }
}
