/** SHOW MIGRATION PROGRESS, CONFLICTS, ERRORS, GROUPS, WHY, HELP; CHECK MIGRATION; EXPLAIN ROUTE; MIGRATION_ROW_COUNTS. */
import type { TableRecord } from '../../../catalog/records.ts';
import type { Finding } from '../../../cdc/postgres/finding.ts';
import { sortFindings } from '../../../cdc/postgres/preflight.ts';
import { quoteTable } from '../../../cdc/postgres/quote.ts';
import { errorKinds, MigrationError } from '../../../config/migration-error.ts';
import { helpRows } from '../../../grammar/migration/help.ts';
import type { StatedOptions } from '../../../grammar/migration/options.ts';
import type { CheckMigration, ShowConflicts, ShowErrors, ShowHelp, ShowProgress, ShowWhy } from '../../../grammar/migration/statement.ts';
import { describeState, statesOf } from '../make-dependants.ts';
import { detailsOf, displayName } from '../table-details.ts';
import { afterCopyOfGrants, noteFindings, reviewRights, rightsFindings } from '../lost-rights.ts';
import type { RightsTable } from '../lost-rights.ts';
import { nextStep, tableStatus } from '../table-status.ts';
import { describeLoss, lossRemedy, openLosses } from '../type-losses.ts';
import { table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { allTables, findAnyRecord, findRecord, same } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { lagText, percentText } from './format.ts';

const DEFAULT_BUCKETS = 24;
const DEFAULT_LIMIT = 100;

export async function showProgress(context: CommandContext, statement: ShowProgress): Promise<SuccessfulAnswer> {
  const record = await findAnyRecord(context, statement.table);
  const sinceStart = Math.max(60_000, context.runtime.clock.now() - Date.parse(record.createdAt));
  const lastMs = statement.lastMs ?? sinceStart;
  const intervalMs = statement.intervalMs ?? Math.max(1000, Math.ceil(lastMs / DEFAULT_BUCKETS));
  const buckets = await context.catalog.progress({ tableId: record.tableId, intervalMs, lastMs });
  return table('SHOW', [['Time', 'timestamptz'], ['State'], ['Progress'], ['Rows', 'int8'], ['CDC Lag'], ['Pending', 'int8'], ['Applied', 'int8']],
    buckets.map((bucket) => [bucket.from, bucket.state, percentText(bucket.rowsMigrated, bucket.rowsTotal), bucket.rowsMigrated, lagText(bucket.maxLagMs), bucket.pendingChanges, bucket.appliedChanges]));
}

export async function showConflicts(context: CommandContext, statement: ShowConflicts): Promise<SuccessfulAnswer> {
  const record = statement.table === undefined ? undefined : await findAnyRecord(context, statement.table);
  const names = new Map((await allTables(context)).map((each) => [each.tableId, displayName(each.source)]));
  const found = await context.catalog.conflicts({ ...(record === undefined ? {} : { tableId: record.tableId }), unresolved: statement.unresolved, limit: statement.limit ?? DEFAULT_LIMIT });
  return table('SHOW', [['Table'], ['Key', 'json'], ['Local', 'json'], ['Source', 'json'], ['Resolution'], ['Detected', 'timestamptz'], ['Resolved', 'timestamptz']],
    found.map((each) => [names.get(each.tableId) ?? each.tableId, JSON.stringify(each.primaryKey), json(each.localValues), json(each.remoteValues), each.strategy, each.detectedAt, each.resolvedAt]));
}

function json(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

export async function showErrors(context: CommandContext, statement: ShowErrors): Promise<SuccessfulAnswer> {
  const record = statement.table === undefined ? undefined : await findAnyRecord(context, statement.table);
  const names = new Map((await allTables(context)).map((each) => [each.tableId, displayName(each.source)]));
  const found = await context.catalog.errors({ ...(record === undefined ? {} : { tableId: record.tableId }), ...(statement.lastMs === undefined ? {} : { sinceMs: context.runtime.clock.now() - statement.lastMs }), limit: DEFAULT_LIMIT });
  return table('SHOW', [['Time', 'timestamptz'], ['Table'], ['Code'], ['Category'], ['Message'], ['Row'], ['Detail'], ['Next']],
    found.map((each) => [each.createdAt, each.tableId === undefined ? undefined : names.get(each.tableId), each.code, each.category, each.message, each.rowKey, each.sourceError, errorKinds[each.code].hint]));
}

export async function showGroups(context: CommandContext): Promise<SuccessfulAnswer> {
  const records = await context.catalog.tables();
  const flow = await context.flow(context.homeServer);
  const groups = await flow.sourceSide.tableGroups();
  const alone = records.filter((record) => !groups.some((group) => group.tables.some((name) => same(name, record.source)))).map((record) => ({ tables: [record.source], ties: [] }));
  const rows = [...groups, ...alone].flatMap((group, index) => group.tables.map((name) => {
    const record = records.find((each) => same(each.source, name));
    const ties = group.ties.filter((tie) => same(tie.a, name) || same(tie.b, name)).map((tie) => `${tie.reason.replace('_', ' ')} ${tie.name}`);
    return [index + 1, displayName(name), record?.state ?? 'NOT_STARTED', [...new Set(ties)].join(', ')] as const;
  }));
  return table('SHOW', [['Group', 'int8'], ['Table'], ['State'], ['Tied by']], rows);
}

export async function showWhy(context: CommandContext, statement: ShowWhy): Promise<SuccessfulAnswer> {
  const record = await findRecord(context, statement.table);
  const { stream } = await tableStatus(context, record);
  const rows: (readonly [string, string])[] = [];
  if (record.state === 'ERROR' || record.lastError !== undefined) {
    const [last] = await context.catalog.errors({ tableId: record.tableId, limit: 1 });
    rows.push([`${record.lastError ?? last?.message ?? 'an error'}${last?.sourceError === undefined ? '' : ` (${last.sourceError})`}`, last === undefined ? '' : errorKinds[last.code].hint]);
  }
  if (stream?.error) rows.push([stream.error.message, stream.error instanceof MigrationError ? stream.error.hint : '']);
  if (stream && stream.mode !== 'shared' && !stream.needsResync && record.state !== 'BULK_LOADING') rows.push([`its changes are ${stream.mode}; ${stream.pendingChanges} wait to be applied`, 'wait, or look at what slows local down']);
  if (detailsOf(record).readsHeld === true && record.route.writes === 'source') rows.push(['reads stay on the source: users may not read the table on local as there', `CHECK MIGRATION FOR TABLE ${displayName(record.source)} FROM ${record.sourceName}; names the GRANTs`]);
  if (stream && stream.pendingRereads > 0) rows.push([`${stream.pendingRereads} rows are to be read again from the source`, 'wait']);
  if (stream && stream.pendingWritebacks > 0) {
    rows.push([`${stream.pendingWritebacks} rows that won a conflict on local are to be written to the source`, `wait; SHOW MIGRATION ERRORS FOR TABLE ${displayName(record.source)} tells what is in the way`]);
  }
  const validation = await context.catalog.lastValidation(record.tableId);
  if (record.state === 'DUAL_WRITE') rows.push([validation?.passed === false ? `the last validation found ${validation.mismatchedRows} rows that differ` : 'every chunk has to be validated before a cutover', nextStep(record)]);
  if (record.route.writes === 'source' && record.state !== 'BULK_LOADING') rows.push(...(await whyDependants(context, record)));
  if (record.route.writes === 'source' && record.state !== 'NOT_STARTED') {
    const losses = await openLosses(context.catalog, await context.flow(record.sourceServer), record.tableId);
    rows.push(...losses.map((loss) => [`a loss that nobody has accepted: ${describeLoss(loss)}`, lossRemedy(displayName(record.source))] as const));
  }
  if (rows.length === 0 || record.state === 'BULK_LOADING') rows.push([`the table is ${record.state}`, nextStep(record)]);
  return table('SHOW', [['Why'], ['Next']], rows);
}

/** What would make the table behave differently on local: it stands in the way of the cutover. */
async function whyDependants(context: CommandContext, record: TableRecord): Promise<(readonly [string, string])[]> {
  const flow = await context.flow(record.sourceServer);
  const states = statesOf(await flow.schema.dependants.review(await context.catalog.tables()), record);
  return states.filter(({ status }) => status !== 'present').map((state) => [`not on local as on the source: ${describeState(state)}`, 'create it on local as it is on the source'] as const);
}

export function showHelp(statement: ShowHelp): SuccessfulAnswer {
  return table('SHOW', [['Topic'], ['Syntax'], ['Description']], helpRows(statement.topic).map((row) => [row.topic, row.syntax, row.description]));
}

export async function checkMigration(context: CommandContext, statement: CheckMigration): Promise<SuccessfulAnswer> {
  const source = await context.catalog.source(statement.source);
  if (!source) throw new MigrationError('MIG072', `no migration source ${statement.source}`);
  const flow = await context.flow(source.serverName);
  const { scope } = statement;
  const names = scope.type === 'schema'
    ? await flow.sourceSide.listTables(scope.schema)
    : [{ schema: scope.table.schema ?? 'public', name: scope.table.name }];
  if (names.length === 0) throw new MigrationError('MIG010', 'there is no table to check');
  const records = await context.catalog.tables();
  const companions = [...names, ...records.map((record) => record.source)];
  const rows: (readonly (string | undefined)[])[] = [];
  const checked: { readonly table: RightsTable; readonly findings: Finding[] }[] = [];
  for (const name of names) {
    const definition = await flow.sourceSide.findTable(name);
    if (!definition) throw new MigrationError('MIG010', `source table ${displayName(name)} not found`);
    const findings = await flow.localAdmin.use((local) => flow.sourceSide.preflight(local, { tableId: '', table: name, companions }));
    checked.push({ table: { source: name, target: records.find((record) => same(record.source, name))?.target ?? name, columns: definition.columns }, findings: [...findings] });
  }
  // As START would without options of its own.
  const isCarried = (source.options as StatedOptions).copyGrants ?? context.defaults.copyGrants ?? false;
  const rights = await reviewRights(flow, checked.map(({ table: each }) => each));
  for (const [at, { table: { source: name }, findings }] of checked.entries()) {
    const found = rights[at] ?? { lost: [], notes: [] };
    const record = records.find((each) => same(each.source, name));
    const isToCome = record === undefined || record.state === 'NOT_STARTED' ? isCarried : record.options['copyGrants'] === true && detailsOf(record).indexesBuilt !== true;
    findings.push(...rightsFindings(name, (isToCome ? afterCopyOfGrants(found) : found).lost));
    for (const finding of sortFindings(findings)) rows.push([displayName(name), finding.severity, finding.errorCode ?? finding.code, finding.subject, finding.message, finding.remedy]);
    if (findings.length === 0) rows.push([displayName(name), 'ok', undefined, undefined, 'nothing stands in the way', `START MIGRATION FOR TABLE ${displayName(name)} FROM ${statement.source};`]);
  }
  for (const { tables, severity, code, subject, message, remedy } of noteFindings(checked.map(({ table: { source: name } }) => name), rights)) rows.push([tables, severity, code, subject, message, remedy]);
  return table('CHECK MIGRATION', [['Table'], ['Severity'], ['Code'], ['Subject'], ['Finding'], ['Remedy']], rows);
}

/** SELECT * FROM MIGRATION_ROW_COUNTS(source) (specification §8.4): counted now, on both sides. */
export async function rowCounts(context: CommandContext, sourceName: string): Promise<SuccessfulAnswer> {
  const source = await context.catalog.source(sourceName);
  if (!source) throw new MigrationError('MIG072', `no migration source ${sourceName}`);
  const flow = await context.flow(source.serverName);
  const records = (await context.catalog.tables()).filter((record) => record.sourceName === sourceName);
  const rows: (readonly [string, string, string, string])[] = [];
  for (const record of records) {
    const sql = (name: typeof record.source): string => `SELECT count(*)::text AS n FROM ${quoteTable(name)}`;
    const [local, remote] = await Promise.all([
      flow.localAdmin.use((client) => client.query<{ n: string }>(sql(record.target))).then((result) => result.rows[0]?.n ?? '0', () => '-'),
      flow.sourceSide.countRows(record.source),
    ]);
    rows.push([displayName(record.source), local, remote, local === remote ? 'Yes' : 'No']);
  }
  return table('SELECT', [['Table'], ['Local Count', 'int8'], ['Remote Count', 'int8'], ['Match']], rows);
}
