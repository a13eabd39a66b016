/**
 * A MySQL or MariaDB server with the tables of the corpus, and PostgreSQL with the same tables, converted and loaded as a migration does it. Statements
 * run on the one as they are and on the other translated, each in a transaction that is rolled back.
 */
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { convertTable, planMysqlSchema } from '../../../cdc/mysql/create-schema.ts';
import type { ConvertedTable } from '../../../cdc/mysql/create-schema.ts';
import type { MysqlTable } from '../../../cdc/mysql/definition.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { settleDefinition } from '../../../cdc/mysql/settle-definition.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { buildIndexes, buildKey, createTable } from '../../../cdc/postgres/build-keys.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { mysqlValue, pgValue } from '../../../grammar/dialect/postgres/mysql-value.ts';
import type { MysqlFacts, MysqlParameter, MysqlPlan, MysqlResultColumn, MysqlServer, MysqlSlot, MysqlTableFacts, MysqlTranslation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { translateMysql } from '../../../grammar/dialect/postgres/translate-mysql.ts';
import { nowText } from '../../../src/session/mysql-local/plan-values.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { loadZones } from '../../support/mysql-zones.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { defaultOptions, testRuntime } from '../../cdc/snapshot/loader-fixture.ts';
import { corpusTables } from './mysql-corpus-tables.ts';
import type { SessionSettings } from './read-dialect-corpus.ts';

export type Rows = readonly (readonly (string | null)[])[];

export interface MysqlAnswer {
  readonly rows: Rows;
  readonly columns: readonly ColumnDescription[];
  readonly affected: number;
  readonly insertId: string;
  /** Of a write: every table afterwards, its rows sorted. */
  readonly tables: readonly string[];
}

export interface ColumnDescription {
  readonly name: string;
  readonly orgName: string;
  readonly table: string;
  readonly orgTable: string;
  readonly database: string;
  readonly type: number;
  readonly decimals: number;
  readonly isUnsigned: boolean;
}

const database = 'corpus';
/** Of NOW(6) on both sides. */
const clock = '1714979289.123456';
/** With summer time, north of the equator and south of it, by an hour and by half of one. */
const zones = ['Europe/Berlin', 'Australia/Lord_Howe'];
const sqlMode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';
const userVariables = { i: { kind: 'integer', value: '7' }, s: { kind: 'text', value: 'apple' }, n: { kind: 'text', value: null } } as const;
const unsignedFlag = 32;
const asText = { getTypeParser: () => (value: string | Buffer) => value.toString() };

export const isWrite = (sql: string): boolean => /^\s*(?:INSERT|UPDATE|DELETE|REPLACE)/i.test(sql);
export const sortedRows = (rows: Rows): string => JSON.stringify(rows.map((row) => JSON.stringify(row)).toSorted());

/** A parameter that a step cannot take. */
export class UnboundParameter extends Error {
  /** Of the error that the server has, too; undefined: it is refused. */
  readonly number: number | undefined;
  readonly construct: string | undefined;

  constructor(made: { readonly type: 'refused'; readonly construct: string } | { readonly type: 'error'; readonly number: number }) {
    super(`bind: ${made.type === 'refused' ? made.construct : made.number}`);
    this.construct = made.type === 'refused' ? made.construct : undefined;
    this.number = made.type === 'error' ? made.number : undefined;
  }
}

export class MysqlCorpus implements AsyncDisposable {
  readonly kind: MysqlKind;
  facts: MysqlFacts;
  readonly #server: TestMysql;
  readonly #mysql: mysql.Connection;
  readonly #local: pg.Client;
  #session = '{}';

  private constructor(server: TestMysql, connection: mysql.Connection, local: pg.Client, facts: MysqlFacts) {
    this.kind = server.kind;
    this.#server = server;
    this.#mysql = connection;
    this.#local = local;
    this.facts = facts;
  }

  static async start(kind: MysqlKind, postgres: TestPostgres): Promise<MysqlCorpus> {
    const server = await startMysql(kind);
    await server.createDatabase(database);
    await loadZones(server, zones);
    const { host, port, user, password } = server;
    const connection = await mysql.createConnection({ host, port, user, password, database, rowsAsArray: true, flags: ['-FOUND_ROWS', '-IGNORE_SPACE'], typeCast: false, charset: 'utf8mb4_general_ci' });
    await connection.query(`SET sql_mode = '${sqlMode}', time_zone = '+00:00', timestamp = ${clock}, @i = ${userVariables.i.value}, @s = '${userVariables.s.value}', @n = NULL`);
    // MariaDB takes strings of the same spelling but for case for one in the cache of a subquery, and answers what it answered for the other.
    if (kind.startsWith('mariadb')) await connection.query("SET optimizer_switch = 'subquery_cache=off'");
    const localName = await postgres.createDatabase(`mytopg_${kind.replaceAll(/\W/g, '_')}`);
    const local = await postgres.client(localName);
    await local.query("SET TIME ZONE 'UTC'");
    const tables: MysqlTableFacts[] = [];
    for (const { name, create, rows } of corpusTables(kind)) {
      await connection.query(`CREATE TABLE ${name} (${create}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`);
      for (const row of rows) await connection.query(`INSERT INTO ${name} VALUES (${row})`);
      tables.push(await migrate(name, { query: (sql) => server.sql(sql), local, source: { host, port, user, password, database }, target: { ...postgres.address, database: localName } }));
    }
    const [version] = await connection.query<mysql.RowDataPacket[][]>('SELECT VERSION()');
    const mode: MysqlFacts['mode'] = { sqlMode: new Set(sqlMode.split(',')), server: serverOf(String(version[0]?.[0])) };
    return new MysqlCorpus(server, connection, local, {
      table: (schema, name) => (schema === database ? tables.find((table) => table.mysqlName === name) : undefined), database, mode, timeZone: 'UTC', charset: 'utf8mb4', collation: 'utf8mb4_general_ci', foundRows: false,
      divPrecision: 4, weekFormat: 0, groupConcatMaxLength: kind === 'mariadb-10.11' ? 1_048_576 : 1024, localVersion: 180_000,
      userVariable: (name) => (name === 'i' || name === 's' || name === 'n' ? userVariables[name] : undefined),
    });
  }

  /** The session's zone, on both sides. */
  async setZone(timeZone: string): Promise<void> {
    if (timeZone === this.facts.timeZone) return;
    await this.#mysql.query(`SET time_zone = '${timeZone === 'UTC' ? '+00:00' : timeZone}'`);
    this.facts = { ...this.facts, timeZone };
  }

  /** What a client has set, on both sides. */
  async setSession(session: SessionSettings = {}): Promise<void> {
    const key = JSON.stringify(session);
    if (key === this.#session) return;
    const { modes = [], divPrecision = 4, collation = 'utf8mb4_general_ci' } = session;
    const all = [...sqlMode.split(','), ...modes].filter((word) => !word.startsWith('-') && !modes.includes(`-${word}`));
    await this.#mysql.query(`SET NAMES utf8mb4 COLLATE ${collation}`);
    await this.#mysql.query(`SET sql_mode = '${all.join(',')}', div_precision_increment = ${divPrecision}`);
    this.facts = { ...this.facts, mode: { ...this.facts.mode, sqlMode: new Set(all) }, divPrecision, collation };
    this.#session = key;
  }

  /** `parameters`: as the client bound them; without them as of a statement that is only prepared. */
  translate(sql: string, parameters?: readonly MysqlParameter[]): MysqlTranslation {
    return translateMysql(sql, parameters === undefined ? this.facts : { ...this.facts, parameters: parameters.map(({ kind }) => kind) });
  }

  /** On the server itself. */
  async reference(sql: string, parameters: readonly MysqlParameter[]): Promise<MysqlAnswer> {
    if (isWrite(sql)) await this.#mysql.query('ALTER TABLE items AUTO_INCREMENT = 1001');
    await this.#mysql.query('START TRANSACTION');
    try {
      const [result, fields] = await this.#prepared(sql, parameters);
      const tables: string[] = [];
      if (isWrite(sql)) for (const { name } of corpusTables(this.kind)) tables.push(sortedRows(rowsOf(...await this.#mysql.query(`SELECT * FROM ${name}`))));
      const isHeader = !Array.isArray(result);
      return {
        rows: isHeader ? [] : rowsOf(result, fields), columns: isHeader ? [] : describe(fields), tables,
        affected: Number(headerOf(result)['affectedRows'] ?? 0), insertId: String(headerOf(result)['insertId'] ?? '0'),
      };
    } finally {
      await this.#mysql.query('ROLLBACK');
    }
  }

  async #prepared(sql: string, parameters: readonly MysqlParameter[]): Promise<[unknown, unknown]> {
    if (parameters.length === 0) return this.#mysql.query(sql);
    const values = parameters.map((parameter, index) => `@p${index} = ${variableText(parameter)}`);
    await this.#mysql.query(`SET ${values.join(', ')}`);
    await this.#mysql.query(`PREPARE s FROM ${this.#mysql.escape(sql)}`);
    return this.#mysql.query(`EXECUTE s USING ${parameters.map((_, index) => `@p${index}`).join(', ')}`);
  }

  /** The plan, on PostgreSQL. */
  async translated(plan: MysqlPlan, parameters: readonly MysqlParameter[], isWritten: boolean): Promise<MysqlAnswer> {
    if (isWritten) await this.#local.query("SELECT setval(pg_get_serial_sequence('items', 'id'), 1000)");
    await this.#local.query('BEGIN');
    try {
      const answer = await this.#steps(plan, parameters);
      const tables: string[] = [];
      for (const { name } of isWritten ? corpusTables(this.kind) : []) {
        const shown = this.translate(`SELECT * FROM ${name}`);
        if (shown.type === 'refused') throw new Error(shown.construct);
        tables.push(sortedRows((await this.#steps(shown, [])).rows));
      }
      return { ...answer, tables };
    } finally {
      await this.#local.query('ROLLBACK');
    }
  }

  async #steps(plan: MysqlPlan, parameters: readonly MysqlParameter[]): Promise<Omit<MysqlAnswer, 'tables'>> {
    const results: { rows: Rows; count: number }[] = [];
    for (const { text, slots } of plan.steps) {
      const result = await this.#local.query<(string | null)[]>({ text, values: slots.map((slot) => slotValue(slot, parameters, this.facts.timeZone)), rowMode: 'array', types: asText });
      results.push({ rows: result.rows, count: result.rowCount ?? 0 });
    }
    const shownStep = plan.steps.findIndex(({ answer }) => answer === 'rows');
    const convert = plan.columns.map((column) => mysqlValue(column));
    const rows = shownStep < 0 ? [] : (results[shownStep]?.rows ?? []).map((row) => row.slice(0, plan.columns.length).map((value, index) => (value === null ? null : convert[index]?.(value) ?? value)));
    return { rows, columns: plan.columns.map(descriptionOf), affected: affectedOf(plan, results), insertId: plan.columns.length > 0 ? '0' : insertIdOf(plan, results, parameters) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mysql.end();
    await this.#local.end();
    await this.#server.dispose();
  }
}

interface Sides {
  readonly query: (sql: string) => Promise<readonly Record<string, string | null>[]>;
  readonly local: pg.Client;
  readonly source: { readonly host: string; readonly port: number; readonly user: string; readonly password: string; readonly database: string };
  readonly target: { readonly host: string; readonly port: number; readonly user: string; readonly database: string };
}

async function migrate(name: string, { query, local, source, target }: Sides): Promise<MysqlTableFacts> {
  const definition = await introspectMysqlTable(query, { schema: database, name });
  const settled = await settleDefinition(local, convertTable(definition, { targetSchema: 'public' }));
  const plan = planTable(settled.definition, { tableId: name, targetSchema: 'public' });
  const schema = planMysqlSchema(settled, plan, { localVersion: 180000 });
  await createTable(local, settled.definition, plan, schema);
  const loader = createMysqlLoader(testRuntime(undefined), { source, target, token: 1n, memoryBytes: 16 << 20, types: standardTypes });
  await loader.load(plan, { ...defaultOptions }, () => undefined, new AbortController().signal);
  await buildKey(local, schema);
  await buildIndexes(target, schema, { connections: 1, concurrently: false });
  return factsOf(definition, settled);
}

function factsOf(table: MysqlTable, converted: ConvertedTable): MysqlTableFacts {
  const unique = table.indexes.filter(({ unique: is }) => is);
  const plain = unique.filter(({ parts }) => parts.every(({ column, prefix }) => column !== null && prefix === null));
  const names = (index: (typeof unique)[number]): string[] => index.parts.map(({ column }) => column ?? '');
  return {
    schema: 'public', name: table.name, mysqlDatabase: database, mysqlName: table.name, isReferenced: false, hasOtherUniqueKeys: plain.length < unique.length,
    primaryKey: unique.filter(({ primary }) => primary).flatMap(names), uniqueKeys: plain.map(names),
    columns: converted.mapped.map(({ column }, index) => {
      const local = converted.definition.columns[index];
      if (local === undefined) throw new Error(column.name);
      return {
        name: column.name, mysqlName: column.name, type: column.type, localType: local.type, isLocalEnum: local.typeKind === 'e', charset: column.charset, collation: column.collation, padsBlanks: column.padsBlanks,
        localCollation: local.collation === null ? undefined : { schema: local.collation.schema, name: local.collation.name, deterministic: local.collation.deterministic }, nullable: !column.notNull,
        hasDefault: local.default !== null || !column.notNull, hasValueDefault: column.default?.kind === 'literal' && !/^(?:-?0*(?:\.0*)?)$/.test(column.default.text), autoIncrement: column.autoIncrement, generated: column.generated !== null, onUpdateNow: column.onUpdateNow, defaultsToNow: column.default?.kind === 'expression' && /^current_timestamp/i.test(column.default.text), isJsonText: column.isJsonText, invisible: column.isInvisible, exact: true,
        sequence: column.autoIncrement ? `"public"."${table.name}_${column.name}_seq"` : undefined,
      };
    }),
  };
}

function serverOf(version: string): MysqlServer {
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return { flavour: /mariadb/i.test(version) ? 'mariadb' : 'mysql', version: Number(major) * 10_000 + Number(minor) * 100 + Number(patch) };
}

/** What gives a user variable the type of a client's parameter; dates have none there. */
function variableText({ kind, value }: MysqlParameter): string {
  if (value === null) return 'NULL';
  switch (kind) {
    case 'integer': case 'decimal': return value;
    case 'unsigned': return `CAST(${value} AS UNSIGNED)`;
    case 'double': return /e/i.test(value) ? value : `${value}e0`;
    case 'bytes': return `x'${Buffer.from(value, 'latin1').toString('hex')}'`;
    default: return mysql.escape(value);
  }
}

function slotValue(slot: MysqlSlot, parameters: readonly MysqlParameter[], timeZone: string): string | null {
  switch (slot.kind) {
    case 'parameter': {
      const made = pgValue(slot.form)(parameters[slot.number - 1] ?? { kind: 'text', value: null });
      if (made.type !== 'value') throw new UnboundParameter(made);
      if (made.text === null && slot.notNull === true) throw new UnboundParameter({ type: 'refused', construct: 'NULL' });
      return made.text;
    }
    case 'now': return nowText(slot, { micros: BigInt(clock.replace('.', '')), timeZone });
    case 'session': return { last_insert_id: '0', row_count: '-1', found_rows: '0', connection_id: '1', user: 'u@h', current_user: 'u@%', version: '0', database, uuid: '0' }[slot.value];
    case 'read': throw new Error('not used');
  }
}

function affectedOf(plan: MysqlPlan, results: readonly { readonly rows: Rows; readonly count: number }[]): number {
  const { counts } = plan;
  switch (counts.kind) {
    case 'none': return 0;
    case 'tags': return counts.steps.reduce((sum, step) => sum + (results[step]?.count ?? 0), 0);
    case 'sum': return (results[counts.step]?.rows ?? []).reduce((sum, row) => sum + Number(row[counts.column]), 0);
  }
}

function insertIdOf({ insertId }: MysqlPlan, results: readonly { readonly rows: Rows }[], parameters: readonly MysqlParameter[]): string {
  if (insertId === undefined) return '0';
  const ids = (results[insertId.step]?.rows ?? []).map((row) => row[insertId.column] ?? '0');
  const isMade = (index: number): boolean => {
    const how = typeof insertId.rows === 'string' ? insertId.rows : insertId.rows[index];
    if (typeof how === 'object') return [null, '0'].includes(parameters[how.parameter - 1]?.value ?? null);
    return how === 'made';
  };
  return ids.find((_, index) => isMade(index)) ?? ids.at(-1) ?? '0';
}

function headerOf(result: unknown): Readonly<Record<string, unknown>> {
  return typeof result === 'object' && result !== null && !Array.isArray(result) ? { ...result } : {};
}

interface Field {
  readonly characterSet: number;
  readonly columnType: number;
  readonly name: string;
  readonly orgName: string;
  readonly table: string;
  readonly orgTable: string;
  readonly schema: string;
  readonly flags: number;
  readonly decimals: number;
}

function fieldsOf(fields: unknown): readonly Field[] {
  return Array.isArray(fields) ? (fields as Field[]) : [];
}

const binaryCharset = 63;

function rowsOf(rows: unknown, fields: unknown): Rows {
  const described = fieldsOf(fields);
  return (Array.isArray(rows) ? rows : []).map((row: unknown) => (Array.isArray(row) ? row : []).map((value: unknown, index) => (Buffer.isBuffer(value) ? value.toString(described[index]?.characterSet === binaryCharset && described[index].columnType !== 245 ? 'latin1' : 'utf8') : value === null || value === undefined ? null : String(value))));
}

function describe(fields: unknown): readonly ColumnDescription[] {
  return fieldsOf(fields).map(({ name, orgName, table, orgTable, schema, columnType, decimals, flags }) => ({ name, orgName, table, orgTable, database: schema, type: columnType, decimals, isUnsigned: (flags & unsignedFlag) !== 0 }));
}

function descriptionOf({ name, orgName, table, orgTable, database: schema, type, decimals, flags }: MysqlResultColumn): ColumnDescription {
  return { name, orgName, table, orgTable, database: schema, type, decimals, isUnsigned: (flags & unsignedFlag) !== 0 };
}
