/** Positions as the catalog keeps them (specification, appendix A) and as the change path uses them. */
import type { StoredPosition } from '../../catalog/records.ts';
import { formatLsn, parseLsn } from '../../cdc/change.ts';
import type { Position } from '../../cdc/change.ts';
import { MigrationError } from '../../config/migration-error.ts';

export function storePosition(position: Position): StoredPosition {
  return { type: 'postgresql_lsn', lsn: formatLsn(position.lsn) };
}

export function restorePosition(stored: StoredPosition): Position {
  const lsn = stored['lsn'];
  if (stored.type !== 'postgresql_lsn' || typeof lsn !== 'string') throw new MigrationError('MIG091', `a stored position cannot be read: ${JSON.stringify(stored)}`);
  return { type: 'postgresql_lsn', lsn: parseLsn(lsn) };
}
