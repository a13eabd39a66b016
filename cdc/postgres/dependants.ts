/**
 * What hangs on a table and makes it behave as it does: functions, triggers, rules, policies and views, as values that say how to make each of
 * them on local, how to know it there again, and what has to be there first. `read-dependants` makes the values, `create-dependants` the objects.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

export type DependantKind = 'extension' | 'type' | 'function' | 'row security' | 'policy' | 'trigger' | 'rule' | 'view' | 'materialized view';

/** `sql` is a scalar SELECT for local; null when the object is not there, otherwise what has to equal `expected`. */
export interface Probe {
  readonly sql: string;
  readonly expected: string;
}

export interface Dependant {
  readonly kind: DependantKind;
  /** For people, and unique within its kind: `public.f(integer)`, `orders_audit on public.orders`. */
  readonly name: string;
  /** Set for views. */
  readonly relation: QualifiedName | undefined;
  /** Set for functions and procedures. */
  readonly routine?: QualifiedName;
  /** No write needs it: views do, or applications may call it, as it names the tables, or none at all (`tables` is empty then). */
  readonly isCalledOnly?: boolean;
  /** Of a view: its query in place of its name shows everybody who may read it the same. */
  readonly isPlainQuery?: boolean;
  /** `before`: the table cannot be created without it (defaults, checks, generated columns, indexes). */
  readonly phase: 'before' | 'after';
  /** Migrated tables, by their names on the source, that behave differently without it. */
  readonly tables: readonly QualifiedName[];
  /** Tables that have to be on local before it can be made: a view reads them under whatever name they have there, all else under the names of the source. */
  readonly under: readonly QualifiedName[];
  /** Why it cannot be carried at all. */
  readonly refused: string | undefined;
  readonly exact: Probe;
  /** Used instead of `exact` between servers of different major versions, which spell the same expression differently. */
  readonly loose: Probe | undefined;
  readonly create: readonly string[];
  /** Comments and grants: one that local refuses does not undo the object. */
  readonly extras: readonly string[];
  /** Undefined for what goes with its table, or is left in place. */
  readonly drop: string | undefined;
}

/** A table of the migration, as far as what hangs on it is concerned. */
export interface CarriedTable {
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  readonly copyGrants: boolean;
  /** Who a role of the source is on local; default: the role of its name. */
  readonly rolesOf?: (role: string) => readonly string[];
}

/** `SELECT` as `pg_get_viewdef` gives it with every name spelled out → the same over the tables' names on local. */
export type DefinitionRewriter = (query: string) => string;

export interface DependantContext {
  readonly tables: readonly CarriedTable[];
  /** First value of every query below: the tables' names as `to_regclass` takes them. */
  readonly names: readonly string[];
  /** Of views. */
  readonly rewrite: DefinitionRewriter;
}

/** `rel(i, oid)`: the i-th table (from 1), its partitions, and every view that reads one of them, through other views too. */
export const relSql = `rel(i, oid) AS (
  SELECT x.i, to_regclass(x.name)::oid FROM unnest($1::text[]) WITH ORDINALITY x(name, i) WHERE to_regclass(x.name) IS NOT NULL
  UNION SELECT r.i, next.oid FROM rel r CROSS JOIN LATERAL (
    SELECT h.inhrelid AS oid FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition WHERE h.inhparent = r.oid
    UNION ALL SELECT w.ev_class FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid AND w.rulename = '_RETURN' JOIN pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
      WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid AND w.ev_class <> r.oid) next)`;

/** Numbers as `rel` gives them → the tables. */
export function tablesOf(context: DependantContext, numbers: readonly number[]): QualifiedName[] {
  return numbers.flatMap((number) => context.tables[number - 1]?.source ?? []);
}

/** Where a relation of the i-th table is on local: partitions follow their root into another schema when they lived beside it. */
export function nameOnLocal(context: DependantContext, number: number, relation: QualifiedName): QualifiedName {
  const table = context.tables[number - 1];
  if (table === undefined) return relation;
  if (table.source.schema === relation.schema && table.source.name === relation.name) return table.target;
  return relation.schema === table.source.schema ? { schema: table.target.schema, name: relation.name } : relation;
}

export function isRenamed(table: CarriedTable): boolean {
  return table.source.schema !== table.target.schema || table.source.name !== table.target.name;
}
