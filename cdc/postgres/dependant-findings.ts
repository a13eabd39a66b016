/** What the preflight says of the functions, triggers, rules, policies and views that hang on a table. Changes nothing. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { reviewDependants } from './create-dependants.ts';
import type { DependantState } from './create-dependants.ts';
import type { TableDefinition } from './definition.ts';
import { readDependants } from './read-dependants.ts';
import type { Finding } from './finding.ts';

/** Empty where the schema may not be looked into: that is a finding of its own. `companions`: names on the source of tables that are migrated as well. */
export async function dependantFindings(source: ClientBase, local: ClientBase, definition: TableDefinition, target: QualifiedName, companions: readonly QualifiedName[]): Promise<Finding[]> {
  try {
    return await readFindings(source, local, definition, target, companions);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '42501') return [];
    throw error;
  }
}

async function readFindings(source: ClientBase, local: ClientBase, definition: TableDefinition, target: QualifiedName, companions: readonly QualifiedName[]): Promise<Finding[]> {
  const tables = [{ source: { schema: definition.schema, name: definition.name }, target, copyGrants: false }];
  const dependants = await readDependants(source, tables);
  if (dependants.length === 0) return [];
  const known = [{ schema: definition.schema, name: definition.name }, ...companions];
  const states = await reviewDependants(local, dependants, { sourceVersion: definition.serverVersion, tables, isOnLocal: (table) => known.some((each) => each.schema === table.schema && each.name === table.name) });
  return states.flatMap((state) => finding(state));
}

function finding({ dependant, status, reason }: DependantState): Finding[] {
  const subject = `${dependant.kind} ${dependant.name}`;
  if (status === 'present' || status === 'missing' || dependant.tables.length === 0) return [];
  if (status === 'waiting') return [{ code: 'dependant', severity: 'warning', subject, message: `cannot be made on local: ${reason}`, remedy: 'Migrate those tables as well, or drop it on the source if nothing needs it.' }];
  const remedy = `Create it on local as it is on the source${status === 'differs' ? ', or rename the one that is there' : ''}.`;
  const base = { code: 'dependant', subject, message: `MIG011: ${status === 'differs' ? '' : 'cannot be carried: '}${reason}`, remedy };
  // Without it the table itself cannot be made.
  if (dependant.phase === 'before') return [{ ...base, severity: 'error', errorCode: 'MIG011' }];
  return [{ ...base, severity: 'warning' }];
}
