/** The text of a view as it has to be where its tables have other names, spelled as a server spells it when it is asked for the definition. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { namePlaces } from '../../grammar/sql/name-places.ts';
import { renameRelations } from '../../grammar/sql/rename-relations.ts';
import type { RelationRef } from '../../grammar/sql/statement-facts.ts';
import { WasmParser } from '../../grammar/sql/wasm-parser.ts';
import { isRenamed } from './dependants.ts';
import type { CarriedTable, DefinitionRewriter } from './dependants.ts';
import { readJson } from './read-json.ts';

export async function definitionRewriter(client: ClientBase, tables: readonly CarriedTable[]): Promise<DefinitionRewriter> {
  const renamed = tables.filter(isRenamed);
  if (renamed.length === 0) return (query) => query;
  const names = [...new Set(renamed.flatMap(({ source, target }) => [source.name, target.schema, target.name]))];
  const rows = await readJson<{ name: string; spelled: string }>(client, 'SELECT x AS name, quote_ident(x) AS spelled FROM unnest($1::text[]) x', [names]);
  const spelled = new Map(rows.map((row) => [row.name, row.spelled]));
  const spell = (name: string): string => spelled.get(name) ?? name;
  const spelling = { table: ({ schema, name }: QualifiedName) => `${spell(schema)}.${spell(name)}`, alias: (name: string) => ` ${spell(name)}` };
  const parser = await WasmParser.load();
  const nameOf = ({ schema, name }: RelationRef): QualifiedName | undefined => renamed.find(({ source }) => source.schema === schema && source.name === name)?.target;
  return (query) => {
    const outcome = parser.parse(query);
    if (outcome.type !== 'tree') return query;
    const bytes = Buffer.from(query);
    return renameRelations(bytes, namePlaces(outcome.tree, bytes), nameOf, spelling)?.bytes.toString() ?? query;
  };
}
