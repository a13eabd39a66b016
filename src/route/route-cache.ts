/**
 * Remembers decisions. A route depends on the facts, the snapshot, the search path and a little of the session's state; as long as
 * snapshot and path are the very same objects, looking one up is two comparisons of identity and one map (RULES 26: texts, not
 * their literals, share facts, and facts that depend on literals are shared by equal texts only).
 *
 * One instance per thread of sessions; bounded: it starts anew with each snapshot and after `maxTexts`.
 */
import type { QualifiedName, RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { RelationRef, TextFacts } from '../../grammar/sql/statement-facts.ts';
import { catalogRoute, decideIndexed } from './decide.ts';
import type { NamingContext, Route, SessionContext } from './route.ts';
import { SnapshotIndex } from './snapshot-index.ts';

type RoutesByState = (Route | undefined)[];

/** Sessions have few search paths between them; past so many the list of known ones is begun again. */
const maxSearchPaths = 1_000;

export class RouteCache {
  readonly #maxTexts: number;
  readonly #searchPaths = new Map<string, readonly string[]>();
  #index: SnapshotIndex;
  #byPath = new Map<readonly string[], Map<TextFacts, RoutesByState>>();
  #path: readonly string[] = [];
  #routes = new Map<TextFacts, RoutesByState>();
  #texts = 0;

  constructor(snapshot: RoutingSnapshot, maxTexts = 100_000) {
    this.#index = new SnapshotIndex(snapshot);
    this.#maxTexts = maxTexts;
  }

  /** Equal paths become the same object, which is what a session should hold in its context. */
  searchPath(schemas: readonly string[]): readonly string[] {
    const key = JSON.stringify(schemas);
    const known = this.#searchPaths.get(key);
    if (known !== undefined) return known;
    if (this.#searchPaths.size >= maxSearchPaths) this.#searchPaths.clear();
    const path = Object.freeze([...schemas]);
    this.#searchPaths.set(key, path);
    return path;
  }

  decide(facts: TextFacts, snapshot: RoutingSnapshot, session: SessionContext): Route {
    if (session.temporaryTables.size > 0 || session.advisoryLocksOn === 'local') return decideIndexed(facts, this.#indexOf(snapshot), session);
    if (snapshot !== this.#index.snapshot) return this.#decideOther(facts, snapshot, session);
    const routes = session.searchPath === this.#path ? this.#routes : this.#turnTo(session.searchPath);
    const state = stateNumber(session);
    const known = routes.get(facts);
    const route = known?.[state];
    if (route !== undefined) return route;
    return this.#remember(routes, facts, state, decideIndexed(facts, this.#index, session));
  }

  /** Of a query of catalogs, by what its parameters name. */
  catalogRoute(facts: TextFacts, snapshot: RoutingSnapshot, session: SessionContext, parameters: readonly (string | undefined)[]): Route {
    return catalogRoute(facts.type === 'sql' ? facts.statements : [], this.#indexOf(snapshot), session, parameters);
  }

  localName(relation: RelationRef, snapshot: RoutingSnapshot, context: NamingContext): QualifiedName | undefined {
    return this.#indexOf(snapshot).localName(relation, context);
  }

  placed(relation: RelationRef, snapshot: RoutingSnapshot, context: NamingContext): ReturnType<SnapshotIndex['placed']> {
    return this.#indexOf(snapshot).placed(relation, context);
  }

  /** A newer snapshot begins a new memory; an older one (a pinned transaction's) is decided without one. */
  #decideOther(facts: TextFacts, snapshot: RoutingSnapshot, session: SessionContext): Route {
    if (snapshot.epoch < this.#index.snapshot.epoch) return decideIndexed(facts, this.#indexOf(snapshot), session);
    this.#index = new SnapshotIndex(snapshot);
    this.#forget();
    return this.decide(facts, snapshot, session);
  }

  #older: SnapshotIndex | undefined;

  #indexOf(snapshot: RoutingSnapshot): SnapshotIndex {
    if (snapshot === this.#index.snapshot) return this.#index;
    if (this.#older?.snapshot !== snapshot) this.#older = new SnapshotIndex(snapshot);
    return this.#older;
  }

  #turnTo(path: readonly string[]): Map<TextFacts, RoutesByState> {
    let routes = this.#byPath.get(path);
    if (routes === undefined) {
      if (this.#byPath.size >= maxSearchPaths) this.#forget();
      routes = new Map();
      this.#byPath.set(path, routes);
    }
    this.#path = path;
    this.#routes = routes;
    return routes;
  }

  #remember(routes: Map<TextFacts, RoutesByState>, facts: TextFacts, state: number, route: Route): Route {
    const known = routes.get(facts);
    if (known !== undefined) known[state] = route;
    else {
      this.#texts += 1;
      if (this.#texts > this.#maxTexts) {
        this.#forget();
        return route;
      }
      const byState: RoutesByState = [];
      byState[state] = route;
      routes.set(facts, byState);
    }
    return route;
  }

  #forget(): void {
    this.#byPath = new Map();
    this.#routes = new Map();
    this.#path = [];
    this.#texts = 0;
  }
}

/** 0 outside transactions under a lease, the state of nearly every call; every other state that `decide` looks at has a number of its own. */
function stateNumber(session: SessionContext): number {
  const lease = (session.leaseValid ? 0 : 1) + (session.mysql === undefined ? 0 : session.mysql === 'seen' ? 4 : 2);
  const transaction = session.transaction;
  if (transaction === undefined) return lease;
  const isolation = transaction.isolation === 'read committed' ? 0 : transaction.isolation === 'repeatable read' ? 1 : 2;
  const wrote = ({ source: 1, local: 2, both: 3 } as const)[transaction.wroteOn as 'source'] ?? 0;
  const mysql = transaction.mysql === undefined ? 0 : transaction.mysql === 'used' ? 1 : 2;
  const bits = (transaction.readOnly ? 1 : 0) | (transaction.usedLegs.source ? 2 : 0) | (transaction.usedLegs.local ? 4 : 0)
    | (transaction.holdsLocks ? 8 : 0) | (transaction.mayHaveWrittenOnSource === true ? 16 : 0) | (lease << 5);
  return 8 + bits + 256 * (isolation + 3 * (wrote + 4 * mysql));
}
