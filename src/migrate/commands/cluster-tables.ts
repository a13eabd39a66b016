/** The statements of the migration language for tables of Cassandra and ScyllaDB clusters. Which statement is about one is decided here, once: by its source's server, or by the table's name. */
import type { TableRecord } from '../../../catalog/records.ts';
import { clusterWrapper } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { printStatement } from '../../../grammar/migration/print.ts';
import type { MigrationStatement } from '../../../grammar/migration/statement.ts';
import type { TableName } from '../../../grammar/names.ts';
import type { ClusterMigrations } from '../clusters/cluster-migrations.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { checkClusters, startClusters } from './cluster-start.ts';
import { abortClusters, completeClusterTable, cutOverClusters, explainClusterCutover, pauseClusters, resumeClusters, resyncCluster, rollBackClusters, validateClusters } from './cluster-control.ts';
import { clusterStatusRows, showClusterTable, showClusterWhy } from './cluster-show.ts';
import { searchSchemas } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

/** `others` answers for tables of databases; it is not asked where all the statement's tables are of clusters. */
export async function withClusterTables(context: CommandContext, statement: MigrationStatement, others: () => Promise<SuccessfulAnswer>): Promise<SuccessfulAnswer> {
  if (statement.type === 'start' || statement.type === 'check') {
    const source = await context.catalog.source(statement.source);
    const server = source && (await context.catalog.server(source.serverName));
    if (!source || server?.wrapper !== clusterWrapper) return others();
    return statement.type === 'start' ? startClusters(context, clustersOf(context), statement, source) : checkClusters(context, clustersOf(context), statement);
  }
  const records = await context.catalog.clusterTables();
  if (records.length === 0) return others();
  if (statement.type === 'show_status' && statement.table === undefined) return joined(await others(), await clusterStatusRows(context, records));
  const { chosen, isAll } = await choose(context, statement, records);
  if (isAll) return joined(await others(), await run(context, statement, records));
  return chosen.length === 0 ? others() : run(context, statement, chosen);
}

function clustersOf({ clusters }: CommandContext): ClusterMigrations {
  if (clusters) return clusters;
  throw new MigrationError('MIG074', 'the settings have no section cql: no CQL proxy runs here', { hint: 'Put it back, and start the gateway again.' });
}

/** Statements about what the catalog alone knows are no one's in particular. */
async function choose(context: CommandContext, statement: MigrationStatement, records: readonly TableRecord[]): Promise<{ readonly chosen: readonly TableRecord[]; readonly isAll: boolean }> {
  const named = (table: TableName): readonly TableRecord[] => {
    const schemas = table.schema === undefined ? searchSchemas(context) : [table.schema];
    return records.filter(({ source }) => source.name === table.name && schemas.includes(source.schema));
  };
  switch (statement.type) {
    case 'complete': case 'resync': case 'explain_cutover': case 'show_why':
      return { chosen: named(statement.table), isAll: false };
    case 'show_status': case 'show_shadow_reads': case 'show_type_loss':
      return { chosen: statement.table === undefined ? [] : named(statement.table), isAll: false };
    case 'pause': case 'resume': case 'abort': case 'validate': case 'cutover': case 'rollback': case 'alter_migration': case 'accept_type_loss':
      break;
    default:
      return { chosen: [], isAll: false };
  }
  const { scope } = statement;
  if (scope.type === 'all') return { chosen: [], isAll: statement.type !== 'alter_migration' && statement.type !== 'accept_type_loss' };
  if (scope.type !== 'schema') return { chosen: named(scope.table), isAll: false };
  const ofSchema = records.filter(({ source }) => source.schema === scope.schema);
  const ofDatabase = (await context.catalog.tables()).find(({ source }) => source.schema === scope.schema);
  if (ofSchema.length > 0 && ofDatabase !== undefined) throw new MigrationError('MIG074', `${scope.schema} is a schema with tables in migration and a keyspace with such`, { hint: 'Name the tables one by one.' });
  return { chosen: ofSchema, isAll: false };
}

async function run(context: CommandContext, statement: MigrationStatement, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  const [record] = records;
  if (!record) throw new MigrationError('MIG072', 'no table of a cluster is in migration');
  switch (statement.type) {
    case 'show_status': return showClusterTable(context, record);
    case 'show_why': return showClusterWhy(context, record);
    case 'pause': return pauseClusters(context, clustersOf(context), statement, records);
    case 'resume': return resumeClusters(context, clustersOf(context), statement, records);
    case 'abort': return abortClusters(context, clustersOf(context), statement, records);
    case 'validate': return validateClusters(context, clustersOf(context), statement, records);
    case 'cutover': return cutOverClusters(context, clustersOf(context), statement, records);
    case 'rollback': return rollBackClusters(context, clustersOf(context), statement, records);
    case 'complete': return completeClusterTable(clustersOf(context), record);
    case 'resync': return resyncCluster(context, clustersOf(context), statement, record);
    case 'explain_cutover': return explainClusterCutover(clustersOf(context), record);
    default: throw new MigrationError('MIG071', `${printStatement(statement)} does not fit a table of a cluster`, { hint: 'docs/cql-operations.md lists the statements that do.' });
  }
}

/** Both answers are lists of tables with the same columns. */
function joined(first: SuccessfulAnswer, second: SuccessfulAnswer): SuccessfulAnswer {
  const rows = [...first.rows, ...second.rows];
  return { ...first, rows, tag: `${first.tag.replace(/ \d+$/, '')} ${rows.length}`, notices: [...first.notices, ...second.notices] };
}
