/** Everything that can be known to stand in a migration's way before it begins; each finding with its remedy. Changes nothing. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { TablePlan } from '../table-plan.ts';
import { dependantFindings } from './dependant-findings.ts';
import type { Finding, FindingSeverity } from './finding.ts';
import { findTable, introspectTable } from './introspect.ts';
import { localFindings } from './local-findings.ts';
import { planTable } from './plan-table.ts';
import type { PlanOptions } from './plan-table.ts';
import { quoteTable } from './quote.ts';
import { sourceFindings } from './source-findings.ts';
import { tableFindings } from './table-findings.ts';

export interface PreflightOptions extends PlanOptions {
  readonly table: QualifiedName;
  /** Source names of the tables that are migrated together or already on local; foreign keys to others are reported. */
  readonly companions?: readonly QualifiedName[];
}

/** Errors first. A table that does not exist is one finding, not a throw; a lost connection is thrown. */
export async function preflightTable(source: ClientBase, local: ClientBase, options: PreflightOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  const definition = await findTable(source, options.table);
  if (definition === undefined) return [await notFound(source, options.table)];
  let plan: TablePlan | undefined;
  try {
    plan = planTable(definition, options);
  } catch (error) {
    findings.push(refusal(error, options.table));
  }
  const target = { schema: options.targetSchema ?? definition.schema, name: options.targetTable ?? definition.name };
  findings.push(...tableFindings(definition, options.companions ?? []));
  findings.push(...(await sourceFindings(source, definition, options.whereClause)));
  findings.push(...(await localFindings(source, local, definition, plan, target)));
  findings.push(...(await dependantFindings(source, local, definition, target, options.companions ?? [])));
  return sortFindings(findings);
}

async function notFound(source: ClientBase, table: QualifiedName): Promise<Finding> {
  const error = await introspectTable(source, table).then(() => undefined, (thrown: unknown) => thrown);
  return refusal(error ?? new MigrationError('MIG010'), table);
}

function refusal(error: unknown, table: QualifiedName): Finding {
  if (!(error instanceof MigrationError)) throw error;
  const code = { MIG010: 'table', MIG011: 'table_kind', MIG012: 'column_type', MIG013: 'replica_identity' }[error.code as string] ?? 'table';
  return { code, severity: 'error', subject: quoteTable(table), message: error.message.replace(/^MIG\d+: /, ''), remedy: error.hint, errorCode: error.code };
}

const severityOrder: readonly FindingSeverity[] = ['error', 'warning', 'info'];

export function sortFindings(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => severityOrder.indexOf(a.severity) - severityOrder.indexOf(b.severity));
}

/** The first error as START throws it; undefined when nothing stands in the way. */
export function firstRefusal(findings: readonly Finding[], table: QualifiedName): MigrationError | undefined {
  const errors = findings.filter((finding) => finding.severity === 'error');
  const first = errors[0];
  if (first === undefined) return undefined;
  const detail = errors.map((finding) => `${finding.subject}: ${finding.message}`).join('; ');
  return new MigrationError(first.errorCode ?? 'MIG011', first.message, { tableName: `${table.schema}.${table.name}`, detail, ...(first.remedy === '' ? {} : { hint: first.remedy }) });
}
