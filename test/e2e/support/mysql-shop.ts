/**
 * A shop on MySQL, or on local, that knows what it was promised: each unit enters one line in a ledger, moves money between two accounts and sometimes counts an
 * older line of its own up, in one transaction.
 *
 * Invariants: the sum of all balances never changes; a line that was acknowledged is there, once, as often counted up as was acknowledged; a line
 * that was refused is not there.
 */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import pg from 'pg';

export const ACCOUNTS = 100;
const OPENING_BALANCE = 1000;
export const OPENING_LINES = 2000;
export const OPENING_TOTAL = String(ACCOUNTS * OPENING_BALANCE);

export interface ShopTables {
  readonly account: string;
  readonly ledger: string;
}

/** More lines than one chunk of the load has; the foreign key makes both tables one group. */
export const shopStatements = ({ account, ledger }: ShopTables): readonly string[] => {
  const accounts = Array.from({ length: ACCOUNTS }, (_, at) => `(${at + 1}, ${OPENING_BALANCE})`);
  const lines = Array.from({ length: OPENING_LINES }, (_, at) => `(0, ${-1 - at}, ${1 + (at % ACCOUNTS)}, '${'ö'.repeat(at % 40)}', '2024-02-29 12:00:00')`);
  return [
    `CREATE TABLE ${account} (id int PRIMARY KEY, balance bigint NOT NULL) ENGINE = InnoDB`,
    `CREATE TABLE ${ledger} (id bigint AUTO_INCREMENT PRIMARY KEY, times int NOT NULL, token bigint NOT NULL, account_id int NOT NULL, note varchar(80) NULL, made datetime NOT NULL,
      KEY by_token (token), CONSTRAINT of_account FOREIGN KEY (account_id) REFERENCES ${account} (id)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,
    `INSERT INTO ${account} VALUES ${accounts.join(', ')}`,
    `INSERT INTO ${ledger} (times, token, account_id, note, made) VALUES ${lines.join(', ')}`,
  ];
};

/** What may stand in the ledger for one token: how often it was counted up; undefined, when it need not be there. */
interface Allowed {
  readonly possible: Set<number | undefined>;
}

export class ShopHistory {
  readonly lines = new Map<number, Allowed>();
  readonly errors = new Map<string, { count: number; message: string }>();
  acknowledged = 0;
  unknown = 0;
  reconnects = 0;
  /** Units that were told that the table is elsewhere now. */
  moved = 0;
  phase = 'start';

  countError(name: string, message: string): void {
    const key = `${this.phase}: ${name}`;
    const known = this.errors.get(key);
    if (known) known.count += 1;
    else this.errors.set(key, { count: 1, message });
  }

  errorsByName(): Record<string, string> {
    return Object.fromEntries([...this.errors].map(([name, { count, message }]) => [name, `${count} × ${message}`]));
  }
}

/** Compares the ledger (token → how often counted up, for each of its rows) with history; findings, none when all held. */
export function checkLedger(history: Pick<ShopHistory, 'lines'>, rows: readonly { readonly token: number; readonly times: number }[]): readonly string[] {
  const findings: string[] = [];
  const found = new Map<number, number>();
  for (const { token, times } of rows) {
    if (found.has(token)) findings.push(`line ${token} is there more than once`);
    found.set(token, times);
    if (token > 0 && !history.lines.has(token)) findings.push(`line ${token} was written by nobody`);
  }
  for (const [token, { possible }] of history.lines) {
    const times = found.get(token);
    if (!possible.has(times)) findings.push(`line ${token} is ${times === undefined ? 'missing' : `counted up ${times} times`}, and should be ${[...possible].join(' or ')}`);
  }
  return findings.slice(0, 20);
}

/** One connection of a shop's client, to whichever door. Placeholders are question marks. */
export interface ShopConnection {
  run(sql: string, values?: readonly (number | string)[]): Promise<void>;
  destroy(): void;
}

export interface ShopTarget {
  readonly tables: ShopTables;
  /** `isPrepared`: statements with values are prepared first. */
  connect(isPrepared: boolean): Promise<ShopConnection>;
}

export interface ShopLogin {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** By the front door of MySQL clients. */
export function mysqlShop({ port, user, password, database }: ShopLogin, tables: ShopTables): ShopTarget {
  const connect = async (isPrepared: boolean): Promise<ShopConnection> => {
    const connection = await mysql.createConnection({ host: '127.0.0.1', connectTimeout: 5_000, port, user, password, database });
    connection.on('error', () => undefined);
    return {
      run: async (sql, values = []) => void (isPrepared && values.length > 0 ? await connection.execute(sql, [...values]) : await connection.query(sql, [...values])),
      destroy: () => connection.destroy(),
    };
  };
  return { tables, connect };
}

/** By the door of PostgreSQL clients, to the tables on local; `schema` is the MySQL database. */
export function localShop(login: ShopLogin, schema: string, { account, ledger }: ShopTables): ShopTarget {
  const connect = async (isPrepared: boolean): Promise<ShopConnection> => {
    const client = new pg.Client({ host: '127.0.0.1', connectionTimeoutMillis: 5_000, ...login });
    client.on('error', () => undefined);
    await client.connect();
    return {
      run: async (sql, values = []) => {
        let at = 0;
        const text = sql.replaceAll('?', () => `$${(at += 1)}`);
        await client.query({ text, values: [...values], ...(isPrepared && values.length > 0 ? { name: text.slice(0, 60) } : {}) });
      },
      destroy: () => void client.end().catch(() => undefined),
    };
  };
  return { tables: { account: `${schema}.${account}`, ledger: `${schema}.${ledger}` }, connect };
}

class ShopClient {
  readonly #target: ShopTarget;
  readonly #history: ShopHistory;
  readonly #id: number;
  /** Lines of its own whose fate is certain. */
  readonly #certain: number[] = [];
  #connection: ShopConnection | undefined;
  #isCommitting = false;
  #units = 0;

  constructor(target: ShopTarget, history: ShopHistory, id: number) {
    this.#target = target;
    this.#history = history;
    this.#id = id;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#unit();
      await delay(5);
    }
    this.#connection?.destroy();
  }

  async #unit(): Promise<void> {
    this.#units += 1;
    const token = this.#id * 1_000_000 + this.#units;
    const counted = this.#units % 3 === 0 ? this.#certain[this.#units % this.#certain.length] : undefined;
    const line: Allowed = { possible: new Set([undefined, 0]) };
    this.#history.lines.set(token, line);
    const older = counted === undefined ? undefined : this.#history.lines.get(counted)?.possible;
    const [before = 0] = older ?? [];
    older?.add(before + 1);
    this.#isCommitting = false;
    try {
      await this.#write(token, counted);
      line.possible.delete(undefined);
      older?.delete(before);
      this.#certain.push(token);
      this.#history.acknowledged += 1;
    } catch (error) {
      const isGone = await this.#failed(error);
      if (isGone && this.#isCommitting) {
        this.#history.unknown += 1;
        if (counted !== undefined) this.#certain.splice(this.#certain.indexOf(counted), 1);
        return;
      }
      line.possible.delete(0);
      older?.delete(before + 1);
    }
  }

  /** Half of the clients prepare their statements. */
  async #write(token: number, counted: number | undefined): Promise<void> {
    const { run } = (this.#connection ??= await this.#connect());
    const { account, ledger } = this.#target.tables;
    const [from, to] = [1 + (token % ACCOUNTS), 1 + ((token * 7 + this.#id) % ACCOUNTS)];
    await run('BEGIN');
    await run(`INSERT INTO ${ledger} (times, token, account_id, note, made) VALUES (0, ?, ?, ?, NOW())`, [token, from, `während ${token}`]);
    await run(`UPDATE ${account} SET balance = balance - 5 WHERE id = ?`, [from]);
    await run(`UPDATE ${account} SET balance = balance + 5 WHERE id = ?`, [to]);
    if (counted !== undefined) await run(`UPDATE ${ledger} SET times = times + 1 WHERE token = ?`, [counted]);
    this.#isCommitting = true;
    await run('COMMIT');
  }

  #connect(): Promise<ShopConnection> {
    this.#history.reconnects += 1;
    return this.#target.connect(this.#id % 2 === 0);
  }

  /** True when nobody can say whether the last statement was run. Afterwards the connection is outside a transaction, or closed. */
  async #failed(error: unknown): Promise<boolean> {
    const { code, text } = describe(error);
    if (code === 'MIG082') this.#history.moved += 1;
    else this.#history.countError(code, text);
    if (code === 'connection') {
      this.#connection?.destroy();
      this.#connection = undefined;
      await delay(50);
      return true;
    }
    await this.#connection?.run('ROLLBACK').catch(() => {
      this.#connection?.destroy();
      this.#connection = undefined;
    });
    if (code === 'MIG082') await delay(50);
    return false;
  }
}

/** One of the product's codes, the server's number or SQLSTATE of the error, or `connection` when it went away. */
function describe(error: unknown): { readonly code: string; readonly text: string } {
  const text = error instanceof Error ? error.message : String(error);
  // The server behind went away, and nobody says whether before or after the commit.
  if (error instanceof pg.DatabaseError && /^(?:08|57P|40003)/.test(error.code ?? '')) return { code: 'connection', text };
  const own = /MIG\d{3}/.exec(text)?.[0];
  if (own !== undefined) return { code: own, text };
  if (error instanceof pg.DatabaseError && error.severity === 'ERROR') return { code: error.code ?? '', text };
  const errno = error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;
  const isOfServer = error instanceof Error && 'sqlState' in error && errno !== undefined && errno > 1000;
  return { code: isOfServer ? String(errno) : 'connection', text };
}

/** Starts clients; `stop` lets each finish its unit. `firstId`: no two clients of a ledger may have one. */
export function openShop(target: ShopTarget, history: ShopHistory, clients: number, firstId = 1): { stop(): Promise<void> } {
  const stop = new AbortController();
  const running = Promise.all(Array.from({ length: clients }, (_, at) => new ShopClient(target, history, firstId + at).run(stop.signal)));
  running.catch(() => undefined);
  return {
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}
