/**
 * Appliers commit without waiting for the disk, so a target that crashes comes back without the last moments of what it had shown.
 * Who is about to act on what was visible asks in the same transaction whether it still is there; that transaction's own
 * commit then makes it durable.
 */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { formatLsn } from '../change.ts';
import type { SavedPositions } from '../ports.ts';

/** Throws MIG002 when the target's record is behind what the stream had saved there. `client` is on the target. */
export async function assertSaved(client: ClientBase, saved: SavedPositions): Promise<void> {
  const { rows } = await client.query<{ shared: boolean; tables: string }>(
    `SELECT coalesce((SELECT lsn >= $2::pg_lsn FROM causeway.applied WHERE stream = $1), false) AS shared,
            (SELECT count(*) FROM causeway.table_applied a JOIN unnest($3::text[], $4::pg_lsn[]) AS t (table_id, lsn) USING (table_id)
              WHERE a.stream = $1 AND (a.mode = 'shared' OR a.lsn >= t.lsn))::text AS tables`,
    [saved.stream, formatLsn(saved.shared), saved.tables.map(({ tableId }) => tableId), saved.tables.map(({ lsn }) => formatLsn(lsn))]);
  if (rows[0]?.shared === true && Number(rows[0].tables) === saved.tables.length) return;
  throw new MigrationError('MIG002', 'the server was restarted, and has lost changes that it had shown', {
    detail: `Stream ${saved.stream} had applied them up to ${formatLsn(saved.shared)}; it applies them again.`, hint: 'Nothing was changed. Try again in a moment.',
  });
}
