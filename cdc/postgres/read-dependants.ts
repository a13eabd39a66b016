/**
 * Reads from the source what hangs on its tables. Found by the source's own `pg_depend`; what only a function's text says is guessed from it: a
 * function whose name stands in the text of a carried one with a parenthesis behind it is carried too.
 */
import type { ClientBase } from 'pg';
import { readFunctionDependants } from './dependant-functions.ts';
import { readPolicyDependants, readRuleDependants, readTriggerDependants } from './dependant-triggers.ts';
import { readViewDependants } from './dependant-views.ts';
import type { CarriedTable, Dependant, DependantContext } from './dependants.ts';
import { quoteTable } from './quote.ts';
import { definitionRewriter } from './rename-definition.ts';
import { withQualifiedNames } from './read-json.ts';

/** In an order in which they can be made. */
export function readDependants(source: ClientBase, tables: readonly CarriedTable[]): Promise<readonly Dependant[]> {
  if (tables.length === 0) return Promise.resolve([]);
  return withQualifiedNames(source, async () => {
    const context: DependantContext = { tables, names: tables.map((table) => quoteTable(table.source)), rewrite: await definitionRewriter(source, tables) };
    const triggers = await readTriggerDependants(source, context);
    const rules = await readRuleDependants(source, context);
    return [
      ...(await readFunctionDependants(source, context)),
      ...(await readPolicyDependants(source, context)),
      ...triggers.onTables, ...rules.onTables,
      ...(await readViewDependants(source, context)),
      ...triggers.onViews, ...rules.onViews,
    ];
  });
}
