/**
 * The schema `causeway` that both databases carry: what must commit together with the rows it speaks of (DESIGN §5 "Exactly once").
 *
 * Rows that move a position or record a chunk carry the fencing token of the control process that wrote them; every
 * update is conditional on it, in the same transaction (RULES 14). A control process that takes over raises the token of
 * every row first, which waits for the transactions of the one before it to end.
 */
import type { ClientBase } from 'pg';

export const bookkeepingSchema = 'causeway';

/**
 * - `applied`: one row per stream into this database: everything up to `lsn` of that stream's shared tables has been applied
 *   here. Its UPDATE is the first change of each applier transaction, and by that also the tag that makes the capture of
 *   the other direction drop the transaction (RULES 11). The table belongs to every publication. `spool_id` and `spool_end` mirror
 *   the spool's identity and fsynced end, `system_id` and `timeline` the captured cluster (RULES 7). A table that applies by
 *   itself has a row `<stream>/<table id>`, which only tags its transactions.
 * - `table_applied`: the same for a table that applies by itself. `mode` is `private` or `shared` (RULES 4).
 * - `marker`: tokens written into this database's change stream. The table belongs to every publication.
 * - `chunk`: one row per finished chunk of a load, written with the chunk's rows; number 0 is the load itself (its phase, as JSON,
 *   in `lower_bound`). `skipped` counts rows that could not be written, `errors` names the first of them (JSON).
 * - `reread`: rows to be read from the source again (RULES 1).
 * - `writeback`: rows of a conflict that this side has won, to be written to the other side (RULES 25). `local_row` is what stands here,
 *   `remote_row` what lost: JSON, column name → text.
 * - `marking`: tables whose rows clients' transactions may mark; `mark`: the marked rows, each with the transaction of the source that marked it last
 *   (`marks.ts`).
 * - `authority`: one row per change of authority of a table, and the epoch of it (RULES 14).
 * - `ddl_log`: what the event trigger saw, where one is allowed (RULES 6). The table belongs to every publication.
 */
export const bookkeepingDdl = `
CREATE SCHEMA IF NOT EXISTS causeway;
CREATE TABLE IF NOT EXISTS causeway.applied (
  stream text PRIMARY KEY, lsn pg_lsn NOT NULL, token bigint NOT NULL, spool_id text, spool_end pg_lsn,
  system_id text, timeline integer, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS causeway.table_applied (
  stream text NOT NULL, table_id text NOT NULL, mode text NOT NULL CHECK (mode IN ('private', 'shared')),
  lsn pg_lsn NOT NULL, spool_offset bigint NOT NULL DEFAULT 0, token bigint NOT NULL, updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (stream, table_id));
CREATE TABLE IF NOT EXISTS causeway.marker (name text PRIMARY KEY, token text NOT NULL, written_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS causeway.chunk (
  table_id text NOT NULL, chunk_no integer NOT NULL, definition_hash text NOT NULL, lower_bound text, upper_bound text,
  rows bigint NOT NULL, bytes bigint NOT NULL, token bigint NOT NULL, finished_at timestamptz NOT NULL DEFAULT now(),
  skipped bigint NOT NULL DEFAULT 0, errors text, PRIMARY KEY (table_id, chunk_no));
CREATE TABLE IF NOT EXISTS causeway.reread (
  table_id text NOT NULL, key_json text NOT NULL, lsn pg_lsn NOT NULL, PRIMARY KEY (table_id, key_json));
CREATE TABLE IF NOT EXISTS causeway.writeback (
  table_id text NOT NULL, key_json text NOT NULL, local_row text NOT NULL, remote_row text NOT NULL, noted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_id, key_json));
CREATE TABLE IF NOT EXISTS causeway.marking (table_id text PRIMARY KEY, schema_name text NOT NULL, table_name text NOT NULL);
CREATE TABLE IF NOT EXISTS causeway.mark (table_id text NOT NULL, key_json text NOT NULL, xid bigint NOT NULL, PRIMARY KEY (table_id, key_json));
CREATE INDEX IF NOT EXISTS mark_xid ON causeway.mark (table_id, xid);
CREATE TABLE IF NOT EXISTS causeway.authority (
  table_id text NOT NULL, epoch bigint NOT NULL, side text NOT NULL CHECK (side IN ('source', 'local')), token bigint NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (table_id, epoch));
CREATE TABLE IF NOT EXISTS causeway.ddl_log (
  id bigserial PRIMARY KEY, tag text NOT NULL, object_schema text, object_name text, command text, logged_at timestamptz NOT NULL DEFAULT now());
`;

/** Idempotent; safe when two processes run it at once. */
export async function installBookkeeping(client: ClientBase): Promise<void> {
  await client.query('SELECT pg_advisory_lock(4851137)');
  try {
    await client.query(bookkeepingDdl);
  } finally {
    await client.query('SELECT pg_advisory_unlock(4851137)');
  }
}
