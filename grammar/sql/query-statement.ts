/** Facts of statements that read or change rows: SELECT, INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE, LOCK, CALL, DO. */
import { FactsCollector, rangeVarRef } from './facts-collector.ts';
import { collectFunctionCall } from './function-call.ts';
import { collectQuery } from './query-relations.ts';
import { pinnedRow } from './pinned-row.ts';
import { dependsOnOrder } from './repeatability.ts';
import { tellsNumbers } from './told-numbers.ts';
import { temporaryTarget } from './temporary-target.ts';
import type { StatementFacts, StatementKind } from './statement-facts.ts';
import { listOf, nodeOf, stringNode, stringOf, treeOf } from './tree.ts';
import type { Tree } from './tree.ts';

const modifying: Readonly<Record<string, StatementKind>> = {
  InsertStmt: 'insert', UpdateStmt: 'update', DeleteStmt: 'delete', MergeStmt: 'merge',
};

/** Undefined when the statement is of another family. */
export function queryStatement(name: string, node: Tree): StatementFacts | undefined {
  const kind = modifying[name];
  if (kind !== undefined) return queryFacts(kind, name, node);
  switch (name) {
    case 'SelectStmt': return selectFacts(node);
    case 'CopyStmt': return copyFacts(node);
    case 'TruncateStmt': return relationsFacts('truncate', node, true);
    case 'LockStmt': return lockFacts(node);
    case 'CallStmt': return callFacts(node);
    case 'DoStmt': return new FactsCollector().facts('do');
    default: return undefined;
  }
}

function queryFacts(kind: StatementKind, name: string, node: Tree): StatementFacts {
  const collector = new FactsCollector();
  collectQuery({ [name]: node }, collector);
  if (kind !== 'select') {
    const target = kind === 'merge' ? undefined : targetOf(node);
    return collector.facts(kind, target && { target });
  }
  if (tellsNumbers(node)) collector.raise('tellsNumbers');
  if (node['sortClause'] !== undefined) collector.raise('ordered');
  const pinned = dependsOnOrder(node) ? pinnedRow(node) : undefined;
  return collector.facts(kind, pinned && { pinned });
}

function targetOf(node: Tree): StatementFacts['target'] {
  const relation = treeOf(node['relation']);
  const name = stringOf(treeOf(relation?.['alias'])?.['aliasname']) ?? stringOf(relation?.['relname']);
  // Of an INSERT these name where values go; what it assigns stands behind DO UPDATE SET.
  const assigned = node['onConflictClause'] === undefined ? node['targetList'] : treeOf(node['onConflictClause'])?.['targetList'];
  return name === undefined ? undefined : { relation: name, assigns: listOf(assigned).map((item) => stringOf(nodeOf(item, 'ResTarget')?.['name']) ?? '') };
}

/** SELECT … INTO makes a table: it is then like CREATE TABLE AS. */
function selectFacts(select: Tree): StatementFacts {
  const inner = queryFacts('select', 'SelectStmt', select);
  const into = treeOf(intoClause(select)?.['rel']);
  return into === undefined ? inner : tableFromQuery(into, inner, 'CREATE TABLE AS');
}

/** In a set operation INTO stands in the leftmost SELECT. */
function intoClause(select: Tree): Tree | undefined {
  let leftmost = select;
  for (let left = treeOf(select['larg']); left !== undefined; left = treeOf(left['larg'])) leftmost = left;
  return treeOf(leftmost['intoClause']);
}

/** CREATE [TEMP] TABLE AS, CREATE MATERIALIZED VIEW, CREATE VIEW: the new relation, and what its query touches. */
export function tableFromQuery(target: Tree, inner: StatementFacts, command: string): StatementFacts {
  const temporary = temporaryTarget(target);
  const relation = temporary ?? rangeVarRef(target);
  const ddl = relation === undefined ? [] : [relation];
  if (temporary !== undefined) return { ...inner, kind: 'create_temp', ddl, objectName: temporary.name, command, inner, flags: { ...inner.flags, systemOnly: false } };
  return { ...inner, kind: 'ddl', ddl, command, inner, flags: { ...inner.flags, systemOnly: false } };
}

function copyFacts(copy: Tree): StatementFacts {
  const collector = new FactsCollector();
  const target = treeOf(copy['relation']);
  const relation = target === undefined ? undefined : rangeVarRef(target);
  const isFrom = copy['is_from'] === true;
  if (relation !== undefined && isFrom) collector.write(relation);
  else if (relation !== undefined) collector.read(relation);
  collectQuery(copy['query'], collector);
  collectQuery(copy['whereClause'], collector);
  if (isFrom) return collector.facts('copy_from');
  const format = listOf(copy['options']).map((item) => nodeOf(item, 'DefElem')).find((option) => option?.['defname'] === 'format');
  // It may stand there as a constant.
  if (format) collector.raise('literalSensitive');
  return collector.facts('copy_to', stringNode(format?.['arg'])?.toLowerCase() === 'binary' ? { binaryCopy: { columns: copiedColumns(copy) } } : {});
}

/** Of a table, those that stand behind it; of a query, its own when each of them is a column and nothing else. */
function copiedColumns(copy: Tree): readonly string[] | undefined {
  const targets = listOf(nodeOf(copy['query'], 'SelectStmt')?.['targetList']);
  const names = copy['query'] === undefined
    ? listOf(copy['attlist']).map((item) => stringNode(item))
    : targets.map((item) => stringNode(listOf(nodeOf(nodeOf(item, 'ResTarget')?.['val'], 'ColumnRef')?.['fields']).at(-1)));
  const known = names.filter((name) => name !== undefined);
  return names.length > 0 && known.length === names.length ? known : undefined;
}

/** ACCESS SHARE is what a plain read takes; every stronger mode is there to keep some writer out, so it belongs where the writers are. */
function lockFacts(lock: Tree): StatementFacts {
  const accessShare = 1;
  return relationsFacts('lock', lock, lock['mode'] !== accessShare);
}

function relationsFacts(kind: StatementKind, node: Tree, write: boolean): StatementFacts {
  const collector = new FactsCollector();
  for (const item of listOf(node['relations'])) {
    const rangeVar = nodeOf(item, 'RangeVar');
    const relation = rangeVar === undefined ? undefined : rangeVarRef(rangeVar);
    if (relation === undefined) continue;
    if (write) collector.write(relation);
    else collector.read(relation);
  }
  return collector.facts(kind);
}

/** A procedure is named like a function; it is listed even when its name is that of a pure one. */
function callFacts(statement: Tree): StatementFacts {
  const collector = new FactsCollector();
  const call = treeOf(statement['funccall']) ?? {};
  collectFunctionCall(call, collector);
  collectQuery(call['args'], collector);
  const name = listOf(call['funcname']).map((part) => stringOf(nodeOf(part, 'String')?.['sval']) ?? '').join('.');
  collector.callFunction(name);
  return collector.facts('call');
}
