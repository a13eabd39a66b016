/** How this folder asks a server: SQL text in, rows of texts out, whatever carries them. */
export type MysqlRow = Readonly<Record<string, string | null>>;

/** One statement; every value as the server prints it. */
export type MysqlQuery = (sql: string) => Promise<readonly MysqlRow[]>;

/** Right under every `sql_mode`: with NO_BACKSLASH_ESCAPES or without. */
export function mysqlLiteral(text: string): string {
  return text === '' ? "''" : `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`;
}

export function mysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function mysqlTableName(table: { readonly schema: string; readonly name: string }): string {
  return `${mysqlName(table.schema)}.${mysqlName(table.name)}`;
}

export interface MysqlScope {
  readonly schema: string;
  /** Undefined: every table of the schema. */
  readonly table: string | undefined;
}

/** Condition on the columns of a table of information_schema that name a table. */
export function inScope(scope: MysqlScope, schemaColumn = 'TABLE_SCHEMA', tableColumn = 'TABLE_NAME'): string {
  return `${schemaColumn} = ${mysqlLiteral(scope.schema)}${scope.table === undefined ? '' : ` AND ${tableColumn} = ${mysqlLiteral(scope.table)}`}`;
}

/** PostgreSQL leaves out the zeros at the end of a fraction. */
export function withoutZeros(name: string, fraction: number): string {
  const text = `CAST(${name} AS CHAR)`;
  return fraction === 0 ? text : `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${text}))`;
}

/** Of a column whose bytes a connection of ours reads as `\x` and hexadecimal digits. */
export const bytesName = 'causeway bytes';

/** An item of a SELECT's list. The server would give NULL for digits that are longer than its `max_allowed_packet`, without an error. */
export function bytesSql(name: string): string {
  return `${name} AS ${mysqlName(bytesName)}`;
}
