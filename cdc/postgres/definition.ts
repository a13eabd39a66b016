/** One table as its server describes it: plain, frozen values; names folded, every expression spelled with schemas. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

export interface TableDefinition {
  readonly serverVersion: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'partitioned' | 'foreign';
  readonly persistence: 'permanent' | 'unlogged' | 'temporary';
  readonly owner: string;
  readonly comment: string | null;
  /** `fillfactor=70`, `autovacuum_enabled=false` … */
  readonly storageOptions: readonly string[];
  readonly withOids: boolean;
  /** In attnum order; dropped columns are left out and leave a hole in `attnum`. */
  readonly columns: readonly ColumnDefinition[];
  /** Primary key, unique, exclusion and check constraints. */
  readonly constraints: readonly ConstraintDefinition[];
  readonly foreignKeys: readonly ForeignKeyDefinition[];
  readonly referencedBy: readonly ForeignKeyDefinition[];
  readonly indexes: readonly IndexDefinition[];
  readonly triggers: readonly TriggerDefinition[];
  readonly rules: readonly { readonly name: string; readonly event: 'select' | 'update' | 'insert' | 'delete'; readonly enabled: boolean; readonly definition: string; readonly relations: readonly QualifiedName[] }[];
  readonly rowSecurity: { readonly enabled: boolean; readonly forced: boolean };
  readonly policies: readonly { readonly name: string; readonly command: string; readonly roles: readonly string[]; readonly using: string | null; readonly check: string | null; readonly permissive: boolean }[];
  readonly sequences: readonly SequenceDefinition[];
  readonly replicaIdentity: { readonly kind: 'default' | 'nothing' | 'full' | 'index'; readonly index: string | null };
  readonly partitioning: { readonly strategy: 'range' | 'list' | 'hash'; readonly key: string } | null;
  /** Partitions of every level; empty for a plain table. */
  readonly partitions: readonly PartitionDefinition[];
  readonly partitionOf: QualifiedName | null;
  readonly inherits: readonly QualifiedName[];
  readonly inheritedBy: readonly QualifiedName[];
  readonly grants: readonly GrantDefinition[];
  /** Roles (or PUBLIC) that may use the table's schema: without that a privilege on the table is worth nothing. */
  readonly schemaUsers: readonly string[];
  readonly requiredTypes: readonly RequiredType[];
  readonly views: readonly QualifiedName[];
  /** From the statistics, partitions summed; −1 when never analysed. */
  readonly estimatedRows: number;
  readonly bytes: number;
}

export interface GrantDefinition {
  /** `PUBLIC`, or a role. */
  readonly grantee: string;
  readonly privilege: string;
  /** Null: on the whole table. */
  readonly column: string | null;
  readonly grantable: boolean;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly attnum: number;
  /** As `format_type` writes it with a schema where needed. */
  readonly type: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange; of the element for arrays. */
  readonly typeKind: string;
  /** Base type below domains: `schema.name` of `pg_type` (arrays start with an underscore). */
  readonly baseType: string;
  readonly typeLength: number;
  readonly notNull: boolean;
  readonly default: string | null;
  /** Sequence that the default draws from. */
  readonly defaultSequence: QualifiedName | null;
  readonly identity: 'always' | 'by default' | null;
  readonly generated: 'stored' | 'virtual' | null;
  /** Undefined as null: the type's own default. */
  readonly collation: CollationDefinition | null;
  readonly storage: 'plain' | 'external' | 'extended' | 'main';
  readonly typeStorage: 'plain' | 'external' | 'extended' | 'main';
  readonly compression: 'pglz' | 'lz4' | null;
  /** −1 or null: the server's default target. */
  readonly statistics: number | null;
  readonly comment: string | null;
}

export interface CollationDefinition {
  readonly schema: string;
  readonly name: string;
  readonly provider: string;
  readonly deterministic: boolean;
  readonly version: string | null;
  /** True when the column says so itself, false when it comes with the type. */
  readonly explicit: boolean;
}

