/** The same rows in a catalog file and in a PostgreSQL database with the specification's own column types. */
import Database from 'better-sqlite3';
import type pg from 'pg';
import { catalogTables } from '../../catalog/query/tables.ts';
import type { CatalogTable } from '../../catalog/query/tables.ts';

type Cell = string | number | null;

const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const states = ['NOT_STARTED', 'BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'LOCAL_ONLY', 'PAUSED', 'ERROR', 'BULK_LOADING'];
const names = ['users', 'orders', 'products', 'inventory', 'Größe', 'order_items', 'audit%log', "o'brien"];

function stateRows(): readonly (readonly Cell[])[] {
  return names.map((name, i) => [
    id(i + 1), i % 3 === 0 ? 'legacy_pg' : 'crm', i === 5 ? 'sales' : 'public', name, 'public', i === 3 ? 'stock' : name, states[i] ?? 'ERROR',
    `2026-03-01 1${i}:30:0${i}.${i === 2 ? '120' : '000'}`, i === 0 ? null : i * 1_000_003, i === 0 ? null : i * 333_334, i > 2 ? `0/1A234B${i}` : null,
    i === 4 ? null : i * 250, i === 6 ? 'MIG001: Cannot connect to source server' : null,
    i === 1 ? null : JSON.stringify({ batch_size: 10_000 * i, where_clause: i % 2 === 0 ? 'id > 5' : null, defer_indexes: i > 3, columns: ['id', name], nested: { a: [1, 2] } }),
    '2026-02-28 23:59:59.999', `2026-03-0${1 + (i % 4)} 00:00:00.00${i}`,
  ]);
}

function historyRows(): readonly (readonly Cell[])[] {
  return Array.from({ length: 30 }, (_, i) => [
    id(100 + i), id((i % 5) + 1), i % 7 === 6 ? 'error' : 'state_change', i % 7 === 6 ? null : (states[i % 4] ?? null), i % 7 === 6 ? null : (states[(i % 4) + 1] ?? null),
    i % 6 === 5 ? null : JSON.stringify({ trigger: i % 2 === 0 ? 'START' : 'caught up', epoch: i }), `2026-03-01 ${String(10 + Math.floor(i / 4)).padStart(2, '0')}:${String((i * 13) % 60).padStart(2, '0')}:00.${String(i).padStart(3, '0')}`,
  ]);
}

function conflictRows(): readonly (readonly Cell[])[] {
  return Array.from({ length: 6 }, (_, i) => [
    id(200 + i), id((i % 2) + 1), JSON.stringify({ id: i }), i === 0 ? null : JSON.stringify({ id: i, v: 'a' }), JSON.stringify({ id: i, v: 'b' }),
    i % 2 === 0 ? null : '2026-03-01 09:00:00.000', '2026-03-01 09:00:01.500', i % 2 === 0 ? 'source_wins' : 'timestamp_wins', null,
    `2026-03-01 1${i}:00:00.000`, i < 3 ? `2026-03-01 1${i}:00:05.250` : null,
  ]);
}

const rowsOf: Readonly<Record<string, readonly (readonly Cell[])[]>> = {
  'SYS$MIGRATION_STATE': stateRows(),
  'SYS$MIGRATION_HISTORY': historyRows(),
  'SYS$MIGRATION_CONFLICTS': conflictRows(),
  'SYS$MIGRATION_CDC_POSITIONS': [
    ['legacy_pg', 'public.users', 'logical_replication', JSON.stringify({ type: 'postgresql_lsn', lsn: '0/1A234B8', timeline_id: 1 }), '2026-03-01 10:00:00.000'],
    ['legacy_pg', 'public.orders', 'logical_replication', JSON.stringify({ type: 'postgresql_lsn', lsn: '0/1A234C0', timeline_id: 1 }), '2026-03-01 10:00:01.000'],
  ],
  'SYS$MIGRATION_AUDIT': [
    [id(300), '2026-03-01 10:00:00.000', id(900), 'MIGRATION_START', id(1), 'legacy_pg', JSON.stringify({ user: 'ops' }), '127.0.0.1', null],
    [id(301), '2026-03-01 11:00:00.000', id(900), 'CUTOVER_START', id(1), null, null, null, id(950)],
  ],
  'SYS$MIGRATION_TYPE_LOSS': [
    [id(1), 'born', 'to_local', 'zero_date', 'null', 7, JSON.stringify([{ value: '0000-00-00', becomes: null }]), '2026-03-01 10:00:00.000', '2026-03-01 10:00:01.500', null, null],
    [id(1), 'by_note', 'definition', 'index', null, 1, JSON.stringify([{ value: 'a FULLTEXT index', becomes: null }]), '2026-03-01 09:00:00.000', '2026-03-01 09:00:00.000', '2026-03-01 11:00:00.000', 'ops'],
    [id(2), 'total', 'to_source', 'fraction', 'clamp', 5_000_000_000, '[]', '2026-03-01 10:00:00.000', '2026-03-01 10:00:01.000', null, null],
  ],
  'SYS$MIGRATION_CHECKPOINTS': [[id(1), 'checkpoint', '2026-03-01 10:00:00.000']],
};

export function fillSqlite(file: string): void {
  const database = new Database(file);
  database.pragma('foreign_keys = OFF');
  for (const table of catalogTables) {
    const insert = database.prepare<(Cell | Buffer)[]>(`INSERT INTO "${table.name}" VALUES (${table.columns.map(() => '?').join(', ')})`);
    for (const row of rowsOf[table.name] ?? []) insert.run(...row.map((cell, i) => (table.columns[i]?.type === 'bytea' ? Buffer.from(String(cell)) : cell)));
  }
  database.close();
}

/** A view of the folded name stands for what the catalog answers to without quotes. */
export async function fillPostgres(client: pg.Client): Promise<void> {
  await client.query("SET timezone = 'UTC'");
  for (const table of catalogTables) {
    await client.query(`CREATE TABLE "${table.name}" (${table.columns.map((column) => `"${column.name}" ${column.type}`).join(', ')}, PRIMARY KEY (${table.primaryKey.join(', ')}))`);
    await client.query(`CREATE VIEW ${table.name} AS SELECT * FROM "${table.name}"`);
    for (const row of rowsOf[table.name] ?? []) await client.query(insertText(table), [...row]);
  }
}

function insertText(table: CatalogTable): string {
  return `INSERT INTO "${table.name}" VALUES (${table.columns.map((column, i) => (column.type === 'bytea' ? `convert_to($${i + 1}, 'UTF8')` : `$${i + 1}`)).join(', ')})`;
}
