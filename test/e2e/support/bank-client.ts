/**
 * One client of the bank: units of work in a loop, over a connection that comes back by itself.
 *
 * A unit is `working` until the statement that may commit it is sent, then `committing`: only an error from there on, and only one that
 * ends the connection, leaves the outcome unknown.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { ACCOUNTS, LISTS, OPENING_TOTAL, readTotal } from './bank.ts';
import type { Append, BankHistory } from './bank.ts';

export interface BankTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

const UNIT_LIMIT_MS = 60_000;

export class BankClient {
  readonly #target: BankTarget;
  readonly #history: BankHistory;
  readonly #id: number;
  readonly #lastRead = new Map<number, readonly number[]>();
  readonly #own = new Map<number, number[]>();
  #client: pg.Client | undefined;
  #isCommitting = false;
  #appends = 0;
  #random: number;

  constructor(target: BankTarget, history: BankHistory, id: number) {
    this.#target = target;
    this.#history = history;
    this.#id = id;
    this.#random = id * 7919 + 17;
  }

  /** Until aborted; the unit under way is finished. `pauseMs` between units. */
  async run(signal: AbortSignal, pauseMs: number): Promise<void> {
    while (!signal.aborted) {
      if (!(await this.#open(signal))) break;
      const begun = performance.now();
      await this.#unit();
      this.#history.longestUnitMs = Math.max(this.#history.longestUnitMs, performance.now() - begun);
      if (pauseMs > 0) await delay(pauseMs);
    }
    await this.#client?.end().catch(() => undefined);
  }

  async #open(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 0; !this.#client; attempt += 1) {
      if (signal.aborted) return false;
      const client = new pg.Client({ ...this.#target, user: 'app', application_name: `bank ${this.#id}`, connectionTimeoutMillis: 10_000, query_timeout: UNIT_LIMIT_MS });
      client.on('error', () => this.#lose(client));
      client.on('end', () => this.#lose(client));
      try {
        await client.connect();
        this.#client = client;
        if (this.#appends > 0) this.#history.reconnects += 1;
      } catch (error) {
        if (attempt === 0) this.#history.countError(codeOf(error), messageOf(error));
        await delay(Math.min(50 * 2 ** attempt, 500));
      }
    }
    return true;
  }

  #lose(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
  }

  async #unit(): Promise<void> {
    const choice = this.#pick(100);
    if (choice < 40) return this.#append();
    if (choice < 70) return void (await this.#attempt(() => this.#transfer()));
    if (choice < 80) return void (await this.#attempt(() => this.#sumInOneStatement()));
    if (choice < 88) return void (await this.#attempt(() => this.#sumInOneSnapshot()));
    await this.#attempt(() => this.#readList(1 + this.#pick(LISTS)));
  }

  async #append(): Promise<void> {
    const key = 1 + this.#pick(LISTS);
    const append: Append = { key, value: this.#id * 10_000_000 + (this.#appends += 1), startMs: performance.now(), endMs: Infinity, outcome: 'pending' };
    this.#history.appends.push(append);
    const isTransaction = this.#pick(3) === 0;
    append.outcome = await this.#attempt(async () => {
      if (isTransaction) await this.#query('BEGIN');
      else this.#isCommitting = true;
      const { rowCount } = await this.#query('UPDATE lists SET items = items || $2::bigint WHERE k = $1', [key, append.value], 'append');
      if (rowCount !== 1) this.#history.note(`client ${this.#id}: the append to list ${key} met ${rowCount ?? 0} rows`);
      if (isTransaction) await this.#commit();
    });
    append.endMs = performance.now();
    if (append.outcome !== 'done') return;
    this.#own.set(key, [...(this.#own.get(key) ?? []), append.value]);
    if (this.#pick(2) === 0) await this.#attempt(() => this.#readList(key));
  }

  /** Checking before savings, always: no deadlock among these clients. */
  async #transfer(): Promise<void> {
    const cents = this.#pick(50) - 25;
    await this.#query('BEGIN');
    await this.#query('UPDATE checking SET balance = balance - $2 WHERE id = $1', [1 + this.#pick(ACCOUNTS), cents]);
    if (this.#pick(4) === 0) await this.#query('SAVEPOINT s; SELECT 1; RELEASE s');
    await this.#query('UPDATE savings SET balance = balance + $2 WHERE id = $1', [1 + this.#pick(ACCOUNTS), cents], 'credit');
    await this.#commit();
    this.#history.transfers += 1;
  }

  async #sumInOneStatement(): Promise<void> {
    const total = await readTotal(this.#connected());
    if (total !== OPENING_TOTAL) this.#history.note(`one statement saw ${total} instead of ${OPENING_TOTAL}`);
    this.#history.sums += 1;
  }

  async #sumInOneSnapshot(): Promise<void> {
    const begin = this.#pick(2) === 0 ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN ISOLATION LEVEL REPEATABLE READ';
    await this.#query(begin);
    const parts: number[] = [];
    for (const table of ['checking', 'savings']) {
      const { rows } = await this.#query(`SELECT sum(balance)::text AS total FROM ${table}`);
      parts.push(Number(rows[0]?.['total']));
      await delay(this.#pick(5));
    }
    await this.#query('COMMIT');
    const total = parts.reduce((sum, part) => sum + part, 0);
    if (total !== OPENING_TOTAL) this.#history.note(`one snapshot (${begin}) saw ${parts.join(' + ')} instead of ${OPENING_TOTAL}`);
    this.#history.snapshots += 1;
  }

  async #readList(key: number): Promise<void> {
    const { rows } = await this.#query('SELECT items FROM lists WHERE k = $1', [key], 'list');
    const items = (rows[0]?.['items'] as string[] | undefined)?.map(Number);
    if (!items) return this.#history.note(`client ${this.#id}: list ${key} is not there`);
    const before = this.#lastRead.get(key) ?? [];
    if (before.some((value, index) => items[index] !== value)) this.#history.note(`client ${this.#id}: list ${key} went back: ${before.length} items before, ${items.length} now`);
    const missing = (this.#own.get(key) ?? []).filter((value) => !items.includes(value));
    if (missing.length > 0) this.#history.note(`client ${this.#id}: does not see its own ${missing.slice(0, 5).join(', ')} in list ${key}`);
    this.#lastRead.set(key, items);
    this.#own.set(key, []);
    this.#history.reads += 1;
  }

  /** Afterwards the connection is idle outside a transaction, or closed. */
  async #attempt(work: () => Promise<void>): Promise<Append['outcome']> {
    this.#isCommitting = false;
    try {
      await work();
      return 'done';
    } catch (error) {
      const code = codeOf(error);
      this.#history.countError(code, messageOf(error));
      const isGone = code === 'connection' || code === '40003' || code.startsWith('08') || code.startsWith('57P');
      const outcome = isGone && this.#isCommitting ? 'unknown' : 'failed';
      if (isGone) await this.#drop();
      else await this.#client?.query('ROLLBACK').catch(() => this.#drop());
      return outcome;
    }
  }

  async #commit(): Promise<void> {
    this.#isCommitting = true;
    const { command } = await this.#query('COMMIT');
    if (command !== 'COMMIT') throw Object.assign(new Error(`COMMIT was answered with ${command}`), { code: '25P02' });
  }

  #connected(): pg.Client {
    if (!this.#client) throw new Error('connection lost');
    return this.#client;
  }

  /** Half of the statements that have a name are prepared, so both protocols are in use. */
  #query(text: string, values: readonly unknown[] = [], name?: string): Promise<pg.QueryResult<Record<string, unknown>>> {
    const client = this.#connected();
    if (values.length === 0) return client.query<Record<string, unknown>>(text);
    return client.query<Record<string, unknown>>({ text, values: [...values], ...(name !== undefined && this.#id % 2 === 0 ? { name } : {}) });
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  /** 0 to below − 1, the same for each run (a linear congruential generator will do). */
  #pick(below: number): number {
    this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((this.#random / 0x80000000) * below);
  }
}

function codeOf(error: unknown): string {
  return error instanceof pg.DatabaseError && error.code !== undefined ? error.code : error instanceof Error && 'code' in error && error.code === '25P02' ? '25P02' : 'connection';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Starts clients; `stop` lets each finish its unit. */
export function openBank(target: BankTarget, history: BankHistory, clients: number, pauseMs = 5): { stop(): Promise<void> } {
  const stop = new AbortController();
  const running = Array.from({ length: clients }, (_, id) => new BankClient(target, history, id + 1).run(stop.signal, pauseMs));
  return {
    stop: async () => {
      stop.abort();
      await Promise.all(running);
    },
  };
}
