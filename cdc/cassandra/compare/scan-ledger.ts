/** What the last scans found where, so that the next one need not look everywhere. */
import Database from 'better-sqlite3';
import { printTable } from '../table.ts';
import type { TableName } from '../table.ts';
import { compareTokens } from '../ring-share.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';

export interface ScanLedger {
  /** A scan of the whole ring begins: what is known of the table is forgotten. */
  begin(table: TableName): Promise<void>;
  finish(table: TableName, range: TokenRange, differences: number): Promise<void>;
  /** A scan of the whole ring has come to its end. `startedAt` in microseconds. */
  complete(table: TableName, startedAt: bigint): Promise<void>;
  /** Undefined when the table has never been scanned whole. */
  last(table: TableName): Promise<{ readonly startedAt: bigint; readonly different: readonly TokenRange[] } | undefined>;
}

const schema = `
  CREATE TABLE IF NOT EXISTS cassandra_scan (table_name TEXT PRIMARY KEY, started_at TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS cassandra_scan_range (table_name TEXT NOT NULL, after TEXT NOT NULL, up_to TEXT NOT NULL, differences INTEGER NOT NULL, PRIMARY KEY (table_name, after, up_to)) WITHOUT ROWID;
`;

export class SqliteScanLedger implements ScanLedger, Disposable {
  readonly #database: Database.Database;

  constructor(file: string) {
    this.#database = new Database(file);
    this.#database.pragma('journal_mode = WAL');
    this.#database.exec(schema);
  }

  begin(table: TableName): Promise<void> {
    return this.#act((name) => {
      this.#database.prepare('DELETE FROM cassandra_scan_range WHERE table_name = ?').run(name);
      this.#database.prepare('DELETE FROM cassandra_scan WHERE table_name = ?').run(name);
    }, table);
  }

  finish(table: TableName, { after, upTo }: TokenRange, differences: number): Promise<void> {
    return this.#act((name) => {
      this.#database.prepare('INSERT OR REPLACE INTO cassandra_scan_range VALUES (?, ?, ?, ?)').run(name, String(after), String(upTo), differences);
    }, table);
  }

  complete(table: TableName, startedAt: bigint): Promise<void> {
    return this.#act((name) => {
      this.#database.prepare('INSERT OR REPLACE INTO cassandra_scan VALUES (?, ?)').run(name, String(startedAt));
    }, table);
  }

  async last(table: TableName): Promise<{ readonly startedAt: bigint; readonly different: readonly TokenRange[] } | undefined> {
    const scan = this.#database.prepare('SELECT started_at FROM cassandra_scan WHERE table_name = ?').get(printTable(table)) as { readonly started_at: string } | undefined;
    if (scan === undefined) return undefined;
    const rows = this.#database.prepare('SELECT after, up_to FROM cassandra_scan_range WHERE table_name = ? AND differences > 0').all(printTable(table)) as { readonly after: string; readonly up_to: string }[];
    return { startedAt: BigInt(scan.started_at), different: rows.map(({ after, up_to }) => ({ after: BigInt(after), upTo: BigInt(up_to) })).sort((a, b) => compareTokens(a.after, b.after)) };
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #act(act: (name: string) => void, table: TableName): Promise<void> {
    return Promise.resolve().then(() => this.#database.transaction(act).immediate(printTable(table)));
  }
}
