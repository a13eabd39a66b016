/**
 * Who holds a table for writing, and who waits for whom. MySQL 8 and later say which tables a transaction has locked; older ones and MariaDB say that
 * it has locked some: there every open transaction that has locked a table counts.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { readMysqlServer } from './introspect.ts';
import { inScope } from './query.ts';
import type { MysqlQuery } from './query.ts';

const SHOWN = 5;

/** Every write takes an intention lock on its table, which the transaction keeps. */
function holdersSql(tables: readonly QualifiedName[], server: MysqlCapabilities): string {
  const held = server.dataLocks
    ? `EXISTS (SELECT 1 FROM performance_schema.data_locks l WHERE l.ENGINE_TRANSACTION_ID = t.trx_id AND l.LOCK_TYPE = 'TABLE' AND l.LOCK_STATUS = 'GRANTED' AND l.LOCK_MODE LIKE '%X%'
        AND (${tables.map((table) => `(${inScope({ schema: table.schema, table: table.name }, 'l.OBJECT_SCHEMA', 'l.OBJECT_NAME')})`).join(' OR ')}))`
    : 't.trx_tables_locked > 0';
  return `SELECT t.trx_mysql_thread_id AS id, t.trx_state AS state, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds, p.USER AS account, p.HOST AS host, LEFT(p.INFO, 120) AS statement
    FROM information_schema.INNODB_TRX t LEFT JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
   WHERE t.trx_mysql_thread_id <> CONNECTION_ID() AND ${held} ORDER BY t.trx_started`;
}

/** A line for each; undefined when nobody is seen. */
export async function describeMysqlLockHolders(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<string | undefined> {
  const rows = await query(holdersSql(tables, await readMysqlServer(query)));
  const lines = rows.slice(0, SHOWN).map((row) => (row['id'] === '0'
    ? `A prepared transaction, open for ${row['seconds']} s: XA RECOVER names it, XA COMMIT or XA ROLLBACK ends it.`
    : `Connection ${row['id']} of ${row['account'] ?? 'unknown'} at ${row['host'] ?? 'unknown'}, open for ${row['seconds']} s: ${row['statement'] ?? 'idle'}`));
  return lines.length === 0 ? undefined : [...lines, ...(rows.length > SHOWN ? [`and ${rows.length - SHOWN} more`] : [])].join('\n');
}

export async function readOpenWriters(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<{ readonly count: number; readonly longestMs: number }> {
  if (tables.length === 0) return { count: 0, longestMs: 0 };
  const rows = await query(holdersSql(tables, await readMysqlServer(query)));
  return { count: rows.length, longestMs: Math.max(0, ...rows.map((row) => Number(row['seconds'] ?? 0) * 1000)) };
}

/** Pairs of connections, blocked and blocking: by locks of InnoDB. Needs the privilege PROCESS, and on MySQL 8 and later SELECT on performance_schema. */
export async function readMysqlBlockers(query: MysqlQuery, ids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
  if (ids.length === 0) return [];
  const server = await readMysqlServer(query);
  const waits = server.dataLocks
    ? 'SELECT REQUESTING_ENGINE_TRANSACTION_ID AS waiting, BLOCKING_ENGINE_TRANSACTION_ID AS holding FROM performance_schema.data_lock_waits'
    : 'SELECT requesting_trx_id AS waiting, blocking_trx_id AS holding FROM information_schema.INNODB_LOCK_WAITS';
  const rows = await query(`SELECT DISTINCT b.trx_mysql_thread_id AS blocked, h.trx_mysql_thread_id AS blocking FROM (${waits}) w
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.waiting JOIN information_schema.INNODB_TRX h ON h.trx_id = w.holding WHERE b.trx_mysql_thread_id IN (${ids.join(', ')})`);
  return rows.map((row) => [Number(row['blocked']), Number(row['blocking'])] as const);
}
