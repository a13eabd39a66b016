/** Looks at the source's definition again and makes the table's plan anew (RESUME … ACCEPT DDL, RESYNC). */
import type { TableRecord } from '../../catalog/records.ts';
import { diffDefinitions } from '../../cdc/postgres/definition-diff.ts';
import { findTable } from '../../cdc/postgres/introspect.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { behaviourOf } from './behaviour-drift.ts';
import type { ControlContext } from './control-context.ts';
import { planFor } from './definition-drift.ts';
import type { SourceFlow } from './source-flow.ts';
import { detailsOf, displayName, mappingOf } from './table-details.ts';
import { recordDefinitionLosses } from './type-losses.ts';

/** Throws MIG011 with the statements for local when its table does not fit the source's new definition. */
export async function replanTable(context: ControlContext, flow: SourceFlow, record: TableRecord): Promise<void> {
  const old = detailsOf(record);
  const definition = await flow.sourceSide.introspectTable(record.source, mappingOf(record));
  const plan = planFor(flow, record, definition);
  const local = await flow.localAdmin.use((client) => findTable(client, plan.target));
  if (local) {
    const differences = diffDefinitions(definition, local, { sameTable: false, target: plan.target, columns: plan.columns.map((column) => column.name) }).filter((difference) => difference.blocking);
    if (differences.length > 0) {
      throw new MigrationError('MIG011', `${displayName(record.target)} on local does not fit the source's definition`, {
        detail: differences.map((difference) => difference.message).join('\n'),
        hint: `Run on local: ${differences.flatMap((difference) => difference.remedy ?? []).join(' ')}`,
      });
    }
  }
  const partitions = definition.partitions.map(({ schema, name }) => ({ schema, name }));
  await recordDefinitionLosses(context, flow, record.tableId, definition);
  const translation = flow.sourceSide.migratedTable(definition, plan);
  await context.catalog.changeTable(record.tableId, { details: { ...record.details, plan, behaviour: behaviourOf(definition), ...(translation === undefined ? {} : { translation }), partitions, indexesBuilt: local ? old.indexesBuilt : false } });
  if (flow.forward.status(record.tableId)) await flow.forward.replan(plan);
}
