/** ORDER BY: PostgreSQL takes NULL for the greatest value, MySQL for the least. */
import { requireCodePoints } from './comparison.ts';
import type { Emission, Value } from './emission.ts';
import { isText, typeLabel } from './pg-type.ts';
import { comparable } from './text-value.ts';
import { refuse } from './refusal.ts';
import { nodeOf } from '../../sql/tree.ts';

const sortableTypes: ReadonlySet<string> = new Set(['bool', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'text', 'varchar', 'bpchar', 'bytea', 'date', 'timestamp', 'timestamptz']);

/** Names no column and calls nothing: the servers work such a thing out early, and take the number for the place of a column. */
export function isSameForAll(value: Value): boolean {
  return value.constant === true || value.literal !== undefined || value.parameter !== undefined || !/`|\br\d+\.|[A-Z]\(/.test(value.sql);
}

/** One SortBy as one key or two. */
export function sortKeys(emission: Emission, item: unknown, resolve: (node: unknown) => Value): readonly string[] {
  const sort = nodeOf(item, 'SortBy') ?? refuse('ORDER BY');
  if (sort['sortby_dir'] === 'SORTBY_USING') return refuse('ORDER BY USING', sort['location']);
  const value = resolve(sort['node']);
  if (isSameForAll(value)) return refuse('ORDER BY a constant');
  if (!sortableTypes.has(value.type.name)) return refuse(`ORDER BY ${typeLabel(value.type)}`);
  if (isText(value.type)) requireCodePoints(emission, sort['location']);
  const isDescending = sort['sortby_dir'] === 'SORTBY_DESC';
  const nullsFirst = sort['sortby_nulls'] === 'SORTBY_NULLS_FIRST' || (sort['sortby_nulls'] !== 'SORTBY_NULLS_LAST' && isDescending);
  const key = `${value.column !== undefined && !isText(value.type) ? value.column : comparable(emission, value)}${isDescending ? ' DESC' : ''}`;
  // MySQL has NULLs first in ascending order, and last in descending order.
  if (!value.nullable || nullsFirst !== isDescending) return [key];
  return [`(${value.sql} IS NULL)${nullsFirst ? ' DESC' : ''}`, key];
}
