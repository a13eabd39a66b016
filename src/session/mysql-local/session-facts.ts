/** What the MySQL server says of a client's session there: the text that asks, and the answer as facts for translating statements. */
import type { MysqlServer } from '../../../grammar/dialect/postgres/mysql-translation.ts';

/** How a transaction is begun on local, before it is known what it does first. */
export type MysqlIsolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

export interface SessionFacts {
  /** With strict mode, whatever the session says. */
  readonly sqlMode: ReadonlySet<string>;
  readonly isStrict: boolean;
  readonly timeZone: string;
  readonly timeNames: string;
  /** Of texts that come, of their constants, and of results. */
  readonly clientCharset: string;
  readonly connectionCharset: string;
  readonly collation: string;
  readonly resultCharset: string;
  readonly database: string | undefined;
  readonly isolation: MysqlIsolation;
  readonly divPrecision: number;
  readonly groupConcatMaxLength: number;
  readonly weekFormat: number;
  /** Of REGEXP, on MariaDB. */
  readonly regexFlags: string;
  /** Of what has been inserted on the server. */
  readonly lastInsertId: string;
  /** Seconds since 1970, of a clock that SET TIMESTAMP has stopped. */
  readonly fixedTimestamp: string | undefined;
  readonly user: string;
  readonly currentUser: string;
  readonly connectionId: string;
  readonly version: string;
  /** Names of tables and databases are the same in capitals. */
  readonly foldsNames: boolean;
  /** Rows of a SELECT are cut off there, what changes many is refused, or IS NULL finds the row inserted last: nobody does that on local. */
  readonly limits: string | undefined;
  /** For a row, and for a table of LOCK TABLES. */
  readonly lockWaitSeconds: number;
  readonly tableLockWaitSeconds: number;
}

/** `5.5.5-10.11.6-MariaDB`, `8.4.2`. */
export function serverOf(version: string): MysqlServer {
  const [, major = '0', minor = '0', patch = '0'] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return { flavour: /mariadb/i.test(version) ? 'mariadb' : 'mysql', version: Number(major) * 10_000 + Number(minor) * 100 + Number(patch) };
}

const columns = [
  '@@sql_mode', '@@time_zone', '@@system_time_zone', '@@character_set_client', '@@character_set_connection', '@@collation_connection', '@@character_set_results', 'DATABASE()', '@@isolation', '@@div_precision_increment',
  '@@group_concat_max_len', 'LAST_INSERT_ID()', '@@timestamp', 'ABS(@@timestamp - UNIX_TIMESTAMP(SYSDATE())) > 2', 'USER()', 'CURRENT_USER()', 'CONNECTION_ID()', '@@version', '@@lower_case_table_names', '@@sql_select_limit', '@@sql_safe_updates', '@@innodb_lock_wait_timeout', '@@lc_time_names', '@@sql_auto_is_null', '@@default_week_format', '@@default_regex_flags', '@@lock_wait_timeout',
] as const;

/** The isolation's variable has another name since MySQL 5.7.20, and the old one went with 8.0. Patterns have flags on MariaDB alone. */
export function factsQuery({ flavour, version }: MysqlServer): string {
  const isolation = flavour === 'mysql' && version >= 50_720 ? '@@transaction_isolation' : '@@tx_isolation';
  return `SELECT ${columns.map((column) => (column === '@@isolation' ? isolation : column === '@@default_regex_flags' && flavour === 'mysql' ? "''" : column)).join(', ')}`;
}

/** Of the system's zone the server tells what its clock was called when it began: GMT may be London's in winter, CET that of half of Europe. Only UTC is the whole year's. */
function zoneOf(zone: string, system: string): string {
  if (zone === 'SYSTEM') return system === 'UTC' ? 'UTC' : 'SYSTEM';
  return /^(?:UTC|GMT|[+-]00:00)$/i.test(zone) ? 'UTC' : zone;
}

const NO_LIMIT = 18_446_744_073_709_551_615n;
const isolations: readonly MysqlIsolation[] = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];

/** Equal names, equal facts for a translation. */
export function factsName({ sqlMode, isStrict, timeZone, timeNames, connectionCharset, collation, database, divPrecision, groupConcatMaxLength, weekFormat, regexFlags, version, foldsNames }: SessionFacts): string {
  return JSON.stringify([[...sqlMode], isStrict, timeZone, timeNames, connectionCharset, collation, database, divPrecision, groupConcatMaxLength, weekFormat, regexFlags, version, foldsNames]);
}

export function readFacts(row: readonly (string | null)[]): SessionFacts {
  const value = (name: (typeof columns)[number]): string => row[columns.indexOf(name)] ?? '';
  const isolation = value('@@isolation').toLowerCase().replaceAll('-', ' ');
  const limit = value('@@sql_select_limit');
  return {
    // Where the server would take another value than the one it is given, and warn, local says an error: nothing is changed in silence.
    sqlMode: new Set([...value('@@sql_mode').split(',').filter((word) => word !== ''), 'STRICT_TRANS_TABLES']),
    isStrict: /\bSTRICT_(?:TRANS|ALL)_TABLES\b/.test(value('@@sql_mode')),
    timeNames: value('@@lc_time_names'), timeZone: zoneOf(value('@@time_zone'), value('@@system_time_zone')),
    clientCharset: value('@@character_set_client'), connectionCharset: value('@@character_set_connection'), collation: value('@@collation_connection'),
    // NULL: as they are stored.
    resultCharset: row[columns.indexOf('@@character_set_results')] ?? 'binary',
    database: row[columns.indexOf('DATABASE()')] ?? undefined,
    isolation: isolations.find((each) => each === isolation) ?? 'repeatable read',
    divPrecision: Number(value('@@div_precision_increment')), groupConcatMaxLength: Number(value('@@group_concat_max_len')), weekFormat: Number(value('@@default_week_format')), regexFlags: value('@@default_regex_flags'),
    lastInsertId: value('LAST_INSERT_ID()'), fixedTimestamp: value('ABS(@@timestamp - UNIX_TIMESTAMP(SYSDATE())) > 2') === '1' ? value('@@timestamp') : undefined, user: value('USER()'), currentUser: value('CURRENT_USER()'), connectionId: value('CONNECTION_ID()'), version: value('@@version'),
    foldsNames: value('@@lower_case_table_names') !== '0',
    limits: limit !== '' && BigInt(limit) < NO_LIMIT ? 'sql_select_limit' : value('@@sql_safe_updates') === '1' ? 'sql_safe_updates' : value('@@sql_auto_is_null') === '1' ? 'sql_auto_is_null' : undefined,
    lockWaitSeconds: Number(value('@@innodb_lock_wait_timeout')), tableLockWaitSeconds: Number(value('@@lock_wait_timeout')),
  };
}
