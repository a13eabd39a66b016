/** A connection for occasional questions: made when first needed, made again after it was lost. Questions run one after the other. */
import type mysql from 'mysql2';
import type { ServerAddress } from '../postgres/server-address.ts';
import { askMysql, connectMysql, endMysql, errnoOf, mysqlSession, queryMysql } from './connect.ts';
import type { AskMysql } from './connect.ts';
import type { MysqlQuery, MysqlRow } from './query.ts';

export class MysqlClient {
  readonly #address: ServerAddress;
  /** Where `#connection` leads: the address may be another server's by now. */
  #place = '';
  #connection: Promise<mysql.Connection> | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  /** Rows as arrays of the server's own text. */
  ask(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return this.use((ask) => ask(sql));
  }

  /** Rows by the names of their columns. */
  query(sql: string): Promise<readonly MysqlRow[]> {
    return this.#hold((connection) => queryMysql(connection, sql));
  }

  /** Holds the connection for several statements. */
  use<T>(work: (ask: AskMysql) => Promise<T>): Promise<T> {
    return this.#hold((connection) => work((sql) => askMysql(connection, sql)));
  }

  /** The same, with rows by the names of their columns. */
  hold<T>(work: (query: MysqlQuery) => Promise<T>): Promise<T> {
    return this.#hold((connection) => work((sql) => queryMysql(connection, sql)));
  }

  #hold<T>(work: (connection: mysql.Connection) => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      const connection = await this.#connected();
      try {
        return await work(connection);
      } catch (error) {
        // What a server says has a number of its own; behind anything else the connection may be lost, or amid something.
        if (errnoOf(error) === undefined) this.#drop(connection);
        throw error;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #drop(connection: mysql.Connection): void {
    this.#connection = undefined;
    connection.destroy();
  }

  #connected(): Promise<mysql.Connection> {
    const place = `${this.#address.host}:${this.#address.port}`;
    if (place !== this.#place) {
      void this.#connection?.then((old) => old.destroy(), () => undefined);
      this.#connection = undefined;
    }
    this.#place = place;
    this.#connection ??= this.#open().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #open(): Promise<mysql.Connection> {
    const connection = await connectMysql(this.#address);
    await askMysql(connection, mysqlSession);
    const opened = this.#connection;
    const forget = (): void => {
      if (this.#connection === opened) this.#connection = undefined;
    };
    connection.on('error', forget);
    connection.on('end', forget);
    return connection;
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.then(endMysql).catch(() => undefined);
  }
}
