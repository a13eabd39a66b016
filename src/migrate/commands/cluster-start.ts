/** START MIGRATION and CHECK MIGRATION for tables of a cluster: everything is checked before anything is begun. */
import type { SourceRecord } from '../../../catalog/records.ts';
import { listTables } from '../../../cdc/cassandra/table.ts';
import type { TableName as ClusterTableName } from '../../../cdc/cassandra/table.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { optionTable } from '../../../grammar/migration/options.ts';
import type { OptionName, StatedOptions } from '../../../grammar/migration/options.ts';
import type { CheckMigration, StartMigration } from '../../../grammar/migration/statement.ts';
import { checkClusterTable } from '../clusters/check-cluster-table.ts';
import type { ClusterFinding } from '../clusters/check-cluster-table.ts';
import { withoutEpoch } from '../clusters/cluster-context.ts';
import type { ClusterMigrations } from '../clusters/cluster-migrations.ts';
import { table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { searchSchemas } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

/** What there is to say of a copy cell by cell; the others are about rows, schemas and streams of databases. */
const fitting: ReadonlySet<OptionName> = new Set<OptionName>(['batchSize', 'parallelWorkers', 'rateLimitRowsPerSecond', 'dualWriteMode']);

export async function startClusters(context: CommandContext, clusters: ClusterMigrations, statement: StartMigration, source: SourceRecord): Promise<SuccessfulAnswer> {
  const { catalog, actor, runtime } = context;
  const options = fittingOptions(source, statement.options);
  const names = await namesOf(context, clusters, statement);
  const found = await Promise.all(names.map((name) => checkClusterTable(clusters.context, name)));
  refuseErrors(names, found);
  const rows: (readonly string[])[] = [];
  for (const { keyspace, name } of names) {
    const qualified = { schema: keyspace, name };
    // Of a START that was killed before it had begun.
    for (const left of await catalog.clusterTables()) if (left.state === 'NOT_STARTED' && left.source.schema === keyspace && left.source.name === name) await catalog.endTable(left.tableId, 'NOT_STARTED');
    const { tableId } = await catalog.createTable({
      sourceServer: source.serverName, sourceName: source.name, source: qualified, target: qualified, options: options as Readonly<Record<string, unknown>>, details: { startedAt: new Date(runtime.clock.now()).toISOString() }, startedBy: actor.user,
      audit: { action: 'MIGRATION_START', actor, sourceServer: source.serverName, details: { table: `${keyspace}.${name}` } },
    });
    await catalog.moveState(tableId, 'NOT_STARTED', 'BULK_LOADING', { trigger: 'START MIGRATION', ...withoutEpoch });
    clusters.work.start(tableId);
    rows.push([`${keyspace}.${name}`, 'BULK_LOADING', source.name, 'SHOW MIGRATION STATUS;']);
  }
  const notices = found.flat().flatMap(({ severity, subject, message, remedy }) => (severity === 'warning' ? [warning(`${subject} ${message}`, undefined, remedy)] : []));
  return table('START MIGRATION', [['Table'], ['State'], ['Source'], ['Next']], rows, notices);
}

function fittingOptions(source: SourceRecord, stated: StatedOptions): StatedOptions {
  const merged: StatedOptions = { dualWriteMode: 'async', ...(source.options as StatedOptions), ...stated };
  for (const name of Object.keys(merged) as OptionName[]) {
    if (!fitting.has(name)) throw new MigrationError('MIG071', `${optionTable[name].name} does not fit a table of a cluster`, { hint: `Those that do: ${[...fitting].map((each) => optionTable[each].name).join(', ')}.` });
  }
  if (merged.dualWriteMode === 'two_phase') throw new MigrationError('MIG071', "dual_write_mode 'two_phase' does not fit a table of a cluster", { hint: "'async' (DualAsync, the default) or 'sync' (DualSync)." });
  return merged;
}

async function namesOf(context: CommandContext, clusters: ClusterMigrations, { scope, excluding, includingOnly }: StartMigration): Promise<readonly ClusterTableName[]> {
  const running = (await context.catalog.clusterTables()).filter(({ state }) => state !== 'NOT_STARTED');
  if (scope.type === 'all') throw new MigrationError('MIG071', 'a cluster has keyspaces of its own among the others', { hint: 'START MIGRATION FOR SCHEMA keyspace FROM …, one keyspace at a time.' });
  if (scope.type === 'table') {
    const name = { keyspace: keyspaceOf(context, scope.table.schema), name: scope.table.name };
    const existing = running.find(({ source }) => source.schema === name.keyspace && source.name === name.name);
    if (existing) throw new MigrationError('MIG073', `${name.keyspace}.${name.name} is in migration already (${existing.state})`, { hint: `SHOW MIGRATION STATUS FOR TABLE ${name.keyspace}.${name.name};` });
    return [name];
  }
  const listed = await listTables((await clusters.context.connections.clusters()).source, scope.schema);
  const unknown = [...excluding, ...(includingOnly ?? [])].filter(({ name }) => !listed.includes(name));
  if (unknown.length > 0) throw new MigrationError('MIG010', `not a table of this scope: ${unknown.map(({ name }) => name).join(', ')}`);
  const chosen = listed.filter((name) => !excluding.some((each) => each.name === name) && (includingOnly === undefined || includingOnly.some((each) => each.name === name)))
    .filter((name) => !running.some(({ source }) => source.schema === scope.schema && source.name === name));
  if (chosen.length === 0) throw new MigrationError('MIG010', `keyspace ${scope.schema} has no table that is not in migration already`);
  return chosen.map((name) => ({ keyspace: scope.schema, name }));
}

/** A session's search_path is of schemas; where it names one thing, that may be meant for a keyspace. */
function keyspaceOf(context: CommandContext, stated: string | undefined): string {
  if (stated !== undefined) return stated;
  const [only, ...others] = searchSchemas(context);
  if (only !== undefined && others.length === 0 && only !== 'public') return only;
  throw new MigrationError('MIG071', 'a table of a cluster needs its keyspace', { hint: 'keyspace.table' });
}

function refuseErrors(names: readonly ClusterTableName[], found: readonly (readonly ClusterFinding[])[]): void {
  const errors = found.flatMap((findings) => findings.filter(({ severity }) => severity === 'error'));
  const [first] = errors;
  if (!first) return;
  const all = errors.map(({ subject, message }) => `${subject}: ${message}`).join('\n');
  throw new MigrationError(first.code, names.length === 1 ? `${first.subject}: ${first.message}` : 'nothing was started: some tables stand in the way', { tableName: first.subject, detail: all, hint: first.remedy });
}

export async function checkClusters(context: CommandContext, clusters: ClusterMigrations, { scope, source }: CheckMigration): Promise<SuccessfulAnswer> {
  const names = scope.type === 'table' ? [{ keyspace: keyspaceOf(context, scope.table.schema), name: scope.table.name }]
    : (await listTables((await clusters.context.connections.clusters()).source, scope.schema)).map((name) => ({ keyspace: scope.schema, name }));
  if (names.length === 0) throw new MigrationError('MIG010', 'there is no table to check');
  const rows: (readonly (string | undefined)[])[] = [];
  for (const { keyspace, name } of names) {
    const findings = await checkClusterTable(clusters.context, { keyspace, name });
    for (const { severity, code, subject, message, remedy } of findings) rows.push([`${keyspace}.${name}`, severity, code, subject, message, remedy]);
    if (findings.length === 0) rows.push([`${keyspace}.${name}`, 'ok', undefined, undefined, 'nothing stands in the way', `START MIGRATION FOR TABLE ${keyspace}.${name} FROM ${source};`]);
  }
  return table('CHECK MIGRATION', [['Table'], ['Severity'], ['Code'], ['Subject'], ['Finding'], ['Remedy']], rows);
}
