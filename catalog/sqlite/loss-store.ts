import type { LossRecords } from '../catalog.ts';
import { lossDirections } from '../records.ts';
import type { LossExample, NewTypeLoss, TypeLossRecord } from '../records.ts';
import { integer, jsonList, oneOf, optionalText, optionalTime, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

const KEPT_EXAMPLES = 5;

/** The ledger of loss: figures, the first examples, and what operators have accepted. */
export class LossStore implements LossRecords {
  readonly #connection: CatalogConnection;

  constructor(connection: CatalogConnection) {
    this.#connection = connection;
  }

  async addTypeLosses(losses: readonly NewTypeLoss[]): Promise<void> {
    if (losses.length === 0) return;
    this.#connection.write(() => {
      for (const loss of losses) {
        const before = this.#connection.get('SELECT examples FROM "SYS$MIGRATION_TYPE_LOSS" WHERE table_id = ? AND column_name = ? AND direction = ? AND kind = ?', loss.tableId, loss.column, loss.direction, loss.kind);
        const examples = [...(before === undefined ? [] : jsonList(before, 'examples')), ...loss.examples].slice(0, KEPT_EXAMPLES);
        const now = this.#connection.now();
        this.#connection.run(
          `INSERT INTO "SYS$MIGRATION_TYPE_LOSS" (table_id, column_name, direction, kind, policy, lost_values, examples, first_seen_at, last_seen_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (table_id, column_name, direction, kind) DO UPDATE SET policy = excluded.policy, lost_values = lost_values + excluded.lost_values,
             examples = excluded.examples, last_seen_at = excluded.last_seen_at`,
          loss.tableId, loss.column, loss.direction, loss.kind, loss.policy ?? null, loss.values, JSON.stringify(examples), now, now,
        );
      }
    });
  }

  async putDefinitionLosses(tableId: string, losses: readonly NewTypeLoss[]): Promise<void> {
    this.#connection.write(() => {
      const kept = JSON.stringify(losses.map(({ column, kind, examples }) => [column, kind, JSON.stringify(examples)]));
      this.#connection.run(
        `DELETE FROM "SYS$MIGRATION_TYPE_LOSS" WHERE table_id = ? AND direction = 'definition' AND (column_name, kind, examples) NOT IN
           (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))`, tableId, kept,
      );
      const now = this.#connection.now();
      for (const { column, kind, policy, values, examples } of losses) {
        this.#connection.run(
          `INSERT INTO "SYS$MIGRATION_TYPE_LOSS" (table_id, column_name, direction, kind, policy, lost_values, examples, first_seen_at, last_seen_at)
             VALUES (?, ?, 'definition', ?, ?, ?, ?, ?, ?) ON CONFLICT (table_id, column_name, direction, kind) DO UPDATE SET last_seen_at = excluded.last_seen_at`,
          tableId, column, kind, policy ?? null, values, JSON.stringify(examples), now, now,
        );
      }
    });
  }

  async typeLosses(tableId?: string): Promise<readonly TypeLossRecord[]> {
    const order = 'ORDER BY table_id, column_name, direction, kind';
    const rows = tableId === undefined ? this.#connection.all(`SELECT * FROM "SYS$MIGRATION_TYPE_LOSS" ${order}`) : this.#connection.all(`SELECT * FROM "SYS$MIGRATION_TYPE_LOSS" WHERE table_id = ? ${order}`, tableId);
    return rows.map(lossRecord);
  }

  async acceptTypeLosses(tableId: string, acceptance: { readonly column?: string | undefined; readonly user: string }): Promise<readonly TypeLossRecord[]> {
    return this.#connection.write(() => {
      const column = acceptance.column ?? null;
      const where = 'table_id = ? AND accepted_at IS NULL AND lost_values > 0 AND (? IS NULL OR column_name = ?)';
      const open = this.#connection.all(`SELECT * FROM "SYS$MIGRATION_TYPE_LOSS" WHERE ${where} ORDER BY column_name, direction, kind`, tableId, column, column).map(lossRecord);
      this.#connection.run(`UPDATE "SYS$MIGRATION_TYPE_LOSS" SET accepted_at = ?, accepted_by = ? WHERE ${where}`, this.#connection.now(), acceptance.user, tableId, column, column);
      return open;
    });
  }

  async restartTypeLosses(tableId: string): Promise<void> {
    this.#connection.write(() => {
      this.#connection.run('DELETE FROM "SYS$MIGRATION_TYPE_LOSS" WHERE table_id = ? AND direction = \'to_local\' AND accepted_at IS NULL', tableId);
      this.#connection.run('UPDATE "SYS$MIGRATION_TYPE_LOSS" SET lost_values = 0, examples = \'[]\' WHERE table_id = ? AND direction = \'to_local\'', tableId);
    });
  }

  async forgetTypeLosses(tableId: string): Promise<void> {
    this.#connection.write(() => this.#connection.run('DELETE FROM "SYS$MIGRATION_TYPE_LOSS" WHERE table_id = ?', tableId));
  }
}

function lossRecord(row: Row): TypeLossRecord {
  return {
    tableId: text(row, 'table_id'),
    column: text(row, 'column_name'),
    direction: oneOf(row, 'direction', lossDirections),
    kind: text(row, 'kind'),
    policy: optionalText(row, 'policy'),
    values: integer(row, 'lost_values'),
    examples: jsonList(row, 'examples').map(example),
    firstSeenAt: time(row, 'first_seen_at'),
    lastSeenAt: time(row, 'last_seen_at'),
    acceptedAt: optionalTime(row, 'accepted_at'),
    acceptedBy: optionalText(row, 'accepted_by'),
  };
}

function example(written: unknown): LossExample {
  const { value, becomes } = typeof written === 'object' && written !== null ? (written as { value?: unknown; becomes?: unknown }) : {};
  return { value: typeof value === 'string' ? value : '', becomes: typeof becomes === 'string' ? becomes : null };
}
