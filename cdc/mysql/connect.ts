/** Control connections to a MySQL or MariaDB server: every value comes back as the server's own text, in one fixed style. */
import mysql from 'mysql2';
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorCode } from '../../config/migration-error.ts';
import { tlsOptions } from '../postgres/connect.ts';
import { describeAddress } from '../postgres/server-address.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import { bytesName } from './query.ts';
import type { MysqlRow } from './query.ts';
import type { ReplicationAddress } from './replication-address.ts';

export interface MysqlConnectOptions {
  readonly signal?: AbortSignal;
  /** Default 10,000. */
  readonly timeoutMs?: number;
  /** Several statements in one text. Default: one. */
  readonly multipleStatements?: boolean;
}

/**
 * Values in UTC and in Unicode, whatever the server's settings say; a reader that is held back is not hung up on. No mode of the user's: it would
 * decide what a literal or a CHAR means.
 */
export const mysqlSession = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = '', net_write_timeout = 31536000, sql_select_limit = DEFAULT";

function bytesText(bytes: Buffer | null): string | null {
  return bytes === null ? null : `\\x${bytes.toString('hex')}`;
}

/** Throws MIG001, MIG003, MIG004. */
export function connectMysql(address: ServerAddress, options: MysqlConnectOptions = {}): Promise<mysql.Connection> {
  options.signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<mysql.Connection>();
  const connection = mysql.createConnection({
    host: address.host, port: address.port, user: address.user, database: address.database, connectTimeout: options.timeoutMs ?? 10_000,
    // A statement of ours is its text alone; files of this machine are nobody's business.
    flags: ['-CLIENT_QUERY_ATTRIBUTES', '-LOCAL_FILES'],
    charset: 'utf8mb4', typeCast: (field) => (field.name === bytesName ? bytesText(field.buffer()) : field.string('utf8')), rowsAsArray: true, enableKeepAlive: true, multipleStatements: options.multipleStatements ?? false,
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.ssl === undefined ? {} : { ssl: sslOptions(address.ssl, address.host) }),
  });
  const abandon = (): void => connection.destroy();
  options.signal?.addEventListener('abort', abandon, { once: true });
  // A connection that is lost while it is idle must not end the process.
  connection.on('error', () => undefined);
  connection.connect((error) => {
    options.signal?.removeEventListener('abort', abandon);
    if (options.signal?.aborted === true) reject(options.signal.reason instanceof Error ? options.signal.reason : new Error('aborted'));
    else if (error) reject(connectError(error, address));
    else resolve(connection);
  });
  return promise;
}

/** One statement; every value as the server prints it. */
export type AskMysql = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** Rows as arrays of texts. */
export function askMysql(connection: mysql.Connection, sql: string): Promise<readonly (readonly (string | null)[])[]> {
  return new Promise((resolve, reject) => {
    connection.query<mysql.RowDataPacket[]>(sql, (error, rows) => {
      if (error) reject(error);
      else resolve(Array.isArray(rows) ? (rows as unknown as (string | null)[][]) : []);
    });
  });
}

/** Rows by the names of their columns. */
export function queryMysql(connection: mysql.Connection, sql: string): Promise<readonly MysqlRow[]> {
  return new Promise((resolve, reject) => {
    connection.query<mysql.RowDataPacket[]>({ sql, rowsAsArray: false }, (error, rows) => {
      if (error) reject(error);
      else resolve(Array.isArray(rows) ? (rows as MysqlRow[]) : []);
    });
  });
}

/** The server's number of an error that it has sent. */
export function errnoOf(error: unknown): number | undefined {
  return error instanceof Error && 'sqlState' in error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;
}

export function endMysql(connection: mysql.Connection): Promise<void> {
  return new Promise((resolve) => connection.end(() => resolve()));
}

/** As the reader of the binlog takes it. */
export function replicationAddress({ host, port, user, password, ssl }: ServerAddress): ReplicationAddress {
  return { host, port, user, password: password ?? '', ...(ssl === undefined ? {} : { tls: tlsOptions(ssl, host) }) };
}

function sslOptions(ssl: NonNullable<ServerAddress['ssl']>, host: string): mysql.SslOptions {
  const { ca, cert, key, rejectUnauthorized } = tlsOptions(ssl, host);
  const text = (value: typeof ca): string | undefined => (typeof value === 'string' ? value : undefined);
  const files = Object.fromEntries(Object.entries({ ca: text(ca), cert: text(cert), key: typeof key === 'string' ? key : undefined }).filter(([, value]) => value !== undefined));
  return { ...files, rejectUnauthorized: rejectUnauthorized === true, verifyIdentity: ssl.mode === 'verify-full' };
}

function connectError(error: mysql.QueryError, address: ServerAddress): MigrationError {
  const code: ErrorCode = error.code === 'ER_ACCESS_DENIED_ERROR' ? 'MIG003' : error.code === 'ER_DBACCESS_DENIED_ERROR' ? 'MIG004' : 'MIG001';
  return new MigrationError(code, `Cannot connect to ${describeAddress(address)}`, { detail: error.message, cause: error });
}
