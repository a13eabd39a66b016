/** A MySQL or MariaDB server as source beside the packaged PostgreSQL as local, and how tests read and write values on it. */
import mysql from 'mysql2/promise';
import type pg from 'pg';
import type { ColumnType } from '../../../cdc/mysql/column-type.ts';
import { isByteType } from '../../../cdc/mysql/column-type.ts';
import { shortestSingle } from '../../../cdc/mysql/convert-numbers.ts';
import { mysqlLiteral, mysqlName } from '../../../cdc/mysql/query.ts';
import type { MysqlQuery, MysqlRow } from '../../../cdc/mysql/query.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql, TestMysqlOptions } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

export interface MysqlSource extends AsyncDisposable {
  readonly mysql: TestMysql;
  readonly postgres: TestPostgres;
  readonly query: MysqlQuery;
  readonly local: pg.Client;
}

/** Those that every test of the connector runs on. */
export const sourceKinds = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const satisfies readonly MysqlKind[];

export async function startMysqlSource(kind: MysqlKind, options: TestMysqlOptions = {}): Promise<MysqlSource> {
  const mysql = await startMysql(kind, options);
  const postgres = await startTestPostgres();
  return {
    mysql, postgres, query: (sql) => mysql.sql(sql), local: await postgres.client(),
    [Symbol.asyncDispose]: async () => {
      await mysql.dispose();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

/** A connection of a user whose password is its name. */
export async function connectAs(server: TestMysql, user: string): Promise<AsyncDisposable & { readonly query: MysqlQuery }> {
  const connection = await mysql.createConnection({ host: server.host, port: server.port, user, password: user, typeCast: (field) => field.string() });
  return {
    query: async (sql) => {
      const [rows] = await connection.query(sql);
      return Array.isArray(rows) ? (rows as MysqlRow[]) : [];
    },
    [Symbol.asyncDispose]: () => connection.end(),
  };
}

export interface ReadColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** Rows of canonical text, in the order of the first column. */
export async function readCanonical(mysql: TestMysql, database: string, table: string, columns: readonly ReadColumn[]): Promise<(string | null)[][]> {
  const selected = columns.map(({ name, type }, index) => `${expressionOf(mysqlName(name), type)} AS c${index}`);
  const rows = await mysql.sql(`SET time_zone = '+00:00', sql_mode = ''; SELECT ${selected.join(', ')} FROM ${mysqlName(table)} ORDER BY ${mysqlName(columns[0]?.name ?? '')}`, database);
  return rows.map((row) => columns.map(({ type }, index) => {
    const text = row[`c${index}`] ?? null;
    return text === null ? null : canonicalOf(text, type);
  }));
}

function expressionOf(name: string, type: ColumnType): string {
  if (isByteType(type)) return `HEX(${name})`;
  if (type.name === 'bit') return `BIN(${name} + 0)`;
  if (type.name === 'float') return `${name} + 0e0`;
  if (type.name === 'json') return `CAST(${name} AS CHAR CHARACTER SET utf8mb4)`;
  return name;
}

function canonicalOf(text: string, type: ColumnType): string {
  if (isByteType(type)) return `\\x${text.toLowerCase()}`;
  if (type.name === 'bit') return text.padStart(type.length ?? 1, '0');
  return type.name === 'float' && text !== '-0' ? shortestSingle(Number(text)) : text;
}

/** A value as it stands in an INSERT, under every mode and character set. */
export function valueLiteral(text: string | null, type: ColumnType): string {
  if (text === null) return 'NULL';
  if (isByteType(type)) return text === '\\x' ? "''" : `x'${text.slice(2)}'`;
  if (type.name === 'bit') return `b'${text}'`;
  return mysqlLiteral(text);
}

export async function writeCanonical(mysql: TestMysql, database: string, table: string, columns: readonly ReadColumn[], rows: readonly (readonly (string | null)[])[], mode: string): Promise<void> {
  const values = rows.map((row) => `(${row.map((value, index) => valueLiteral(value, columns[index]?.type ?? { name: 'text', length: undefined, scale: undefined, unsigned: false, zerofill: false, labels: [] })).join(', ')})`);
  await mysql.sql(`SET time_zone = '+00:00', sql_mode = '${mode}'; INSERT INTO ${mysqlName(table)} (${columns.map(({ name }) => mysqlName(name)).join(', ')}) VALUES ${values.join(', ')}`, database);
}
