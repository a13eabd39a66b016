/** What the source server and the migration's user on it allow. */
import type { ClientBase } from 'pg';
import { serverCapabilities } from './capabilities.ts';
import type { Finding } from './finding.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';
import type { TableDefinition } from './definition.ts';

export interface ReplicationSettings {
  readonly version: number;
  readonly walLevel: string;
  readonly slots: number;
  readonly slotsUsed: number;
  readonly senders: number;
  readonly sendersUsed: number;
  readonly maxPrepared: number;
  readonly inRecovery: boolean;
  readonly keepSize: string | null;
}

export async function readReplicationSettings(client: ClientBase): Promise<ReplicationSettings> {
  const rows = await readJson<ReplicationSettings>(client, `
    SELECT current_setting('server_version_num')::int AS version, current_setting('wal_level') AS "walLevel", current_setting('max_replication_slots')::int AS slots,
           (SELECT count(*) FROM pg_replication_slots)::int AS "slotsUsed", current_setting('max_wal_senders')::int AS senders,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::int AS "sendersUsed", current_setting('max_prepared_transactions')::int AS "maxPrepared",
           pg_is_in_recovery() AS "inRecovery", current_setting('max_slot_wal_keep_size', true) AS "keepSize"`);
  const settings = rows[0];
  if (settings === undefined) throw new Error('the server answered no settings');
  return settings;
}

export async function sourceFindings(client: ClientBase, definition: TableDefinition, where: string | undefined): Promise<Finding[]> {
  const settings = await readReplicationSettings(client);
  return [
    ...replicationFindings(settings, 'source'),
    ...streamFindings(settings, definition),
    ...(await roleFindings(client, definition)),
    ...(await activityFindings(client)),
    ...(where === undefined ? [] : await whereFindings(client, definition, where)),
    ...(settings.maxPrepared > 0 ? [] : [{
      code: 'prepared_transactions', severity: 'info' as const, subject: 'source', remedy: 'ALTER SYSTEM SET max_prepared_transactions = 100; then restart: at least as many as clients that commit at once.',
      message: 'max_prepared_transactions is 0: a transaction that writes on both sides is committed only if local takes PREPARE TRANSACTION',
    }]),
    { code: 'server_version', severity: 'info', subject: 'source', message: `PostgreSQL ${versionText(settings.version)}`, remedy: '' },
  ];
}

export function versionText(version: number): string {
  return `${Math.trunc(version / 10000)}.${version % 10000}`;
}

/** Pure. On the source for the forward stream; on local for the way back (RULES 17). */
export function replicationFindings(settings: ReplicationSettings, side: 'source' | 'local'): Finding[] {
  const findings: Finding[] = [];
  const severity = side === 'source' ? 'error' : 'warning';
  const purpose = side === 'source' ? '' : ' (without it there is no way back after cutover)';
  const refuse = (code: string, message: string, remedy: string): void => void findings.push({ code, severity, subject: side, message: message + purpose, remedy, ...(side === 'source' ? { errorCode: 'MIG005' as const } : {}) });
  if (settings.walLevel !== 'logical') refuse('wal_level', `wal_level is ${settings.walLevel}, and must be logical`, "ALTER SYSTEM SET wal_level = 'logical'; then restart the server (managed services have a parameter for it, such as rds.logical_replication).");
  if (settings.slotsUsed >= settings.slots) refuse('replication_slots', `all ${settings.slots} replication slots are taken`, `ALTER SYSTEM SET max_replication_slots = ${settings.slots + 4}; then restart, or drop a slot that nobody uses.`);
  // The stream and, for a moment, the exported snapshot of the load.
  if (settings.senders - settings.sendersUsed < 2) refuse('wal_senders', `${settings.sendersUsed} of ${settings.senders} WAL senders are taken, and two are needed`, `ALTER SYSTEM SET max_wal_senders = ${settings.senders + 4}; then restart.`);
  if (settings.inRecovery) refuse('standby', 'the server is a standby', 'Give the address of the primary.');
  if (settings.keepSize !== null && settings.keepSize !== '-1') findings.push({ code: 'slot_keep_size', severity: 'warning', subject: side, message: `max_slot_wal_keep_size is ${settings.keepSize}: a stream that falls further behind loses its slot, and the tables have to be copied again`, remedy: 'Raise it, or keep an eye on retained WAL in SHOW MIGRATION STATUS.' });
  return findings;
}

