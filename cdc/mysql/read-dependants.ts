/** Triggers of tables; views and events whose text names them. They are listed, not carried. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { byTable } from './by-table.ts';
import type { ByTable } from './by-table.ts';
import type { MysqlTrigger } from './definition.ts';
import { fenceTriggerPrefix } from './fence.ts';
import { inScope, mysqlLiteral, mysqlTableName } from './query.ts';
import type { MysqlQuery, MysqlScope } from './query.ts';

export async function readTriggers(query: MysqlQuery, scope: MysqlScope): Promise<ByTable<MysqlTrigger>> {
  const rows = await query(`
    SELECT EVENT_OBJECT_TABLE AS tableName, TRIGGER_NAME AS name, ACTION_TIMING AS timing, EVENT_MANIPULATION AS event, ACTION_STATEMENT AS statement
      FROM information_schema.TRIGGERS WHERE ${inScope(scope, 'EVENT_OBJECT_SCHEMA', 'EVENT_OBJECT_TABLE')} AND LEFT(TRIGGER_NAME, ${fenceTriggerPrefix.length}) <> '${fenceTriggerPrefix}' ORDER BY TRIGGER_NAME`);
  return byTable(rows, (row) => ({ name: row['name'] ?? '', timing: row['timing'] ?? '', event: row['event'] ?? '', statement: row['statement'] ?? '' }));
}

/** Views of the schema that read a table, through other views too. The server spells every name in a view with its schema. */
export async function readViews(query: MysqlQuery, schema: string): Promise<ByTable<QualifiedName>> {
  const rows = await query(`SELECT TABLE_SCHEMA AS tableSchema, TABLE_NAME AS name, VIEW_DEFINITION AS definition FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${mysqlLiteral(schema)} ORDER BY TABLE_NAME`);
  const views = rows.map((row) => ({ schema: row['tableSchema'] ?? schema, name: row['name'] ?? '', definition: row['definition'] ?? '' }));
  const readersOf = (name: QualifiedName): typeof views => views.filter((view) => view.definition.includes(mysqlTableName(name)));
  return (table) => {
    const found = new Map<string, QualifiedName>();
    const visit = (name: QualifiedName): void => {
      for (const view of readersOf(name)) {
        if (found.has(view.name)) continue;
        found.set(view.name, { schema: view.schema, name: view.name });
        visit(view);
      }
    };
    visit({ schema, name: table });
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  };
}

/** The text of an event is the user's: a table is recognised by its name as a word. */
export async function readEvents(query: MysqlQuery, schema: string): Promise<ByTable<string>> {
  const rows = await query(`SELECT EVENT_NAME AS name, EVENT_DEFINITION AS definition FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${mysqlLiteral(schema)} ORDER BY EVENT_NAME`);
  return (table) => {
    const word = new RegExp(`(?<![\\w$])${table.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w$])`, 'u');
    return rows.flatMap((row) => (word.test(row['definition'] ?? '') ? [row['name'] ?? ''] : []));
  };
}
