/** The section `cql`: the proxy between two Cassandra or ScyllaDB clusters. */
import { z } from 'zod';
import { milliseconds, pem, port, positive, section, ssl, text } from '../section.ts';

export const cqlModes = ['SourceOnly', 'DualAsync', 'DualSync', 'ShadowPrimary', 'ShadowSync', 'TargetOnly'] as const;
export type CqlModeName = (typeof cqlModes)[number];

const spellings: ReadonlyMap<string, CqlModeName> = new Map([
  ...cqlModes.map((mode) => [mode.toLowerCase(), mode] as const),
  ['primaryonly', 'SourceOnly'], ['dualwriteasync', 'DualAsync'], ['dualwritesync', 'DualSync'],
]);

/** Every spelling of the documents: `PrimaryOnly`, `DualWriteAsync`, `dual_sync` …; undefined for what is no mode. */
export function readCqlMode(written: string): CqlModeName | undefined {
  return spellings.get(written.toLowerCase().replace(/[_\s-]/g, ''));
}

export const cqlMode = z.string().transform((written, context): CqlModeName => {
  const mode = readCqlMode(written);
  if (mode !== undefined) return mode;
  context.addIssue({ code: 'custom', message: `expected one of ${cqlModes.join(', ')}` });
  return z.NEVER;
});

const address = text.regex(/^(?:[^:\s]+|\[[\da-fA-F:]+\])(?::\d{1,5})?$|^[\da-fA-F]*:[\da-fA-F]*:[\da-fA-F:]*$/, 'expected a host, or host:port');

const cluster = section({
  /** Both speak the same protocol; the name is for the reader. */
  driver: z.enum(['cassandra', 'scylla']).default('cassandra'),
  hosts: z.array(address).min(1, 'expected at least one host'),
  port: port.default(9042),
  /** Whom the proxy logs in as; left out, each client's own name and password are passed on. */
  username: text.exactOptional(),
  password: z.string().exactOptional(),
  ssl: ssl.exactOptional(),
  compression: z.enum(['none', 'lz4', 'snappy']).default('none'),
  /** To each host, for each user and keyspace in use. */
  connections_per_host: positive.max(64).default(2),
  connect_timeout_ms: milliseconds.min(1).default(5000),
  /** Requests at once on one connection. */
  max_streams: positive.max(32_768).default(2048),
});

const clusterThatLogsIn = cluster.superRefine((given, context) => {
  if ((given.username === undefined) !== (given.password === undefined)) context.addIssue({ code: 'custom', message: 'expected username and password, or neither' });
});

/** Several proxies as one: migration SQL switches all of them, and each asks the others for the modes before it serves. */
const group = section({
  /** Where the proxies ask each other, one address for each, in the order of topology.addresses: this one's own is at topology.index, and it listens there. */
  members: z.array(address).min(2, 'expected the addresses of all proxies'),
  /** The same at all of them; whoever knows it can switch modes. */
  secret: z.string().min(24, 'expected at least 24 characters'),
  /** Where this one listens instead of the host of its own address. */
  listen_host: text.exactOptional(),
});

const table = text.regex(/^[^.\s]+(?:\.[^.\s]+)?$/, 'expected a keyspace, or keyspace.table');

const settings = section({
  listen: section({ host: text.default('127.0.0.1'), port: port.default(9042) }).prefault({}),
  /** Of the API: modes, figures, writes by HTTP. */
  http: section({ host: text.default('127.0.0.1'), port: port.default(8090) }).prefault({}),
  tls: section({ cert: pem, key: pem, ca: pem.exactOptional() }).exactOptional(),
  source: clusterThatLogsIn,
  target: clusterThatLogsIn,
  /** What migration SQL calls the source: START MIGRATION FOR TABLE ks.t FROM cassandra_source. */
  source_name: z.string().regex(/^[a-z_][a-z0-9_$]{0,62}$/, 'expected a name in lower case').default('cassandra_source'),
  /** At the first start; afterwards the mode that was switched to last holds. */
  mode: cqlMode.default('SourceOnly'),
  /** By keyspace or keyspace.table, at the first start as well. */
  modes: z.record(table, cqlMode).default({}),
  /** filter-rules.yaml; left out, everything is replicated. */
  filter_rules: text.exactOptional(),
  request_timeout_ms: milliseconds.min(1).default(10_000),
  /** A shadow that has not answered by then gets the write from the log. Nobody waits for it. */
  shadow_timeout_ms: milliseconds.min(1).default(5000),
  /** Share of the reads, 0 to 1, that are compared on both clusters while both are written. */
  sampled_reads: z.number().min(0).max(1).default(0),
  schema_changes: z.enum(['both', 'primary']).default('both'),
  intents: section({
    bytes: positive.min(16 * 1024 * 1024).default(1024 * 1024 * 1024),
    fsync: z.enum(['none', 'group']).default('none'),
    repair_bytes: positive.min(64 * 1024).default(64 * 1024 * 1024),
  }).prefault({}),
  /** Writes that have ended are kept up to so many bytes, for comparisons of what was written of late; 0: none are. */
  key_log: section({
    bytes: z.int().min(0).refine((bytes) => bytes === 0 || bytes >= 1024 * 1024, 'expected 0, or 1048576 at least').default(1024 * 1024 * 1024),
  }).prefault({}),
  replay: section({
    in_flight: positive.max(10_000).default(64),
    first_delay_ms: milliseconds.min(1).default(200),
    max_delay_ms: milliseconds.min(1).default(60_000),
    /** A statement that the cluster has refused so often goes to the repair list. */
    max_refusals: positive.default(10),
  }).prefault({}),
  topology: section({
    /** All proxies of the group as clients reach them; empty: this one only. */
    addresses: z.array(text).default([]),
    index: z.int().min(0).default(0),
    tokens: positive.max(256).default(8),
    cluster_name: text.exactOptional(),
    data_center: text.exactOptional(),
  }).prefault({}),
  group: group.exactOptional(),
  limits: section({
    clients: positive.default(4096),
    requests_per_client: positive.default(2048),
    request_bytes: positive.min(1024 * 1024).default(256 * 1024 * 1024),
    frame_bytes: positive.min(64 * 1024).default(64 * 1024 * 1024),
    prepared_bytes: positive.min(64 * 1024).default(64 * 1024 * 1024),
  }).prefault({}),
  /** How long what is in hand may take to end at SIGTERM. */
  drain_ms: milliseconds.default(5000),
});

export const cqlSettings = settings.superRefine(({ topology: { addresses, index }, group: given }, context) => {
  if (!given) return;
  if (index >= given.members.length) context.addIssue({ code: 'custom', path: ['group', 'members'], message: `expected this proxy's own address at topology.index (${index})` });
  if (addresses.length > 0 && addresses.length !== given.members.length) context.addIssue({ code: 'custom', path: ['group', 'members'], message: `expected as many as topology.addresses (${addresses.length})` });
});

export type CqlSettings = z.output<typeof cqlSettings>;
export type CqlClusterSettings = CqlSettings['source'];
