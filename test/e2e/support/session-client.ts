/**
 * A client that remembers what its sessions have seen of the source, in every way in which one can see it: its own writes, a locked row that was rolled
 * back, a duplicate key, a row that a trigger wrote, a commit whose answer was lost. Whatever it reads afterwards, on either side and on any
 * connection, must not be older (RULES 18–20).
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export const KEYS = 8;
export const CLAIMS = 200;

export const sessionSql = `
  CREATE TABLE counters (k int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE trail (k int NOT NULL, n bigint NOT NULL, PRIMARY KEY (k, n));
  CREATE TABLE claims (id int PRIMARY KEY, owner text NOT NULL);
  CREATE FUNCTION keep_trail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trail VALUES (NEW.k, NEW.n); RETURN NULL; END $$;
  CREATE TRIGGER kept AFTER UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION keep_trail();
  INSERT INTO counters SELECT g FROM generate_series(1, ${KEYS}) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON counters, trail, claims TO app`;

/** The same to look at, with no trigger: the rows of a write are all that it does. */
export const withoutTriggers = `
  CREATE TABLE counters (k int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  CREATE VIEW trail AS SELECT c.k, g AS n FROM counters c, generate_series(1, c.n) g;
  CREATE TABLE claims (id int PRIMARY KEY, owner text NOT NULL);
  INSERT INTO counters SELECT g FROM generate_series(1, ${KEYS}) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON counters, trail, claims TO app`;

export class SessionHistory {
  readonly acknowledged = new Map<number, number>();
  /** Commits whose answer never came. */
  readonly unknown = new Map<number, number>();
  readonly violations: string[] = [];
  readonly errors = new Map<string, string>();
  readonly seen: Record<string, number> = { own: 0, locked: 0, duplicate: 0, trail: 0, lost: 0, notified: 0 };
  phase = 'start';
  longest = { ms: 0, what: '' };

  count(map: Map<number, number>, k: number): void {
    map.set(k, (map.get(k) ?? 0) + 1);
  }

  get total(): number {
    return [...this.acknowledged.values()].reduce((sum, n) => sum + n, 0);
  }

  note(violation: string): void {
    if (this.violations.length < 30) this.violations.push(`${this.phase}: ${violation}`);
  }
}

export interface SessionTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

const STATEMENT_LIMIT_MS = 40_000;

export class SessionClient {
  readonly #target: SessionTarget;
  readonly #history: SessionHistory;
  readonly #id: number;
  /** The newest value of each counter that this client knows of. */
  readonly #known = new Map<number, bigint>();
  #client: pg.Client | undefined;
  #isLosing = false;
  #random: number;