/** Pure: what the source's version leaves out of the change stream. */
export function streamFindings(settings: ReplicationSettings, definition: TableDefinition): Finding[] {
  const has = serverCapabilities(settings.version);
  const subject = quoteTable(definition);
  const findings: Finding[] = [];
  if (!has.publishedTruncate) findings.push({ code: 'truncate', severity: 'warning', subject, message: `TRUNCATE is not in the change stream of PostgreSQL ${versionText(settings.version)}: local keeps the rows`, remedy: 'Use DELETE while the table migrates, or RESYNC MIGRATION after a TRUNCATE.' });
  if (!has.partitionedPublication && definition.kind === 'partitioned') findings.push({ code: 'partitions', severity: 'warning', subject, message: `before PostgreSQL 13 each partition is published by itself: the rows of one that is made while the table migrates are not carried`, remedy: 'Make the partitions that will be needed before START.' });
  return findings;
}

interface RoleRow {
  readonly role: string;
  readonly superuser: boolean;
  readonly replication: boolean;
  readonly managed: boolean;
  readonly bypass: boolean;
  readonly owner: boolean;
  readonly select: boolean;
  readonly trigger: boolean;
  readonly write: boolean;
  readonly createDatabase: boolean;
  readonly usage: boolean;
  readonly database: string;
}

async function roleFindings(client: ClientBase, definition: TableDefinition): Promise<Finding[]> {
  const rows = await readJson<RoleRow>(client, `
    SELECT r.rolname AS role, r.rolsuper AS superuser, r.rolreplication AS replication, r.rolbypassrls AS bypass,
           EXISTS (SELECT 1 FROM pg_roles m WHERE m.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin') AND pg_has_role(r.oid, m.oid, 'USAGE')) AS managed,
           pg_has_role(r.oid, c.relowner, 'USAGE') AS owner, has_table_privilege(r.oid, c.oid, 'SELECT') AS select,
           has_table_privilege(r.oid, c.oid, 'TRIGGER') AS trigger, has_table_privilege(r.oid, c.oid, 'INSERT') AND has_table_privilege(r.oid, c.oid, 'UPDATE') AND has_table_privilege(r.oid, c.oid, 'DELETE') AS write,
           has_database_privilege(r.oid, current_database(), 'CREATE') AS "createDatabase", has_schema_privilege(r.oid, c.relnamespace, 'USAGE') AS usage, current_database() AS database
      FROM pg_roles r CROSS JOIN pg_class c WHERE r.rolname = current_user AND c.oid = $1`, [definition.oid]);
  const row = rows[0];
  return row === undefined || row.superuser ? [] : privilegeFindings(row, definition);
}

/** Pure; a superuser needs none of it. */
export function privilegeFindings(row: RoleRow, definition: TableDefinition): Finding[] {
  const role = quoteIdent(row.role);
  const table = quoteTable(definition);
  const findings: Finding[] = [];
  const missing = (code: string, message: string, remedy: string, errorCode: 'MIG004' | 'MIG005' = 'MIG004'): void => void findings.push({ code, severity: 'error', subject: row.role, message, remedy, errorCode });
  if (!row.replication && !row.managed) missing('replication_privilege', 'may not make a replication slot', `ALTER ROLE ${role} REPLICATION; (Amazon RDS: GRANT rds_replication TO ${role};)`, 'MIG005');
  if (!row.usage) missing('schema_privilege', `may not use schema ${definition.schema}`, `GRANT USAGE ON SCHEMA ${quoteIdent(definition.schema)} TO ${role};`);
  if (!row.select) missing('select_privilege', `may not read ${table}`, `GRANT SELECT ON ${table} TO ${role};`);
  if (!row.owner) missing('ownership', `does not own ${table}, and only an owner can put it into a publication`, `GRANT ${quoteIdent(definition.owner)} TO ${role};`);
  if (!row.createDatabase) missing('create_privilege', `may not make a publication or the schema causeway in database ${row.database}`, `GRANT CREATE ON DATABASE ${quoteIdent(row.database)} TO ${role};`);
  if (!row.trigger && !row.owner) missing('trigger_privilege', `may not put the fence of the cutover on ${table}`, `GRANT TRIGGER ON ${table} TO ${role};`);
  if (!row.write && !row.owner) findings.push({ code: 'write_privilege', severity: 'warning', subject: row.role, message: `may not write ${table}: there is no way back after cutover`, remedy: `GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ${table} TO ${role};` });
  const unreadable = definition.sequences.filter((sequence) => sequence.lastValue === '0' && !sequence.isCalled && sequence.min !== '0' && BigInt(sequence.min) > 0n);
  for (const sequence of unreadable) missing('sequence_privilege', `may not read sequence ${sequence.schema}.${sequence.name}`, `GRANT SELECT, UPDATE ON SEQUENCE ${quoteTable(sequence)} TO ${role};`);
  if (definition.rowSecurity.enabled && !row.bypass && (!row.owner || definition.rowSecurity.forced)) missing('row_security', `row security of ${table} would hide rows from it`, `ALTER ROLE ${role} BYPASSRLS;`);
  return findings;
}

