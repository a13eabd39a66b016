/** A MySQL or MariaDB server with the tables of the corpora, which runs translated statements as the gateway would. */
import mysql from 'mysql2/promise';
import { bindStep } from '../../../grammar/dialect/mysql/bind-step.ts';
import { resultText } from '../../../grammar/dialect/mysql/result-text.ts';
import { parseMysqlVersion, serverCapabilities, sessionSettings } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import { translateStatement } from '../../../grammar/dialect/mysql/translate-statement.ts';
import type { DialectCapabilities, DialectFacts, Plan, Step, Translation } from '../../../grammar/dialect/mysql/translation.ts';
import { listOf, treeOf } from '../../../grammar/sql/tree.ts';
import type { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { sortedRows } from './dialect-answer.ts';
import type { DialectAnswer, Rows } from './dialect-answer.ts';
import { createOnMysql, dialectFacts, dialectTables, insertOf } from './dialect-tables.ts';

export class DialectTarget {
  readonly connection: mysql.Connection;
  readonly facts: DialectFacts;
  readonly #server: TestMysql;
  readonly #parser: WasmParser;

  private constructor(server: TestMysql, parser: WasmParser, connection: mysql.Connection, facts: DialectFacts) {
    this.#server = server;
    this.#parser = parser;
    this.connection = connection;
    this.facts = facts;
  }

  static async start(kind: MysqlKind, parser: WasmParser): Promise<DialectTarget> {
    const server = await startMysql(kind);
    await server.createDatabase('corpus');
    const { host, port, user, password } = server;
    const connection = await mysql.createConnection({ host, port, user, password, database: 'corpus', rowsAsArray: true, flags: ['-FOUND_ROWS'], dateStrings: true, supportBigNumbers: true, bigNumberStrings: true, jsonStrings: true, typeCast: false });
    const [rows] = await connection.query<mysql.RowDataPacket[][]>('SELECT VERSION()');
    const version = parseMysqlVersion(String(rows[0]?.[0]));
    if (version === undefined) throw new Error('no version');
    const capabilities: DialectCapabilities = serverCapabilities(version);
    for (const setting of sessionSettings(capabilities)) await connection.query(setting);
    for (const statement of createOnMysql(capabilities)) await connection.query(statement);
    for (const table of dialectTables) for (const row of table.rows) await connection.query(insertOf(table, row, 'mysql'));
    return new DialectTarget(server, parser, connection, { tables: dialectFacts(), searchPath: ['public'], timeZone: 'UTC', codePointOrder: true, capabilities });
  }

  async run(plan: Plan, parameters: readonly (string | null)[], isWritten: boolean): Promise<DialectAnswer> {
    await this.connection.query('ALTER TABLE items AUTO_INCREMENT = 1001');
    await this.connection.query('START TRANSACTION');
    try {
      const { rows, count } = await this.#steps(plan, parameters);
      const tables: string[] = [];
      if (isWritten) for (const table of dialectTables) tables.push(sortedRows((await this.#steps(this.#plan(`SELECT * FROM "${table.name}"`), [])).rows));
      return { columns: plan.columns.map(({ name }) => name), rows, count, tables };
    } finally {
      await this.connection.query('ROLLBACK');
    }
  }

  translate(sql: string): Translation {
    return translateStatement(statementOf(this.#parser, sql), this.facts);
  }

  #plan(sql: string): Plan {
    const translation = this.translate(sql);
    if (translation.type === 'refused') throw new Error(translation.construct);
    return translation;
  }

  async #steps(plan: Plan, parameters: readonly (string | null)[]): Promise<{ rows: Rows; count: number }> {
    const read: Rows[] = [];
    let rows: Rows = [];
    let count = 0;
    for (const step of plan.steps) {
      const answer = await this.#step(step, parameters, read);
      read.push(answer.rows);
      if (step.answer === 'rows') rows = answer.rows.map((row) => row.slice(0, step.columns.length).map((value, index) => shown(value, step, index)));
      if (step.rowCount !== undefined) count = answer.count;
    }
    return { rows, count };
  }

  async #step(step: Step, parameters: readonly (string | null)[], rows: readonly Rows[]): Promise<{ rows: Rows; count: number }> {
    const bound = bindStep(step, { parameters, rows, transactionTime: '2024-05-06 07:08:09.123456', statementTime: '2024-05-06 07:08:09.123456', transactionDate: '2024-05-06' });
    if (bound.type === 'refused') throw new Error(`bind: ${bound.construct}`);
    const [result] = bound.values.length === 0 ? await this.connection.query(bound.sql) : await this.connection.execute({ sql: bound.sql, values: bound.values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value)), typeCast: true });
    if (Array.isArray(result)) return { rows: result.map((row) => (Array.isArray(row) ? row.map(textOf) : [])), count: result.length };
    return { rows: [], count: typeof step.rowCount === 'number' ? step.rowCount : step.rowCount === 'affected' ? result.affectedRows : Number(/(?:matched|Records): (\d+)/.exec('info' in result ? result.info : '')?.[1] ?? result.affectedRows) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.end();
    await this.#server.dispose();
  }
}

/** Bytes are kept as they are until the column's type is known. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return Buffer.isBuffer(value) ? value.toString('latin1') : Buffer.from(typeof value === 'object' ? JSON.stringify(value) : String(value)).toString('latin1');
}

function shown(value: string | null, step: Step, index: number): string | null {
  const type = step.columns[index]?.type;
  if (value === null || type === undefined) return null;
  const bytes = Buffer.from(value, 'latin1');
  return type.name === 'bytea' ? `\\x${bytes.toString('hex')}` : resultText(type)(bytes.toString('utf8'));
}

/** The only statement of a text. */
export function statementOf(parser: WasmParser, sql: string): unknown {
  const outcome = parser.parse(sql);
  if (outcome.type !== 'tree') throw new Error(`${sql}: ${outcome.type === 'syntax_error' ? outcome.message : outcome.type}`);
  return treeOf(listOf(treeOf(outcome.tree)?.['stmts'])[0])?.['stmt'];
}
