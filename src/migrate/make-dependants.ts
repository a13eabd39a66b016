/** The step of the driver between the indexes and DUAL_WRITE: local gets what hangs on the table, and the router learns what it did not get. */
import type { TableRecord } from '../../catalog/records.ts';
import type { DependantState } from '../../cdc/postgres/create-dependants.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import type { SourceFlow } from './source-flow.ts';
import { displayName } from './table-details.ts';

/**
 * Idempotent. What local refuses does not stop the table: it is listed among its errors, and stands in the way of the cutover. Row security is
 * another matter: reads move to local with DUAL_WRITE, and without it they would show rows that the source hides. That throws MIG011.
 */
export async function makeDependants(context: ControlContext, flow: SourceFlow, record: TableRecord): Promise<void> {
  const { catalog, publisher, runtime } = context;
  const states = await flow.schema.dependants.make((await catalog.tables()).filter(({ sourceServer }) => sourceServer === record.sourceServer));
  const left = statesOf(states, record).filter(({ status }) => status !== 'present' && status !== 'waiting');
  const exposed = left.filter(({ dependant }) => dependant.kind === 'policy' || dependant.kind === 'row security');
  if (exposed.length > 0) {
    throw new MigrationError('MIG011', `row security of ${displayName(record.source)} is not on local as on the source`, {
      tableName: displayName(record.source), detail: exposed.map(describeState).join('; '), hint: 'Create the policies on local as they are on the source (their roles first), then RESUME MIGRATION.',
    });
  }
  await noteLeft(context, record, left);
  for (const state of states) if (state.dependant.tables.length === 0 && state.status !== 'present') runtime.log.warn(`on local: ${describeState(state)}`);
  for (const { dependant, notes } of states) for (const note of notes) runtime.log.warn(`${dependant.name} on local: ${note}`);
  // Statements on views that are on local from now on may go there as soon as the table is in DUAL_WRITE.
  await publisher.refreshRelations();
}

/** Each once: a driver that starts again comes by here again. */
async function noteLeft(context: ControlContext, record: TableRecord, left: readonly DependantState[]): Promise<void> {
  const { catalog } = context;
  if (left.length === 0) return;
  const known = new Set((await catalog.errors({ tableId: record.tableId, limit: 200 })).map((error) => error.message));
  const errors = left.map((state) => ({ tableId: record.tableId, code: 'MIG011' as const, message: describeState(state) }));
  await catalog.insertErrors(errors.filter((error) => !known.has(error.message)));
}

export function statesOf(states: readonly DependantState[], record: TableRecord): readonly DependantState[] {
  return states.filter(({ dependant }) => dependant.tables.some((table) => table.schema === record.source.schema && table.name === record.source.name));
}

export function describeState({ dependant, reason }: DependantState): string {
  return `${dependant.kind} ${dependant.name}: ${reason}`;
}
