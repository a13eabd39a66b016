/**
 * Whether the table is still what the migration was planned from (RULES 6): a change of definition that no row has followed yet is in no stream,
 * and after a cutover nobody would carry it.
 */
import type { TableRecord } from '../../catalog/records.ts';
import type { TableDefinition } from '../../cdc/postgres/definition.ts';
import { diffDefinitions } from '../../cdc/postgres/definition-diff.ts';
import { findTable } from '../../cdc/postgres/introspect.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { SourceFlow } from './source-flow.ts';
import { detailsOf, displayName } from './table-details.ts';

/** The plan that the table's options make of a definition of its source. Throws as `planTable`. */
export function planFor(flow: SourceFlow, record: TableRecord, definition: TableDefinition): TablePlan {
  const { plan } = detailsOf(record);
  const columns = record.options['columns'];
  return flow.sourceSide.planTable(definition, {
    tableId: record.tableId,
    ...(Array.isArray(columns) ? { columns: columns as string[] } : {}),
    ...(plan.where === undefined ? {} : { whereClause: plan.where }),
    targetSchema: plan.target.schema,
    targetTable: plan.target.name,
  });
}

/** One line per difference, for people; empty when there is none. */
export async function definitionDrift(flow: SourceFlow, record: TableRecord, definition: TableDefinition): Promise<readonly string[]> {
  const found = [...sourceDrift(flow, record, definition)];
  const local = await flow.localAdmin.use((client) => findTable(client, record.target));
  if (!local) return [...found, 'the table is not on local'];
  const { plan } = detailsOf(record);
  const differences = diffDefinitions(definition, local, { sameTable: false, target: plan.target, columns: plan.columns.map((column) => column.name) });
  for (const { blocking, kind, message } of differences) if (blocking && kind.startsWith('column')) found.push(message);
  const names = (table: TableDefinition): Set<string> => new Set(table.partitions.map(({ name }) => name));
  const [here, there] = [names(definition), names(local)];
  for (const name of here) if (!there.has(name)) found.push(`partition ${name} is not on local`);
  for (const name of there) if (!here.has(name)) found.push(`partition ${name} of local is no partition on the source any more`);
  return [...new Set(found)];
}

function* sourceDrift(flow: SourceFlow, record: TableRecord, definition: TableDefinition): Generator<string> {
  const { plan } = detailsOf(record);
  const present = new Map(definition.columns.map((column) => [column.name, column]));
  const narrowed = Array.isArray(record.options['columns']);
  for (const column of plan.columns) {
    const now = present.get(column.name);
    if (!now) yield `column ${column.name} is gone`;
    else if (now.attnum !== column.attnum || now.type !== column.type) yield `column ${column.name} is another one than before (${now.type}, was ${column.type})`;
  }
  try {
    const fresh = planFor(flow, record, definition);
    const planned = new Set(plan.columns.map((column) => column.name));
    if (!narrowed) for (const { name } of fresh.columns) if (!planned.has(name)) yield `column ${name} is new`;
    if (fresh.key.join() !== plan.key.join()) yield `its key is ${fresh.key.join(', ')} now, and was ${plan.key.join(', ')}`;
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    yield `${displayName(record.source)} cannot be planned again: ${error.message}`;
  }
}

/** Throws MIG011 when the definition has changed since the migration began. */
export async function assertSameDefinition(flow: SourceFlow, record: TableRecord): Promise<void> {
  const definition = await flow.sourceSide.findTable(record.source);
  const differences = definition ? await definitionDrift(flow, record, definition) : [`table ${displayName(record.source)} is gone`];
  if (differences.length > 0) throw new MigrationError('MIG011', undefined, { detail: differences.join('\n'), tableName: displayName(record.source), hint: driftRemedy(displayName(record.source)) });
}

/** `table` as it is shown. */
export function driftRemedy(table: string): string {
  return `PAUSE MIGRATION FOR TABLE ${table}, then RESUME … ACCEPT DDL, which names what local lacks; or RESYNC MIGRATION FOR TABLE ${table} begins again.`;
}
