/** Statements → canonical text, one line, that parses back to the same value. Passwords are masked unless asked for. */
import { displayName, quoteLiteral } from '../names.ts';
import type { TableName } from '../names.ts';
import { formatInterval } from './interval.ts';
import type { OptionKind } from './option-kinds.ts';
import { optionTable } from './options.ts';
import type { OptionName, StatedOptions } from './options.ts';
import { isReservedWord } from '../reserved-words.ts';
import { mask, serverOptionTable, userMappingOptionTable } from './server-options.ts';
import type { GroupScope, MappedUser, MigrationStatement, OptionChanges, Scope, ShowGateway } from './statement.ts';

/** `show` is for tests and for storing; whatever is logged, audited or sent to a client is printed with `mask`. */
export type Secrets = 'mask' | 'show';

export function printStatement(statement: MigrationStatement, secrets: Secrets = 'mask'): string {
  return words(...parts(statement, secrets));
}

function parts(statement: MigrationStatement, secrets: Secrets): readonly (string | false)[] {
  switch (statement.type) {
    case 'create_server':
      return ['CREATE SERVER', statement.ifNotExists && 'IF NOT EXISTS', name(statement.name), 'FOREIGN DATA WRAPPER', statement.wrapper, optionList(written(serverOptionTable, statement.options, 'show'))];
    case 'alter_server':
      return ['ALTER SERVER', name(statement.name), changeList(serverOptionTable, statement.changes, 'show')];
    case 'drop_server':
      return ['DROP SERVER', statement.ifExists && 'IF EXISTS', name(statement.name), statement.cascade && 'CASCADE'];
    case 'create_user_mapping':
      return ['CREATE USER MAPPING', statement.ifNotExists && 'IF NOT EXISTS', 'FOR', user(statement.user), 'SERVER', name(statement.server), optionList(written(userMappingOptionTable, statement.options, secrets))];
    case 'alter_user_mapping':
      return ['ALTER USER MAPPING FOR', user(statement.user), 'SERVER', name(statement.server), changeList(userMappingOptionTable, statement.changes, secrets)];
    case 'drop_user_mapping':
      return ['DROP USER MAPPING', statement.ifExists && 'IF EXISTS', 'FOR', user(statement.user), 'SERVER', name(statement.server)];
    case 'create_source':
      return ['CREATE MIGRATION SOURCE', statement.ifNotExists && 'IF NOT EXISTS', name(statement.name), 'FROM SERVER', name(statement.server), stated(statement.options)];
    case 'alter_source':
      return ['ALTER MIGRATION SOURCE', name(statement.name), alteration(statement.set, statement.reset)];
    case 'drop_source':
      return ['DROP MIGRATION SOURCE', statement.ifExists && 'IF EXISTS', name(statement.name), statement.cascade && 'CASCADE'];
    default:
      return controlParts(statement);
  }
}

type Definition =
  | 'create_server' | 'alter_server' | 'drop_server' | 'create_user_mapping' | 'alter_user_mapping' | 'drop_user_mapping'
  | 'create_source' | 'alter_source' | 'drop_source';

function controlParts(statement: Exclude<MigrationStatement, { type: Definition }>): readonly (string | false)[] {
  switch (statement.type) {
    case 'start':
      return [
        'START MIGRATION', scope(statement.scope), 'FROM', name(statement.source),
        statement.excluding.length > 0 && `EXCLUDING ${tableList(statement.excluding)}`,
        statement.includingOnly !== undefined && `INCLUDING ONLY ${tableList(statement.includingOnly)}`, stated(statement.options),
      ];
    case 'alter_migration': return ['ALTER MIGRATION', scope(statement.scope), alteration(statement.set, [])];
    case 'accept_type_loss': return ['ALTER MIGRATION', scope(statement.scope), 'ACCEPT TYPE LOSS', statement.column !== undefined && `FOR COLUMN ${name(statement.column)}`];
    case 'pause': return ['PAUSE MIGRATION', scope(statement.scope)];
    case 'resume': return ['RESUME MIGRATION', scope(statement.scope), statement.acceptDdl && 'ACCEPT DDL', statement.skipRow && 'SKIP ROW'];
    case 'abort': return ['ABORT MIGRATION', scope(statement.scope)];
    case 'validate':
      return [
        'VALIDATE MIGRATION', scope(statement.scope), statement.extent.type === 'full' && 'FULL',
        statement.extent.type === 'sample' && `SAMPLE${statement.extent.percent === undefined ? '' : ` ${statement.extent.percent}`}`, statement.repair !== undefined && `REPAIR ${statement.repair.toUpperCase()}`,
      ];
    case 'resync': return ['RESYNC MIGRATION FOR TABLE', table(statement.table), statement.where !== undefined && `WHERE ${quoteLiteral(statement.where)}`];
    case 'complete': return ['COMPLETE MIGRATION FOR TABLE', table(statement.table)];
    case 'cutover':
      return [
        'CUTOVER', scope(statement.scope, ''), statement.together === true && 'TOGETHER', statement.split && 'SPLIT', statement.force && 'FORCE', statement.noFence && 'NO FENCE',
        statement.noRollback && 'NO ROLLBACK', statement.noGrants && 'NO GRANTS', timeout(statement.timeoutMs),
      ];
    case 'rollback':
      return ['ROLLBACK MIGRATION', scope(statement.scope), statement.together === true && 'TOGETHER', statement.preserveLocalData && 'PRESERVE LOCAL DATA', timeout(statement.timeoutMs)];
    default: return questionParts(statement);
  }
}

