/** GROUP BY: what it groups by is what the rest of the query may use. */
import type { Emission, Scope, Value } from './emission.ts';
import { sortable } from './expression.ts';
import { isSameForAll } from './sort-keys.ts';
import { refuse } from './refusal.ts';
import { listOf, nodeOf, stringNode, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function groupClause(emission: Emission, select: Tree, scope: Scope): string {
  if (select['groupDistinct'] === true) return refuse('GROUP BY DISTINCT');
  const values = listOf(select['groupClause']).map((item) => groupValue(emission, item, select, scope));
  scope.grouping = values.map(({ sql }) => sql);
  for (const relation of scope.relations) {
    const key = relation.table?.primaryKey ?? [];
    const isKeyed = key.length > 0 && key.every((name) => {
      const index = relation.table?.columns.findIndex((column) => column.name === name) ?? -1;
      const sql = relation.columns[index]?.value.sql;
      return sql !== undefined && scope.grouping?.includes(sql) === true;
    });
    if (isKeyed) scope.keyed.add(relation);
  }
  return values.length === 0 ? '' : ` GROUP BY ${values.map((value) => sortable(emission, value)).join(', ')}`;
}

/** An input column goes before an output column of the same name. */
function groupValue(emission: Emission, item: unknown, select: Tree, scope: Scope): Value {
  if (nodeOf(item, 'GroupingSet') !== undefined) return refuse('GROUPING SETS, ROLLUP or CUBE', nodeOf(item, 'GroupingSet')?.['location']);
  const targets = listOf(select['targetList']).map((target) => nodeOf(target, 'ResTarget') ?? {});
  const ordinal = treeOf(nodeOf(item, 'A_Const')?.['ival']);
  if (ordinal !== undefined) return checked(emission.expression(targets[Number(ordinal['ival'] ?? 0) - 1]?.['val'] ?? refuse('GROUP BY position that is not in the list'), scope));
  const fields = listOf(nodeOf(item, 'ColumnRef')?.['fields']);
  const name = fields.length === 1 ? stringNode(fields[0]) : undefined;
  const isInput = name !== undefined && scope.visible.some((column) => column.name === name);
  const output = name === undefined || isInput ? undefined : targets.find((target) => stringOf(target['name']) === name);
  return checked(emission.expression(output?.['val'] ?? item, scope));
}

function checked(value: Value): Value {
  return isSameForAll(value) ? refuse('GROUP BY a constant') : value;
}
