/** The ledger in a SQLite file of its own, every act synced. One process has it at a time: two that load one table of counters would add every difference twice. */
import Database from 'better-sqlite3';
import { MigrationError } from '../../../config/migration-error.ts';
import { printTable } from '../table.ts';
import type { TableName } from '../table.ts';
import { compareTokens } from '../ring-share.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import type { LedgerRange, LoadLedger, LoadRecord, NewLoad, RangeState, RangeTally } from './load-ledger.ts';

/** Tokens are kept as text: they are wider than SQLite's driver reads without being asked to. */
const schema = `
  CREATE TABLE IF NOT EXISTS cassandra_load (table_name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, assumed_time TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS cassandra_load_range (
    table_name TEXT NOT NULL REFERENCES cassandra_load ON DELETE CASCADE, after TEXT NOT NULL, up_to TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (table_name, after)
  ) WITHOUT ROWID;
`;

const LOCK_PATIENCE_MS = 2000;

interface RangeRow extends RangeTally {
  readonly after: string;
  readonly up_to: string;
  readonly state: RangeState;
}

export class SqliteLoadLedger implements LoadLedger, Disposable {
  readonly #database: Database.Database;

  /** Throws MIG074 while another process has it. The system gives it back with the process, however that ends. */
  constructor(file: string) {
    this.#database = new Database(file, { timeout: LOCK_PATIENCE_MS });
    try {
      this.#database.pragma('locking_mode = EXCLUSIVE');
      this.#database.pragma('journal_mode = WAL');
      this.#database.pragma('synchronous = FULL');
      this.#database.pragma('foreign_keys = ON');
      this.#database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    } catch (error) {
      this.#database.close();
      if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
      throw new MigrationError('MIG074', `Another process loads with the ledger ${file}`, { cause: error, hint: 'Wait for it, stop it, or give this one a ledger of its own for other tables.' });
    }
  }

  begin(table: TableName, load: NewLoad): Promise<LoadRecord> {
    const name = printTable(table);
    const begin = this.#database.transaction((): LoadRecord => {
      const known = this.#database.prepare('SELECT fingerprint, assumed_time FROM cassandra_load WHERE table_name = ?').get(name) as { readonly fingerprint: string; readonly assumed_time: string } | undefined;
      if (known !== undefined && known.fingerprint !== load.fingerprint) {
        throw new MigrationError('MIG074', `${name} is no longer the table that its load began with`, { tableName: name, hint: 'Start its load again from the beginning.' });
      }
      if (known !== undefined) return { assumedTime: BigInt(known.assumed_time), ranges: this.#ranges(name) };
      this.#database.prepare('INSERT INTO cassandra_load VALUES (?, ?, ?)').run(name, load.fingerprint, String(load.assumedTime));
      this.#insert(name, load.ranges);
      return { assumedTime: load.assumedTime, ranges: this.#ranges(name) };
    });
    return Promise.resolve().then(begin.immediate);
  }

  finish(table: TableName, { after, upTo }: TokenRange, { rows, bytes, refused }: RangeTally): Promise<void> {
    return this.#act(() => {
      const { changes } = this.#database.prepare('UPDATE cassandra_load_range SET state = ?, rows = ?, bytes = ?, refused = ? WHERE table_name = ? AND after = ? AND up_to = ?')
        .run(refused === 0 ? 'done' : 'partial', rows, bytes, refused, printTable(table), String(after), String(upTo));
      if (changes !== 1) throw new MigrationError('MIG091', `The ledger has no range (${after}, ${upTo}] of ${printTable(table)}`);
    });
  }

  split(table: TableName, { after, upTo }: TokenRange, parts: readonly TokenRange[]): Promise<void> {
    return this.#act(() => {
      this.#database.prepare('DELETE FROM cassandra_load_range WHERE table_name = ? AND after = ? AND up_to = ?').run(printTable(table), String(after), String(upTo));
      this.#insert(printTable(table), parts);
    });
  }

  forget(table: TableName): Promise<void> {
    return this.#act(() => {
      this.#database.prepare('DELETE FROM cassandra_load WHERE table_name = ?').run(printTable(table));
    });
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #insert(name: string, ranges: readonly TokenRange[]): void {
    const insert = this.#database.prepare('INSERT INTO cassandra_load_range (table_name, after, up_to) VALUES (?, ?, ?)');
    for (const { after, upTo } of ranges) insert.run(name, String(after), String(upTo));
  }

  #ranges(name: string): readonly LedgerRange[] {
    const rows = this.#database.prepare('SELECT after, up_to, state, rows, bytes, refused FROM cassandra_load_range WHERE table_name = ?').all(name) as RangeRow[];
    return rows.map(({ after, up_to, ...others }) => ({ ...others, after: BigInt(after), upTo: BigInt(up_to) })).sort((a, b) => compareTokens(a.after, b.after));
  }

  #act(act: () => void): Promise<void> {
    return Promise.resolve().then(this.#database.transaction(act).immediate);
  }
}
