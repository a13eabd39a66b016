/**
 * Every option of START MIGRATION and CREATE MIGRATION SOURCE (specification §8.1, §8.2, §13.2 and DESIGN §5–§7): a closed
 * table from which parser, printer, help and documents are made. An option that nothing acts on has no place here.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { TableName } from '../names.ts';
import { choice, columnList, flag, fraction, integer, intervalOr, name, percent, predicate, qualifiedName, seconds } from './option-kinds.ts';
import type { OptionAbout, OptionKind, OptionPlace } from './option-kinds.ts';
import { typeOverrides } from './type-overrides.ts';
import type { TypeOverride } from './type-overrides.ts';

export const cdcModes = ['logical_replication', 'binlog', 'change_tracking', 'trigger'] as const;
export type CdcMode = (typeof cdcModes)[number];

export const conflictStrategies = ['source_wins', 'target_wins', 'timestamp_wins', 'custom_merge', 'fail_on_conflict'] as const;
export type ConflictStrategy = (typeof conflictStrategies)[number];

export const dualWriteModes = ['sync', 'async', 'two_phase'] as const;
export type DualWriteMode = (typeof dualWriteModes)[number];

/** `compare`: the source answers, and local is asked the same afterwards. */
export const readSides = ['local', 'source', 'compare'] as const;
export type ReadFrom = (typeof readSides)[number];

/** What holds for one table's migration. Plain JSON: null stands for "not given". */
export interface MigrationOptions {
  readonly targetSchema: string | null;
  readonly targetTable: TableName | null;
  readonly whereClause: string | null;
  /** Null: every column. */
  readonly columns: readonly string[] | null;
  /** Null: as the type map of the source's engine says. */
  readonly typeMap: readonly TypeOverride[] | null;
  /** Rows per chunk. */
  readonly batchSize: number;
  readonly parallelWorkers: number;
  /** 0: unlimited. */
  readonly rateLimitRowsPerSecond: number;
  /** Null: the key. */
  readonly orderBy: string | null;
  readonly bulkLoadWrites: 'capture' | 'block';
  readonly deferIndexes: boolean;
  readonly concurrentIndexes: boolean;
  readonly parallelIndexBuilders: number;
  readonly copyGrants: boolean;
  readonly cdcMode: CdcMode;
  /** Changes per applied batch. */
  readonly cdcBatchSize: number;
  readonly dualWriteMode: DualWriteMode;
  /** Side that answers reads in DUAL_WRITE and CUTOVER_READY. */
  readonly readFrom: ReadFrom;
  /** Per cent of the reads that are compared; `readFrom` `compare` only. */
  readonly comparePercent: number;
  /** Part of the chunks that a validation compares; 1 = all. */
  readonly validationSample: number;
  /** Null: only on demand, and once before CUTOVER_READY. */
  readonly validationIntervalMs: number | null;
  readonly conflictStrategy: ConflictStrategy;
  readonly conflictTimestampColumn: string | null;
  readonly conflictMergeFunction: TableName | null;
  readonly maxErrors: number;
  readonly skipOnError: boolean;
  readonly autoCutover: boolean;
  readonly cutoverLagThresholdMs: number;
  /** Null: until COMPLETE. */
  readonly rollbackWindowMs: number | null;
}

export type OptionName = keyof MigrationOptions;

/** What ALTER MIGRATION changes of a table that has started: what is looked up again each time that it counts. */
export const alterableOptions = ['comparePercent', 'readFrom'] as const satisfies readonly OptionName[];

/** The options that somebody gave, and no others. */
export type StatedOptions = { readonly [Name in OptionName]?: MigrationOptions[Name] };

const about = (name: string, place: OptionPlace, from: string, help: string): OptionAbout => ({ name, place, from, help });

