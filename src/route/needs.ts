/**
 * What a text needs of the two sides: one Need per relation that it touches, after names have been resolved, views and functions
 * expanded, and trigger closures followed.
 */
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { hasPlaces } from '../../grammar/sql/name-places.ts';
import type { RelationRef, StatementFacts } from '../../grammar/sql/statement-facts.ts';
import type { SessionContext } from './route.ts';
import { isRenamed } from './snapshot-index.ts';
import type { Resolved, SnapshotIndex } from './snapshot-index.ts';

export type NeedRole = 'read' | 'write' | 'lock' | 'plan' | 'define' | 'maintain' | 'sequence' | 'last_value' | 'session';

/** One thing that has to be where the text runs. Neither side true: no side can run it as it is written. */
export interface Need {
  readonly role: NeedRole;
  /** For people: a relation's key, or what else it is. */
  readonly name: string;
  readonly source: boolean;
  readonly local: boolean;
  /** The MySQL server can, by translation. */
  readonly mysql?: boolean;
  /** Undefined for what is not migrated. */
  readonly table: TableRoute | undefined;
  /** It is a view that only the source has. */
  readonly isMissingView?: boolean;
}

interface Sides {
  readonly source: boolean;
  readonly local: boolean;
  readonly mysql?: boolean;
}

/** What the translation knows: no definitions, and nothing of sequences, which that server does not have, but what they would have given last. */
const reachedRoles: ReadonlySet<NeedRole> = new Set<NeedRole>(['read', 'write', 'lock', 'plan', 'last_value']);

export interface TextNeeds {
  readonly needs: readonly Need[];
  /** Migrated tables that writes of this text reach through triggers, rules or foreign-key actions: key → route. */
  readonly closure: ReadonlyMap<string, TableRoute>;
  /** It calls what cannot be seen into: it may read and write anything on the source. */
  readonly opaque: boolean;
}

export interface NeedsContext {
  readonly index: SnapshotIndex;
  readonly session: SessionContext;
  /** Tables that the source still has whole are read there (RULES 12, 15, 20). */
  readonly preferSource: boolean;
}

export function needsOf(statements: readonly StatementFacts[], context: NeedsContext): TextNeeds {
  const gathering = new NeedsGathering(context);
  for (const facts of statements) gathering.add(facts);
  return gathering.result();
}

/** What reading one relation of a text needs; empty for a system relation. */
export function readNeeds(facts: StatementFacts, relation: RelationRef, context: NeedsContext): readonly Need[] {
  const gathering = new NeedsGathering(context);
  gathering.read(facts, relation);
  return gathering.result().needs;
}

class NeedsGathering {
  readonly #context: NeedsContext;
  readonly #needs = new Map<string, Need>();
  readonly #closure = new Map<string, TableRoute>();
  #opaque = false;

  constructor(context: NeedsContext) {
    this.#context = context;
  }

  result(): TextNeeds {
    return { needs: [...this.#needs.values()], closure: this.#closure, opaque: this.#opaque };
  }

  add(facts: StatementFacts): void {
    // What is made of a definition must be made where the tables are the truth, not where they follow.
    const canRename = hasPlaces(facts);
    for (const relation of facts.reads) this.read(facts, relation);
    for (const relation of facts.writes) this.#relation(writeRole(facts), relation, canRename);
    for (const relation of facts.ddl) this.#defined(facts, relation);
    for (const sequence of facts.sequencesRead) this.#relation('last_value', sequence, canRename);
    for (const sequence of facts.sequencesWritten) this.#relation('sequence', sequence, canRename);
    for (const name of facts.functions) this.#function(facts, name);
    if (facts.kind === 'do') this.#unseen('DO');
    if (facts.kind === 'ddl' && facts.ddl.length === 0) this.#put({ role: 'define', name: facts.command ?? 'DDL', source: true, local: false, table: undefined });
    // The client knows the source's numbers; of catalogs each side has its own.
    if (facts.flags.tellsNumbers && !facts.flags.systemOnly) this.#put({ role: 'session', name: 'numbers of relations and types', source: true, local: false, table: undefined });
    // One home for advisory locks: two clients must meet at the same one (RULES 27).
    if (facts.flags.advisoryLock) this.#advisoryLocks();
  }

  read(facts: StatementFacts, relation: RelationRef): void {
    this.#relation(facts.kind === 'ddl' ? 'plan' : 'read', relation, hasPlaces(facts));
  }

  #advisoryLocks(): void {
    const home = this.#context.session.advisoryLocksOn ?? 'source';
    this.#put({ role: 'session', name: 'advisory locks', source: home === 'source', local: home === 'local', table: undefined });
  }

  #relation(role: NeedRole, relation: RelationRef, canRename: boolean): void {
    const { index, session } = this.#context;
    this.#resolved(role, index.resolve(relation, session), canRename);
  }

