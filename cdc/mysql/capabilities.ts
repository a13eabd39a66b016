/**
 * What each version of MySQL and MariaDB has or lacks, in one place: SQL that differs by version asks here and nowhere else.
 * Versions are numbers, 80016 = 8.0.16. The oldest that are served are MySQL 5.6 and MariaDB 10.2.
 */
import { MigrationError } from '../../config/migration-error.ts';

export type MysqlFlavour = 'mysql' | 'mariadb';

export interface MysqlVersion {
  readonly flavour: MysqlFlavour;
  readonly version: number;
  /** As the server writes it. */
  readonly text: string;
}

/** `VERSION()`: `8.4.2`, `5.6.24-log`, `10.11.6-MariaDB-0+deb12u1-log`. */
export function parseMysqlVersion(text: string): MysqlVersion {
  // Proxies and old replication clients see MariaDB behind a number that MySQL 5.5 would have had.
  const [, major, minor, patch] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) throw new MigrationError('MIG001', `the server's version ${text} cannot be read`, { hint: 'Only MySQL and MariaDB can be a source of this kind.' });
  return { flavour: /mariadb/i.test(text) ? 'mariadb' : 'mysql', version: Number(major) * 10000 + Number(minor) * 100 + Number(patch), text };
}

const since = (mysql: number | undefined, mariadb: number | undefined, feature: string, without: string): CapabilityRow => ({ mysql, mariadb, feature, without });

interface CapabilityRow {
  /** First version that has it; undefined: none has. */
  readonly mysql: number | undefined;
  readonly mariadb: number | undefined;
  readonly feature: string;
  readonly without: string;
}

const rows = {
  ownTransactionId: since(50706, 100002, 'A transaction can learn its own GTID (`session_track_gtids`, `@@last_gtid`)', 'Nothing: a commit that waits for local waits for the server\'s position after it, on every version'),
  safePreparedXa: since(50707, 100502, 'A prepared XA transaction survives the end of its connection', 'A client\'s prepared branch goes with its connection; the gateway prepares none, on any version'),
  rowMetadata: since(80001, 100500, 'Names, signs, character sets and labels of the columns in the binary log (`binlog_row_metadata`)', 'They are read from information_schema; a definition that changes under the stream stops the table'),
  compressedLog: since(80020, 100203, 'Compressed transactions or events in the binary log', 'Nothing to read'),
  loggedCascades: since(90600, undefined, 'Changes by ON DELETE and ON UPDATE of foreign keys in the binary log', 'A child with ON DELETE CASCADE or SET NULL is refused; ON UPDATE CASCADE is a warning'),
  insertReturning: since(undefined, 100500, '`INSERT … RETURNING`', 'The rows are read back by their key in the same transaction'),
  deleteReturning: since(undefined, 100001, '`DELETE … RETURNING`', 'The rows are read, locked, before they are deleted'),
  checks: since(80016, 100201, 'CHECK constraints', 'None to carry'),
  generatedColumns: since(50706, 100201, 'Generated columns in today\'s syntax', 'None to carry'),
  expressionDefaults: since(80013, 100201, 'Expressions as defaults', 'None to carry'),
  functionalIndexes: since(80013, undefined, 'Indexes over expressions', 'None to carry'),
  descendingIndexes: since(80001, 100801, 'Descending index columns', 'They are ascending, whatever their definition says'),
  commonTableExpressions: since(80001, 100202, 'Common table expressions, recursive too', 'The statement runs on local over rows that are brought there'),
  windowFunctions: since(80002, 100200, 'Window functions', 'The statement runs on local over rows that are brought there'),
  setOperations: since(80031, 100300, '`EXCEPT` and `INTERSECT`', 'The statement runs on local over rows that are brought there'),
  lateral: since(80014, undefined, '`LATERAL`', 'The statement runs on local over rows that are brought there'),
  skipLocked: since(80001, 100600, '`SKIP LOCKED`', 'Refused by name'),
  nativeJson: since(50708, undefined, 'A JSON type of its own', 'MariaDB\'s JSON is LONGTEXT with a check; a text column stays text'),
  jsonFunctions: since(50708, 100203, 'JSON functions', 'The statement runs on local over rows that are brought there'),
  severalTriggers: since(50702, 100203, 'Several triggers of one table for the same event and time', 'A table that has triggers before and after an event cannot be fenced'),
  dataLocks: since(80001, undefined, 'Which tables a transaction has locked (`performance_schema.data_locks`)', 'Every open transaction that has locked a table counts as a writer of each'),
  statementTimeout: since(50708, 100101, 'A time limit for statements', 'The scan of the preflight is bounded by rows alone'),
  roles: since(80000, 100005, 'Roles', 'Only a user\'s own grants count'),
  inet6Type: since(undefined, 100500, 'INET6', 'No such columns'),
  inet4Type: since(undefined, 101000, 'INET4', 'No such columns'),
  uuidType: since(undefined, 100700, 'UUID', 'No such columns'),
  vectorType: since(90000, 110700, 'VECTOR', 'No such columns'),
  longTimestamps: since(undefined, 110500, 'TIMESTAMP up to 2106', 'It ends on 2038-01-19 03:14:07'),
} as const satisfies Readonly<Record<string, CapabilityRow>>;

