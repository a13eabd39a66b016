/** Every statement there can be, for property tests. The record is closed: a new statement type fails to compile until it has one. */
import fc from 'fast-check';
import type { TableName } from '../../../grammar/names.ts';
import type { OptionPlace } from '../../../grammar/migration/option-kinds.ts';
import { cdcModes, conflictStrategies, dualWriteModes, optionNames, optionTable } from '../../../grammar/migration/options.ts';
import type { MigrationOptions, OptionName, StatedOptions } from '../../../grammar/migration/options.ts';
import { repairStrategies } from '../../../grammar/migration/statement.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import type { MappedUser, MigrationStatement, OptionChanges, ServerOptions, StatementType, UserMappingOptions } from '../../../grammar/migration/statement.ts';

/** Up to 15 characters: what is longer than 63 bytes would be cut when read. */
const name = fc.oneof(
  fc.constantFrom('orders', 'order', 'table', 'from', 'migration', 'force', 'public', 'all', 'current_user', 'user', 'mapping', 'Orders', 'a"b', 'a.b', "o'r", 'ü', '😀', 'a$1', ' ', '1a', '--', 'options', 'e', 'n', 'u&'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => new TextEncoder().encode(text).length <= 63 && !text.includes('\0')),
);
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((value) => !value.includes('\0') && value.isWellFormed());
const table: fc.Arbitrary<TableName> = fc.record({ schema: fc.option(name, { nil: undefined }), name });
const yes = fc.boolean();
const ms = fc.oneof(fc.integer({ min: 1, max: 10_000_000 }), fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000, 5_400_000));
const timeoutMs = fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined });
const predicate = fc.constantFrom('a > 1', "b = 'x;y'", 'c IN (1, 2) /* ) */', "d = E'\\\\' AND e[1] = 2", '"ü" IS NULL\n', 'a -- comment\n> 1');

const optionValues: { readonly [Name in OptionName]: fc.Arbitrary<NonNullable<MigrationOptions[Name]>> } = {
  targetSchema: name, targetTable: table, whereClause: predicate, columns: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
  batchSize: fc.integer({ min: 1, max: 10_000_000 }), parallelWorkers: fc.integer({ min: 1, max: 64 }), rateLimitRowsPerSecond: fc.nat(1_000_000_000),
  orderBy: name, bulkLoadWrites: fc.constantFrom('capture', 'block'), deferIndexes: yes, concurrentIndexes: yes, parallelIndexBuilders: fc.integer({ min: 1, max: 16 }),
  copyGrants: yes, cdcMode: fc.constantFrom(...cdcModes), cdcBatchSize: fc.integer({ min: 1, max: 1_000_000 }), dualWriteMode: fc.constantFrom(...dualWriteModes),
  readFrom: fc.constantFrom('local', 'source', 'compare'), comparePercent: fc.double({ min: Number.MIN_VALUE, max: 100, noNaN: true }), validationSample: fc.double({ min: Number.MIN_VALUE, max: 1, noNaN: true }), validationIntervalMs: ms,
  conflictStrategy: fc.constantFrom(...conflictStrategies), conflictTimestampColumn: name, conflictMergeFunction: table, maxErrors: fc.nat(1_000_000_000),
  typeMap: fc.constantFrom(...['born date ON zero_date NULL, "Odd, na""me" numeric(30, 4)', '* ON * CLAMP'].map((written) => readTypeOverrides(written) ?? [])),
  skipOnError: yes, autoCutover: yes, cutoverLagThresholdMs: fc.nat(3_600_000), rollbackWindowMs: ms,
};

/** Options that may be given as "none" as well. */
const nullable: readonly OptionName[] = ['validationIntervalMs', 'rollbackWindowMs'];

function stated(places: readonly OptionPlace[], minimum = 0): fc.Arbitrary<StatedOptions> {
  const names = optionNames.filter((option) => places.includes(optionTable[option].place));
  return fc.subarray([...names], { minLength: minimum }).chain((chosen) =>
    fc.record(Object.fromEntries(chosen.map((option) => [option, valueOf(option)]))) as fc.Arbitrary<StatedOptions>);
}

function valueOf(option: OptionName): fc.Arbitrary<unknown> {
  const value: fc.Arbitrary<unknown> = optionValues[option];
  return nullable.includes(option) ? fc.option(value) : value;
}

