/** A catalog that is older than the records of authority in the databases is refused (RULES 14). */
import { describe, expect, it } from 'vitest';
import { compareAuthority } from '../../src/migrate/authority-check.ts';

const local = (epoch: number) => ({ epoch, tableId: 't', side: 'local' });
const fence = (epoch: number) => ({ epoch, table: 'public.t' });

describe('compareAuthority', () => {
  it('accepts a catalog at or above both epochs, and databases without records', () => {
    expect(compareAuthority(7, { local: local(7), fence: fence(6) })).toBeUndefined();
    expect(compareAuthority(0, { local: undefined, fence: undefined })).toBeUndefined();
  });

  it('refuses a catalog below either, naming both', () => {
    expect(compareAuthority(6, { local: local(7), fence: undefined })?.code).toBe('MIG091');
    expect(compareAuthority(6, { local: undefined, fence: fence(7) })?.detail).toContain('public.t is of epoch 7');
    expect(compareAuthority(1, { local: local(2), fence: fence(3) })?.detail).toMatch(/epoch 2.*epoch 3/);
  });
});
