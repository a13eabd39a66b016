/** What the change path needs to know about one table: frozen, made once per START (and again when the definition changes). */
import type { QualifiedName } from '../catalog/routing-snapshot.ts';

export interface TablePlan {
  readonly tableId: string;
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  /** The columns that are carried, in the source's order; generated columns are not (the target computes them). */
  readonly columns: readonly PlannedColumn[];
  /**
   * Names of the columns that identify a row: primary key, else a not-null unique key, else (`full`) every column as a
   * multiset. Chunking and upserts need `primary` or `unique`.
   */
  readonly key: readonly string[];
  readonly keyKind: 'primary' | 'unique' | 'full';
  /** Column lists of the other unique keys and exclusion constraints: changes that meet on one of them are dependent (RULES 5). */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** Parents by foreign key, for dependency between transactions (RULES 5): child columns → parent table and columns. */
  readonly foreignKeys: readonly { readonly columns: readonly string[]; readonly parent: QualifiedName; readonly parentColumns: readonly string[] }[];
  /** SQL predicate over the source's columns that selects the rows to carry; evaluated on the target for changes. */
  readonly where: string | undefined;
  readonly isPartitioned: boolean;
  /** Hash of everything above that comes from the source's definition; a checkpoint or a chunk of another hash is void. */
  readonly definitionHash: string;
}

export interface PlannedColumn {
  readonly name: string;
  /** As `format_type` writes it, schema-qualified where needed: can be put behind `::`. */
  readonly type: string;
  readonly typeOid: number;
  readonly attnum: number;
  readonly notNull: boolean;
  /** Equal values always have equal text (false for citext, numeric, float, non-deterministic collations): such keys are not folded. */
  readonly canonicalText: boolean;
  /** The value may be stored out of line, so an update may leave it out ("unchanged TOAST"). */
  readonly toastable: boolean;
}
