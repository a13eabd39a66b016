/**
 * Takes back what a cutover or rollback did before its point of no return. Every part is idempotent; one that fails
 * (a server that is down) leaves the attempt open in the journal, and recovery tries again.
 */
import type { TableRecord } from '../../catalog/records.ts';
import type { ControlContext } from './control-context.ts';
import type { SourceFlow } from './source-flow.ts';

export async function undoCutover(context: ControlContext, flow: SourceFlow, records: readonly TableRecord[], attemptId: string, cause: unknown): Promise<void> {
  // The guard first: while local can be written by others, nobody may be told that the source is the truth again.
  await undo(context, records, attemptId, cause, async () => {
    await flow.guardLocal(records);
    await flow.unfenceSource(records);
    for (const { tableId } of records) await flow.reverse.removeTable(tableId);
  });
}

export async function undoRollback(context: ControlContext, flow: SourceFlow, records: readonly TableRecord[], attemptId: string, cause: unknown): Promise<void> {
  await undo(context, records, attemptId, cause, async () => {
    await flow.fenceSourceAgain(records);
    await flow.unguardLocal(records);
  });
}

async function undo(context: ControlContext, records: readonly TableRecord[], attemptId: string, cause: unknown, servers: () => Promise<void>): Promise<void> {
  const { catalog, publisher, runtime } = context;
  try {
    await servers();
    const open = (await catalog.openJournals()).some((entry) => entry.attemptId === attemptId);
    const routes = records.map(({ tableId }) => ({ tableId, route: { quiescing: false } }));
    await catalog.changeRoutes('undo', { routes, ...(open ? { journal: { attemptId, step: 'undone', details: { cause: String(cause) }, outcome: 'undone' as const } } : {}) });
    await publisher.publish();
  } catch (error) {
    runtime.log.error('a change of authority could not be undone yet; it is tried again', { attemptId, error: String(error) });
  }
}
