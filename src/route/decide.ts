/**
 * The routing decision: facts of a text, the snapshot and the session's state in, a Route out. Pure.
 *
 * The sides in each TableRoute are the authority (specification §3.2 is how the control fills them in); what is decided here
 * is how several tables, a transaction and a barrier combine. docs/routing.md has the outcome for every state and statement.
 *
 * Left to the session, because only it knows: EXECUTE and DEALLOCATE (decide with the facts of the prepared statement's `inner`), FETCH and
 * CLOSE (the cursor's leg), parking of a transaction that is pinned to an older snapshot (`admitRoute`).
 */
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import type { StatementFacts, StatementKind, TextFacts } from '../../grammar/sql/statement-facts.ts';
import { catalogSide } from './catalog-side.ts';
import { comparedRead } from './compared-read.ts';
import { chooseSide, refuseInTransaction } from './choose-side.ts';
import { hybridWays, mixedViews } from './hybrid-ways.ts';
import { isReached, needsOf, tableKey } from './needs.ts';
import type { Need, TextNeeds } from './needs.ts';
import { refusals } from './refusals.ts';
import type { AfterWrite, HybridRoute, HybridWay, LegRoute, Route, RouteLabel, SessionContext } from './route.ts';
import { SnapshotIndex } from './snapshot-index.ts';


const homeRoute: LegRoute = { type: 'leg', leg: 'home', writes: false, touches: [], after: 'none', before: 'none', label: 'REMOTE' };

const transactionControl: ReadonlySet<StatementKind> = new Set<StatementKind>([
  'begin', 'commit', 'rollback', 'savepoint', 'release', 'rollback_to', 'prepare_transaction', 'commit_prepared', 'rollback_prepared', 'set_transaction',
]);
const sessionKinds: ReadonlySet<StatementKind> = new Set<StatementKind>(['set', 'reset', 'discard', 'listen', 'unlisten']);

export function decide(facts: TextFacts, snapshot: RoutingSnapshot, session: SessionContext): Route {
  return decideIndexed(facts, new SnapshotIndex(snapshot), session);
}

/** As `decide`, for callers that keep the index of a snapshot. */
export function decideIndexed(facts: TextFacts, index: SnapshotIndex, session: SessionContext): Route {
  switch (facts.type) {
    case 'migration': return { type: 'control' };
    // The server says what is wrong with it.
    case 'invalid': return facts.refusal === undefined ? homeRoute : { type: 'refuse', ...facts.refusal };
    case 'sql': return sessionRoute(facts.statements) ?? dataRoute(facts.statements, index, session);
    default: return facts satisfies never;
  }
}

/** Texts that no table's state has a say in. */
function sessionRoute(statements: readonly StatementFacts[]): Route | undefined {
  if (statements.some((statement) => statement.flags.readsCatalog)) return statements.length === 1 ? { type: 'control' } : refusals.controlAmongOthers();
  if (statements.every((statement) => transactionControl.has(statement.kind))) return { type: 'transaction_control' };
  if (statements.every(isSessionStatement)) return { type: 'both_legs' };
  return undefined;
}

/** SET and its like, and a SELECT that does nothing but `set_config`. SET CONSTRAINTS holds for the transaction only: not for legs opened later. */
function isSessionStatement(facts: StatementFacts): boolean {
  return sessionKinds.has(facts.kind) || facts.command === 'SET CONSTRAINTS' || (facts.kind === 'select' && facts.setting !== undefined && facts.flags.systemOnly && facts.reads.length === 0 && facts.functions.length === 0);
}

