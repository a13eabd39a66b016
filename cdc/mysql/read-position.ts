/** Where a server's binlog ends now, as a position of a stream that reads it. */
import type { Position } from '../change.ts';
import { readBinlogEnd } from './binlog/begin-dump.ts';
import { packOrder } from './binlog-order.ts';
import type { MysqlPosition } from './position.ts';
import type { MysqlQuery } from './query.ts';

/** By GTID where the server has them. */
export async function readServerPosition(query: MysqlQuery): Promise<MysqlPosition> {
  const rows = async (sql: string): Promise<readonly (readonly (string | null)[])[]> => (await query(sql)).map((row) => Object.values(row));
  const [[version] = []] = await rows('SELECT VERSION()');
  return readBinlogEnd({ isMariadb: /mariadb/i.test(version ?? ''), query: rows });
}

/** `generation`: how often the stream has gone over to another server. */
export function streamPosition(position: MysqlPosition, generation = 0): Position {
  const place = { order: packOrder(generation, position.binlogFile, position.binlogPosition), file: position.binlogFile, offset: BigInt(position.binlogPosition) };
  switch (position.type) {
    case 'mysql_gtid':
      return { type: position.type, gtidSet: position.gtidSet, ...place };
    case 'mariadb_gtid':
      return { type: position.type, gtidSet: position.gtidList, ...place };
    case 'mysql_binlog':
      return { type: position.type, ...place };
    default:
      return position satisfies never;
  }
}
