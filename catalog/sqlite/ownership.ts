/**
 * Who may write.
 *
 * Two things keep a second control process away. The lock: an exclusive SQLite lock on `FILE.lock`, held for as long as the owner
 * lives; the operating system drops it with the process, however that ends, so a dead owner needs no waiting out, and a stopped
 * one (SIGSTOP) still counts as alive. The fence: a token that grows with every acquisition and is compared in each
 * write's transaction; it holds even where the lock was lost (a deleted lock file, `takeOver`).
 *
 * States: reader (no token) → owner (token, lock) → reader (released) or fenced off (token older than the catalog's).
 */
import Database from 'better-sqlite3';
import { MigrationError } from '../../config/migration-error.ts';
import type { CatalogOwnership, FencingToken, OwnerIdentity } from '../catalog.ts';
import type { CatalogConnection } from './connection.ts';
import { integer, optionalInteger, optionalText, optionalTime } from './columns.ts';

export class SqliteOwnership implements CatalogOwnership {
  readonly #connection: CatalogConnection;
  readonly #lockFile: string;
  #lock: Database.Database | undefined;

  constructor(connection: CatalogConnection, file: string) {
    this.#connection = connection;
    this.#lockFile = `${file}.lock`;
  }

  get token(): FencingToken | undefined {
    return this.#connection.token;
  }

  async acquire(identity: OwnerIdentity, options: { readonly takeOver?: boolean } = {}): Promise<FencingToken> {
    if (this.#lock === undefined) this.#lock = takeLock(this.#lockFile);
    if (this.#lock === undefined && options.takeOver !== true) throw await this.#refusal();
    const token = this.#connection.writeUnfenced(() => {
      this.#connection.run(
        'UPDATE control_owner SET token = token + 1, pid = ?, host = ?, label = ?, acquired_at = ?',
        identity.pid, identity.host, identity.label ?? null, this.#connection.now(),
      );
      return integer(this.#connection.get('SELECT token FROM control_owner') ?? {}, 'token');
    });
    this.#connection.token = token;
    return token;
  }

  async release(): Promise<void> {
    this.#connection.token = undefined;
    this.#lock?.close();
    this.#lock = undefined;
  }

  async owner(): Promise<{ readonly token: FencingToken; readonly identity: OwnerIdentity | undefined; readonly acquiredAt: string | undefined }> {
    const row = this.#connection.get('SELECT token, pid, host, label, acquired_at FROM control_owner') ?? {};
    const pid = optionalInteger(row, 'pid');
    const label = optionalText(row, 'label');
    return {
      token: integer(row, 'token'),
      identity: pid === undefined ? undefined : { pid, host: optionalText(row, 'host') ?? '', ...(label === undefined ? {} : { label }) },
      acquiredAt: optionalTime(row, 'acquired_at'),
    };
  }

  async assertOwned(): Promise<void> {
    this.#connection.checkFence();
  }

  async #refusal(): Promise<MigrationError> {
    const { identity, acquiredAt } = await this.owner();
    const who = identity === undefined ? 'another process' : `process ${identity.pid} on host ${identity.host}${identity.label === undefined ? '' : ` (${identity.label})`}`;
    return new MigrationError('MIG092', `the catalog is owned by ${who}`, {
      detail: `It was acquired at ${acquiredAt ?? 'an unknown time'} and its owner is alive.`,
      hint: 'Stop that process, or use another catalog file.',
    });
  }
}

/** undefined when another process (or another catalog of this one) holds it. */
function takeLock(file: string): Database.Database | undefined {
  const lock = new Database(file, { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return undefined;
    throw error;
  }
}