const longSeconds = 60;

async function activityFindings(client: ClientBase): Promise<Finding[]> {
  const open = await readJson<{ pid: number; user: string | null; seconds: number; query: string | null }>(client, `
    SELECT pid, usename AS user, extract(epoch FROM now() - xact_start)::int AS seconds, left(query, 80) AS query FROM pg_stat_activity
     WHERE xact_start < now() - make_interval(secs => ${longSeconds}) AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY xact_start LIMIT 5`);
  const prepared = await readJson<{ gid: string; owner: string; seconds: number }>(client, 'SELECT gid, owner, extract(epoch FROM now() - prepared)::int AS seconds FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 5');
  const slots = await readJson<{ name: string; bytes: number | null }>(client, `
    SELECT slot_name AS name, CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 END AS bytes
      FROM pg_replication_slots WHERE NOT active AND slot_name NOT LIKE 'causeway%'`);
  return [
    ...open.map((each): Finding => ({ code: 'long_transaction', severity: 'warning', subject: `pid ${each.pid}`, message: `a transaction of ${each.user ?? 'unknown'} has been open for ${each.seconds} s (${each.query ?? ''}): making a slot waits for it if it has written`, remedy: `Wait for it, or SELECT pg_terminate_backend(${each.pid});` })),
    ...prepared.map((each): Finding => ({ code: 'prepared_transaction', severity: 'warning', subject: each.gid, message: `prepared by ${each.owner} ${each.seconds} s ago and not decided: making a slot waits for it`, remedy: `COMMIT PREPARED or ROLLBACK PREPARED '${each.gid}'` })),
    ...slots.map((each): Finding => ({ code: 'idle_slot', severity: 'warning', subject: each.name, message: `nobody reads the slot; it holds ${Math.round((each.bytes ?? 0) / 1048576)} MB of WAL back`, remedy: `SELECT pg_drop_replication_slot('${each.name}'); if it is not needed.` })),
  ];
}

/** The filter runs on both servers, for each change, with nothing but pg_catalog in the search path. */
async function whereFindings(client: ClientBase, definition: TableDefinition, where: string): Promise<Finding[]> {
  const has = serverCapabilities(definition.serverVersion);
  const finding = (severity: 'error' | 'warning', message: string, remedy: string): Finding => ({ code: 'where_clause', severity, subject: where, message, remedy, ...(severity === 'error' ? { errorCode: 'MIG071' as const } : {}) });
  await client.query('BEGIN READ ONLY');
  try {
    await client.query('SET LOCAL search_path = pg_catalog');
    await client.query(`EXPLAIN SELECT 1 FROM ${quoteTable(definition)} t WHERE (${where})`);
  } catch (error) {
    return [finding('error', `the source refuses it: ${error instanceof Error ? error.message : String(error)}`, 'It must be one boolean expression over the columns; names of functions need their schema.')];
  } finally {
    await client.query('ROLLBACK');
  }
  const words = [...new Set(where.replace(/'(?:[^']|'')*'/g, '').toLowerCase().match(/[a-z_][a-z0-9_]*(?=\s*\()/g) ?? [])];
  const kind = has.partitionedKeys ? "p.prokind = 'f'" : 'NOT p.proisagg';
  const functions = await readJson<{ name: string; volatility: string }>(client, `SELECT p.proname AS name, max(p.provolatile)::text AS volatility FROM pg_proc p WHERE p.proname = ANY ($1::text[]) AND ${kind} GROUP BY p.proname`, [words]);
  const changing = functions.filter((each) => each.volatility !== 'i').map((each) => each.name);
  const keywords = /\b(current_(date|time|timestamp|user|role|schema|catalog)|localtime(stamp)?|session_user|user)\b/i.exec(where.replace(/'(?:[^']|'')*'/g, ''))?.[0];
  const names = keywords === undefined ? changing : [...changing, keywords];
  const subquery = /\bselect\b/i.test(where.replace(/'(?:[^']|'')*'/g, ''));
  const findings: Finding[] = [];
  if (names.length > 0) findings.push(finding('warning', `${names.join(', ')} may give another answer later or on local: rows would enter or leave the filter without a change`, 'Use constants and immutable functions only.'));
  if (subquery) findings.push(finding('error', 'a subquery cannot be evaluated for single changes', 'Use an expression over the columns of the row.'));
  return findings;
}