const serverValues: { readonly [Name in keyof ServerOptions]-?: fc.Arbitrary<NonNullable<ServerOptions[Name]>> } = {
  host: text, port: fc.integer({ min: 1, max: 65_535 }), dbname: text, sslmode: fc.constantFrom('disable', 'require', 'verify-ca', 'verify-full'),
  sslrootcert: text, sslcert: text, sslkey: text, application_name: text,
};
const mappingValues: { readonly [Name in keyof UserMappingOptions]-?: fc.Arbitrary<NonNullable<UserMappingOptions[Name]>> } = { user: text, password: text };

function changes<Options extends object>(values: Readonly<Record<string, fc.Arbitrary<unknown>>>, required: readonly string[]): fc.Arbitrary<OptionChanges<Options>> {
  return fc.record(Object.fromEntries(Object.entries(values).map(([key, value]): [string, fc.Arbitrary<readonly [string, unknown]>] =>
    [key, fc.tuple(fc.constantFrom('none', 'add', 'set', required.includes(key) ? 'set' : 'drop'), value)])))
    .map((all) => {
      const of = (verb: string): (readonly [string, readonly [string, unknown]])[] => Object.entries(all).filter(([, [chosen]]) => chosen === verb);
      const value = (verb: string): object => Object.fromEntries(of(verb).map(([key, [, given]]) => [key, given]));
      return { add: value('add'), set: value('set'), drop: of('drop').map(([key]) => key) } as unknown as OptionChanges<Options>;
    })
    .filter((change) => Object.keys(change.add).length + Object.keys(change.set).length + change.drop.length > 0);
}

const mappedUser: fc.Arbitrary<MappedUser> = fc.oneof(
  fc.record({ type: fc.constant('name' as const), name }), fc.constant({ type: 'current_user' as const }), fc.constant({ type: 'public' as const }),
);
const tableScope = fc.record({ type: fc.constant('table' as const), table });
const schemaScope = fc.record({ type: fc.constant('schema' as const), schema: name });
const groupScope = fc.record({ type: fc.constant('group' as const), table });
const allScope = fc.constant({ type: 'all' as const });
const scope = fc.oneof(tableScope, schemaScope, allScope);
const tables = fc.array(table, { minLength: 1, maxLength: 3 });

const of = <Type extends StatementType>(type: Type): fc.Arbitrary<Type> => fc.constant(type);

