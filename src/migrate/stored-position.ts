/** Positions as the catalog keeps them (specification, appendix A) and as the change path uses them. */
import type { StoredPosition } from '../../catalog/records.ts';
import { formatLsn, parseLsn } from '../../cdc/change.ts';
import type { Position } from '../../cdc/change.ts';
import { MigrationError } from '../../config/migration-error.ts';

/** `order` is the stream's own count, beside what the specification has. */
export function storePosition(position: Position): StoredPosition {
  switch (position.type) {
    case 'postgresql_lsn':
      return { type: position.type, lsn: formatLsn(position.lsn) };
    case 'mysql_binlog':
      return { type: position.type, ...binlogPlace(position) };
    case 'mysql_gtid':
    case 'mariadb_gtid':
      return { type: position.type, gtid_set: position.gtidSet, ...binlogPlace(position) };
    default:
      return position satisfies never;
  }
}

/** The offset is a number, as in the specification: a binlog stays far below 2^53 bytes. */
function binlogPlace(position: { readonly file: string; readonly offset: bigint; readonly order: bigint }) {
  return { binlog_file: position.file, binlog_position: Number(position.offset), order: String(position.order) };
}

export function restorePosition(stored: StoredPosition): Position {
  const { type, lsn, gtid_set: gtidSet, binlog_file: file, binlog_position: offset, order } = stored;
  if (type === 'postgresql_lsn' && typeof lsn === 'string') return { type, lsn: parseLsn(lsn) };
  if (typeof file === 'string' && typeof offset === 'number' && typeof order === 'string') {
    const place = { order: BigInt(order), file, offset: BigInt(offset) };
    if (type === 'mysql_binlog') return { type, ...place };
    if ((type === 'mysql_gtid' || type === 'mariadb_gtid') && typeof gtidSet === 'string') return { type, gtidSet, ...place };
  }
  throw new MigrationError('MIG091', `a stored position cannot be read: ${JSON.stringify(stored)}`);
}
