/** Rows of cutover attempts and authority intervals, written inside a transaction of the caller. */
import { MigrationError } from '../../config/migration-error.ts';
import type { IntervalEdge, JournalStep } from '../catalog.ts';
import type { AuthorityInterval, JournalRecord } from '../records.ts';
import { json, oneOf, optionalTime, position, stringArray, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

const outcomes = ['complete', 'undone', 'failed'] as const;

export function writeJournalStep(connection: CatalogConnection, step: JournalStep): void {
  const row = connection.get('SELECT * FROM journal WHERE attempt_id = ?', step.attemptId);
  if (row === undefined) throw new MigrationError('MIG091', `no journal of attempt ${step.attemptId}`);
  const before = journalRecord(row);
  if (before.finishedAt !== undefined) throw new MigrationError('MIG091', `attempt ${step.attemptId} has ended (${String(before.outcome)}) and cannot go on to ${step.step}`);
  const now = connection.now();
  connection.run(
    'UPDATE journal SET step = ?, details = ?, updated_at = ?, finished_at = ?, outcome = ? WHERE attempt_id = ?',
    step.step, JSON.stringify({ ...before.details, ...step.details }), now, step.outcome === undefined ? null : now, step.outcome ?? null, step.attemptId,
  );
}

export function openIntervalEdge(connection: CatalogConnection, edge: IntervalEdge): void {
  const encoded = JSON.stringify(edge.position);
  const open = connection.get('SELECT from_position FROM authority_interval WHERE table_id = ? AND direction = ? AND to_position IS NULL', edge.tableId, edge.direction);
  if (open !== undefined) {
    if (open['from_position'] === encoded) return;
    throw new MigrationError('MIG091', `the ${edge.direction} authority of table ${edge.tableId} is open already`, {
      detail: `It was opened at ${String(open['from_position'])}; now it should open at ${encoded}.`,
    });
  }
  connection.run(
    'INSERT INTO authority_interval (table_id, direction, from_position, token, opened_at) VALUES (?, ?, ?, ?, ?)',
    edge.tableId, edge.direction, encoded, connection.token ?? 0, connection.now(),
  );
}

export function closeIntervalEdge(connection: CatalogConnection, edge: IntervalEdge): void {
  const encoded = JSON.stringify(edge.position);
  const closed = connection.run(
    'UPDATE authority_interval SET to_position = ?, closed_at = ? WHERE table_id = ? AND direction = ? AND to_position IS NULL',
    encoded, connection.now(), edge.tableId, edge.direction,
  );
  if (closed > 0) return;
  const last = connection.get('SELECT to_position FROM authority_interval WHERE table_id = ? AND direction = ? ORDER BY interval_id DESC LIMIT 1', edge.tableId, edge.direction);
  if (last?.['to_position'] === encoded) return;
  throw new MigrationError('MIG091', `the ${edge.direction} authority of table ${edge.tableId} is not open`, { detail: `It should be closed at ${encoded}.` });
}

export function journalRecord(row: Row): JournalRecord {
  return {
    attemptId: text(row, 'attempt_id'),
    direction: oneOf(row, 'direction', ['cutover', 'rollback']),
    tableIds: stringArray(row, 'table_ids'),
    step: text(row, 'step'),
    details: json(row, 'details'),
    startedAt: time(row, 'started_at'),
    updatedAt: time(row, 'updated_at'),
    finishedAt: optionalTime(row, 'finished_at'),
    outcome: row['outcome'] === null ? undefined : oneOf(row, 'outcome', outcomes),
  };
}

export function intervalRecord(row: Row): AuthorityInterval {
  return {
    tableId: text(row, 'table_id'),
    direction: oneOf(row, 'direction', ['forward', 'reverse']),
    from: position(row, 'from_position'),
    to: row['to_position'] === null ? undefined : position(row, 'to_position'),
    openedAt: time(row, 'opened_at'),
    closedAt: optionalTime(row, 'closed_at'),
  };
}