function dataRoute(statements: readonly StatementFacts[], index: SnapshotIndex, session: SessionContext): Route {
  const text = needsOf(statements, { index, session, preferSource: prefersSource(session) });
  const touched = touchedTables(text);
  // What cannot be seen into may write a quiescing table, and would meet its fence.
  const quiescing = text.opaque ? index.quiescing : [...touched].filter(([, table]) => table.quiescing);
  const isClosed = quiescing.some(([, table]) => table.closed === true);
  if (quiescing.length > 0 && (isClosed || !admittedOnOldSide(session))) return { type: 'park', touches: quiescing.map(([key]) => key) };
  const blocked = blockedNeed(text);
  if (blocked !== undefined) return blocked;
  const writes = isWriting(statements, text);
  const chosen = chooseSide(text, writes, session, index.snapshot.twoPhase);
  const side = chosen === 'home' ? catalogRoute(statements, index, session).leg : chosen;
  if (typeof side === 'object') return hybridRoute(statements, text, writes, [...touched.keys()], index, session) ?? side;
  if (side === 'mysql') {
    const otherwise = hybridRoute(statements, text, writes, [...touched.keys()], index, session, true);
    return { type: 'mysql', writes, touches: [...touched.keys()], label: labelOf(text, 'source', writes), otherwise };
  }
  const route = legRoute(statements, text, writes, side, [...touched.keys()], index);
  const compared = side === 'source' ? comparedRead(statements, text, session) : undefined;
  return compared === undefined ? route : { ...route, compared };
}

/** `parameters` as for `catalogSide`. */
export function catalogRoute(statements: readonly StatementFacts[], index: SnapshotIndex, session: SessionContext, parameters?: readonly (string | undefined)[]): LegRoute {
  const [facts] = statements;
  if (facts?.catalog === undefined || statements.length !== 1 || catalogSide(facts, index, session, parameters) === 'home') return homeRoute;
  return refuseInTransaction([], false, 'local', session, undefined) ? homeRoute : { ...homeRoute, leg: 'local', label: 'LOCAL' };
}

/** Undefined when no side can be given what it lacks. */
function hybridRoute(statements: readonly StatementFacts[], text: TextNeeds, writes: boolean, touches: readonly string[], index: SnapshotIndex, session: SessionContext, atMysql = false): HybridRoute | undefined {
  const [facts] = statements;
  if (facts === undefined || statements.length !== 1) return undefined;
  const context = { index, session, preferSource: prefersSource(session) };
  const views = mixedViews(facts, context);
  if (views.size > 0) return { type: 'hybrid', ways: [], views, touches, writes };
  const { twoPhase } = index.snapshot;
  const ways = hybridWays(facts, context, atMysql)
    .filter(({ runOn }) => refuseInTransaction(text.needs, writes, runOn, session, twoPhase) === undefined)
    .filter(({ fromMysql }) => fromMysql.size === 0 || refuseInTransaction(text.needs, false, 'mysql', session, twoPhase) === undefined)
    .map(({ runOn, moved, fromMysql }): HybridWay => ({ runOn, moved, fromMysql, route: { ...legRoute(statements, text, writes, runOn, touches, index), label: 'HYBRID' } }));
  return ways.length === 0 ? undefined : { type: 'hybrid', ways, views, touches, writes };
}

/**
 * When tables that the source still has are read there although local would do: without a lease (RULES 15), in transactions that keep one
 * snapshot (tables of one group may be readable on different sides, and two snapshots show two moments), and in any that may have
 * written on the source (RULES 20).
 */
export function prefersSource(session: SessionContext): boolean {
  if (!session.leaseValid) return true;
  const transaction = session.transaction;
  if (transaction === undefined) return false;
  if (transaction.wroteOn === 'source' || transaction.wroteOn === 'both' || transaction.mayHaveWrittenOnSource === true) return true;
  return transaction.isolation !== 'read committed';
}

/** Draining writers that hold locks must get through, or those that they block never end; without a lease nobody vouches for the old side. */
function admittedOnOldSide(session: SessionContext): boolean {
  return session.leaseValid && session.transaction?.holdsLocks === true;
}

function touchedTables(text: TextNeeds): ReadonlyMap<string, TableRoute> {
  const touched = new Map<string, TableRoute>();
  for (const need of text.needs) if (need.table !== undefined) touched.set(tableKey(need.table), need.table);
  for (const table of text.closure.values()) touched.set(tableKey(table), table);
  return touched;
}

