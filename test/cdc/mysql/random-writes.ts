/** Tables of many types and random transactions over them, for as long as a test wants; a server that is gone is waited for. */
import * as fc from 'fast-check';
import mysql from 'mysql2/promise';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { mysqlName } from '../../../cdc/mysql/query.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import type { Random } from '../stream/random-workload.ts';
import { valueLiteral } from './mysql-source.ts';
import { columnsOf, everyTypeTable } from './sample-tables.ts';
import { randomValue } from './sample-values.ts';

export const writtenTables = ['every type', 'text key', 'numbers', 'emptied'] as const;
const NUMBERS = 30_000;

interface TypedValues {
  readonly name: string;
  /** Literals. */
  readonly values: readonly string[];
}

export class RandomWrites {
  readonly #random: Random;
  readonly #everyType: readonly TypedValues[];
  transactions = 0;

  constructor(kind: MysqlKind, random: Random) {
    this.#random = random;
    this.#everyType = columnsOf(kind).map(({ name, type, extremes }) => {
      const parsed = parseColumnType(/^(?:enum|set)/i.test(type) ? type : type.toLowerCase().replace(/ (?:character set|null|compressed).*$/, ''));
      const values = [...extremes, ...fc.sample(randomValue(type), { numRuns: 30, seed: Math.floor(random() * 1e9) })].filter((text) => text.length < 4000 && (parsed.name !== 'uuid' || /^\w{8}-\w{4}-[1-7]\w{3}-[89ab]/.test(text)));
      return { name, values: ['NULL', ...values.map((text) => valueLiteral(parsed.name === 'json' && !isPlainJson(text) ? '{"a": 1.5}' : text, parsed))] };
    });
  }

  async create(server: TestMysql, kind: MysqlKind, database: string): Promise<void> {
    await server.sql(everyTypeTable(kind), database);
    await server.sql(`
      CREATE TABLE \`text key\` (area INT NOT NULL, code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, note TEXT CHARACTER SET utf8mb4, PRIMARY KEY (code, area)) ENGINE=InnoDB;
      CREATE TABLE numbers (id BIGINT NOT NULL PRIMARY KEY, b INT, c VARCHAR(200) CHARACTER SET utf8mb4, d DATETIME(3), e DECIMAL(12,2)) ENGINE=InnoDB;
      CREATE TABLE emptied (id INT UNSIGNED NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET latin1) ENGINE=InnoDB`, database);
    for (let from = 0; from < NUMBERS; from += 2000) {
      const rows = Array.from({ length: 2000 }, (_, at) => `(${from + at}, ${at % 97}, 'row ${from + at}', '2024-01-01' + INTERVAL ${from + at} SECOND, ${from + at}.25)`);
      await server.sql(`INSERT INTO numbers VALUES ${rows.join(', ')}`, database);
    }
    for (let done = 0; done < 20; done += 1) await server.sql(Array.from({ length: 40 }, () => `${this.#insertEveryType()}; ${this.#textKey()[0]}`).join('; '), database);
    await server.sql("ANALYZE TABLE numbers, `every type`, `text key`", database);
  }

  /** Until `signal` is aborted. */
  async run(server: TestMysql, database: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const connection = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database, charset: 'utf8mb4' });
        connection.on('error', () => undefined);
        try {
          await connection.query("SET sql_mode = '', time_zone = '+00:00'");
          while (!signal.aborted) await this.#transaction(connection);
        } finally {
          connection.destroy();
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #transaction(connection: mysql.Connection): Promise<void> {
    const count = 1 + Math.floor(this.#random() * 5);
    await connection.query('BEGIN');
    for (let done = 0; done < count; done += 1) {
      const savepoint = this.#random() < 0.1;
      if (savepoint) await connection.query('SAVEPOINT s');
      for (const sql of this.#change()) {
        // A key that is there already: the statement alone is undone.
        await connection.query(sql).catch((error: unknown) => {
          if (!(error instanceof Error && 'code' in error && error.code === 'ER_DUP_ENTRY')) throw error;
        });
      }
      if (savepoint && this.#random() < 0.5) await connection.query('ROLLBACK TO s');
    }
    await connection.query(this.#random() < 0.1 ? 'ROLLBACK' : 'COMMIT');
    if (this.#random() < 0.005) await connection.query('TRUNCATE TABLE emptied');
    this.transactions += 1;
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)] as T;
  }

  #insertEveryType(): string {
    return `INSERT INTO \`every type\` (${this.#everyType.map(({ name }) => mysqlName(name)).join(', ')}) VALUES (${this.#everyType.map(({ values }) => this.#pick(values)).join(', ')})`;
  }

  #textKey(): string[] {
    const area = Math.floor(this.#random() * 3);
    const code = `'${this.#pick(['alpha', 'ALPHA', 'Ärger', 'ärger', 'x y', "it\\'s", '', 'ß', '𝄞'])}${Math.floor(this.#random() * 30)}'`;
    const note = this.#pick(['NULL', "'a\\nb\\tc\\\\'", "'𝄞 é'", `'${'n'.repeat(500)}'`]);
    return this.#pick<string[]>([
      [`INSERT IGNORE INTO \`text key\` VALUES (${area}, ${code}, ${note})`], [`REPLACE INTO \`text key\` VALUES (${area}, ${code}, ${note})`],
      [`INSERT INTO \`text key\` VALUES (${area}, ${code}, ${note}) ON DUPLICATE KEY UPDATE note = VALUES(note), code = VALUES(code)`],
    ]);
  }

  #change(): readonly string[] {
    const id = Math.floor(this.#random() * NUMBERS * 1.2);
    const row = 1 + Math.floor(this.#random() * 2000) + 41;
    const [first, second] = [this.#pick(this.#everyType), this.#pick(this.#everyType)];
    return this.#pick<readonly string[]>([
      [`INSERT INTO numbers VALUES (${id}, 1, 'new', NULL, 0.10) ON DUPLICATE KEY UPDATE b = b + 1`],
      [`UPDATE numbers SET b = b + 1, d = '2030-01-01 00:00:00.123' WHERE id BETWEEN ${id} AND ${id + 20}`],
      [`DELETE FROM numbers WHERE id BETWEEN ${id} AND ${id + 2}`],
      [`UPDATE numbers SET id = ${Math.floor(this.#random() * NUMBERS * 1.2)} WHERE id = ${id}`],
      [`UPDATE numbers SET id = -1 - ${id} WHERE id = ${id}`, `UPDATE numbers SET id = -1 - id, c = 'moved twice' WHERE id = -1 - ${id}`],
      this.#textKey(), this.#textKey(), [`DELETE FROM \`text key\` WHERE area = ${id % 3} ORDER BY code LIMIT 1`],
      [`UPDATE IGNORE \`text key\` SET code = ${this.#random() < 0.5 ? 'UPPER(code)' : 'LOWER(code)'}, area = (area + 1) % 3 WHERE area = ${id % 3} LIMIT 2`],
      [this.#insertEveryType()], [`DELETE FROM \`every type\` WHERE id = ${row}`],
      [`UPDATE \`every type\` SET ${mysqlName(first.name)} = ${this.#pick(first.values)}, ${mysqlName(second.name)} = ${this.#pick(second.values)} WHERE id BETWEEN ${row} AND ${row + 2}`],
      [`INSERT INTO emptied VALUES (${id}, 'v') ON DUPLICATE KEY UPDATE v = 'w'`], [`DELETE FROM emptied WHERE id < ${id} LIMIT 3`],
    ]);
  }
}

/** Numbers that both servers write alike. */
function isPlainJson(text: string): boolean {
  return !/\d[eE]|\d{15}|0\.0000/.test(text);
}
