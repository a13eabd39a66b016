/** One connection for the control's own statements on a MySQL server: opened at first use, opened again after a loss, used by one caller at a time. */
import type mysql from 'mysql2';
import type { ServerAddress } from '../postgres/server-address.ts';
import { askMysql, connectMysql, endMysql, mysqlSession } from './connect.ts';
import type { MysqlQuery, MysqlRow } from './query.ts';

export class MysqlAdminConnection {
  readonly #address: ServerAddress;
  #connection: mysql.Connection | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  /** Runs `work` alone on the connection; a lost connection is given up. */
  use<T>(work: (query: MysqlQuery) => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => this.#run(work));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    await this.#turn;
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection) await endMysql(connection);
  }

  async #run<T>(work: (query: MysqlQuery) => Promise<T>): Promise<T> {
    const connection = (this.#connection ??= await this.#connect());
    try {
      return await work((sql) => queryMysql(connection, sql));
    } catch (error) {
      // What a server says has a number of its own; anything else is about the connection itself.
      if (errnoOf(error) === undefined && error instanceof Error && 'code' in error) this.#drop(connection);
      throw error;
    }
  }

  async #connect(): Promise<mysql.Connection> {
    const connection = await connectMysql(this.#address);
    await askMysql(connection, mysqlSession);
    const forget = (): void => {
      if (this.#connection === connection) this.#connection = undefined;
    };
    connection.on('error', forget);
    connection.on('end', forget);
    return connection;
  }

  #drop(connection: mysql.Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.destroy();
  }
}

/** The server's number of an error that it has sent. */
export function errnoOf(error: unknown): number | undefined {
  return error instanceof Error && 'sqlState' in error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;
}

function queryMysql(connection: mysql.Connection, sql: string): Promise<readonly MysqlRow[]> {
  return new Promise((resolve, reject) => {
    connection.query<mysql.RowDataPacket[]>({ sql, rowsAsArray: false }, (error, rows) => {
      if (error) reject(error);
      else resolve(Array.isArray(rows) ? (rows as MysqlRow[]) : []);
    });
  });
}
