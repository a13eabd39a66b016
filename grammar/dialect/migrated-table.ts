/**
 * What is known of a migrated table of another engine on both sides, for whoever translates statements over it, in either direction: plain JSON,
 * kept by the control and asked for by the gateway workers. Columns have the same names on both sides.
 */
export interface MigratedTable {
  readonly mysql: { readonly database: string; readonly name: string };
  readonly local: { readonly schema: string; readonly name: string };
  readonly server: { readonly flavour: 'mysql' | 'mariadb'; /** 80016 = 8.0.16. */ readonly version: number; readonly text: string };
  /** Of the table; columns that say nothing have it. */
  readonly collation: string | null;
  /** Of all that is said here: equal hashes, equal facts. */
  readonly hash: string;
  /** Those that are carried or computed on local, in the table's order. */
  readonly columns: readonly MigratedColumn[];
  /** Columns of the primary key; empty without. */
  readonly primaryKey: readonly string[];
  /** Unique keys that stand on both sides, the primary one first. */
  readonly uniqueKeys: readonly MigratedKey[];
  /** Columns of the other indexes of the MySQL table, as far as they are columns; undefined in what was kept before this was told. */
  readonly otherKeys?: readonly (readonly (string | null)[])[];
  readonly foreignKeys: readonly MigratedForeignKey[];
  /** Foreign keys of other tables that point here. */
  readonly referencedBy: readonly MigratedForeignKey[];
}

export interface MigratedColumn {
  readonly name: string;
  /** From 1, in the order of the MySQL table: there may be columns in between that are not carried. */
  readonly position: number;
  /** On local, as `format_type` prints it with a schema where needed: `numeric(10,2)`, `shop."Order_state"` for an enum. */
  readonly type: string;
  /** That type is an enum of the table's own. */
  readonly isLocalEnum: boolean;
  /** On local; undefined for the type's own. */
  readonly localCollation?: { readonly schema: string; readonly name: string; readonly deterministic: boolean };
  /** On the MySQL server, aliases resolved: `int`, `varchar`, `geometrycollection`. */
  readonly mysqlType: string;
  /** As the server writes it: `decimal(12,2) unsigned`. */
  readonly typeText: string;
  /** Characters, bytes, bits, digits, fractional digits of a moment, display width of an integer. */
  readonly length?: number;
  /** Digits behind the point. */
  readonly scale?: number;
  readonly unsigned: boolean;
  readonly zerofill: boolean;
  /** Of ENUM and SET, in the order of their numbers. */
  readonly labels?: readonly string[];
  readonly charset: string | null;
  readonly collation: string | null;
  /** Blanks at the end do not count in comparisons on the MySQL server. */
  readonly padsBlanks: boolean;
  readonly nullable: boolean;
  /** On local NULL may stand for a value that it cannot hold, whatever `nullable` says. */
  readonly mayBecomeNull: boolean;
  /** In MySQL's terms; undefined: none, not even NULL for a column that is NOT NULL. */
  readonly default?: { readonly kind: 'literal' | 'expression'; readonly text: string };
  /** Local has that default too. */
  readonly hasLocalDefault: boolean;
  readonly autoIncrement: boolean;
  /** Of the identity column on local. */
  readonly sequence?: { readonly schema: string; readonly name: string };
  readonly onUpdateNow: boolean;
  /** A value that both servers compute. */
  readonly generated?: 'stored' | 'virtual';
  /** MariaDB's JSON: LONGTEXT with a check. */
  readonly isJsonText: boolean;
  /** Not among those of `*`. */
  readonly isInvisible: boolean;
  /** Its type on local is the usual one for its MySQL type, and no word of `type_map` changes values: all that local has is what MySQL had. */
  readonly exact: boolean;
  /** As `exact`, but for the zero date, which is -infinity on local. */
  readonly hasZeroDate?: true;
  /** What happens to values that the other side cannot hold, where that is not `reject`. */
  readonly policies: Readonly<Record<string, string>>;
}

export interface MigratedKey {
  /** `PRIMARY`, or the index's name. */
  readonly mysqlName: string;
  readonly localName: string;
  /** Null for an expression, or a prefix of a column. */
  readonly columns: readonly (string | null)[];
}

export interface MigratedForeignKey {
  readonly mysqlName: string;
  readonly localName: string;
  readonly child: { readonly database: string; readonly name: string };
  readonly columns: readonly string[];
  readonly parent: { readonly database: string; readonly name: string };
  readonly parentColumns: readonly string[];
  readonly onUpdate: string;
  readonly onDelete: string;
}
