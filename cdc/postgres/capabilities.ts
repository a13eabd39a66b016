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
  /** TRUNCATE in publications. */
  readonly publishedTruncate: boolean;
  /**
   * A transaction that writes a table while the table joins a publication does not make the server forget that it joined. Before
   * 14.18, 15.13, 16.9 and 17.5 later changes of the table could be left out of the stream; 13 got a part of the cure in 13.21, older ones none.
   */
  readonly safePublication: boolean;
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
  /** Membership in a role may come without the right to SET ROLE to it. */
  readonly membershipOptions: boolean;
  /** The privilege MAINTAIN of tables. */
  readonly maintainPrivilege: boolean;
  /** Multirange types. */
  readonly multiranges: boolean;
  /** Tables may have been made WITH OIDS. */
  readonly oidTables: boolean;
}

export const oldestVersion = 100000;

/** Major version → first minor version in which tables can join a publication under concurrent writers. */
const safeMinors: Readonly<Record<number, number>> = { 14: 18, 15: 13, 16: 9, 17: 5 };

export function serverCapabilities(version: number): Capabilities {
  return {
    version,
    generatedColumns: version >= 120000,
    virtualColumns: version >= 180000,
    partitionedKeys: version >= 110000,
    publishedTruncate: version >= 110000,
    safePublication: version >= 180000 || version % 10000 >= (safeMinors[Math.trunc(version / 10000)] ?? Infinity),
    partitionedParents: version >= 120000,
    partitionedPublication: version >= 130000,
    logicalMessages: version >= 140000,
    columnCompression: version >= 140000,
    nullsNotDistinct: version >= 150000,
    parameterGrants: version >= 150000,
    membershipOptions: version >= 160000,
    maintainPrivilege: version >= 170000,
    exactFloatText: version >= 120000,
    multiranges: version >= 140000,
    oidTables: version < 120000,
  };
}

/** Major versions that the tests start, as source and as local; no other counts as supported. */
export const supportedVersions = [10, 11, 12, 13, 14, 15, 16, 17, 18] as const;

interface Row {
  readonly feature: string;
  /** What the code asks; undefined where the difference needs no question. */
  readonly capability: Exclude<keyof Capabilities, 'version' | 'oidTables' | 'safePublication'> | undefined;
  readonly from: number;
  readonly without: string;
}

const rows: readonly Row[] = [
  { feature: 'Keys and indexes on partitioned tables; default and hash partitions', capability: 'partitionedKeys', from: 11, without: 'A partitioned table counts as keyless: the table and its partitions need REPLICA IDENTITY FULL. An older local refuses tables that have them' },
  { feature: 'TRUNCATE in the change stream', capability: 'publishedTruncate', from: 11, without: 'Not carried, in either direction; the preflight warns. Use DELETE while the table migrates, or RESYNC after a TRUNCATE' },
  { feature: 'Generated columns', capability: 'generatedColumns', from: 12, without: 'An older local refuses tables that have them' },
  { feature: 'Foreign keys to partitioned tables', capability: 'partitionedParents', from: 12, without: 'None to carry; an older local does not get them' },
  { feature: 'Shortest exact float text', capability: 'exactFloatText', from: 12, without: 'Floats travel with 17 digits and are compared by their binary form; floats inside composite types are not compared exactly' },
  { feature: 'Publication of partitioned tables', capability: 'partitionedPublication', from: 13, without: 'Each partition joins the publication by itself; one that is made while the table migrates is not carried, and the preflight warns' },
  { feature: 'Triggers FOR EACH ROW on partitioned tables', capability: 'partitionedPublication', from: 13, without: 'Fence and guard stand on every partition (they do on every version)' },
  { feature: 'Multirange types, infinite numerics', capability: 'multiranges', from: 14, without: 'An older local refuses such columns, and such values' },
  { feature: 'Logical messages in the stream', capability: 'logicalMessages', from: 14, without: 'Markers and tags are table rows (they are on every version)' },
  { feature: 'Column compression methods', capability: 'columnCompression', from: 14, without: 'The column takes the default method' },
  { feature: 'UNIQUE NULLS NOT DISTINCT', capability: 'nullsNotDistinct', from: 15, without: 'An older local refuses such a table' },
  { feature: 'GRANT SET ON PARAMETER', capability: 'parameterGrants', from: 15, without: 'session_replication_role needs a superuser' },
  { feature: 'Membership in a role without SET', capability: 'membershipOptions', from: 16, without: 'Every member may take the role' },
  { feature: 'The privilege MAINTAIN', capability: 'maintainPrivilege', from: 17, without: 'On an older source the owner has it, and gets it on local; an older local cannot give it' },
  { feature: 'Infinite intervals', capability: undefined, from: 17, without: 'An older local refuses such values' },
  { feature: 'Virtual generated columns', capability: 'virtualColumns', from: 18, without: 'Made as STORED on an older local' },
];

/** The Markdown table of docs/postgres-versions.md; a test holds the page and `serverCapabilities` to it. */
export function capabilityTable(): string {
  const lines = rows.map((row) => `| ${row.feature} | ${row.from} | ${row.without} |`);
  return ['| What | From PostgreSQL | On older ones |', '| --- | --- | --- |', ...lines].join('\n');
}

/** From which major version on the table says that each capability is there. */
export function documentedCapabilities(): readonly { readonly capability: NonNullable<Row['capability']>; readonly from: number }[] {
  return rows.flatMap(({ capability, from }) => (capability === undefined ? [] : [{ capability, from }]));
}
