/** Everything that can be known to stand in the way of migrating a table of MySQL or MariaDB, before it begins. Changes nothing. */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../postgres/finding.ts';
import { targetFindings } from '../postgres/local-findings.ts';
import { planTable } from '../postgres/plan-table.ts';
import type { PlanOptions } from '../postgres/plan-table.ts';
import { sortFindings } from '../postgres/preflight.ts';
import { readJson } from '../postgres/read-json.ts';
import type { TablePlan } from '../table-plan.ts';
import { convertTable } from './create-schema.ts';
import type { ConvertedTable, ConvertOptions } from './create-schema.ts';
import { keyCollisionFindings, mysqlDataFindings } from './data-findings.ts';
import type { MysqlTable } from './definition.ts';
import { findMysqlTable, readMysqlServer } from './introspect.ts';
import { mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { settleDefinition } from './settle-definition.ts';
import { mysqlSourceFindings } from './source-findings.ts';
import { mysqlTableFindings } from './table-findings.ts';
import type { MapOverrides } from './type-map.ts';

export interface MysqlPreflightOptions extends PlanOptions {
  readonly table: QualifiedName;
  readonly overrides?: MapOverrides;
  /** Source names of the tables that are migrated together or already on local. */
  readonly companions?: readonly QualifiedName[];
}

/** Errors first. A table that does not exist is one finding, not a throw; a lost connection is thrown. */
export async function preflightMysqlTable(query: MysqlQuery, local: ClientBase, options: MysqlPreflightOptions): Promise<Finding[]> {
  const server = await readMysqlServer(query);
  const table = await findMysqlTable(query, options.table);
  if (table === undefined) {
    const missing: Finding = { code: 'table', severity: 'error', subject: mysqlTableName(options.table), message: 'there is no such table, or the migration\'s user may not see it (a view is none)', remedy: 'Check the spelling, or GRANT SELECT on it.', errorCode: 'MIG010' };
    return sortFindings([missing, ...(await mysqlSourceFindings(query, server, options.table))]);
  }
  const findings: Finding[] = [];
  const converted = await attempt(findings, table, async () => settleDefinition(local, convertTable(table, convertOptions(options))));
  findings.push(...mysqlTableFindings(table, converted, options.companions ?? []));
  findings.push(...(await mysqlSourceFindings(query, server, options.table)));
  findings.push(...(await encodingFindings(local)));
  if (converted !== undefined) {
    const plan = await attempt(findings, table, () => Promise.resolve(planMysqlTable(converted, options)));
    const target = { schema: options.targetSchema ?? table.schema, name: options.targetTable ?? table.name };
    findings.push(...(await targetFindings(local, converted.definition, plan, target)));
    if (findings.every((finding) => finding.code !== 'select_privilege')) {
      findings.push(...(await mysqlDataFindings(query, table, converted.mapped)), ...(await keyCollisionFindings(query, table, converted.mapped)));
    }
  }
  return sortFindings(findings);
}

/** Throws what `planTable` throws. */
export function planMysqlTable(converted: ConvertedTable, options: PlanOptions): TablePlan {
  return planTable(converted.definition, options);
}

function convertOptions(options: MysqlPreflightOptions): ConvertOptions {
  return {
    ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
    ...(options.targetSchema === undefined ? {} : { targetSchema: options.targetSchema }), ...(options.columns === undefined ? {} : { columns: options.columns }),
  };
}

async function attempt<T>(findings: Finding[], table: MysqlTable, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    const code = { MIG010: 'table', MIG012: 'column_type', MIG013: 'replica_identity', MIG071: 'type_map' }[error.code as string] ?? 'table';
    findings.push({ code, severity: 'error', subject: mysqlTableName(table), message: error.message.replace(/^MIG\d+: /, ''), remedy: error.hint, errorCode: error.code });
    return undefined;
  }
}

async function encodingFindings(local: ClientBase): Promise<Finding[]> {
  const rows = await readJson<{ encoding: string }>(local, 'SELECT pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = current_database()');
  if (rows[0]?.encoding === 'UTF8') return [];
  return [{ code: 'encoding', severity: 'error', subject: 'local', message: `the encoding of local's database is ${rows[0]?.encoding ?? 'unknown'}; texts of MySQL need UTF8`, remedy: 'Create the local database with encoding UTF8.', errorCode: 'MIG011' }];
}
