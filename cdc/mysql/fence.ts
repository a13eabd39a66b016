/**
 * The fence on MySQL: triggers that refuse every row that is written, but by the applier (RULES 10, 25).
 *
 * The triggers ask a row of `causeway.fence` whether the fence stands, and lock it for that as readers do. So whoever has written a row holds that lock
 * until its transaction ends, and raising the fence, which changes the row, waits for all of them and lets nobody in behind: one ordinary
 * transaction, to which the marker belongs too, without a lock on the table that would stop readers. The first fence of a table makes its triggers,
 * and for a moment that stops readers as well; `installFenceTriggers` may be called before a pause.
 *
 * Not met by it: TRUNCATE and DDL, which fire no triggers, and what a foreign key of a table that is not fenced does to rows of this one.
 *
 * A session is the applier's when its variable `@causeway_applier` holds the token of the fence.
 */
import { createHash } from 'node:crypto';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { inScope, mysqlLiteral, mysqlName, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';

/** By which triggers know an applier's session; not NULL there. */
export const applierVariable = '@causeway_applier';

/** First statement of an applier's session. */
export function mysqlApplierTagSql(token: string): string {
  return `SET ${applierVariable} = ${mysqlLiteral(token)}`;
}

export interface MysqlFence {
  readonly epoch: number;
  readonly token: string;
}

const support = [
  'CREATE DATABASE IF NOT EXISTS causeway CHARACTER SET utf8',
  `CREATE TABLE IF NOT EXISTS causeway.fence (
    schema_name varchar(64) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL, table_name varchar(64) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL,
    standing tinyint NOT NULL, epoch bigint NOT NULL, token varchar(64) CHARACTER SET ascii NOT NULL, PRIMARY KEY (schema_name, table_name)) ENGINE=InnoDB`,
];

/** Idempotent. */
export async function installMysqlFenceSupport(query: MysqlQuery): Promise<void> {
  for (const sql of support) await query(sql);
}

/** Fences of an earlier control process obey this token from now on. */
export async function passFences(query: MysqlQuery, token: string): Promise<void> {
  await query(`UPDATE causeway.fence SET token = ${mysqlLiteral(token)} WHERE token <> ${mysqlLiteral(token)}`);
}

const events = ['INSERT', 'UPDATE', 'DELETE'] as const;
type FenceEvent = (typeof events)[number];

/** Names of triggers are the schema's, and no longer than a table's. */
export const fenceTriggerPrefix = 'causeway_fence_';

function triggerName(table: QualifiedName, event: FenceEvent): string {
  return `${fenceTriggerPrefix}${event.toLowerCase()}_${createHash('sha256').update(table.name).digest('hex').slice(0, 16)}`;
}

/** As the keys of `causeway.fence` are compared: in their own character set, or the index would not be used. */
function nameLiteral(name: string): string {
  return `_utf8 x'${Buffer.from(name).toString('hex')}'`;
}

function keyOf(table: QualifiedName): string {
  return `schema_name = ${nameLiteral(table.schema)} AND table_name = ${nameLiteral(table.name)}`;
}

/**
 * MariaDB prepares a statement again when a trigger of its table is younger than it is. The age that it goes by is that of CREATE TRIGGER's begin, in
 * hundredths of a second, so what is prepared while that waits for the table passes for younger, and fails from then on (1146, the trigger's
 * own table is not open). Longer than an attempt waits for a lock.
 *
 * Of the triggers for one event and time it looks at the first alone. So the fence's are the first: behind one of the table's own nobody would see how
 * young they are, and whatever had been prepared would fail until its client prepares it anew; also where it writes the table through another
 * one's trigger, for the server compares every table that a statement reaches.
 */
const TRIGGER_AHEAD_S = 10;

/**
 * Between one table's triggers and the next's, outside a pause: a prepared statement that reaches several tables is prepared again for each trigger that
 * it meets, and given up at the fourth time in a row (1615).
 */
export const FENCE_PACE_MS = 50;
export type FencePace = () => Promise<void>;
const atOnce: FencePace = () => Promise.resolve();

/** Idempotent; makes what is missing, with nothing standing yet. Waits for transactions that use the table, for `lock_wait_timeout`. */
export async function installFenceTriggers(query: MysqlQuery, tables: readonly QualifiedName[], server: MysqlCapabilities, pace = atOnce): Promise<void> {
  for (const table of sortTables(tables)) {
    const present = await readTriggerSlots(query, table);
    const missing = events.filter((event) => !present.some(({ name }) => name === triggerName(table, event)));
    if (missing.length === 0) continue;
    await query(`INSERT IGNORE INTO causeway.fence (schema_name, table_name, standing, epoch, token) VALUES (${nameLiteral(table.schema)}, ${nameLiteral(table.name)}, 0, 0, '')`);
    if (server.preparesByTriggerTime) await query(`SET timestamp = UNIX_TIMESTAMP(SYSDATE()) + ${TRIGGER_AHEAD_S}`);
    for (const event of missing) {
      const timing = freeTimings(present, event, server)[0];
      if (timing === undefined) throw new MigrationError('MIG011', `table ${table.schema}.${table.name} has no room for a fence`, { detail: `This version takes one trigger for each event and time, and the table has both for ${event}.`, hint: 'Cut over with NO FENCE, or take one of the triggers away.', tableName: `${table.schema}.${table.name}` });
      const first = present.find((each) => each.event === event && each.timing === timing);
      await query(triggerSql(table, event, timing, first?.name));
    }
    if (server.preparesByTriggerTime) await query('SET timestamp = DEFAULT');
    await pace();
  }
}

export interface TriggerSlot {
  readonly name: string;
  readonly event: string;
  readonly timing: string;
}

/** Pure. */
export function freeTimings(present: readonly TriggerSlot[], event: string, server: MysqlCapabilities): readonly ('BEFORE' | 'AFTER')[] {
  return (['BEFORE', 'AFTER'] as const).filter((timing) => server.severalTriggers || !present.some((each) => each.event === event && each.timing === timing));
}

/** In the order in which they fire. */
async function readTriggerSlots(query: MysqlQuery, table: QualifiedName): Promise<readonly TriggerSlot[]> {
  const rows = await query(`SELECT TRIGGER_NAME AS name, EVENT_MANIPULATION AS event, ACTION_TIMING AS timing FROM information_schema.TRIGGERS WHERE ${inScope({ schema: table.schema, table: table.name }, 'EVENT_OBJECT_SCHEMA', 'EVENT_OBJECT_TABLE')} ORDER BY ACTION_ORDER`);
  return rows.map((row) => ({ name: row['name'] ?? '', event: row['event'] ?? '', timing: row['timing'] ?? '' }));
}

/** `first`: of those that the table has for this event and time. */
function triggerSql(table: QualifiedName, event: FenceEvent, timing: string, first: string | undefined): string {
  const message = `MIG082: ${event} is refused by the Causeway gateway, the other database is the authority for ${table.schema}.${table.name}`;
  return `CREATE TRIGGER ${mysqlName(table.schema)}.${mysqlName(triggerName(table, event))} ${timing} ${event} ON ${mysqlTableName(table)} FOR EACH ROW ${first === undefined ? '' : `PRECEDES ${mysqlName(first)} `}BEGIN
    DECLARE causeway_token varchar(64) CHARACTER SET ascii;
    SELECT MAX(IF(standing = 1, token, NULL)) INTO causeway_token FROM causeway.fence WHERE ${keyOf(table)} LOCK IN SHARE MODE;
    IF causeway_token IS NOT NULL AND NOT (CAST(causeway_token AS BINARY) <=> CAST(@causeway_applier AS BINARY)) THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = ${nameLiteral([...message].slice(0, 120).join(''))};
    END IF;
  END`;
}

/** In the caller's transaction, after `installFenceTriggers`: waits for everybody who has written one of the tables, for `innodb_lock_wait_timeout`. */
export async function raiseFence(query: MysqlQuery, tables: readonly QualifiedName[], { epoch, token }: MysqlFence): Promise<void> {
  for (const table of sortTables(tables)) await query(`UPDATE causeway.fence SET standing = 1, epoch = ${epoch}, token = ${mysqlLiteral(token)} WHERE ${keyOf(table)}`);
}

/** The triggers stay, and let everybody by. */
export async function lowerFence(query: MysqlQuery, tables: readonly QualifiedName[]): Promise<void> {
  for (const table of sortTables(tables)) await query(`UPDATE causeway.fence SET standing = 0 WHERE ${keyOf(table)}`);
}

/** Whether there is something that `dropMysqlFence` would take away. */
export async function isFenceIdle(query: MysqlQuery, table: QualifiedName): Promise<boolean> {
  return (await query(`SELECT standing FROM causeway.fence WHERE ${keyOf(table)}`))[0]?.['standing'] === '0';
}

/** Of a fence that does not stand. `take`: runs what wants the table for itself, or leaves it. */
export async function dropMysqlFence(query: MysqlQuery, table: QualifiedName, pace = atOnce, take: (sql: string) => Promise<unknown> = query): Promise<void> {
  if (!(await isFenceIdle(query, table))) return;
  for (const { name } of await ownTriggers(query, table)) await take(`DROP TRIGGER IF EXISTS ${mysqlName(table.schema)}.${mysqlName(name)}`);
  await pace();
  // While one of them is there it asks for the row.
  if ((await ownTriggers(query, table)).length === 0) await query(`DELETE FROM causeway.fence WHERE ${keyOf(table)} AND standing = 0`);
}

async function ownTriggers(query: MysqlQuery, table: QualifiedName): Promise<readonly TriggerSlot[]> {
  const names = events.map((event) => triggerName(table, event));
  return (await readTriggerSlots(query, table)).filter(({ name }) => names.includes(name));
}

/** Tables with triggers of a fence that does not stand. */
export async function readIdleFences(query: MysqlQuery): Promise<readonly QualifiedName[]> {
  return (await query('SELECT schema_name AS s, table_name AS t FROM causeway.fence WHERE standing = 0 ORDER BY 1, 2')).map((row) => ({ schema: row['s'] ?? '', name: row['t'] ?? '' }));
}

/** What stands on this server (RULES 14); nothing where no fence was ever made. */
export async function readMysqlFences(query: MysqlQuery): Promise<readonly (QualifiedName & MysqlFence)[]> {
  const known = await query("SELECT 1 AS known FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME = 'fence'");
  if (known.length === 0) return [];
  const rows = await query('SELECT schema_name AS s, table_name AS t, epoch, token FROM causeway.fence WHERE standing = 1 ORDER BY 1, 2');
  return rows.map((row) => ({ schema: row['s'] ?? '', name: row['t'] ?? '', epoch: Number(row['epoch']), token: row['token'] ?? '' }));
}

/** In one order, so that two never wait for each other. */
function sortTables(tables: readonly QualifiedName[]): QualifiedName[] {
  return [...tables].sort((a, b) => (mysqlTableName(a) < mysqlTableName(b) ? -1 : 1));
}
