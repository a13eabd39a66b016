/**
 * Every statement of pg-to-mysql.txt answers on MySQL and MariaDB, translated, what it answers on PostgreSQL: rows, values as text, row
 * counts, and the tables afterwards; or it is refused by the name that the file gives. Nothing differs silently.
 */
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bindStep } from '../../../grammar/dialect/mysql/bind-step.ts';
import { resultText } from '../../../grammar/dialect/mysql/result-text.ts';
import { parseMysqlVersion, serverCapabilities, sessionSettings } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import { translateStatement } from '../../../grammar/dialect/mysql/translate-statement.ts';
import type { DialectCapabilities, DialectFacts, Plan, Step } from '../../../grammar/dialect/mysql/translation.ts';
import { listOf, treeOf } from '../../../grammar/sql/tree.ts';
import { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { startMysql, describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { createOnMysql, createOnPostgres, dialectFacts, dialectTables, insertOf } from './dialect-tables.ts';
import { readDialectCorpus } from './read-dialect-corpus.ts';
import type { CorpusEntry } from './read-dialect-corpus.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const corpus = readDialectCorpus('pg-to-mysql.txt');

type Rows = readonly (readonly (string | null)[])[];

interface Answer {
  readonly columns: readonly string[];
  readonly rows: Rows;
  readonly count: number;
  /** The tables that a write leaves behind. */
  readonly tables: readonly string[];
}

let parser: WasmParser;
let postgres: TestPostgres;
let client: pg.Client;
const onPostgres = new Map<number, Answer | 'error'>();

beforeAll(async () => {
  parser = await WasmParser.load();
  postgres = await startTestPostgres();
  client = await postgres.client();
  await client.query("SET TIME ZONE 'UTC'");
  for (const statement of createOnPostgres()) await client.query(statement);
  for (const table of dialectTables) for (const row of table.rows) await client.query(insertOf(table, row, 'postgres'));
  for (const entry of corpus) onPostgres.set(entry.line, await postgresAnswer(entry));
});

afterAll(async () => postgres[Symbol.asyncDispose]());

const asText = { getTypeParser: () => (value: string | Buffer) => value.toString() };
const isWrite = (sql: string): boolean => /^(INSERT|UPDATE|DELETE)/i.test(sql);

async function postgresAnswer(entry: CorpusEntry): Promise<Answer | 'error'> {
  await client.query('SELECT setval(pg_get_serial_sequence(\'items\', \'id\'), 1000)');
  await client.query('BEGIN');
  try {
    const result = await client.query({ text: entry.sql, values: [...entry.parameters], rowMode: 'array', types: asText });
    const tables: string[] = [];
    if (isWrite(entry.sql)) for (const table of dialectTables) tables.push(contents(await client.query({ text: `SELECT * FROM "${table.name}"`, rowMode: 'array', types: asText })));
    return { columns: result.fields.map(({ name }) => name), rows: rowsOf(result), count: result.rowCount ?? 0, tables };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    errors.set(entry.line, error.message);
    return 'error';
  } finally {
    await client.query('ROLLBACK');
  }
}

/** What PostgreSQL said of statements that it does not run. */
const errors = new Map<number, string>();

function rowsOf(result: { readonly rows: unknown[] }): Rows {
  return result.rows.map((row) => (Array.isArray(row) ? row.map((value) => (value === null || value === undefined ? null : String(value))) : []));
}

function contents(result: { readonly rows: unknown[] }): string {
  return JSON.stringify(rowsOf(result).map((row) => JSON.stringify(row)).toSorted());
}

/** A server with the tables, and a connection with the settings that translations count on. */
class Target {
  readonly connection: mysql.Connection;
  readonly facts: DialectFacts;
  readonly #server: TestMysql;

  constructor(server: TestMysql, connection: mysql.Connection, facts: DialectFacts) {
    this.#server = server;
    this.connection = connection;
    this.facts = facts;
  }

  static async start(kind: MysqlKind): Promise<Target> {
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
    return new Target(server, connection, { tables: dialectFacts(), searchPath: ['public'], timeZone: 'UTC', codePointOrder: true, capabilities });
  }

  async run(plan: Plan, parameters: readonly (string | null)[], isWritten: boolean): Promise<Answer> {
    await this.connection.query('ALTER TABLE items AUTO_INCREMENT = 1001');
    await this.connection.query('START TRANSACTION');
    try {
      const { rows, count } = await this.#steps(plan, parameters);
      const tables: string[] = [];
      if (isWritten) for (const table of dialectTables) tables.push(contents({ rows: [...(await this.#steps(this.translate(`SELECT * FROM "${table.name}"`), [])).rows] }));
      return { columns: plan.columns.map(({ name }) => name), rows, count, tables };
    } finally {
      await this.connection.query('ROLLBACK');
    }
  }

  translate(sql: string): Plan {
    const translation = translateStatement(statementOf(sql), this.facts);
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

function statementOf(sql: string): unknown {
  const outcome = parser.parse(sql);
  if (outcome.type !== 'tree') throw new Error(`${sql}: ${outcome.type === 'syntax_error' ? outcome.message : outcome.type}`);
  return treeOf(listOf(treeOf(outcome.tree)?.['stmts'])[0])?.['stmt'];
}

const isOrdered = (sql: string): boolean => treeOf(treeOf(statementOf(sql))?.['SelectStmt'])?.['sortClause'] !== undefined;

function comparable(answer: Answer, entry: CorpusEntry): unknown {
  const rows = answer.rows.map((row) => JSON.stringify(row));
  return { ...answer, rows: isOrdered(entry.sql) ? rows : rows.toSorted() };
}

/** Undefined: as it should be. */
async function difference(target: Target, kind: MysqlKind, entry: CorpusEntry): Promise<string | undefined> {
  const place = `line ${entry.line}: ${entry.sql}`;
  const translation = translateStatement(statementOf(entry.sql), target.facts);
  const wanted = entry.refused.get(kind) ?? entry.refused.get('all');
  if (translation.type === 'refused') return translation.construct === wanted ? undefined : `${place}\n  refused: ${translation.construct}${wanted === undefined ? '' : `, not: ${wanted}`}`;
  const sent = translation.steps.map(({ text }) => text.replace(/\0(\d+)\0/g, '?$1')).join('; ');
  if (wanted !== undefined) return `${place}\n  not refused (${wanted}): ${sent}`;
  const expected = onPostgres.get(entry.line);
  try {
    const found = await target.run(translation, entry.parameters, isWrite(entry.sql));
    if (entry.fails === 'translated') return `${place}\n  ran: ${sent}`;
    if (expected === 'error' || expected === undefined) return `${place}\n  ran, and does not on PostgreSQL (${errors.get(entry.line) ?? ''}): ${sent}\n  ${JSON.stringify(found.rows).slice(0, 300)}`;
    const [one, other] = [JSON.stringify(comparable(expected, entry)), JSON.stringify(comparable(found, entry))];
    return one === other ? undefined : `${place}\n  PostgreSQL: ${one.slice(0, 700)}\n  MySQL:      ${other.slice(0, 700)}\n  ${sent}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (expected === 'error' ? entry.fails === 'everywhere' : entry.fails === 'translated') return undefined;
    return `${place}\n  ${error.message}${expected === 'error' ? ` (PostgreSQL: ${errors.get(entry.line) ?? ''})` : ''}\n  ${sent}`;
  }
}

describe('the corpus', () => {
  test('has at least 300 statements, each once', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(300);
    expect(new Set(corpus.map(({ sql, parameters }) => `${sql} ${parameters.join(' | ')}`)).size).toBe(corpus.length);
  });

  test('says of each whether PostgreSQL runs it', () => {
    expect(corpus.filter(({ line, fails, refused }) => (onPostgres.get(line) === 'error') !== (fails === 'everywhere') && !refused.has('all')).map(({ line, sql }) => `${line}: ${sql}: ${errors.get(line) ?? 'runs'}`)).toEqual([]);
  });
});

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let target: Target;
    beforeAll(async () => {
      target = await Target.start(kind);
    });
    afterAll(async () => target[Symbol.asyncDispose]());

    test('answers as PostgreSQL does, or refuses by name', async () => {
      const differences: string[] = [];
      for (const entry of corpus) {
        const found = await difference(target, kind, entry);
        if (found !== undefined) differences.push(found);
      }
      expect(differences.join('\n\n')).toBe('');
    }, 120_000);

    if (kind !== 'mysql-5.6') {
      test('runs at least nine of ten', () => {
        const run = corpus.filter(({ refused }) => !refused.has('all') && !refused.has(kind));
        expect(run.length / corpus.length).toBeGreaterThanOrEqual(0.9);
      });
    }
  });
}
