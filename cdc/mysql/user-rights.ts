/**
 * What a login may do with tables of a MySQL or MariaDB server, as the server itself judges it in a session of that login: global rights, those on databases
 * with wildcards, on tables and columns, roles, rights of everybody, and what was revoked from them, in whatever way its version joins them.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { SequenceRight, TableRights } from '../user-rights.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { connectMysql, endMysql, errnoOf, queryMysql } from './connect.ts';
import { isGranted, readGrants } from './grants.ts';
import type { MysqlGrant } from './grants.ts';
import { readMysqlServer } from './introspect.ts';
import { inScope, mysqlLiteral, mysqlName, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';

const changeRights = ['SELECT', 'INSERT', 'UPDATE'] as const;

interface Collected {
  readonly columns: Readonly<Record<(typeof changeRights)[number], Set<string>>>;
  delete: boolean;
  truncate: boolean;
  locksRows: boolean;
}

/** No definition that changes at the moment holds the question up for long. */
const LOCK_WAIT_SECONDS = 2;
/** The database, the table, or the operation is not allowed. */
const denied: readonly (number | undefined)[] = [1044, 1142, 1143, 1227, 1370];

/** Undefined: the login is not let in. */
export async function readMysqlRightsOf(login: ServerAddress, tables: readonly QualifiedName[]): Promise<readonly TableRights[] | undefined> {
  const connection = await connectMysql(login).catch((error: unknown) => {
    if (error instanceof MigrationError && error.code === 'MIG003') return undefined;
    throw error;
  });
  if (connection === undefined) return undefined;
  try {
    return await readMysqlRights((sql) => queryMysql(connection, sql), tables);
  } finally {
    await endMysql(connection);
  }
}

/** Of the session, which has to be that login's own, and new: rights on the whole server are those of when it logged in. */
export async function readMysqlRights(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<readonly TableRights[]> {
  const server = await readMysqlServer(query);
  await query(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
  const found = tables.map((): Collected => ({ columns: { SELECT: new Set(), INSERT: new Set(), UPDATE: new Set() }, delete: false, truncate: false, locksRows: false }));
  for (const role of [undefined, ...(await roles(query, server))]) {
    if (role !== undefined) await query(`SET ROLE ${role}`);
    const grants = await readGrants(query, server);
    for (const [at, table] of tables.entries()) {
      const rights = found[at];
      if (rights !== undefined) await collect(query, grants, table, rights);
    }
  }
  return found.map(forLocal);
}

/** A session may take any role that was granted to its user: all at once on MySQL, one at a time on MariaDB. */
async function roles(query: MysqlQuery, server: MysqlCapabilities): Promise<readonly string[]> {
  if (!server.roles) return [];
  if (server.flavour === 'mysql') return ['ALL'];
  // Roles of roles come with those.
  return (await query('SELECT DISTINCT ROLE_NAME AS name FROM information_schema.APPLICABLE_ROLES WHERE GRANTEE = CURRENT_USER()')).map((row) => mysqlName(row['name'] ?? ''));
}

async function collect(query: MysqlQuery, grants: readonly MysqlGrant[], table: QualifiedName, rights: Collected): Promise<void> {
  const rows = await query(`SELECT COLUMN_NAME AS name, PRIVILEGES AS rights FROM information_schema.COLUMNS WHERE ${inScope({ schema: table.schema, table: table.name })}`);
  for (const row of rows) {
    const given = (row['rights'] ?? '').toUpperCase().split(',');
    for (const right of changeRights) if (given.includes(right)) rights.columns[right].add(row['name'] ?? '');
  }
  rights.delete ||= await mayRun(query, `DELETE FROM ${mysqlTableName(table)}`);
  // It is for who may drop the table, and is not judged when it is prepared.
  rights.truncate ||= isGranted(grants, 'DROP', { schema: table.schema, table: table.name });
  rights.locksRows ||= rows.length > 0 && (await mayRun(query, `SELECT 1 FROM ${mysqlTableName(table)} FOR UPDATE`));
}

/** Nothing says it but the server, when it is asked to prepare the statement; none is run. */
async function mayRun(query: MysqlQuery, sql: string): Promise<boolean> {
  await query(`SET @causeway_text = ${mysqlLiteral(sql)}`);
  try {
    await query('PREPARE causeway_rights FROM @causeway_text');
  } catch (error) {
    if (denied.includes(errnoOf(error))) return false;
    throw error;
  }
  await query('DEALLOCATE PREPARE causeway_rights');
  return true;
}

/** Who inserts draws numbers, and may give them too: local's sequence is read and moved behind those. */
const drawn: readonly SequenceRight[] = ['USAGE', 'SELECT', 'UPDATE'];

/** Local compares a column that is changed with its old value, so as to count as MySQL does: to change one there is to read it. */
function forLocal({ columns: { SELECT, INSERT, UPDATE }, delete: mayDelete, truncate, locksRows }: Collected): TableRights {
  return {
    columns: { SELECT: new Set([...SELECT, ...UPDATE]), INSERT, UPDATE, REFERENCES: new Set() },
    whole: new Set([...(mayDelete ? ['DELETE' as const] : []), ...(truncate ? ['TRUNCATE' as const] : [])]),
    sequences: new Map([...INSERT].map((column) => [column, drawn])), readsNumbers: true, locksRows, owns: false, unfiltered: undefined, policies: undefined,
  };
}
