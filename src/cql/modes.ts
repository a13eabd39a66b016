/** Modes of a table, and what each makes of a statement. Names of the two documents' configurations are all understood. */
export const SOURCE_CLUSTER = 0;
export const TARGET_CLUSTER = 1;
/** Index of a cluster; its bit in an intent's `owes` is `1 << index`. */
export type ClusterIndex = typeof SOURCE_CLUSTER | typeof TARGET_CLUSTER;
export const clusterNames = ['source', 'target'] as const;

export function otherCluster(cluster: ClusterIndex): ClusterIndex {
  return cluster === SOURCE_CLUSTER ? TARGET_CLUSTER : SOURCE_CLUSTER;
}

export type CqlMode = 'SourceOnly' | 'DualAsync' | 'DualSync' | 'ShadowPrimary' | 'ShadowSync' | 'TargetOnly';

/** What a statement does in a mode: settled when its frame arrives, and kept until it has ended. */
export interface Plan {
  readonly mode: CqlMode;
  /** Answers reads, is written first, and is the one whose answer the client gets. */
  readonly primary: ClusterIndex;
  /** Is written as well. */
  readonly shadow: ClusterIndex | undefined;
  /** The client is answered when both have. */
  readonly isSync: boolean;
}

export const plans: Readonly<Record<CqlMode, Plan>> = {
  SourceOnly: { mode: 'SourceOnly', primary: SOURCE_CLUSTER, shadow: undefined, isSync: false },
  DualAsync: { mode: 'DualAsync', primary: SOURCE_CLUSTER, shadow: TARGET_CLUSTER, isSync: false },
  DualSync: { mode: 'DualSync', primary: SOURCE_CLUSTER, shadow: TARGET_CLUSTER, isSync: true },
  ShadowPrimary: { mode: 'ShadowPrimary', primary: TARGET_CLUSTER, shadow: SOURCE_CLUSTER, isSync: false },
  ShadowSync: { mode: 'ShadowSync', primary: TARGET_CLUSTER, shadow: SOURCE_CLUSTER, isSync: true },
  TargetOnly: { mode: 'TargetOnly', primary: TARGET_CLUSTER, shadow: undefined, isSync: false },
};

const spellings: Readonly<Record<string, CqlMode>> = {
  sourceonly: 'SourceOnly', primaryonly: 'SourceOnly', dualasync: 'DualAsync', dualwriteasync: 'DualAsync', dualsync: 'DualSync', dualwritesync: 'DualSync',
  shadowprimary: 'ShadowPrimary', shadowsync: 'ShadowSync', targetonly: 'TargetOnly',
};

/** `DualWriteAsync`, `dual_async`, `DUAL-ASYNC` … ; undefined for what is no mode. */
export function readMode(text: string): CqlMode | undefined {
  return spellings[text.toLowerCase().replace(/[^a-z]/g, '')];
}

/** An immutable snapshot, replaced whole. Keys are names as the server stores them: folded, unless they were quoted. */
export interface ModeTable {
  readonly global: CqlMode;
  readonly keyspaces: ReadonlyMap<string, CqlMode>;
  /** By `keyspace.table`. */
  readonly tables: ReadonlyMap<string, CqlMode>;
}

export function everywhere(mode: CqlMode): ModeTable {
  return { global: mode, keyspaces: new Map(), tables: new Map() };
}

/** The plan of a table; of everything that names none, the global one. */
export function planOf(modes: ModeTable, keyspace: string, table: string): Plan {
  if (modes.tables.size > 0 && table !== '') {
    const mode = modes.tables.get(`${keyspace}.${table}`);
    if (mode) return plans[mode];
  }
  return plans[(modes.keyspaces.size > 0 ? modes.keyspaces.get(keyspace) : undefined) ?? modes.global];
}

/** The clusters that some statement may go to. */
export function clustersInUse(modes: ModeTable): ReadonlySet<ClusterIndex> {
  const used = new Set<ClusterIndex>();
  for (const mode of [modes.global, ...modes.keyspaces.values(), ...modes.tables.values()]) {
    const { primary, shadow } = plans[mode];
    used.add(primary);
    if (shadow !== undefined) used.add(shadow);
  }
  return used;
}
