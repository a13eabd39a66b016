/** The ledger of loss of a table in migration: what it has on record, when that begins anew, and what nobody has accepted. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { NewTypeLoss, TableRecord, TypeLossRecord } from '../../catalog/records.ts';
import type { TableDefinition } from '../../cdc/postgres/definition.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import type { SourceFlow } from './source-flow.ts';
import { displayName } from './table-details.ts';

/** Whatever the source's definition says that local's cannot. Idempotent. */
export async function recordDefinitionLosses({ catalog }: { readonly catalog: Catalog }, flow: SourceFlow, tableId: string, definition: TableDefinition): Promise<void> {
  const losses = flow.sourceSide.definitionLosses(definition).map(({ name, kind, what }): NewTypeLoss => ({ tableId, column: name, direction: 'definition', kind, policy: undefined, values: 1, examples: [{ value: what, becomes: null }] }));
  await catalog.putDefinitionLosses(tableId, losses);
}

/** A new migration of a table: what an earlier one lost, and what was accepted of it, is not of this one. */
export async function beginLosses(context: { readonly catalog: Catalog }, flow: SourceFlow, tableId: string, definition: TableDefinition): Promise<void> {
  await flow.losses.save();
  await context.catalog.forgetTypeLosses(tableId);
  flow.losses.forget(tableId);
  await recordDefinitionLosses(context, flow, tableId, definition);
}

/** The table is loaded again: counts of the load that is given up would be counts of values that local no longer has. */
export async function restartLosses({ catalog }: { readonly catalog: Catalog }, flow: SourceFlow, tableId: string): Promise<void> {
  await flow.losses.save();
  await catalog.restartTypeLosses(tableId);
  flow.losses.forget(tableId);
}

export async function openLosses(catalog: Catalog, flow: SourceFlow, tableId: string): Promise<readonly TypeLossRecord[]> {
  await flow.losses.save();
  return (await catalog.typeLosses(tableId)).filter(isOpen);
}

export function isOpen({ values, acceptedAt }: TypeLossRecord): boolean {
  return values > 0 && acceptedAt === undefined;
}

/** `born: 7 values to local (zero_date)`. */
export function describeLoss({ column, direction, kind, values }: TypeLossRecord): string {
  if (direction === 'definition') return `${column}: ${kind} of the definition`;
  return `${column}: ${values} ${values === 1 ? 'value' : 'values'} ${direction === 'to_local' ? 'to local' : 'to the source'} (${kind})`;
}

export function lossRemedy(name: string): string {
  return `SHOW MIGRATION TYPE LOSS FOR TABLE ${name} lists them; ALTER MIGRATION FOR TABLE ${name} ACCEPT TYPE LOSS goes without what is lost.`;
}

/** The last changes may have brought a loss that nobody had seen when the cutover was decided. */
export async function assertNoOpenLosses({ catalog }: Pick<ControlContext, 'catalog'>, flow: SourceFlow, records: readonly TableRecord[]): Promise<void> {
  for (const record of records) {
    const open = await openLosses(catalog, flow, record.tableId);
    const name = displayName(record.source);
    if (open.length > 0) throw new MigrationError('MIG053', `${name}: a loss that nobody has accepted came with the last changes`, { detail: open.map(describeLoss).join('\n'), hint: lossRemedy(name) });
  }
}
