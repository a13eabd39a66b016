/** EXPLAIN ROUTE at the control: the route as sessions decide it, and for tables of a MySQL server the text that it gets. */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { readCopyStatement } from '../../grammar/dialect/mysql/copy-statement.ts';
import { insideOfPrepare } from '../../grammar/dialect/mysql/sql-prepared.ts';
import { serverCapabilities } from '../../grammar/dialect/mysql/server-capabilities.ts';
import { translateStatement } from '../../grammar/dialect/mysql/translate-statement.ts';
import type { Translation } from '../../grammar/dialect/mysql/translation.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import { nodeOf } from '../../grammar/sql/tree.ts';
import { explainRoute, explanationLines } from '../route/explain-route.ts';
import { refusals } from '../route/refusals.ts';
import type { MysqlRoute } from '../route/route.ts';
import { codePointOrder, dialectTables, hasOwnCase } from '../session/mysql-tables/dialect-tables.ts';

export interface ExplainRequest {
  readonly facts: TextFacts;
  readonly snapshot: RoutingSnapshot;
  readonly searchPath: readonly string[];
  /** Of the statement, as the parser reads it. */
  readonly tree: unknown;
  /** By key in the snapshot. */
  readonly tables: ReadonlyMap<string, MigratedTable>;
  /** Users can have logins at a MySQL server. */
  readonly hasMysql: boolean;
}

/** As for a session in UTC, on a local whose database orders text as it says of its columns. */
export function explainStatement({ facts, snapshot, searchPath, tree, tables, hasMysql }: ExplainRequest): readonly string[] {
  let translation: Translation | undefined;
  const session = { searchPath: [...searchPath], temporaryTables: new Map<string, 'source' | 'local'>(), transaction: undefined, leaseValid: true, mysql: hasMysql ? 'reachable' as const : undefined };
  const explanation = explainRoute(facts, snapshot, session, (route) => {
    translation = translate(route, snapshot, searchPath, tree, tables);
    return translation?.type === 'refused' ? route.otherwise ?? refusals.untranslated(translation.construct) : route;
  });
  return [...explanationLines(explanation), ...linesOf(translation)];
}

function translate({ touches }: MysqlRoute, snapshot: RoutingSnapshot, searchPath: readonly string[], tree: unknown, tables: ReadonlyMap<string, MigratedTable>): Translation | undefined {
  const found = touches.flatMap((key) => {
    const [table, route] = [tables.get(key), snapshot.tables[key]];
    return table && route ? [{ table, route }] : [];
  });
  const [first] = found;
  if (!first || tree === undefined || tree === null) return undefined;
  if (nodeOf(tree, 'CopyStmt') !== undefined) {
    // Its text is made of the table's columns, for as many rows as come at once.
    const copy = readCopyStatement(tree);
    return copy.type === 'refused' ? copy : undefined;
  }
  const inside = isPreparedWrite(tree) ? insideOfPrepare(tree) : undefined;
  if (inside?.type === 'refused') return inside;
  const { flavour, version } = first.table.server;
  const capabilities = serverCapabilities({ isMariaDb: flavour === 'mariadb', major: Math.floor(version / 10_000), minor: Math.floor(version / 100) % 100, patch: version % 100 });
  return translateStatement(inside ? inside.node : tree, {
    tables: found.flatMap(({ table, route }) => dialectTables(table, route)), searchPath, timeZone: 'UTC', codePointOrder: codePointOrder(found.map(({ table }) => table)) ?? true, isCaseOpen: hasOwnCase(found.map(({ table }) => table)), capabilities, ...(inside ? { parameterTypes: inside.parameterTypes } : {}),
  });
}

/** What reads is prepared on local, for its rows. */
function isPreparedWrite(tree: unknown): boolean {
  const query = nodeOf(tree, 'PrepareStmt')?.['query'];
  return ['InsertStmt', 'UpdateStmt', 'DeleteStmt'].some((name) => nodeOf(query, name) !== undefined);
}

function linesOf(translation: Translation | undefined): readonly string[] {
  if (translation === undefined) return [];
  if (translation.type === 'refused') return [`  not translated: ${translation.construct}`];
  return translation.steps.map(({ text }, index) => `  ${translation.steps.length > 1 ? `step ${index + 1}` : 'as'}: ${text.replace(/\0(\d+)\0/g, '?')}`);
}
