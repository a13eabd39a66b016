/**
 * Property: for every query here the catalog answers with the names, the types, the rows and the order that PostgreSQL gives for the
 * same text over the same rows.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogQuery } from '../../catalog/query/catalog-query.ts';
import type { CatalogQuery } from '../../catalog/query/catalog-query.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { fillPostgres, fillSqlite } from './query-fixture.ts';
import { sameAnswer, sameRefusal } from './query-cases.ts';
import type { TestCatalog } from './support.ts';
import { testCatalog, testClock } from './support.ts';

let server: TestPostgres;
let client: pg.Client;
let catalog: TestCatalog;
let query: CatalogQuery;

beforeAll(async () => {
  server = await startTestPostgres();
  client = await server.client();
  await fillPostgres(client);
  catalog = await testCatalog();
  fillSqlite(catalog.file);
  query = openCatalogQuery({ file: catalog.file, clock: testClock(Date.now()) });
});

afterAll(async () => {
  await query.close();
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const rawText = { getTypeParser: () => (value: unknown) => value };

describe('same answer', () => {
  test.each(sameAnswer)('%s', async (sql) => {
    const wanted = await client.query({ text: sql, rowMode: 'array', types: rawText as unknown as pg.CustomTypesConfig });
    const got = await query.query(sql);
    expect(got.columns).toEqual(wanted.fields.map((field) => ({ name: field.name, typeOid: field.dataTypeID })));
    expect(got.rows).toEqual(wanted.rows);
  });
});

describe('refused by both', () => {
  test.each(sameRefusal)('%s', async (sql) => {
    await expect(client.query(sql)).rejects.toThrow();
    await expect(query.query(sql)).rejects.toMatchObject({ name: 'MigrationError' });
  });
});
