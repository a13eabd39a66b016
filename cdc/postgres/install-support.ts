/** Schema objects of our own around one function, by whose text an older installation is known. */
import type { ClientBase } from 'pg';
import { readJson } from './read-json.ts';

/** Idempotent; safe when two processes run it at once. `signature`: of the function, as `to_regprocedure` takes it; `ddl` holds its text. */
export async function installSupport(client: ClientBase, lock: number, signature: string, ddl: string): Promise<void> {
  await client.query('SELECT pg_advisory_lock($1)', [lock]);
  try {
    const present = await readJson<{ source: string }>(client, 'SELECT p.prosrc AS source FROM pg_proc p WHERE p.oid = to_regprocedure($1)', [signature]);
    if (present[0] === undefined || !ddl.includes(present[0].source)) await client.query(ddl);
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [lock]);
  }
}
