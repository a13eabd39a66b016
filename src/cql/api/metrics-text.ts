/** The proxy's figures in Prometheus' text format: read from the counters when somebody asks. */
import { cqlMetricList } from '../../../config/cql/metric-list.ts';
import type { CqlMetricName } from '../../../config/cql/metric-list.ts';
import { writeFamily } from '../../ops/prometheus-text.ts';
import type { Cell } from '../../ops/prometheus-text.ts';
import { errorClasses, outcomes, sampleOutcomes } from '../proxy-stats.ts';
import type { Latency } from '../proxy-stats.ts';
import { clusterNames } from '../modes.ts';
import { cqlModes } from '../../../config/cql/cql-settings.ts';
import type { CqlFigures } from './cql-service.ts';
import { consistencyScore } from './monitor.ts';
import type { HeardLoad } from './monitor.ts';
import type { TableRecord } from './validations.ts';

type Sample = readonly [labels: readonly string[], value: number | Latency];

/** What ZDM Proxy calls the source. */
const zdmNames = ['origin', 'target'] as const;

type LoaderMetric = Extract<CqlMetricName, `loader_${string}`>;

/** Of the loader's own port. */
export function loaderMetricsText(load: HeardLoad | undefined, nowMs: number): string {
  return print(loaderSamples(load, nowMs));
}

/** Of the validator's own port. */
export function validatorMetricsText(validated: ReadonlyMap<string, TableRecord>): string {
  return print(validatorSamples(validated));
}

function loaderSamples(load: HeardLoad | undefined, nowMs: number): Record<LoaderMetric, readonly Sample[]> {
  const some = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : [[[], value]]);
  return {
    loader_rows_migrated: some(load?.rows),
    loader_tables_completed: some(load?.tablesDone),
    loader_migration_rate: some(load && (load.hasEnded ? 0 : load.rowsPerSecond)),
    loader_progress_ratio: some(load?.share),
    loader_estimated_completion: some(load === undefined || load.hasEnded || load.remainingMs === undefined ? undefined : (load.heardMs + load.remainingMs) / 1000),
    loader_stalled_seconds: some(load && (load.hasEnded ? 0 : Math.max(0, nowMs - load.advancedMs) / 1000)),
  };
}

type ValidatorMetric = Extract<CqlMetricName, `validator_${string}`>;

function validatorSamples(validated: ReadonlyMap<string, TableRecord>): Record<ValidatorMetric, readonly Sample[]> {
  const perTable = (value: (record: TableRecord) => number): readonly Sample[] => [...validated].map(([table, record]) => [[table], value(record)]);
  const score = consistencyScore(validated);
  return {
    validator_rows_validated: perTable(({ rows }) => rows),
    validator_discrepancies_found: perTable(({ passed, different }) => (passed ? 0 : different)),
    validator_validation_coverage: perTable(({ share }) => share),
    validator_last_validation: perTable(({ heardMs }) => heardMs / 1000),
    validator_consistency_score: score === null ? [] : [[[], score]],
  };
}

export function metricsText(figures: CqlFigures, load: HeardLoad | undefined): string {
  return print(samplesOf(figures, load));
}

function print(samples: Partial<Record<CqlMetricName, readonly Sample[]>>): string {
  const lines: string[] = [];
  for (const [name, list] of Object.entries(samples) as [CqlMetricName, readonly Sample[]][]) writeFamily(lines, { name, definition: cqlMetricList[name], cells: new Map() }, list.map(cellOf));
  return `${lines.join('\n')}\n`;
}

function cellOf([labelValues, value]: Sample): Cell {
  return typeof value === 'number' ? { labelValues, value, counts: undefined } : { labelValues, value: value.sumMs / 1000, counts: [...value.counts] };
}

