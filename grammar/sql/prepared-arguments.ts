/** What the texts of PREPARE and EXECUTE say of parameters: their types, and those values that are plain constants. Pure. */
import { constantText, listOf, nameParts, nodeOf, treeOf } from './tree.ts';
import type { Tree } from './tree.ts';

export interface ConstantArgument {
  /** Undefined for NULL. */
  readonly text: string | undefined;
  /** A string has no type of its own, a number has. */
  readonly isNumber: boolean;
}

/** The name of each declared type that is one of the system's own and plainly written. */
export function argumentTypes(prepare: Tree): readonly (string | undefined)[] {
  return listOf(prepare['argtypes']).map((item) => {
    const type = nodeOf(item, 'TypeName');
    const parts = nameParts(type?.['names']);
    const isPlain = type?.['arrayBounds'] === undefined && (parts?.length === 1 || parts?.[0] === 'pg_catalog');
    return isPlain ? parts?.at(-1) : undefined;
  });
}

/** Undefined for each that the server has to work out. */
export function argumentValues(execute: Tree): readonly (ConstantArgument | undefined)[] {
  return listOf(execute['params']).map((item) => {
    const constant = nodeOf(item, 'A_Const');
    if (constant?.['isnull'] === true) return { text: undefined, isNumber: false };
    const text = constantText(item);
    if (text === undefined || constant?.['boolval'] !== undefined) return undefined;
    return { text, isNumber: treeOf(constant?.['sval']) === undefined };
  });
}
