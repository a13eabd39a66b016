/** Metrics of the CQL proxy's process, on its own HTTP port: the documents' names, ZDM Proxy's where they mean the same, and the product's. */
import type { MetricDefinition } from '../metric-list.ts';

const counter = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'counter', help, labels, buckets: [] });
const gauge = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'gauge', help, labels, buckets: [] });
/** Powers of two of a microsecond, from 64 µs to 17 s. */
const buckets = Array.from({ length: 19 }, (_, index) => 2 ** (6 + index) / 1e6);
const histogram = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'histogram', help, labels, buckets });

export const cqlMetricList = {
  // The documents' names
  proxy_write_latency_seconds: histogram('Answers of a cluster to writes, whatever they say; status is `answered`', 'database', 'status'),
  proxy_writes_total: counter('Writes sent to a cluster, by how they ended (ok, refused, uncertain, unsent)', 'database', 'status'),
  proxy_consistency_mismatches: counter('Conditional statements and schema changes that ended otherwise on the shadow than on the primary', 'operation'),
  loader_rows_migrated: gauge('Rows that the load has read and written, as it last told'),
  loader_tables_completed: gauge('Tables of the load that are done'),
  loader_migration_rate: gauge('Rows per second of the load; 0 when it has ended'),
  loader_progress_ratio: gauge('Share of the ring that the load has read, 0 to 1'),
  loader_estimated_completion: gauge('When the load will have ended, in seconds since 1970; absent when that cannot be said'),
  loader_stalled_seconds: gauge('For how long a load that has not ended has not advanced'),
  validator_rows_validated: gauge('Rows that the last validation or scan of the table has compared', 'table'),
  validator_discrepancies_found: gauge('Rows that it found different and did not repair', 'table'),
  validator_validation_coverage: gauge('Share of the ring that it looked at, 0 to 1', 'table'),
  validator_last_validation: gauge('When it was heard of, in seconds since 1970', 'table'),
  validator_consistency_score: gauge('Rows that are the same, of a hundred compared; absent before the first validation'),

  // ZDM Proxy's names
  proxy_failed_connections_total: counter('Connections to a cluster that could not be made', 'cluster'),
  proxy_failed_reads_total: counter('Reads that a cluster did not answer well', 'cluster'),
  proxy_failed_writes_total: counter('Writes that failed on a cluster (origin, target)', 'failed_on'),
  proxy_request_duration_seconds: histogram('Answers of a cluster (reads_origin, reads_target), and of the proxy to clients (all)', 'type'),
  proxy_inflight_requests_total: gauge('Requests in hand', 'type'),
  pscache_entries_total: gauge('Prepared statements that the proxy knows'),
  pscache_miss_total: counter('Executions of statements that the proxy does not know'),
  client_connections_total: gauge('Clients connected now'),
  origin_requests_failed_total: counter('Errors of the source, by kind', 'error'),
  target_requests_failed_total: counter('Errors of the target, by kind', 'error'),
  origin_connections_total: gauge('Connections to the source open now'),
  target_connections_total: gauge('Connections to the target open now'),
  origin_used_stream_ids_total: gauge('Requests under way at the source'),
  target_used_stream_ids_total: gauge('Requests under way at the target'),

  // The product's own
  scratchbird_cql_mode: gauge('1 for the global mode in force', 'mode'),
  scratchbird_cql_queue_writes: gauge('Writes in the intent log that have not ended'),
  scratchbird_cql_queue_released: gauge('Of these, the ones that the replay has to send'),
  scratchbird_cql_queue_bytes: gauge('Bytes of the intent log'),
  scratchbird_cql_queue_limit_bytes: gauge('Bytes that the intent log may have'),
  scratchbird_cql_queue_oldest_seconds: gauge('Age of the oldest write that has not ended; it has to stay below gc_grace_seconds'),
  scratchbird_cql_log_refusing: gauge('1 while the intent log takes no writes (full, or its disk fails)'),
  scratchbird_cql_log_damages: gauge('Places of the intent log that cannot be read'),
  scratchbird_cql_replay_total: counter('Writes sent again, by how they ended (replayed, refused, failed, given_up, unreadable)', 'cluster', 'outcome'),
  scratchbird_cql_replay_open: gauge('1 while a cluster is left alone because it fails', 'cluster'),
  scratchbird_cql_repair_entries: gauge('Writes that wait for a repair by the scanner'),
  scratchbird_cql_repair_whole_tables: gauge('Tables that have to be scanned whole'),
  scratchbird_cql_key_log_bytes: gauge('Bytes of ended writes that are kept for comparisons of what was written of late'),
  scratchbird_cql_key_log_limit_bytes: gauge('Bytes that these may have; 0 when none are kept'),
  scratchbird_cql_key_log_dropped_up_to: gauge('Writes up to this time are no longer in the log of keys, in seconds since 1970; 0 when none was dropped'),
  scratchbird_cql_filtered_total: counter('Writes that the filter rules kept from the shadow'),
  scratchbird_cql_filter_decisions_total: counter('Decisions of the filter rules: statements by table, writes by tenant, by the defaults for a missing one and for several', 'reason'),
  scratchbird_cql_sampled_reads_total: counter('Reads that were asked of both clusters, by what came of it (same, different, unsettled, failed, left_out)', 'outcome'),
  scratchbird_cql_filter_reloads_total: counter('Changes of the filter rules, by result (taken, failed)', 'result'),
  scratchbird_cql_filter_stale: gauge('1 while the rules file cannot be read and older rules are in force'),
  scratchbird_cql_shed_total: counter('Requests that the proxy itself answered with OVERLOADED'),
  scratchbird_cql_stamped_total: counter('Writes that were given a timestamp'),
  scratchbird_cql_heals_total: counter('Statements prepared again without the client knowing', 'cluster'),
  scratchbird_cql_clients_refused_total: counter('Clients that were not let in, by reason (limit, login)', 'reason'),
} as const satisfies Record<string, MetricDefinition>;

export type CqlMetricName = keyof typeof cqlMetricList;
