/**
 * Who holds a table for writing, and who waits for whom. MySQL 8 and later say which tables a transaction has locked, with `performance_schema` on;
 * elsewhere every open transaction that has locked anything counts.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { readMysqlServer } from './introspect.ts';
import { inScope } from './query.ts';
import type { MysqlQuery, MysqlRow } from './query.ts';

const SHOWN = 5;

async function seesLocks(query: MysqlQuery): Promise<boolean> {
  const { dataLocks } = await readMysqlServer(query);
  return dataLocks && (await query('SELECT @@performance_schema AS on_'))[0]?.['on_'] === '1';
}

/** InnoDB makes its tables of information_schema anew only when nobody has read them for a tenth of a second. */
const REST_S = 0.12;

/** Every write takes an intention lock on its table, which the transaction keeps. */
function holdersSql(tables: readonly QualifiedName[], isExact: boolean): string {
  const held = isExact
    ? `EXISTS (SELECT 1 FROM performance_schema.data_locks l WHERE l.ENGINE_TRANSACTION_ID = t.trx_id AND l.LOCK_TYPE = 'TABLE' AND l.LOCK_STATUS = 'GRANTED' AND l.LOCK_MODE LIKE '%X%'
        AND (${tables.map((table) => `(${inScope({ schema: table.schema, table: table.name }, 'l.OBJECT_SCHEMA', 'l.OBJECT_NAME')})`).join(' OR ')}))`
    : '(t.trx_tables_locked > 0 OR t.trx_rows_locked > 0 OR t.trx_rows_modified > 0)';
  return `SELECT t.trx_mysql_thread_id AS id, t.trx_state AS state, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds, p.USER AS account, p.HOST AS host, LEFT(p.INFO, 120) AS statement
    FROM information_schema.INNODB_TRX t LEFT JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
   WHERE t.trx_mysql_thread_id <> CONNECTION_ID() AND ${held} ORDER BY t.trx_started`;
}

async function readHolders(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<readonly MysqlRow[]> {
  const isExact = await seesLocks(query);
  await query(`DO SLEEP(${REST_S})`);
  return query(holdersSql(tables, isExact));
}

/**
 * Whether a branch of XA that is prepared and has no connection may have written the tables. It holds no lock on their definition, and after a restart
 * of the server none of those that only read: a fence does not wait for it, and what it has written is committed whenever somebody says so.
 */
export async function hasLonePrepared(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<boolean> {
  // Who may not ask for it (MySQL 8 and later: XA_RECOVER_ADMIN) looks at all transactions.
  const isNone = await query('XA RECOVER').then((rows) => rows.length === 0, () => false);
  if (isNone) return false;
  return (await readHolders(query, tables)).some((row) => row['id'] === '0');
}

/**
 * Undefined: somebody uses the table, if only to read, or it cannot be known. Else a text, which is another one when somebody may have used it since.
 * Who holds its definition can be seen on MySQL 8 and later, with SELECT on performance_schema; elsewhere no transaction may be open at all, and nobody have begun to write.
 */
export async function readRest(query: MysqlQuery, table: QualifiedName): Promise<string | undefined> {
  const locks = (await seesLocks(query)) ? await query(holdersOfDefinition(table)).catch(() => []) : [];
  // This question locks definitions too: where not even that is seen, nothing is (the instrument is off).
  if (Number(locks[0]?.['own'] ?? 0) > 0) return Number(locks[0]?.['others']) === 0 ? 'not held' : undefined;
  await query(`DO SLEEP(${REST_S})`);
  const open = await query('SELECT COUNT(*) AS open FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()').catch(() => []);
  if (open[0]?.['open'] !== '0') return undefined;
  // Looks are far apart: a transaction between two of them has begun one of these, whether or not it has changed a row.
  const written = await query("SHOW GLOBAL STATUS WHERE Variable_name REGEXP '^Com_(begin|insert|update|delete|replace|load|call_procedure|xa_start)'");
  return written.map((row) => Object.values(row).join(' ')).join(', ');
}

function holdersOfDefinition(table: QualifiedName): string {
  const own = '(SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID())';
  return `SELECT COUNT(IF(OWNER_THREAD_ID = ${own}, 1, NULL)) AS own, COUNT(IF(OWNER_THREAD_ID <> ${own} AND OBJECT_TYPE = 'TABLE' AND ${inScope({ schema: table.schema, table: table.name }, 'OBJECT_SCHEMA', 'OBJECT_NAME')}, 1, NULL)) AS others FROM performance_schema.metadata_locks`;
}

/** A line for each; undefined when nobody is seen. */
export async function describeMysqlLockHolders(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<string | undefined> {
  const rows = await readHolders(query, tables);
  const lines = rows.slice(0, SHOWN).map((row) => (row['id'] === '0'
    ? `A prepared transaction, open for ${row['seconds']} s: XA RECOVER names it, XA COMMIT or XA ROLLBACK ends it.`
    : `Connection ${row['id']} of ${row['account'] ?? 'unknown'} at ${row['host'] ?? 'unknown'}, open for ${row['seconds']} s: ${row['statement'] ?? 'idle'}`));
  return lines.length === 0 ? undefined : [...lines, ...(rows.length > SHOWN ? [`and ${rows.length - SHOWN} more`] : [])].join('\n');
}

export async function readOpenWriters(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<{ readonly count: number; readonly longestMs: number }> {
  if (tables.length === 0) return { count: 0, longestMs: 0 };
  const rows = await readHolders(query, tables);
  return { count: rows.length, longestMs: Math.max(0, ...rows.map((row) => Number(row['seconds'] ?? 0) * 1000)) };
}

/** Pairs of connections, blocked and blocking, by locks of InnoDB; MySQL 8 and later know them with `performance_schema` on. Needs PROCESS, or there SELECT on performance_schema. */
export async function readMysqlBlockers(query: MysqlQuery, ids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
  if (ids.length === 0) return [];
  if (await seesLocks(query)) {
    return pairsOf(await query(`SELECT DISTINCT b.PROCESSLIST_ID AS blocked, h.PROCESSLIST_ID AS blocking FROM performance_schema.data_lock_waits w
      JOIN performance_schema.threads b ON b.THREAD_ID = w.REQUESTING_THREAD_ID JOIN performance_schema.threads h ON h.THREAD_ID = w.BLOCKING_THREAD_ID WHERE b.PROCESSLIST_ID IN (${ids.join(', ')})`));
  }
  if ((await readMysqlServer(query)).dataLocks) return [];
  await query(`DO SLEEP(${REST_S})`);
  return pairsOf(await query(`SELECT DISTINCT b.trx_mysql_thread_id AS blocked, h.trx_mysql_thread_id AS blocking FROM information_schema.INNODB_LOCK_WAITS w
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.requesting_trx_id JOIN information_schema.INNODB_TRX h ON h.trx_id = w.blocking_trx_id WHERE b.trx_mysql_thread_id IN (${ids.join(', ')})`));
}

function pairsOf(rows: readonly MysqlRow[]): readonly (readonly [number, number])[] {
  return rows.map((row) => [Number(row['blocked']), Number(row['blocking'])] as const);
}
