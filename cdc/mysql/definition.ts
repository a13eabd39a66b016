/** One table as MySQL or MariaDB describes it: plain values; names as they are spelled there, expressions in MySQL's own words. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { ColumnType } from './column-type.ts';
import type { MysqlCapabilities } from './capabilities.ts';

export interface MysqlTable extends QualifiedName {
  readonly server: MysqlCapabilities;
  /** `InnoDB`, `MyISAM` … */
  readonly engine: string;
  readonly collation: string | null;
  readonly comment: string;
  /** Next number of AUTO_INCREMENT. */
  readonly nextNumber: string | null;
  /** From the statistics: may be far off. */
  readonly estimatedRows: number;
  readonly bytes: number;
  readonly columns: readonly MysqlColumn[];
  readonly indexes: readonly MysqlIndex[];
  readonly foreignKeys: readonly MysqlForeignKey[];
  /** Foreign keys of other tables that point here. */
  readonly referencedBy: readonly MysqlForeignKey[];
  readonly checks: readonly MysqlCheck[];
  readonly partitions: readonly MysqlPartition[];
  readonly triggers: readonly MysqlTrigger[];
  /** Views that name the table, and events of its schema whose text does. */
  readonly views: readonly QualifiedName[];
  readonly events: readonly string[];
}

export interface MysqlColumn {
  readonly name: string;
  /** From 1, in the order of the table. */
  readonly position: number;
  readonly type: ColumnType;
  /** As the server writes it. */
  readonly typeText: string;
  readonly charset: string | null;
  readonly collation: string | null;
  /** PAD SPACE: blanks at the end do not count in comparisons. */
  readonly padsBlanks: boolean;
  readonly notNull: boolean;
  readonly default: MysqlDefault | null;
  readonly generated: { readonly expression: string; readonly kind: 'stored' | 'virtual' } | null;
  readonly autoIncrement: boolean;
  /** It is AUTO_INCREMENT, or refers by foreign keys to a column that is: its numbers stay below 2^63. */
  readonly isNumbered: boolean;
  readonly onUpdateNow: boolean;
  /** MariaDB's JSON: LONGTEXT with a check `json_valid`. */
  readonly isJsonText: boolean;
  readonly isInvisible: boolean;
  readonly comment: string;
}

/** A literal as its text, or an expression in MySQL's words. */
export type MysqlDefault = { readonly kind: 'literal'; readonly text: string } | { readonly kind: 'expression'; readonly text: string };

export interface MysqlIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly kind: 'btree' | 'fulltext' | 'spatial' | 'vector';
  readonly parts: readonly MysqlIndexPart[];
  readonly comment: string;
}

export interface MysqlIndexPart {
  /** Null for an expression. */
  readonly column: string | null;
  readonly expression: string | null;
  /** Characters, or bytes of a byte type, of a prefix. */
  readonly prefix: number | null;
  readonly descending: boolean;
}

export type MysqlForeignKeyRule = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';

export interface MysqlForeignKey {
  readonly name: string;
  readonly child: QualifiedName;
  readonly columns: readonly string[];
  readonly parent: QualifiedName;
  readonly parentColumns: readonly string[];
  readonly onUpdate: MysqlForeignKeyRule;
  readonly onDelete: MysqlForeignKeyRule;
  /** False: InnoDB lets a key point at columns that are not unique. */
  readonly isParentUnique: boolean;
}

export interface MysqlCheck {
  readonly name: string;
  readonly expression: string;
  readonly enforced: boolean;
}

export interface MysqlPartition {
  readonly name: string;
  readonly method: string;
  readonly expression: string | null;
  readonly description: string | null;
}

export interface MysqlTrigger {
  readonly name: string;
  readonly timing: string;
  readonly event: string;
  readonly statement: string;
}
