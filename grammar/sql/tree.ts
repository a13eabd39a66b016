/** Reading PostgreSQL's parse tree in its JSON form without trusting its shape: a missing field is its default. */

/** The fields of one node. A field typed `Node` in PostgreSQL holds `{NodeName: fields}`; others hold the fields themselves. */
export interface Tree {
  readonly [field: string]: unknown;
}

export function treeOf(value: unknown): Tree | undefined {
  return isTree(value) ? value : undefined;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The fields of `value` if it is a wrapped node of that name. */
export function nodeOf(value: unknown, name: string): Tree | undefined {
  return isTree(value) ? treeOf(value[name]) : undefined;
}

/** Name and fields of a wrapped node. */
export function unwrap(value: unknown): { readonly name: string; readonly node: Tree } | undefined {
  if (!isTree(value)) return undefined;
  for (const name of Object.keys(value)) {
    const node = treeOf(value[name]);
    if (node !== undefined) return { name, node };
  }
  return undefined;
}

/** `{String: {sval}}`; the JSON form leaves empty strings out. */
export function stringNode(value: unknown): string | undefined {
  const node = nodeOf(value, 'String');
  return node === undefined ? undefined : (stringOf(node['sval']) ?? '');
}

/** The strings of a list of String nodes (a qualified name); undefined if one of them is something else. */
export function nameParts(value: unknown): readonly string[] | undefined {
  const parts: string[] = [];
  for (const item of listOf(nodeOf(value, 'List')?.['items'] ?? value)) {
    const part = stringNode(item);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

/** A string constant, casts around it left out. */
export function stringConstant(value: unknown): string | undefined {
  const constant = nodeOf(withoutCasts(value), 'A_Const');
  const text = treeOf(constant?.['sval']);
  return text === undefined ? undefined : (stringOf(text['sval']) ?? '');
}

export function withoutCasts(value: unknown): unknown {
  let inner = value;
  for (let cast = nodeOf(inner, 'TypeCast'); cast !== undefined; cast = nodeOf(inner, 'TypeCast')) inner = cast['arg'];
  return inner;
}

/** Any constant as SQL would show it, without quotes. */
export function constantText(value: unknown): string | undefined {
  const constant = nodeOf(value, 'A_Const');
  if (constant === undefined) return undefined;
  if (isTree(constant['sval'])) return stringOf(constant['sval']['sval']) ?? '';
  if (isTree(constant['ival'])) return String(constant['ival']['ival'] ?? 0);
  if (isTree(constant['fval'])) return stringOf(constant['fval']['fval']) ?? '0';
  if (isTree(constant['boolval'])) return constant['boolval']['boolval'] === true ? 'true' : 'false';
  return undefined;
}

/** Truth of an option's argument as PostgreSQL's defGetBoolean reads it; `undefined` when it is not a boolean. */
export function optionTruth(option: Tree): boolean | undefined {
  const argument = option['arg'];
  if (argument === undefined) return true;
  const integer = nodeOf(argument, 'Integer');
  if (integer !== undefined) return (integer['ival'] ?? 0) === 0 ? false : integer['ival'] === 1 ? true : undefined;
  const boolean = nodeOf(argument, 'Boolean');
  if (boolean !== undefined) return boolean['boolval'] === true;
  const word = stringNode(argument)?.toLowerCase();
  return word === 'true' || word === 'on' ? true : word === 'false' || word === 'off' ? false : undefined;
}
