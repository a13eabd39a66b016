/**
 * The applier's connection to a MySQL or MariaDB server. Statements go in texts of several, one round trip for each text; the server stops at the first
 * that fails.
 *
 * The session passes the fence (`@causeway_applier`), takes no value that would be changed on its way in, resolves foreign keys no second time (what
 * they did on local comes as changes of its own), and waits for locks only a bounded time (RULES 22). Nothing commits by itself: after a deadlock,
 * which ends the whole transaction, what is still on its way must not stay.
 */
import type mysql from 'mysql2';
import type { ServerAddress } from '../../postgres/server-address.ts';
import { askMysql, connectMysql, endMysql } from '../connect.ts';
import { mysqlApplierTagSql } from '../fence.ts';

const LOCK_WAIT_S = 2;
const session = [
  "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', foreign_key_checks = 0, unique_checks = 1",
  `SET autocommit = 0, innodb_lock_wait_timeout = ${LOCK_WAIT_S}, lock_wait_timeout = ${LOCK_WAIT_S}, wait_timeout = 31536000, net_read_timeout = 3600, sql_select_limit = DEFAULT, sql_safe_updates = 0`,
  // What others insert beside it is not locked out.
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
];
/**
 * A connection whose last statement was ROLLBACK TO SAVEPOINT has its transaction committed when it is lost: MySQL 5.6, and 5.7 up to at least 5.7.10
 * (https://bugs.mysql.com/bug.php?id=79596). Behind any other statement it is rolled back, so none of ours may be the last that a server has seen.
 */
const NOT_LAST = 'DO 0';

export class MysqlApplyConnection {
  readonly #connection: mysql.Connection;
  readonly #ended = Promise.withResolvers<void>();
  /** Bytes that one statement may have. */
  readonly maxPacket: number;

  private constructor(connection: mysql.Connection, maxPacket: number) {
    this.#connection = connection;
    this.maxPacket = maxPacket;
    for (const event of ['error', 'end']) connection.once(event, () => this.#ended.resolve());
  }

  /** Throws MIG001, MIG003, MIG004. Without a token no fence lets it pass. */
  static async open(address: ServerAddress, token: bigint | undefined): Promise<MysqlApplyConnection> {
    const connection = await connectMysql(address, { multipleStatements: true });
    try {
      for (const sql of [...session, ...(token === undefined ? [] : [mysqlApplierTagSql(String(token))])]) await askMysql(connection, sql);
      // A limit of the server's for statements is for people's.
      await askMysql(connection, 'SET max_statement_time = 0').catch(() => undefined);
      const [row] = await askMysql(connection, 'SELECT @@max_allowed_packet');
      return new MysqlApplyConnection(connection, Number(row?.[0] ?? 1 << 20));
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** Called once when the connection ends, whoever ends it. */
  onEnd(listener: () => void): void {
    void this.#ended.promise.then(listener);
  }

  /** One statement that controls the transaction; rows that it has found, where it writes any. */
  async send(sql: string): Promise<number> {
    return (await this.run(sql.startsWith('ROLLBACK TO') ? `${sql};${NOT_LAST}` : sql))[0] ?? 0;
  }

  /** Rows that each of the statements has found, or made. */
  run(sql: string): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      this.#connection.query(sql, (error, result: unknown) => {
        // The whole text is no part of what is told of an error.
        if (error) reject(Object.assign(error, { sql: undefined }));
        else resolve((Array.isArray(result) ? result : [result]).map(foundBy));
      });
    });
  }

  rows(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return askMysql(this.#connection, sql);
  }

  async close(): Promise<void> {
    // One that has ended takes no farewell.
    await Promise.race([endMysql(this.#connection), this.#ended.promise]);
    this.#connection.destroy();
    this.#ended.resolve();
  }
}

function foundBy(result: unknown): number {
  return typeof result === 'object' && result !== null && 'affectedRows' in result && typeof result.affectedRows === 'number' ? result.affectedRows : 0;
}
