/** The name that PostgreSQL gives a column without AS (FigureColname in parse_target.c). */
import { listOf, nameParts, nodeOf, stringNode, treeOf, unwrap } from '../../sql/tree.ts';

interface Label {
  readonly name: string;
  /** Strong names win over those of casts around them. */
  readonly isStrong: boolean;
}

export function columnLabel(node: unknown): string {
  return labelOf(node)?.name ?? '?column?';
}

function labelOf(node: unknown): Label | undefined {
  const found = unwrap(node);
  if (found === undefined) return undefined;
  const strong = (name: string | undefined): Label | undefined => (name === undefined ? undefined : { name, isStrong: true });
  switch (found.name) {
    case 'ColumnRef': return strong(listOf(found.node['fields']).map(stringNode).findLast((name) => name !== undefined));
    case 'FuncCall': return strong(nameParts(found.node['funcname'])?.at(-1));
    case 'A_Expr': return found.node['kind'] === 'AEXPR_NULLIF' ? strong('nullif') : undefined;
    case 'TypeCast': {
      const inner = labelOf(found.node['arg']);
      if (inner?.isStrong === true) return inner;
      const type = nameParts(treeOf(found.node['typeName'])?.['names'])?.at(-1);
      return type === undefined ? inner : { name: type, isStrong: false };
    }
    case 'CollateClause': return labelOf(found.node['arg']);
    case 'CaseExpr': {
      const inner = labelOf(found.node['defresult']);
      return inner?.isStrong === true ? inner : { name: 'case', isStrong: false };
    }
    case 'CoalesceExpr': return strong('coalesce');
    case 'MinMaxExpr': return strong(found.node['op'] === 'IS_GREATEST' ? 'greatest' : 'least');
    case 'SQLValueFunction': return strong(String(found.node['op']).replace('SVFOP_', '').replace(/_N$/, '').toLowerCase());
    case 'RowExpr': return strong('row');
    case 'SubLink': return subqueryLabel(found.node['subLinkType'], found.node['subselect']);
    default: return undefined;
  }
}

function subqueryLabel(type: unknown, query: unknown): Label | undefined {
  if (type === 'EXISTS_SUBLINK') return { name: 'exists', isStrong: true };
  if (type !== 'EXPR_SUBLINK') return undefined;
  const target = nodeOf(listOf(nodeOf(query, 'SelectStmt')?.['targetList'])[0], 'ResTarget');
  if (target === undefined) return undefined;
  const name = target['name'];
  return typeof name === 'string' ? { name, isStrong: true } : { name: columnLabel(target['val']), isStrong: true };
}
