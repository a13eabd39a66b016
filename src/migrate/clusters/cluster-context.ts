/** What the parts that move tables between clusters share, and what they keep in a table's `details`. */
import type { Catalog } from '../../../catalog/catalog.ts';
import type { TableRecord } from '../../../catalog/records.ts';
import type { LoadProgress } from '../../../cdc/cassandra/load/load-progress.ts';
import type { TableName } from '../../../cdc/cassandra/table.ts';
import type { Turnstile } from '../../../cdc/flow/turnstile.ts';
import type { CqlModeName } from '../../../config/cql/cql-settings.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { ClusterConnections } from './cluster-connections.ts';
import type { DecidedMove, ProxyPort } from './proxy-port.ts';

export interface ClusterContext {
  readonly runtime: Runtime;
  readonly catalog: Catalog;
  readonly proxy: ProxyPort;
  readonly connections: ClusterConnections;
  /** Places for loads that run at once. */
  readonly loads: Turnstile;
  /** Of loads of this process, by table id: while they run, and their end. */
  readonly progress: Map<string, LoadProgress>;
  readonly retry: { readonly max: number; readonly initialMs: number; readonly maxMs: number };
  /** CUTOVER, ROLLBACK and COMPLETE without TIMEOUT. */
  readonly switchTimeoutMs: number;
  /** Proxies that drivers are told of, and that `proxy` does not reach. */
  readonly strangers: number;
}

export interface ClusterDetails {
  readonly startedAt?: string;
  /** Microseconds: since then every write has gone to both clusters, or stands in the proxy's log. Undefined until then. */
  readonly dualSince?: string;
  readonly loadElapsedMs?: number;
  readonly loadBytes?: number;
  /** Of counters: the load has begun to add what the target lacks. */
  readonly addsCounters?: boolean;
  /** A repair has written later times on the target than the source has. */
  readonly repaired?: boolean;
  /** Writes have gone past the target: only a new load makes it whole. */
  readonly needsResync?: boolean;
  /** A change of authority that has begun: the proxy's mode tells whether it was made; of several proxies, `decided`, that it is to be made at all of them. */
  readonly switching?: { readonly to: CqlModeName; readonly from: CqlModeName; readonly startedMs: number; readonly decided?: DecidedMove };
  /** ROLLBACK … PRESERVE LOCAL DATA: both clusters are written afterwards, too. */
  readonly preserves?: boolean;
  readonly lastSwitch?: { readonly direction: 'cutover' | 'rollback'; readonly at: string; readonly totalMs: number; readonly steps: Readonly<Record<string, number>> };
}

export function clusterDetails(record: TableRecord): ClusterDetails {
  return record.details as ClusterDetails;
}

/** Over what is there now: whoever has read the record earlier does not undo what was noted since. */
export async function noteDetails({ catalog }: Pick<ClusterContext, 'catalog'>, tableId: string, patch: { readonly [Name in keyof ClusterDetails]: ClusterDetails[Name] | undefined }): Promise<void> {
  const record = await catalog.table(tableId);
  if (!record) return;
  await catalog.changeTable(tableId, { details: patched(record, patch) });
}

export function patched(record: TableRecord, patch: { readonly [Name in keyof ClusterDetails]: ClusterDetails[Name] | undefined }): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries({ ...record.details, ...patch }).filter(([, value]) => value !== undefined));
}

/** As the proxy, the ledger and people call it. */
export function clusterName({ source }: Pick<TableRecord, 'source'>): string {
  return `${source.schema}.${source.name}`;
}

export function tableOf({ source }: Pick<TableRecord, 'source'>): TableName {
  return { keyspace: source.schema, name: source.name };
}

/** What the proxy does with a table that is loaded, until it is cut over. */
export function dualMode(record: TableRecord): 'DualAsync' | 'DualSync' {
  return record.options['dualWriteMode'] === 'sync' ? 'DualSync' : 'DualAsync';
}

/** Drivers' work stops here, and a state's move says who has the authority from now on. No worker routes by these tables: the epoch stays. */
export const withoutEpoch = { together: { newEpoch: false } } as const;
