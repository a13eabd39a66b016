/**
 * What would keep local's rows from coming back to a MySQL or MariaDB server, or change them when they come: CHECK and START tell it, and a CUTOVER that
 * keeps the way back asks again, for triggers and grants may have changed since (RULES 17).
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../postgres/finding.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import type { MysqlTrigger } from './definition.ts';
import { applierVariable } from './fence.ts';
import { isGranted, readAccount, readGrants } from './grants.ts';
import type { MysqlGrant } from './grants.ts';
import { mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { readTriggers } from './read-dependants.ts';
import { privilegeFindings } from './source-findings.ts';

/** Of what the migration's user lacks, the part that the way back needs. */
const neededBack: ReadonlySet<string> = new Set(['way_back', 'select_privilege', 'own_schema_privilege']);

export async function mysqlWayBackFindings(query: MysqlQuery, server: MysqlCapabilities, table: QualifiedName): Promise<Finding[]> {
  const grants = await readGrants(query, server);
  const triggers = (await readTriggers(query, { schema: table.schema, table: table.name }))(table.name);
  const [state] = await query('SELECT @@GLOBAL.read_only AS readOnly');
  const privileges = privilegeFindings(grants, await readAccount(query), server, table).filter(({ code }) => neededBack.has(code));
  return [...triggerFindings(table, triggers), ...privileges, ...readOnlyFindings(state?.['readOnly'] === '1', grants)];
}

/** Pure. The server cannot be told to leave triggers out for one session: a trigger has to ask for itself. */
export function triggerFindings(table: QualifiedName, triggers: readonly MysqlTrigger[]): Finding[] {
  return triggers.filter(({ statement }) => !statement.toLowerCase().includes(applierVariable)).map(({ name, timing, event }) => ({
    code: 'way_back', severity: 'warning', subject: `${mysqlTableName(table)} ${name}`,
    message: `${timing} ${event}: it fires for rows that come back after the cutover too, and would change them, or do again what they bring along`,
    remedy: `Make it begin with IF ${applierVariable} IS NULL THEN …, or drop it before the cutover; else only CUTOVER … NO ROLLBACK goes.`,
  }));
}

function readOnlyFindings(isReadOnly: boolean, grants: readonly MysqlGrant[]): Finding[] {
  if (!isReadOnly || ['SUPER', 'CONNECTION_ADMIN', 'READ_ONLY ADMIN', 'READ ONLY ADMIN'].some((privilege) => isGranted(grants, privilege, undefined))) return [];
  return [{ code: 'way_back', severity: 'warning', subject: 'source', message: 'the server is read only: nothing can be written back after the cutover', remedy: 'SET GLOBAL read_only = OFF; or give the address of the primary.' }];
}
