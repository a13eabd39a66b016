/** How many writes of one table wait in the log to be sent: found by reading them, since the log keeps no count per table. */
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import type { IntentLog } from '../intents/intent-log.ts';
import { textsOf } from '../intents/intent-texts.ts';

/** The proxy's clients wait meanwhile. More writes than this are a cluster that has been away, and count as the table's. */
const MOST_READ = 1000;

/** Writes that cannot be read, or whose tables are not known, count as well. Those that are in the proxy's hand are not seen. */
export function queuedOf(log: Pick<IntentLog, 'nextReleased' | 'read' | 'state'>, table: string, read: (text: string) => CqlStatement): number {
  const { released } = log.state();
  if (released === 0 || released > MOST_READ) return released;
  let queued = 0;
  for (let ticket = log.nextReleased(-1); ticket >= 0; ticket = log.nextReleased(ticket)) if (writes(log, ticket, table, read)) queued += 1;
  return queued;
}

function writes(log: Pick<IntentLog, 'read'>, ticket: number, table: string, read: (text: string) => CqlStatement): boolean {
  try {
    const intent = log.read(ticket);
    if (intent === undefined) return false;
    const { tables } = textsOf(intent, read);
    return tables.length === 0 || tables.includes(table);
  } catch {
    return true;
  }
}
