/** The rows in the target's bookkeeping that say where a stream is (`bookkeeping.ts`): how they are read and moved. */
import type { Statement } from '../apply/apply-connection.ts';
import { formatLsn, parseLsn } from '../change.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { StreamRow, TableRow } from '../stream/change-target.ts';
import { lockMarksSql } from './marks.ts';
import type { SqlClient } from './sql-client.ts';

/** Just what is asked of a connection here. */
export interface Asks {
  rows(statement: Statement): Promise<readonly (readonly (string | null)[])[]>;
}

export async function readStreamRow(target: Asks, stream: string): Promise<StreamRow | undefined> {
  const [row] = await target.rows({ text: 'SELECT lsn, spool_id, spool_end, system_id, timeline FROM causeway.applied WHERE stream = $1', values: [stream] });
  if (!row?.[0]) return undefined;
  const [lsn, spoolId, spoolEnd, systemId, timeline] = row;
  return {
    lsn: parseLsn(lsn), spoolId: spoolId ?? undefined, spoolEnd: spoolEnd ? parseLsn(spoolEnd) : 0n,
    systemId: systemId ?? undefined, timeline: timeline ? Number(timeline) : undefined,
  };
}

/** Makes the stream's row when it is not there yet. */
export async function insertStreamRow(target: Asks, stream: string, lsn: bigint, token: bigint, spoolId: string): Promise<void> {
  await target.rows({
    text: 'INSERT INTO causeway.applied (stream, lsn, token, spool_id) VALUES ($1, $2::pg_lsn, $3::bigint, $4) ON CONFLICT (stream) DO NOTHING',
    values: [stream, formatLsn(lsn), String(token), spoolId],
  });
}

/** Takes the stream over from an older control process; waits for its transactions to end (RULES 14). */
export async function raiseTokens(target: Asks, stream: string, token: bigint): Promise<void> {
  const values = [stream, String(token)];
  const taken = await target.rows({ text: 'UPDATE causeway.applied SET token = $2::bigint WHERE stream = $1 AND token <= $2::bigint RETURNING 1', values });
  if (taken.length === 0) throw new MigrationError('MIG092', undefined, { detail: `Stream ${stream} carries a newer fencing token than ${token}.` });
  await target.rows({ text: 'UPDATE causeway.table_applied SET token = $2::bigint WHERE stream = $1 AND token <= $2::bigint', values });
}

export async function saveSource(target: Asks, stream: string, systemId: string, timeline: number, spoolId: string): Promise<void> {
  await target.rows({
    text: `UPDATE causeway.applied SET system_id = $2, timeline = $3::integer, spool_id = $4
            WHERE stream = $1 AND (system_id, timeline, spool_id) IS DISTINCT FROM ($2, $3::integer, $4)`,
    values: [stream, systemId, String(timeline), spoolId],
  });
}

export async function readTableRows(target: Asks, stream: string): Promise<readonly TableRow[]> {
  const rows = await target.rows({ text: 'SELECT table_id, mode, lsn, spool_offset FROM causeway.table_applied WHERE stream = $1', values: [stream] });
  return rows.map(([tableId, mode, lsn, offset]) => ({
    tableId: tableId ?? '', mode: mode === 'shared' ? 'shared' : 'private', lsn: parseLsn(lsn ?? '0/0'), spoolOffset: Number(offset ?? 0),
  }));
}

/** Moves the shared position; the first statement of a shared transaction, and its tag. */
export function moveShared(stream: string, lsn: bigint, token: bigint, spoolEnd: bigint): Statement {
  return {
    name: 'causeway_move_shared',
    text: 'UPDATE causeway.applied SET lsn = $2::pg_lsn, spool_end = $4::pg_lsn, updated_at = now() WHERE stream = $1 AND token = $3::bigint',
    values: [stream, formatLsn(lsn), String(token), formatLsn(spoolEnd)],
  };
}

/** Tags a transaction whose position is not known yet: its end has not been captured. */
export function tagShared(stream: string, token: bigint): Statement {
  return { name: 'causeway_tag_shared', text: 'UPDATE causeway.applied SET updated_at = now() WHERE stream = $1 AND token = $2::bigint', values: [stream, String(token)] };
}

/** Tags a transaction that is not of the shared tables. Finds no row when a newer token has been here. */
export function tagTransaction(tag: string, lsn: bigint, token: bigint): Statement {
  return {
    name: 'causeway_tag',
    text: `INSERT INTO causeway.applied AS a (stream, lsn, token) VALUES ($1, $2::pg_lsn, $3::bigint)
           ON CONFLICT (stream) DO UPDATE SET lsn = EXCLUDED.lsn, token = EXCLUDED.token, updated_at = now() WHERE a.token <= EXCLUDED.token`,
    values: [tag, formatLsn(lsn), String(token)],
  };
}

export function privateTag(stream: string, tableId: string): string {
  return `${stream}/${tableId}`;
}

export function movePrivate(stream: string, tableId: string, lsn: bigint, spoolOffset: number, token: bigint): Statement {
  return {
    name: 'causeway_move_private',
    text: `UPDATE causeway.table_applied SET lsn = $3::pg_lsn, spool_offset = $4::bigint, updated_at = now()
            WHERE stream = $1 AND table_id = $2 AND token = $5::bigint AND mode = 'private'`,
    values: [stream, tableId, formatLsn(lsn), String(spoolOffset), String(token)],
  };
}

/** Joins or leaves the shared tables at `lsn` (RULES 4); its log is read from `spoolOffset` on. */
export function setMembership(stream: string, tableId: string, mode: 'private' | 'shared', lsn: bigint, token: bigint, spoolOffset = 0): Statement {
  return {
    text: `INSERT INTO causeway.table_applied AS t (stream, table_id, mode, lsn, spool_offset, token) VALUES ($1, $2, $3, $4::pg_lsn, $6::bigint, $5::bigint)
           ON CONFLICT (stream, table_id) DO UPDATE SET mode = EXCLUDED.mode, lsn = EXCLUDED.lsn, spool_offset = EXCLUDED.spool_offset, token = EXCLUDED.token, updated_at = now()
            WHERE t.token <= EXCLUDED.token`,
    values: [stream, tableId, mode, formatLsn(lsn), String(token), String(spoolOffset)],
  };
}

export async function forgetTable(target: SqlClient, stream: string, tableId: string): Promise<void> {
  await endMarking(target, tableId);
  await target.rows({ text: 'DELETE FROM causeway.table_applied WHERE stream = $1 AND table_id = $2', values: [stream, tableId] });
  await target.rows({ text: 'DELETE FROM causeway.reread WHERE table_id = $1', values: [tableId] });
  await target.rows({ text: 'DELETE FROM causeway.writeback WHERE table_id = $1', values: [tableId] });
  await target.rows({ text: 'DELETE FROM causeway.applied WHERE stream = $1', values: [privateTag(stream, tableId)] });
}

/** What was marked under the lock is seen only by a statement that begins behind it. */
async function endMarking(target: SqlClient, tableId: string): Promise<void> {
  await target.use(async (client) => {
    await client.query('BEGIN');
    await client.query(lockMarksSql, [tableId]);
    await client.query('DELETE FROM causeway.marking WHERE table_id = $1', [tableId]);
    await client.query('DELETE FROM causeway.mark WHERE table_id = $1', [tableId]);
    await client.query('COMMIT');
  });
}
