/** What a source and a stream's own records must agree on before anything is streamed (RULES 7). */
import { MigrationError } from '../../config/migration-error.ts';
import type { Retention, SavedState } from './change-source.ts';

/** The same for every engine; `format` writes a position as its operators know it. */
export function checkRetained(saved: SavedState, retention: Retention, format: (order: bigint) => string): void {
  if (saved.applied < retention.confirmed) {
    throw gap(`the target has applied up to ${format(saved.applied)}, but the source has already forgotten everything before ${format(retention.confirmed)}`);
  }
  const { spool } = saved;
  if (!spool) return;
  if (spool.idOnTarget !== undefined && spool.idOnTarget !== spool.id) throw gap(`the spool was lost or replaced (spool ${spool.id}, expected ${spool.idOnTarget})`);
  if (spool.durable < retention.confirmed) throw gap(`the spool ends at ${format(spool.durable)}, but the source has forgotten everything before ${format(retention.confirmed)}`);
  if (spool.durable < spool.endOnTarget) throw gap(`the spool ends at ${format(spool.durable)}, but held ${format(spool.endOnTarget)} before`);
}

export function gap(detail: string): MigrationError {
  return new MigrationError('MIG021', 'The change stream has a gap: resync needed', { detail });
}
