/**
 * The YAML files of the three services as their documents have them. They disagree among themselves about units (`_secs`, `_ms`, `5s`), names of modes and which keys there are: all of
 * it is taken. A key that only the documents' own programs know is taken, and `keysWithoutEffect` names it; a key that nobody knows is an error.
 */
import { z } from 'zod';
import { cqlMode, cqlSettings } from './cql-settings.ts';
import type { CqlSettings } from './cql-settings.ts';

const list = z.array(z.string().min(1)).min(1);
const whole = z.int().min(0);
const ignored = z.unknown().optional();

/** `5s`, `500ms`, `2m`, or a number of seconds; in milliseconds. */
const duration = z.union([z.number().min(0).transform((seconds) => seconds * 1000), z.string().regex(/^\d+(?:\.\d+)?\s*(?:ms|s|m|h)$/, 'expected a time such as 5s or 500ms').transform((text) => {
  const unit = /[a-z]+$/.exec(text)?.[0] ?? 's';
  return Number.parseFloat(text) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1000);
})]);

/** A time under any of the names that the documents give it. */
interface Times {
  readonly connection_timeout_ms?: number | undefined;
  readonly connection_timeout_secs?: number | undefined;
  readonly connection_timeout?: number | undefined;
  readonly request_timeout_ms?: number | undefined;
  readonly request_timeout_secs?: number | undefined;
  readonly request_timeout?: number | undefined;
}

function connectionTimeout(given: Times): number {
  return given.connection_timeout_ms ?? (given.connection_timeout_secs === undefined ? given.connection_timeout ?? 5000 : given.connection_timeout_secs * 1000);
}

function requestTimeout(given: Times): number {
  return given.request_timeout_ms ?? (given.request_timeout_secs === undefined ? given.request_timeout ?? 10_000 : given.request_timeout_secs * 1000);
}

const cluster = z.strictObject({
  driver: z.enum(['cassandra', 'scylla']).default('scylla'),
  hosts: list,
  port: z.int().min(1).max(65_535).default(9042),
  keyspace: z.string().nullable().optional(),
  username: z.string().nullable().optional(),
  password: z.string().nullable().optional(),
  connection_timeout_ms: whole.optional(), connection_timeout_secs: z.number().min(0).optional(), connection_timeout: duration.optional(),
  request_timeout_ms: whole.optional(), request_timeout_secs: z.number().min(0).optional(), request_timeout: duration.optional(),
  pool_size: z.int().min(1).max(64).default(4),
  speculative_execution: z.boolean().default(false), speculative_delay_ms: z.int().min(1).default(100),
}).transform((given) => ({
  driver: given.driver, hosts: given.hosts, port: given.port, keyspace: given.keyspace ?? undefined, username: given.username ?? undefined, password: given.password ?? undefined,
  poolSize: given.pool_size, connectTimeoutMs: connectionTimeout(given), requestTimeoutMs: requestTimeout(given),
  /** After so long a read is asked of a second node too. */
  speculativeDelayMs: given.speculative_execution ? given.speculative_delay_ms : undefined,
}));

export type ServiceCluster = z.output<typeof cluster>;

const observability = z.strictObject({ metrics_port: z.int().min(1).max(65_535).optional(), log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).transform((level) => (level === 'trace' ? 'debug' : level)).optional(), jaeger_endpoint: ignored })
  .transform(({ metrics_port: metricsPort, log_level: logLevel }) => ({ metricsPort, logLevel })).prefault({});

export type Observability = z.output<typeof observability>;

const writer = z.strictObject({
  mode: cqlMode.default('SourceOnly'),
  shadow_timeout_ms: whole.optional(), shadow_timeout_secs: z.number().min(0).optional(),
  retry_interval_secs: z.number().min(0).optional(), retry_interval_ms: whole.optional(),
  max_retry_attempts: z.int().min(1).default(3),
  /** Queued writes that are sent at once. */
  batch_size: z.int().min(1).max(10_000).optional(),
  validation_percentage: z.number().min(0).max(1).default(0),
});

/** `dual-writer-cassandra.yaml`, `dual-writer-scylla.yaml`. */
export const dualWriterFile = z.strictObject({ source: cluster, target: cluster, writer: writer.prefault({}), observability });
export type DualWriterFile = z.output<typeof dualWriterFile>;

