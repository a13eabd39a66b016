/** Which side can run a text that has these needs, in this transaction. */
import { isReached } from './needs.ts';
import type { Need, TextNeeds } from './needs.ts';
import { refusals } from './refusals.ts';
import type { Route, SessionContext } from './route.ts';

type Refusal = Extract<Route, { type: 'refuse' }>;

/** `commitsBoth`: a block that has written on both sides can be committed (RULES 23). `home`: it needs nothing of either. What cannot be seen into is run on the source, which answers for everything that nobody has moved. */
export function chooseSide(text: TextNeeds, writes: boolean, session: SessionContext, commitsBoth: boolean): 'source' | 'local' | 'home' | Refusal {
  const { needs } = text;
  if (needs.length === 0) return text.opaque ? 'source' : 'home';
  const nowhere = needs.find((need) => !need.source && !need.local);
  if (nowhere?.table !== undefined && !isReached(nowhere.table)) return refusals.notReached(nowhere.name, nowhere.table);
  if (nowhere !== undefined) return refusals.otherName(nowhere);
  const isSource = needs.every((need) => need.source);
  const isLocal = needs.every((need) => need.local);
  if (!isSource && !isLocal) return mixed(needs, session);
  // Both can: reads of followed tables. What cannot be seen into may write, and writers belong on the source as long as it answers.
  const prefersLocal = !text.opaque && !needs.some((need) => need.role === 'define' || need.role === 'maintain' || need.role === 'plan');
  const side = isLocal && (prefersLocal || !isSource) ? 'local' : 'source';
  return refuseInTransaction(needs, writes, side, session, commitsBoth) ?? side;
}

function mixed(needs: readonly Need[], session: SessionContext): Refusal {
  const onlySource = needs.filter((need) => !need.local);
  const onlyLocal = needs.filter((need) => !need.source);
  const missing = onlySource.filter((need) => need.isMissingView === true);
  if (missing.length > 0) return refusals.missingView(missing, onlyLocal);
  if (!session.leaseValid && onlySource.every((need) => need.table?.reads === 'local')) return refusals.noLease(onlySource);
  return refusals.bothSides(onlySource, onlyLocal, isHeldBySnapshot(onlySource));
}

/** The source was chosen for the transaction's sake: at another isolation level, or before its writes, local would have answered. */
function isHeldBySnapshot(onlySource: readonly Need[]): boolean {
  return onlySource.every((need) => need.role === 'read' && need.table?.reads === 'local');
}

export function refuseInTransaction(needs: readonly Need[], writes: boolean, side: 'source' | 'local', session: SessionContext, commitsBoth: boolean): Refusal | undefined {
  const transaction = session.transaction;
  if (transaction === undefined) return undefined;
  const other = side === 'source' ? 'local' : 'source';
  if (writes && transaction.wroteOn === other && !commitsBoth) return refusals.writesOnBothSides(needs.filter((need) => need.role !== 'read'), side, other);
  if (transaction.isolation === 'serializable' && transaction.usedLegs[other]) return refusals.serializable(needs, side, other);
  return undefined;
}