  /** `canRename`: the text can be sent to local with the names that tables have there. */
  #resolved(role: NeedRole, found: Resolved, canRename: boolean): void {
    switch (found.type) {
      case 'system': return;
      case 'temporary': return this.#put({ role, name: `pg_temp.${found.name}`, source: found.leg === 'source', local: found.leg === 'local', table: undefined });
      case 'table': return this.#table(role, found.key, found.table, isRenamed(found.table) && !canRename ? 'source' : 'both');
      case 'local_name': return this.#table(role, found.key, found.table, 'local');
      case 'view': return this.#view(role, found.key, found.bases);
      // A sequence goes where the writes of its owner go: two sides must never draw the same value (RULES 13).
      case 'sequence': return this.#key(role === 'last_value' ? role : 'sequence', found.owner);
      case 'plain': return this.#plain(role, found.key);
      default: return found satisfies never;
    }
  }

  /** Defining or maintaining a view needs it beside its tables, which are not changed by that. */
  #view(role: NeedRole, key: string, bases: readonly string[]): void {
    const { index } = this.#context;
    // Stored rows are read where they are refreshed.
    const baseRole = role === 'define' || (role === 'read' && index.isStored(key)) ? 'plan' : role;
    for (const base of bases) this.#key(baseRole, base);
    if (role !== 'define' && index.isMissingOnLocal(key)) this.#put({ role: baseRole, name: key, source: true, local: false, table: undefined, isMissingView: true });
  }

  #key(role: NeedRole, key: string): void {
    const table = this.#context.index.table(key);
    if (table === undefined) this.#plain(role, key);
    // What stands over it on local was made over the name that it has there.
    else this.#table(role, key, table, 'both');
  }

  #plain(role: NeedRole, key: string): void {
    this.#put({ role, name: key, source: true, local: false, table: undefined });
    if (role === 'write') this.#follow(key);
  }

  /** `knownOn`: the side on which the table has the name that the text uses. */
  #table(role: NeedRole, key: string, table: TableRoute, knownOn: 'source' | 'local' | 'both'): void {
    const sides = isReached(table) ? this.#sides(role, table) : this.#sidesBeyond(role, table);
    this.#put({ role, name: key, source: sides.source && knownOn !== 'local', local: sides.local && knownOn !== 'source', ...(sides.mysql === undefined ? {} : { mysql: sides.mysql }), table });
    if (role === 'write') this.#follow(key);
  }

  #sides(role: NeedRole, table: TableRoute): Sides {
    if (role !== 'read') return { source: table.writes === 'source', local: table.writes === 'local' };
    // Until its writes go to local, the source can answer everything about a table (RULES 20).
    const source = table.writes === 'source';
    return { source, local: table.reads === 'local' && !(source && this.#context.preferSource) };
  }

  /**
   * Of a table of the MySQL server. Where its commits are not waited for, nobody asks how far behind local is: who has seen the server reads there from then on (RULES 18). Where they are, local is
   * asked before the read, and a transaction that is on the server stays there.
   */
  #sidesBeyond(role: NeedRole, table: TableRoute): Sides {
    const { mysql: reach, leaseValid, transaction } = this.#context.session;
    const isThere = table.writes === 'source';
    const mysql = isThere && reach !== undefined && reachedRoles.has(role);
    if (role !== 'read') return { source: false, local: !isThere, mysql };
    const stays = table.waitVisible ? transaction?.mysql !== undefined : reach === 'seen';
    return { source: false, local: table.reads === 'local' && leaseValid && !(mysql && (this.#context.preferSource || stays)), mysql };
  }

  #follow(key: string): void {
    const { snapshot } = this.#context.index;
    const reached = Object.hasOwn(snapshot.writeClosure, key) ? snapshot.writeClosure[key] : undefined;
    for (const next of reached ?? []) {
      const table = this.#context.index.table(next);
      if (table !== undefined && next !== key) this.#closure.set(next, table);
    }
  }

  /** A new view or materialised view is made beside the tables that it reads; every other new relation is the source's. */
  #defined(facts: StatementFacts, relation: RelationRef): void {
    if (facts.kind === 'create_temp') return;
    const { index, session } = this.#context;
    const found = index.resolve(relation, session);
    const isNewView = facts.command === 'CREATE VIEW' || facts.command === 'CREATE MATERIALIZED VIEW';
    if (found.type === 'plain' && isNewView && facts.reads.length > 0) return;
    this.#resolved(facts.kind === 'maintenance' ? 'maintain' : 'define', found, facts.kind === 'maintenance');
  }

  #function(facts: StatementFacts, name: string): void {
    const touches = this.#context.index.functionTouches(name, this.#context.session);
    if (touches === undefined) {
      if (facts.kind === 'call') this.#unseen(`CALL ${name}`);
      else this.#opaque = true;
      return;
    }
    for (const key of touches.reads) this.#key('read', key);
    for (const key of touches.writes) this.#key('write', key);
  }

  /** Code that is run for its effects: a writer, as far as anybody can tell. */
  #unseen(name: string): void {
    this.#opaque = true;
    this.#put({ role: 'write', name, source: true, local: false, table: undefined });
  }

  #put(need: Need): void {
    this.#needs.set(JSON.stringify([need.role, need.name]), need);
  }
}

/**
 * A lock changes nothing that the stream would carry, but it belongs where the writers are; so does a statement that is only planned
 * (PREPARE, EXPLAIN without ANALYZE), or its plan would not be the one that runs.
 */
function writeRole(facts: StatementFacts): NeedRole {
  if (facts.kind === 'prepare' || (facts.kind === 'explain' && !facts.flags.explainAnalyze)) return 'plan';
  if (facts.flags.writesInCte) return 'write';
  if (facts.inner !== undefined) return writeRole(facts.inner);
  return facts.kind === 'select' || facts.kind === 'lock' ? 'lock' : 'write';
}

/** By a PostgreSQL client's session without translation, while its rows are on the source. */
export function isReached(table: TableRoute): boolean {
  return table.door === undefined;
}

/** The key under which messages and metrics know a table. */
export function tableKey(table: TableRoute): string {
  return relationKey(table.source.schema, table.source.name);
}
