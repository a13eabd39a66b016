/** WITH: common tables, inlined where the server has none. */
import type { CommonTable, Emission, Scope } from './emission.ts';
import { isSorted } from './from-clause.ts';
import { typeLabel } from './pg-type.ts';
import { refuse } from './refusal.ts';
import { listOf, nodeOf, stringNode, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function withClause(emission: Emission, clause: Tree | undefined, level: Scope): string {
  if (clause === undefined) return '';
  const isRecursive = clause['recursive'] === true;
  const texts = listOf(clause['ctes']).map((item) => {
    const node = nodeOf(item, 'CommonTableExpr') ?? refuse('WITH');
    if (node['search_clause'] !== undefined || node['cycle_clause'] !== undefined) return refuse('SEARCH or CYCLE', node['location']);
    if (nodeOf(node['ctequery'], 'SelectStmt') === undefined) return refuse('data-modifying WITH', node['location']);
    const names = listOf(node['aliascolnames']).map((name) => stringNode(name) ?? '');
    return isRecursive && refersTo(node['ctequery'], stringOf(node['ctename']) ?? '') ? recursiveTable(emission, node, names, level) : commonTable(emission, node, names, level);
  });
  const written = texts.filter((text) => text !== '');
  return written.length === 0 ? '' : `WITH ${isRecursive ? 'RECURSIVE ' : ''}${written.join(', ')} `;
}

function commonTable(emission: Emission, node: Tree, names: readonly string[], level: Scope): string {
  const query = emission.query(node['ctequery'], level, { named: true, texts: 'beside', keepsOrder: true });
  const name = stringOf(node['ctename']) ?? '';
  const sqlName = emission.newName();
  const columns = query.columns.map((column, index) => ({ name: names[index] ?? column.name, type: column.value.type, nullable: column.value.nullable, ...(column.value.showOnly === true ? { showOnly: true } : {}), ...(column.value.shown === undefined ? {} : { hasText: true }) }));
  const table: CommonTable = { name, sqlName, columns, isSorted: isSorted(node['ctequery']), ...(emission.capabilities.commonTables ? {} : { inline: query.sql }) };
  level.commonTables.set(name, table);
  return emission.capabilities.commonTables ? `${sqlName} AS (${query.sql})` : '';
}

function refersTo(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((item) => refersTo(item, name));
  const tree = treeOf(node);
  if (tree === undefined) return false;
  const relation = treeOf(tree['RangeVar']);
  return (relation !== undefined && relation['relname'] === name && relation['schemaname'] === undefined) || Object.values(tree).some((value) => refersTo(value, name));
}

/** MySQL gives the columns the types of the first part, so only those are taken whose size cannot grow. */
function recursiveTable(emission: Emission, node: Tree, names: readonly string[], level: Scope): string {
  const place = node['location'];
  if (!emission.capabilities.commonTables) return refuse('WITH RECURSIVE', place);
  const union = treeOf(nodeOf(node['ctequery'], 'SelectStmt'));
  if (union?.['op'] !== 'SETOP_UNION' || union['sortClause'] !== undefined || union['limitCount'] !== undefined || union['limitOffset'] !== undefined) return refuse('WITH RECURSIVE of this form', place);
  const first = emission.query({ SelectStmt: union['larg'] }, level, { named: true });
  const name = stringOf(node['ctename']) ?? '';
  const sqlName = emission.newName();
  const columns = first.columns.map((column, index) => ({ name: names[index] ?? column.name, type: column.value.type, nullable: true }));
  const unsafe = columns.find(({ type }) => !['int2', 'int4', 'int8', 'bool', 'date', 'timestamp', 'timestamptz'].includes(type.name));
  if (unsafe !== undefined) return refuse(`WITH RECURSIVE with a column of ${typeLabel(unsafe.type)}`, place);
  level.commonTables.set(name, { name, sqlName, columns });
  const next = emission.query({ SelectStmt: union['rarg'] }, level, { named: true, types: columns.map(({ type }) => type) });
  const differs = next.columns.length !== columns.length || next.columns.some(({ value }, index) => value.type.name !== columns[index]?.type.name);
  if (differs) return refuse('WITH RECURSIVE whose parts have different types', place);
  return `${sqlName} AS (${first.sql} UNION${union['all'] === true ? ' ALL' : ''} ${next.sql})`;
}
