/**
 * Publication and replication slot of one stream on its source.
 *
 * A slot is made once. Later its absence, or a position that does not fit the saved ones, is an error that only a resync heals:
 * START_REPLICATION below the confirmed position is silently moved forward by the server (RULES 7).
 */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { formatLsn, parseLsn } from '../change.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { installBookkeeping } from './bookkeeping.ts';
import { serverCapabilities } from './capabilities.ts';
import { quoteName, quoteTable, sqlstateOf } from './connect.ts';
import type { ReplicationConnection } from './replication-connection.ts';
import type { Retention, SavedState, SourceIdentity } from '../stream/change-source.ts';
import { checkRetained, gap } from '../stream/saved-state.ts';

/** Name of the captured server's version as one number: 150003 is 15.3. */
export async function serverVersion(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num');
  return Number(rows[0]?.server_version_num ?? 0);
}

const bookkeepingTables = ['applied', 'marker', 'ddl_log'] as const;

/** Bookkeeping tables and the publication that holds them. Idempotent. */
export async function preparePublication(client: ClientBase, publicationName: string): Promise<void> {
  await installBookkeeping(client);
  const found = await client.query('SELECT 1 FROM pg_publication WHERE pubname = $1', [publicationName]);
  if (found.rows.length > 0) return;
  const version = await serverVersion(client);
  const publish = serverCapabilities(version).publishedTruncate ? 'insert, update, delete, truncate' : 'insert, update, delete';
  // Partitions are published under their own names: with publish_via_partition_root the TRUNCATE of one would not be sent.
  const tables = bookkeepingTables.map((name) => `causeway.${name}`).join(', ');
  await client
    .query(`CREATE PUBLICATION ${quoteName(publicationName)} FOR TABLE ${tables} WITH (publish = '${publish}')`)
    .catch((error: unknown) => {
      if (sqlstateOf(error) === '42710') return;
      if (sqlstateOf(error) === '42501') throw new MigrationError('MIG004', 'The user may not create a publication', { cause: error, detail: String(error) });
      throw error;
    });
}

/** Makes the slot and returns the position from which it delivers. The slot must not exist. */
export async function createSlot(client: ClientBase, slotName: string): Promise<bigint> {
  try {
    const { rows } = await client.query<{ lsn: string }>("SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')", [slotName]);
    return parseLsn(rows[0]?.lsn ?? '');
  } catch (error) {
    throw new MigrationError('MIG005', `Cannot create replication slot ${slotName}`, { cause: error, detail: error instanceof Error ? error.message : String(error) });
  }
}

/** Idempotent. A connection that has just let go of the slot is waited for. */
export async function dropSlot(client: ClientBase, slotName: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [slotName]);
      return;
    } catch (error) {
      if (sqlstateOf(error) === '42704') return;
      if (sqlstateOf(error) !== '55006' || attempt === DROP_ATTEMPTS) throw error;
      await client.query('SELECT pg_sleep(0.1)');
    }
  }
}

export async function dropPublication(client: ClientBase, publicationName: string): Promise<void> {
  await client.query(`DROP PUBLICATION IF EXISTS ${quoteName(publicationName)}`);
}

const DROP_ATTEMPTS = 50;

export interface SlotState extends Retention {
  readonly activePid: number | undefined;
}

export async function readSlot(client: ClientBase, slotName: string): Promise<SlotState | undefined> {
  const { rows } = await client.query<{ plugin: string; here: string; confirmed: string | null; pid: string | null; retained: string | null; slot: string }>(
    `SELECT plugin, (database = current_database())::text AS here, confirmed_flush_lsn::text AS confirmed, active_pid::text AS pid,
            pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint::text AS retained, to_json(s)::text AS slot
       FROM pg_replication_slots s WHERE slot_name = $1`, [slotName]);
  const row = rows[0];
  if (!row) return undefined;
  if (row.plugin !== 'pgoutput' || !row.here.startsWith('t')) {
    throw new MigrationError('MIG020', `Slot ${slotName} belongs to another database or plugin`, { hint: 'Drop or rename that slot; the migration does not touch what it did not make.' });
  }
  // `wal_status` came with 13, `invalidation_reason` with 17; the row as JSON serves every version.
  const whole = JSON.parse(row.slot) as { wal_status?: string | null; invalidation_reason?: string | null };
  const lost = whole.wal_status === 'lost' || (whole.invalidation_reason ?? null) !== null || row.confirmed === null;
  return {
    confirmed: row.confirmed === null ? 0n : parseLsn(row.confirmed),
    activePid: row.pid === null ? undefined : Number(row.pid),
    lost,
    retainedBytes: Number(row.retained ?? 0),
  };
}

