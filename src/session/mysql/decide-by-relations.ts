/**
 * Which side a text belongs to whose words name a table on local, told from the relations that its statements name. What cannot be read, or would need
 * both sides, is refused with what is in the way.
 */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import { quoteTableName } from '../../../grammar/names.ts';
import type { MysqlClassification, MysqlRelation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { localDefinition } from './local-definition.ts';
import type { LocalContext } from './mysql-decision.ts';

export type RelationsDecision =
  | { readonly side: 'server'; readonly touches: readonly string[] }
  | { readonly side: 'local'; readonly touches: readonly string[] }
  /** LOCK TABLES: each side locks its own. */
  | { readonly side: 'both'; readonly touches: readonly string[] }
  /** `isDefinition`: whatever else it may touch. */
  | { readonly side: 'neither'; readonly message: string; readonly detail: string; readonly isDefinition?: boolean };

const asksOfDefinitions = /^\s*(?:show|desc|describe|explain(?!\s+(?:analyze|format)))\b/i;

const intoFile = /\binto\s+(outfile|dumpfile)\b/i;

const neither = (message: string, detail: string): Extract<RelationsDecision, { side: 'neither' }> => ({ side: 'neither', message, detail });

export function decideByRelations(text: string, snapshot: RoutingSnapshot, local: LocalContext): RelationsDecision {
  const decisions = local.split(text).map((statement) => decideOne(local.classify(statement), statement, snapshot, local));
  const refused = decisions.find(({ side }) => side === 'neither');
  if (refused) return refused;
  const touches = [...new Set(decisions.flatMap((each) => ('touches' in each ? each.touches : [])))];
  const sides = new Set(decisions.map(({ side }) => side));
  if (sides.size > 1) return neither('some statements of the text belong on local, others on the MySQL server', 'A text is sent to one side.');
  const [side = 'server'] = sides;
  if (side === 'both' && decisions.length > 1) return neither('LOCK TABLES stands beside other statements', 'Send it by itself.');
  return side === 'local' || side === 'both' ? { side, touches } : { side: 'server', touches };
}

function decideOne(statement: MysqlClassification | undefined, text: string, snapshot: RoutingSnapshot, local: LocalContext): RelationsDecision {
  // Definitions stay on the server.
  if (asksOfDefinitions.test(text)) return { side: 'server', touches: [] };
  if (!statement || statement.kind === 'ddl') {
    const decision = carriedOut(text, snapshot, local) ?? decideDefinition(text, snapshot, local);
    if (decision) return decision;
  }
  const file = intoFile.exec(text)?.[1];
  if (!statement && file !== undefined) return neither(`INTO ${file.toUpperCase()} of a table whose rows are on local`, 'It would write a file of the MySQL server, which does not have the rows: ask for them, and write them where the client is.');
  if (!statement) return neither('the statement cannot be read, and names a table whose rows are on local', 'Only what is understood can be run there.');
  const { kind } = statement;
  if (kind === 'show' || kind === 'use') return { side: 'server', touches: [] };
  const named = statement.relations.filter((relation) => relation.database !== undefined || relation.name.toLowerCase() !== 'dual').map((relation) => ({ relation, key: local.keyOf(relation) }));
  const onLocal = named.filter(({ key }) => snapshot.tables[key]?.writes === 'local');
  const behind = named.find(({ relation, key }) => reachesLocal(relation, key, snapshot));
  if (behind) return neither(`"${behind.relation.name}" reaches tables whose rows are on local`, 'Views and triggers of the MySQL server do not reach them.');
  if (onLocal.length === 0) return { side: 'server', touches: named.flatMap(({ key }) => (snapshot.tables[key] ? [key] : [...snapshot.views[key] ?? [], ...snapshot.writeClosure[key] ?? []])) };
  if (kind === 'lock') return { side: 'both', touches: named.map(({ key }) => key).filter((key) => snapshot.tables[key] !== undefined) };
  const elsewhere = named.find(({ key }) => snapshot.tables[key]?.writes !== 'local');
  if (elsewhere) return neither(`table "${onLocal[0]?.key}" is on local, and "${elsewhere.relation.name}" on the MySQL server`, 'A statement is sent to one side.');
  const isRun = kind === 'read' || kind === 'write' || (kind === 'ddl' && /^\s*truncate\b/i.test(text));
  if (!isRun) return neither(`table "${onLocal[0]?.key}" is on local: ${nameOf(kind)} cannot be run there for a MySQL client`, 'SELECT, INSERT, UPDATE, DELETE, REPLACE, TRUNCATE and LOAD DATA LOCAL can.');
  return { side: 'local', touches: onLocal.map(({ key }) => key) };
}

/** What local, or local and the server, carry out for a MySQL client (docs/decisions/0033). */
function carriedOut(text: string, { tables }: RoutingSnapshot, local: LocalContext): RelationsDecision | undefined {
  const keys = local.definition(text)?.tables.map((table) => local.keyOf(table)) ?? [];
  if (keys.every((key) => tables[key]?.writes !== 'local')) return undefined;
  return { side: 'local', touches: keys.filter((key) => tables[key] !== undefined) };
}

/** Undefined: it is none, or of a table that is elsewhere. */
function decideDefinition(text: string, { tables }: RoutingSnapshot, local: LocalContext): RelationsDecision | undefined {
  const definition = localDefinition(text);
  const key = definition && local.keyOf(definition);
  if (key === undefined || tables[key]?.writes !== 'local') return undefined;
  if (definition?.instead === undefined) return { side: 'server', touches: [] };
  return { ...neither(`table "${key}" is on local: ${definition.construct} of a MySQL client does not change it there`, `A PostgreSQL client runs on local: ${definition.instead(quoteTableName(tables[key].local))}. While the way back is open the MySQL server needs the same.`), isDefinition: true };
}

function nameOf(kind: MysqlClassification['kind']): string {
  return kind === 'ddl' ? 'a change of its definition' : kind === 'call' ? 'CALL' : kind === 'set' ? 'SET with a subquery' : 'the statement';
}

/** By what the server itself does with the relation. */
function reachesLocal({ written }: MysqlRelation, key: string, { tables, views, writeClosure }: RoutingSnapshot): boolean {
  if (tables[key]?.writes === 'local') return false;
  const reached = [...views[key] ?? [], ...(written ? writeClosure[key] ?? [] : [])];
  return reached.some((each) => tables[each]?.writes === 'local');
}
