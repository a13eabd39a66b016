/** What the settings of the source and the migration's user on it allow. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../postgres/finding.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { isGranted, readAccount, readGrants } from './grants.ts';
import type { MysqlGrant } from './grants.ts';
import { mysqlName, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';

export type MysqlSettings = Readonly<Record<string, string>>;

const names = [
  'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata', 'binlog_row_value_options', 'gtid_mode', 'gtid_strict_mode', 'expire_logs_days', 'binlog_expire_logs_seconds', 'server_id',
  'read_only', 'log_slave_updates', 'log_replica_updates', 'sql_mode', 'lower_case_table_names', 'time_zone', 'system_time_zone', 'log_bin_trust_function_creators',
  'innodb_flush_log_at_trx_commit', 'sync_binlog',
];

/** A setting that the version does not have is left out. */
export async function readSettings(query: MysqlQuery): Promise<MysqlSettings> {
  const rows = await query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names.map((name) => `'${name}'`).join(', ')})`);
  return Object.fromEntries(rows.map((row) => [(row['Variable_name'] ?? '').toLowerCase(), row['Value'] ?? '']));
}

export async function mysqlSourceFindings(query: MysqlQuery, server: MysqlCapabilities, table: QualifiedName): Promise<Finding[]> {
  const settings = await readSettings(query);
  const grants = await readGrants(query, server);
  const account = await readAccount(query);
  return [
    ...logFindings(settings, server), ...settingFindings(settings), ...versionFindings(server), ...privilegeFindings(grants, account, server, table),
    ...fenceFindings(settings, grants), ...durabilityFindings(settings, grants, account), ...(await filterFindings(query, grants, server, table)),
  ];
}

/** Pure: whether the binary log holds what the stream needs. */
export function logFindings(settings: MysqlSettings, server: MysqlCapabilities): Finding[] {
  const findings: Finding[] = [];
  const refuse = (code: string, message: string, remedy: string): void => void findings.push({ code, severity: 'error', subject: 'source', message, remedy, errorCode: 'MIG005' });
  const tell = (code: string, severity: 'warning' | 'info', message: string, remedy: string): void => void findings.push({ code, severity, subject: 'source', message, remedy });
  if (settings['log_bin'] !== 'ON' && settings['log_bin'] !== '1') refuse('binary_log', 'the binary log is off: there is no change stream', 'Start the server with log_bin and a server_id (managed services turn it on with backups).');
  if (settings['server_id'] === '0') refuse('server_id', 'server_id is 0: no replica may connect', 'SET GLOBAL server_id = 1; and in the configuration.');
  if ((settings['binlog_format'] ?? 'ROW').toUpperCase() !== 'ROW') refuse('binlog_format', `binlog_format is ${settings['binlog_format']}, and must be ROW: statements cannot be applied on local`, "SET GLOBAL binlog_format = 'ROW'; sessions that are open keep the old format until they connect again.");
  const image = (settings['binlog_row_image'] ?? 'FULL').toUpperCase();
  if (image !== 'FULL') refuse('row_image', `binlog_row_image is ${image}, and must be FULL: what an image leaves out cannot be told from NULL`, "SET GLOBAL binlog_row_image = 'FULL'; sessions that are open keep the old one until they connect again.");
  if (/PARTIAL_JSON/i.test(settings['binlog_row_value_options'] ?? '')) refuse('partial_json', 'binlog_row_value_options is PARTIAL_JSON: updates of JSON are logged as differences', "SET GLOBAL binlog_row_value_options = '';");
  if (!server.rowMetadata) tell('row_metadata', 'warning', 'this version logs no names and character sets of columns: they are taken from the catalog, and a table whose definition changes under the stream stops', 'Change no definition of the table while it migrates.');
  else if ((settings['binlog_row_metadata'] ?? '').toUpperCase() !== 'FULL') tell('row_metadata', 'warning', `binlog_row_metadata is ${settings['binlog_row_metadata'] ?? 'unknown'}: names and character sets of columns are taken from the catalog, and a table whose definition changes under the stream stops`, "SET GLOBAL binlog_row_metadata = 'FULL';");
  if (server.flavour === 'mysql' && settings['gtid_mode'] !== 'ON') tell('gtid_mode', 'warning', `gtid_mode is ${settings['gtid_mode'] ?? 'OFF'}: positions are those of this server's files, and after a failover to another the tables have to be copied again`, 'Turn it on step by step: OFF_PERMISSIVE, ON_PERMISSIVE, ON.');
  if (server.flavour === 'mariadb' && settings['gtid_strict_mode'] === 'OFF') tell('gtid_mode', 'info', 'gtid_strict_mode is OFF: after a failover the order of the numbers is not checked', 'SET GLOBAL gtid_strict_mode = ON;');
  const seconds = Number(settings['binlog_expire_logs_seconds'] ?? '0') || Number(settings['expire_logs_days'] ?? '0') * 86_400;
  if (seconds > 0 && seconds < 86_400) tell('log_retention', 'warning', `the binary log is kept for ${seconds} seconds: a stream that is down for longer loses its place, and the tables have to be copied again`, 'SET GLOBAL binlog_expire_logs_seconds = 604800; (managed services have a setting of their own, such as binlog retention hours).');
  if (settings['read_only'] === 'ON') {
    tell('read_only', 'warning', 'the server is read only: it may be a replica, which cannot be written on the way back', 'Give the address of the primary.');
    if ((settings['log_replica_updates'] ?? settings['log_slave_updates']) === 'OFF') refuse('binary_log', 'the server is read only and does not log what it replicates (log_replica_updates is OFF)', 'Give the address of the primary, or turn log_replica_updates on.');
  }
  return findings;
}