function blockedNeed(text: TextNeeds): Route | undefined {
  for (const need of text.needs) {
    if (need.table === undefined) continue;
    if ((need.role === 'write' || need.role === 'lock') && need.table.writesBlocked) return refusals.blocked(need.name, need.table, 'Writes');
    if (need.role === 'define' && need.table.ddlBlocked) return refusals.blocked(need.name, need.table, 'Changes of the definition');
  }
  for (const [key, table] of text.closure) if (table.writesBlocked) return refusals.blocked(key, table, 'Writes (here: by a trigger or a foreign-key action)');
  return undefined;
}

function legRoute(statements: readonly StatementFacts[], text: TextNeeds, writes: boolean, side: 'source' | 'local' | 'home', touches: readonly string[], index: SnapshotIndex): LegRoute {
  const after = side === 'local' ? 'none' : afterWrite(statements, text, index);
  const isIndexed = side === 'local' && text.needs.some((need) => need.role === 'read' && need.local && need.table?.writes === 'source' && isReached(need.table));
  const copies = side === 'local' ? text.needs.flatMap(({ role, local, table }) => (role === 'read' && local && table?.door !== undefined && table.writes === 'source' && table.waitVisible ? [tableKey(table)] : [])) : [];
  const draws = statements.some(({ sequencesWritten }) => sequencesWritten.length > 0);
  return { type: 'leg', leg: side, writes, touches, after, before: isIndexed ? 'read_index' : 'none', label: labelOf(text, side, writes), ...(draws ? { draws } : {}), ...(copies.length > 0 ? { mysqlCopies: copies } : {}) };
}

/** Sequences are not transactional: drawing from one binds a transaction to no side. */
function isWriting(statements: readonly StatementFacts[], text: TextNeeds): boolean {
  return text.needs.some((need) => need.role === 'write' || need.role === 'lock' || need.role === 'define')
    || statements.some((statement) => statement.kind === 'ddl');
}

/**
 * Waiting for the transaction's id is right only when the statement surely writes to a waited table and nothing else can: every other case
 * waits for a position (RULES 19).
 */
function afterWrite(statements: readonly StatementFacts[], text: TextNeeds, index: SnapshotIndex): AfterWrite {
  const written = text.needs.flatMap((need) => (need.role === 'write' && need.table?.writes === 'source' ? [need.table] : []));
  const reached = [...text.closure.values()].filter((table) => table.writes === 'source');
  const all = [...written, ...reached];
  if (text.opaque && index.waitsForUnknownWrites === 'position') return 'position';
  if (all.some((table) => table.waitVisible)) {
    const isPlain = statements.length === 1 && !text.opaque && !statements.some(isProcedural) && !reached.some((table) => table.waitVisible);
    return isPlain ? 'xid' : 'position';
  }
  if (all.some((table) => table.trackWrites)) return 'track';
  return text.opaque ? index.waitsForUnknownWrites : 'none';
}

function isProcedural(facts: StatementFacts): boolean {
  return facts.kind === 'call' || facts.kind === 'do' || facts.functions.length > 0;
}

/** Specification §3.3. A captured write on the source whose table does not yet follow is queued: it is applied to local later. */
function labelOf(text: TextNeeds, side: 'source' | 'local' | 'home', writes: boolean): RouteLabel {
  if (side === 'local') return 'LOCAL';
  const tables = writes ? text.needs.flatMap(writtenTable) : [];
  if (tables.some((table) => table.waitVisible || table.trackWrites)) return 'DUAL_WRITE';
  if (tables.some((table) => table.state === 'BULK_LOADING' || table.state === 'SYNCHRONIZING' || table.state === 'PAUSED')) return 'QUEUED';
  return 'REMOTE';
}

function writtenTable(need: Need): readonly TableRoute[] {
  return need.role === 'write' && need.table !== undefined ? [need.table] : [];
}
