/** A plan's columns by their places in a relation's tuples: what SQL is built from and rows are read by. */
import type { Relation } from '../change.ts';
import type { PlannedColumn, TablePlan } from '../table-plan.ts';

export interface BoundColumn {
  readonly plan: PlannedColumn;
  /** Place in the relation's tuples. */
  readonly at: number;
  readonly quoted: string;
}

/** What the target's catalog says of the table. */
export interface TargetShape {
  /** GENERATED ALWAYS AS IDENTITY: cannot be set by UPDATE. */
  readonly identityAlways: ReadonlySet<string>;
  readonly generated: ReadonlySet<string>;
  /** Columns in which texts that differ may be equal for the target, and for the source not: only where the two compare otherwise. */
  readonly looseTexts?: ReadonlySet<string> | undefined;
  /** Of these, those in which texts that differ in case alone are equal for the source, too. */
  readonly caseFolded?: ReadonlySet<string> | undefined;
}

export interface BoundTable {
  readonly plan: TablePlan;
  readonly relation: Relation;
  readonly columns: readonly BoundColumn[];
  readonly keyColumns: readonly BoundColumn[];
  /** Places of the key's values in tuples, in the key's order; empty for keyless tables. */
  readonly keyPlaces: readonly number[];
  /** True when equal keys always have equal text, so that changes may be folded (RULES 5). */
  readonly foldable: boolean;
  /** Columns of the key by whose text a row is told from another one whose key is equal for the target alone. */
  readonly looseKey: readonly BoundColumn[];
  readonly mayLeaveOut: boolean;
  readonly targetName: string;
  readonly shape: TargetShape;
}
