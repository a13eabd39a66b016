/** CREATE, ALTER and DROP of servers, user mappings and migration sources. */
import type { Cursor } from './cursor.ts';
import { scopeOfMigrations } from './control.ts';
import { alteredOptions, assignedOptions, givenOptions, namedOptions, optionChanges, optionSet, statedOptions } from './option-list.ts';
import { requiredServerOptions, requiredUserMappingOptions, serverOptionTable, userMappingOptionTable } from './server-options.ts';
import type {
  AcceptTypeLoss, AlterMigration, AlterServer, AlterSource, AlterUserMapping, CreateServer, CreateSource, CreateUserMapping, DropServer, DropSource, DropUserMapping,
  MappedUser, Scope, ServerOptions, UserMappingOptions,
} from './statement.ts';

const serverOptions = optionSet<keyof ServerOptions>(serverOptionTable);
const userMappingOptions = optionSet<keyof UserMappingOptions>(userMappingOptionTable, true);

export function parseCreate(cursor: Cursor): CreateServer | CreateUserMapping | CreateSource {
  switch (subject(cursor)) {
    case 'server': return createServer(cursor);
    case 'user mapping': return createUserMapping(cursor);
    case 'source': return createSource(cursor);
  }
}

export function parseAlter(cursor: Cursor): AlterServer | AlterUserMapping | AlterSource | AlterMigration | AcceptTypeLoss {
  if (cursor.accept('migration')) return cursor.accept('source') ? alterSource(cursor) : alterMigration(cursor);
  switch (serverOrMapping(cursor)) {
    case 'server': {
      const name = cursor.name('a server name');
      return { type: 'alter_server', name, changes: optionChanges<ServerOptions>(cursor, serverOptions, requiredServerOptions) };
    }
    case 'user mapping': {
      const mapping = mappedUser(cursor);
      return { type: 'alter_user_mapping', ...mapping, changes: optionChanges<UserMappingOptions>(cursor, userMappingOptions, requiredUserMappingOptions) };
    }
  }
}

export function parseDrop(cursor: Cursor): DropServer | DropUserMapping | DropSource {
  const what = subject(cursor);
  const ifExists = cursor.accept('if');
  if (ifExists) cursor.expect('exists');
  switch (what) {
    case 'server': return { type: 'drop_server', name: cursor.name('a server name'), ifExists, cascade: cascade(cursor) };
    case 'user mapping': return { type: 'drop_user_mapping', ...mappedUser(cursor), ifExists };
    case 'source': return { type: 'drop_source', name: cursor.name('a source name'), ifExists, cascade: cascade(cursor) };
  }
}

function subject(cursor: Cursor): 'server' | 'user mapping' | 'source' {
  if (cursor.accept('migration')) {
    cursor.expect('source');
    return 'source';
  }
  return serverOrMapping(cursor);
}

function serverOrMapping(cursor: Cursor): 'server' | 'user mapping' {
  if (cursor.accept('server')) return 'server';
  cursor.expect('user', 'mapping');
  return 'user mapping';
}

function createServer(cursor: Cursor): CreateServer {
  const ifNotExists = notExists(cursor);
  const name = cursor.name('a server name');
  cursor.expect('foreign', 'data', 'wrapper', 'postgres');
  const options = givenOptions<ServerOptions>(cursor, serverOptions, requiredServerOptions);
  return { type: 'create_server', name, ifNotExists, wrapper: 'postgres', options };
}

function createUserMapping(cursor: Cursor): CreateUserMapping {
  const ifNotExists = notExists(cursor);
  const mapping = mappedUser(cursor);
  const options = givenOptions<UserMappingOptions>(cursor, userMappingOptions, requiredUserMappingOptions);
  return { type: 'create_user_mapping', ...mapping, ifNotExists, options };
}

function createSource(cursor: Cursor): CreateSource {
  const ifNotExists = notExists(cursor);
  const name = cursor.name('a source name');
  cursor.expect('from', 'server');
  const server = cursor.name('a server name');
  return { type: 'create_source', name, ifNotExists, server, options: statedOptions(cursor, 'source') };
}

function alterSource(cursor: Cursor): AlterSource {
  const name = cursor.name('a source name');
  if (cursor.accept('set')) {
    cursor.expect('option');
    return { type: 'alter_source', name, set: assignedOptions(cursor), reset: [] };
  }
  cursor.expect('reset', 'option');
  return { type: 'alter_source', name, set: {}, reset: namedOptions(cursor) };
}

function alterMigration(cursor: Cursor): AlterMigration | AcceptTypeLoss {
  const scope = scopeOfMigrations(cursor);
  if (cursor.accept('accept')) return acceptTypeLoss(cursor, scope);
  cursor.expect('set', 'option');
  return { type: 'alter_migration', scope, set: alteredOptions(cursor) };
}

function acceptTypeLoss(cursor: Cursor, scope: Scope): AcceptTypeLoss {
  cursor.expect('type', 'loss');
  if (scope.type !== 'table' || !cursor.accept('for')) return { type: 'accept_type_loss', scope, column: undefined };
  cursor.expect('column');
  return { type: 'accept_type_loss', scope, column: cursor.name('a column name') };
}

/** FOR user SERVER name */
function mappedUser(cursor: Cursor): { readonly user: MappedUser; readonly server: string } {
  cursor.expect('for');
  const user = userName(cursor);
  cursor.expect('server');
  return { user, server: cursor.name('a server name') };
}

function userName(cursor: Cursor): MappedUser {
  if (cursor.accept('current_user') || cursor.accept('user') || cursor.accept('current_role')) return { type: 'current_user' };
  if (cursor.accept('public')) return { type: 'public' };
  return { type: 'name', name: cursor.name('a user name') };
}

function notExists(cursor: Cursor): boolean {
  if (!cursor.accept('if')) return false;
  cursor.expect('not', 'exists');
  return true;
}

function cascade(cursor: Cursor): boolean {
  return cursor.accept('cascade') || (cursor.accept('restrict'), false);
}
