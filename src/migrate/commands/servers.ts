/** Servers, user mappings and migration sources (specification §8.1, §11.1). */
import { MigrationError } from '../../../config/migration-error.ts';
import type {
  AlterServer, AlterSource, AlterUserMapping, CreateServer, CreateSource, CreateUserMapping, DropServer, DropSource, DropUserMapping, MappedUser, OptionChanges,
} from '../../../grammar/migration/statement.ts';
import { done, notice, table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { allTables } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

type Options = Readonly<Record<string, string>>;

export async function createServer(context: CommandContext, statement: CreateServer): Promise<SuccessfulAnswer> {
  if (statement.ifNotExists && (await context.catalog.server(statement.name))) return done('CREATE SERVER', [notice(`server "${statement.name}" already exists, skipping`)]);
  await context.catalog.createServer({ name: statement.name, wrapper: statement.wrapper, options: asText(statement.options) });
  await tellServers(context);
  return done('CREATE SERVER');
}

export async function alterServer(context: CommandContext, statement: AlterServer): Promise<SuccessfulAnswer> {
  const server = await context.catalog.server(statement.name);
  if (!server) throw new MigrationError('MIG072', `no server ${statement.name}`);
  refuseHome(context, statement.name, server.wrapper, 'altered');
  await context.catalog.alterServer(statement.name, changed(server.options, statement.changes));
  return done('ALTER SERVER');
}

export async function dropServer(context: CommandContext, statement: DropServer): Promise<SuccessfulAnswer> {
  if (statement.ifExists && !(await context.catalog.server(statement.name))) return done('DROP SERVER', [notice(`server "${statement.name}" does not exist, skipping`)]);
  refuseHome(context, statement.name, (await context.catalog.server(statement.name))?.wrapper, 'dropped');
  const sources = await context.catalog.dropServer(statement.name, { cascade: statement.cascade });
  await tellServers(context);
  return done('DROP SERVER', sources.map((name) => notice(`drop cascades to migration source ${name}`)));
}

async function tellServers({ catalog, fleet }: CommandContext): Promise<void> {
  fleet.tellServers((await catalog.servers()).map(({ name }) => name));
}

/** CREATE SERVER makes servers of PostgreSQL only. */
function refuseHome(context: CommandContext, name: string, wrapper: string | undefined, what: string): void {
  if (name !== context.homeServer && (wrapper === undefined || wrapper === 'postgres')) return;
  throw new MigrationError('MIG074', `server ${name} comes from the settings file and can't be ${what} here`, { hint: 'Change the settings file and restart.' });
}

export async function createUserMapping(context: CommandContext, statement: CreateUserMapping): Promise<SuccessfulAnswer> {
  const user = mappedUser(context, statement.user);
  if (statement.ifNotExists && (await context.catalog.mapping(statement.server, user))) return done('CREATE USER MAPPING', [notice(`user mapping for "${user}" already exists, skipping`)]);
  await context.catalog.createMapping(statement.server, user, asText(statement.options));
  return done('CREATE USER MAPPING');
}

export async function alterUserMapping(context: CommandContext, statement: AlterUserMapping): Promise<SuccessfulAnswer> {
  const { add, set, drop } = statement.changes;
  const removed = Object.fromEntries(drop.map((name) => [name, null]));
  await context.catalog.alterMapping(statement.server, mappedUser(context, statement.user), { ...removed, ...asText(add), ...asText(set) }, context.actor);
  return done('ALTER USER MAPPING');
}

export async function dropUserMapping(context: CommandContext, statement: DropUserMapping): Promise<SuccessfulAnswer> {
  const user = mappedUser(context, statement.user);
  if (statement.ifExists && !(await context.catalog.mapping(statement.server, user))) return done('DROP USER MAPPING', [notice(`user mapping for "${user}" does not exist, skipping`)]);
  await context.catalog.dropMapping(statement.server, user);
  return done('DROP USER MAPPING');
}

function mappedUser(context: CommandContext, user: MappedUser): string {
  switch (user.type) {
    case 'name':
      return user.name;
    case 'current_user':
      return context.actor.user;
    case 'public':
      return 'public';
    default:
      return user satisfies never;
  }
}

export async function createSource(context: CommandContext, statement: CreateSource): Promise<SuccessfulAnswer> {
  if (statement.ifNotExists && (await context.catalog.source(statement.name))) return done('CREATE MIGRATION SOURCE', [notice(`migration source "${statement.name}" already exists, skipping`)]);
  await context.catalog.createSource({ name: statement.name, serverName: statement.server, options: { ...statement.options } });
  return done('CREATE MIGRATION SOURCE');
}

export async function alterSource(context: CommandContext, statement: AlterSource): Promise<SuccessfulAnswer> {
  const source = await context.catalog.source(statement.name);
  if (!source) throw new MigrationError('MIG072', `no migration source ${statement.name}`);
  const kept = Object.fromEntries(Object.entries(source.options).filter(([name]) => !(statement.reset as readonly string[]).includes(name)));
  await context.catalog.alterSource(statement.name, { ...kept, ...statement.set });
  return done('ALTER MIGRATION SOURCE');
}

export async function dropSource(context: CommandContext, statement: DropSource): Promise<SuccessfulAnswer> {
  if (statement.ifExists && !(await context.catalog.source(statement.name))) return done('DROP MIGRATION SOURCE', [notice(`migration source "${statement.name}" does not exist, skipping`)]);
  await context.catalog.dropSource(statement.name);
  return done('DROP MIGRATION SOURCE');
}

export async function showSources(context: CommandContext): Promise<SuccessfulAnswer> {
  const tables = await allTables(context);
  const rows = (await context.catalog.sources()).map((source) => [
    source.name, source.serverName, optionText(source.options), tables.filter((each) => each.sourceName === source.name).length,
  ] as const);
  return table('SHOW', [['Source'], ['Server'], ['Options'], ['Tables', 'int8']], rows);
}

export async function showServers(context: CommandContext): Promise<SuccessfulAnswer> {
  const mappings = await context.catalog.mappings();
  const rows = (await context.catalog.servers()).map((server) => [
    server.name, server.wrapper, optionText(server.options), mappings.filter((each) => each.serverName === server.name).map((each) => each.userName).join(', '),
  ] as const);
  return table('SHOW', [['Server'], ['Wrapper'], ['Options'], ['User mappings']], rows);
}

function optionText(options: Readonly<Record<string, unknown>>): string {
  return Object.entries(options).map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)} '${String(value)}'`).join(', ');
}

function asText(options: object): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]));
}

function changed(options: Options, changes: OptionChanges<object>): Options {
  const missing = [...Object.keys(changes.set), ...(changes.drop as readonly string[])].filter((name) => !(name in options));
  if (missing.length > 0) throw new MigrationError('MIG071', `option ${missing.join(', ')} is not set`, { hint: 'Use ADD for an option that is not there yet.' });
  const present = Object.keys(changes.add).filter((name) => name in options);
  if (present.length > 0) throw new MigrationError('MIG071', `option ${present.join(', ')} is set already`, { hint: 'Use SET to change it.' });
  const kept = Object.fromEntries(Object.entries(options).filter(([name]) => !(changes.drop as readonly string[]).includes(name)));
  return { ...kept, ...asText(changes.add), ...asText(changes.set) };
}
