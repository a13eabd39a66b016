/**
 * Fills a source database with the sample order system: 16 tables in three groups that foreign keys tie together, about 1,000,000 rows
 * at scale 1. All of it is one transaction, so that a database that has the tables has all of their rows.
 */
import * as fs from 'node:fs';
import pg from 'pg';

export interface SampleAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** A superuser: databases and roles are made. */
  readonly user: string;
  readonly password?: string;
}

export interface SampleOptions {
  /** Factor to the row counts; 1 = 360,000 rows in `order_items`. */
  readonly scale?: number;
}

/** Tables that foreign keys and triggers tie together; each group moves as one. Partitions are not listed. */
export const sampleGroups = {
  orders: ['categories', 'products', 'product_documents', 'inventory', 'customers', 'addresses', 'orders', 'order_items', 'payments', 'order_audit', 'order_write_log'],
  accounts: ['accounts', 'transfers', 'account_write_log'],
  events: ['events', 'event_write_log'],
} as const;

export type SampleGroup = keyof typeof sampleGroups;

/** Makes database, roles and rows. Returns `loaded: false` when they are there already. */
export async function loadSampleDatabase(address: SampleAddress, { scale = 1 }: SampleOptions = {}): Promise<{ loaded: boolean }> {
  await withClient({ ...address, database: 'postgres' }, async (client) => {
    await createSampleRoles(client);
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [address.database]);
    if (known.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(address.database)}`);
  });
  return withClient(address, async (client) => {
    const known = await client.query<{ oid: string | null }>(`SELECT to_regclass('public.order_items')::oid AS oid`);
    if (known.rows[0]?.oid) return { loaded: false };
    await client.query('BEGIN');
    await client.query(`SET LOCAL "sample.scale" = ${Number(scale)}; SET LOCAL search_path = public; SET LOCAL maintenance_work_mem = '128MB'; SET LOCAL work_mem = '64MB'`);
    for (const part of ['schema', 'rows', 'constraints']) await client.query(fs.readFileSync(new URL(`./${part}.sql`, import.meta.url), 'utf8'));
    await client.query('COMMIT');
    await client.query('VACUUM ANALYZE');
    return { loaded: true };
  });
}

/** `app` reads and writes rows, `operator` reads. Both sides need them, because sessions log in under their own names. Idempotent. */
export async function createSampleRoles(client: pg.ClientBase): Promise<void> {
  for (const role of ['app', 'operator']) {
    const known = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    if (known.rowCount === 0) await client.query(`CREATE ROLE ${pg.escapeIdentifier(role)} LOGIN`);
  }
}

async function withClient<Result>(address: SampleAddress, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ ...address, application_name: 'causeway sample' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
