/** What happened is kept, in order, within its retention; servers and sources cannot be taken away from under a migration. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { auditActions } from '../../catalog/audit.ts';
import type { AuditLevel } from '../../catalog/audit.ts';
import type { ValidationRecord } from '../../catalog/records.ts';
import { newTable, testCatalog } from './support.ts';

const position = (lsn: string): { readonly type: string; readonly lsn: string; readonly slot_name: string; readonly timeline_id: number } =>
  ({ type: 'postgresql_lsn', lsn, slot_name: 'causeway', timeline_id: 1 });

test('progress comes in buckets of the interval, with the last values and the largest lag of each', async () => {
  await using real = await testCatalog();
  const { catalog, clock } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  for (let minute = 0; minute < 120; minute += 10) {
    await catalog.addSamples([{ tableId, state: 'BULK_LOADING', rowsTotal: 1000, rowsMigrated: minute, lagMs: minute === 30 ? 9000.6 : undefined, pendingChanges: undefined, appliedChanges: minute }]);
    clock.ms += 600_000;
  }
  const hours = await catalog.progress({ tableId, intervalMs: 3_600_000, lastMs: 86_400_000 });
  expect(hours).toMatchObject([
    { from: '2026-03-01T10:00:00.000Z', samples: 6, rowsMigrated: 50, maxLagMs: 9001, appliedChanges: 50 },
    { from: '2026-03-01T11:00:00.000Z', samples: 6, rowsMigrated: 110, maxLagMs: undefined },
  ]);
  expect((await catalog.progress({ tableId, intervalMs: 3_600_000, lastMs: 1_800_000 })).map((bucket) => bucket.samples)).toEqual([3]);
  await expect(catalog.progress({ tableId, intervalMs: 0, lastMs: 1 })).rejects.toMatchObject({ code: 'MIG071' });
});

test('old samples and the oldest errors go', async () => {
  await using real = await testCatalog({ retention: { samplesMs: 3_600_000, errorsPerTable: 3 } });
  const { catalog, clock } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  for (let i = 0; i < 6; i += 1) {
    await catalog.addSamples([{ tableId, state: 'BULK_LOADING', rowsTotal: 1, rowsMigrated: i, lagMs: 0, pendingChanges: 0, appliedChanges: 0 }]);
    await catalog.insertErrors([{ tableId, code: 'MIG012', message: `row ${i}`, rowKey: `id=${i}`, sourceError: 'bad' }, { code: 'MIG001', message: `server ${i}` }]);
    clock.ms += 1_200_000;
  }
  const buckets = await catalog.progress({ tableId, intervalMs: 1_200_000, lastMs: 999_000_000 });
  expect(buckets.map((bucket) => bucket.rowsMigrated)).toEqual([2, 3, 4, 5]);
  expect((await catalog.errors({ tableId, limit: 10 })).map((error) => error.message)).toEqual(['row 5', 'row 4', 'row 3']);
  expect((await catalog.errors({ limit: 100 })).length).toBe(6);
  expect((await catalog.errors({ tableId, sinceMs: clock.ms - 1_300_000, limit: 10 }))[0]).toMatchObject({
    code: 'MIG012', category: 'SCHEMA', rowKey: 'id=5', sourceError: 'bad', retryable: false,
  });
});

test('conflicts are listed until they are resolved, once', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  const conflict = {
    tableId, primaryKey: { id: 1 }, localValues: { id: 1, v: 'a' }, remoteValues: undefined, localTimestamp: '2026-03-01T09:00:00.250Z', remoteTimestamp: undefined,
    strategy: 'source_wins' as const, resolvedValues: undefined,
  };
  const [open = '', done] = await catalog.insertConflicts([{ ...conflict, resolved: false }, { ...conflict, resolved: true }]);
  expect(await catalog.conflictCounts(tableId)).toEqual({ total: 2, unresolved: 1 });
  expect(await catalog.conflicts({ tableId, unresolved: true, limit: 5 })).toMatchObject([{ conflictId: open, localTimestamp: '2026-03-01T09:00:00.250Z', remoteValues: undefined }]);
  await catalog.resolveConflict(open, { strategy: 'target_wins', resolvedValues: { id: 1 } });
  await expect(catalog.resolveConflict(open, { strategy: 'target_wins' })).rejects.toMatchObject({ code: 'MIG074' });
  await expect(catalog.resolveConflict('nobody', { strategy: 'target_wins' })).rejects.toMatchObject({ code: 'MIG072' });
  expect((await catalog.conflicts({ limit: 5 })).map((found) => found.conflictId).toSorted()).toEqual([open, done].toSorted());
  expect((await catalog.auditTrail({ limit: 1 }))[0]).toMatchObject({ action: 'CONFLICT_RESOLVED', tableId });
});

test('every audit action of the specification can be written, and a user has one id', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  for (const action of auditActions) await catalog.audit({ action, actor: { user: 'ops', clientIp: '::1', sessionId: randomUUID() }, sourceServer: 's', details: { n: 1 } });
  await catalog.audit({ action: 'ERROR_OCCURRED', actor: { user: 'other' } });
  const trail = await catalog.auditTrail({ limit: 100 });
  expect(trail.length).toBe(auditActions.length + 1);
  expect(new Set(trail.map((entry) => entry.userId)).size).toBe(2);
  for (const { userId } of trail) expect(userId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('checkpoints and positions are what was put last', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const id = randomUUID();
  await catalog.putCheckpoint(id, new Uint8Array([0, 1, 255]));
  await catalog.putCheckpoint(id, new Uint8Array([0, 2, 255]));
  await catalog.putCdcPosition({ sourceServer: 's', tableName: 'public.t', cdcType: 'logical_replication', position: position('0/1') });
  await catalog.putCdcPosition({ sourceServer: 's', tableName: 'public.t', cdcType: 'logical_replication', position: position('0/2') });
  await real.crash();
  expect([...((await real.catalog.checkpoint(id)) ?? [])]).toEqual([0, 2, 255]);
  expect(await real.catalog.cdcPosition('s', 'public.t')).toMatchObject({ position: position('0/2'), updatedAt: '2026-03-01T10:00:00.000Z' });
  await real.catalog.deleteCheckpoint(id);
  await real.catalog.deleteCdcPosition('s', 'public.t');
  expect(await real.catalog.checkpoint(id)).toBeUndefined();
  expect(await real.catalog.cdcPositions()).toEqual([]);
});

test('authority intervals open and close once each, and never overlap in one direction', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  const forward = (lsn: string): { readonly tableId: string; readonly direction: 'forward'; readonly position: ReturnType<typeof position> } => ({ tableId, direction: 'forward', position: position(lsn) });
  await expect(catalog.closeInterval(forward('0/1'))).rejects.toMatchObject({ code: 'MIG091' });
  await catalog.openInterval(forward('0/1'));
  await catalog.openInterval(forward('0/1'));
  await expect(catalog.openInterval(forward('0/2'))).rejects.toMatchObject({ code: 'MIG091' });
  await catalog.closeInterval(forward('0/5'));
  await catalog.closeInterval(forward('0/5'));
  await expect(catalog.closeInterval(forward('0/6'))).rejects.toMatchObject({ code: 'MIG091' });
  await catalog.openInterval(forward('0/9'));
  expect((await catalog.intervals(tableId)).map(({ from, to }) => [from['lsn'], to?.['lsn']])).toEqual([['0/1', '0/5'], ['0/9', undefined]]);
});

test('a table is in one open attempt at a time, and an attempt that has ended takes no step', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const begin = (attemptId: string, tableIds: readonly string[]): Promise<void> => catalog.beginJournal({ attemptId, direction: 'cutover', tableIds, step: 'refuse' });
  await begin('a', ['t1', 't2']);
  await expect(begin('b', ['t2', 't3'])).rejects.toMatchObject({ code: 'MIG074' });
  await begin('c', ['t3']);
  await catalog.putJournalStep({ attemptId: 'a', step: 'fence', details: { marker: 'm' } });
  await real.crash();
  expect((await real.catalog.openJournals()).map((journal) => [journal.attemptId, journal.step])).toEqual([['a', 'fence'], ['c', 'refuse']]);
  await real.catalog.putJournalStep({ attemptId: 'a', step: 'undone', details: { cause: 'x' }, outcome: 'undone' });
  await expect(real.catalog.putJournalStep({ attemptId: 'a', step: 'more' })).rejects.toMatchObject({ code: 'MIG091' });
  expect(await real.catalog.lastJournal('t2')).toMatchObject({ attemptId: 'a', outcome: 'undone', details: { marker: 'm', cause: 'x' } });
});

test('the last validations are kept with their chunks, older ones go', async () => {
  await using real = await testCatalog();
  const { catalog, clock } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  const ids = Array.from({ length: 8 }, () => randomUUID());
  for (const validationId of ids) {
    const running: ValidationRecord = {
      validationId, tableId, mode: 'sample', samplePercent: 0.5, passed: undefined, sourceRows: undefined, localRows: undefined, chunks: 2, mismatchedChunks: 0,
      mismatchedRows: 0, unsettledRows: 0, details: {}, startedAt: new Date(clock.now()).toISOString(), finishedAt: undefined,
    };
    await catalog.putValidation(running);
    await catalog.putValidationChunks(validationId, [
      { chunkNo: 0, lowerBound: undefined, upperBound: '5', sourceChecksum: 'x', localChecksum: 'x', rowCount: 5, position: position('0/1') },
      { chunkNo: 1, lowerBound: '5', upperBound: undefined, sourceChecksum: 'y', localChecksum: 'z', rowCount: 5, position: undefined },
    ]);
    clock.ms += 1000;
    await catalog.putValidation({ ...running, passed: false, mismatchedChunks: 1, finishedAt: new Date(clock.now()).toISOString() });
  }
  const last = await catalog.lastValidation(tableId);
  expect(last).toMatchObject({ validationId: ids[7], passed: false, samplePercent: 0.5, finishedAt: '2026-03-01T10:00:08.000Z' });
  expect((await catalog.validationChunks(ids[7] ?? '')).map((chunk) => chunk.position?.['lsn'])).toEqual(['0/1', undefined]);
  expect(await catalog.validationChunks(ids[0] ?? '')).toEqual([]);
});

test('a server in use is not dropped without CASCADE, and not at all under a migration', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  await catalog.createServer({ name: 'legacy_pg', wrapper: 'postgres', options: { host: 'db1', port: '5432' } });
  await expect(catalog.createServer({ name: 'legacy_pg', wrapper: 'postgres', options: {} })).rejects.toMatchObject({ code: 'MIG073' });
  await expect(catalog.createServer({ name: 'x', wrapper: 'postgres', options: { password: 'p' } })).rejects.toMatchObject({ code: 'MIG071' });
  await expect(catalog.createSource({ name: 'legacy', serverName: 'nowhere', options: {} })).rejects.toMatchObject({ code: 'MIG072' });
  await catalog.createSource({ name: 'legacy', serverName: 'legacy_pg', options: { batch_size: 10 } });
  await catalog.createMapping('legacy_pg', 'public', { user: 'm', password: 'p' });
  const table = await catalog.createTable(newTable('orders'));
  await expect(catalog.dropServer('legacy_pg')).rejects.toMatchObject({ code: 'MIG074' });
  await expect(catalog.dropServer('legacy_pg', { cascade: true })).rejects.toMatchObject({ code: 'MIG074', detail: 'Tables: public.orders (NOT_STARTED).' });
  await expect(catalog.dropSource('legacy')).rejects.toMatchObject({ code: 'MIG074' });
  await catalog.endTable(table.tableId, 'NOT_STARTED');
  await expect(catalog.dropServer('legacy_pg')).rejects.toMatchObject({ code: 'MIG074', detail: 'Sources: legacy.' });
  await catalog.alterSource('legacy', { batch_size: 20 });
  expect(await catalog.source('legacy')).toMatchObject({ options: { batch_size: 20 } });
  await catalog.alterServer('legacy_pg', { host: 'db2' });
  expect(await catalog.server('legacy_pg')).toMatchObject({ options: { host: 'db2' } });
  expect(await catalog.dropServer('legacy_pg', { cascade: true })).toEqual(['legacy']);
  expect([await catalog.servers(), await catalog.sources(), await catalog.mappings()]).toEqual([[], [], []]);
  await expect(catalog.dropServer('legacy_pg')).rejects.toMatchObject({ code: 'MIG072' });
});

test('progress leaves history and epoch alone; undefined keeps a value, null clears it', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  await catalog.setProgress([{ tableId, bulkRowsTotal: 10, bulkRowsMigrated: 5, cdcPosition: '0/1', cdcLagMs: 1.6, lastError: 'e'.repeat(5000) }, { tableId: 'nobody', cdcLagMs: 1 }]);
  await catalog.setProgress([{ tableId, bulkRowsMigrated: 6, cdcPosition: null, lastError: undefined }]);
  const record = await catalog.table(tableId);
  expect(record).toMatchObject({ bulkRowsTotal: 10, bulkRowsMigrated: 6, cdcPosition: undefined, cdcLagMs: 2, epoch: 1 });
  expect(record?.lastError?.length).toBe(1024);
  expect(await catalog.history({ limit: 10 })).toEqual([]);
  await catalog.setProgress([{ tableId, lastError: null }]);
  expect((await catalog.table(tableId))?.lastError).toBeUndefined();
});

test('COMPLETE keeps the table in the routing and frees its server', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  await catalog.createServer({ name: 'legacy_pg', wrapper: 'postgres', options: {} });
  const { tableId } = await catalog.createTable(newTable('orders'));
  await catalog.moveState(tableId, 'NOT_STARTED', 'ERROR', { trigger: 'x', error: 'boom' });
  await catalog.moveState(tableId, 'ERROR', 'LOCAL_ONLY', { trigger: 'x', route: { reads: 'local', writes: 'local' }, change: { rollbackUntil: '2026-03-02T00:00:00.000Z', details: { a: 1 } } });
  expect(await catalog.table(tableId)).toMatchObject({ lastError: 'boom', rollbackUntil: '2026-03-02T00:00:00.000Z', details: { a: 1 } });
  const { epoch } = await catalog.endTable(tableId, 'LOCAL_ONLY');
  const [table] = await catalog.tables();
  expect(table).toMatchObject({ tableId, epoch, state: 'LOCAL_ONLY', route: { reads: 'local', writes: 'local' }, rollbackUntil: undefined, completedAt: '2026-03-01T10:00:00.000Z' });
  expect(await catalog.dropServer('legacy_pg')).toEqual([]);
});

test('the audit holds what its level says', async () => {
  const recorded = async (auditLevel: AuditLevel): Promise<readonly string[]> => {
    await using real = await testCatalog({ auditLevel });
    const { catalog } = real;
    const { tableId } = await catalog.createTable(newTable('orders'));
    for (const action of auditActions) await catalog.audit({ action, actor: { user: 'ann' }, tableId });
    return [...new Set((await catalog.auditTrail({ limit: 100 })).map(({ action }) => action))].toSorted();
  };
  const [none, minimal, standard, full] = [await recorded('none'), await recorded('minimal'), await recorded('standard'), await recorded('full')];
  expect(none).toEqual([]);
  expect(full).toEqual([...auditActions].toSorted());
  expect(standard).toEqual(full.filter((action) => !['CREDENTIALS_ACCESSED', 'CONFLICT_DETECTED', 'CONFLICT_RESOLVED'].includes(action)));
  expect(minimal).toEqual(standard.filter((action) => !['CREDENTIALS_ROTATED', 'ERROR_OCCURRED'].includes(action)));
});

test('errors and conflicts are audited: one entry for each kind of error, one for each conflict', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const { tableId } = await catalog.createTable(newTable('orders'));
  await catalog.insertErrors([{ tableId, code: 'MIG011', message: 'row 1' }, { tableId, code: 'MIG011', message: 'row 2' }, { code: 'MIG001', message: 'gone' }]);
  const conflict = { tableId, primaryKey: { id: 1 }, localValues: undefined, remoteValues: undefined, localTimestamp: undefined, remoteTimestamp: undefined, strategy: 'source_wins' as const, resolvedValues: undefined };
  await catalog.insertConflicts([{ ...conflict, resolved: true }, { ...conflict, resolved: false }]);
  const entries = (await catalog.auditTrail({ limit: 100 })).map(({ action, details }) => `${action} ${String(details['code'] ?? details['strategy'] ?? '')} ${String(details['count'] ?? '')}`.trim());
  expect(entries.toSorted()).toEqual(['CONFLICT_DETECTED source_wins', 'CONFLICT_DETECTED source_wins', 'CONFLICT_RESOLVED source_wins', 'ERROR_OCCURRED MIG001 1', 'ERROR_OCCURRED MIG011 2']);
});