/** Pure: what changes the meaning of statements and values. */
export function settingFindings(settings: MysqlSettings): Finding[] {
  const findings: Finding[] = [];
  const tell = (code: string, severity: 'warning' | 'info', message: string, remedy = ''): void => void findings.push({ code, severity, subject: 'source', message, remedy });
  const modes = (settings['sql_mode'] ?? '').split(',').filter((mode) => mode !== '');
  if (!modes.some((mode) => mode === 'STRICT_TRANS_TABLES' || mode === 'STRICT_ALL_TABLES')) tell('sql_mode', 'warning', 'sql_mode is not strict: MySQL cuts and rounds values that local will refuse', "SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES'); and see what the application says.");
  const dialect = modes.filter((mode) => ['ANSI_QUOTES', 'PIPES_AS_CONCAT', 'NO_BACKSLASH_ESCAPES', 'IGNORE_SPACE', 'NO_UNSIGNED_SUBTRACTION', 'HIGH_NOT_PRECEDENCE', 'PAD_CHAR_TO_FULL_LENGTH', 'ORACLE', 'MSSQL'].includes(mode));
  if (dialect.length > 0) tell('sql_mode', 'info', `sql_mode has ${dialect.join(', ')}, which change what statements mean; sessions of the gateway on the source set their own`);
  if (settings['lower_case_table_names'] !== '0') tell('lower_case_table_names', 'info', `lower_case_table_names is ${settings['lower_case_table_names']}: the source finds tables under any spelling, local under the one in the catalog alone`, 'Spell names in statements as information_schema does.');
  tell('time_zone', 'info', `time_zone is ${settings['time_zone'] === 'SYSTEM' ? `that of the machine (${settings['system_time_zone']})` : settings['time_zone']}: TIMESTAMP is carried as an instant, DATETIME as it is written`);
  return findings;
}

function versionFindings(server: MysqlCapabilities): Finding[] {
  const name = server.flavour === 'mariadb' ? 'MariaDB' : 'MySQL';
  const findings: Finding[] = [{ code: 'server_version', severity: 'info', subject: 'source', message: `${name} ${server.text}`, remedy: '' }];
  const oldest = server.flavour === 'mariadb' ? 100200 : 50600;
  if (server.version < oldest) findings.push({ code: 'server_version', severity: 'error', subject: 'source', message: `${name} ${server.text} is too old`, remedy: 'Upgrade to MySQL 5.6 or MariaDB 10.2 at least.', errorCode: 'MIG005' });
  if (!server.safePreparedXa) findings.push({ code: 'prepared_transactions', severity: 'info', subject: 'source', message: 'a prepared branch of XA is lost with its connection in this version; the gateway prepares none', remedy: '' });
  return findings;
}

/** Where the gateway keeps its markers and decisions on the source. */
const ownSchema = 'causeway';

