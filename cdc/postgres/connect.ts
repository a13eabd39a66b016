/**
 * Connections to one PostgreSQL database. `connectServer` opens one for definitions, checks and commands, and turns what goes
 * wrong into a `MigrationError` with a code of its own; `connectText` is the change path's: values travel as text in one fixed
 * style on both sides, whatever the servers' own settings say, so that what one writes the other reads back exactly.
 */
import * as fs from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorCode } from '../../config/migration-error.ts';
import { oldestVersion } from './capabilities.ts';
import { readServerVersion } from './read-json.ts';
import { describeAddress } from './server-address.ts';
import type { ServerAddress, TlsOptions } from './server-address.ts';

export interface ConnectOptions {
  readonly applicationName: string;
  readonly signal?: AbortSignal;
  /** Every value as the server wrote it, nothing parsed. */
  readonly textOnly?: boolean;
  /** Default 10,000. */
  readonly timeoutMs?: number;
}

const asText = { getTypeParser: () => (value: string | Buffer): string => value.toString() };
const rawText = { getTypeParser: () => (value: string | Buffer) => value };
/** Both sides write a value alike, whatever their databases' settings: rows of the two are compared as text. */
const valueStyle = '-c datestyle=ISO -c timezone=UTC -c bytea_output=hex -c intervalstyle=postgres -c extra_float_digits=3 -c lc_monetary=C -c statement_timeout=0 -c idle_in_transaction_session_timeout=0';

/** The client's `error` event is listened to, so that a lost idle connection does not end the process. */
export async function connectServer(address: ServerAddress, options: ConnectOptions): Promise<pg.Client> {
  options.signal?.throwIfAborted();
  const { options: _style, ...config } = connectionConfig(address, options.applicationName);
  const client = new pg.Client({ ...config, connectionTimeoutMillis: options.timeoutMs ?? 10_000, ...(options.textOnly === true ? { types: asText } : {}) });
  client.on('error', () => undefined);
  const abandon = (): void => void client.end().catch(() => undefined);
  options.signal?.addEventListener('abort', abandon, { once: true });
  try {
    await client.connect();
    await assertServed(client, address);
    return client;
  } catch (error) {
    abandon();
    options.signal?.throwIfAborted();
    throw error instanceof MigrationError ? error : connectError(error, address);
  } finally {
    options.signal?.removeEventListener('abort', abandon);
  }
}

export function connectionConfig(address: ServerAddress, applicationName: string): pg.ClientConfig {
  return {
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.ssl === undefined ? {} : { ssl: tlsOptions(address.ssl, address.host) }),
    application_name: applicationName,
    keepAlive: true,
    options: valueStyle,
  };
}

/** A connection whose values come back as the server's own text, and whose loss is told by the query that meets it. */
export async function connectText(address: ServerAddress, applicationName: string, pipeline = false): Promise<pg.Client> {
  const config = { ...connectionConfig(address, applicationName), types: rawText as unknown as pg.CustomTypesConfig, pipeline };
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function assertServed(client: pg.Client, address: ServerAddress): Promise<void> {
  const version = await readServerVersion(client);
  if (version >= oldestVersion) return;
  throw new MigrationError('MIG001', `${describeAddress(address)} runs PostgreSQL ${Math.trunc(version / 10000)}, older than 10`, {
    hint: 'Logical replication by pgoutput exists from PostgreSQL 10 on.',
  });
}

/** `require` encrypts and checks nothing; `verify-ca` checks the chain, `verify-full` the name too (libpq's meanings). */
export function tlsOptions(ssl: TlsOptions, host: string): ConnectionOptions {
  const files = {
    ...(ssl.ca === undefined ? {} : { ca: pem(ssl.ca) }),
    ...(ssl.cert === undefined ? {} : { cert: pem(ssl.cert) }),
    ...(ssl.key === undefined ? {} : { key: pem(ssl.key) }),
  };
  switch (ssl.mode) {
    case 'require':
      return { ...files, rejectUnauthorized: false };
    case 'verify-ca':
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...files, rejectUnauthorized: true, servername: host };
    default:
      return ssl.mode satisfies never;
  }
}

/** The text itself, or the file that holds it. */
function pem(value: string): string {
  return value.includes('-----BEGIN') ? value : fs.readFileSync(value, 'utf8');
}

/** SQLSTATE (server) or errno (network) to code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function connectErrorCode(sqlstate: string | undefined): ErrorCode {
  if (sqlstate === '28P01' || sqlstate === '28000') return 'MIG003';
  if (sqlstate === '42501') return 'MIG004';
  return 'MIG001';
}

function connectError(error: unknown, address: ServerAddress): MigrationError {
  const cause = error instanceof Error ? error : new Error(String(error));
  const reason = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  const code = connectErrorCode(reason);
  const what = code === 'MIG003' ? 'refused the credentials' : 'cannot be reached';
  const hint = connectHint(reason);
  return new MigrationError(code, `${describeAddress(address)} ${what}`, { detail: cause.message === '' ? String(reason) : cause.message, cause, ...(hint === undefined ? {} : { hint }) });
}

function connectHint(reason: string | undefined): string | undefined {
  switch (reason) {
    case '3D000': return 'The database does not exist; correct it with ALTER SERVER … OPTIONS (SET dbname …).';
    case '53300': return 'The server has no connection left: raise max_connections, or lower parallel_workers.';
    case '57P03': return 'The server is starting up or shutting down; the operation is tried again by itself.';
    case 'ECONNREFUSED': return 'Nothing listens on this host and port: check both, and that the server is running.';
    case 'ENOTFOUND': return 'The host name cannot be resolved.';
    default: return undefined;
  }
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`;
}

/** SQLSTATE of an error that a server sent. A socket's `EPIPE` has five capitals too, and is none. */
export function sqlstateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || 'syscall' in error) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
