/**
 * The rows that a stream into a MySQL or MariaDB server keeps there, in `causeway`, and how they are read and moved: as `cdc/postgres/target-state.ts` does
 * on PostgreSQL. Every move changes its row (`turn`), or it would not be in the binlog, and the capture of the other direction not know the transaction.
 */
import type { Statement } from '../apply/apply-connection.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { SavedPositions } from '../ports.ts';
import type { StreamRow, TableRow, TargetMoves } from '../stream/change-target.ts';
import { createBookkeeping } from './binlog/bookkeeping.ts';
import { mysqlLiteral } from './query.ts';
import type { MysqlQuery } from './query.ts';

const name = 'varchar(190) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL';

/** Beside `causeway.applied`. `reread`: rows to be read from the captured side again (RULES 1). */
const targetTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS causeway.table_applied (stream ${name}, table_id ${name}, mode varchar(10) CHARACTER SET ascii NOT NULL, position bigint unsigned NOT NULL, spool_offset bigint unsigned NOT NULL DEFAULT 0,
    token varchar(64) CHARACTER SET ascii NOT NULL, turn bigint unsigned NOT NULL DEFAULT 0, PRIMARY KEY (stream, table_id)) ENGINE=InnoDB`,
  `CREATE TABLE IF NOT EXISTS causeway.reread (table_id ${name}, key_hash binary(32) NOT NULL, key_json longtext CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (table_id, key_hash)) ENGINE=InnoDB`,
];

/** Idempotent. Statements that change nothing are in the binlog all the same: looks first. */
export async function installTargetState(query: MysqlQuery): Promise<void> {
  const [made] = await query("SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME IN ('marker', 'applied', 'table_applied', 'reread')");
  if (made?.['n'] === '4') return;
  for (const statement of [...createBookkeeping, ...targetTables]) await query(statement);
}

export function privateTag(stream: string, tableId: string): string {
  return `${stream}/${tableId}`;
}

function isOf(stream: string): string {
  return `stream = ${nameLiteral(stream)}`;
}

/** In the columns' own character set, or their index would not be used. */
function nameLiteral(text: string): string {
  return text === '' ? "''" : `_utf8 x'${Buffer.from(text).toString('hex')}'`;
}

function isTableOf(stream: string, tableId: string): string {
  return `${isOf(stream)} AND table_id = ${nameLiteral(tableId)}`;
}

export function mysqlMoves(stream: string, token: bigint): TargetMoves {
  const owned = `token = '${token}'`;
  const say = (text: string): Statement => ({ text });
  // A newer token stays, and the move behind the tag finds no row under this one.
  const unlessNewer = (column: string, value: string): string => `${column} = IF(CAST(token AS UNSIGNED) <= ${token}, ${value}, ${column})`;
  return {
    shared: (lsn, spoolEnd) => say(`UPDATE causeway.applied SET position = ${lsn}, spool_end = ${spoolEnd}, turn = turn + 1 WHERE ${isOf(stream)} AND ${owned}`),
    tagShared: () => say(`UPDATE causeway.applied SET turn = turn + 1 WHERE ${isOf(stream)} AND ${owned}`),
    tagPrivate: (tableId, lsn) => say(`INSERT INTO causeway.applied (stream, position, token) VALUES (${nameLiteral(privateTag(stream, tableId))}, ${lsn}, '${token}')
      ON DUPLICATE KEY UPDATE ${unlessNewer('position', 'VALUES(position)')}, ${unlessNewer('turn', 'turn + 1')}, ${unlessNewer('token', 'VALUES(token)')}`),
    private: (tableId, lsn, spoolOffset) => say(`UPDATE causeway.table_applied SET position = ${lsn}, spool_offset = ${spoolOffset}, turn = turn + 1 WHERE ${isTableOf(stream, tableId)} AND ${owned} AND mode = 'private'`),
    membership: (tableId, mode, lsn, spoolOffset = 0) => say(`INSERT INTO causeway.table_applied (stream, table_id, mode, position, spool_offset, token) VALUES (${nameLiteral(stream)}, ${nameLiteral(tableId)}, '${mode}', ${lsn}, ${spoolOffset}, '${token}')
      ON DUPLICATE KEY UPDATE ${unlessNewer('mode', 'VALUES(mode)')}, ${unlessNewer('position', 'VALUES(position)')}, ${unlessNewer('spool_offset', 'VALUES(spool_offset)')}, turn = turn + 1, ${unlessNewer('token', 'VALUES(token)')}`),
    durably: [],
  };
}

export async function readStreamRow(query: MysqlQuery, stream: string): Promise<StreamRow | undefined> {
  const [row] = await query(`SELECT position, spool_id, spool_end, system_id, timeline FROM causeway.applied WHERE ${isOf(stream)}`);
  if (!row) return undefined;
  return {
    lsn: BigInt(row['position'] ?? 0), spoolId: row['spool_id'] ?? undefined, spoolEnd: BigInt(row['spool_end'] ?? 0),
    systemId: row['system_id'] ?? undefined, timeline: row['timeline'] === null || row['timeline'] === undefined ? undefined : Number(row['timeline']),
  };
}

export async function insertStreamRow(query: MysqlQuery, stream: string, lsn: bigint, token: bigint, spoolId: string): Promise<void> {
  await query(`INSERT IGNORE INTO causeway.applied (stream, position, token, spool_id) VALUES (${nameLiteral(stream)}, ${lsn}, '${token}', ${mysqlLiteral(spoolId)})`);
}

/** Takes the stream over from an older control process; waits for its transactions to end (RULES 14). */
export async function raiseTokens(query: MysqlQuery, stream: string, token: bigint): Promise<void> {
  const raised = `SET token = '${token}' WHERE ${isOf(stream)} AND CAST(token AS UNSIGNED) <= ${token}`;
  await query(`UPDATE causeway.applied ${raised}`);
  const [row] = await query(`SELECT token FROM causeway.applied WHERE ${isOf(stream)}`);
  if (row?.['token'] !== String(token)) throw new MigrationError('MIG092', undefined, { detail: `Stream ${stream} carries a newer fencing token than ${token}.` });
  await query(`UPDATE causeway.table_applied ${raised}`);
}

export async function saveSource(query: MysqlQuery, stream: string, systemId: string, timeline: number, spoolId: string): Promise<void> {
  await query(`UPDATE causeway.applied SET system_id = ${mysqlLiteral(systemId)}, timeline = ${timeline}, spool_id = ${mysqlLiteral(spoolId)} WHERE ${isOf(stream)}`);
}

export async function readTableRows(query: MysqlQuery, stream: string): Promise<readonly TableRow[]> {
  const rows = await query(`SELECT table_id, mode, position, spool_offset FROM causeway.table_applied WHERE ${isOf(stream)}`);
  return rows.map((row) => ({ tableId: row['table_id'] ?? '', mode: row['mode'] === 'shared' ? 'shared' : 'private', lsn: BigInt(row['position'] ?? 0), spoolOffset: Number(row['spool_offset'] ?? 0) }));
}

/** Where the shared tables stand; waits for a transaction whose end was not heard of. In the caller's transaction. */
export async function lockStreamRow(query: MysqlQuery, stream: string, token: bigint): Promise<bigint> {
  const [row] = await query(`SELECT position FROM causeway.applied WHERE ${isOf(stream)} AND token = '${token}' FOR UPDATE`);
  if (!row) throw new MigrationError('MIG092');
  return BigInt(row['position'] ?? 0);
}

export async function forgetTable(query: MysqlQuery, stream: string, tableId: string): Promise<void> {
  await query(`DELETE FROM causeway.table_applied WHERE ${isTableOf(stream, tableId)}`);
  await query(`DELETE FROM causeway.reread WHERE table_id = ${nameLiteral(tableId)}`);
  await query(`DELETE FROM causeway.applied WHERE ${isOf(privateTag(stream, tableId))}`);
}

export async function forgetStream(query: MysqlQuery, stream: string): Promise<void> {
  await query(`DELETE FROM causeway.applied WHERE ${isOf(stream)}`);
}

export async function hasTargetState(query: MysqlQuery): Promise<boolean> {
  const [made] = await query("SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME IN ('applied', 'table_applied')");
  return made?.['n'] === '2';
}

/** As `assertSaved` of PostgreSQL: throws MIG002 when the server's record is behind what the stream had saved there. */
export async function assertMysqlSaved(query: MysqlQuery, saved: SavedPositions): Promise<void> {
  const stands = await readStreamRow(query, saved.stream);
  const tables = new Map((await readTableRows(query, saved.stream)).map((row) => [row.tableId, row]));
  const isThere = stands !== undefined && stands.lsn >= saved.shared && saved.tables.every(({ tableId, lsn }) => {
    const row = tables.get(tableId);
    return row !== undefined && (row.mode === 'shared' || row.lsn >= lsn);
  });
  if (isThere) return;
  throw new MigrationError('MIG002', 'the server was restarted, and has lost changes that it had shown', {
    detail: `Stream ${saved.stream} had applied them up to ${saved.shared}; it applies them again.`, hint: 'Nothing was changed. Try again in a moment.',
  });
}
