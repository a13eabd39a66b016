/**
 * Conditions that can be tried on the rows of one relation where these are, before they are sent elsewhere. The statement itself still tests
 * them, so what is not understood here is left out, never guessed: comparisons of columns with constants and parameters, joined
 * by AND, OR and NOT, none of which can change anything or depend on where it runs.
 */
import { quoteLiteral } from '../names.ts';
import { constantText, listOf, nameParts, nodeOf, stringConstant, stringNode, treeOf, unwrap } from './tree.ts';
import type { Tree } from './tree.ts';

export interface ColumnName {
  /** What the column was qualified with; undefined for a bare name. */
  readonly qualifier: string | undefined;
  readonly name: string;
}

export type FilterPart = string | { readonly column: ColumnName } | { readonly parameter: number };

export interface RowFilter {
  readonly parts: readonly FilterPart[];
  readonly columns: readonly ColumnName[];
  /** It asks for an order, which depends on the collation of text. */
  readonly isOrdered: boolean;
}

/** Comparisons of every type's own; none can fail on a value that its column holds. */
const comparisons: ReadonlySet<string> = new Set(['=', '<>', '!=', '<', '<=', '>', '>=']);
const orderings: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const maxParts = 2_000;

export function rowFilter(condition: unknown): RowFilter | undefined {
  const reading = new Reading();
  return reading.condition(condition, 0) && reading.columns.length > 0 && reading.parts.length <= maxParts
    ? { parts: reading.parts, columns: reading.columns, isOrdered: reading.isOrdered } : undefined;
}

/** `left.column = right.column`, nothing else. */
export function columnEquality(condition: unknown): readonly [ColumnName, ColumnName] | undefined {
  const comparison = nodeOf(condition, 'A_Expr');
  if (comparison?.['kind'] !== 'AEXPR_OP' || nameParts(comparison['name'])?.join('.') !== '=') return undefined;
  const left = columnName(comparison['lexpr']);
  const right = columnName(comparison['rexpr']);
  return left && right && [left, right];
}

/** The conditions that all have to hold. */
export function conjuncts(condition: unknown): readonly unknown[] {
  const found: unknown[] = [];
  const work: unknown[] = condition === undefined ? [] : [condition];
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const and = nodeOf(next, 'BoolExpr');
    if (and?.['boolop'] === 'AND_EXPR') work.push(...listOf(and['args']));
    else found.push(next);
  }
  return found;
}

/** The same condition over other columns; undefined when one of its own has none. */
export function renamed(filter: RowFilter, nameOf: (column: ColumnName) => ColumnName | undefined): RowFilter | undefined {
  const names = new Map(filter.columns.map((column) => [column, nameOf(column)]));
  const columns = [...names.values()].flatMap((name) => name ?? []);
  if (columns.length < names.size) return undefined;
  return { ...filter, columns, parts: filter.parts.map((part) => (typeof part === 'object' && 'column' in part ? { column: names.get(part.column) ?? part.column } : part)) };
}

/** A name with one qualifier at most; `*` is none. */
export function columnName(node: unknown): ColumnName | undefined {
  const fields = listOf(nodeOf(node, 'ColumnRef')?.['fields']).map(stringNode);
  const [first, second] = fields;
  if (fields.length === 1 && first !== undefined) return { qualifier: undefined, name: first };
  return fields.length === 2 && first !== undefined && second !== undefined ? { qualifier: first, name: second } : undefined;
}

class Reading {
  readonly parts: FilterPart[] = [];
  readonly columns: ColumnName[] = [];
  isOrdered = false;

  condition(node: unknown, depth: number): boolean {
    const found = unwrap(node);
    if (!found || depth > 20) return false;
    switch (found.name) {
      case 'BoolExpr': return this.#combination(found.node, depth);
      case 'A_Expr': return this.#comparison(found.node);
      case 'NullTest': return this.#nullTest(found.node);
      default: return false;
    }
  }

