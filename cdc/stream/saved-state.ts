/** What a source, the target and a stream's own records must agree on before anything is streamed (RULES 7). */
import { MigrationError } from '../../config/migration-error.ts';
import type { SpoolIdentity } from '../spool/spool.ts';
import type { Retention, SavedState } from './change-source.ts';

/** The same for every engine; `format` writes a position as its operators know it. */
export function checkRetained(saved: SavedState, retention: Retention, format: (order: bigint) => string): void {
  if (saved.applied < retention.confirmed) {
    throw gap(`the target has applied up to ${format(saved.applied)}, but the source has already forgotten everything before ${format(retention.confirmed)}`);
  }
}

/** Why the spool as a whole is not the one that the target knows, or an older one; undefined where it is. That concerns the tables whose changes are in it, and no others. */
export function spoolGap({ id, durable }: SpoolIdentity, onTarget: { readonly spoolId: string | undefined; readonly spoolEnd: bigint }, confirmed: bigint): string | undefined {
  if (onTarget.spoolId !== undefined && onTarget.spoolId !== id) return `the spool was lost or replaced (spool ${id}, expected ${onTarget.spoolId})`;
  if (durable < confirmed) return `the spool ends at ${durable}, but the source has forgotten everything before ${confirmed}`;
  if (durable < onTarget.spoolEnd) return `the spool ends at ${durable}, but held ${onTarget.spoolEnd} before`;
  return undefined;
}

export function gap(detail: string): MigrationError {
  return new MigrationError('MIG021', 'The change stream has a gap: resync needed', { detail });
}
