/** The one row that a SELECT of one table asks for, if its WHERE names it by a key: whether the columns are one only a server can tell. */
import { rangeVarRef } from './facts-collector.ts';
import type { PinnedRow } from './statement-facts.ts';
import { isTree, listOf, nameParts, nodeOf, stringNode, stringOf, treeOf, withoutCasts } from './tree.ts';
import type { Tree } from './tree.ts';

/** Whatever could bring rows of its own, or more than one for one. */
const others: ReadonlySet<string> = new Set(['SubLink', 'RangeSubselect', 'RangeFunction', 'JoinExpr', 'withClause', 'larg']);

/** Undefined unless it is nothing but conditions on one table, some of which say `column = value`. */
export function pinnedRow(select: Tree): PinnedRow | undefined {
  const [from, ...more] = listOf(select['fromClause']);
  const rangeVar = nodeOf(from, 'RangeVar');
  const relation = rangeVar === undefined ? undefined : rangeVarRef(rangeVar);
  if (relation === undefined || rangeVar === undefined || more.length > 0 || holdsOthers(select)) return undefined;
  const names = new Set([stringOf(treeOf(rangeVar['alias'])?.['aliasname']) ?? relation.name]);
  const columns = conditionsOf(select['whereClause']).flatMap((condition) => equatedColumn(condition, names) ?? []);
  return columns.length === 0 ? undefined : { relation, columns };
}

function holdsOthers(select: Tree): boolean {
  const work: unknown[] = [select];
  for (let value = work.pop(); value !== undefined; value = work.pop()) {
    if (Array.isArray(value)) work.push(...value.filter((item) => item !== undefined));
    if (!isTree(value)) continue;
    for (const name of Object.keys(value)) {
      if (others.has(name)) return true;
      work.push(value[name]);
    }
  }
  return false;
}

/** Those that all have to hold. */
function conditionsOf(where: unknown): readonly unknown[] {
  const and = nodeOf(where, 'BoolExpr');
  return and?.['boolop'] === 'AND_EXPR' ? listOf(and['args']).flatMap(conditionsOf) : [where];
}

function equatedColumn(condition: unknown, tables: ReadonlySet<string>): string | undefined {
  const node = nodeOf(condition, 'A_Expr');
  if (node === undefined || node['kind'] !== 'AEXPR_OP' || nameParts(node['name'])?.join('.') !== '=') return undefined;
  const [left, right] = [columnName(node['lexpr'], tables), columnName(node['rexpr'], tables)];
  if (left !== undefined && isValue(node['rexpr'])) return left;
  return right !== undefined && isValue(node['lexpr']) ? right : undefined;
}

function columnName(value: unknown, tables: ReadonlySet<string>): string | undefined {
  const parts = listOf(nodeOf(value, 'ColumnRef')?.['fields']).map(stringNode);
  const [table, column] = parts.length > 1 ? parts.slice(-2) : [undefined, parts[0]];
  return table === undefined || tables.has(table) ? column : undefined;
}

function isValue(value: unknown): boolean {
  const inner = withoutCasts(value);
  return nodeOf(inner, 'A_Const') !== undefined || nodeOf(inner, 'ParamRef') !== undefined;
}