  constructor(target: SessionTarget, history: SessionHistory, id: number) {
    this.#target = target;
    this.#history = history;
    this.#id = id;
    this.#random = id * 6007 + 11;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#open();
        await this.#unit();
      } catch (error) {
        await this.#failed(error);
      }
    }
    await this.#client?.end().catch(() => undefined);
  }

  async #open(): Promise<void> {
    if (this.#client) return;
    const client = new pg.Client({ ...this.#target, user: 'app', connectionTimeoutMillis: 15_000, query_timeout: STATEMENT_LIMIT_MS });
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    client.on('notification', (notification) => void this.#notified(client, notification.payload ?? ''));
    await client.connect();
    this.#client = client;
    if (this.#id % 2 === 0) await this.#query('LISTEN counted');
  }

  #lost(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
  }

  #unit(): Promise<void> {
    const k = 1 + this.#pick(KEYS);
    const choice = this.#pick(100);
    if (choice < 40) return this.#increment(k);
    if (choice < 55) return this.#lockAndLetGo(k);
    if (choice < 70) return this.#claim();
    if (choice < 80) return this.#loseReply(k);
    return this.#read(k);
  }

  /** In autocommit, in a transaction, or with a NOTIFY for the others; then it reads what it and the trigger have written. */
  async #increment(k: number): Promise<void> {
    const sql = 'UPDATE counters SET n = n + 1 WHERE k = $1 RETURNING n';
    const isBlock = this.#pick(3) === 0;
    if (isBlock) await this.#query('BEGIN');
    const n = valueOf(await this.#query(sql, [k]));
    if (isBlock && this.#id % 3 === 0) await this.#query(`NOTIFY counted, '${k}:${n}'`);
    if (isBlock) await this.#query('COMMIT');
    this.#history.count(this.#history.acknowledged, k);
    this.#learn(k, n);
    if (this.#pick(2) === 0) return this.#read(k, 'own');
    const { rowCount } = await this.#query('SELECT FROM trail WHERE k = $1 AND n = $2', [k, String(n)]);
    this.#history.seen['trail'] = (this.#history.seen['trail'] ?? 0) + 1;
    if (rowCount !== 1) this.#history.note(`client ${this.#id}: what the trigger wrote for counter ${k} at ${n} is not there`);
  }

  async #lockAndLetGo(k: number): Promise<void> {
    await this.#query('BEGIN');
    this.#learn(k, valueOf(await this.#query('SELECT n FROM counters WHERE k = $1 FOR UPDATE', [k])));
    await this.#query('ROLLBACK');
    await this.#read(k, 'locked');
  }

  async #claim(): Promise<void> {
    const id = this.#pick(CLAIMS);
    try {
      await this.#query('INSERT INTO claims VALUES ($1, $2)', [id, `client ${this.#id}`]);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== '23505') throw error;
    }
    const { rowCount } = await this.#query('SELECT FROM claims WHERE id = $1', [id]);
    this.#history.seen['duplicate'] = (this.#history.seen['duplicate'] ?? 0) + 1;
    if (rowCount !== 1) this.#history.note(`client ${this.#id}: claim ${id} is taken, and is not there`);
  }

  /** The socket is gone before the answer to COMMIT: on a new connection the counter is where it was or one further, and never goes back. */
  async #loseReply(k: number): Promise<void> {
    const client = this.#connected();
    await this.#query('BEGIN');
    this.#learn(k, valueOf(await this.#query('UPDATE counters SET n = n + 1 WHERE k = $1 RETURNING n', [k])) - 1n);
    this.#isLosing = true;
    this.#history.count(this.#history.unknown, k);
    const commit = client.query('COMMIT').catch(() => undefined);
    // The bytes have left, nothing has come back.
    await new Promise((resolve) => setImmediate(resolve));
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await commit;
    this.#lost(client);
    this.#isLosing = false;
    await this.#open();
    await this.#read(k, 'lost');
  }

  async #read(k: number, how?: string): Promise<void> {
    const known = this.#known.get(k) ?? 0n;
    const n = valueOf(await this.#query('SELECT n FROM counters WHERE k = $1', [k]));
    if (n < known) this.#history.note(`client ${this.#id}: counter ${k} was ${known}${how === undefined ? '' : ` (${how})`}, and is ${n}`);
    if (how !== undefined) this.#history.seen[how] = (this.#history.seen[how] ?? 0) + 1;
    this.#learn(k, n);
  }

  async #notified(client: pg.Client, payload: string): Promise<void> {
    const [k, n] = payload.split(':').map(Number);
    if (k === undefined || n === undefined) return;
    const found = await client.query("SELECT n FROM counters WHERE k = $1", [k]).catch(() => undefined);
    if (!found) return;
    this.#history.seen['notified'] = (this.#history.seen['notified'] ?? 0) + 1;
    if (valueOf(found) < BigInt(n)) this.#history.note(`client ${this.#id}: was told of counter ${k} at ${n}, and reads ${valueOf(found)}`);
  }

  #learn(k: number, n: bigint): void {
    if (n > (this.#known.get(k) ?? 0n)) this.#known.set(k, n);
  }

  async #failed(error: unknown): Promise<void> {
    const code = error instanceof pg.DatabaseError && error.code !== undefined ? error.code : 'connection';
    if (!this.#isLosing) this.#history.errors.set(`${this.#history.phase}: ${code}`, error instanceof Error ? error.message : String(error));
    this.#isLosing = false;
    const client = this.#client;
    if (error instanceof pg.DatabaseError && error.severity === 'ERROR') {
      await client?.query('ROLLBACK').catch(() => this.#drop());
    } else await this.#drop();
    await delay(20);
  }

  async #query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult<Record<string, unknown>>> {
    const begunMs = performance.now();
    try {
      return await this.#connected().query<Record<string, unknown>>(text, values === undefined ? undefined : [...values]);
    } finally {
      const ms = performance.now() - begunMs;
      if (ms > this.#history.longest.ms) this.#history.longest = { ms: Math.round(ms), what: `${this.#history.phase}: ${text}` };
    }
  }

  #connected(): pg.Client {
    if (!this.#client) throw new Error('connection lost');
    return this.#client;
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #pick(below: number): number {
    this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((this.#random / 0x80000000) * below);
  }
}

function valueOf(result: pg.QueryResult): bigint {
  const row = result.rows[0] as { n?: string } | undefined;
  if (row?.n === undefined) throw new Error('the counter is not there');
  return BigInt(row.n);
}
