/** Servers and migration sources. */
import { MigrationError } from '../../config/migration-error.ts';
import { secretOptions } from '../credentials.ts';
import type { ServerRecord, SourceRecord } from '../records.ts';
import { json, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

export class ServerStore {
  readonly #connection: CatalogConnection;

  constructor(connection: CatalogConnection) {
    this.#connection = connection;
  }

  async createServer(server: Pick<ServerRecord, 'name' | 'wrapper' | 'options'>): Promise<void> {
    refuseSecrets(server.options);
    this.#connection.write(() => {
      if (this.#server(server.name) !== undefined) throw new MigrationError('MIG073', `server "${server.name}" already exists`);
      const now = this.#connection.now();
      this.#connection.run(
        'INSERT INTO server (server_name, wrapper, options, created_at, updated_at) VALUES (?, ?, ?, ?, ?)',
        server.name, server.wrapper, JSON.stringify(server.options), now, now,
      );
    });
  }

  async alterServer(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    refuseSecrets(options);
    this.#connection.write(() => {
      const changed = this.#connection.run('UPDATE server SET options = ?, updated_at = ? WHERE server_name = ?', JSON.stringify(options), this.#connection.now(), name);
      if (changed === 0) throw unknownServer(name);
    });
  }

  async dropServer(name: string, options: { readonly cascade?: boolean } = {}): Promise<readonly string[]> {
    return this.#connection.write(() => {
      if (this.#server(name) === undefined) throw unknownServer(name);
      const sources = this.#connection.all('SELECT source_name FROM migration_source WHERE server_name = ? ORDER BY source_name', name).map((row) => text(row, 'source_name'));
      this.#refuseUsed(`server "${name}"`, 's.source_server', name);
      if (sources.length > 0 && options.cascade !== true) {
        throw new MigrationError('MIG074', `server "${name}" is used by migration sources`, {
          detail: `Sources: ${sources.join(', ')}.`, hint: 'DROP them first, or use DROP SERVER … CASCADE.',
        });
      }
      this.#connection.run('DELETE FROM migration_source WHERE server_name = ?', name);
      this.#connection.run('DELETE FROM user_mapping WHERE server_name = ?', name);
      this.#connection.run('DELETE FROM server WHERE server_name = ?', name);
      return sources;
    });
  }

  async server(name: string): Promise<ServerRecord | undefined> {
    return this.#server(name);
  }

  async servers(): Promise<readonly ServerRecord[]> {
    return this.#connection.all('SELECT * FROM server ORDER BY server_name').map(serverRecord);
  }

  async createSource(source: Pick<SourceRecord, 'name' | 'serverName' | 'options'>): Promise<void> {
    this.#connection.write(() => {
      if (this.#source(source.name) !== undefined) throw new MigrationError('MIG073', `migration source "${source.name}" already exists`);
      if (this.#server(source.serverName) === undefined) throw unknownServer(source.serverName);
      const now = this.#connection.now();
      this.#connection.run(
        'INSERT INTO migration_source (source_name, server_name, options, created_at, updated_at) VALUES (?, ?, ?, ?, ?)',
        source.name, source.serverName, JSON.stringify(source.options), now, now,
      );
    });
  }

  async alterSource(name: string, options: Readonly<Record<string, unknown>>): Promise<void> {
    this.#connection.write(() => {
      const changed = this.#connection.run('UPDATE migration_source SET options = ?, updated_at = ? WHERE source_name = ?', JSON.stringify(options), this.#connection.now(), name);
      if (changed === 0) throw unknownSource(name);
    });
  }

  async dropSource(name: string): Promise<void> {
    this.#connection.write(() => {
      if (this.#source(name) === undefined) throw unknownSource(name);
      this.#refuseUsed(`migration source "${name}"`, 'i.source_name', name);
      this.#connection.run('DELETE FROM migration_source WHERE source_name = ?', name);
    });
  }

  async source(name: string): Promise<SourceRecord | undefined> {
    return this.#source(name);
  }

  async sources(): Promise<readonly SourceRecord[]> {
    return this.#connection.all('SELECT * FROM migration_source ORDER BY source_name').map(sourceRecord);
  }

  /** Tables that COMPLETE has ended need their server no more. */
  #refuseUsed(what: string, column: string, value: string): void {
    const rows = this.#connection.all(
      `SELECT s.source_schema || '.' || s.source_table || ' (' || s.state || ')' AS name FROM "SYS$MIGRATION_STATE" s JOIN table_internals i USING (table_id)
       WHERE ${column} = ? AND i.ended_at IS NULL AND i.completed_at IS NULL ORDER BY 1 LIMIT 20`, value,
    );
    if (rows.length === 0) return;
    throw new MigrationError('MIG074', `${what} is used by tables in migration`, {
      detail: `Tables: ${rows.map((row) => text(row, 'name')).join(', ')}.`, hint: 'ABORT or COMPLETE their migrations first.',
    });
  }

  #server(name: string): ServerRecord | undefined {
    const row = this.#connection.get('SELECT * FROM server WHERE server_name = ?', name);
    return row === undefined ? undefined : serverRecord(row);
  }

  #source(name: string): SourceRecord | undefined {
    const row = this.#connection.get('SELECT * FROM migration_source WHERE source_name = ?', name);
    return row === undefined ? undefined : sourceRecord(row);
  }
}

export function unknownServer(name: string): MigrationError {
  return new MigrationError('MIG072', `server "${name}" does not exist`);
}

function unknownSource(name: string): MigrationError {
  return new MigrationError('MIG072', `migration source "${name}" does not exist`);
}

/** Server options are shown as they are, so a secret among them would be shown too. */
function refuseSecrets(options: Readonly<Record<string, string>>): void {
  const secret = Object.keys(options).find((name) => secretOptions.includes(name));
  if (secret === undefined) return;
  throw new MigrationError('MIG071', `option "${secret}" does not belong to a server`, { hint: 'Give it with CREATE USER MAPPING FOR … SERVER … OPTIONS (…); there it is stored encrypted.' });
}

function serverRecord(row: Row): ServerRecord {
  return {
    name: text(row, 'server_name'),
    wrapper: text(row, 'wrapper'),
    options: json(row, 'options') as Readonly<Record<string, string>>,
    createdAt: time(row, 'created_at'),
    updatedAt: time(row, 'updated_at'),
  };
}

function sourceRecord(row: Row): SourceRecord {
  return {
    name: text(row, 'source_name'), serverName: text(row, 'server_name'), options: json(row, 'options'), createdAt: time(row, 'created_at'), updatedAt: time(row, 'updated_at'),
  };
}
