/** One SQLite connection of the catalog: settings, schema version, prepared statements, transactions that check the fence. */
import Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { AuditLevel } from '../audit.ts';
import type { Clock } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';

type SqlValue = string | number | bigint | Buffer | null;
export type Row = Readonly<Record<string, unknown>>;

const schemaFiles = ['0001-catalog.sql', '0002-type-loss.sql'] as const;
const BUSY_TIMEOUT_MS = 5_000;

export class CatalogConnection {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement<SqlValue[], Row>>();
  readonly #clock: Clock;
  #token: number | undefined;

  private constructor(database: Database.Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Opens or makes the file and brings its schema to this version. Throws MIG091 for a file of a later version. */
  static open(file: string, clock: Clock): CatalogConnection {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const database = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.pragma('foreign_keys = ON');
      migrateSchema(database);
    } catch (error) {
      database.close();
      throw error;
    }
    return new CatalogConnection(database, clock);
  }

  /** What `writeAudit` leaves out. */
  auditLevel: AuditLevel = 'full';

  get token(): number | undefined {
    return this.#token;
  }

  set token(token: number | undefined) {
    this.#token = token;
  }

  /** Now, as the catalog stores times. */
  now(): string {
    return storedTime(this.#clock.now());
  }

  nowMs(): number {
    return this.#clock.now();
  }

  all(sql: string, ...values: SqlValue[]): readonly Row[] {
    return this.#prepare(sql).all(...values);
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  /** Returns the number of rows changed. Only inside `write`. */
  run(sql: string, ...values: SqlValue[]): number {
    if (!this.#database.inTransaction) throw new Error('a write outside of a transaction would escape the fence');
    return this.#prepare(sql).run(...values).changes;
  }

  /** One transaction under this process's fencing token; throws MIG092 and changes nothing when that is not the newest. */
  write<T>(work: () => T): T {
    return this.writeUnfenced(() => {
      this.checkFence();
      return work();
    });
  }

  /** For taking the catalog over only. */
  writeUnfenced<T>(work: () => T): T {
    return this.#database.transaction(work).immediate();
  }

  checkFence(): void {
    const owner = this.get('SELECT token, pid, host FROM control_owner');
    if (this.#token === undefined) {
      throw new MigrationError('MIG092', 'this process has not acquired the catalog', { hint: 'Acquire the catalog before writing to it.' });
    }
    if (owner?.['token'] === this.#token) return;
    throw new MigrationError('MIG092', undefined, {
      detail: `The catalog was taken over by process ${String(owner?.['pid'])} on ${String(owner?.['host'])} with token ${String(owner?.['token'])}; this process has token ${this.#token}.`,
    });
  }

  close(): void {
    if (this.#database.open) this.#database.close();
  }

  #prepare(sql: string): Database.Statement<SqlValue[], Row> {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare<SqlValue[], Row>(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Each file runs once, in one transaction with the version; `user_version` is the number of files that have run. */
function migrateSchema(database: Database.Database): void {
  const upgrade = database.transaction(() => {
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > schemaFiles.length) {
      throw new MigrationError('MIG091', `the catalog has schema version ${version}, this program knows ${schemaFiles.length}`, {
        hint: 'Start the newer program that wrote it, or restore the backup made before the upgrade.',
      });
    }
    for (const name of schemaFiles.slice(version)) {
      database.exec(fs.readFileSync(path.join(import.meta.dirname, '..', 'schema', name), 'utf8'));
    }
    if (version === 0) database.prepare('INSERT INTO setting (name, value) VALUES (?, ?)').run('catalog_id', randomUUID());
    if (version < schemaFiles.length) database.pragma(`user_version = ${schemaFiles.length}`);
  });
  upgrade.immediate();
}

/** `YYYY-MM-DD HH:MM:SS.mmm`, UTC. */
export function storedTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, -1);
}

export function isoToStored(iso: string): string {
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) throw new RangeError(`not a time: ${iso}`);
  return storedTime(ms);
}

export function storedToIso(stored: string): string {
  return `${stored.replace(' ', 'T')}Z`;
}
