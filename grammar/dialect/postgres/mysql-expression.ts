/** A translated expression: PostgreSQL's text and MySQL's type. */
import type { MysqlColumnFacts, MysqlTableFacts } from './mysql-translation.ts';
import type { MysqlType } from './mysql-type.ts';

export interface Origin {
  readonly column: MysqlColumnFacts;
  readonly table: MysqlTableFacts;
  /** The table's name in the statement. */
  readonly alias: string;
}

export interface Value {
  /** Can stand beside any operator. */
  readonly sql: string;
  readonly type: MysqlType;
  readonly nullable: boolean;
  /** Of a constant what it says: of strings their characters, of numbers their digits with a sign. */
  readonly constant?: string | undefined;
  /** A column as it is. */
  readonly origin?: Origin | undefined;
  readonly place?: number | undefined;
  /** Of the string `shown`, as long as it is this expression: the date or time that it always says. */
  readonly moment?: { readonly shown: string; readonly value: Value } | undefined;
}

export function valueOf(sql: string, type: MysqlType, parts: readonly Pick<Value, 'nullable'>[]): Value {
  return { sql, type, nullable: parts.some(({ nullable }) => nullable) };
}
