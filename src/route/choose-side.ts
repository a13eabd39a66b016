/** Which side can run a text that has these needs, in this transaction. */
import { isReached } from './needs.ts';
import type { Need, TextNeeds } from './needs.ts';
import { refusals } from './refusals.ts';
import type { Route, SessionContext } from './route.ts';

type Refusal = Extract<Route, { type: 'refuse' }>;

/** `commitsBoth`: a block that has written on both sides can be committed (RULES 23). `home`: it needs nothing of either. What cannot be seen into is run on the source, which answers for everything that nobody has moved. */
export function chooseSide(text: TextNeeds, writes: boolean, session: SessionContext, commitsBoth: boolean): 'source' | 'local' | 'home' | 'mysql' | Refusal {
  const { needs } = text;
  if (needs.length === 0) return text.opaque ? 'source' : 'home';
  const nowhere = needs.find((need) => !need.source && !need.local && need.mysql !== true);
  if (nowhere?.table !== undefined && !isReached(nowhere.table)) return nowhere.role === 'sequence' && session.mysql !== undefined ? refusals.numberedByServer(nowhere.name) : refusals.notReached(nowhere.name, nowhere.table, session.mysql !== undefined);
  if (nowhere !== undefined) return refusals.otherName(nowhere);
  const isSource = needs.every((need) => need.source);
  const isLocal = needs.every((need) => need.local);
  const isMysql = needs.every((need) => need.mysql === true) && !text.opaque;
  if (!isSource && !isLocal && !isMysql) return mixed(needs, session);
  // Both can: reads of followed tables. What cannot be seen into may write, and writers belong on the source as long as it answers.
  const prefersLocal = !text.opaque && !needs.some((need) => need.role === 'define' || need.role === 'maintain' || need.role === 'plan');
  const side = isLocal && (prefersLocal || (!isSource && !isMysql)) ? 'local' : isSource ? 'source' : 'mysql';
  return refuseInTransaction(needs, writes, side, session, commitsBoth) ?? side;
}

function mixed(needs: readonly Need[], session: SessionContext): Refusal {
  const beyond = needs.filter((need) => need.mysql === true);
  if (beyond.length > 0) return refusals.withMysql(beyond, needs.filter((need) => need.mysql !== true));
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

/** `side`: where it would run, or where rows for it come from. */
export function refuseInTransaction(needs: readonly Need[], writes: boolean, side: 'source' | 'local' | 'mysql', session: SessionContext, commitsBoth: boolean): Refusal | undefined {
  const transaction = session.transaction;
  if (transaction === undefined) return undefined;
  const others = (['source', 'local'] as const).filter((other) => other !== side);
  if (writes && side !== 'mysql' && transaction.mysql === 'wrote') return refusals.writesOnBothSides(needs.filter((need) => need.role !== 'read'), side, 'mysql');
  const written = writes ? others.find((other) => transaction.wroteOn === other || transaction.wroteOn === 'both') : undefined;
  if (written !== undefined && (side === 'mysql' || !commitsBoth)) return refusals.writesOnBothSides(needs.filter((need) => need.role !== 'read'), side, written);
  if (transaction.isolation !== 'serializable') return undefined;
  const used = others.find((other) => transaction.usedLegs[other]) ?? (side !== 'mysql' && transaction.mysql !== undefined ? 'mysql' : undefined);
  return used === undefined ? undefined : refusals.serializable(needs, side, used);
}
