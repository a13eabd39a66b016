/** START MIGRATION: checks everything first, then creates the migrations; what is refused changes nothing. */
import type { TableRecord } from '../../../catalog/records.ts';
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { firstRefusal } from '../../../cdc/postgres/preflight.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { mergeOptions } from '../../../grammar/migration/options.ts';
import type { MigrationOptions, StatedOptions } from '../../../grammar/migration/options.ts';
import type { StartMigration } from '../../../grammar/migration/statement.ts';
import type { TableName } from '../../../grammar/names.ts';
import type { SourceSide, TableMapping } from '../../../cdc/source-side.ts';
import type { PlanOptions } from '../../../cdc/postgres/plan-table.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { TableDefinition } from '../../../cdc/postgres/definition.ts';
import { behaviourOf } from '../behaviour-drift.ts';
import { afterCopyOfGrants, noteFindings, reviewRights, rightsFindings } from '../lost-rights.ts';
import { markingObstacle } from '../markable-table.ts';
import { displayName } from '../table-details.ts';
import { beginLosses } from '../type-losses.ts';
import { notice, table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { assertConflictStrategy } from './conflict-option.ts';
import { same, searchSchemas } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { RefusedTables } from './refused-tables.ts';
import { assertNameIsFree, assertNotAtHome } from './target-name.ts';
import type { CommandNotice } from '../fleet-messages.ts';

interface Intent {
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  readonly options: MigrationOptions;
  readonly definition: TableDefinition;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What the source and the options say of a table, before anything is checked. */
interface Draft {
  readonly name: QualifiedName;
  readonly planOptions: PlanOptions;
  readonly mapping: TableMapping;
  readonly definition: TableDefinition;
}

export async function startMigration(context: CommandContext, statement: StartMigration): Promise<SuccessfulAnswer> {
  const { catalog } = context;
  const source = await catalog.source(statement.source);
  if (!source) {
    const known = (await catalog.sources()).map((each) => each.name);
    throw new MigrationError('MIG072', `no migration source ${statement.source}`, { detail: `Sources: ${known.join(', ') || 'none'}.`, hint: 'CREATE MIGRATION SOURCE name FROM SERVER server; makes one.' });
  }
  if (!(await context.isServed(source.serverName))) {
    throw new MigrationError('MIG074', `server ${source.serverName} is not the database that this gateway stands in front of`, {
      detail: 'Statements for tables that have not been moved go to the source of the settings file; tables of another server could not be reached before they are moved.',
      hint: 'Start a gateway with that server as its source.',
    });
  }
  const { sourceSide } = await context.flow(source.serverName);
  const options = mergeOptions(usualOptions(context.defaults, sourceSide), source.options as StatedOptions, statement.options);
  refuseUnsupported(options, sourceSide);
  const names = await tablesToStart(context, source.serverName, statement);
  const notices: CommandNotice[] = [];
  const intents: Intent[] = [];
  const companions = [...names, ...(await catalog.tables()).map((record) => record.source)];
  const drafts: Draft[] = [];
  const refused = new RefusedTables(names.length);
  for (const name of names) drafts.push(...(await refused.note(name, () => draft(context, source.serverName, name, options))));
  if (drafts.length === names.length) assertColumnsOfTypeMap(statement.options, drafts);
  for (const each of drafts) intents.push(...(await refused.note(each.name, () => prepare(context, source.serverName, each, options, companions, notices))));
  refused.assertNone();
  const rights = await reviewRights(await context.flow(source.serverName), intents.map(({ source: from, target, definition: { columns } }) => ({ source: from, target, columns })));
  const stays = options.copyGrants ? rights.map(afterCopyOfGrants) : rights;
  for (const [at, intent] of intents.entries()) for (const { message, subject, remedy } of rightsFindings(intent.source, stays[at]?.lost ?? [])) notices.push(warning(`${subject} ${message}`, undefined, remedy));
  for (const { severity, message, subject, remedy } of noteFindings(intents.map((intent) => intent.source), rights)) notices.push((severity === 'warning' ? warning : notice)(`${subject} ${message}`, undefined, remedy));
  const records: TableRecord[] = [];
  for (const intent of intents) records.push(await begin(context, source.name, source.serverName, intent));
  await context.publisher.refreshRelations();
  await context.publisher.publish();
  for (const record of records) context.work.start(record.tableId);
  return table('START MIGRATION', [['Table'], ['State'], ['Source'], ['Next']],
    records.map((record) => [displayName(record.source), 'BULK_LOADING', source.name, 'SHOW MIGRATION STATUS;']), notices);
}

/** What nobody has said for this source: defaults for all sources count where they fit it. */
function usualOptions(defaults: StatedOptions, { accepts }: SourceSide): StatedOptions {
  const usual = <Value extends string>(stated: Value | undefined, fitting: readonly Value[]): Value | undefined => (stated !== undefined && fitting.includes(stated) ? stated : fitting[0]);
  const [cdcMode, dualWriteMode, conflictStrategy] = [usual(defaults.cdcMode, accepts.cdcMode), usual(defaults.dualWriteMode, accepts.dualWriteMode), usual(defaults.conflictStrategy, accepts.conflictStrategy)];
  return { ...defaults, ...(cdcMode && { cdcMode }), ...(dualWriteMode && { dualWriteMode }), ...(conflictStrategy && { conflictStrategy }) };
}

function refuseUnsupported(options: MigrationOptions, { engine, accepts, mapsTypes }: SourceSide): void {
  if (options.typeMap !== null && !mapsTypes) throw new MigrationError('MIG071', `type_map does not fit a ${engine} source`, { detail: 'Its columns have the same types on local.' });
  if (options.dualWriteMode === 'two_phase' && options.conflictStrategy !== 'source_wins') {
    throw new MigrationError('MIG071', `dual_write_mode 'two_phase' does not go together with conflict_strategy '${options.conflictStrategy}'`, { detail: 'What transactions of clients write to local is no conflict with the source.', hint: "Use 'source_wins', or dual_write_mode 'sync'." });
  }
  const refuse = (option: string, value: string, fitting: readonly string[]): void => {
    if (!fitting.includes(value)) throw new MigrationError('MIG071', `${option} '${value}' does not fit a ${engine} source`, { hint: `For a ${engine} source it is ${fitting.map((each) => `'${each}'`).join(' or ')}.` });
  };
  refuse('cdc_mode', options.cdcMode, accepts.cdcMode);
  refuse('dual_write_mode', options.dualWriteMode, accepts.dualWriteMode);
  refuse('conflict_strategy', options.conflictStrategy, accepts.conflictStrategy);
  if (options.whereClause !== null && !accepts.whereClause) throw new MigrationError('MIG071', `where_clause does not fit a ${engine} source`, { detail: 'The source would have to understand a predicate of PostgreSQL.' });
}

/** What this START says of types; a source's own words may be of tables that are started another time. */
function assertColumnsOfTypeMap({ typeMap }: StatedOptions, drafts: readonly Draft[]): void {
  const known = new Set(drafts.flatMap(({ definition }) => definition.columns.map((column) => column.name)));
  const unknown = (typeMap ?? []).flatMap(({ column }) => (column === undefined || known.has(column) ? [] : [column]));
  if (unknown.length === 0) return;
  const [first, ...others] = drafts;
  throw new MigrationError('MIG071', `type_map names ${unknown.join(', ')}, which ${first !== undefined && others.length === 0 ? `${displayName(first.name)} does not have or does not carry` : 'no table of this START has'}`, { detail: `Columns: ${[...known].join(', ')}.`, hint: 'Names are as on the source; one with capitals is written in double quotes.' });
}

async function tablesToStart(context: CommandContext, serverName: string, statement: StartMigration): Promise<readonly QualifiedName[]> {
  const flow = await context.flow(serverName);
  const { scope } = statement;
  if (scope.type === 'table') {
    const schemas = scope.table.schema === undefined ? searchSchemas(context) : [scope.table.schema];
    for (const schema of schemas) {
      const found = await flow.sourceSide.findTable({ schema, name: scope.table.name });
      if (found) return [{ schema, name: scope.table.name }];
    }
    throw new MigrationError('MIG010', `source table ${scope.table.schema === undefined ? '' : `${scope.table.schema}.`}${scope.table.name} not found`, { detail: `Looked in ${schemas.join(', ')} of server ${serverName}.` });
  }
  const listed = await flow.sourceSide.listTables(scope.type === 'schema' ? scope.schema : undefined);
  const running = await context.catalog.tables();
  const isNamed = (list: readonly TableName[], name: QualifiedName): boolean => list.some((each) => each.name === name.name && (each.schema === undefined || each.schema === name.schema));
  const unknown = [...statement.excluding, ...(statement.includingOnly ?? [])].filter((each) => !listed.some((name) => isNamed([each], name)));
  if (unknown.length > 0) throw new MigrationError('MIG010', `not a table of this scope: ${unknown.map((each) => each.name).join(', ')}`);
  const chosen = listed
    .filter((name) => !isNamed(statement.excluding, name) && (statement.includingOnly === undefined || isNamed(statement.includingOnly, name)))
    .filter((name) => !running.some((record) => same(record.source, name)));
  if (chosen.length === 0) throw new MigrationError('MIG010', scope.type === 'schema' ? `schema ${scope.schema} has no table that is not in migration already` : 'there is no table that is not in migration already');
  return chosen;
}

async function draft(context: CommandContext, serverName: string, name: QualifiedName, options: MigrationOptions): Promise<Draft> {
  const existing = (await context.catalog.tableByName(name.schema, name.name)) ?? (await context.catalog.clusterTables()).find(({ source }) => same(source, name));
  if (existing && existing.state !== 'NOT_STARTED') {
    throw new MigrationError('MIG073', `${displayName(name)} is in migration already (${existing.state})`, { hint: `SHOW MIGRATION STATUS FOR TABLE ${displayName(name)};` });
  }
  const flow = await context.flow(serverName);
  const planOptions: PlanOptions = {
    tableId: '',
    ...(options.columns === null ? {} : { columns: options.columns }),
    ...(options.whereClause === null ? {} : { whereClause: options.whereClause }),
    ...(options.targetSchema === null ? {} : { targetSchema: options.targetSchema }),
    ...(options.targetTable === null ? {} : { targetTable: options.targetTable.name, ...(options.targetTable.schema === undefined ? {} : { targetSchema: options.targetTable.schema }) }),
  };
  const mapping: TableMapping = { ...planOptions, ...(options.typeMap === null ? {} : { overrides: options.typeMap }) };
  return { name, planOptions, mapping, definition: await flow.sourceSide.introspectTable(name, mapping) };
}

async function prepare(context: CommandContext, serverName: string, { name, planOptions, mapping, definition }: Draft, options: MigrationOptions, companions: readonly QualifiedName[], notices: CommandNotice[]): Promise<Intent> {
  const flow = await context.flow(serverName);
  const plan = flow.sourceSide.planTable(definition, planOptions);
  await assertNameIsFree(flow, definition, plan);
  if (serverName !== context.homeServer && flow.sourceSide.door !== undefined) await assertNotAtHome(await context.flow(context.homeServer), plan);
  await assertConflictStrategy(flow, plan, options);
  if (options.dualWriteMode === 'two_phase') notices.push(...twoPhaseNotices(plan));
  const findings = await flow.localAdmin.use((local) => flow.sourceSide.preflight(local, { ...planOptions, ...mapping, table: name, companions }));
  const refusal = firstRefusal(findings, name);
  if (refusal) throw refusal;
  for (const finding of findings) if (finding.severity === 'warning') notices.push(warning(`${displayName(name)}: ${finding.message}`, undefined, finding.remedy));
  const { door } = flow.sourceSide;
  const translation = flow.sourceSide.migratedTable(definition, plan);
  const details = { plan, behaviour: behaviourOf(definition), ...(door === undefined ? {} : { door }), ...(translation === undefined ? {} : { translation }), partitions: definition.partitions.map(({ schema, name: partition }) => ({ schema, name: partition })) };
  return { source: plan.source, target: plan.target, options, definition, details };
}

/** With an obstacle of the table's own each of its writes is one that waits. */
function twoPhaseNotices(plan: TablePlan): readonly CommandNotice[] {
  const obstacle = markingObstacle(plan);
  return obstacle === undefined ? [] : [warning(`${displayName(plan.source)}: COMMITs wait for the change stream, as with dual_write_mode 'sync': ${obstacle}`)];
}

async function begin(context: CommandContext, sourceName: string, serverName: string, intent: Intent): Promise<TableRecord> {
  const { catalog, actor, runtime } = context;
  const created = await catalog.createTable({
    sourceServer: serverName, sourceName, source: intent.source, target: intent.target,
    options: intent.options as unknown as Readonly<Record<string, unknown>>, details: intent.details, startedBy: actor.user,
    audit: { action: 'MIGRATION_START', actor, sourceServer: serverName, details: { table: displayName(intent.source) } },
  });
  await beginLosses(context, await context.flow(serverName), created.tableId, intent.definition);
  const now = new Date(runtime.clock.now()).toISOString();
  const plan = { ...(intent.details['plan'] as object), tableId: created.tableId };
  await catalog.moveState(created.tableId, 'NOT_STARTED', 'BULK_LOADING', {
    trigger: 'START MIGRATION',
    route: { ddlBlocked: true, writesBlocked: intent.options.bulkLoadWrites === 'block' },
    change: { details: { ...intent.details, plan, startedAt: now } },
  });
  return (await catalog.table(created.tableId)) ?? created;
}

