/** What IN, BETWEEN, CASE and ANY ask of their values, and how they are written. */
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { Expression, Query } from './mysql-tree.ts';
import { maxBigint } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

/** Whether a condition is of this kind, or one that NOT, AND and the like join. */
export function contains(node: Expression, isMeant: (node: Expression) => boolean): boolean {
  if (isMeant(node)) return true;
  return node.type === 'unary' ? contains(node.operand, isMeant) : node.type === 'binary' && (contains(node.left, isMeant) || contains(node.right, isMeant));
}

/** True for one, else NULL if one is not known, else false. */
export function anyOf(found: string, from: string): string {
  return `(SELECT CASE WHEN bool_or(${found}) THEN true WHEN bool_or((${found}) IS NULL) THEN NULL ELSE false END FROM ${from})`;
}

/** Of a list all are compared in the collation that is common to all of them, not pair by pair. */
export function oneCollation(values: readonly Value[], place: number): void {
  const names = new Set(values.flatMap(({ type }) => (type.kind === 'text' && type.collation !== undefined ? [type.collation.name] : [])));
  if (names.size > 1) refuse('mix of collations', place);
}

/** `a = 1 OR a = 2` as `a IN (1, 2)`. */
export function shortList(compared: readonly Value[]): string | undefined {
  const parts = compared.map(({ sql }) => /^\(("[^"]*"\."[^"]*") = ([^()]*)\)$/.exec(sql));
  const [first] = parts;
  if (first === null || first === undefined || parts.some((part) => part === null || part[1] !== first[1] || /\b(?:AND|OR)\b/.test(part[2]?.replace(/'[^']*'/g, '') ?? ''))) return undefined;
  return `(${first[1] ?? ''} IN (${parts.map((part) => part?.[2] ?? '').join(', ')}))`;
}

/** Of several rows MySQL 5.6 takes a NULL for a zero. */
export function checkNullRows({ facts: { mode: { server } } }: MysqlEmission, values: readonly Value[], place: number): void {
  if (server.flavour === 'mysql' && server.version < 50700 && values.some(({ nullable, type }) => nullable && type.kind !== 'parameter')) refuse('IN of rows with values that may be NULL', place);
}

/** Before MySQL 5.7 it is false that NULL is in a subquery's rows. */
export function checkNull({ facts: { mode: { server } } }: MysqlEmission, values: readonly Value[], place: number): void {
  if (server.flavour === 'mysql' && server.version < 50700 && values.some(({ type }) => type.kind === 'null')) refuse('NULL beside the rows of a subquery', place);
}

/** MySQL compares integers of 64 bits by their bits there, whether the one has a sign and the other none or not. */
export function checkSigns(values: readonly Value[], what: string, place: number): void {
  const integers = values.map(({ type }) => type).filter((type) => type.kind === 'int');
  if (integers.some(({ max }) => max > maxBigint) && integers.some(({ min }) => min < 0n)) refuse(`${what} of signed and unsigned integers`, place);
}

/** Before MySQL 5.7 the rows of ALL and ANY become their largest or smallest one, as if a parameter were never NULL. */
export function checkBound({ facts: { mode: { server } } }: MysqlEmission, query: Query, place: number): void {
  if (server.flavour === 'mysql' && server.version < 50700 && JSON.stringify(query).includes('"type":"parameter"')) refuse('parameter in the rows of ALL or ANY', place);
}

/** Before MySQL 5.7 a row with a NULL in it is not known to be none of several, whatever its other values are. */
export function knownRow({ facts: { mode: { server } } }: MysqlEmission, row: readonly Value[], found: string): string {
  const open = row.filter(({ nullable }) => nullable);
  if (server.flavour !== 'mysql' || server.version >= 50700 || open.length === 0) return found;
  for (const { type, place } of open) if (type.kind === 'parameter' || type.kind === 'null') refuse('IN of rows with values that may be NULL', place);
  return `(CASE WHEN ${open.map(({ sql }) => `${sql} IS NOT NULL`).join(' AND ')} THEN ${found} END)`;
}
