import type { Node } from 'libpg-query';

const DEFAULT = '?column?';

/** Names by which a column without AS goes, as FigureColname of the server's parse_target.c chooses them. */
export function columnName(node: Node | undefined): string {
  return nameOf(node)?.name ?? DEFAULT;
}

/** `weak` names give way to an inner one: `a::text` is called a, `'x'::text` is called text. */
function nameOf(node: Node | undefined): { readonly name: string; readonly weak: boolean } | undefined {
  if (node === undefined) return undefined;
  const strong = (name: string): { readonly name: string; readonly weak: boolean } => ({ name, weak: false });
  if ('ColumnRef' in node) {
    const last = (node.ColumnRef.fields ?? []).flatMap((field) => ('String' in field ? [field.String.sval ?? ''] : [])).at(-1);
    return last === undefined ? undefined : strong(last);
  }
  if ('FuncCall' in node) return strong(lastString(node.FuncCall.funcname));
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : undefined;
  if ('TypeCast' in node) {
    const inner = nameOf(node.TypeCast.arg);
    return inner !== undefined && !inner.weak ? inner : { name: lastString(node.TypeCast.typeName?.names), weak: true };
  }
  if ('SubLink' in node) return subLinkName(node);
  if ('CaseExpr' in node) {
    const inner = nameOf(node.CaseExpr.defresult);
    return inner !== undefined && !inner.weak ? inner : { name: 'case', weak: true };
  }
  if ('CoalesceExpr' in node) return strong('coalesce');
  if ('MinMaxExpr' in node) return strong(node.MinMaxExpr.op === 'IS_GREATEST' ? 'greatest' : 'least');
  if ('SQLValueFunction' in node) return strong((node.SQLValueFunction.op ?? '').replace('SVFOP_', '').replace(/_N$/, '').toLowerCase());
  return undefined;
}

function subLinkName(node: Extract<Node, { SubLink: unknown }>): { readonly name: string; readonly weak: boolean } | undefined {
  if (node.SubLink.subLinkType === 'EXISTS_SUBLINK') return { name: 'exists', weak: false };
  if (node.SubLink.subLinkType !== 'EXPR_SUBLINK') return undefined;
  const query = node.SubLink.subselect;
  if (query === undefined || !('SelectStmt' in query)) return undefined;
  const [target] = query.SelectStmt.targetList ?? [];
  if (target === undefined || !('ResTarget' in target)) return undefined;
  return { name: target.ResTarget.name ?? columnName(target.ResTarget.val), weak: false };
}

function lastString(nodes: readonly Node[] | undefined): string {
  return (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : [])).at(-1) ?? DEFAULT;
}
