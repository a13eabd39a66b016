/**
 * What a client sends up to one Sync is one transaction, without a BEGIN. When it needs the other side too, the transaction that has begun on
 * its leg is made a block there, as a BEGIN in its middle does (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING),
 * the rest joins it as in any block over two legs, and the Sync ends it: on both sides, or on neither.
 */
import { OpenTransaction } from '../execute/open-transaction.ts';
import { emptyFacts } from '../../grammar/sql/facts-collector.ts';
import { CUT } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { bind, execute, parse } from '../wire/frontend-messages.ts';
import type { SessionCore } from './session-core.ts';
import type { TransactionControl } from './transaction-control.ts';

export const commit = { ...emptyFacts, kind: 'commit' } as const;
export const rollback = { ...emptyFacts, kind: 'rollback' } as const;
const COMMAND_COMPLETE = 0x43;

/** The unit has run something on its leg, and is in no block. */
export function openImplicitBlock(core: SessionCore): void {
  const { leg, segment } = core.unit;
  if (!leg || !segment) return;
  const name = core.ownStatements.parsedOn(leg.side);
  segment.injectParse();
  segment.injectBind();
  core.send(leg, Buffer.concat([parse(name, 'BEGIN'), bind(name, name), execute(name)]));
  const tx = OpenTransaction.leftBy(segment, leg.side, core.services.view().snapshot, core.now());
  tx.isImplicit = true;
  core.tx = tx;
  // The block's end waits for what this unit would have waited for.
  segment.after = 'none';
}

/** The Sync of a unit that has become a block: undefined when it has not. */
export function endImplicitBlock(core: SessionCore, control: TransactionControl): Verdict | undefined {
  if (core.tx?.isImplicit !== true) return undefined;
  const stop = core.leaveLeg(false);
  if (stop !== undefined) return stop;
  const { tx } = core;
  const isFailed = core.unit.skipping;
  core.endUnit();
  // A leg's error may have ended it already.
  if (!tx) {
    core.ready();
    return CUT;
  }
  return core.answerLater((done) => endImplicit(core, control, isFailed, () => {
    core.ready();
    done();
  }));
}

/** On both sides or on neither. What goes wrong with it is told, that it went well is not. */
export function endImplicit(core: SessionCore, control: TransactionControl, isFailed: boolean, done: (failed: boolean) => void): void {
  if (core.tx) core.tx.isImplicit = false;
  const ends = isFailed || core.tx?.failedOn !== undefined;
  control.run(ends ? rollback : commit, ends ? 'ROLLBACK' : 'COMMIT', (answer, failed) => {
    core.toClient(withoutTag(answer));
    done(failed);
  });
}

/** A Query that comes without a Sync before it: the pipeline's transaction ends first. Undefined when there is none. */
export function endBeforeQuery(core: SessionCore, control: TransactionControl): Verdict | undefined {
  if (core.tx?.isImplicit !== true) return undefined;
  const stop = core.leaveLeg(false);
  if (stop !== undefined) return stop;
  // A leg's error may have ended it already.
  if (!core.tx) return undefined;
  endImplicit(core, control, core.unit.skipping, () => {
    core.endUnit();
    queueMicrotask(() => core.proceed('answer'));
  });
  return core.wait('answer');
}

/** The client has sent no COMMIT that could be complete. */
export function withoutTag(answer: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= answer.length; ) {
    const end = at + 1 + answer.readUInt32BE(at + 1);
    if (answer[at] !== COMMAND_COMPLETE) parts.push(answer.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}