  #combination(node: Tree, depth: number): boolean {
    const words = { AND_EXPR: ' AND ', OR_EXPR: ' OR ', NOT_EXPR: '' }[String(node['boolop'])];
    if (words === undefined) return false;
    this.parts.push(words === '' ? '(NOT ' : '(');
    for (const [index, argument] of listOf(node['args']).entries()) {
      if (index > 0) this.parts.push(words);
      if (!this.condition(argument, depth + 1)) return false;
    }
    this.parts.push(')');
    return true;
  }

  #comparison(node: Tree): boolean {
    const operator = nameParts(node['name'])?.join('.') ?? '';
    switch (node['kind']) {
      case 'AEXPR_OP':
        if (!comparisons.has(operator)) return false;
        this.isOrdered ||= orderings.has(operator);
        return this.#operand(node['lexpr']) && this.#put(` ${operator} `) && this.#operand(node['rexpr']);
      case 'AEXPR_OP_ANY':
        return operator === '=' && this.#operand(node['lexpr']) && this.#put(' = ANY (') && this.#operand(node['rexpr']) && this.#put(')');
      case 'AEXPR_IN':
        return this.#operand(node['lexpr']) && this.#put(operator === '=' ? ' IN (' : ' NOT IN (') && this.#list(node['rexpr'], ', ') && this.#put(')');
      case 'AEXPR_BETWEEN': case 'AEXPR_NOT_BETWEEN':
        this.isOrdered = true;
        return this.#operand(node['lexpr']) && this.#put(node['kind'] === 'AEXPR_BETWEEN' ? ' BETWEEN ' : ' NOT BETWEEN ') && this.#list(node['rexpr'], ' AND ');
      case 'AEXPR_DISTINCT': case 'AEXPR_NOT_DISTINCT':
        return this.#operand(node['lexpr']) && this.#put(node['kind'] === 'AEXPR_DISTINCT' ? ' IS DISTINCT FROM ' : ' IS NOT DISTINCT FROM ') && this.#operand(node['rexpr']);
      case 'AEXPR_LIKE':
        // A pattern that ends in the escape character is an error, which the statement might not meet.
        return stringConstant(node['rexpr'])?.includes('\\') === false && this.#operand(node['lexpr']) && this.#put(operator === '~~' ? ' LIKE ' : ' NOT LIKE ') && this.#operand(node['rexpr']);
      default: return false;
    }
  }

  #nullTest(node: Tree): boolean {
    return this.#operand(node['arg']) && this.#put(node['nulltesttype'] === 'IS_NOT_NULL' ? ' IS NOT NULL' : ' IS NULL');
  }

  #list(node: unknown, separator: string): boolean {
    const items = listOf(nodeOf(node, 'List')?.['items'] ?? node);
    return items.length > 0 && items.every((item, index) => (index === 0 || this.#put(separator)) && this.#operand(item));
  }

  #operand(node: unknown): boolean {
    const column = columnName(node);
    if (column) {
      this.columns.push(column);
      this.parts.push({ column });
      return true;
    }
    return this.#constant(node) || this.#cast(nodeOf(node, 'TypeCast'));
  }

  #constant(node: unknown): boolean {
    const parameter = nodeOf(node, 'ParamRef')?.['number'];
    if (typeof parameter === 'number') {
      this.parts.push({ parameter });
      return true;
    }
    const text = constantText(node);
    if (text === undefined) return false;
    // What was written without quotes is a number or a truth value and has its type from that.
    const isString = treeOf(nodeOf(node, 'A_Const')?.['sval']) !== undefined;
    return this.#put(isString ? quoteLiteral(text) : text.startsWith('-') ? `(${text})` : text);
  }

  /** `'2026-01-01'::date`: of a constant, to a plainly named type. */
  #cast(cast: Tree | undefined): boolean {
    const type = treeOf(cast?.['typeName']);
    const names = nameParts(type?.['names']);
    if (!cast || !type || !names || names.length === 0 || listOf(type['typmods']).length > 0 || type['setof'] === true) return false;
    const name = names.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
    const brackets = '[]'.repeat(listOf(type['arrayBounds']).length);
    return this.#put('CAST(') && this.#constant(cast['arg']) && this.#put(` AS ${name}${brackets})`);
  }

  #put(text: string): boolean {
    this.parts.push(text);
    return true;
  }
}
