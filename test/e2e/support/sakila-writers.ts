/** Clients of a rental database and of tables of every type: the same units of work on MySQL, through its front door, and on local. */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { everyType } from '../../cdc/mysql/every-type.ts';
import type { Random } from '../../cdc/stream/random-workload.ts';
import type { Promised, PromisedColumn, PromisedRows, PromisedTable } from './promised-rows.ts';
import { features, ratingOf, STORES } from './sakila.ts';
import type { SakilaSize } from './sakila.ts';

/** A bound value in the words of both sides: a SET's labels have a comma between them. */
type Value = string | number | null | Buffer | readonly string[];

/** A session of one side. */
export interface UnitSession {
  /** Quoted. */
  name(identifier: string): string;
  /** The number that the row got. */
  insert(table: string, key: string, row: Readonly<Record<string, Value>>): Promise<string>;
  run(sql: string, values?: readonly Value[]): Promise<void>;
  end(): void;
}

export async function openMysql(port: number, prepared: boolean): Promise<UnitSession> {
  const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'sakila', charset: 'utf8mb4' });
  connection.on('error', () => undefined);
  await connection.query("SET sql_mode = '', time_zone = '+00:00'");
  await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  const bind = (values: readonly Value[]): (string | number | null | Buffer)[] => values.map((value) => (value !== null && typeof value === 'object' && !Buffer.isBuffer(value) ? value.join(',') : value));
  const send = async (sql: string, values: readonly Value[]): Promise<string> => {
    const [result] = prepared ? await connection.execute<mysql.ResultSetHeader>(sql, bind(values)) : await connection.query<mysql.ResultSetHeader>(sql, bind(values));
    return String(result.insertId);
  };
  return {
    name: (identifier) => `\`${identifier}\``,
    insert: (table, _, row) => send(`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${Object.keys(row).map(() => '?').join(', ')})`, Object.values(row)),
    // What begins and ends transactions cannot be prepared everywhere.
    run: async (sql, values = []) => void (values.length === 0 ? await connection.query(sql) : await send(sql, values)),
    end: () => connection.destroy(),
  };
}

export function usePostgres(client: pg.Client): UnitSession {
  const numbered = (sql: string): string => {
    let at = 0;
    return sql.replaceAll('?', () => `$${(at += 1)}`);
  };
  return {
    name: (identifier) => `"${identifier}"`,
    insert: async (table, key, row) => {
      const { rows } = await client.query<{ id: string }>(numbered(`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${Object.keys(row).map(() => '?').join(', ')}) RETURNING ${key}::text AS id`), Object.values(row));
      return rows[0]?.id ?? '';
    },
    run: async (sql, values = []) => void (await client.query(numbered(sql), [...values])),
    end: () => void client.end().catch(() => undefined),
  };
}

const plain = (name: string): PromisedColumn => ({ name, source: `CAST(${name} AS CHAR)`, local: `${name}::text` });

export const promisedTables: readonly PromisedTable[] = [
  { schema: 'sakila', name: 'rental', key: 'rental_id', columns: [plain('return_date'), plain('customer_id')] },
  { schema: 'sakila', name: 'payment', key: 'payment_id', columns: [plain('amount'), plain('rental_id')] },
  { schema: 'sakila', name: 'film', key: 'film_id', columns: [plain('title'), { name: 'release_year', source: 'CAST(release_year + 0 AS CHAR)', local: 'release_year::text' }, plain('rating'), { name: 'special_features', source: 'CAST(special_features AS CHAR)', local: "array_to_string(special_features, ',')" }] },
  { schema: 'sakila', name: 'film_text', key: 'film_id', columns: [plain('title')] },
  { schema: 'sakila', name: 'inventory', key: 'inventory_id', columns: [plain('film_id')] },
  { schema: 'sakila', name: 'customer', key: 'customer_id', columns: [plain('email'), { name: 'active', source: 'CAST(active AS CHAR)', local: 'active::int::text' }] },
  { schema: 'sakila', name: 'address', key: 'address_id', columns: [{ name: 'location', source: 'LOWER(HEX(location))', local: "encode(location, 'hex')" }] },
  { schema: 'sakila', name: 'category', key: 'category_id', columns: [plain('name')] },
  { schema: 'types', name: 'every_type', key: 'id', columns: [{ name: 'filled', source: 'CAST(filled + 0 AS CHAR)', local: 'filled::text' }] },
  { schema: 'types', name: 'events', key: 'id', columns: [plain('amount'), plain('note')] },
];