export interface ConstraintDefinition {
  readonly name: string;
  readonly type: 'primary' | 'unique' | 'exclusion' | 'check';
  readonly columns: readonly string[];
  /** `pg_get_constraintdef`: without the table's name. */
  readonly definition: string;
  readonly validated: boolean;
  readonly deferrable: boolean;
  readonly deferred: boolean;
  /** NO INHERIT (check only). */
  readonly noInherit: boolean;
  readonly comment: string | null;
}

export type ForeignKeyAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';

export interface ForeignKeyDefinition {
  readonly name: string;
  readonly child: QualifiedName;
  readonly columns: readonly string[];
  readonly parent: QualifiedName;
  readonly parentColumns: readonly string[];
  readonly onUpdate: ForeignKeyAction;
  readonly onDelete: ForeignKeyAction;
  /** Columns of ON DELETE SET NULL (…), empty for all. */
  readonly onDeleteColumns: readonly string[];
  readonly match: 'simple' | 'full' | 'partial';
  readonly deferrable: boolean;
  readonly deferred: boolean;
  readonly validated: boolean;
}

export interface IndexDefinition {
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly valid: boolean;
  readonly immediate: boolean;
  readonly method: string;
  /** Key columns; null for an expression. */
  readonly columns: readonly (string | null)[];
  readonly predicate: string | null;
  /** Everything after `ON table `: `USING btree (a, b) WHERE …`; holds no name of the table and no tablespace. */
  readonly tail: string;
  /** Name of the constraint that the index carries. */
  readonly constraint: string | null;
  readonly comment: string | null;
}

export interface TriggerDefinition {
  readonly name: string;
  /** `O`rigin, `D`isabled, `R`eplica, `A`lways. */
  readonly enabled: string;
  readonly definition: string;
  readonly function: QualifiedName;
  readonly language: string;
  /** Tables whose bare names the function's text holds: what it may write. */
  readonly mentions: readonly QualifiedName[];
}

export interface SequenceDefinition {
  readonly schema: string;
  readonly name: string;
  /** Owning column; null for a free sequence that a default draws from. */
  readonly ownedBy: string | null;
  readonly column: string;
  readonly identity: boolean;
  readonly type: string;
  /** int8 values as text. */
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: boolean;
  readonly lastValue: string;
  readonly isCalled: boolean;
}

export interface PartitionDefinition extends QualifiedName {
  readonly oid: number;
  readonly parent: QualifiedName;
  readonly bound: string;
  /** Partitions that are partitioned themselves. */
  readonly partitioning: { readonly strategy: 'range' | 'list' | 'hash'; readonly key: string } | null;
  readonly isForeign: boolean;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  /** `name attnum type` of each column: pgoutput sends changes in this order. */
  readonly columns: readonly string[];
  /** Indexes and checks that the parent lacks. */
  readonly ownIndexes: readonly IndexDefinition[];
  readonly ownChecks: readonly { readonly name: string; readonly definition: string }[];
  /** A partition that is named itself is checked by its own. */
  readonly grants: readonly GrantDefinition[];
  readonly schemaUsers: readonly string[];
}

/** A type that the columns need and that is not built in; in the order in which they have to be created. */
export type RequiredType =
  | { readonly kind: 'enum'; readonly schema: string; readonly name: string; readonly labels: readonly string[] }
  | { readonly kind: 'domain'; readonly schema: string; readonly name: string; readonly base: string; readonly notNull: boolean; readonly default: string | null; readonly collation: string | null; readonly checks: readonly { readonly name: string; readonly definition: string }[] }
  | { readonly kind: 'composite'; readonly schema: string; readonly name: string; readonly fields: readonly { readonly name: string; readonly type: string; readonly collation: string | null }[] }
  | { readonly kind: 'range'; readonly schema: string; readonly name: string; readonly subtype: string }
  | { readonly kind: 'extension'; readonly schema: string; readonly name: string; readonly extension: string; readonly version: string }
  | { readonly kind: 'base'; readonly schema: string; readonly name: string };
