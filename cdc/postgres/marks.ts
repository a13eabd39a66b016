/**
 * Marks: rows of a table that local has before the stream brings them, because a transaction of a client wrote them there itself
 * (`dual_write_mode 'two_phase'`). The tables are part of the bookkeeping; what follows says who may write them, and when.
 *
 * Whoever marks rows holds the table's lock shared until its transaction on local has ended, which is after the source has committed; whoever applies changes, reads rows
 * again or ends the marking of a table takes it exclusively. So an applier never works between a row and its mark, and finds the mark of every
 * transaction that has committed on the source.
 */
import type { ClientBase } from 'pg';
import { installSupport } from './install-support.ts';

const LOCK_CLASS = 4851140;

/** `$1`: the table's id. One lock per table; two tables may share one by chance, which costs a wait. */
export const lockMarksSql = `SELECT pg_catalog.pg_advisory_xact_lock(${LOCK_CLASS}, pg_catalog.hashtext($1))`;

const marksDdl = `
CREATE SCHEMA IF NOT EXISTS causeway;
CREATE OR REPLACE FUNCTION causeway.mark_rows(marked text, keys text[], by_xid bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(${LOCK_CLASS}, hashtext(marked));
  PERFORM set_config('causeway.applier', f.token, true) FROM causeway.marking m JOIN causeway.fence f ON f.kind = 'guard' AND f.schema_name = m.schema_name AND f.table_name = m.table_name
    WHERE m.table_id = marked;
  IF NOT FOUND THEN RAISE EXCEPTION 'rows of this table are not marked at present' USING ERRCODE = '55000'; END IF;
  INSERT INTO causeway.mark (table_id, key_json, xid) SELECT marked, k, by_xid FROM unnest(keys) k
    ON CONFLICT (table_id, key_json) DO UPDATE SET xid = excluded.xid;
END $function$;`;

/** Idempotent; after `installBookkeeping` and `installFenceSupport`. */
export function installMarks(client: ClientBase): Promise<void> {
  return installSupport(client, LOCK_CLASS, 'causeway.mark_rows(text, text[], bigint)', marksDdl);
}

/** From here on rows of the table may be marked. Its guard has to stand: its token is what lets them pass. Idempotent. */
export async function beginMarking(client: ClientBase, tableId: string, local: { readonly schema: string; readonly name: string }): Promise<void> {
  await client.query('INSERT INTO causeway.marking (table_id, schema_name, table_name) VALUES ($1, $2, $3) ON CONFLICT (table_id) DO NOTHING', [tableId, local.schema, local.name]);
}

/** Names a transaction of ours in `causeway.applied`, so that the capture of the other direction drops it; the row goes again in the same transaction. */
export const tagMarkedSql = "INSERT INTO causeway.applied (stream, lsn, token) VALUES ('two_phase/' || pg_backend_pid(), '0/0', 0)";
export const untagMarkedSql = "DELETE FROM causeway.applied WHERE stream = 'two_phase/' || pg_backend_pid()";
