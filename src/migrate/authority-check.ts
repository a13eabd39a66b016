/**
 * Is the catalog the newest record of who the authority is? (RULES 14) Each change of authority has left its epoch on local (with the
 * table) and in the source's fence: a catalog that is older than either was restored from a backup, or belongs to another
 * installation, and would send writes to the wrong side.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import { connectServer } from '../../cdc/postgres/connect.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';

export interface AuthorityRecords {
  /** Largest epoch of `causeway.authority` on local; undefined when there is none. */
  readonly local: { readonly epoch: number; readonly tableId: string; readonly side: string } | undefined;
  /** Largest epoch of a fence on a source. */
  readonly fence: { readonly epoch: number; readonly table: string } | undefined;
}

/** A source and the fences that stand on it. */
export interface FencedSource {
  readonly address: ServerAddress;
  readonly readFences: (signal: AbortSignal) => Promise<readonly StandingFence[]>;
}

export interface StandingFence {
  readonly epoch: number;
  readonly table: string;
}

/** Throws MIG091 when the catalog's epoch is below what the databases say. A database that cannot be reached is passed over, with a warning. */
export async function checkAuthority(runtime: Runtime, catalog: Catalog, sources: readonly FencedSource[], local: ServerAddress): Promise<void> {
  const fences: StandingFence[] = [];
  for (const source of sources) fences.push(...(await attempt(runtime, source.address, () => source.readFences(runtime.signal))) ?? []);
  const found = { local: await attempt(runtime, local, () => readLocal(runtime, local)), fence: fences.sort((a, b) => b.epoch - a.epoch)[0] };
  const refusal = compareAuthority(await catalog.epoch(), found);
  if (refusal) throw refusal;
}

/** Pure. */
export function compareAuthority(catalogEpoch: number, { local, fence }: AuthorityRecords): MigrationError | undefined {
  const newer: string[] = [];
  if (local && local.epoch > catalogEpoch) newer.push(`local records epoch ${local.epoch} (table ${local.tableId}: the ${local.side} side is the authority)`);
  if (fence && fence.epoch > catalogEpoch) newer.push(`the source's fence on ${fence.table} is of epoch ${fence.epoch}`);
  if (newer.length === 0) return undefined;
  return new MigrationError('MIG091', 'the catalog is older than the databases that it speaks of', {
    detail: `The catalog is at epoch ${catalogEpoch}, but ${newer.join(', and ')}. It was restored from a backup, or belongs to another installation; it would send writes to the wrong side.`,
    hint: 'Put the newest catalog.db back. If it is lost: the latest row of causeway.authority on local says for each table which side holds the truth; compare the sides, make them equal, then delete the rows of causeway.authority and causeway.fence.',
  });
}

async function attempt<T>(runtime: Runtime, address: ServerAddress, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    runtime.log.warn('a record of authority could not be read', { host: address.host, port: address.port, error: String(error) });
    return undefined;
  }
}

async function readLocal(runtime: Runtime, local: ServerAddress): Promise<AuthorityRecords['local']> {
  const client = await connectServer(local, { applicationName: 'causeway control', signal: runtime.signal });
  try {
    const known = await client.query<{ known: boolean }>("SELECT to_regclass('causeway.authority') IS NOT NULL AS known");
    if (known.rows[0]?.known !== true) return undefined;
    const { rows } = await client.query<{ epoch: string; table_id: string; side: string }>('SELECT epoch::text, table_id, side FROM causeway.authority ORDER BY epoch DESC LIMIT 1');
    const row = rows[0];
    return row === undefined ? undefined : { epoch: Number(row.epoch), tableId: row.table_id, side: row.side };
  } finally {
    await client.end();
  }
}
