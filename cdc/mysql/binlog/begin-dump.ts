/** What a replica settles with the server before the binlog comes, and the gaps that can be seen before it does (RULES 7). */
import { MigrationError } from '../../../config/migration-error.ts';
import type { MysqlPosition } from '../position.ts';
import { GtidSet } from './gtid-set.ts';
import { MariadbGtidList } from './mariadb-gtid-list.ts';
import type { DumpStart, ReplicaConnection } from './replica-connection.ts';

/** All that the server can send: MariaDB's own GTID events, and no BEGIN for them. */
const MARIADB_CAPABILITY = 4;
const NS_PER_MS = 1_000_000;
const HELD_BACK_S = 24 * 3600;

export interface DumpSettings {
  readonly start: DumpStart;
  /** Whether events have checksums until the first format description says so. */
  readonly hasChecksums: boolean;
}

export async function prepareDump(connection: ReplicaConnection, position: MysqlPosition, heartbeatMs: number): Promise<DumpSettings> {
  const [[checksum] = []] = await connection.query('SELECT @@GLOBAL.binlog_checksum');
  // Newer names beside the older ones: each server reads its own.
  const names = (older: string, newer: string, value: string | number): string => `@${older} = ${value}, @${newer} = ${value}`;
  await connection.query(`SET ${names('master_heartbeat_period', 'source_heartbeat_period', heartbeatMs * NS_PER_MS)}`);
  await connection.query(`SET ${names('master_binlog_checksum', 'source_binlog_checksum', '@@GLOBAL.binlog_checksum')}`);
  // A server ends a connection that takes nothing for so long; a reader that is held back takes nothing.
  await connection.query(`SET SESSION net_write_timeout = ${HELD_BACK_S}`);
  if (connection.isMariadb) await connection.query(`SET @mariadb_slave_capability = ${MARIADB_CAPABILITY}`);
  return { start: await startOf(connection, position), hasChecksums: checksum === 'CRC32' };
}

async function startOf(connection: ReplicaConnection, position: MysqlPosition): Promise<DumpStart> {
  switch (position.type) {
    case 'mysql_gtid': {
      const set = GtidSet.parse(position.gtidSet);
      await assertNoGap(connection, set);
      return { by: 'gtid', encoded: set.encode() };
    }
    case 'mariadb_gtid':
      await connection.query(`SET @slave_connect_state = '${MariadbGtidList.parse(position.gtidList).toString()}', @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0`);
      return { by: 'connectState' };
    case 'mysql_binlog':
      return { by: 'file', file: position.binlogFile, offset: position.binlogPosition };
    default:
      return position satisfies never;
  }
}

/** Neither must the server have forgotten transactions that were not read, nor must it lack some that were: then it is another history. */
async function assertNoGap(connection: ReplicaConnection, read: GtidSet): Promise<void> {
  const [[executed, purged] = []] = await connection.query('SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged');
  const forgotten = GtidSet.parse(purged ?? '').minus(read);
  if (!forgotten.isEmpty) throw gap('the server has purged transactions that have not been read', forgotten.toString());
  const missing = read.minus(GtidSet.parse(executed ?? ''));
  if (!missing.isEmpty) throw gap('the server lacks transactions that have been read', missing.toString(), 'It is behind the server that was read before, or has another history: let it catch up, or RESYNC MIGRATION FOR TABLE ….');
}

export function gap(message: string, detail: string, hint?: string): MigrationError {
  return new MigrationError('MIG021', message, { detail, ...(hint === undefined ? {} : { hint }) });
}

/** Where the server's binlog ends now. With GTIDs where the server has them. */
export async function readBinlogEnd(connection: Asked): Promise<MysqlPosition> {
  const { place, row } = await readPlace(connection);
  if (connection.isMariadb) {
    const { gtids, ...end } = await readMariadbEnd(connection, place);
    return gtids === null || gtids === undefined || gtids === '' ? { type: 'mysql_binlog', ...end.place } : { type: 'mariadb_gtid', gtidList: MariadbGtidList.parse(gtids).toString(), ...end.place };
  }
  const [[mode] = []] = await connection.query('SELECT @@GLOBAL.gtid_mode');
  return mode === 'ON' ? { type: 'mysql_gtid', gtidSet: GtidSet.parse(row[4] ?? '').toString(), ...place } : { type: 'mysql_binlog', ...place };
}

/** The same without GTIDs: one question. */
export async function readBinlogPlace(query: Asked['query']): Promise<BinlogPlace> {
  return (await readPlace({ query })).place;
}

/** Under more writers than that the end is never the same twice. */
const ATTEMPTS = 5;

/**
 * The place and its GTIDs come from two statements: they belong together when the place is the same before and after. BINLOG_GTID_POS has them in
 * one, but reads the file from its beginning for that, which takes seconds where files are large.
 */
async function readMariadbEnd(connection: Asked, first: BinlogPlace): Promise<{ readonly place: BinlogPlace; readonly gtids: string | null | undefined }> {
  let place = first;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const [[gtids] = []] = await connection.query('SELECT @@GLOBAL.gtid_binlog_pos');
    const { place: after } = await readPlace(connection);
    if (after.binlogFile === place.binlogFile && after.binlogPosition === place.binlogPosition) return { place, gtids };
    place = after;
  }
  const [[gtids] = []] = await connection.query(`SELECT BINLOG_GTID_POS('${place.binlogFile}', ${place.binlogPosition})`);
  return { place, gtids };
}

type Asked = Pick<ReplicaConnection, 'query' | 'isMariadb'>;

interface BinlogPlace {
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

async function readPlace(connection: Pick<Asked, 'query'>): Promise<{ readonly place: BinlogPlace; readonly row: readonly (string | null)[] }> {
  const [row] = await binlogStatus(connection);
  if (!row) throw new MigrationError('MIG004', 'the server has no binlog', { hint: 'Set log_bin and binlog_format = ROW.' });
  return { place: { binlogFile: row[0] ?? '', binlogPosition: Number(row[1]) }, row };
}

const SYNTAX_ERROR = 1064;

async function binlogStatus(connection: Pick<ReplicaConnection, 'query'>): ReturnType<ReplicaConnection['query']> {
  try {
    return await connection.query('SHOW MASTER STATUS');
  } catch (error) {
    // MySQL 8.4 took the old name away.
    if (!(error instanceof Error && 'errno' in error && error.errno === SYNTAX_ERROR)) throw error;
    return connection.query('SHOW BINARY LOG STATUS');
  }
}