function samplesOf({ stats, intents, refusal, damages, lanes, repairs, keys, filter, modes, validated, nowMs }: CqlFigures, load: HeardLoad | undefined): Record<CqlMetricName, readonly Sample[]> {
  const { counts, clusters } = stats;
  const one = (value: number): readonly Sample[] => [[[], value]];
  const perCluster = (names: readonly string[], value: (index: 0 | 1) => number): readonly Sample[] => [[[names[0] ?? ''], value(0)], [[names[1] ?? ''], value(1)]];
  const byOutcome = (list: 'readsEnded' | 'writesEnded', index: 0 | 1): number => clusters[index].counts[list].reduce((sum, count, place) => (outcomes[place] === 'ok' ? sum : sum + count), 0);
  const errorsOf = (index: 0 | 1): readonly Sample[] => errorClasses.map((error, place) => [[error], clusters[index].counts.errors[place] ?? 0]);
  return {
    proxy_write_latency_seconds: clusterNames.map((name, index) => [[name, 'answered'], clusters[index === 0 ? 0 : 1].counts.writes]),
    proxy_writes_total: clusterNames.flatMap((name, index) => outcomes.map((outcome, place): Sample => [[name, outcome], clusters[index === 0 ? 0 : 1].counts.writesEnded[place] ?? 0])),
    proxy_consistency_mismatches: [[['condition_or_schema'], clusters[0].counts.mismatches + clusters[1].counts.mismatches]],
    ...loaderSamples(load, nowMs),
    ...validatorSamples(validated),
    proxy_failed_connections_total: perCluster(zdmNames, (index) => clusters[index].counts.failedConnections),
    proxy_failed_reads_total: perCluster(zdmNames, (index) => byOutcome('readsEnded', index)),
    proxy_failed_writes_total: perCluster(zdmNames, (index) => byOutcome('writesEnded', index)),
    proxy_request_duration_seconds: [[['reads_origin'], clusters[0].counts.reads], [['reads_target'], clusters[1].counts.reads], [['all'], counts.requestTime]],
    proxy_inflight_requests_total: [[['all'], counts.inHand]],
    pscache_entries_total: one(stats.prepared),
    pscache_miss_total: one(counts.unknownIds),
    client_connections_total: one(counts.clients),
    origin_requests_failed_total: errorsOf(0),
    target_requests_failed_total: errorsOf(1),
    origin_connections_total: one(clusters[0].connections),
    target_connections_total: one(clusters[1].connections),
    origin_used_stream_ids_total: one(clusters[0].streamsInUse),
    target_used_stream_ids_total: one(clusters[1].streamsInUse),
    scratchbird_cql_mode: cqlModes.map((mode) => [[mode], mode === modes.global ? 1 : 0]),
    scratchbird_cql_queue_writes: one(intents.depth),
    scratchbird_cql_queue_released: one(intents.released),
    scratchbird_cql_queue_bytes: one(intents.bytes),
    scratchbird_cql_queue_limit_bytes: one(intents.maxBytes),
    scratchbird_cql_queue_oldest_seconds: one(intents.oldestAtMs === undefined ? 0 : Math.max(0, nowMs - intents.oldestAtMs) / 1000),
    scratchbird_cql_log_refusing: one(refusal === undefined ? 0 : 1),
    scratchbird_cql_log_damages: one(damages.length),
    scratchbird_cql_replay_total: lanes.flatMap(({ cluster, replayed, refused, failed, givenUp, unreadable }): Sample[] => [[[cluster, 'replayed'], replayed], [[cluster, 'refused'], refused], [[cluster, 'failed'], failed], [[cluster, 'given_up'], givenUp], [[cluster, 'unreadable'], unreadable]]),
    scratchbird_cql_replay_open: lanes.map(({ cluster, state }) => [[cluster], state === 'closed' ? 0 : 1]),
    scratchbird_cql_repair_entries: one(repairs.entries),
    scratchbird_cql_repair_whole_tables: one(repairs.wholeTables.length),
    scratchbird_cql_key_log_bytes: one(keys.bytes),
    scratchbird_cql_key_log_limit_bytes: one(keys.maxBytes),
    scratchbird_cql_key_log_dropped_up_to: one(keys.droppedMs / 1000),
    scratchbird_cql_filtered_total: one(counts.filtered),
    scratchbird_cql_sampled_reads_total: sampleOutcomes.map((outcome, index) => [[outcome], counts.sampledReads[index] ?? 0]),
    scratchbird_cql_filter_decisions_total: filter ? [[['table'], filter.tablesSkipped], [['tenant'], filter.tenantsSkipped], [['missing'], filter.missing], [['mixed'], filter.mixed]] : [],
    scratchbird_cql_filter_reloads_total: filter ? [[['taken'], filter.reloads], [['failed'], filter.failedReloads]] : [],
    scratchbird_cql_filter_stale: filter ? one(filter.problem === undefined ? 0 : 1) : [],
    scratchbird_cql_shed_total: one(counts.shed),
    scratchbird_cql_stamped_total: one(counts.stamped),
    scratchbird_cql_heals_total: perCluster(clusterNames, (index) => clusters[index].counts.heals),
    scratchbird_cql_clients_refused_total: [[['limit'], counts.clientsRefused], [['login'], counts.badLogins]],
  };
}