export type MysqlCapability = keyof typeof rows;
export const mysqlCapabilities = Object.keys(rows).filter((name): name is MysqlCapability => Object.hasOwn(rows, name));

export type MysqlCapabilities = MysqlVersion & { readonly [Name in MysqlCapability]: boolean } & {
  /** How transactions are numbered: `uuid:1-5`, with tags `uuid:tag:1-5`, or `domain-server-sequence`. */
  readonly gtidForm: 'uuid' | 'tagged_uuid' | 'domain';
  /** Last instant of TIMESTAMP, in UTC. */
  readonly lastTimestamp: string;
  /** Whether a prepared statement is still the right one is told by the time at which the table's triggers were made. */
  readonly preparesByTriggerTime: boolean;
  /** A statement may ask for the lock of a table without waiting (`lock_wait_timeout = 0`). */
  readonly triesLocks: boolean;
};

function has(name: MysqlCapability, { flavour, version }: MysqlVersion): boolean {
  const from: number | undefined = rows[name][flavour];
  return from !== undefined && version >= from;
}

export function mysqlServerCapabilities(server: MysqlVersion): MysqlCapabilities {
  const each = (name: MysqlCapability): boolean => has(name, server);
  return {
    ...server,
    ownTransactionId: each('ownTransactionId'), safePreparedXa: each('safePreparedXa'), rowMetadata: each('rowMetadata'), compressedLog: each('compressedLog'),
    loggedCascades: each('loggedCascades'), insertReturning: each('insertReturning'), deleteReturning: each('deleteReturning'), checks: each('checks'), generatedColumns: each('generatedColumns'),
    expressionDefaults: each('expressionDefaults'), functionalIndexes: each('functionalIndexes'), descendingIndexes: each('descendingIndexes'),
    commonTableExpressions: each('commonTableExpressions'), windowFunctions: each('windowFunctions'), setOperations: each('setOperations'), lateral: each('lateral'),
    skipLocked: each('skipLocked'), nativeJson: each('nativeJson'), jsonFunctions: each('jsonFunctions'), severalTriggers: each('severalTriggers'), dataLocks: each('dataLocks'), statementTimeout: each('statementTimeout'), roles: each('roles'),
    inet6Type: each('inet6Type'), inet4Type: each('inet4Type'), uuidType: each('uuidType'), vectorType: each('vectorType'), longTimestamps: each('longTimestamps'),
    gtidForm: server.flavour === 'mariadb' ? 'domain' : server.version >= 80300 ? 'tagged_uuid' : 'uuid',
    lastTimestamp: each('longTimestamps') ? '2106-02-07 06:28:15' : '2038-01-19 03:14:07',
    preparesByTriggerTime: server.flavour === 'mariadb', triesLocks: server.flavour === 'mariadb' && server.version >= 100300,
  };
}

/** The Markdown table of docs/mysql.md; a test holds the page to it, and the servers to the table. */
export function mysqlCapabilityTable(): string {
  const shown = (version: number | undefined): string => (version === undefined ? '–' : `${Math.trunc(version / 10000)}.${Math.trunc(version / 100) % 100}.${version % 100}`);
  const lines = mysqlCapabilities.map((name) => `| ${rows[name].feature} | ${shown(rows[name].mysql)} | ${shown(rows[name].mariadb)} | ${rows[name].without} |`);
  return ['| What | From MySQL | From MariaDB | Without it |', '| --- | --- | --- | --- |', ...lines].join('\n');
}
