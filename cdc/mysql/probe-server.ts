/** What one server of a source says of itself when the stream looks for the one that goes on: who it is, whether it is the one to write to, which transactions it has. */
import type { ServerAddress } from '../postgres/server-address.ts';
import { GtidSet } from './binlog/gtid-set.ts';
import { MariadbGtidList } from './binlog/mariadb-gtid-list.ts';
import type { MariadbGtid } from './binlog/mariadb-gtid-list.ts';
import { askMysql, connectMysql, endMysql, errnoOf, queryMysql } from './connect.ts';
import type { AskMysql } from './connect.ts';
import type { MysqlQuery } from './query.ts';

export interface MysqlHoldings {
  readonly kind: 'mysql';
  readonly executed: GtidSet;
  /** Of these it cannot send any more. */
  readonly purged: GtidSet;
}

export interface MariadbHoldings {
  readonly kind: 'mariadb';
  /** In its binlogs: the last of each domain and server. */
  readonly logged: readonly MariadbGtid[];
  /** What it has had from its master, in its binlogs or not: the last of each domain. */
  readonly replicated: readonly MariadbGtid[];
}

export interface ServerReport {
  readonly systemId: string;
  /** Why nobody is meant to write to it; undefined where it is the one. */
  readonly standby: string | undefined;
  /** Undefined without GTIDs. */
  readonly holdings: MysqlHoldings | MariadbHoldings | undefined;
  /** Of the first binlog that it has. */
  readonly firstFile: string;
}

const TIMEOUT_MS = 5_000;
const SYNTAX_ERROR = 1064;

/** Throws MIG001, MIG003, or what the server says. */
export async function probeServer(address: ServerAddress, signal: AbortSignal): Promise<ServerReport> {
  const connection = await connectMysql(address, { timeoutMs: TIMEOUT_MS, signal });
  try {
    const ask: AskMysql = (sql) => askMysql(connection, sql);
    const [[version = '', readOnly] = []] = await ask('SELECT VERSION(), @@GLOBAL.read_only');
    const isMariadb = /mariadb/i.test(version ?? '');
    const [[firstFile] = []] = await ask('SHOW BINARY LOGS');
    const isReplicating = await replicates((sql) => queryMysql(connection, sql), isMariadb);
    return {
      systemId: await readSystemId(ask), holdings: isMariadb ? await mariadbHoldings(ask) : await mysqlHoldings(ask), firstFile: firstFile ?? '',
      standby: readOnly !== '0' ? 'it is read-only (read_only)' : isReplicating ? 'it replicates from another server (STOP REPLICA promotes it)' : undefined,
    };
  } finally {
    await endMysql(connection);
  }
}

/** MariaDB has no name of its own for a server but the number that its replicas know it by. */
export async function readSystemId(ask: AskMysql): Promise<string> {
  const rows = await ask("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_id')");
  const found = new Map(rows.map(([name, value]) => [name, value]));
  return found.get('server_uuid') ?? `server ${found.get('server_id')}`;
}

async function mysqlHoldings(ask: AskMysql): Promise<MysqlHoldings | undefined> {
  const [[mode, executed, purged] = []] = await ask('SELECT @@GLOBAL.gtid_mode, @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged');
  return mode === 'ON' ? { kind: 'mysql', executed: GtidSet.parse(executed ?? ''), purged: GtidSet.parse(purged ?? '') } : undefined;
}

async function mariadbHoldings(ask: AskMysql): Promise<MariadbHoldings> {
  const [[logged, replicated] = []] = await ask('SELECT @@GLOBAL.gtid_binlog_state, @@GLOBAL.gtid_slave_pos');
  return { kind: 'mariadb', logged: gtidsOf(logged), replicated: gtidsOf(replicated) };
}

/** A list in which a domain may come more than once, for each server that has written in it. */
function gtidsOf(text: string | null | undefined): readonly MariadbGtid[] {
  return (text ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '').map((one) => {
    const { domain, server, sequence } = parseMariadbGtid(one);
    return { domain, server, sequence };
  });
}

export function parseMariadbGtid(text: string): MariadbGtid {
  const gtid = MariadbGtidList.parse(text).of(Number(text.split('-')[0]));
  if (!gtid) throw new RangeError(`not a GTID of MariaDB: ${text}`);
  return gtid;
}

/** A channel that is connected, or tries to be, has not been given up. */
async function replicates(query: MysqlQuery, isMariadb: boolean): Promise<boolean> {
  const rows = await (isMariadb ? query('SHOW ALL SLAVES STATUS') : query('SHOW REPLICA STATUS').catch((error: unknown) => {
    // Servers before MySQL 8.0.22 know the old name alone.
    if (errnoOf(error) !== SYNTAX_ERROR) throw error;
    return query('SHOW SLAVE STATUS');
  }));
  return rows.some((row) => ['IO', 'SQL'].some((thread) => (row[`Replica_${thread}_Running`] ?? row[`Slave_${thread}_Running`] ?? 'No') !== 'No'));
}
