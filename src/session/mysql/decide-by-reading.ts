/**
 * A second look at a text that its words alone would have refused: what is in its strings and comments is no name and no statement. Only queries, statements that
 * write rows and the words of transactions are read; anything else keeps its refusal.
 */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { MysqlClassification, MysqlStatementKind } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { beforeParenthesis, onlyWithoutSpace } from './built-in-functions.ts';
import type { LocalContext } from './mysql-decision.ts';

export interface ReadText {
  /** Keys of the migrating tables that it reads or writes. */
  readonly touches: readonly string[];
  /** Nothing of it writes or locks rows. */
  readonly isRead: boolean;
}

const ordinary: ReadonlySet<MysqlStatementKind> = new Set(['read', 'write', 'begin', 'commit', 'rollback', 'savepoint', 'rollback to', 'release']);

/** Undefined: it cannot be told. */
export function readText(text: string, snapshot: RoutingSnapshot, local: LocalContext): ReadText | undefined {
  const touches = new Set<string>();
  let isRead = true;
  for (const statement of local.split(text)) {
    if (statement.trim() === '') continue;
    const found = local.classify(statement);
    if (!found || !ordinary.has(found.kind) || !callsBuiltIns(found, statement)) return undefined;
    isRead &&= found.kind === 'read' && !found.relations.some(({ written }) => written);
    for (const relation of found.relations) {
      const key = local.keyOf(relation);
      // A trigger of a table may reach others, whatever the table is.
      for (const each of [key, ...snapshot.views[key] ?? [], ...(relation.written ? snapshot.writeClosure[key] ?? [] : [])]) if (snapshot.tables[each]) touches.add(each);
    }
  }
  return { touches: [...touches], isRead };
}

/** A function of the database's own may touch any table; one of these with a blank behind its name may be one. */
function callsBuiltIns({ functions }: MysqlClassification, statement: string): boolean {
  return functions.every((name) => {
    const lower = name.toLowerCase();
    return beforeParenthesis.has(lower) && !(onlyWithoutSpace.has(lower) && new RegExp(`\\b${lower}\\s+\\(`, 'i').test(statement));
  });
}
