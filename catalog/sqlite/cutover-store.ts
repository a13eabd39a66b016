import { MigrationError } from '../../config/migration-error.ts';
import type { CutoverRecords, IntervalEdge, JournalStep } from '../catalog.ts';
import type { AuthorityInterval, JournalRecord, JsonObject } from '../records.ts';
import type { AuditEntry } from '../audit.ts';
import { writeAudit } from './audit-rows.ts';
import type { CatalogConnection } from './connection.ts';
import { closeIntervalEdge, intervalRecord, journalRecord, openIntervalEdge, writeJournalStep } from './cutover-rows.ts';

/** Attempts of cutovers and rollbacks, and which side's changes count from where to where (RULES 11). */
export class CutoverStore implements CutoverRecords {
  readonly #connection: CatalogConnection;
  readonly #newId: () => string;

  constructor(connection: CatalogConnection, newId: () => string) {
    this.#connection = connection;
    this.#newId = newId;
  }

  async beginJournal(entry: {
    readonly attemptId: string;
    readonly direction: 'cutover' | 'rollback';
    readonly tableIds: readonly string[];
    readonly step: string;
    readonly details?: JsonObject;
    readonly audit?: readonly AuditEntry[];
  }): Promise<void> {
    this.#connection.write(() => {
      const busy = this.#open().find((open) => open.tableIds.some((tableId) => entry.tableIds.includes(tableId)));
      if (busy !== undefined) {
        throw new MigrationError('MIG074', `a ${busy.direction} of the same table is under way`, { detail: `It began at ${busy.startedAt} and is at step ${busy.step}.` });
      }
      const now = this.#connection.now();
      this.#connection.run(
        'INSERT INTO journal (attempt_id, direction, table_ids, step, details, started_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
        entry.attemptId, entry.direction, JSON.stringify(entry.tableIds), entry.step, JSON.stringify(entry.details ?? {}), now, now,
      );
      for (const audit of entry.audit ?? []) writeAudit(this.#connection, this.#newId, audit);
    });
  }

  async putJournalStep(step: JournalStep): Promise<void> {
    this.#connection.write(() => writeJournalStep(this.#connection, step));
  }

  async journal(attemptId: string): Promise<JournalRecord | undefined> {
    const row = this.#connection.get('SELECT * FROM journal WHERE attempt_id = ?', attemptId);
    return row === undefined ? undefined : journalRecord(row);
  }

  async openJournals(): Promise<readonly JournalRecord[]> {
    return this.#open();
  }

  async lastJournal(tableId: string): Promise<JournalRecord | undefined> {
    const row = this.#connection.get(
      'SELECT * FROM journal WHERE EXISTS (SELECT 1 FROM json_each(table_ids) WHERE value = ?) ORDER BY started_at DESC, rowid DESC LIMIT 1', tableId,
    );
    return row === undefined ? undefined : journalRecord(row);
  }

  async openInterval(edge: IntervalEdge): Promise<void> {
    this.#connection.write(() => openIntervalEdge(this.#connection, edge));
  }

  async closeInterval(edge: IntervalEdge): Promise<void> {
    this.#connection.write(() => closeIntervalEdge(this.#connection, edge));
  }

  async intervals(tableId: string): Promise<readonly AuthorityInterval[]> {
    return this.#connection.all('SELECT * FROM authority_interval WHERE table_id = ? ORDER BY interval_id', tableId).map(intervalRecord);
  }

  #open(): readonly JournalRecord[] {
    return this.#connection.all('SELECT * FROM journal WHERE finished_at IS NULL ORDER BY started_at, rowid').map(journalRecord);
  }
}
