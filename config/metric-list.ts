/**
 * Every metric of the product: a closed list, so that an unknown name or label is a programmer's error and dashboards, alert
 * rules and documents can be checked against it. The `scratchbird_migration_*` ones are the specification's §9.1, exactly.
 *
 * Time is in seconds and size in bytes, as Prometheus asks. A gauge set by several gateway workers is shown as their sum.
 */
export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface MetricDefinition {
  readonly type: MetricType;
  readonly help: string;
  /** In the order in which they are shown; a call must give exactly these. */
  readonly labels: readonly string[];
  /** Upper bounds, ascending, `+Inf` left out; histograms only. */
  readonly buckets: readonly number[];
}

const counter = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'counter', help, labels, buckets: [] });
const gauge = (help: string, ...labels: string[]): MetricDefinition => ({ type: 'gauge', help, labels, buckets: [] });
const histogram = (buckets: readonly number[], help: string, ...labels: string[]): MetricDefinition =>
  ({ type: 'histogram', help, labels, buckets });

/** 50 µs to 10 s: a point query on a local socket is at the low end, a report at the high one. */
const queryBuckets = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;
/** What the gateway adds to a statement: 5 µs to 10 ms. */
const overheadBuckets = [0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01] as const;
/** Waits and pauses of clients: 1 ms to 30 s, finest around the quarter second that a cutover may take. */
const waitBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

