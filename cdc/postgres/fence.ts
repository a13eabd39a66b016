/**
 * Fence and guard: triggers that refuse every write but the applier's (RULES 10, 25).
 *
 * The fence stands on the side that has stopped being the authority (the source after cutover); the guard on the side that is not
 * the authority yet (local before it). Both are the same mechanism: ALWAYS triggers, which `session_replication_role`
 * does not switch off. Statement triggers meet INSERT, UPDATE, DELETE, TRUNCATE, COPY, MERGE and foreign-key actions on the table and on each
 * partition, and check the tag. Row triggers meet what fires no statement trigger of this table: a write through an inheritance
 * parent or a partition root that is not fenced itself, and native logical replication; their WHEN clause lets any tagged transaction by at the
 * cost of one setting lookup per row.
 *
 * A fence that is taken down leaves its triggers disabled: switching them off and on again takes SHARE ROW EXCLUSIVE, which readers do not
 * feel, where dropping them would take ACCESS EXCLUSIVE. `dropFenceTriggers` removes them for good, outside any pause.
 *
 * A transaction is tagged by `causeway.applier` = the current token of the fence (`applierTagSql`, or `applierSetting` as a connection option).
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { installSupport } from './install-support.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';

export type FenceKind = 'fence' | 'guard';

export interface FenceOptions {
  readonly epoch: number;
  /** Fencing token of the control process; writes that carry it pass. */
  readonly token: string;
}

export interface FenceRecord extends QualifiedName {
  readonly kind: FenceKind;
  readonly epoch: number;
  readonly token: string;
  /** False when a partition was added, or a trigger dropped, behind the fence's back. */
  readonly complete: boolean;
}

export const applierSetting = 'causeway.applier';

const supportDdl = `
CREATE SCHEMA IF NOT EXISTS causeway;
CREATE TABLE IF NOT EXISTS causeway.fence (
  kind text NOT NULL CHECK (kind IN ('fence', 'guard')), schema_name text NOT NULL, table_name text NOT NULL, epoch bigint NOT NULL, token text NOT NULL,
  installed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (kind, schema_name, table_name));
CREATE OR REPLACE FUNCTION causeway.refuse_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
  tag text := current_setting('causeway.applier', true);
  standing bigint := (SELECT f.epoch FROM causeway.fence f WHERE f.kind = TG_ARGV[0] AND f.schema_name = TG_ARGV[1] AND f.table_name = TG_ARGV[2]);
BEGIN
  IF tag <> '' AND EXISTS (SELECT 1 FROM causeway.fence f WHERE f.kind = TG_ARGV[0] AND f.schema_name = TG_ARGV[1] AND f.table_name = TG_ARGV[2] AND f.token = tag) THEN
    IF TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'MIG082: % on %.% is refused by the Causeway gateway (epoch %)', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, coalesce(standing::text, 'unknown')
    USING ERRCODE = '55006',
      DETAIL = CASE WHEN TG_ARGV[0] = 'fence' THEN 'The table has been cut over: the other database is the authority for its rows.'
                    ELSE 'The table is being migrated into this database: only the change stream writes it until cutover.' END,
      HINT = 'Connect through the gateway, which sends the statement to the right database.';
END $function$;
REVOKE ALL ON causeway.fence FROM PUBLIC;
`;

/** Idempotent; outside the pause, so that `installFence` itself makes nothing but triggers. */
export function installFenceSupport(client: ClientBase): Promise<void> {
  return installSupport(client, 4851138, 'causeway.refuse_write()', supportDdl);
}

/** For the first statement of a transaction: tags it, and nothing after it. */
export function applierTagSql(token: string): string {
  return `SELECT set_config('${applierSetting}', ${quoteLiteral(token)}, true)`;
}

/**
 * Runs in the caller's transaction, after `installFenceSupport`. Takes SHARE ROW EXCLUSIVE on every table, which waits for open and prepared
 * transactions that wrote it; the caller sets `lock_timeout` (55P03 when over). Installing again replaces epoch and token.
 */
export async function installFence(client: ClientBase, tables: readonly QualifiedName[], options: FenceOptions): Promise<void> {
  await install(client, 'fence', tables, options);
}

/** The same on local, before `LOCAL_ONLY`. */
export async function installGuard(client: ClientBase, tables: readonly QualifiedName[], options: FenceOptions): Promise<void> {
  await install(client, 'guard', tables, options);
}

