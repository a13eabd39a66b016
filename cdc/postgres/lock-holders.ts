/**
 * Who keeps a lock from being had: sessions and prepared transactions that hold a table against writers being locked out. For the operator, who has
 * to end one of them.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

interface Holder {
  readonly pid: number | null;
  readonly prepared: string | null;
  readonly user: string | null;
  readonly application: string | null;
  readonly address: string | null;
  readonly openForMs: string | null;
  readonly statement: string | null;
}

const SHOWN = 5;

/** Modes that conflict with SHARE ROW EXCLUSIVE. https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES */
const HOLDERS_SQL = `
  SELECT DISTINCT ON (a.pid, p.gid) a.pid, p.gid AS prepared, coalesce(a.usename, p.owner)::text AS "user", a.application_name AS application, host(a.client_addr) AS address,
         (extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::bigint::text AS "openForMs", left(a.query, 120) AS statement
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    LEFT JOIN (pg_locks x JOIN pg_prepared_xacts p ON x.locktype = 'transactionid' AND x.pid IS NULL AND x.transactionid = p.transaction)
      ON l.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
   WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND ($2 OR l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
     AND l.relation IN (SELECT to_regclass(t)::oid FROM unnest($1::text[]) t) AND l.pid IS DISTINCT FROM pg_backend_pid()
   ORDER BY a.pid, p.gid`;

/** A line for each; undefined when nobody is seen. `withReaders`: who only reads a table is in the way as well. */
export async function describeLockHolders(client: ClientBase, tables: readonly QualifiedName[], withReaders = false): Promise<string | undefined> {
  const names = tables.map(({ schema, name }) => [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.'));
  const { rows } = await client.query<Holder>(HOLDERS_SQL, [names, withReaders]);
  const more = rows.length > SHOWN ? [`and ${rows.length - SHOWN} more`] : [];
  return rows.length === 0 ? undefined : [...rows.slice(0, SHOWN).map(describe), ...more].join('\n');
}

function describe(holder: Holder): string {
  const open = `open for ${(Number(holder.openForMs ?? 0) / 1000).toFixed(1)} s`;
  // Of a MySQL client, whose words for it these are.
  if (holder.prepared?.startsWith('causeway_xa:') === true) return `Branch of XA '${holder.prepared}' of ${holder.user ?? 'unknown'}, ${open}: XA COMMIT or XA ROLLBACK of a MySQL client ends it.`;
  if (holder.prepared !== null) return `Prepared transaction '${holder.prepared}' of ${holder.user ?? 'unknown'}, ${open}: COMMIT PREPARED or ROLLBACK PREPARED ends it.`;
  const application = holder.application === null || holder.application === '' ? '' : ` (${holder.application})`;
  return `Backend ${holder.pid ?? 'unknown'} of ${holder.user ?? 'unknown'}${application} at ${holder.address ?? 'a local socket'}, ${open}: ${holder.statement ?? ''}`;
}
