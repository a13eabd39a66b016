/**
 * Takes away what fences that no longer stand have left on the source. Where that can only be had while nobody uses the table, and clients of the gateway
 * always do, they are held up for a moment, as before a cutover; nobody is made to give way. What stays is harmless, and is tried again for good.
 */
import type { TableRecord } from '../../catalog/records.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import { quiesce } from './quiesce.ts';
import type { SourceFlow } from './source-flow.ts';
import { displayName, routedKeys } from './table-details.ts';

const UNPAUSED_MS = 3_000;
/** Longest that clients are held up, of which the transactions that are open take their part. */
const PAUSE_MS = 2_000;
const PAUSED_MS = 500;

/** The source is the table's authority, and stays it. */
export async function dropFences(context: ControlContext, flow: SourceFlow, record: TableRecord): Promise<void> {
  if ((await flow.dropFences([record], { timeoutMs: UNPAUSED_MS })).length === 0) return;
  const leave = await flow.switching.enter(context.runtime.signal);
  try {
    if (await dropInPause(context, flow, record)) return;
  } finally {
    leave();
  }
  context.runtime.log.info('the fence of a table is switched off and stays on the source until nobody uses the table for a moment', { table: displayName(record.source) });
}

async function dropInPause(context: ControlContext, flow: SourceFlow, record: TableRecord): Promise<boolean> {
  const { catalog, publisher, runtime } = context;
  const { tableId } = record;
  try {
    await quiesce(context, { tableIds: [tableId], tableKeys: routedKeys(record), writingSide: 'source', deadlineMs: runtime.clock.monotonicMs() + PAUSE_MS, blockers: () => Promise.resolve([]) });
    return (await flow.dropFences([record], { timeoutMs: PAUSED_MS, isPaused: true })).length === 0;
  } catch (error) {
    if (error instanceof MigrationError && error.code === 'MIG052') return false;
    throw error;
  } finally {
    await catalog.changeRoutes('the fence is gone', { routes: [{ tableId, route: { quiescing: false } }] });
    await publisher.publish();
  }
}