async function install(client: ClientBase, kind: FenceKind, tables: readonly QualifiedName[], options: FenceOptions): Promise<void> {
  const sorted = sortTables(tables);
  if (sorted.length === 0) return;
  // One LOCK statement in one order: two installers never deadlock. Partitions are locked with their root.
  await client.query(`LOCK TABLE ${sorted.map(quoteTable).join(', ')} IN SHARE ROW EXCLUSIVE MODE`);
  const members = await readMembers(client, kind, sorted);
  const rows = sorted.map((table) => `(${[kind, table.schema, table.name].map(quoteLiteral).join(', ')}, ${options.epoch}, ${quoteLiteral(options.token)})`);
  await client.query([
    `INSERT INTO causeway.fence (kind, schema_name, table_name, epoch, token) VALUES ${rows.join(', ')}
      ON CONFLICT (kind, schema_name, table_name) DO UPDATE SET epoch = excluded.epoch, token = excluded.token, installed_at = now()`,
    ...members.flatMap((member) => triggerSql(kind, member)),
  ].join(';\n'));
}

interface Member extends QualifiedName {
  /** Of the table that was named: its name is in the triggers' arguments. */
  readonly root: QualifiedName;
  readonly isLeaf: boolean;
  /** Triggers of this kind that are there, switched on or off. */
  readonly triggers: readonly string[];
  /** Those of them that are switched on. */
  readonly standing: readonly string[];
}

/** The tables and every partition of theirs. */
function readMembers(client: ClientBase, kind: FenceKind, tables: readonly QualifiedName[]): Promise<Member[]> {
  return readJson<Member>(client, `
    WITH RECURSIVE named(root, ord) AS (SELECT to_regclass(x)::oid, ord FROM unnest($1::text[]) WITH ORDINALITY u(x, ord)),
    tree(root, ord, oid) AS (
      SELECT root, ord, root FROM named WHERE root IS NOT NULL
      UNION ALL SELECT t.root, t.ord, h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
    SELECT n.nspname AS schema, c.relname AS name, c.relkind <> 'p' AS "isLeaf", json_build_object('schema', rn.nspname, 'name', r.relname) AS root,
           coalesce((SELECT json_agg(g.tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = ANY ($2::text[])), '[]'::json) AS triggers,
           coalesce((SELECT json_agg(g.tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = ANY ($2::text[]) AND g.tgenabled <> 'D'), '[]'::json) AS standing
      FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_class r ON r.oid = t.root JOIN pg_namespace rn ON rn.oid = r.relnamespace
     WHERE c.relkind IN ('r', 'p') ORDER BY t.ord, 1, 2`, [tables.map(quoteTable), Object.values(triggerNames(kind))]);
}

// First in the alphabet of what people write, so that no other BEFORE trigger runs in vain.
const triggerNames = (kind: FenceKind): { write: string; truncate: string; row: string } =>
  ({ write: `!causeway_${kind}_write`, truncate: `!causeway_${kind}_truncate`, row: `!causeway_${kind}_row` });

function triggerSql(kind: FenceKind, member: Member): string[] {
  const names = triggerNames(kind);
  const table = quoteTable(member);
  const call = `EXECUTE PROCEDURE causeway.refuse_write(${[kind, member.root.schema, member.root.name].map(quoteLiteral).join(', ')})`;
  const make = (name: string, events: string, how: string): string[] => [
    ...(member.triggers.includes(name) ? [] : [`CREATE TRIGGER ${quoteIdent(name)} BEFORE ${events} ON ${table} ${how} ${call}`]),
    `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${quoteIdent(name)}`,
  ];
  return [
    ...make(names.write, 'INSERT OR UPDATE OR DELETE', 'FOR EACH STATEMENT'),
    ...make(names.truncate, 'TRUNCATE', 'FOR EACH STATEMENT'),
    ...(member.isLeaf ? make(names.row, 'INSERT OR UPDATE OR DELETE', `FOR EACH ROW WHEN (coalesce(current_setting('${applierSetting}', true), '') = '')`) : []),
  ];
}

export function removeFence(client: ClientBase, tables: readonly QualifiedName[]): Promise<void> {
  return remove(client, 'fence', tables);
}

export function removeGuard(client: ClientBase, tables: readonly QualifiedName[]): Promise<void> {
  return remove(client, 'guard', tables);
}

/**
 * Switched off, not dropped. In the caller's transaction or alone. A table that is gone is passed over; idempotent. Takes no lock on a table whose
 * triggers are off already: an attempt that could not get the lock for its fence must not wait for the same holder to be undone.
 */
