/** That a table has the same rows on MySQL and on local: value by value as the type map has it, and by the checksums of validation. */
import type pg from 'pg';
import { expect } from 'vitest';
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { checksumBuckets, checksumChunk, mysqlDigestTable } from '../../../cdc/mysql/checksum.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { makeConversion, mapColumn } from '../../../cdc/mysql/type-map.ts';
import * as postgres from '../../../cdc/postgres/checksum.ts';
import { fieldDigestTable } from '../../../cdc/postgres/field-digest.ts';
import { quoteIdent, quoteTable } from '../../../cdc/postgres/quote.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { readCanonical } from './mysql-source.ts';

/** A table of both sides and how it is reached there. */
export interface ComparedTable {
  readonly server: TestMysql;
  readonly local: pg.Client;
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  /** Columns of the source, by which its rows are told apart. */
  readonly key: readonly string[];
}

/** What is not the same, some of each sort; by the type map without an override. */
export async function compareValues({ server, local, source, target, key }: ComparedTable): Promise<{ readonly missing: readonly string[]; readonly extra: readonly string[]; readonly others: readonly string[]; readonly rows: number; readonly expectedRows: number }> {
  const table = await introspectMysqlTable((sql) => server.sql(sql), source);
  const [there, here] = [await readCanonical(server, source.schema, source.name, table.columns), await readLocal(local, target, table.columns.map(({ name }) => name))];
  const conversions = table.columns.map((column) => makeConversion(mapColumn(column, table.server), () => undefined));
  const types = table.columns.map((column) => column.type);
  const plain = (value: string, at: number): unknown => {
    if (types[at]?.name === 'json') return sortedJson(JSON.parse(value));
    if (types[at]?.name === 'inet6') return allWords(value);
    if (types[at]?.name === 'float') return Math.fround(Number(value));
    return types[at]?.zerofill === true || types[at]?.name === 'double' ? Number(value) : value;
  };
  const keyAt = key.map((name) => table.columns.findIndex((column) => column.name === name));
  const byKey = (rows: readonly (readonly (string | null)[])[], convert: (value: string, at: number) => string | null): Map<string, string[]> => new Map(rows.map((row) => [
    JSON.stringify(keyAt.map((at) => row[at])), row.map((value, at) => {
      const text = value === null ? null : convert(value, at);
      return JSON.stringify(text === null ? null : plain(text, at));
    }),
  ]));
  const [want, have] = [byKey(there, (value) => value), byKey(here, (value, at) => conversions[at]?.toSource(value) ?? null)];
  const missing = [...want.keys()].filter((id) => !have.has(id));
  const extra = [...have.keys()].filter((id) => !want.has(id));
  const others = [...want].flatMap(([id, row]) => row.flatMap((value, at) => (have.has(id) && have.get(id)?.[at] !== value ? [`${id} ${table.columns[at]?.name}: ${have.get(id)?.[at]} instead of ${value}`] : [])));
  return { missing: missing.slice(0, 5), extra: extra.slice(0, 5), others: others.slice(0, 5), rows: here.length, expectedRows: there.length };
}

/** `plan`: of the way from MySQL. */
export async function expectSameValues(server: TestMysql, pair: MysqlPair, plan: TablePlan, about: string): Promise<void> {
  const { expectedRows, ...found } = await compareValues({ server, local: pair.client, source: { schema: pair.database, name: plan.source.name }, target: plan.target, key: plan.key });
  expect({ table: plan.tableId, ...found }, about).toEqual({ table: plan.tableId, missing: [], extra: [], others: [], rows: expectedRows });
}

/** By value, and by the checksums of validation. */
export async function expectSame(server: TestMysql, pair: MysqlPair, plan: TablePlan, about: string): Promise<void> {
  await expectSameValues(server, pair, plan, about);
  const digests = mysqlDigestTable(plan, await pair.columns(plan));
  const localDigests = fieldDigestTable(plan, digests.forms);
  await postgres.pinSession(pair.client);
  const all = { type: 'range', lower: null, upper: null } as const;
  const isAlike = async (columns: TablePlan['columns']): Promise<boolean> => {
    const part = { ...plan, columns };
    const source = mysqlDigestTable(part, await pair.columns(part));
    return postgres.isSameSum(await checksumChunk(pair.ask, source, all), await postgres.checksumChunk(pair.client, fieldDigestTable(part, source.forms), all));
  };
  if (!(await isAlike(plan.columns))) {
    const unlike: string[] = [];
    for (const column of plan.columns) if (!(await isAlike([...plan.columns.filter(({ name }) => plan.key.includes(name) && name !== column.name), column]))) unlike.push(column.name);
    expect(unlike, `${about} ${plan.tableId}`).toEqual([]);
  }
  const sorted = (sums: Map<number, unknown>): unknown[] => [...sums].sort(([a], [b]) => a - b);
  expect(sorted(await checksumBuckets(pair.ask, digests, 5)), plan.tableId).toEqual(sorted(await postgres.checksumBuckets(pair.client, localDigests, 5)));
}

async function readLocal(client: pg.Client, table: QualifiedName, columns: readonly string[]): Promise<(string | null)[][]> {
  await client.query("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'");
  const { rows } = await client.query<(string | null)[]>({ text: `SELECT ${columns.map((name) => quoteIdent(name)).join(', ')} FROM ${quoteTable(table)}`, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } });
  return rows;
}

function sortedJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sortedJson(each)]));
}

/** Servers do not agree on which zeros are left out. */
function allWords(address: string): string {
  const [left = [], right] = address.split('::').map((part) => part.split(':').filter((word) => word !== ''));
  if (right === undefined) return address;
  const count = address.includes('.') ? 7 : 8;
  return [...left, ...Array.from({ length: count - left.length - right.length }, () => '0'), ...right].join(':');
}
