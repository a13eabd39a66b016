import type { ChangeRecords } from '../catalog.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { CdcPositionRecord } from '../records.ts';
import { position, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

/** Checkpoints and stream positions: the mirror of what the databases themselves hold (DESIGN §5 "Exactly once"). */
export class ChangeStore implements ChangeRecords {
  readonly #connection: CatalogConnection;

  constructor(connection: CatalogConnection) {
    this.#connection = connection;
  }

  async putCheckpoint(migrationId: string, data: Uint8Array): Promise<void> {
    this.#connection.write(() => {
      this.#connection.run(
        `INSERT INTO "SYS$MIGRATION_CHECKPOINTS" (migration_id, checkpoint_data, created_at) VALUES (?, ?, ?)
         ON CONFLICT (migration_id) DO UPDATE SET checkpoint_data = excluded.checkpoint_data, created_at = excluded.created_at`,
        migrationId, Buffer.from(data), this.#connection.now(),
      );
    });
  }

  async checkpoint(migrationId: string): Promise<Uint8Array | undefined> {
    const row = this.#connection.get('SELECT checkpoint_data FROM "SYS$MIGRATION_CHECKPOINTS" WHERE migration_id = ?', migrationId);
    const data = row?.['checkpoint_data'];
    if (row !== undefined && !(data instanceof Uint8Array)) throw new MigrationError('MIG091', `the checkpoint of ${migrationId} cannot be read`);
    return data instanceof Uint8Array ? data : undefined;
  }

  async deleteCheckpoint(migrationId: string): Promise<void> {
    this.#connection.write(() => this.#connection.run('DELETE FROM "SYS$MIGRATION_CHECKPOINTS" WHERE migration_id = ?', migrationId));
  }

  async putCdcPosition(record: Omit<CdcPositionRecord, 'updatedAt'>): Promise<void> {
    this.#connection.write(() => {
      this.#connection.run(
        `INSERT INTO "SYS$MIGRATION_CDC_POSITIONS" (source_server, table_name, cdc_type, position_data, updated_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (source_server, table_name) DO UPDATE SET cdc_type = excluded.cdc_type, position_data = excluded.position_data,
           updated_at = excluded.updated_at`,
        record.sourceServer, record.tableName, record.cdcType, JSON.stringify(record.position), this.#connection.now(),
      );
    });
  }

  async cdcPosition(sourceServer: string, tableName: string): Promise<CdcPositionRecord | undefined> {
    const row = this.#connection.get('SELECT * FROM "SYS$MIGRATION_CDC_POSITIONS" WHERE source_server = ? AND table_name = ?', sourceServer, tableName);
    return row === undefined ? undefined : positionRecord(row);
  }

  async cdcPositions(): Promise<readonly CdcPositionRecord[]> {
    return this.#connection.all('SELECT * FROM "SYS$MIGRATION_CDC_POSITIONS" ORDER BY source_server, table_name').map(positionRecord);
  }

  async deleteCdcPosition(sourceServer: string, tableName: string): Promise<void> {
    this.#connection.write(() =>
      this.#connection.run('DELETE FROM "SYS$MIGRATION_CDC_POSITIONS" WHERE source_server = ? AND table_name = ?', sourceServer, tableName));
  }
}

function positionRecord(row: Row): CdcPositionRecord {
  return {
    sourceServer: text(row, 'source_server'),
    tableName: text(row, 'table_name'),
    cdcType: text(row, 'cdc_type'),
    position: position(row, 'position_data'),
    updatedAt: time(row, 'updated_at'),
  };
}
