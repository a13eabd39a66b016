/**
 * Which side's catalogs answer a query of them. The source's, where the client's numbers are from, unless the query names tables whose definition is local's:
 * those that are `LOCAL_ONLY` for good. Pure. Why so: docs/decisions/0010-catalog-queries-go-where-the-definition-is.md.
 */
import { elementsOf, isNumberOfLocal } from '../../grammar/sql/catalog-names.ts';
import type { CatalogName } from '../../grammar/sql/catalog-names.ts';
import { splitQualifiedName } from '../../grammar/sql/qualified-name.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import type { NamingContext } from './route.ts';
import type { SnapshotIndex } from './snapshot-index.ts';

/** `parameters` by their number less one, as text; undefined for what is not known (yet). */
export function catalogSide(facts: StatementFacts, index: SnapshotIndex, context: NamingContext, parameters: readonly (string | undefined)[] = []): 'local' | 'home' {
  const look = facts.catalog;
  if (!look || !index.hasLocalDefinitions) return 'home';
  const given = look.parameters.flatMap((number) => parameters[number - 1] ?? []).flatMap(elementsOf);
  const isFromLocal = look.hasNumbersOfLocal || given.some((text) => /^\d{10}$/.test(text) && isNumberOfLocal(Number(text)));
  if (isFromLocal) return 'local';
  const names = [...look.names, ...given.filter((text) => !/^\d+$/.test(text)).map((text): CatalogName => ({ text, as: text.includes('.') || text.startsWith('"') ? 'regclass' : 'name' }))];
  return names.length > 0 && names.every((name) => isDefinedOnLocal(name, look.schemas.map(unwrapped), index, context)) ? 'local' : 'home';
}

function isDefinedOnLocal({ text, as }: CatalogName, schemas: readonly string[], index: SnapshotIndex, context: NamingContext): boolean {
  if (as === 'name') {
    // The session's own table is what it means, as everywhere.
    const leg = schemas.length === 0 ? context.temporaryTables.get(unwrapped(text)) : undefined;
    return leg === undefined ? index.isDefinedOnLocal(unwrapped(text), schemas) : leg === 'local';
  }
  const parts = splitQualifiedName(text);
  const name = parts?.at(-1);
  if (name === undefined) return false;
  const found = index.resolve({ schema: parts?.at(-2), name }, context);
  if (found.type === 'temporary') return found.leg === 'local';
  return (found.type === 'table' || found.type === 'local_name') && index.isLocalDefinition(found.table);
}

/** `^(orders)$`, as psql asks, and `order\_items`, as LIKE is asked, without what is around the name. */
function unwrapped(pattern: string): string {
  return (/^\^\((.*)\)\$$/s.exec(pattern)?.[1] ?? pattern).replace(/\\(.)/gs, '$1');
}
