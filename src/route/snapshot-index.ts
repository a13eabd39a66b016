/** A routing snapshot made ready for looking names up; built once per snapshot. */
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { FunctionTouches, QualifiedName, RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import type { TableName } from '../../grammar/names.ts';
import type { RelationRef } from '../../grammar/sql/statement-facts.ts';
import type { NamingContext, SessionContext } from './route.ts';

/** What a name in a statement stands for. */
export type Resolved =
  | { readonly type: 'system' }
  | { readonly type: 'temporary'; readonly name: string; readonly leg: 'source' | 'local' }
  | { readonly type: 'table'; readonly key: string; readonly table: TableRoute }
  /** Named by its name on local, which differs from the source's. */
  | { readonly type: 'local_name'; readonly key: string; readonly table: TableRoute }
  | { readonly type: 'view'; readonly key: string; readonly bases: readonly string[] }
  | { readonly type: 'sequence'; readonly key: string; readonly owner: string }
  /** Not migrated, or not known at all: it is the source's. */
  | { readonly type: 'plain'; readonly key: string };

export class SnapshotIndex {
  readonly snapshot: RoutingSnapshot;
  /** Some table's writes have to be waited for, or tracked: what an unknown function may have written matters then. */
  readonly waitsForUnknownWrites: 'position' | 'track' | 'none';
  /** The tables that a barrier is on for. */
  readonly quiescing: readonly (readonly [string, TableRoute])[];
  readonly #others: ReadonlySet<string>;
  readonly #missingViews: ReadonlySet<string>;
  readonly #storedViews: ReadonlySet<string>;
  /** Tables whose name on local differs: by that name. */
  readonly #localNames: ReadonlyMap<string, string>;
  /** Some table's definition is changed on local only. */
  readonly hasLocalDefinitions: boolean;

  constructor(snapshot: RoutingSnapshot) {
    this.snapshot = snapshot;
    const tables = Object.values(snapshot.tables);
    this.waitsForUnknownWrites = tables.some((table) => table.waitVisible) ? 'position' : tables.some((table) => table.trackWrites) ? 'track' : 'none';
    this.quiescing = Object.entries(snapshot.tables).filter(([, table]) => table.quiescing);
    this.#others = new Set([...snapshot.shadows, ...Object.keys(snapshot.writeClosure)]);
    this.#missingViews = new Set(snapshot.missingOnLocal);
    this.#storedViews = new Set(snapshot.storedViews);
    this.hasLocalDefinitions = tables.some((table) => this.isLocalDefinition(table));
    this.#localNames = new Map(Object.entries(snapshot.tables).flatMap(([key, table]) => {
      return isRenamed(table) ? [[relationKey(table.local.schema, table.local.name), key] as const] : [];
    }));
  }

  table(key: string): TableRoute | undefined {
    return Object.hasOwn(this.snapshot.tables, key) ? this.snapshot.tables[key] : undefined;
  }

  /** Temporary tables hide everything; then the schemas of the path in order; a name found nowhere is the source's to refuse. */
  resolve(relation: RelationRef, session: NamingContext): Resolved {
    const { schema, name } = relation;
    if (schema === undefined || schema === 'pg_temp') {
      const leg = session.temporaryTables.get(name);
      if (leg !== undefined) return { type: 'temporary', name, leg };
    }
    if (schema !== undefined) return isSystemSchema(schema) ? { type: 'system' } : this.#lookUp(relationKey(schema, name)) ?? { type: 'plain', key: relationKey(schema, name) };
    for (const searched of session.searchPath) {
      const found = this.#lookUp(relationKey(searched, name));
      if (found !== undefined) return found;
    }
    return { type: 'plain', key: relationKey(session.searchPath[0] ?? 'public', name) };
  }

  /** The name on local of what a name of the source stands for; undefined when it is the same, or is none of a migrated table's. */
  localName(relation: RelationRef, session: NamingContext): QualifiedName | undefined {
    if (this.#localNames.size === 0) return undefined;
    const found = this.resolve(relation, session);
    if (found.type === 'table') return isRenamed(found.table) ? found.table.local : undefined;
    if (found.type !== 'sequence') return undefined;
    // A sequence follows its table into another schema when it lived beside it.
    const owner = this.table(found.owner);
    const isBeside = owner !== undefined && owner.local.schema !== owner.source.schema && found.key === relationKey(owner.source.schema, relation.name);
    return isBeside ? { schema: owner.local.schema, name: relation.name } : undefined;
  }

  /** The key of what a name stands for (`pg_temp.name` for temporary tables), and what it is called on each side; undefined for system relations. */
  placed(relation: RelationRef, session: NamingContext): { readonly key: string; readonly source: TableName; readonly local: TableName } | undefined {
    const found = this.resolve(relation, session);
    switch (found.type) {
      case 'system': return undefined;
      case 'temporary': return { key: relationKey('pg_temp', found.name), source: { schema: 'pg_temp', name: found.name }, local: { schema: 'pg_temp', name: found.name } };
      case 'table': case 'local_name': return { key: found.key, source: found.table.source, local: found.table.local };
      case 'view': {
        const schema = relation.schema ?? session.searchPath.find((searched) => relationKey(searched, relation.name) === found.key);
        const name = { schema, name: relation.name };
        return { key: found.key, source: name, local: name };
      }
      // As written: each side finds it by the session's search path.
      case 'sequence': case 'plain': return { key: found.key, source: relation, local: relation };
      default: return found satisfies never;
    }
  }

  /** Its migration is complete: DDL goes to local, and the source's table is what was left behind. */
  isLocalDefinition(table: TableRoute): boolean {
    return table.state === 'LOCAL_ONLY' && table.writes === 'local' && !table.ddlBlocked;
  }

  /** Whether every table of this name on local is so; of one of these schemas, if any are given. */
  isDefinedOnLocal(name: string, schemas: readonly string[]): boolean {
    const named = Object.values(this.snapshot.tables).filter(({ local }) => local.name === name && (schemas.length === 0 || schemas.includes(local.schema)));
    return named.length > 0 && named.every((table) => this.isLocalDefinition(table));
  }

  isMissingOnLocal(viewKey: string): boolean {
    return this.#missingViews.has(viewKey);
  }

  isStored(viewKey: string): boolean {
    return this.#storedViews.has(viewKey);
  }

  /** `name` as in `StatementFacts.functions`: `f` or `schema.f`. */
  functionTouches(name: string, session: SessionContext): FunctionTouches | undefined {
    const functions = this.snapshot.functions;
    if (functions === undefined) return undefined;
    const keys = name.includes('.') ? [name] : session.searchPath.map((schema) => relationKey(schema, name));
    for (const key of keys) if (Object.hasOwn(functions, key)) return functions[key];
    return undefined;
  }

  #lookUp(key: string): Resolved | undefined {
    const table = this.table(key);
    if (table !== undefined) return { type: 'table', key, table };
    const { views, sequences } = this.snapshot;
    const bases = Object.hasOwn(views, key) ? views[key] : undefined;
    if (bases !== undefined) return { type: 'view', key, bases };
    const owner = Object.hasOwn(sequences, key) ? sequences[key] : undefined;
    if (owner !== undefined) return { type: 'sequence', key, owner };
    if (this.#others.has(key)) return { type: 'plain', key };
    return this.#byLocalName(key);
  }

  #byLocalName(key: string): Resolved | undefined {
    const sourceKey = this.#localNames.get(key);
    const table = sourceKey === undefined ? undefined : this.table(sourceKey);
    return sourceKey === undefined || table === undefined ? undefined : { type: 'local_name', key: sourceKey, table };
  }
}

/** Its name on local differs: a text that names it goes there rewritten (`session/local-names.ts`), a definition does not. */
export function isRenamed(table: TableRoute): boolean {
  return table.local.schema !== table.source.schema || table.local.name !== table.source.name;
}

function isSystemSchema(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema' || schema === 'pg_toast';
}
