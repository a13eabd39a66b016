/**
 * Every statement of the migration language, one type each (specification §8, §13.2; DESIGN §6; RULES 10, 13, 17). The union is
 * closed: whoever acts on statements switches over `type` and ends in `never`. Values are frozen. Names are folded; times are
 * milliseconds, with `Ms` in the name.
 */
import type { TableName } from '../names.ts';
import type { OptionName, StatedOptions } from './options.ts';

export type MigrationStatement =
  | CreateServer | AlterServer | DropServer
  | CreateUserMapping | AlterUserMapping | DropUserMapping
  | CreateSource | AlterSource | DropSource
  | StartMigration | AlterMigration | AcceptTypeLoss | PauseMigration | ResumeMigration | AbortMigration | ValidateMigration | ResyncMigration | CompleteMigration
  | Cutover | RollbackMigration
  | CheckMigration | ExplainRoute | ExplainCutover
  | ShowStatus | ShowProgress | ShowConflicts | ShowErrors | ShowSources | ShowServers | ShowGroups | ShowWhy | ShowShadowReads | ShowTypeLoss | ShowHelp
  | ShowGateway;

export type StatementType = MigrationStatement['type'];

export interface TableScope { readonly type: 'table'; readonly table: TableName }
export interface SchemaScope { readonly type: 'schema'; readonly schema: string }
export interface AllScope { readonly type: 'all' }
/** The tables that move together with this one (RULES 13). */
export interface GroupScope { readonly type: 'group'; readonly table: TableName }

export type Scope = TableScope | SchemaScope | AllScope;

// Servers and credentials

export interface CreateServer {
  readonly type: 'create_server';
  readonly name: string;
  readonly ifNotExists: boolean;
  readonly wrapper: 'postgres';
  /** `host` and `dbname` are always there. */
  readonly options: ServerOptions;
}

export interface ServerOptions {
  readonly host?: string;
  /** Default 5432. */
  readonly port?: number;
  readonly dbname?: string;
  /** Default `disable`. */
  readonly sslmode?: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** Paths of PEM files. */
  readonly sslrootcert?: string;
  readonly sslcert?: string;
  readonly sslkey?: string;
  readonly application_name?: string;
}

export interface AlterServer {
  readonly type: 'alter_server';
  readonly name: string;
  readonly changes: OptionChanges<ServerOptions>;
}

/** `add`: must not be there yet; `set`: must be there; `drop`: must be there. No option is in two of them. */
export interface OptionChanges<Options> {
  readonly add: Options;
  readonly set: Options;
  readonly drop: readonly (keyof Options & string)[];
}

export interface DropServer {
  readonly type: 'drop_server';
  readonly name: string;
  readonly ifExists: boolean;
  readonly cascade: boolean;
}

export type MappedUser = { readonly type: 'name'; readonly name: string } | { readonly type: 'current_user' } | { readonly type: 'public' };

export interface UserMappingOptions {
  readonly user?: string;
  /** Never shown, never logged. */
  readonly password?: string;
}

export interface CreateUserMapping {
  readonly type: 'create_user_mapping';
  readonly user: MappedUser;
  readonly server: string;
  readonly ifNotExists: boolean;
  /** `user` is always there. */
  readonly options: UserMappingOptions;
}

export interface AlterUserMapping {
  readonly type: 'alter_user_mapping';
  readonly user: MappedUser;
  readonly server: string;
  readonly changes: OptionChanges<UserMappingOptions>;
}

export interface DropUserMapping {
  readonly type: 'drop_user_mapping';
  readonly user: MappedUser;
  readonly server: string;
  readonly ifExists: boolean;
}

// Sources

export interface CreateSource {
  readonly type: 'create_source';
  readonly name: string;
  readonly ifNotExists: boolean;
  readonly server: string;
  readonly options: StatedOptions;
}

export interface AlterSource {
  readonly type: 'alter_source';
  readonly name: string;
  readonly set: StatedOptions;
  /** Back to the default. */
  readonly reset: readonly OptionName[];
}

export interface DropSource {
  readonly type: 'drop_source';
  readonly name: string;
  readonly ifExists: boolean;
  readonly cascade: boolean;
}

// Control

export interface StartMigration {
  readonly type: 'start';
  readonly scope: Scope;
  readonly source: string;
  readonly options: StatedOptions;
  /** Schema and ALL only; a name without a schema means one in the scope's schema (any schema, for ALL). */
  readonly excluding: readonly TableName[];
  /** Undefined: all of them. */
  readonly includingOnly: readonly TableName[] | undefined;
}

/** Of tables that have started; only `alterableOptions`. */
export interface AlterMigration { readonly type: 'alter_migration'; readonly scope: Scope; readonly set: StatedOptions }