export const metricList = {
  // Specification §9.1
  scratchbird_migration_table_state: gauge('Current migration state per table', 'table', 'state'),
  scratchbird_migration_bulk_rows_total: gauge('Total rows to migrate', 'table'),
  scratchbird_migration_bulk_rows_migrated: gauge('Rows migrated so far', 'table'),
  scratchbird_migration_bulk_rate: gauge('Rows migrated per second', 'table'),
  scratchbird_migration_cdc_lag_seconds: gauge('CDC replication lag', 'table', 'source'),
  scratchbird_migration_cdc_pending_changes: gauge('Pending CDC changes', 'table'),
  scratchbird_migration_cdc_applied_total: counter('CDC changes applied', 'table', 'operation'),
  scratchbird_migration_queries_routed_total: counter('Queries routed by destination', 'table', 'route'),
  scratchbird_migration_conflicts_total: counter('Conflicts detected', 'table', 'resolution'),
  scratchbird_migration_errors_total: counter('Migration errors', 'table', 'error'),

  // Clients
  scratchbird_gateway_connections: gauge('Client connections open now'),
  scratchbird_gateway_connections_total: counter('Client connections accepted'),
  scratchbird_gateway_connections_refused_total: counter('Client connections refused, by reason (authentication, limit, protocol, timeout, queue_full, queue_timeout, shutdown)', 'reason'),
  scratchbird_gateway_mysql_connections: gauge('Connections of MySQL clients open now'),
  scratchbird_gateway_connections_waiting: gauge('Clients that wait for a place within the limit of their user or database'),
  scratchbird_gateway_connection_wait_seconds: histogram(waitBuckets, 'Wait of each client that had to wait for a place, let in or not'),
  scratchbird_gateway_sessions_ended_total: counter('Sessions that the gateway ended, by reason (client_idle, idle_transaction; after SIGTERM: drained, drain_timeout with something open)', 'reason'),
  scratchbird_gateway_pool_connections: gauge('Connections that sessions share (pool_mode transaction, pipeline), by side and state (in_use, idle)', 'side', 'state'),
  scratchbird_gateway_pool_waiting: gauge('Statements that wait for a connection of a pool, by side', 'side'),
  scratchbird_gateway_legs: gauge('Connections to the databases open now, by side (source, local; mysql: of PostgreSQL clients to the MySQL server)', 'side'),
  scratchbird_gateway_query_seconds: histogram(queryBuckets, 'Time from handing a unit to its database to the end of its answer, by route (local, remote, dual: with the wait of its commit, mysql)', 'route'),
  scratchbird_gateway_overhead_seconds: histogram(overheadBuckets, 'What the gateway itself added to a statement, one in 64 measured, by route (local, remote)', 'route'),
  scratchbird_gateway_commit_wait_seconds: histogram(waitBuckets, 'Wait of a dual-written COMMIT until local shows it'),
  scratchbird_gateway_read_wait_seconds: histogram(waitBuckets, 'Wait of a read on local until it shows what the session has seen on the source'),
  scratchbird_gateway_statement_cache_total: counter('Statement texts looked up in the facts cache, by result (hit, miss)', 'result'),
  scratchbird_gateway_errors_total: counter('Errors that the gateway itself gave to clients, by code', 'code'),
  scratchbird_gateway_serialization_failures_total: counter('Transactions given 40001 or 40P01 by the gateway, by cause (barrier, deadlock)', 'cause'),

  // Shadow reads
  scratchbird_gateway_shadow_reads_total: counter('Reads sampled to be compared with local, by result (equal, different, unsettled, order_differs, failed, too_large, skipped, dropped)', 'result'),
  scratchbird_gateway_shadow_reads_slower_total: counter('Compared reads in which local took more than twice as long as the source, and more than 5 ms more'),

  // Changes of routing
  scratchbird_gateway_epoch: gauge('Epoch of the routing snapshot in use by the control'),
  scratchbird_gateway_workers: gauge('Gateway workers, by state (live, silent: lease run out)', 'state'),
  scratchbird_gateway_parked: gauge('Units that wait for a barrier now'),
  scratchbird_gateway_hybrid_statements_total: counter('Statements over both sides, by the side on which they ran and where the rows of the other side stood (inline: in the statement, table: in a temporary table)', 'runs_on', 'rows'),
  scratchbird_gateway_hybrid_bytes_total: counter('Bytes of rows brought to the other side for one statement, by the side that they came from (source, local, mysql)', 'from'),
  scratchbird_gateway_hybrid_seconds: histogram(queryBuckets, 'Time until the rows of the other side are there, the statement itself left out'),
  scratchbird_gateway_parked_total: counter('Units that have waited for a barrier'),
  scratchbird_gateway_barrier_wait_seconds: histogram(waitBuckets, 'Wait of each parked unit, by operation (cutover, rollback)', 'operation'),
  scratchbird_gateway_cutover_pause_seconds: histogram(waitBuckets, 'Pause of a change of authority, from publishing quiescing to releasing the clients, by direction (cutover, rollback)', 'direction'),
  scratchbird_gateway_cutover_last_pause_seconds: gauge('The last change of authority of the table: its pause', 'table'),

  // Streams
  scratchbird_gateway_stream_connected: gauge('1 while the capture of a stream is connected', 'stream'),
  scratchbird_gateway_spool_bytes: gauge('Bytes of changes in the spool on disk', 'stream'),
  scratchbird_gateway_spool_limit_bytes: gauge('Bytes that the spool may take (limits.spool_bytes)', 'stream'),
  scratchbird_gateway_spool_stopped_bytes: gauge('Bytes of these that are kept for tables in ERROR or PAUSED; they give way when the spool takes no more', 'stream'),
  scratchbird_gateway_slot_retained_bytes: gauge('WAL that the replication slot holds back on the captured server', 'stream'),
  scratchbird_gateway_in_doubt: gauge('Prepared transactions of the gateway that it cannot finish', 'side'),
  scratchbird_gateway_two_phase_commits_total: counter('Commits of two_phase tables whose rows were to go to local with them; unmarked ones waited for the stream, late ones as well, after local had lost the rows', 'outcome'),
  scratchbird_gateway_in_doubt_resolved_total: counter('Transactions over both sides that the control finished in place of their session', 'outcome'),
  scratchbird_gateway_bypass_writes_total: counter('Changes made on the side that was not the authority, past the gateway', 'table'),
  scratchbird_gateway_conflicts_unresolved: gauge('Conflicts that wait for a person', 'table'),
  scratchbird_gateway_validation_mismatches: gauge('Rows that differed in the last validation', 'table'),

  // The metrics themselves
  scratchbird_gateway_metric_series_dropped_total: counter('Samples left out because a metric had reached its limit of series'),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricList;

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(metricList, name);
}
