/** SQL's own PREPARE and EXECUTE: the statement inside of the one, and the values of the other. https://www.postgresql.org/docs/current/sql-prepare.html */
import { castType, isInteger, parsePgType } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { Refusal, refuse } from './refusal.ts';
import type { Plan, RefusedTranslation } from './translation.ts';
import { constantText, listOf, nameParts, nodeOf, treeOf } from '../../sql/tree.ts';

export interface PreparedInside {
  readonly type: 'inside';
  /** As `{InsertStmt: {…}}`. */
  readonly node: unknown;
  /** As it declares them; undefined: left to the place. */
  readonly parameterTypes: readonly (string | undefined)[];
}

/** `node` is a PREPARE of the tree. */
export function insideOfPrepare(node: unknown): PreparedInside | RefusedTranslation {
  return orRefused(() => {
    const prepare = nodeOf(node, 'PrepareStmt') ?? refuse('PREPARE');
    const parameterTypes = listOf(prepare['argtypes']).map((item) => {
      const name = nodeOf(item, 'TypeName');
      return nameParts(name?.['names'])?.at(-1) === 'unknown' ? undefined : castType(name).name;
    });
    return { type: 'inside', node: prepare['query'], parameterTypes };
  });
}

/** The values of an EXECUTE in text, each as the assignment to its parameter's type makes it. `wrong_count`: they are too few or too many. */
export function valuesOfExecute(node: unknown, plan: Plan, declared: PreparedInside['parameterTypes']): { readonly type: 'values'; readonly values: readonly (string | null)[] } | { readonly type: 'wrong_count' } | RefusedTranslation {
  return orRefused(() => {
    const given = listOf((nodeOf(node, 'ExecuteStmt') ?? refuse('EXECUTE'))['params']);
    const slots = plan.steps[0]?.slots ?? [];
    const wanted = Math.max(declared.length, plan.parameterTypes.length, ...slots.map((slot) => ('number' in slot ? slot.number : 0)));
    if (given.length !== wanted) return { type: 'wrong_count' };
    return { type: 'values', values: given.map((value, index) => {
      const slot = slots.find((each) => each.kind === 'parameter' && each.number === index + 1);
      const spelling = declared[index];
      return valueOf(value, plan.parameterTypes[index] ?? (slot?.kind === 'parameter' ? slot.type : spelling === undefined ? undefined : parsePgType(spelling)));
    }) };
  });
}

/** What other assignments would round, or spell, in PostgreSQL's own way is refused. */
function valueOf(node: unknown, type: PgType | undefined): string | null {
  const constant = nodeOf(node, 'A_Const') ?? refuse('EXECUTE with a value that is no constant');
  if (constant['isnull'] === true) return null;
  const text = constantText({ A_Const: constant }) ?? refuse('EXECUTE with a bit string');
  if (treeOf(constant['sval']) !== undefined) return text;
  if (type === undefined) return refuse('EXECUTE with a number for a parameter without a type');
  if (treeOf(constant['boolval']) !== undefined) return type.name === 'bool' ? text : refuse(`EXECUTE with a boolean for a parameter of type ${type.name}`);
  const isWhole = /^-?\d+$/.test(text);
  const isTaken = type.name === 'numeric' || type.name === 'float4' || type.name === 'float8' || (isWhole && (isInteger(type) || type.name === 'text' || type.name === 'varchar'));
  return isTaken ? text : refuse(`EXECUTE with a number for a parameter of type ${type.name}`);
}

function orRefused<T>(read: () => T): T | RefusedTranslation {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { type: 'refused', construct: error.construct, place: error.place };
  }
}
