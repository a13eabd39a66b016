/** EXPLAIN ROUTE: the decision made readable. The same `decide` that routes makes it (house rule 6: every act has a dry run). */
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import { displayTableName } from '../../grammar/names.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import { decideIndexed, prefersSource } from './decide.ts';
import { needsOf } from './needs.ts';
import type { Need } from './needs.ts';
import type { ComparedRead, HybridWay, MysqlRoute, Route, RouteLabel, SessionContext } from './route.ts';
import { isRenamed, SnapshotIndex } from './snapshot-index.ts';

export interface RouteExplanation {
  readonly decision: RouteLabel;
  readonly route: Route;
  /** One line for the whole. */
  readonly summary: string;
  readonly tables: readonly ExplainedTable[];
}

export interface ExplainedTable {
  /** A relation's key, or another thing that the statement needs. */
  readonly name: string;
  readonly role: Need['role'] | 'reached';
  /** Undefined for what is not migrated. */
  readonly state: TableRoute['state'] | undefined;
  /** Where it can be answered for this statement in this session. */
  readonly sides: 'source' | 'local' | 'source or local' | 'MySQL server' | 'MySQL server or local' | 'neither';
  readonly why: string;
}

/** `translated`: what becomes of a statement for the MySQL server once its translation is known. */
export function explainRoute(facts: TextFacts, snapshot: RoutingSnapshot, session: SessionContext, translated: (route: MysqlRoute) => Route = (route) => route): RouteExplanation {
  const index = new SnapshotIndex(snapshot);
  const decided = decideIndexed(facts, index, session);
  const route = decided.type === 'mysql' ? translated(decided) : decided;
  return { decision: routeLabel(route), route, summary: summaryOf(route), tables: facts.type === 'sql' ? explainedTables(facts, index, session) : [] };
}

/** The label of any route, for metrics. */
export function routeLabel(route: Route): RouteLabel {
  switch (route.type) {
    case 'leg': return route.label;
    case 'mysql': return route.label;
    case 'hybrid': return 'HYBRID';
    case 'park': return 'QUEUED';
    case 'refuse': return 'BLOCKED';
    case 'control': return 'LOCAL';
    case 'both_legs': case 'transaction_control': return 'REMOTE';
    default: return route satisfies never;
  }
}

/** As `EXPLAIN` prints a plan: one text per line. */
export function explanationLines(explanation: RouteExplanation): readonly string[] {
  return [
    `Route: ${explanation.decision}`, `  ${explanation.summary}`,
    ...explanation.tables.map((table) => `  ${table.role} ${table.name} (${table.state ?? 'not migrated'}): ${table.sides}; ${table.why}`),
  ];
}

function summaryOf(route: Route): string {
  switch (route.type) {
    case 'leg': return `runs on ${route.leg === 'home' ? 'the session\'s home leg' : sideName(route.leg)}${afterText(route)}${route.before === 'read_index' ? ', once local shows what this session may have seen on the source' : ''}${route.mysqlCopies ? ', once local shows what this session may have seen on the MySQL server' : ''}${comparedText(route.compared)}`;
    case 'mysql': return 'runs on the MySQL server, translated';
    case 'hybrid': return route.views.size > 0 ? `the definition of ${[...route.views].sort().join(', ')} takes its place, and the rest is decided for what that reads` : hybridText(route.ways);
    case 'park': return `waits for the change of routing of ${route.touches.join(', ')}`;
    case 'refuse': return `${route.code}: ${route.message}. ${route.detail} ${route.hint}`;
    case 'control': return 'is answered by the migration control';
    case 'both_legs': return 'runs on every open leg';
    case 'transaction_control': return 'is the transaction\'s own';
    default: return route satisfies never;
  }
}

function comparedText(compared: ComparedRead | undefined): string {
  if (compared === undefined) return '';
  return compared.obstacle === undefined ? `; ${compared.percent} % of its answers are compared with local's` : `; its answers are not compared with local's: ${compared.obstacle}`;
}

/** Specification §3.5: the names of its strategies. */
function hybridText(ways: readonly HybridWay[]): string {
  const texts = ways.map((way) => `on ${sideName(way.runOn)} with rows of ${movedText(way)}`);
  if (ways.length > 1) return `BROADCAST_SMALLER: runs ${texts.join(', or ')}: where fewer bytes have to be moved; only rows that meet its conditions, and columns that it names, are`;
  return `${ways[0]?.runOn === 'local' ? 'FETCH_REMOTE' : 'PUSH_LOCAL'}: runs ${texts.join('')}; only those that meet its conditions, and columns that it names, are moved`;
}

function movedText({ runOn, moved, fromMysql }: HybridWay): string {
  const listed = (keys: readonly string[], from: string): readonly string[] => (keys.length === 0 ? [] : [`${[...keys].sort().join(', ')} from ${from}`]);
  return [...listed([...moved].filter((key) => !fromMysql.has(key)), sideName(runOn === 'source' ? 'local' : 'source')), ...listed([...fromMysql], 'the MySQL server')].join(' and ');
}

function afterText(route: Extract<Route, { type: 'leg' }>): string {
  switch (route.after) {
    case 'none': return '';
    case 'xid': return '; its COMMIT is answered when local shows this transaction';
    case 'position': return '; its COMMIT is answered when local shows everything up to it';
    case 'track': return '; later reads of this session on local wait for it';
    default: return route.after satisfies never;
  }
}

function explainedTables(facts: Extract<TextFacts, { type: 'sql' }>, index: SnapshotIndex, session: SessionContext): readonly ExplainedTable[] {
  const { needs, closure } = needsOf(facts.statements, { index, session, preferSource: prefersSource(session) });
  const direct = needs.map((need): ExplainedTable => ({
    name: need.name, role: need.role, state: need.table?.state, sides: sidesOf(need), why: need.isMissingView === true ? 'local does not have the view as the source has it' : whyOf(need.table),
  }));
  const reached = [...closure].map(([name, table]): ExplainedTable => ({
    name, role: 'reached', state: table.state, sides: table.writes, why: 'written by a trigger, a rule or a foreign-key action',
  }));
  return [...direct, ...reached];
}

function sidesOf(need: Need): ExplainedTable['sides'] {
  if (need.mysql === true) return need.local ? 'MySQL server or local' : 'MySQL server';
  if (need.source && need.local) return 'source or local';
  return need.source ? 'source' : need.local ? 'local' : 'neither';
}

function whyOf(table: TableRoute | undefined): string {
  if (table === undefined) return 'only the source has it';
  const barrier = table.quiescing ? '; a change of routing is under way' : '';
  return `${authorityOf(table)}${barrier}${isRenamed(table) ? `; on local it is ${displayTableName(table.local)}` : ''}`;
}

function authorityOf(table: TableRoute): string {
  if (table.writes === 'local') return 'local is the authority';
  if (table.reads === 'local') return 'the source is the authority and local follows it';
  return 'the source is the authority';
}

function sideName(side: 'source' | 'local'): string {
  return side === 'source' ? 'the source' : 'local';
}
