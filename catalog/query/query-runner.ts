/** Runs one translated SELECT on a read-only connection of its own, within bounds. Synchronous: it lives in a process of its own. */
import Database from 'better-sqlite3';
import { parseSync } from 'libpg-query';
import type { Node, SelectStmt } from 'libpg-query';
import { printed } from './conversion.ts';
import type { SqliteValue } from './conversion.ts';
import { Refusal } from './refusal.ts';
import { translateSelect } from './select.ts';
import { typeOid } from './sql-types.ts';
import { registerFunctions } from './sqlite-functions.ts';

export interface QueryLimits {
  readonly rows: number;
  readonly bytes: number;
  /** Rows looked at (joins as often as they pair) and functions called: a bound of time that does not depend on a clock. */
  readonly visitedRows: number;
  /** UTF-8. Below 12 kB the grammar cannot overflow its stack (RULES 31). */
  readonly textBytes: number;
}

export const defaultLimits: QueryLimits = { rows: 100_000, bytes: 32 * 1024 * 1024, visitedRows: 20_000_000, textBytes: 11_000 };

export interface QueryResult {
  /** Types are PostgreSQL type OIDs. */
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Why a query has no result; plain data, so that it can be sent. */
export interface QueryFailure {
  readonly code: 'MIG070' | 'MIG085' | 'MIG090';
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  /** 1-based, in characters. */
  readonly position?: number;
}

export type QueryAnswer = { readonly ok: true; readonly result: QueryResult } | { readonly ok: false; readonly failure: QueryFailure };

class LimitReached extends Error {}

export class QueryRunner {
  readonly #database: Database.Database;
  readonly #limits: QueryLimits;
  #visited = 0;

  constructor(file: string, limits: QueryLimits) {
    this.#limits = limits;
    this.#database = new Database(file, { readonly: true, fileMustExist: true });
    this.#database.pragma('query_only = ON');
    this.#database.defaultSafeIntegers(true);
    registerFunctions(this.#database, () => {
      this.#visited += 1;
      if (this.#visited > limits.visitedRows) throw new LimitReached(`The query looked at more than ${limits.visitedRows} rows and values.`);
    });
  }

  /** `now` in stored form: 'YYYY-MM-DD HH:MM:SS.mmm'. The grammar's module must have been loaded. */
  run(sql: string, now: string): QueryAnswer {
    try {
      return { ok: true, result: this.#execute(sql, now) };
    } catch (error) {
      return { ok: false, failure: failureOf(error, sql) };
    }
  }

  close(): void {
    this.#database.close();
  }

  #execute(sql: string, now: string): QueryResult {
    const size = Buffer.byteLength(sql);
    if (size > this.#limits.textBytes) throw new LimitReached(`The text has ${size} bytes, ${this.#limits.textBytes} are allowed.`);
    const { sql: translated, columns } = translateSelect(onlySelect(sql), { now });
    this.#visited = 0;
    const statement = this.#database.prepare<[], SqliteValue[]>(translated).raw(true);
    const rows: (readonly (string | null)[])[] = [];
    let bytes = 0;
    for (const values of statement.iterate()) {
      const row = columns.map((column, index) => {
        const value = values[index] ?? null;
        return value === null ? null : printed(value, column.type);
      });
      for (const value of row) bytes += value?.length ?? 0;
      rows.push(row);
      if (rows.length > this.#limits.rows) throw new LimitReached(`The result has more than ${this.#limits.rows} rows.`);
      if (bytes > this.#limits.bytes) throw new LimitReached(`The result has more than ${this.#limits.bytes} bytes.`);
    }
    return { columns: columns.map(({ name, type }) => ({ name, typeOid: typeOid(type) })), rows };
  }
}

function onlySelect(sql: string): SelectStmt {
  if (sql.includes('\0')) throw new Refusal('the text holds a zero byte');
  if (sql.trim() === '') throw new Refusal('the text is empty');
  const statements = parseSync(sql).stmts ?? [];
  const [first, ...more] = statements;
  if (first?.stmt === undefined) throw new Refusal('the text holds no statement');
  if (more.length > 0) throw new Refusal('one statement at a time', undefined, 'Send each SELECT on the catalog by itself.');
  return 'SelectStmt' in first.stmt ? first.stmt.SelectStmt : refuseStatement(first.stmt);
}

const instead: Readonly<Record<string, string>> = {
  InsertStmt: 'START MIGRATION FOR TABLE … FROM … is what adds a table.',
  UpdateStmt: 'PAUSE, RESUME, CUTOVER TABLE and ROLLBACK MIGRATION change states; ALTER MIGRATION SOURCE changes options.',
  DeleteStmt: 'ABORT MIGRATION FOR TABLE … and COMPLETE MIGRATION FOR TABLE … end a migration.',
  MergeStmt: 'SHOW MIGRATION HELP lists the statements that change migrations.',
  TruncateStmt: 'ABORT MIGRATION FOR TABLE … ends a migration.',
  CopyStmt: 'Use SELECT; psql writes its result to a file with \\o.',
  ExplainStmt: 'Run the SELECT itself.',
};

function refuseStatement(statement: Node): never {
  const [kind = ''] = Object.keys(statement);
  throw new Refusal('the catalog can be read with SELECT only', undefined, instead[kind] ?? 'SHOW MIGRATION HELP lists the statements that change migrations.');
}

function failureOf(error: unknown, sql: string): QueryFailure {
  if (error instanceof LimitReached) {
    return { code: 'MIG085', message: 'a query on the catalog reached its limit', detail: error.message, hint: 'Ask for less: WHERE, LIMIT, fewer joins.' };
  }
  if (error instanceof Refusal) {
    const before = error.byteOffset === undefined ? undefined : Buffer.from(sql).subarray(0, error.byteOffset).toString();
    return { code: 'MIG070', message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }), ...(before === undefined ? {} : { position: [...before].length + 1 }) };
  }
  if (error instanceof RangeError) return { code: 'MIG085', message: 'a query on the catalog is nested too deeply' };
  if (error instanceof Database.SqliteError) return { code: 'MIG070', message: `the catalog cannot answer this query: ${error.message}` };
  return grammarFailure(error);
}

function grammarFailure(error: unknown): QueryFailure {
  const details = error instanceof Error && 'sqlDetails' in error ? (error.sqlDetails as { readonly message?: string; readonly cursorPosition?: number }) : undefined;
  if (details === undefined) return { code: 'MIG090', message: 'a query on the catalog failed', detail: String(error) };
  return { code: 'MIG070', message: details.message ?? 'syntax error', ...(details.cursorPosition === undefined || details.cursorPosition < 0 ? {} : { position: details.cursorPosition + 1 }) };
}