export const statementArbitraries: { readonly [Type in StatementType]: fc.Arbitrary<Extract<MigrationStatement, { type: Type }>> } = {
  create_server: fc.record({ type: of('create_server'), name, ifNotExists: yes, wrapper: fc.constant('postgres' as const), options: fc.record(serverValues, { requiredKeys: ['host', 'dbname'] }) }),
  alter_server: fc.record({ type: of('alter_server'), name, changes: changes<ServerOptions>(serverValues, ['host', 'dbname']) }),
  drop_server: fc.record({ type: of('drop_server'), name, ifExists: yes, cascade: yes }),
  create_user_mapping: fc.record({ type: of('create_user_mapping'), user: mappedUser, server: name, ifNotExists: yes, options: fc.record(mappingValues, { requiredKeys: ['user'] }) }),
  alter_user_mapping: fc.record({ type: of('alter_user_mapping'), user: mappedUser, server: name, changes: changes<UserMappingOptions>(mappingValues, ['user']) }),
  drop_user_mapping: fc.record({ type: of('drop_user_mapping'), user: mappedUser, server: name, ifExists: yes }),
  create_source: fc.record({ type: of('create_source'), name, ifNotExists: yes, server: name, options: stated(['source']) }),
  alter_source: fc.oneof(
    fc.record({ type: of('alter_source'), name, set: stated(['source'], 1), reset: fc.constant([]) }),
    fc.record({ type: of('alter_source'), name, set: fc.constant({}), reset: fc.subarray(optionNames.filter((option) => optionTable[option].place === 'source'), { minLength: 1 }) }),
  ),
  drop_source: fc.record({ type: of('drop_source'), name, ifExists: yes, cascade: yes }),
  start: fc.oneof(
    fc.record({ type: of('start'), scope: tableScope, source: name, options: stated(['table', 'start', 'source']), excluding: fc.constant([]), includingOnly: fc.constant(undefined) }),
    fc.record({ type: of('start'), scope: fc.oneof(schemaScope, allScope), source: name, options: stated(['start', 'source']), excluding: fc.oneof(fc.constant([]), tables), includingOnly: fc.option(tables, { nil: undefined }) }),
  ),
  alter_migration: fc.record({ type: of('alter_migration'), scope, set: fc.record({ comparePercent: optionValues.comparePercent, readFrom: optionValues.readFrom }, { requiredKeys: ['comparePercent'] }) }),
  accept_type_loss: fc.oneof(
    fc.record({ type: of('accept_type_loss'), scope: tableScope, column: fc.option(name, { nil: undefined }) }),
    fc.record({ type: of('accept_type_loss'), scope: fc.oneof(schemaScope, allScope), column: fc.constant(undefined) }),
  ),
  pause: fc.record({ type: of('pause'), scope }),
  resume: fc.record({ type: of('resume'), scope, acceptDdl: yes, skipRow: yes }),
  abort: fc.record({ type: of('abort'), scope }),
  validate: fc.record({
    type: of('validate'), scope, repair: fc.option(fc.constantFrom(...repairStrategies), { nil: undefined }),
    extent: fc.oneof(fc.constant({ type: 'default' as const }), fc.constant({ type: 'full' as const }), fc.record({ type: fc.constant('sample' as const), percent: fc.option(fc.double({ min: Number.MIN_VALUE, max: 100, noNaN: true }), { nil: undefined }) })),
  }),
  resync: fc.record({ type: of('resync'), table, where: fc.option(predicate, { nil: undefined }) }),
  complete: fc.record({ type: of('complete'), table }),
  cutover: fc.oneof(
    fc.record({ type: of('cutover'), scope: tableScope, split: yes, force: yes, noFence: yes, noRollback: yes, noGrants: yes, timeoutMs }),
    fc.record({ type: of('cutover'), scope: schemaScope, split: fc.constant(false), force: yes, noFence: yes, noRollback: yes, noGrants: yes, together: fc.constant(true as const), timeoutMs }),
    fc.record({ type: of('cutover'), scope: fc.oneof(schemaScope, groupScope, allScope), split: fc.constant(false), force: yes, noFence: yes, noRollback: yes, noGrants: yes, timeoutMs }),
  ),
  rollback: fc.oneof(
    fc.record({ type: of('rollback'), scope: fc.oneof(tableScope, schemaScope, groupScope), preserveLocalData: yes, timeoutMs }),
    fc.record({ type: of('rollback'), scope: schemaScope, preserveLocalData: yes, together: fc.constant(true as const), timeoutMs }),
  ),
  check: fc.record({ type: of('check'), scope: fc.oneof(tableScope, schemaScope), source: name }),
  // The offset is that of a statement printed alone.
  explain_route: fc.record({ type: of('explain_route'), statement: fc.constantFrom('SELECT 1', "select ';' -- x\n, (a;b)", '$1 + @x', 'EXPLAIN ROUTE x', '}'), offset: fc.constant('EXPLAIN ROUTE '.length) }),
  explain_cutover: fc.record({ type: of('explain_cutover'), table }),
  show_status: fc.record({ type: of('show_status'), table: fc.option(table, { nil: undefined }) }),
  show_progress: fc.record({ type: of('show_progress'), table, intervalMs: fc.option(ms, { nil: undefined }), lastMs: fc.option(ms, { nil: undefined }) }),
  show_conflicts: fc.record({ type: of('show_conflicts'), table: fc.option(table, { nil: undefined }), unresolved: yes, limit: fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }) }),
  show_errors: fc.record({ type: of('show_errors'), table: fc.option(table, { nil: undefined }), lastMs: fc.option(ms, { nil: undefined }) }),
  show_sources: fc.record({ type: of('show_sources') }),
  show_servers: fc.record({ type: of('show_servers') }),
  show_groups: fc.record({ type: of('show_groups') }),
  show_why: fc.record({ type: of('show_why'), table }),
  show_shadow_reads: fc.record({ type: of('show_shadow_reads'), table: fc.option(table, { nil: undefined }) }),
  show_type_loss: fc.record({ type: of('show_type_loss'), table: fc.option(table, { nil: undefined }) }),
  gateway_clients: fc.record({ type: of('gateway_clients') }),
  gateway_config: fc.record({ type: of('gateway_config') }),
  gateway_databases: fc.record({ type: of('gateway_databases') }),
  gateway_lists: fc.record({ type: of('gateway_lists') }),
  gateway_pools: fc.record({ type: of('gateway_pools') }),
  gateway_servers: fc.record({ type: of('gateway_servers') }),
  gateway_stats: fc.record({ type: of('gateway_stats') }),
  show_help: fc.record({ type: of('show_help'), topic: fc.constantFrom(undefined, 'cutover', 'cutover table', "it's") }),
};

export const anyStatement: fc.Arbitrary<MigrationStatement> = fc.oneof(...Object.values(statementArbitraries));
