/** What one command is run with. */
import type { Actor } from '../../../catalog/audit.ts';
import type { TableRecord } from '../../../catalog/records.ts';
import type { QualifiedName, Side } from '../../../catalog/routing-snapshot.ts';
import type { ConnectionLimits } from '../../../config/connection-limits.ts';
import type { ListedSetting } from '../../../config/list-settings.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Scope, GroupScope } from '../../../grammar/migration/statement.ts';
import type { TableName } from '../../../grammar/names.ts';
import type { ClusterMigrations } from '../clusters/cluster-migrations.ts';
import type { FleetAnswer } from '../fleet-survey.ts';
import type { ControlContext } from '../control-context.ts';
import type { MigrationOptions } from '../../../grammar/migration/options.ts';
import type { TableWork } from '../table-work.ts';
import { displayName } from '../table-details.ts';

export interface CommandContext extends ControlContext {
  readonly actor: Actor;
  readonly isOperator: boolean;
  readonly searchPath: readonly string[];
  readonly work: TableWork;
  /** Options of [migration] in the settings. */
  readonly defaults: Partial<MigrationOptions>;
  /** Of a SAMPLE that names no percentage. */
  readonly samplePercent: number;
  /** Name of the server and source that the gateway itself stands in front of. */
  readonly homeServer: string;
  /** True when the gateway's clients reach the server while its tables have not been moved: only such tables can be routed. */
  readonly isServed: (serverName: string) => Promise<boolean>;
  /** What the gateway workers have at the moment; with what comparing reads has found only when that is asked for. */
  readonly survey: (shadowReads?: boolean) => Promise<FleetAnswer>;
  readonly connections: ConnectionLimits;
  readonly sides: GatewaySides;
  readonly settings: GatewaySettings;
  /** Undefined without a section `cql` in the settings. */
  readonly clusters: ClusterMigrations | undefined;
}

export type GatewaySides = Readonly<Record<Side, { readonly host: string; readonly port: number; readonly database: string }>>;

export interface GatewaySettings {
  readonly list: readonly ListedSetting[];
  /** Users that may log in, by name. */
  readonly users: number;
}

/** The table in migration of that name; throws MIG072 with what exists. */
export async function findRecord(context: CommandContext, name: TableName): Promise<TableRecord> {
  const schemas = name.schema === undefined ? searchSchemas(context) : [name.schema];
  for (const schema of schemas) {
    const record = await context.catalog.tableByName(schema, name.name);
    if (record) return record;
  }
  const known = (await allTables(context)).map((record) => displayName(record.source));
  throw new MigrationError('MIG072', `no migration of a table ${name.schema === undefined ? '' : `${name.schema}.`}${name.name}`, {
    detail: known.length === 0 ? 'No table is in migration.' : `In migration: ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', …' : ''}.`,
    hint: 'START MIGRATION FOR TABLE … FROM … begins one.',
  });
}

/** Of databases and clusters alike: for what the catalog alone can tell. */
export async function allTables({ catalog }: Pick<CommandContext, 'catalog'>): Promise<readonly TableRecord[]> {
  return [...(await catalog.tables()), ...(await catalog.clusterTables())];
}

export async function findAnyRecord(context: CommandContext, name: TableName): Promise<TableRecord> {
  const schemas = name.schema === undefined ? searchSchemas(context) : [name.schema];
  return (await context.catalog.clusterTables()).find(({ source }) => source.name === name.name && schemas.includes(source.schema)) ?? findRecord(context, name);
}

export function searchSchemas(context: CommandContext): readonly string[] {
  const path = context.searchPath.filter((schema) => schema !== '$user');
  return path.length === 0 ? ['public'] : path;
}

/** Tables of a scope that are in migration. An empty schema scope is an error: a misspelt name must not look like success. */
export async function recordsOf(context: CommandContext, scope: Scope | GroupScope): Promise<readonly TableRecord[]> {
  const all = await context.catalog.tables();
  switch (scope.type) {
    case 'table':
      return [await findRecord(context, scope.table)];
    case 'group':
      return groupRecords(context, await findRecord(context, scope.table));
    case 'schema': {
      const found = all.filter((record) => record.source.schema === scope.schema);
      if (found.length > 0) return found;
      throw new MigrationError('MIG072', `no table of schema ${scope.schema} is in migration`);
    }
    case 'all':
      return all;
    default:
      return scope satisfies never;
  }
}

/** Every table tied to this one; throws when one of them is not in migration. */
export async function groupRecords(context: CommandContext, record: TableRecord): Promise<readonly TableRecord[]> {
  const all = await context.catalog.tables();
  const names = await tiedNames(context, record);
  const missing = names.filter((name) => !all.some((each) => same(each.source, name)));
  if (missing.length > 0) {
    throw new MigrationError('MIG074', `tables tied to ${displayName(record.source)} are not in migration: ${missing.map(displayName).join(', ')}`, {
      hint: 'START MIGRATION for them first, or move the table alone with SPLIT.',
    });
  }
  return all.filter((each) => names.some((name) => same(each.source, name)));
}

/** Names of the table's whole group, itself included. */
export async function tiedNames(context: CommandContext, record: TableRecord): Promise<readonly QualifiedName[]> {
  const flow = await context.flow(record.sourceServer);
  const group = await flow.sourceSide.groupOf(record.source);
  return group.tables;
}

export function same(a: QualifiedName, b: QualifiedName): boolean {
  return a.schema === b.schema && a.name === b.name;
}

export function requireOperator(context: CommandContext, what: string): void {
  if (!context.isOperator) throw new MigrationError('MIG075', `${what} needs an operator; ${context.actor.user} is not one`);
}
