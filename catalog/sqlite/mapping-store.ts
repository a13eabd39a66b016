/** User mappings and their secrets. Secrets leave this file as `Secret` only, and only through `credentials`. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Actor } from '../audit.ts';
import type { Credentials } from '../catalog.ts';
import { seal, secretOptions, unseal } from '../credentials.ts';
import type { CredentialKey, Secret } from '../credentials.ts';
import type { MappingRecord } from '../records.ts';
import { writeAudit } from './audit-rows.ts';
import { json, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';
import { unknownServer } from './server-store.ts';

type Options = Readonly<Record<string, string>>;

export const publicUser = 'public';

export class MappingStore {
  readonly #connection: CatalogConnection;
  readonly #newId: () => string;
  #key: CredentialKey;

  constructor(connection: CatalogConnection, newId: () => string, key: CredentialKey) {
    this.#connection = connection;
    this.#newId = newId;
    this.#key = key;
  }

  async createMapping(serverName: string, userName: string, options: Options): Promise<void> {
    this.#connection.write(() => {
      if (this.#connection.get('SELECT 1 FROM server WHERE server_name = ?', serverName) === undefined) throw unknownServer(serverName);
      if (this.#row(serverName, userName) !== undefined) throw new MigrationError('MIG073', `user mapping for "${userName}" already exists on server "${serverName}"`);
      const now = this.#connection.now();
      const { plain, sealed } = this.#split(serverName, userName, options);
      this.#connection.run(
        'INSERT INTO user_mapping (server_name, user_name, options, secrets, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)',
        serverName, userName, JSON.stringify(plain), JSON.stringify(sealed), now, now,
      );
    });
  }

  async alterMapping(serverName: string, userName: string, options: Readonly<Record<string, string | null>>, actor: Actor): Promise<void> {
    this.#connection.write(() => {
      const row = this.#required(serverName, userName);
      const given = Object.fromEntries(Object.entries(options).filter((entry): entry is [string, string] => entry[1] !== null));
      const { plain, sealed } = this.#split(serverName, userName, given);
      this.#connection.run(
        'UPDATE user_mapping SET options = ?, secrets = ?, updated_at = ? WHERE server_name = ? AND user_name = ?',
        JSON.stringify(without({ ...json(row, 'options'), ...plain }, options)), JSON.stringify(without({ ...json(row, 'secrets'), ...sealed }, options)),
        this.#connection.now(), serverName, userName,
      );
      const changed = Object.keys(options).filter((name) => secretOptions.includes(name));
      if (changed.length > 0) this.#audit('CREDENTIALS_ROTATED', serverName, userName, actor, { options: changed });
    });
  }

  async dropMapping(serverName: string, userName: string): Promise<void> {
    this.#connection.write(() => {
      this.#required(serverName, userName);
      this.#connection.run('DELETE FROM user_mapping WHERE server_name = ? AND user_name = ?', serverName, userName);
    });
  }

  async mapping(serverName: string, userName: string): Promise<MappingRecord | undefined> {
    const row = this.#row(serverName, userName);
    return row === undefined ? undefined : mappingRecord(row);
  }

  async mappings(): Promise<readonly MappingRecord[]> {
    return this.#connection.all('SELECT * FROM user_mapping ORDER BY server_name, user_name').map(mappingRecord);
  }

  async credentials(serverName: string, userName: string, actor: Actor): Promise<Credentials | undefined> {
    const row = this.#row(serverName, userName) ?? this.#row(serverName, publicUser);
    if (row === undefined) return undefined;
    const owner = text(row, 'user_name');
    const secrets = this.#unsealAll(serverName, owner, json(row, 'secrets'));
    this.#connection.write(() => this.#audit('CREDENTIALS_ACCESSED', serverName, owner, actor, {}));
    return { serverName, userName: owner, options: json(row, 'options') as Options, secrets };
  }

  async rotateKey(to: CredentialKey, actor: Actor): Promise<number> {
    const count = this.#connection.write(() => {
      let resealed = 0;
      for (const row of this.#connection.all('SELECT * FROM user_mapping')) {
        const serverName = text(row, 'server_name');
        const userName = text(row, 'user_name');
        const secrets = Object.entries(this.#unsealAll(serverName, userName, json(row, 'secrets')));
        const sealed = Object.fromEntries(secrets.map(([option, secret]) => [option, seal(to, { serverName, userName, option }, secret.reveal())]));
        this.#connection.run('UPDATE user_mapping SET secrets = ? WHERE server_name = ? AND user_name = ?', JSON.stringify(sealed), serverName, userName);
        if (secrets.length > 0) this.#audit('CREDENTIALS_ROTATED', serverName, userName, actor, { key: to.id });
        resealed += secrets.length;
      }
      return resealed;
    });
    this.#key = to;
    return count;
  }

  #split(serverName: string, userName: string, options: Options): { readonly plain: Options; readonly sealed: Options } {
    const entries = Object.entries(options);
    const plain = entries.filter(([option]) => !secretOptions.includes(option));
    const secret = entries.filter(([option]) => secretOptions.includes(option));
    return {
      plain: Object.fromEntries(plain),
      sealed: Object.fromEntries(secret.map(([option, value]) => [option, seal(this.#key, { serverName, userName, option }, value)])),
    };
  }

  #unsealAll(serverName: string, userName: string, sealed: Readonly<Record<string, unknown>>): Readonly<Record<string, Secret>> {
    return Object.fromEntries(Object.entries(sealed).map(([option, value]) => [option, unseal(this.#key, { serverName, userName, option }, String(value))]));
  }

  #audit(action: 'CREDENTIALS_ACCESSED' | 'CREDENTIALS_ROTATED', serverName: string, userName: string, actor: Actor, details: Readonly<Record<string, unknown>>): void {
    writeAudit(this.#connection, this.#newId, { action, actor, sourceServer: serverName, details: { mapping: userName, ...details } });
  }

  #row(serverName: string, userName: string): Row | undefined {
    return this.#connection.get('SELECT * FROM user_mapping WHERE server_name = ? AND user_name = ?', serverName, userName);
  }

  #required(serverName: string, userName: string): Row {
    const row = this.#row(serverName, userName);
    if (row === undefined) throw new MigrationError('MIG072', `user mapping for "${userName}" does not exist on server "${serverName}"`);
    return row;
  }
}

/** Leaves out what is null in `removed`. */
function without(values: Readonly<Record<string, unknown>>, removed: Readonly<Record<string, string | null>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => removed[name] !== null));
}

function mappingRecord(row: Row): MappingRecord {
  return {
    serverName: text(row, 'server_name'),
    userName: text(row, 'user_name'),
    options: json(row, 'options') as Options,
    secretNames: Object.keys(json(row, 'secrets')).sort(),
    createdAt: time(row, 'created_at'),
    updatedAt: time(row, 'updated_at'),
  };
}