/** What is on record as lost stands in the way of a cutover no more. */
export interface AcceptTypeLoss {
  readonly type: 'accept_type_loss';
  readonly scope: Scope;
  /** Of a table only; undefined: everything. For a definition the name of what is lost. */
  readonly column: string | undefined;
}

export interface PauseMigration { readonly type: 'pause'; readonly scope: Scope }
export interface AbortMigration { readonly type: 'abort'; readonly scope: Scope }

export interface ResumeMigration {
  readonly type: 'resume';
  readonly scope: Scope;
  /** Go on under the source's new definition (RULES 6). */
  readonly acceptDdl: boolean;
  /** Leave out the row that the table failed on. */
  readonly skipRow: boolean;
}

export interface ValidateMigration {
  readonly type: 'validate';
  readonly scope: Scope;
  readonly extent: ValidationExtent;
  readonly repair: RepairStrategy | undefined;
}

/** `default`: the table's `validation_sample`. A sample without a percentage takes `validation_sample_percent` of the settings. */
export type ValidationExtent = { readonly type: 'default' } | { readonly type: 'full' } | { readonly type: 'sample'; readonly percent: number | undefined };

export const repairStrategies = ['copy_from_source', 'copy_to_source', 'skip', 'manual'] as const;
/** Specification §10.4. */
export type RepairStrategy = (typeof repairStrategies)[number];

export interface ResyncMigration {
  readonly type: 'resync';
  readonly table: TableName;
  /** SQL predicate over the source's columns: only these rows. */
  readonly where: string | undefined;
}

export interface CompleteMigration { readonly type: 'complete'; readonly table: TableName }

export interface Cutover {
  readonly type: 'cutover';
  readonly scope: Scope | GroupScope;
  /** Move a tied table without the tables it is tied to; `scope.type` is `table`. */
  readonly split: boolean;
  /** Skip validation, and nothing else. */
  readonly force: boolean;
  readonly noFence: boolean;
  readonly noRollback: boolean;
  /** Users of the gateway may do less on local than on the source. */
  readonly noGrants: boolean;
  /** Of a schema: all of its tables in one barrier. */
  readonly together?: true | undefined;
  /** Undefined: the configured budget. */
  readonly timeoutMs: number | undefined;
}

export interface RollbackMigration {
  readonly type: 'rollback';
  readonly scope: TableScope | SchemaScope | GroupScope;
  readonly preserveLocalData: boolean;
  readonly together?: true | undefined;
  readonly timeoutMs: number | undefined;
}

// Questions

export interface CheckMigration { readonly type: 'check'; readonly scope: TableScope | SchemaScope; readonly source: string }

export interface ExplainRoute {
  readonly type: 'explain_route';
  /** Verbatim, without a closing semicolon. */
  readonly statement: string;
  /** Characters in front of it: a position inside it plus this is a position in the whole text. */
  readonly offset: number;
}

export interface ExplainCutover { readonly type: 'explain_cutover'; readonly table: TableName }
export interface ShowStatus { readonly type: 'show_status'; readonly table: TableName | undefined }

export interface ShowProgress {
  readonly type: 'show_progress';
  readonly table: TableName;
  /** Undefined: a width that gives a readable number of rows. */
  readonly intervalMs: number | undefined;
  /** Undefined: since START. */
  readonly lastMs: number | undefined;
}

export interface ShowConflicts {
  readonly type: 'show_conflicts';
  readonly table: TableName | undefined;
  readonly unresolved: boolean;
  readonly limit: number | undefined;
}

export interface ShowErrors { readonly type: 'show_errors'; readonly table: TableName | undefined; readonly lastMs: number | undefined }
export interface ShowSources { readonly type: 'show_sources' }
export interface ShowServers { readonly type: 'show_servers' }
export interface ShowGroups { readonly type: 'show_groups' }
export interface ShowWhy { readonly type: 'show_why'; readonly table: TableName }
/** What comparing reads (`read_from 'compare'`) has found. */
export interface ShowShadowReads { readonly type: 'show_shadow_reads'; readonly table: TableName | undefined }
/** Values and definitions that do not go over as they are. */
export interface ShowTypeLoss { readonly type: 'show_type_loss'; readonly table: TableName | undefined }
/** `topic`: words, lower case, one space between; undefined: everything. */
export interface ShowHelp { readonly type: 'show_help'; readonly topic: string | undefined }

/** What pgbouncer's console shows, by the same names: SHOW POOLS and its like are about the gateway, not about migrations. */
export const gatewayLists = ['clients', 'config', 'databases', 'lists', 'pools', 'servers', 'stats'] as const;
export type GatewayList = (typeof gatewayLists)[number];
export type ShowGateway = { readonly [List in GatewayList]: { readonly type: `gateway_${List}` } }[GatewayList];

export function isGatewayList(word: string): word is GatewayList {
  return (gatewayLists as readonly string[]).includes(word);
}
