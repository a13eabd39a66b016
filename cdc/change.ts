/** Changes as they come out of a source, in commit order, and the position they came from. */

/** A point in a PostgreSQL change stream; serialised as in the specification's appendix A. */
export interface LsnPosition {
  readonly type: 'postgresql_lsn';
  readonly lsn: bigint;
}

/**
 * A point in the binlog of a MySQL or MariaDB server. `order` is what the stream counts by: it grows along one stream, also over a change to another
 * server, whose files and offsets begin anew.
 */
export interface BinlogPosition {
  readonly type: 'mysql_binlog';
  readonly order: bigint;
  readonly file: string;
  readonly offset: bigint;
}

/** The same with the GTID set of everything before it, as the server writes it: another server of the group can go on from there. */
export interface GtidPosition {
  readonly type: 'mysql_gtid' | 'mariadb_gtid';
  readonly order: bigint;
  readonly gtidSet: string;
  readonly file: string;
  readonly offset: bigint;
}

export type Position = LsnPosition | BinlogPosition | GtidPosition;

/** What a stream keeps and compares: grows along one stream, means nothing in another. */
export function orderOf(position: Position): bigint {
  return position.type === 'postgresql_lsn' ? position.lsn : position.order;
}

/** −1, 0, 1, or undefined where the two are not ordered: they are of two engines. */
export function comparePositions(a: Position, b: Position): -1 | 0 | 1 | undefined {
  if ((a.type === 'postgresql_lsn') !== (b.type === 'postgresql_lsn')) return undefined;
  const [first, second] = [orderOf(a), orderOf(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}

/** As operators and logs have it. */
export function formatPosition(position: Position): string {
  switch (position.type) {
    case 'postgresql_lsn':
      return formatLsn(position.lsn);
    case 'mysql_binlog':
      return `${position.file}:${position.offset}`;
    case 'mysql_gtid':
    case 'mariadb_gtid':
      return position.gtidSet;
    default:
      return position satisfies never;
  }
}

/** The largest position that both contain. */
export function meetPositions(a: Position, b: Position): Position {
  return comparePositions(a, b) === 1 ? b : a;
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match?.[1] || !match[2]) throw new RangeError(`not an LSN: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** A value in the source's text form; null is SQL NULL, undefined an unchanged TOAST value that the source did not send. */
export type TextValue = string | null | undefined;

/** In the order of the `Relation` that the change belongs to. */
export type Tuple = readonly TextValue[];

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly { readonly name: string; readonly typeOid: number; readonly typmod: number; readonly inKey: boolean }[];
}

export type Change =
  | { readonly op: 'insert'; readonly relation: Relation; readonly new: Tuple }
  /** `old`: the key columns (others null) after a key change, the whole row with replica identity FULL, else absent. */
  | { readonly op: 'update'; readonly relation: Relation; readonly old: Tuple | undefined; readonly oldIsKeyOnly: boolean; readonly new: Tuple }
  | { readonly op: 'delete'; readonly relation: Relation; readonly old: Tuple; readonly oldIsKeyOnly: boolean }
  | { readonly op: 'truncate'; readonly relations: readonly Relation[]; readonly cascade: boolean; readonly restartIdentity: boolean };
