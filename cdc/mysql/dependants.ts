/** Triggers and views of MySQL as things that local is to have as well: in another language, so that people write them, and the gateway looks whether they are there. */
import type { ByTable } from './by-table.ts';
import type { MysqlTrigger } from './definition.ts';
import type { CarriedTable, Dependant } from '../postgres/dependants.ts';
import { quoteLiteral, quoteTable } from '../postgres/quote.ts';
import { readMysqlViewBases } from './relations.ts';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { inScope } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { readTriggers } from './read-dependants.ts';

const THERE = 'there';

/** An object of the name is taken to do what the source's does. */
export async function readMysqlDependants(query: MysqlQuery, tables: readonly CarriedTable[]): Promise<readonly Dependant[]> {
  const found: Dependant[] = [];
  // All of a schema at once: one by one they would be asked for again with each of the tables that come.
  const triggersOf = new Map<string, ByTable<MysqlTrigger>>();
  for (const schema of new Set(tables.map(({ source }) => source.schema))) triggersOf.set(schema, await readTriggers(query, { schema, table: tables.length === 1 ? tables[0]?.source.name : undefined }));
  for (const { source, target } of tables) {
    for (const { name } of triggersOf.get(source.schema)?.(source.name) ?? []) {
      found.push(dependant('trigger', `${name} on ${source.schema}.${source.name}`, [source], `SELECT '${THERE}' FROM pg_trigger WHERE tgrelid = to_regclass(${quoteLiteral(quoteTable(target))}) AND tgname = ${quoteLiteral(name)} AND NOT tgisinternal`,
        'triggers of MySQL are not translated: write one of this name for local'));
    }
  }
  return [...found, ...(await viewDependants(query, tables))];
}

async function viewDependants(query: MysqlQuery, tables: readonly CarriedTable[]): Promise<readonly Dependant[]> {
  if (tables.length === 0) return [];
  const views = await readMysqlViewBases(query, tables.map((table) => table.source));
  const names = await query(`SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.VIEWS WHERE ${[...new Set(tables.map(({ source }) => source.schema))].map((schema) => `(${inScope({ schema, table: undefined })})`).join(' OR ')} ORDER BY 1, 2`);
  return names.flatMap((row) => {
    const view = { schema: row['s'] ?? '', name: row['t'] ?? '' };
    const bases = views[relationKey(view.schema, view.name)];
    if (bases === undefined) return [];
    const read = tables.map((table) => table.source).filter((source) => bases.includes(relationKey(source.schema, source.name)));
    return [{ ...dependant('view', `${view.schema}.${view.name}`, read, `SELECT '${THERE}' WHERE to_regclass(${quoteLiteral(quoteTable(view))}) IS NOT NULL`, 'views of MySQL are not translated: write one of this name for local'), relation: view, under: read }];
  });
}

function dependant(kind: 'trigger' | 'view', name: string, tables: readonly QualifiedName[], sql: string, refused: string): Dependant {
  return { kind, name, relation: undefined, phase: 'after', tables, under: tables, refused, exact: { sql, expected: THERE }, loose: undefined, create: [], extras: [], drop: undefined };
}
