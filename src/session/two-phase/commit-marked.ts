/**
 * COMMIT of a block whose rows local is to have at once (RULES 24): local gets the rows and their marks in a transaction that stays open, the source commits,
 * local commits. Until the source has committed, local is free to fail: nothing of it is left then, and the block commits as in `sync`. From
 * then on local is free to fail, too: what it lacks the stream brings, and the COMMIT is answered when it has.
 */
import type { RowImages } from '../../execute/row-images.ts';
import type { InternalReply } from '../../execute/segment.ts';
import { streamTransactionId } from '../../execute/stream-transaction-id.ts';
import type { SessionCore } from '../session-core.ts';
import type { WrittenRows } from './marked-rows-port.ts';

export type MarkedOutcome =
  | { readonly type: 'committed' }
  /** The source has committed, and local has lost the rows. */
  | { readonly type: 'late' }
  /** Local has not taken the rows: the block is as it was. */
  | { readonly type: 'unmarked' }
  | { readonly type: 'failed'; readonly reply: InternalReply };

/** `done` is called once, unless the source's leg is lost: then the session ends, which undoes what is open on local. */
export function commitMarked(core: SessionCore, images: RowImages, done: (outcome: MarkedOutcome) => void): void {
  const { markedRows, runtime } = core.services;
  const { xid } = images;
  if (!markedRows || xid === undefined) return done({ type: 'unmarked' });
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

  markedRows.write({ transactionId: streamTransactionId(xid), tables }, (written) => {
    if (!written) return ended({ type: 'unmarked' });
    // The client has gone, and its block with it.
    if (core.ended) return written.rollback();
    core.openRows = written;
    return point('commit.rows_written', () => commitSource(written));
  });

  function commitSource(written: WrittenRows): void {
    core.ask(core.home, 'COMMIT', (reply) => {
      if (!reply.error && reply.tag === 'COMMIT') return point('commit.rows_decided', () => commitLocal(written));
      core.openRows = undefined;
      written.rollback();
      return ended({ type: 'failed', reply });
    });
  }

  function commitLocal(written: WrittenRows): void {
    core.openRows = undefined;
    written.commit((isDone) => point('commit.rows_finished', () => ended({ type: isDone ? 'committed' : 'late' })));
  }
}
