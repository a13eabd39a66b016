/**
 * Whether a query's own columns tell the number of a relation, a type or the like that it names (`'t'::regclass::oid`): each database has its own. What it
 * compares with such a number is not told to anybody.
 */
import { listOf, nameParts, nodeOf, stringConstant, treeOf } from './tree.ts';
import type { Tree } from './tree.ts';

const numbers: ReadonlySet<string | undefined> = new Set(['oid', 'int4', 'int8']);
const lookups: ReadonlySet<string | undefined> = new Set(['pg_typeof', 'to_regclass', 'to_regtype']);

export function tellsNumbers(select: Tree): boolean {
  const left = treeOf(select['larg']);
  if (left !== undefined) return tellsNumbers(left) || tellsNumbers(treeOf(select['rarg']) ?? {});
  return listOf(select['targetList']).some((target) => isNumber(nodeOf(target, 'ResTarget')?.['val']));
}

function isNumber(value: unknown): boolean {
  const cast = nodeOf(value, 'TypeCast');
  if (!cast) return false;
  const type = typeOf(cast);
  const inner = nodeOf(cast['arg'], 'TypeCast');
  if (numbers.has(type)) return isNumber(cast['arg']) || isLookup(cast['arg']) || (inner !== undefined && isOwnName(inner));
  return false;
}

/** The system's own objects have the same numbers everywhere. */
function isOwnName(cast: Tree): boolean {
  return typeOf(cast)?.startsWith('reg') === true && !/^(?:pg_|information_schema\.)/.test(stringConstant(cast['arg']) ?? '');
}

function isLookup(value: unknown): boolean {
  return lookups.has(nameParts(nodeOf(value, 'FuncCall')?.['funcname'])?.at(-1));
}

function typeOf(cast: Tree): string | undefined {
  return nameParts(treeOf(cast['typeName'])?.['names'])?.at(-1);
}
