/** Points in a MySQL or MariaDB binlog, as the specification's appendix A writes them; property names are its own, in our spelling. */
import { GtidSet } from './binlog/gtid-set.ts';
import { MariadbGtidList } from './binlog/mariadb-gtid-list.ts';

/** File and offset are those of the server that was read; they say where its next event begins. */
interface BinlogPlace {
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

/** `gtidSet`: every transaction that lies before the position, on whatever server. */
export interface MysqlGtidPosition extends BinlogPlace {
  readonly type: 'mysql_gtid';
  readonly gtidSet: string;
}

export interface MariadbGtidPosition extends BinlogPlace {
  readonly type: 'mariadb_gtid';
  readonly gtidList: string;
}

/** Of a server without GTIDs: means something on that server alone. */
export interface MysqlBinlogPosition extends BinlogPlace {
  readonly type: 'mysql_binlog';
}

export type MysqlPosition = MysqlGtidPosition | MariadbGtidPosition | MysqlBinlogPosition;

/** Appendix A's JSON object. */
export function writePosition(position: MysqlPosition): Readonly<Record<string, string | number>> {
  const place = { binlog_file: position.binlogFile, binlog_position: position.binlogPosition };
  switch (position.type) {
    case 'mysql_gtid':
      return { type: position.type, gtid_set: position.gtidSet, ...place };
    case 'mariadb_gtid':
      return { type: position.type, gtid_list: position.gtidList, ...place };
    case 'mysql_binlog':
      return { type: position.type, ...place };
    default:
      return position satisfies never;
  }
}

export function readPosition(value: unknown): MysqlPosition {
  if (typeof value !== 'object' || value === null) throw new RangeError('a position is an object');
  const fields = new Map(Object.entries(value));
  const binlogFile = textOf(fields, 'binlog_file');
  const binlogPosition: unknown = fields.get('binlog_position');
  if (typeof binlogPosition !== 'number' || !Number.isSafeInteger(binlogPosition) || binlogPosition < 0) throw new RangeError('binlog_position is not an offset');
  const type: unknown = fields.get('type');
  switch (type) {
    case 'mysql_gtid':
      return { type, gtidSet: GtidSet.parse(textOf(fields, 'gtid_set')).toString(), binlogFile, binlogPosition };
    case 'mariadb_gtid':
      return { type, gtidList: MariadbGtidList.parse(textOf(fields, 'gtid_list')).toString(), binlogFile, binlogPosition };
    case 'mysql_binlog':
      return { type, binlogFile, binlogPosition };
    default:
      throw new RangeError(`not a position in a binlog: ${String(type)}`);
  }
}

function textOf(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name);
  if (typeof value !== 'string') throw new RangeError(`${name} is missing`);
  return value;
}

/**
 * −1, 0, 1, or undefined where the two are not ordered. GTIDs decide where both have them. Files are compared by their numbers, which one server
 * counts up; their base name must be the same.
 */
export function compareMysqlPositions(a: MysqlPosition, b: MysqlPosition): -1 | 0 | 1 | undefined {
  if (a.type === 'mysql_gtid' && b.type === 'mysql_gtid') return compareSets(GtidSet.parse(a.gtidSet), GtidSet.parse(b.gtidSet));
  if (a.type === 'mariadb_gtid' && b.type === 'mariadb_gtid') return compareSets(MariadbGtidList.parse(a.gtidList), MariadbGtidList.parse(b.gtidList));
  return a.type === 'mysql_binlog' && b.type === 'mysql_binlog' ? compareBinlogPlaces(a, b) : undefined;
}

function compareSets<T extends { contains(other: T): boolean }>(a: T, b: T): -1 | 0 | 1 | undefined {
  const hasAll = a.contains(b);
  const isWithin = b.contains(a);
  return hasAll && isWithin ? 0 : hasAll ? 1 : isWithin ? -1 : undefined;
}

export function compareBinlogPlaces(a: BinlogPlace, b: BinlogPlace): -1 | 0 | 1 | undefined {
  const [first, second] = [splitFile(a.binlogFile), splitFile(b.binlogFile)];
  if (first.base !== second.base) return undefined;
  const difference = first.number - second.number || a.binlogPosition - b.binlogPosition;
  return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

function splitFile(file: string): { readonly base: string; readonly number: number } {
  const dot = file.lastIndexOf('.');
  return { base: file.slice(0, dot), number: Number(file.slice(dot + 1)) };
}

/** The largest position that both contain; undefined where they are of different kinds or servers. Its file and offset are those of the one that lies before the other, if one does. */
export function meetMysqlPositions(a: MysqlPosition, b: MysqlPosition): MysqlPosition | undefined {
  return combine(a, b, (first, second) => first.meet(second), (first, second) => first.meet(second), -1);
}

/** The smallest position that contains both. */
export function uniteMysqlPositions(a: MysqlPosition, b: MysqlPosition): MysqlPosition | undefined {
  return combine(a, b, (first, second) => first.union(second), (first, second) => first.union(second), 1);
}

function combine(
  a: MysqlPosition, b: MysqlPosition, sets: (a: GtidSet, b: GtidSet) => GtidSet, lists: (a: MariadbGtidList, b: MariadbGtidList) => MariadbGtidList, wins: -1 | 1,
): MysqlPosition | undefined {
  const order = compareMysqlPositions(a, b);
  if (order !== undefined) return order === wins || order === 0 ? a : b;
  const place = compareBinlogPlaces(a, b) === wins ? a : b;
  if (a.type === 'mysql_gtid' && b.type === 'mysql_gtid') return { ...a, gtidSet: sets(GtidSet.parse(a.gtidSet), GtidSet.parse(b.gtidSet)).toString(), binlogFile: place.binlogFile, binlogPosition: place.binlogPosition };
  if (a.type === 'mariadb_gtid' && b.type === 'mariadb_gtid') {
    return { ...a, gtidList: lists(MariadbGtidList.parse(a.gtidList), MariadbGtidList.parse(b.gtidList)).toString(), binlogFile: place.binlogFile, binlogPosition: place.binlogPosition };
  }
  return undefined;
}