/** Refuses every gap and fork that can be seen before streaming (RULES 7). */
export async function checkPositions(saved: SavedState, slotName: string, slot: Retention | undefined, connection: ReplicationConnection): Promise<SourceIdentity> {
  if (!slot) throw new MigrationError('MIG020', `Replication slot ${slotName} does not exist any more`);
  if (slot.lost) throw new MigrationError('MIG020', `Replication slot ${slotName} was invalidated: the source has removed WAL that it needed`);
  const identity = await connection.identify();
  if (saved.systemId !== undefined && saved.systemId !== identity.systemId) {
    throw gap(`the source is another cluster (system identifier ${identity.systemId}, was ${saved.systemId})`);
  }
  const written = parseLsn(identity.writtenLsn);
  if (saved.applied > written) throw gap(`the source ends at ${identity.writtenLsn}, but ${formatLsn(saved.applied)} was applied: it has been restored or failed over`);
  if (saved.timeline !== undefined && saved.timeline !== identity.timeline) await checkFork(saved, identity.timeline, connection);
  checkRetained(saved, slot, formatLsn);
  return { systemId: identity.systemId, timeline: identity.timeline };
}

async function checkFork(saved: SavedState, timeline: number, connection: ReplicationConnection): Promise<void> {
  const history = await connection.timelineHistory(timeline);
  const line = history.split('\n').map((text) => text.trim().split(/\s+/)).find(([id]) => Number(id) === saved.timeline);
  const switchedAt = line?.[1] === undefined ? undefined : parseLsn(line[1]);
  if (switchedAt === undefined || switchedAt < saved.applied) {
    throw gap(`the source's timeline ${timeline} left timeline ${saved.timeline} at ${switchedAt === undefined ? 'an unknown place' : formatLsn(switchedAt)}, but ${formatLsn(saved.applied)} was applied`);
  }
}

/** True when the publication sends the table's changes. */
export async function isPublished(client: ClientBase, publicationName: string, table: QualifiedName): Promise<boolean> {
  const { rows } = await client.query('SELECT 1 FROM pg_publication_tables WHERE pubname = $1 AND schemaname = $2 AND tablename = $3', [publicationName, table.schema, table.name]);
  return rows.length > 0;
}

const PUBLISH_LOCK_MS = 1000;

/**
 * Idempotent. A server that may lose changes of a table which joins under writers (`safePublication`) gets it while nobody writes it: the lock
 * waits for the writers that are there, gives up after a second so that those behind it are not held for longer, and tries again.
 */
export async function publishTable(client: ClientBase, publicationName: string, table: QualifiedName, sleep: () => Promise<void>): Promise<void> {
  const add = `ALTER PUBLICATION ${quoteName(publicationName)} ADD TABLE ${quoteTable(table)}`;
  const isSafe = serverCapabilities(await serverVersion(client)).safePublication;
  for (;;) {
    try {
      if (isSafe) await client.query(add);
      else if (!(await isPublished(client, publicationName, table))) await client.query(`BEGIN; SET LOCAL lock_timeout = ${PUBLISH_LOCK_MS}; LOCK TABLE ${quoteTable(table)} IN SHARE ROW EXCLUSIVE MODE; ${add}; COMMIT`);
      return;
    } catch (error) {
      if (!isSafe) await client.query('ROLLBACK');
      if (sqlstateOf(error) === '42710') return;
      if (isSafe || sqlstateOf(error) !== '55P03') throw error;
      await sleep();
    }
  }
}

export async function unpublishTable(client: ClientBase, publicationName: string, table: QualifiedName): Promise<void> {
  await client.query(`ALTER PUBLICATION ${quoteName(publicationName)} DROP TABLE ${quoteTable(table)}`).catch((error: unknown) => {
    // Not a member, table gone, publication gone.
    if (!['42704', '42P01'].includes(sqlstateOf(error) ?? '')) throw error;
  });
}

const writerLocks = "('RowExclusiveLock','ShareUpdateExclusiveLock','ShareRowExclusiveLock','ExclusiveLock','AccessExclusiveLock')";

/**
 * Waits for every transaction that may have written the tables before now, prepared ones included. One that begins to write
 * later writes after the publication's change in the WAL.
 */
export async function waitForWriters(client: ClientBase, oids: readonly number[], sleep: () => Promise<void>): Promise<void> {
  const holders = async (): Promise<Set<string>> => {
    const { rows } = await client.query<{ holder: string }>(
      `SELECT DISTINCT virtualtransaction || '/' || coalesce(pid, 0) AS holder FROM pg_locks
        WHERE locktype = 'relation' AND relation = ANY ($1::oid[]) AND granted AND mode IN ${writerLocks}
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND pid IS DISTINCT FROM pg_backend_pid()`, [`{${oids.join(',')}}`]);
    return new Set(rows.map((row) => row.holder));
  };
  let waiting = await holders();
  while (waiting.size > 0) {
    await sleep();
    const now = await holders();
    waiting = new Set([...waiting].filter((holder) => now.has(holder)));
  }
}
