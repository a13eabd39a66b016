import type { Side } from '../../../catalog/routing-snapshot.ts';

/** Why there can be no table for rows where the statement runs. */
export type NoTable = 'read only' | 'not allowed';

export const remedies: Readonly<Record<NoTable, string>> = { 'read only': 'use a READ WRITE transaction', 'not allowed': 'GRANT TEMPORARY on that database' };

export function noTableText(side: Side, reason: NoTable): string {
  return reason === 'read only' ? 'A read-only transaction cannot have a table for rows of the other side' : `The user may not have a table for rows of the other side on ${side === 'source' ? 'the source' : 'local'}`;
}
