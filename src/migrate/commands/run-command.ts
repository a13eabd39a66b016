/** One migration statement, or a question to the catalog, from text to rows. */
import { parseMigration } from '../../../grammar/migration/parse.ts';
import { isMigrationText, rowCountsSource } from '../../../grammar/migration/recognise.ts';
import { gatewayListName, printStatement } from '../../../grammar/migration/print.ts';
import type { MigrationStatement, ShowGateway } from '../../../grammar/migration/statement.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { requireOperator } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { withClusterTables } from './cluster-tables.ts';
import { alterMigration } from './alter-migration.ts';
import { abort, complete, pause, resume, resync } from './control-tables.ts';
import { alterServer, alterSource, alterUserMapping, createServer, createSource, createUserMapping, dropServer, dropSource, dropUserMapping, showServers, showSources } from './servers.ts';
import { checkMigration, rowCounts, showConflicts, showErrors, showGroups, showHelp, showProgress, showWhy } from './show-lists.ts';
import { showGateway } from './show-gateway.ts';
import { showShadowReads } from './show-shadow-reads.ts';
import { showStatus } from './show-status.ts';
import { startMigration } from './start.ts';
import { cutoverTables, explainCutover, rollbackTables } from './switch-tables.ts';
import { acceptTypeLoss, showTypeLoss } from './type-losses.ts';
import { validate } from './validate.ts';

export interface CommandTexts {
  /** SELECT over SYS$ tables. */
  readonly queryCatalog: (sql: string) => Promise<Pick<SuccessfulAnswer, 'columns' | 'rows'>>;
  /** Lines of EXPLAIN ROUTE. */
  readonly explainRoute: (statement: string, searchPath: readonly string[]) => Promise<readonly string[]>;
}

export async function runCommand(context: CommandContext, texts: CommandTexts, sql: string): Promise<SuccessfulAnswer> {
  const counted = rowCountsSource(sql);
  if (counted !== undefined) return rowCounts(context, counted);
  if (!isMigrationText(sql)) {
    const { columns, rows } = await texts.queryCatalog(sql);
    return { ok: true, tag: `SELECT ${rows.length}`, columns, rows, notices: [] };
  }
  const statements = parseMigration(sql);
  const [first, ...rest] = statements;
  if (!first) throw new MigrationError('MIG070', 'there is no statement');
  if (rest.length > 0) throw new MigrationError('MIG070', 'one migration statement at a time', { hint: 'Send them one by one; psql does it with one statement per line.' });
  allow(context, first);
  return withClusterTables(context, first, () => runStatement(context, texts, first));
}

/** Who the other clients are and what they run is not for everybody. */
function isAboutGateway(statement: MigrationStatement): statement is ShowGateway {
  return statement.type.startsWith('gateway_');
}

/** What anyone may ask; everything else needs an operator. */
function isQuestion(statement: MigrationStatement): boolean {
  return statement.type.startsWith('show_') || statement.type.startsWith('explain_') || statement.type === 'check';
}

/** Throws MIG075. */
function allow(context: CommandContext, statement: MigrationStatement): void {
  // What the gateway has can be seen where migrations are switched off, too.
  if (isAboutGateway(statement)) requireOperator({ ...context, isOperator: context.connections.isExempt(context.actor.user) }, gatewayListName(statement));
  else if (!isQuestion(statement)) requireOperator(context, statement.type.replaceAll('_', ' ').toUpperCase());
  // Texts and rows of other clients.
  if (statement.type === 'show_shadow_reads' || statement.type === 'show_type_loss') requireOperator(context, printStatement({ ...statement, table: undefined }));
}

async function runStatement(context: CommandContext, texts: CommandTexts, statement: MigrationStatement): Promise<SuccessfulAnswer> {
  switch (statement.type) {
    case 'create_server': return createServer(context, statement);
    case 'alter_server': return alterServer(context, statement);
    case 'drop_server': return dropServer(context, statement);
    case 'create_user_mapping': return createUserMapping(context, statement);
    case 'alter_user_mapping': return alterUserMapping(context, statement);
    case 'drop_user_mapping': return dropUserMapping(context, statement);
    case 'create_source': return createSource(context, statement);
    case 'alter_source': return alterSource(context, statement);
    case 'drop_source': return dropSource(context, statement);
    case 'start': return startMigration(context, statement);
    case 'alter_migration': return alterMigration(context, statement);
    case 'accept_type_loss': return acceptTypeLoss(context, statement);
    case 'pause': return pause(context, statement);
    case 'resume': return resume(context, statement);
    case 'abort': return abort(context, statement);
    case 'validate': return validate(context, statement);
    case 'resync': return resync(context, statement);
    case 'complete': return complete(context, statement);
    case 'cutover': return cutoverTables(context, statement);
    case 'rollback': return rollbackTables(context, statement);
    case 'check': return checkMigration(context, statement);
    case 'explain_route': return table('EXPLAIN', [['ROUTE']], (await texts.explainRoute(statement.statement, context.searchPath)).map((line) => [line]));
    case 'explain_cutover': return explainCutover(context, statement);
    case 'show_status': return showStatus(context, statement);
    case 'show_progress': return showProgress(context, statement);
    case 'show_conflicts': return showConflicts(context, statement);
    case 'show_errors': return showErrors(context, statement);
    case 'show_sources': return showSources(context);
    case 'show_servers': return showServers(context);
    case 'show_groups': return showGroups(context);
    case 'show_why': return showWhy(context, statement);
    case 'show_shadow_reads': return showShadowReads(context, statement);
    case 'show_type_loss': return showTypeLoss(context, statement);
    case 'show_help': return showHelp(statement);
    case 'gateway_clients':
    case 'gateway_config':
    case 'gateway_databases':
    case 'gateway_lists':
    case 'gateway_pools':
    case 'gateway_servers':
    case 'gateway_stats': return showGateway(context, statement);
    default: return statement satisfies never;
  }
}