type Control = 'start' | 'alter_migration' | 'accept_type_loss' | 'pause' | 'resume' | 'abort' | 'validate' | 'resync' | 'complete' | 'cutover' | 'rollback';

function questionParts(statement: Exclude<MigrationStatement, { type: Definition | Control }>): readonly (string | false)[] {
  switch (statement.type) {
    case 'check': return ['CHECK MIGRATION', scope(statement.scope), 'FROM', name(statement.source)];
    case 'explain_route': return ['EXPLAIN ROUTE', statement.statement];
    case 'explain_cutover': return ['EXPLAIN CUTOVER TABLE', table(statement.table)];
    case 'show_status': return ['SHOW MIGRATION STATUS', forTable(statement.table)];
    case 'show_progress': return ['SHOW MIGRATION PROGRESS', forTable(statement.table), interval('INTERVAL', statement.intervalMs), interval('LAST', statement.lastMs)];
    case 'show_conflicts':
      return ['SHOW MIGRATION CONFLICTS', forTable(statement.table), statement.unresolved && 'UNRESOLVED', statement.limit !== undefined && `LIMIT ${statement.limit}`];
    case 'show_errors': return ['SHOW MIGRATION ERRORS', forTable(statement.table), interval('LAST', statement.lastMs)];
    case 'show_sources': return ['SHOW MIGRATION SOURCES'];
    case 'show_servers': return ['SHOW MIGRATION SERVERS'];
    case 'show_groups': return ['SHOW MIGRATION GROUPS'];
    case 'show_why': return ['SHOW MIGRATION WHY', forTable(statement.table)];
    case 'show_shadow_reads': return ['SHOW MIGRATION SHADOW READS', forTable(statement.table)];
    case 'show_type_loss': return ['SHOW MIGRATION TYPE LOSS', forTable(statement.table)];
    case 'gateway_clients':
    case 'gateway_config':
    case 'gateway_databases':
    case 'gateway_lists':
    case 'gateway_pools':
    case 'gateway_servers':
    case 'gateway_stats':
      return [gatewayListName(statement)];
    case 'show_help': return ['SHOW MIGRATION HELP', statement.topic !== undefined && quoteLiteral(statement.topic)];
    default: {
      const unknown: never = statement;
      return unknown;
    }
  }
}

/** `SHOW POOLS`. */
export function gatewayListName({ type }: ShowGateway): string {
  return `SHOW ${type.slice('gateway_'.length).toUpperCase()}`;
}

function words(...all: readonly (string | false)[]): string {
  return all.filter((part) => part !== false && part !== '').join(' ');
}

/** Quoted where the bare word would be read as something else. */
function name(text: string): string {
  const shown = displayName(text);
  return isReservedWord(shown) ? `"${shown}"` : shown;
}

function table(text: TableName): string {
  return text.schema === undefined ? name(text.name) : `${name(text.schema)}.${name(text.name)}`;
}

function tableList(tables: readonly TableName[]): string {
  return `(${tables.map(table).join(', ')})`;
}

function forTable(text: TableName | undefined): string | false {
  return text !== undefined && `FOR TABLE ${table(text)}`;
}

/** `lead` is the FOR that CUTOVER does without. */
function scope(of: Scope | GroupScope, lead = 'FOR '): string {
  switch (of.type) {
    case 'table': return `${lead}TABLE ${table(of.table)}`;
    case 'schema': return `${lead}SCHEMA ${name(of.schema)}`;
    case 'group': return `${lead}GROUP OF ${table(of.table)}`;
    case 'all': return 'ALL';
  }
}

function user(of: MappedUser): string {
  switch (of.type) {
    case 'current_user': return 'CURRENT_USER';
    case 'public': return 'PUBLIC';
    case 'name': return of.name === 'public' ? '"public"' : name(of.name);
  }
}

function timeout(ms: number | undefined): string | false {
  return ms !== undefined && `TIMEOUT ${ms / 1000}`;
}

function interval(word: string, ms: number | undefined): string | false {
  return ms !== undefined && `${word} '${formatInterval(ms)}'`;
}

function stated(options: StatedOptions): string | false {
  const entries = written(optionTable, options, 'show');
  return entries.length > 0 && optionList(entries);
}

function alteration(set: StatedOptions, reset: readonly OptionName[]): string {
  const assigned = written(optionTable, set, 'show').map(([option, value]) => `${option} = ${value}`);
  return assigned.length > 0 ? `SET OPTION ${assigned.join(', ')}` : `RESET OPTION ${reset.map((key) => optionTable[key].name).join(', ')}`;
}

function optionList(entries: readonly (readonly [string, string])[]): string {
  return `OPTIONS (${entries.map(([option, value]) => `${option} ${value}`).join(', ')})`;
}

function changeList<Options extends object>(kinds: KindTable, changes: OptionChanges<Options>, secrets: Secrets): string {
  const entries = [
    ...written(kinds, changes.add, secrets).map(([option, value]) => `ADD ${option} ${value}`),
    ...written(kinds, changes.set, secrets).map(([option, value]) => `SET ${option} ${value}`),
    ...changes.drop.map((option) => `DROP ${option}`),
  ];
  return `OPTIONS (${entries.join(', ')})`;
}

type KindTable = Readonly<Record<string, OptionKind<unknown>>>;

/** The options given, in the order of their table. */
function written(kinds: KindTable, options: object, secrets: Secrets): (readonly [string, string])[] {
  const values = options as Readonly<Record<string, unknown>>;
  return Object.entries(kinds).filter(([key]) => Object.hasOwn(values, key)).map(([key, kind]) =>
    [kind.name, kind.name === 'password' && secrets === 'mask' ? `'${mask}'` : kind.print(values[key])] as const);
}
