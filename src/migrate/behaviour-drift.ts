/**
 * Defaults, checks, NOT NULL, indexes and foreign keys that have changed on the source since the migration began (RULES 6). No row tells of them, and rows can be
 * carried all the same; but after a cutover local would fill in, take and refuse what the source did not before. What somebody has made of local's own on purpose is left alone.
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
    notNull: definition.columns.filter((column) => column.notNull).map(({ name }) => name),
    indexes: definition.indexes.filter((index) => index.valid && !index.primary).map(({ unique, tail }) => `${unique ? 'UNIQUE ' : ''}${tail}`),
    foreignKeys: definition.foreignKeys.map((key) => `(${key.columns.join(', ')}) to ${key.parent.name} (${key.parentColumns.join(', ')})`),
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
  for (const name of columns) {
    const isNew = before.notNull !== undefined && now.notNull?.includes(name) === true && !before.notNull.includes(name);
    if (isNew && local.notNull?.includes(name) !== true) found.push(`${name} takes no NULL on the source any more, and does on local`);
  }
  found.push(...newOnSource('index', before.indexes, now.indexes, local.indexes), ...newOnSource('foreign key', before.foreignKeys, now.foreignKeys, local.foreignKeys));
  // One that only finds rows may stay; one that refuses them may not.
  for (const index of before.indexes ?? []) if (index.startsWith('UNIQUE ') && now.indexes?.includes(index) === false && local.indexes?.includes(index) === true) found.push(`index ${index} is gone from the source, and still on local`);
  for (const key of before.foreignKeys ?? []) if (now.foreignKeys?.includes(key) === false && local.foreignKeys?.includes(key) === true) found.push(`foreign key ${key} is gone from the source, and still on local`);
  return found;
}

/** None for a table whose migration began before this was noted. */
function newOnSource(kind: string, before: readonly string[] | undefined, now: readonly string[] = [], local: readonly string[] = []): readonly string[] {
  return before === undefined ? [] : now.filter((each) => !before.includes(each) && !local.includes(each)).map((each) => `${kind} ${each} is new on the source, and not on local`);
}

function checksOf(definition: TableDefinition): readonly string[] {
  return definition.constraints.filter((constraint) => constraint.type === 'check').map((check) => check.definition.replace(/ NOT VALID$/, ''));
}
