/** Rows of SYS$MIGRATION_HISTORY as values, and back. */
import type { HistoryEvent, HistoryRecord, JsonObject } from '../records.ts';
import type { TableState } from '../table-state.ts';
import { oneOf, optionalJson, optionalState, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

const events: readonly HistoryEvent[] = ['state_change', 'error', 'checkpoint', 'validation'];

export interface NewHistory {
  readonly tableId: string;
  readonly eventType: HistoryEvent;
  readonly oldState?: TableState;
  readonly newState?: TableState;
  readonly details: JsonObject;
}

export function writeHistory(connection: CatalogConnection, newId: () => string, event: NewHistory): void {
  connection.run(
    'INSERT INTO "SYS$MIGRATION_HISTORY" (event_id, table_id, event_type, old_state, new_state, details, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    newId(), event.tableId, event.eventType, event.oldState ?? null, event.newState ?? null, JSON.stringify(event.details), connection.now(),
  );
}

export function historyRecord(row: Row): HistoryRecord {
  return {
    eventId: text(row, 'event_id'),
    tableId: text(row, 'table_id'),
    eventType: oneOf(row, 'event_type', events),
    oldState: optionalState(row, 'old_state'),
    newState: optionalState(row, 'new_state'),
    details: optionalJson(row, 'details') ?? {},
    createdAt: time(row, 'created_at'),
  };
}
