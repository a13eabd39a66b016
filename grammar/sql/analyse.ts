/** From PostgreSQL's parse tree to facts: one pass, no catalog, no state. */
import { FactsCollector, emptyFacts } from './facts-collector.ts';
import { ddlStatement } from './ddl-statement.ts';
import { collectQuery } from './query-relations.ts';
import { queryStatement, tableFromQuery } from './query-statement.ts';
import { sessionStatement } from './session-statement.ts';
import type { StatementFacts, StatementFlags } from './statement-facts.ts';
import { listOf, nodeOf, optionTruth, stringOf, treeOf, unwrap } from './tree.ts';
import type { Tree } from './tree.ts';

/** `tree` is the JSON form of a parse result. A text without a statement gives one of kind `empty`. */
export function analyseParseTree(tree: unknown): readonly StatementFacts[] {
  const facts = listOf(treeOf(tree)?.['stmts']).map((item) => analyseStatement(treeOf(item)?.['stmt']));
  return facts.length === 0 ? [emptyFacts] : facts;
}

/** `statement` is one wrapped statement node. */
export function analyseStatement(statement: unknown): StatementFacts {
  const found = unwrap(statement) ?? { name: bareName(statement), node: {} };
  if (found.name === '') return emptyFacts;
  return queryStatement(found.name, found.node) ?? sessionStatement(found.name, found.node)
    ?? wrappingStatement(found.name, found.node) ?? ddlStatement(found.name, found.node);
}

function bareName(statement: unknown): string {
  return Object.keys(treeOf(statement) ?? {})[0] ?? '';
}

/** Statements with a statement inside. What they touch is what it touches. */
function wrappingStatement(name: string, node: Tree): StatementFacts | undefined {
  switch (name) {
    case 'ExplainStmt': return explainFacts(node);
    case 'PrepareStmt': return wrap('prepare', node['query'], stringOf(node['name']), {});
    case 'ExecuteStmt': return executeFacts(node);
    case 'DeclareCursorStmt': return wrap('declare_cursor', node['query'], stringOf(node['portalname']), { withHold: isWithHold(node['options']) });
    case 'CreateTableAsStmt': return tableAsFacts(node);
    case 'ViewStmt': return tableFromQuery(treeOf(node['view']) ?? {}, definitionOnly(analyseStatement(node['query'])), 'CREATE VIEW');
    default: return undefined;
  }
}

function wrap(kind: 'prepare' | 'declare_cursor' | 'explain', query: unknown, objectName: string | undefined, flags: Partial<StatementFlags>): StatementFacts {
  const inner = analyseStatement(query);
  return { ...inner, kind, objectName, inner, setting: undefined, flags: { ...inner.flags, ...flags } };
}

/** Without ANALYZE the statement is only planned. */
function explainFacts(node: Tree): StatementFacts {
  const options = listOf(node['options']).map((item) => nodeOf(item, 'DefElem'));
  // The last one counts, as in the server.
  const analyze = options.findLast((option) => option?.['defname'] === 'analyze');
  const facts = wrap('explain', node['query'], undefined, { explainAnalyze: analyze !== undefined && optionTruth(analyze) !== false });
  // EXPLAIN (ANALYZE 0) and (ANALYZE 1) differ in a literal only.
  return analyze?.['arg'] === undefined ? facts : { ...facts, flags: { ...facts.flags, literalSensitive: true } };
}

function executeFacts(node: Tree): StatementFacts {
  const collector = new FactsCollector();
  collectQuery(node['params'], collector);
  return collector.facts('execute', { objectName: stringOf(node['name']) });
}

function isWithHold(options: unknown): boolean {
  const hold = 0x20;
  return typeof options === 'number' && (options & hold) !== 0;
}

function tableAsFacts(node: Tree): StatementFacts {
  const target = treeOf(treeOf(node['into'])?.['rel']) ?? {};
  return tableFromQuery(target, analyseStatement(node['query']), node['objtype'] === 'OBJECT_MATVIEW' ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS');
}

/** A view's query is not run when the view is made: nothing is called or locked. */
function definitionOnly(query: StatementFacts): StatementFacts {
  return {
    ...query, reads: [...query.reads, ...query.writes], writes: [], functions: [], sequencesRead: [], sequencesWritten: [],
    flags: { ...query.flags, lockingRead: false, sessionEffect: false, advisoryLock: false, lastingLock: false, onceOnly: false, usesLastval: false },
  };
}
