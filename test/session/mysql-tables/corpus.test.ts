/**
 * Every statement of the dialects' corpus, sent by a PostgreSQL client through the gateway while its tables are on a MySQL server, answers what PostgreSQL
 * answers over the same rows: translated, or on local with rows that are brought there; or it is refused by name. Nothing differs silently.
 *
 * MariaDB here; CAUSEWAY_REACH_SERVERS names others (mysql-9.7, mysql-5.6), by commas.
 */
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sessionSettings } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { treeOf } from '../../../grammar/sql/tree.ts';
import { answerText, isWrite, sortedRows } from '../../grammar/dialect/dialect-answer.ts';
import type { DialectAnswer } from '../../grammar/dialect/dialect-answer.ts';
import { createOnMysql, createOnPostgres, dialectTables, insertOf } from '../../grammar/dialect/dialect-tables.ts';
import { statementOf } from '../../grammar/dialect/dialect-target.ts';
import { readDialectCorpus } from '../../grammar/dialect/read-dialect-corpus.ts';
import type { CorpusEntry } from '../../grammar/dialect/read-dialect-corpus.ts';
import { describeMysql, mysqlKinds } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { capabilitiesOf, corpusFacts, onMysql, startReach } from './reach-fixture.ts';
import type { Reach } from './reach-fixture.ts';

const wanted = (process.env['CAUSEWAY_REACH_SERVERS'] ?? 'mariadb-10.11').split(',');
const kinds: readonly MysqlKind[] = mysqlKinds.filter((kind) => wanted.includes(kind));
const corpus = readDialectCorpus('pg-to-mysql.txt');
const asText = { getTypeParser: () => (value: string | Buffer) => value.toString() };
const rowsOf = (result: { readonly rows: unknown[] }): (string | null)[][] => result.rows.map((row) => (Array.isArray(row) ? row.map((value) => (value === null || value === undefined ? null : String(value))) : []));

async function run(client: pg.Client, { sql, parameters }: CorpusEntry): Promise<DialectAnswer | string> {
  await client.query('BEGIN');
  try {
    const result = await client.query<unknown[]>({ text: sql, values: [...parameters], rowMode: 'array', types: asText });
    const tables: string[] = [];
    if (isWrite(sql)) for (const table of dialectTables) tables.push(sortedRows(rowsOf(await client.query({ text: `SELECT * FROM "${table.name}"`, rowMode: 'array', types: asText }))));
    return { columns: result.fields.map(({ name }) => name), rows: rowsOf(result), count: result.rowCount ?? 0, tables };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message;
  } finally {
    await client.query('ROLLBACK');
  }
}

for (const kind of kinds) {
  describeMysql([kind], `the corpus through a session, tables on ${kind}`, () => {
    let reach: Reach;
    let parser: WasmParser;
    beforeAll(async () => {
      parser = await WasmParser.load();
      reach = await startReach(kind);
      const local = await reach.local.client();
      for (const statement of createOnPostgres()) await local.query(statement);
      const capabilities = await capabilitiesOf(reach.server);
      const settings = sessionSettings(capabilities);
      for (const statement of createOnMysql(capabilities)) await reach.server.sql(statement, 'corpus');
      for (const table of dialectTables) {
        for (const row of table.rows) await local.query(insertOf(table, row, 'postgres'));
        await reach.server.sql([...settings, ...table.rows.map((row) => insertOf(table, row, 'mysql'))].join(';'), 'corpus');
      }
      for (const [key, facts] of corpusFacts()) reach.fixture.control.facts.set(key, facts);
      reach.publish(Object.fromEntries(dialectTables.map(({ name }) => [name, onMysql])));
    });
    afterAll(async () => reach?.[Symbol.asyncDispose]());

    test('answers as PostgreSQL does, or refuses by name', async () => {
      const client = await reach.connect();
      const reference = await reach.local.client();
      const differences: string[] = [];
      const refused: string[] = [];
      for (const entry of corpus) {
        if (/\brandom\(\)/.test(entry.sql)) continue;
        if (/^INSERT/i.test(entry.sql)) {
          await reach.server.sql('ALTER TABLE items AUTO_INCREMENT = 1001', 'corpus');
          await reference.query("SELECT setval(pg_get_serial_sequence('items', 'id'), 1000)");
        }
        const [expected, found] = [await run(reference, entry), await run(client, entry)];
        const place = `line ${entry.line}: ${entry.sql}\n  `;
        if (typeof found === 'string') {
          const isRefused = /^MIG\d{3}/.test(found);
          if (typeof expected === 'string') continue;
          if (isRefused) refused.push(`${place}${found}`);
          else if (entry.fails !== 'translated') differences.push(`${place}${found}`);
        } else if (typeof expected === 'string') differences.push(`${place}ran, and does not on PostgreSQL: ${expected}`);
        else {
          const isOrdered = treeOf(treeOf(statementOf(parser, entry.sql))?.['SelectStmt'])?.['sortClause'] !== undefined;
          const [one, other] = [answerText(expected, isOrdered), answerText(found, isOrdered)];
          if (one !== other) differences.push(`${place}PostgreSQL: ${one.slice(0, 600)}\n  gateway:    ${other.slice(0, 600)}`);
        }
      }
      console.log(`${kind}: ${refused.length} of ${corpus.length} refused`);
      expect(differences.join('\n\n')).toBe('');
      // What is refused says which construct is the cause.
      expect(refused.filter((text) => !/cannot be translated|system columns/.test(text))).toEqual([]);
      expect(1 - refused.length / corpus.length).toBeGreaterThanOrEqual(0.9);
    }, 180_000);
  });
}
