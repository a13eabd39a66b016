/** What SHOW GRANTS says that a user may do. */
import type { MysqlCapabilities } from './capabilities.ts';
import { mysqlName } from './query.ts';
import type { MysqlQuery } from './query.ts';

export interface MysqlGrant {
  /** In capitals; `ALL PRIVILEGES` for everything. */
  readonly privileges: ReadonlySet<string>;
  /** Undefined: every database. */
  readonly schema: string | undefined;
  /** Undefined: every table. */
  readonly table: string | undefined;
  /** Taken back, for this database, from what is given on every one. */
  readonly isRevoked: boolean;
}

/** Those of the roles that are active included. */
export async function readGrants(query: MysqlQuery, server: MysqlCapabilities): Promise<readonly MysqlGrant[]> {
  const lines = await grantLines(query, 'SHOW GRANTS');
  const roles = lines.flatMap((line) => /^GRANT ([`'"].*) TO /.exec(line)?.[1] ?? []);
  const all = server.flavour === 'mysql' && server.roles && roles.length > 0 ? await grantLines(query, `SHOW GRANTS FOR CURRENT_USER() USING ${roles.join(', ')}`) : lines;
  return all.flatMap((line) => parseGrant(line) ?? []);
}

async function grantLines(query: MysqlQuery, sql: string): Promise<string[]> {
  return (await query(sql)).map((row) => Object.values(row)[0] ?? '');
}

/** `GRANT SELECT, INSERT ON `db`.* TO …`, `REVOKE INSERT ON `db`.* FROM …`. Grants on columns alone, on routines and of roles are left out. */
export function parseGrant(line: string): MysqlGrant | undefined {
  const [, verb, privileges = '', schema = '', table = ''] = /^(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) (?:TO|FROM) /.exec(line) ?? [];
  if (privileges === '') return undefined;
  const named = privileges.replace(/[A-Z]+ \([^)]*\)/g, '').split(',').map((each) => each.trim()).filter((each) => each !== '');
  return { privileges: new Set(named), schema: nameOf(schema), table: nameOf(table), isRevoked: verb === 'REVOKE' };
}

function nameOf(written: string): string | undefined {
  return written === '*' ? undefined : written.slice(1, -1).replaceAll('``', '`');
}

/** `on`: undefined for a privilege of the whole server. Names of databases in grants may hold `%` and `_`. */
export function isGranted(grants: readonly MysqlGrant[], privilege: string, on: { readonly schema: string; readonly table: string | undefined } | undefined): boolean {
  const names = (grant: MysqlGrant): boolean => grant.privileges.has(privilege) || grant.privileges.has('ALL PRIVILEGES');
  const isRevoked = grants.some((grant) => grant.isRevoked && on !== undefined && grant.schema === on.schema && names(grant));
  return grants.some((grant) => {
    if (grant.isRevoked || !names(grant)) return false;
    if (grant.schema === undefined) return !isRevoked;
    return on !== undefined && matches(grant.schema, on.schema) && (grant.table === undefined || grant.table === on.table);
  });
}

function matches(pattern: string, name: string): boolean {
  const expression = pattern.replace(/\\([%_])|[.*+?^${}()|[\]\\]|[%_]/g, (found, escaped: string | undefined) => escaped ?? (found === '%' ? '.*' : found === '_' ? '.' : `\\${found}`));
  return new RegExp(`^${expression}$`, 's').test(name);
}

/** Of whom the remedies speak: `'user'@'host'`. */
export async function readAccount(query: MysqlQuery): Promise<string> {
  const rows = await query('SELECT CURRENT_USER() AS account');
  const account = rows[0]?.['account'] ?? '';
  const at = account.lastIndexOf('@');
  return `${mysqlName(account.slice(0, at))}@${mysqlName(account.slice(at + 1))}`;
}
