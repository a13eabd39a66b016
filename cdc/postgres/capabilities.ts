/**
 * What each PostgreSQL version has or lacks, in one place: SQL that differs by version asks here and nowhere else.
 * Versions are `server_version_num` (150004 = 15.4). The oldest that is served is 10.
 */
export interface Capabilities {
  readonly version: number;
  /** `pg_attribute.attgenerated`. */
  readonly generatedColumns: boolean;
  /** `GENERATED … VIRTUAL`, not-null constraints in `pg_constraint`, `NOT ENFORCED`, `WITHOUT OVERLAPS`. */
  readonly virtualColumns: boolean;
  /** Keys and indexes on partitioned tables, `pg_constraint.conparentid`, INCLUDE columns, default partitions, `jit`. */
  readonly partitionedKeys: boolean;
  /** Foreign keys that point at a partitioned table; non-deterministic collations. */
  readonly partitionedParents: boolean;
  /** `BEFORE … FOR EACH ROW` triggers and publications on partitioned tables. */
  readonly partitionedPublication: boolean;
  /** `pg_logical_emit_message` comes out of pgoutput. */
  readonly logicalMessages: boolean;
  /** `pg_attribute.attcompression`; `max_slot_wal_keep_size` is one older. */
  readonly columnCompression: boolean;
  /** `UNIQUE NULLS NOT DISTINCT`, ICU as the database's provider, `ON DELETE SET NULL (columns)`, row filters in publications. */
  readonly nullsNotDistinct: boolean;
  /** GRANT SET ON PARAMETER session_replication_role. */
  readonly parameterGrants: boolean;
  /** Float text is the shortest exact one; below, `extra_float_digits = 3` prints 17 digits. */
  readonly exactFloatText: boolean;
  /** Multirange types. */
  readonly multiranges: boolean;
  /** Tables may have been made WITH OIDS. */
  readonly oidTables: boolean;
}

export const oldestVersion = 100000;

export function serverCapabilities(version: number): Capabilities {
  return {
    version,
    generatedColumns: version >= 120000,
    virtualColumns: version >= 180000,
    partitionedKeys: version >= 110000,
    partitionedParents: version >= 120000,
    partitionedPublication: version >= 130000,
    logicalMessages: version >= 140000,
    columnCompression: version >= 140000,
    nullsNotDistinct: version >= 150000,
    parameterGrants: version >= 150000,
    exactFloatText: version >= 120000,
    multiranges: version >= 140000,
    oidTables: version < 120000,
  };
}

const rows: readonly { readonly feature: string; readonly from: number; readonly without: string }[] = [
  { feature: 'Keys and indexes on partitioned tables', from: 11, without: 'A partitioned table counts as keyless: it needs REPLICA IDENTITY FULL on its partitions' },
  { feature: 'Generated columns', from: 12, without: 'None to carry' },
  { feature: 'Foreign keys to partitioned tables', from: 12, without: 'Not created on such a local server; the preflight says so' },
  { feature: 'Shortest exact float text', from: 12, without: 'Floats are compared by their binary form; floats inside composite types are not compared exactly' },
  { feature: 'Publication of partitioned tables', from: 13, without: 'Each partition joins the publication by itself' },
  { feature: 'Logical messages in the stream', from: 14, without: 'Markers and tags are table rows (they are on every version)' },
  { feature: 'Column compression methods', from: 14, without: 'The column takes the default method' },
  { feature: 'UNIQUE NULLS NOT DISTINCT', from: 15, without: 'A local server without it refuses such a table' },
  { feature: 'GRANT SET ON PARAMETER', from: 15, without: 'session_replication_role needs a superuser' },
  { feature: 'Virtual generated columns', from: 18, without: 'Created as STORED on an older local server' },
];

/** The Markdown table of docs/preflight.md; a test holds the page to it. */
export function capabilityTable(): string {
  const lines = rows.map((row) => `| ${row.feature} | ${row.from} | ${row.without} |`);
  return ['| What | From PostgreSQL | On older ones |', '| --- | --- | --- |', ...lines].join('\n');
}