/** Keys of two bytes must last for the run. */
const PACE_MS = 10;

type Unit = (this: Writer) => Promise<void>;

/** Each changes only rows that it has made, or rows that nobody is promised anything about. */
export class Writer {
  readonly #session: UnitSession;
  readonly #kept: PromisedRows;
  readonly #random: Random;
  readonly #size: SakilaSize;
  readonly #label: string;
  readonly #own = new Map<string, string[]>();
  readonly #left = new Map<string, string[]>();
  readonly #paidBy = new Map<string, string>();
  #changes: { table: string; key: string; row: Promised | null }[] = [];
  #count = 0;
  /** Units that the server itself gave up, and that were done again. */
  deadlocks = 0;
  #ended: unknown = 'writing';

  constructor(session: UnitSession, kept: PromisedRows, random: Random, size: SakilaSize, label: string) {
    this.#session = session;
    this.#kept = kept;
    this.#random = random;
    this.#size = size;
    this.#label = label;
  }

  /** For people. */
  get state(): string {
    return `${String(this.#ended)}, in its unit ${this.#count}, ${this.deadlocks} given up`;
  }

  /** Until `signal` is aborted or a statement fails; the error, and what of the unit was before its COMMIT counts as nothing. */
  async run(units: readonly Unit[], signal: AbortSignal): Promise<unknown> {
    try {
      while (!signal.aborted) {
        this.#count += 1;
        this.#changes = [];
        this.#left.clear();
        if (!(await this.#commits(units[this.#count % units.length] ?? noUnit))) continue;
        this.#kept.commit(this.#changes);
        for (const { table, key, row } of this.#changes) if (row === null) this.#ownOf(table).splice(this.#ownOf(table).indexOf(key), 1);
        for (const [table, keys] of this.#left) this.#ownOf(table).push(...keys);
        await delay(PACE_MS);
      }
      this.#ended = 'stopped';
      return undefined;
    } catch (error) {
      this.#ended = error;
      return error;
    } finally {
      this.#session.end();
    }
  }

  async #commits(unit: Unit): Promise<boolean> {
    try {
      await this.#session.run('BEGIN');
      await unit.call(this);
      await this.#session.run('COMMIT');
      return true;
    } catch (error) {
      if (!/deadlock|lock wait/i.test(String(error))) throw error;
      this.deadlocks += 1;
      await this.#session.run('ROLLBACK');
      return false;
    }
  }

  async rent(): Promise<void> {
    // Its own customers and one copy after the other: the key of rentals holds the second only.
    const customer = 4 * this.#pick(this.#size.customers / 4) - (Number(this.#label) % 4);
    await this.#session.run(`UPDATE sakila.store SET last_update = '2024-02-29 12:00:${10 + this.#pick(40)}' WHERE store_id = 1`);
    const rental = await this.#insert('sakila.rental', 'rental_id', { rental_date: this.#moment(), inventory_id: 1 + (this.#count % (this.#size.films * 2)), customer_id: customer, staff_id: this.#pick(STORES), return_date: null }, { customer_id: String(customer), return_date: null });
    const payment = await this.#insert('sakila.payment', 'payment_id', { customer_id: customer, staff_id: 1, rental_id: rental, amount: '4.99', payment_date: this.#moment() }, { amount: '4.99', rental_id: rental });
    this.#paidBy.set(rental, payment);
  }

  async giveBack(): Promise<void> {
    const returned = this.#moment();
    await this.#update('sakila.rental', 'rental_id', { return_date: returned }, { return_date: returned });
    await this.#update('sakila.payment', 'payment_id', { amount: '0.01' }, { amount: '0.01' });
  }

  /** Payments of it lose their rental by the foreign key or a trigger. */
  async forget(): Promise<void> {
    const rental = this.#oldest('rental');
    if (rental === undefined) return;
    await this.#session.run('DELETE FROM sakila.rental WHERE rental_id = ?', [rental]);
    this.#changes.push({ table: 'rental', key: rental, row: null }, { table: 'payment', key: this.#paidBy.get(rental) ?? '', row: { rental_id: null } });
  }

  async film(): Promise<void> {
    const title = `NEUER FILM ${this.#label} ${this.#count}`;
    const chosen = features.filter(() => this.#random() < 0.5);
    const year = [1901, 2155, 0, 2024][this.#count % 4] ?? 0;
    const known = { title, release_year: String(year), rating: ratingOf(this.#count), special_features: chosen.join(',') };
    const film = await this.#insert('sakila.film', 'film_id', { title, description: 'ein Film', release_year: year === 0 ? 0 : String(year), language_id: 1 + (this.#count % 6), rating: known.rating, special_features: chosen }, known);
    await this.#session.run('INSERT INTO sakila.film_actor (actor_id, film_id) VALUES (1, ?), (2, ?)', [film, film]);
    await this.#session.run('INSERT INTO sakila.film_category (film_id, category_id) VALUES (?, 3)', [film]);
    await this.#insert('sakila.inventory', 'inventory_id', { film_id: film, store_id: 1 }, { film_id: film });
    this.#changes.push({ table: 'film_text', key: film, row: { title } });
  }

  async retitle(): Promise<void> {
    const title = `ANDERER TITEL ${this.#label} ${this.#count}`;
    const film = await this.#update('sakila.film', 'film_id', { title, rating: 'NC-17' }, { title, rating: 'NC-17' });
    if (film !== undefined) this.#changes.push({ table: 'film_text', key: film, row: { title } });
    await this.#session.run('UPDATE sakila.film SET rental_rate = rental_rate + 0.01 WHERE film_id = ?', [this.#pick(this.#size.films)]);
  }

  /** With everything that points at it. */
  async dropFilm(): Promise<void> {
    const [film, copy] = [this.#oldest('film'), this.#oldest('inventory')];
    if (film === undefined || copy === undefined) return;
    for (const table of ['film_actor', 'film_category', 'inventory', 'film']) await this.#session.run(`DELETE FROM sakila.${table} WHERE film_id = ?`, [film]);
    for (const [table, key] of [['film', film], ['inventory', copy]] as const) this.#changes.push({ table, key, row: null });
    this.#changes.push({ table: 'film_text', key: film, row: null });
  }

  async customer(): Promise<void> {
    const location = Buffer.alloc(25);
    location.writeUInt8(1, 4);
    location.writeUInt32LE(1, 5);
    location.writeDoubleLE(this.#random() * 180, 9);
    location.writeDoubleLE(-this.#random() * 90, 17);
    const address = await this.#insert('sakila.address', 'address_id', { address: 'Straße 1', district: 'Süd', city_id: 1, phone: '', location }, { location: location.toString('hex') });
    const email = `${this.#label}.${this.#count}@sakilacustomer.org`;
    await this.#insert('sakila.customer', 'customer_id', { store_id: 1, first_name: 'Zoë', last_name: 'Łuczak', email, address_id: address, active: 1, create_date: this.#moment() }, { email, active: '1' });
    await this.#update('sakila.customer', 'customer_id', { active: 0 }, { active: '0' });
    // Few: the key has one byte.
    if (this.#count < 40) await this.#insert('sakila.category', 'category_id', { name: `C ${this.#label} ${this.#count}` }, { name: `C ${this.#label} ${this.#count}` });
    await this.#session.run('UPDATE sakila.staff SET picture = ? WHERE staff_id = 1', [Buffer.alloc(500 + this.#pick(500), this.#count)]);
  }

  /** A row of every type as another one is, and other columns of a row of its own. */
  async types(): Promise<void> {
    const id = `${Number(this.#label) * 1_000_000 + this.#count}`;
    const columns = everyType.map(({ name }) => this.#session.name(name));
    const like = this.#random() < 0.2 ? -this.#pick(10) : this.#pick(200);
    await this.#session.run(`INSERT INTO types.every_type (id, ${columns.join(', ')}) SELECT ${id}, ${columns.join(', ')} FROM types.every_type WHERE id = ${like}`);
    await this.#session.run(`UPDATE types.every_type SET filled = ${this.#count} WHERE id = ${id}`);
    this.#made('every_type', id, { filled: String(this.#count) });
    const own = this.#ownOf('every_type').at(this.#pick(20) - 1);
    const column = columns[this.#pick(columns.length) - 1] ?? '';
    if (own !== undefined && column !== this.#session.name('filled')) await this.#session.run(`UPDATE types.every_type SET ${column} = (SELECT v FROM (SELECT ${column} AS v FROM types.every_type WHERE id = ${-this.#pick(10)} LIMIT 1) other) WHERE id = ${own}`);
    const oldest = this.#ownOf('every_type').length > 15 ? this.#oldest('every_type') : undefined;
    if (oldest === undefined) return;
    await this.#session.run(`DELETE FROM types.every_type WHERE id = ${oldest}`);
    this.#changes.push({ table: 'every_type', key: oldest, row: null });
  }

  async events(): Promise<void> {
    await this.#insert('types.events', 'id', { amount: '0.25', note: `neu ${this.#count}`, made: this.#moment() }, { amount: '0.25', note: `neu ${this.#count}` });
    await this.#session.run('UPDATE types.events SET amount = amount + 1 WHERE id = ?', [this.#pick(1000)]);
    await this.#update('types.events', 'id', { note: null }, { note: null });
  }

  async #insert(table: string, key: string, row: Readonly<Record<string, Value>>, promised: Promised): Promise<string> {
    const id = await this.#session.insert(table, key, row);
    this.#made(table.split('.')[1] ?? '', id, promised);
    return id;
  }

  /** Of a row of its own; the key. */
  async #update(table: string, key: string, row: Readonly<Record<string, Value>>, promised: Promised): Promise<string | undefined> {
    const name = table.split('.')[1] ?? '';
    const id = this.#ownOf(name).at(-1);
    if (id === undefined) return undefined;
    await this.#session.run(`UPDATE ${table} SET ${Object.keys(row).map((column) => `${column} = ?`).join(', ')} WHERE ${key} = ?`, [...Object.values(row), id]);
    this.#changes.push({ table: name, key: id, row: promised });
    return id;
  }

  #made(table: string, key: string, row: Promised): void {
    this.#changes.push({ table, key, row });
    this.#left.set(table, [...(this.#left.get(table) ?? []), key]);
  }

  #ownOf(table: string): string[] {
    const own = this.#own.get(table) ?? [];
    this.#own.set(table, own);
    return own;
  }

  #oldest(table: string): string | undefined {
    return this.#ownOf(table)[0];
  }

  /** 1 to `count`. */
  #pick(count: number): number {
    return 1 + Math.floor(this.#random() * count);
  }

  /** No two of one writer are the same. */
  #moment(): string {
    return new Date(Date.UTC(2024, 0, 1) + this.#count * 1000).toISOString().slice(0, 19).replace('T', ' ');
  }
}

function noUnit(): Promise<void> {
  return Promise.resolve();
}

const { rent, giveBack, forget, film, retitle, dropFilm, customer, types, events } = Writer.prototype;
export const sakilaUnits: readonly Unit[] = [rent, film, giveBack, rent, retitle, customer, rent, film, forget, dropFilm];
export const typeUnits: readonly Unit[] = [types, events];
