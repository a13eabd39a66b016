/** What the control keeps in a table's `details`, so that every phase can be a turn of a loop that re-reads saved state. */
import type { TableRecord } from '../../catalog/records.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import type { TableMapping } from '../../cdc/source-side.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import type { TypeOverride } from '../../grammar/migration/type-overrides.ts';

/** What a definition does to rows that are written, and no row image shows. */
export interface TableBehaviour {
  readonly defaults: Readonly<Record<string, string | null>>;
  readonly checks: readonly string[];
  /** Columns that take no NULL. */
  readonly notNull?: readonly string[];
  /** All behind the table's name, with UNIQUE before it where it is one. */
  readonly indexes?: readonly string[];
  readonly foreignKeys?: readonly string[];
}

export interface TableDetails {
  readonly plan: TablePlan;
  /** The same for local → source, from local's definition; set by the first cutover. */
  readonly reversePlan?: TablePlan;
  /** All partitions below the table, on the source: their names route as the table's does. */
  readonly partitions: readonly QualifiedName[];
  /** The clients that reach it on the source are not PostgreSQL's: see `TableRoute`. */
  readonly door?: 'mysql';
  /** Of a source of another engine: for translators of statements. */
  readonly translation?: MigratedTable;
  /** Secondary indexes and constraints stand, and the stream has passed the consistency point (RULES 3). */
  readonly indexesBuilt?: boolean;
  /** Of the source, when the plan was made. */
  readonly behaviour?: TableBehaviour;
  readonly startedAt?: string;
  readonly loadStartedAt?: string;
  readonly loadElapsedMs?: number;
  readonly loadBytes?: number;
  /** Reads stay on the source in DUAL_WRITE: some user may not read the table on local as on the source. */
  readonly readsHeld?: boolean;
  /** Set by CUTOVER … NO ROLLBACK: there is no reverse stream. */
  readonly noRollback?: boolean;
  /** Set by CUTOVER … NO FENCE. */
  readonly noFence?: boolean;
  /** Set when the migration is ending: whether the table on local goes with it. */
  readonly dropLocal?: boolean;
  /** Changes of the source are lost to it: RESUME would go on with a gap. */
  readonly needsResync?: boolean;
  /** Its load begins anew by itself. */
  readonly loadsAnew?: boolean;
  /** Last cutover or rollback: what SHOW MIGRATION STATUS FOR TABLE tells of it. */
  readonly lastSwitch?: { readonly direction: 'cutover' | 'rollback'; readonly at: string; readonly pauseMs: number; readonly steps: Readonly<Record<string, number>> };
}

export function detailsOf(record: TableRecord): TableDetails {
  return record.details as unknown as TableDetails;
}

/** Keys under which the table's statements arrive: its own name and its partitions'. */
export function routedKeys(record: TableRecord): readonly string[] {
  return [record.source, ...(detailsOf(record).partitions ?? [])].map((name) => relationKey(name.schema, name.name));
}

export function displayName(name: QualifiedName): string {
  return `${name.schema}.${name.name}`;
}

/** What the table's options say of its definition on local. */
export function mappingOf(record: TableRecord): TableMapping {
  const { columns, typeMap } = record.options;
  return {
    ...(Array.isArray(typeMap) ? { overrides: typeMap as readonly TypeOverride[] } : {}), ...(Array.isArray(columns) ? { columns: columns as string[] } : {}), targetSchema: record.target.schema,
  };
}