export const optionTable: { readonly [Name in OptionName]: OptionKind<MigrationOptions[Name]> } = {
  targetSchema: name(about('target_schema', 'start', 'spec §13.2', 'Schema of the table on local; default: as on the source.'), 'a schema name'),
  targetTable: qualifiedName(about('target_table', 'table', 'spec §8.2', 'Name of the table on local; default: as on the source.'), 'a table name, with or without a schema'),
  whereClause: predicate(about('where_clause', 'table', 'spec §8.2', 'Only the source\'s rows for which this condition is true are carried.')),
  columns: columnList(about('columns', 'table', 'spec §13.2', 'Only these columns are carried; the key has to be among them.')),
  typeMap: typeOverrides(about('type_map', 'source', 'spec §13.2', 'Types on local of columns of another engine\'s source, and what becomes of values that they cannot hold.')),
  batchSize: integer(about('batch_size', 'source', 'spec §8.1', 'Rows per chunk of the bulk load.'), 10_000, 1, 10_000_000),
  parallelWorkers: integer(about('parallel_workers', 'source', 'spec §8.1', 'Chunks that are copied at once.'), 4, 1, 64),
  rateLimitRowsPerSecond: integer(about('rate_limit', 'source', 'spec §8.1', 'Rows per second that the bulk load reads at most; 0 is unlimited.'), 0, 0, 1_000_000_000),
  orderBy: name(about('order_by', 'table', 'spec §8.2', 'Column that orders the chunks of the bulk load; default: the key.'), 'a column name'),
  bulkLoadWrites: choice(about('bulk_load_writes', 'source', 'DESIGN §7', 'Writes during the bulk load: captured and applied afterwards, or blocked (spec §2.2 to the letter).'), 'capture', ['capture', 'block']),
  deferIndexes: flag(about('defer_indexes', 'source', 'spec §8.2', 'Build secondary indexes after the load.'), true),
  concurrentIndexes: flag(about('concurrent_indexes', 'source', 'spec §13.2', 'Build deferred indexes with CREATE INDEX CONCURRENTLY.'), false),
  parallelIndexBuilders: integer(about('parallel_index_builders', 'source', 'spec §12.3', 'Indexes that are built at once.'), 2, 1, 16),
  copyGrants: flag(about('copy_grants', 'source', 'DESIGN §9', 'Carry privileges over, also those of an owner: to whom the settings log a role\'s users in as on local, else to the role of the same name. Ownership itself is not carried.'), false),
  cdcMode: choice(about('cdc_mode', 'source', 'spec §8.1', 'How changes are captured; a PostgreSQL source has logical replication.'), 'logical_replication', cdcModes),
  cdcBatchSize: integer(about('cdc_batch_size', 'source', 'spec §13.2', 'Changes that are applied at once at most, transactions kept whole.'), 1000, 1, 1_000_000),
  dualWriteMode: choice(about('dual_write_mode', 'source', 'DESIGN §5', 'When a write is acknowledged in DUAL_WRITE: once local shows it, at the source\'s commit, or once the transaction itself has written its rows to local.'), 'sync', dualWriteModes),
  readFrom: choice(about('read_from', 'source', 'DESIGN §6', 'Side that answers reads in DUAL_WRITE and CUTOVER_READY; compare: the source answers, local is asked the same afterwards, and the answers are compared.'), 'local', readSides),
  comparePercent: percent(about('compare_percent', 'source', 'DESIGN §6', 'Part of the reads that read_from \'compare\' compares.'), 10),
  validationSample: fraction(about('validation_sample', 'source', 'spec §8.1', 'Part of the table that a validation compares; 1 is every chunk.'), 1),
  validationIntervalMs: intervalOr(about('validation_interval', 'source', 'spec §13.2', 'Validate again and again at this interval.'), 'never'),
  conflictStrategy: choice(
    about('conflict_strategy', 'source', 'spec §6.2, §8.1', 'What wins when local was changed by something other than the stream. Also spelled: timestamp, fail. Where the row of local wins it is written to the source.'),
    'source_wins', conflictStrategies, { timestamp: 'timestamp_wins', fail: 'fail_on_conflict', custom: 'custom_merge' },
  ),
  conflictTimestampColumn: name(about('conflict_timestamp_column', 'source', 'spec §13.2', 'Column that timestamp_wins compares.'), 'a column name'),
  conflictMergeFunction: qualifiedName(
    about('conflict_merge_function', 'source', 'spec §6.2', 'SQL function on local that custom_merge calls: (local jsonb, source jsonb) returns jsonb.'),
    'a function name, with or without a schema',
  ),
  maxErrors: integer(about('max_errors', 'source', 'spec §13.2', 'Rows that may fail to be written before the load stops with an error.'), 0, 0, 1_000_000_000),
  skipOnError: flag(about('skip_on_error', 'source', 'spec §13.2', 'Leave out and log rows that can\'t be written, up to max_errors.'), false),
  autoCutover: flag(about('auto_cutover', 'source', 'spec §13.2', 'Cut over by itself once the table is CUTOVER_READY.'), false),
  cutoverLagThresholdMs: seconds(about('cutover_lag_threshold', 'source', 'spec §13.2', 'Lag in seconds above which a cutover is refused.'), 5000, 3600),
  rollbackWindowMs: intervalOr(about('rollback_window', 'source', 'DESIGN §7', 'How long after a cutover the way back is kept open.'), 'unlimited'),
};

export const optionNames = Object.keys(optionTable) as readonly OptionName[];

const byWrittenName = new Map(optionNames.map((key) => [optionTable[key].name, key]));

/** `batch_size` → `batchSize` */
export function findOption(writtenName: string): OptionName | undefined {
  return byWrittenName.get(writtenName);
}

export const defaultOptions: MigrationOptions = Object.freeze(
  Object.fromEntries(optionNames.map((key) => [key, optionTable[key].default])) as unknown as MigrationOptions,
);

/**
 * What holds for a table: the statement's word before the source's, the source's before the configuration's, that before the
 * built-in. Throws MIG071 where options contradict each other.
 */
export function mergeOptions(globalDefaults: StatedOptions, sourceOptions: StatedOptions, statementOptions: StatedOptions): MigrationOptions {
  const merged: MigrationOptions = Object.freeze({ ...defaultOptions, ...globalDefaults, ...sourceOptions, ...statementOptions });
  const contradiction = findContradiction(merged);
  if (contradiction !== undefined) throw new MigrationError('MIG071', contradiction);
  return merged;
}

function findContradiction(options: MigrationOptions): string | undefined {
  if (options.conflictStrategy === 'timestamp_wins' && options.conflictTimestampColumn === null) {
    return "conflict_strategy 'timestamp_wins' needs conflict_timestamp_column";
  }
  if (options.conflictStrategy === 'custom_merge' && options.conflictMergeFunction === null) {
    return "conflict_strategy 'custom_merge' needs conflict_merge_function";
  }
  const schema = options.targetTable?.schema;
  if (schema !== undefined && options.targetSchema !== null && options.targetSchema !== schema) {
    return `target_schema and target_table name different schemas: ${options.targetSchema} and ${schema}`;
  }
  if (options.skipOnError && options.maxErrors === 0) return 'skip_on_error TRUE needs max_errors above 0: it says how many rows may be left out';
  const column = options.orderBy;
  if (column !== null && options.columns !== null && !options.columns.includes(column)) return `order_by names ${column}, which is not among columns`;
  return undefined;
}
