/**
 * Defaults and checks that have changed on the source since the migration began (RULES 6). No row tells of them, and rows can be carried all the same; but
 * after a cutover local would fill in and refuse what the source did before. What somebody has made of local's own on purpose is left alone.
 */
import type { TableRecord } from '../../catalog/records.ts';
import type { TableDefinition } from '../../cdc/postgres/definition.ts';
import { findTable } from '../../cdc/postgres/introspect.ts';
import type { SourceFlow } from './source-flow.ts';
import { detailsOf } from './table-details.ts';
import type { TableBehaviour } from './table-details.ts';

/** In local's words. */
export function behaviourOf(definition: TableDefinition): TableBehaviour {
  return {
    defaults: Object.fromEntries(definition.columns.filter((column) => column.generated === null && column.defaultSequence === null).map((column) => [column.name, column.default])),
    checks: checksOf(definition),
  };
}

/** One line per difference, for people; none for a table whose migration began before this was noted. */
export async function behaviourDrift(flow: SourceFlow, record: TableRecord, definition: TableDefinition): Promise<readonly string[]> {
  const { behaviour: before, plan } = detailsOf(record);
  const local = before && (await flow.localAdmin.use((client) => findTable(client, record.target)));
  if (before === undefined || local === undefined) return [];
  return compareBehaviour({ before, now: behaviourOf(definition), local: behaviourOf(local) }, plan.columns.map((column) => column.name));
}

/** Pure. */
export function compareBehaviour({ before, now, local }: { readonly before: TableBehaviour; readonly now: TableBehaviour; readonly local: TableBehaviour }, columns: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (const name of columns) {
    const [was, is, here] = [before.defaults[name], now.defaults[name], local.defaults[name]];
    if (was === undefined || is === undefined || here === undefined || was === is || here === is) continue;
    found.push(`the default of ${name} is ${is ?? 'none'} on the source now, and was ${was ?? 'none'}; on local it is ${here ?? 'none'}`);
  }
  for (const check of now.checks) if (!before.checks.includes(check) && !local.checks.includes(check)) found.push(`${check} is new on the source, and not on local`);
  for (const check of before.checks) if (!now.checks.includes(check) && local.checks.includes(check)) found.push(`${check} is gone from the source, and still on local`);
  return found;
}

function checksOf(definition: TableDefinition): readonly string[] {
  return definition.constraints.filter((constraint) => constraint.type === 'check').map((check) => check.definition.replace(/ NOT VALID$/, ''));
}