/** `retry_interval_secs` is the longest wait: the replay begins sooner and slows down to it. */
export function settingsOfDualWriter({ source, target, writer: given }: DualWriterFile, more: { readonly filterRules?: string; readonly listenPort?: number; readonly httpPort?: number } = {}): CqlSettings {
  const retryMs = given.retry_interval_ms ?? (given.retry_interval_secs === undefined ? 60_000 : given.retry_interval_secs * 1000);
  const clusterOf = ({ driver, hosts, port, username, password, poolSize, connectTimeoutMs }: ServiceCluster): unknown => ({
    driver, hosts, port, connections_per_host: poolSize, connect_timeout_ms: Math.max(1, Math.round(connectTimeoutMs)), ...(username === undefined || password === undefined ? {} : { username, password }),
  });
  return cqlSettings.parse({
    listen: { host: '0.0.0.0', port: more.listenPort ?? 9042 }, http: { host: '0.0.0.0', port: more.httpPort ?? 8080 },
    source: clusterOf(source), target: clusterOf(target), mode: given.mode, request_timeout_ms: Math.max(1, Math.round(source.requestTimeoutMs)),
    shadow_timeout_ms: Math.max(1, given.shadow_timeout_ms ?? (given.shadow_timeout_secs === undefined ? 5000 : Math.round(given.shadow_timeout_secs * 1000))),
    sampled_reads: given.validation_percentage,
    replay: { ...(given.batch_size === undefined ? {} : { in_flight: given.batch_size }), max_delay_ms: Math.max(1, Math.round(retryMs)), max_refusals: given.max_retry_attempts },
    ...(more.filterRules === undefined ? {} : { filter_rules: more.filterRules }),
  });
}

const loaderTable = z.union([
  z.string().min(1).transform((name) => ({ name, partitionKey: [] as readonly string[] })),
  z.strictObject({ name: z.string().min(1), partition_key: z.array(z.string()).default([]) }).transform(({ name, partition_key: partitionKey }) => ({ name, partitionKey })),
]);

const times = { retry_delay_secs: z.number().min(0).optional(), retry_delay_ms: whole.optional(), checkpoint_interval_secs: z.number().min(0).optional(), checkpoint_interval_ms: whole.optional() };

/** `sstable-loader.yaml`. */
export const loaderFile = z.strictObject({
  source: cluster, target: cluster, observability,
  loader: z.strictObject({
    ...times,
    tables: z.array(loaderTable).default([]),
    num_ranges_per_core: z.int().min(1).default(4), max_concurrent_loaders: z.int().min(1).default(8), batch_size: z.int().min(1).optional(),
    checkpoint_file: z.string().optional(), prefetch_rows: z.int().min(1).optional(), compression: z.boolean().default(false), max_throughput_mbps: whole.default(0),
    max_retries: whole.default(3), skip_on_error: z.boolean().default(false), failed_rows_file: z.string().default('failed_rows.jsonl'),
    insert_batch_size: whole.optional(), insert_concurrency: z.int().min(1).default(32), enable_pagination: z.boolean().default(true),
    page_size: z.int().min(1).optional(), page_retry_attempts: whole.default(3), page_retry_backoff_ms: whole.default(500),
  }).prefault({}),
});
export type LoaderFile = z.output<typeof loaderFile>;

/** `dual-reader.yaml`. */
export const dualReaderFile = z.strictObject({
  source: cluster, target: cluster, observability,
  reader: z.strictObject({
    tables: z.array(loaderTable).default([]), validation_interval_secs: z.number().min(0).optional(), validation_interval_ms: whole.optional(), sample_rate: z.number().min(0).max(1).default(0.01),
    max_concurrent_reads: z.int().min(1).default(10), batch_size: z.int().min(1).default(1000), max_discrepancies_to_report: whole.default(100),
    auto_reconcile: z.boolean().default(false), reconciliation_mode: z.string().optional(),
  }).prefault({}),
  filter: z.strictObject({
    enabled: z.boolean().default(false), compare_tables: z.array(z.string()).default([]), compare_system_domain_ids: z.array(z.union([z.string(), z.int().transform(String)])).default([]),
    system_domain_id_column: z.string().default('system_domain_id'), log_discrepancies: z.boolean().default(true), discrepancy_log_path: z.string().nullable().optional(),
  }).prefault({}),
});
export type DualReaderFile = z.output<typeof dualReaderFile>;

/** `indexes.yaml`; a list, which may be empty. */
export const indexesFile = z.array(z.strictObject({
  keyspace: z.string().min(1), table: z.string().min(1), index_name: z.string().min(1), column_name: z.string().min(1), index_type: z.string().default('secondary'),
}));
export type IndexesFile = z.output<typeof indexesFile>;
