/**
 * Clients that move money between a table that has moved and one that has not, each transfer with a line in a journal on either side.
 *
 * Invariants: no sum is off; a transfer is in both journals or in neither; one that was acknowledged is in both.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { BankTarget } from './bank-client.ts';

export const ACCOUNTS = 200;
const CONNECT_LIMIT_MS = 10_000;

export const transfersSql = ['moved', 'stayed'].map((side) => `
  CREATE TABLE ${side} (id int PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE ${side}_journal (transfer text PRIMARY KEY, amount bigint NOT NULL);
  INSERT INTO ${side} SELECT g, 1000 FROM generate_series(1, ${ACCOUNTS}) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ${side}, ${side}_journal TO app;`).join('');

/** A connection, by whatever protocol; parameters are `$1` and `$2`. A lost one throws no DatabaseError. */
export interface TransferClient {
  query(text: string, values?: readonly unknown[]): Promise<unknown>;
  end(): Promise<void>;
  /** Of an error of the server's. */
  codeOf(error: unknown): string | undefined;
}

export const movedTables = ['moved', 'moved_journal'] as const;

export class Transfers {
  readonly acknowledged = new Set<string>();
  readonly errors = new Map<string, number>();
  /** The last of each code, in words. */
  readonly said = new Map<string, string>();
  /** A connection that had another's transaction open, or none where a block was. */
  readonly strays: string[] = [];
  unknown = 0;
  readonly #run = randomUUID();
  readonly #target: BankTarget;
  readonly #user: string;
  /** Stands before the names of the tables. */
  readonly #schema: string;
  readonly #connectOther: (() => Promise<TransferClient>) | undefined;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>[] = [];

  /** `connect`: by another protocol than PostgreSQL's. */
  constructor(target: BankTarget, user = 'app', schema = '', connect?: () => Promise<TransferClient>) {
    this.#connectOther = connect;
    this.#target = target;
    this.#user = user;
    this.#schema = schema;
  }

  start(clients: number): void {
    for (let id = 1; id <= clients; id += 1) this.#running.push(this.#client(id));
  }

  /** The transfers under way are finished. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  async #client(id: number): Promise<void> {
    let client: TransferClient | undefined;
    for (let number = 1; !this.#abort.signal.aborted; number += 1) {
      client ??= await this.#connect();
      if (client && !(await this.#transfer(client, `${this.#run}/${id}/${number}`))) {
        client.end().catch(() => undefined);
        client = undefined;
      }
      await delay(client ? 5 : 100);
    }
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<TransferClient | undefined> {
    if (this.#connectOther) return this.#connectOther().catch(() => undefined);
    const client = new pg.Client({ ...this.#target, user: this.#user, connectionTimeoutMillis: CONNECT_LIMIT_MS, query_timeout: 60_000 });
    client.on('error', () => undefined);
    // "There is already a transaction in progress", "there is no transaction in progress".
    client.on('notice', ({ code, message }) => {
      if (code === '25001' || code === '25P01') this.strays.push(message ?? code);
    });
    return client.connect().then(() => new PostgresClient(client), () => undefined);
  }

  /** False when the connection is of no more use. */
  async #transfer(client: TransferClient, transfer: string): Promise<boolean> {
    const account = (): number => 1 + Math.floor(Math.random() * ACCOUNTS);
    const amount = 1 + Math.floor(Math.random() * 9);
    const schema = this.#schema;
    let isCommitting = false;
    try {
      for (const table of client instanceof PostgresClient ? [`${schema}moved`, 'pg_catalog.pg_class'] : []) {
        const { rows } = await (client as PostgresClient).client.query<{ fresh: boolean }>(`SELECT now() = statement_timestamp() AND pg_current_xact_id_if_assigned() IS NULL AS fresh FROM ${table} LIMIT 1`);
        if (rows[0]?.fresh !== true) this.strays.push(`a transaction was open on a connection for ${table}`);
      }
      await client.query('BEGIN');
      await client.query(`UPDATE ${schema}moved SET balance = balance - $1 WHERE id = $2`, [amount, account()]);
      await client.query(`INSERT INTO ${schema}moved_journal VALUES ($1, $2)`, [transfer, amount]);
      await client.query(`UPDATE ${schema}stayed SET balance = balance + $1 WHERE id = $2`, [amount, account()]);
      await client.query(`INSERT INTO ${schema}stayed_journal VALUES ($1, $2)`, [transfer, amount]);
      isCommitting = true;
      await client.query('COMMIT');
      this.acknowledged.add(transfer);
      return true;
    } catch (error) {
      const code = client.codeOf(error) ?? 'connection';
      this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
      this.said.set(code, String(error));
      if (isCommitting) this.unknown += 1;
      if (code === 'connection' || code.startsWith('08') || code.startsWith('57P')) return false;
      return client.query('ROLLBACK').then(() => true, () => false);
    }
  }
}

class PostgresClient implements TransferClient {
  readonly client: pg.Client;

  constructor(client: pg.Client) {
    this.client = client;
  }

  query(text: string, values: readonly unknown[] = []): Promise<unknown> {
    return this.client.query(text, [...values]);
  }

  end(): Promise<void> {
    return this.client.end();
  }

  codeOf(error: unknown): string | undefined {
    return error instanceof pg.DatabaseError ? (error.code ?? 'none') : undefined;
  }
}

/** Of one side. */
export interface Balance {
  readonly total: number;
  readonly transfers: ReadonlySet<string>;
}

/** `side`: `moved` or `stayed`, with its schema. */
export async function readBalance(client: pg.Client, side: string): Promise<Balance> {
  const total = await client.query<{ n: string }>(`SELECT sum(balance) AS n FROM ${side}`);
  const journal = await client.query<{ transfer: string }>(`SELECT transfer FROM ${side}_journal`);
  return { total: Number(total.rows[0]?.n), transfers: new Set(journal.rows.map((row) => row.transfer)) };
}

/** What is wrong, a line each. `source`, `local`: past the gateway. */
export async function findTransferFaults(source: pg.Client, local: pg.Client, acknowledged: ReadonlySet<string>): Promise<string[]> {
  return transferFaults(await readBalance(local, 'moved'), await readBalance(source, 'stayed'), acknowledged);
}

export function transferFaults(moved: Balance, stayed: Balance, acknowledged: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  if (moved.total + stayed.total !== 2 * ACCOUNTS * 1000) faults.push(`the sum is ${moved.total + stayed.total}`);
  for (const transfer of moved.transfers) if (!stayed.transfers.has(transfer)) faults.push(`${transfer} is on local only`);
  for (const transfer of stayed.transfers) if (!moved.transfers.has(transfer)) faults.push(`${transfer} is on the source only`);
  for (const transfer of acknowledged) if (!stayed.transfers.has(transfer)) faults.push(`${transfer} was acknowledged and is nowhere`);
  return faults;
}

export async function preparedLeft(...clients: readonly pg.Client[]): Promise<number> {
  let left = 0;
  for (const client of clients) left += Number((await client.query<{ n: string }>('SELECT count(*) AS n FROM pg_prepared_xacts')).rows[0]?.n);
  return left;
}
