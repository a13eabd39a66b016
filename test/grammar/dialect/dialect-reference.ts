/** The PostgreSQL that translated statements are compared with. */
import pg from 'pg';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { isWrite, sortedRows } from './dialect-answer.ts';
import type { DialectAnswer, Rows } from './dialect-answer.ts';
import { createOnPostgres, dialectTables, insertOf } from './dialect-tables.ts';

const asText = { getTypeParser: () => (value: string | Buffer) => value.toString() };

export class DialectReference {
  readonly #postgres: TestPostgres;
  readonly #client: pg.Client;

  private constructor(postgres: TestPostgres, client: pg.Client) {
    this.#postgres = postgres;
    this.#client = client;
  }

  static async start(): Promise<DialectReference> {
    const postgres = await startTestPostgres();
    const client = await postgres.client();
    await client.query("SET TIME ZONE 'UTC'");
    for (const statement of createOnPostgres()) await client.query(statement);
    for (const table of dialectTables) for (const row of table.rows) await client.query(insertOf(table, row, 'postgres'));
    return new DialectReference(postgres, client);
  }

  /** What the statement answers, or SQLSTATE and message of the error that it ends in; nothing of it stays. */
  async run(sql: string, parameters: readonly (string | null)[]): Promise<DialectAnswer | string> {
    await this.#client.query("SELECT setval(pg_get_serial_sequence('items', 'id'), 1000)");
    await this.#client.query('BEGIN');
    try {
      const result = await this.#client.query({ text: sql, values: [...parameters], rowMode: 'array', types: asText });
      const tables: string[] = [];
      if (isWrite(sql)) for (const table of dialectTables) tables.push(sortedRows(rowsOf(await this.#client.query({ text: `SELECT * FROM "${table.name}"`, rowMode: 'array', types: asText }))));
      return { columns: result.fields.map(({ name }) => name), rows: rowsOf(result), count: result.rowCount ?? 0, tables };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return `${error instanceof pg.DatabaseError ? error.code ?? '' : ''} ${error.message}`;
    } finally {
      await this.#client.query('ROLLBACK');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres[Symbol.asyncDispose]();
  }
}

function rowsOf(result: { readonly rows: unknown[] }): Rows {
  return result.rows.map((row) => (Array.isArray(row) ? row.map((value) => (value === null || value === undefined ? null : String(value))) : []));
}