async function remove(client: ClientBase, kind: FenceKind, tables: readonly QualifiedName[]): Promise<void> {
  const known = await readJson<{ known: boolean }>(client, "SELECT to_regclass('causeway.fence') IS NOT NULL AS known");
  if (known[0]?.known !== true || tables.length === 0) return;
  const members = await readMembers(client, kind, sortTables(tables));
  const names = tables.map((table) => `(${[table.schema, table.name].map(quoteLiteral).join(', ')})`);
  await client.query([
    ...members.flatMap((member) => member.standing.map((name) => `ALTER TABLE ${quoteTable(member)} DISABLE TRIGGER ${quoteIdent(name)}`)),
    `DELETE FROM causeway.fence WHERE kind = ${quoteLiteral(kind)} AND (schema_name, table_name) IN (${names.join(', ')})`,
  ].join(';\n'));
}

/** What `removeFence` and `removeGuard` left behind; takes ACCESS EXCLUSIVE for a moment on each table. Standing fences stay. */
export async function dropFenceTriggers(client: ClientBase, kind: FenceKind, tables: readonly QualifiedName[]): Promise<void> {
  const standing = await readFences(client);
  const gone = sortTables(tables).filter((table) => !standing.some((fence) => fence.kind === kind && fence.schema === table.schema && fence.name === table.name));
  if (gone.length === 0) return;
  const statements = (await readMembers(client, kind, gone)).flatMap((member) => member.triggers.map((name) => `DROP TRIGGER IF EXISTS ${quoteIdent(name)} ON ${quoteTable(member)}`));
  if (statements.length > 0) await client.query(statements.join(';\n'));
}

/** Tables with triggers of this kind whose fence does not stand; of a partitioned one the table that was named. */
export async function readIdleFences(client: ClientBase, kind: FenceKind): Promise<QualifiedName[]> {
  const known = await readJson<{ known: boolean }>(client, "SELECT to_regclass('causeway.fence') IS NOT NULL AS known");
  if (known[0]?.known !== true) return [];
  return readJson<QualifiedName>(client, `
    WITH RECURSIVE own(oid) AS (SELECT DISTINCT tgrelid FROM pg_trigger WHERE tgname = ANY ($1::text[])),
    up(oid, root) AS (SELECT oid, oid FROM own UNION ALL SELECT u.oid, h.inhparent FROM up u JOIN pg_class c ON c.oid = u.root AND c.relispartition JOIN pg_inherits h ON h.inhrelid = u.root)
    SELECT DISTINCT n.nspname AS schema, c.relname AS name FROM up u JOIN pg_class c ON c.oid = u.root JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE u.root IN (SELECT oid FROM own)
       AND NOT EXISTS (SELECT 1 FROM up x JOIN pg_class p ON p.oid = x.root JOIN pg_namespace pn ON pn.oid = p.relnamespace JOIN causeway.fence f ON f.kind = $2 AND f.schema_name = pn.nspname AND f.table_name = p.relname WHERE x.oid = u.oid)
       AND (NOT c.relispartition OR NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = c.oid AND h.inhparent IN (SELECT oid FROM own)))
     ORDER BY 1, 2`, [Object.values(triggerNames(kind)), kind]);
}

/** What stands in this database, for RULES 14: the gateway refuses a table whose catalog epoch is below a fence's. */
export async function readFences(client: ClientBase): Promise<FenceRecord[]> {
  const known = await readJson<{ known: boolean }>(client, "SELECT to_regclass('causeway.fence') IS NOT NULL AS known");
  if (known[0]?.known !== true) return [];
  return readJson<FenceRecord>(client, `
    SELECT f.kind, f.schema_name AS schema, f.table_name AS name, f.epoch, f.token,
           (WITH RECURSIVE tree(oid) AS (
              SELECT to_regclass(quote_ident(f.schema_name) || '.' || quote_ident(f.table_name))::oid
              UNION ALL SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
            SELECT bool_and(c.oid IS NOT NULL AND (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgenabled = 'A' AND g.tgname LIKE '!causeway\\_' || f.kind || '\\_%')
                   = CASE c.relkind WHEN 'p' THEN 2 ELSE 3 END) FROM tree t LEFT JOIN pg_class c ON c.oid = t.oid) AS complete
      FROM causeway.fence f ORDER BY 1, 2, 3`);
}

function sortTables(tables: readonly QualifiedName[]): QualifiedName[] {
  return [...tables].sort((a, b) => (quoteTable(a) < quoteTable(b) ? -1 : 1));
}
