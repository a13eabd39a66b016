/**
 * Comparisons of enums, and of columns that local compares by a collation made after MySQL's: equality is left to the column's own collation on the server, which
 * finds the same rows and has the index. What else such a column is used for is refused: order and classes of letters are each server's own.
 */
import type { Emission, Scope, Value } from './emission.ts';
import { decide } from './literal.ts';
import { bool, text as textType } from './pg-type.ts';
import { refuse } from './refusal.ts';
import { listOf, nameParts, nodeOf, stringNode } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

/** Undefined where none of these operators is over such a column. */
export function ownComparison(emission: Emission, node: Tree, scope: Scope): Value | undefined {
  const name = nameParts(node['name'])?.at(-1) ?? '';
  const isNegated = name === '<>' || name === '!=';
  if (!isNegated && name !== '=') return undefined;
  const [left, right] = [ownColumn(node['lexpr'], scope), ownColumn(node['rexpr'], scope)];
  if (left === undefined && right === undefined) return undefined;
  const place = node['location'];
  if (node['kind'] === 'AEXPR_OP') {
    if (left !== undefined && right !== undefined) return negated(sameColumns(left, right, place), isNegated, left.nullable || right.nullable);
    const column = left ?? right ?? refuse('comparison', place);
    return negated(equal(emission, column, emission.expression(left === undefined ? node['lexpr'] : node['rexpr'], scope), isNegated, place), isNegated, true);
  }
  if (node['kind'] !== 'AEXPR_IN' || left === undefined) return undefined;
  const items = listOf(nodeOf(node['rexpr'], 'List')?.['items']);
  return negated(`(${items.map((item) => equal(emission, left, emission.expression(item, scope), isNegated, place)).join(' OR ')})`, isNegated, true);
}

/** `column IS NULL` asks nothing of a collation. */
export function ownColumn(node: unknown, scope: Scope): Value | undefined {
  const fields = listOf(nodeOf(node, 'ColumnRef')?.['fields']).map(stringNode);
  if (fields.length === 0 || fields.includes(undefined)) return undefined;
  const names = fields.map((field) => field ?? '');
  const value = scope.column(names.slice(0, -1), names.at(-1) ?? '', treePlace(node));
  return value.own === undefined ? undefined : value;
}

function treePlace(node: unknown): unknown {
  return nodeOf(node, 'ColumnRef')?.['location'];
}

function negated(sql: string, isNegated: boolean, nullable: boolean): Value {
  return { sql: isNegated ? `(NOT ${sql})` : sql, type: bool, nullable };
}

function sameColumns(left: Value, right: Value, place: unknown): string {
  const [one, other] = [left.own, right.own];
  if (one === undefined || other === undefined || one.collation !== other.collation || one.isPadded !== other.isPadded) return refuse('comparison of text of different collations', place);
  return unpadded(left.sql, right.sql, one.isPadded);
}

function equal(emission: Emission, column: Value, given: Value, isNegated: boolean, place: unknown): string {
  const { own } = column;
  const value = decide(emission, given, own?.type ?? textType, place);
  if (own === undefined || value.constant !== true || value.type.name === 'unknown') return refuse('comparison of a column with a collation of its own', place);
  if (own.type !== undefined && value.type.name !== own.type.name) return refuse('comparison with a value of another type', place);
  if (!isUnicode(own.charset)) {
    // What the column's character set lacks equals nothing in it, and would become a question mark.
    if (isNegated) return refuse(`comparison with <> of text in ${own.charset}`, place);
    const stored = `CONVERT(${value.sql} USING ${own.charset})`;
    return `(${unpadded(column.sql, `${stored} COLLATE ${own.collation}`, own.isPadded)} AND CONVERT(${stored} USING utf8mb4) COLLATE utf8mb4_bin = ${value.sql})`;
  }
  return unpadded(column.sql, value.sql, own.isPadded);
}

function isUnicode(charset: string): boolean {
  return charset === 'utf8mb4' || charset === 'utf8' || charset === 'utf8mb3';
}

/** Behind a letter blanks are no padding. */
function unpadded(left: string, right: string, isPadded: boolean): string {
  return isPadded ? `(${left} = ${right} AND CONCAT(${left}, '|') = CONCAT(${right}, '|'))` : `(${left} = ${right})`;
}
