/** Which side can run a text that has these needs, in this transaction. */
import type { TwoPhase } from '../../catalog/routing-snapshot.ts';
import { isReached } from './needs.ts';
import type { Need, TextNeeds } from './needs.ts';
import { refusals } from './refusals.ts';
import type { Route, SessionContext, TransactionContext } from './route.ts';

type AnySide = 'source' | 'local' | 'mysql';
type Refusal = Extract<Route, { type: 'refuse' }>;

/** `twoPhase`: how a block that has written on both sides is committed (RULES 23). `home`: it needs nothing of either. What cannot be seen into is run on the source, which answers for everything that nobody has moved. */
export function chooseSide(text: TextNeeds, writes: boolean, session: SessionContext, twoPhase: TwoPhase | undefined): 'source' | 'local' | 'home' | 'mysql' | Refusal {
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
  return refuseInTransaction(needs, writes, side, session, twoPhase) ?? side;
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

function writtenBeside(side: AnySide, { wroteOn, mysql }: TransactionContext): readonly AnySide[] {
  return (['mysql', 'source', 'local'] as const).filter((other) => other !== side && (other === 'mysql' ? mysql === 'wrote' : wroteOn === other || wroteOn === 'both'));
}

/** The MySQL server decides for local alone. What may have written on the source would be a third side. */
function commitsOn(side: AnySide, other: AnySide, transaction: TransactionContext, twoPhase: TwoPhase | undefined): boolean {
  if (side !== 'mysql' && other !== 'mysql') return twoPhase !== undefined;
  return twoPhase?.mysqlMark !== undefined && side !== 'source' && other !== 'source' && transaction.mayHaveWrittenOnSource !== true;
}

/** `side`: where it would run, or where rows for it come from. */
export function refuseInTransaction(needs: readonly Need[], writes: boolean, side: AnySide, session: SessionContext, twoPhase: TwoPhase | undefined): Refusal | undefined {
  const transaction = session.transaction;
  if (transaction === undefined) return undefined;
  const others = (['source', 'local'] as const).filter((other) => other !== side);
  const written = writes ? writtenBeside(side, transaction) : [];
  const [other] = written;
  if (other !== undefined && (written.length > 1 || !commitsOn(side, other, transaction, twoPhase))) return refusals.writesOnBothSides(needs.filter((need) => need.role !== 'read'), side, other);
  if (transaction.isolation !== 'serializable') return undefined;
  const used = others.find((other) => transaction.usedLegs[other]) ?? (side !== 'mysql' && transaction.mysql !== undefined ? 'mysql' : undefined);
  return used === undefined ? undefined : refusals.serializable(needs, side, used);
}
