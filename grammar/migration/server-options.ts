/** Options of servers and user mappings. The names are libpq's, because operators know them. */
import { choice, integer, text } from './option-kinds.ts';
import type { OptionAbout, OptionKind } from './option-kinds.ts';
import type { ServerOptions, UserMappingOptions } from './statement.ts';

/** Optional ones first get a value when somebody gives one, so kinds here have no use for their defaults. */
type Kinds<Options> = { readonly [Name in keyof Options]-?: OptionKind<NonNullable<Options[Name]>> };

const about = (name: string, help: string): OptionAbout => ({ name, from: 'issue 2', place: 'source', help });

function plain(name: string, range: string, help: string): OptionKind<string> {
  const kind = text(about(name, help), range, (value) => value.length <= 4096);
  return {
    ...kind,
    default: '',
    read: (value) => {
      const result = kind.read(value);
      return result.ok ? { ok: true, value: result.value ?? '' } : result;
    },
  };
}

export const serverOptionTable: Kinds<ServerOptions> = {
  host: plain('host', 'a string with a host name, an address or a socket directory', 'Where the server is.'),
  port: integer(about('port', 'Port of the server.'), 5432, 1, 65_535),
  dbname: plain('dbname', 'a string with a database name', 'Database on the server.'),
  // libpq's `allow` and `prefer` fall back to plain text without a word, so they are not offered.
  sslmode: choice(about('sslmode', 'Whether the connection is encrypted, and what is checked of the server\'s certificate.'), 'disable', ['disable', 'require', 'verify-ca', 'verify-full']),
  sslrootcert: plain('sslrootcert', 'a string with a path', 'PEM file with the authority that signed the server\'s certificate.'),
  sslcert: plain('sslcert', 'a string with a path', 'PEM file with the client\'s certificate.'),
  sslkey: plain('sslkey', 'a string with a path', 'PEM file with the client\'s key.'),
  application_name: plain('application_name', 'a string', 'Name that the server shows for the connections.'),
};

export const userMappingOptionTable: Kinds<UserMappingOptions> = {
  user: plain('user', 'a string with a role name', 'Role to connect as.'),
  password: plain('password', 'a string', 'Its password; stored encrypted, never shown.'),
};

/** Options without which a connection can't be made; they can be set, not dropped. */
export const requiredServerOptions = ['host', 'dbname'] as const satisfies readonly (keyof ServerOptions)[];
export const requiredUserMappingOptions = ['user'] as const satisfies readonly (keyof UserMappingOptions)[];

/** Shown in the place of a secret. */
export const mask = '********';