/** Pure. */
export function privilegeFindings(grants: readonly MysqlGrant[], account: string, server: MysqlCapabilities, table: QualifiedName): Finding[] {
  const findings: Finding[] = [];
  const on = { schema: table.schema, table: table.name };
  const lack = (code: string, severity: 'error' | 'warning', privilege: string, object: string, why: string): void =>
    void findings.push({ code, severity, subject: account, message: `may not ${privilege} on ${object}: ${why}`, remedy: `GRANT ${privilege} ON ${object} TO ${account};`, ...(severity === 'error' ? { errorCode: 'MIG004' as const } : {}) });
  if (!isGranted(grants, 'SELECT', on)) lack('select_privilege', 'error', 'SELECT', mysqlTableName(table), 'its rows cannot be read');
  if (!isGranted(grants, 'REPLICATION SLAVE', undefined) && !isGranted(grants, 'REPLICATION REPLICA', undefined)) lack('replication_privilege', 'error', 'REPLICATION SLAVE', '*.*', 'the binary log cannot be read');
  const monitor = server.flavour === 'mariadb' && server.version >= 100502 ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
  if (![monitor, 'REPLICATION CLIENT', 'SUPER'].some((privilege) => isGranted(grants, privilege, undefined))) lack('replication_privilege', 'error', monitor, '*.*', 'the position of the binary log cannot be asked for');
  const own = { schema: ownSchema, table: undefined };
  const missing = ['CREATE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'LOCK TABLES'].filter((privilege) => !isGranted(grants, privilege, own));
  if (missing.length > 0) lack('own_schema_privilege', 'error', missing.join(', '), `${mysqlName(ownSchema)}.*`, 'markers are rows of a table there');
  const writes = ['INSERT', 'UPDATE', 'DELETE'].filter((privilege) => !isGranted(grants, privilege, on));
  if (writes.length > 0) lack('way_back', 'warning', writes.join(', '), mysqlTableName(table), 'after the cutover there is no way back');
  if (!isGranted(grants, 'TRIGGER', on)) lack('way_back', 'warning', 'TRIGGER', mysqlTableName(table), 'triggers cannot be seen, nor can others be kept from writing after the cutover');
  if (!isGranted(grants, 'LOCK TABLES', { schema: table.schema, table: undefined })) lack('lock_privilege', 'error', 'LOCK TABLES', `${mysqlName(table.schema)}.*`, 'transactions that are writing when the migration begins cannot be waited for');
  if (server.flavour === 'mysql' && server.version >= 80000 && !isGranted(grants, 'XA_RECOVER_ADMIN', undefined)) lack('fence', 'warning', 'XA_RECOVER_ADMIN', '*.*', 'prepared transactions of XA cannot be seen, and a cutover takes every open transaction without a connection for one that has written the table');
  if (!isGranted(grants, 'PROCESS', undefined)) lack('fence', 'warning', 'PROCESS', '*.*', 'a cutover that waits for a lock cannot say who holds it');
  return findings;
}

/** Pure: whether the server takes triggers from the migration's user. */
export function fenceFindings(settings: MysqlSettings, grants: readonly MysqlGrant[]): Finding[] {
  if (settings['log_bin_trust_function_creators'] === 'ON' || isGranted(grants, 'SUPER', undefined)) return [];
  return [{
    code: 'fence', severity: 'warning', subject: 'source', message: 'log_bin_trust_function_creators is OFF, and the migration\'s user is no SUPER: it may not make the triggers that keep others from writing after the cutover',
    remedy: 'SET GLOBAL log_bin_trust_function_creators = ON; or cut over with NO FENCE.',
  }];
}

/** Pure: whether a crash of the server's machine may take commits that local no longer has. */
export function durabilityFindings(settings: MysqlSettings, grants: readonly MysqlGrant[], account: string): Finding[] {
  const { innodb_flush_log_at_trx_commit: log = '1', sync_binlog: binlog = '1' } = settings;
  if ((log === '1' && binlog === '1') || isGranted(grants, 'RELOAD', undefined)) return [];
  return [{
    code: 'way_back', severity: 'warning', subject: account, message: `may not RELOAD on *.*: with innodb_flush_log_at_trx_commit = ${log} and sync_binlog = ${binlog} the last commits are not on the disk, and the stream cannot have them flushed before local forgets them`,
    remedy: `GRANT RELOAD ON *.* TO ${account};`,
  }];
}

/** A filter of the log leaves whole databases out. */
async function filterFindings(query: MysqlQuery, grants: readonly MysqlGrant[], server: MysqlCapabilities, table: QualifiedName): Promise<Finding[]> {
  if (!['BINLOG MONITOR', 'REPLICATION CLIENT', 'SUPER'].some((privilege) => isGranted(grants, privilege, undefined))) return [];
  const rows = await query(server.flavour === 'mysql' && server.version >= 80400 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  const list = (column: string): string[] => (rows[0]?.[column] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
  const wanted = list('Binlog_Do_DB');
  const ignored = list('Binlog_Ignore_DB');
  const isLogged = (schema: string): boolean => (wanted.length === 0 || wanted.includes(schema)) && !ignored.includes(schema);
  return [table.schema, ownSchema].filter((schema) => !isLogged(schema)).map((schema) => ({
    code: 'log_filter', severity: 'error', subject: 'source', message: `changes of database ${schema} are not logged (binlog_do_db, binlog_ignore_db)`, remedy: 'Take the filter out of the server\'s configuration.', errorCode: 'MIG005',
  }));
}
