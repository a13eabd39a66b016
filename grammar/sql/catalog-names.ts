/**
 * What a query of system catalogs says of the relations that it asks about: constants and parameters that are compared with a relation's name or number, or read as
 * `regclass`. Psql, drivers and ORMs ask about one table so, and its definition is on one side.
 */
import { listOf, nameParts, nodeOf, stringConstant, stringNode, treeOf, withoutCasts } from './tree.ts';
import type { Tree } from './tree.ts';

export interface CatalogName {
  readonly text: string;
  /** `name`: as a catalog has it, or a pattern. `regclass`: with its schema or without, quoted or not. */
  readonly as: 'name' | 'regclass';
}

export interface CatalogLook {
  readonly names: readonly CatalogName[];
  /** Compared with a schema's name. */
  readonly schemas: readonly string[];
  /** Parameters (from 1) that stand for a name or number. */
  readonly parameters: readonly number[];
  /** Numbers of relations that local has given (`numberFromLocal`). */
  readonly hasNumbersOfLocal: boolean;
}

/** A relation's number that a client has from local's catalogs has this bit set: no server counts that far, so it says where it is from. */
const OF_LOCAL = 0x8000_0000;
const FIRST_OWN = 16_384;
/** Small negative integers look like numbers above. */
const LAST = 0xfeff_ffff;

export function isNumberOfLocal(oid: number): boolean {
  return oid >= OF_LOCAL + FIRST_OWN && oid <= LAST;
}

/** Of a relation that local calls `oid`, for a client. Those of the system are the same everywhere. */
export function numberFromLocal(oid: number): number {
  return oid < FIRST_OWN || oid > LAST - OF_LOCAL ? oid : oid + OF_LOCAL;
}

export function numberForLocal(oid: number): number {
  return isNumberOfLocal(oid) ? oid - OF_LOCAL : oid;
}

/** Where such numbers stand in a text: words of ten digits. */
export const numberOfLocalPattern = /(?<![\w$.])[234]\d{9}(?![\w.])/g;

const nameColumns: ReadonlySet<string> = new Set(['relname', 'table_name', 'tablename', 'viewname', 'matviewname']);
const schemaColumns: ReadonlySet<string> = new Set(['nspname', 'schemaname', 'table_schema']);
const numberColumns: ReadonlySet<string> = new Set([
  'oid', 'attrelid', 'adrelid', 'indrelid', 'indexrelid', 'conrelid', 'confrelid', 'inhrelid', 'inhparent', 'polrelid', 'tgrelid', 'stxrelid', 'prrelid', 'ev_class', 'starelid', 'partrelid', 'seqrelid', 'objoid', 'refobjid', 'objid', 'relid',
]);

/** Comparisons that ask for what is named, not for everything else. */
const asking: ReadonlySet<string> = new Set(['=', '~', '~*', '~~', '~~*']);

/**
 * Gathers while a query's tree is walked. Whether a text depends on its constants must not depend on them (`fingerprint`): so places where one could stand
 * that counts are told apart from those that do.
 */
export class CatalogNames {
  readonly #names: CatalogName[] = [];
  readonly #schemas: string[] = [];
  readonly #parameters = new Set<number>();
  #isNamePossible = false;
  /** In a cast a number says by itself that it is one; elsewhere only in a query of catalogs. */
  readonly #numbers = { cast: { isPossible: false, isThere: false }, other: { isPossible: false, isThere: false } };

  /** Undefined when nothing is named. */
  look(hasRelations: boolean): CatalogLook | undefined {
    const hasNumbersOfLocal = this.#numbers.cast.isThere || (hasRelations && this.#numbers.other.isThere);
    const isNamed = hasRelations && (this.#names.length > 0 || this.#parameters.size > 0);
    if (!isNamed && !hasNumbersOfLocal) return undefined;
    return { names: hasRelations ? this.#names : [], schemas: this.#schemas, parameters: [...this.#parameters], hasNumbersOfLocal };
  }

  /** Other constants in its place may name something else. */
  dependsOnConstants(hasRelations: boolean): boolean {
    return this.#numbers.cast.isPossible || (hasRelations && (this.#numbers.other.isPossible || this.#isNamePossible));
  }

  node(name: string, node: Tree): void {
    if (name === 'A_Expr') this.#comparison(node);
    else if (name === 'TypeCast') this.#cast(node);
    else if (name === 'FuncCall') this.#call(node);
  }

  #comparison(node: Tree): void {
    const column = columnOf(node['lexpr']) ?? columnOf(node['rexpr']);
    if (column === undefined || !asking.has(nameParts(node['name'])?.at(-1) ?? '')) return;
    const isSchema = schemaColumns.has(column);
    if (!isSchema && !nameColumns.has(column) && !numberColumns.has(column)) return;
    for (const value of valuesOf(columnOf(node['lexpr']) === undefined ? node['lexpr'] : node['rexpr'])) {
      if (!isSchema) this.#parameter(value);
      if (numberColumns.has(column)) this.#number(value, this.#numbers.other);
      const text = numberColumns.has(column) ? undefined : stringConstant(value);
      if (text === undefined) continue;
      this.#isNamePossible = true;
      if (isSchema) this.#schemas.push(...elementsOf(text));
      else for (const each of elementsOf(text)) this.#names.push({ text: each, as: 'name' });
    }
  }

  #cast(node: Tree): void {
    const type = nameParts(treeOf(node['typeName'])?.['names'])?.at(-1);
    if (type !== 'oid' && type !== 'regclass') return;
    this.#number(node['arg'], this.#numbers.cast);
    if (type === 'regclass') this.#regclass(node['arg']);
  }

  #call(node: Tree): void {
    const args = listOf(node['args']);
    for (const argument of args) this.#number(argument, this.#numbers.other);
    const name = nameParts(node['funcname'])?.at(-1);
    if (name === 'to_regclass' || name === 'pg_get_serial_sequence') this.#regclass(args[0]);
  }

  #regclass(value: unknown): void {
    this.#parameter(value);
    const text = stringConstant(value);
    if (text !== undefined && !/^\d+$/.test(text)) this.#names.push({ text, as: 'regclass' });
  }

  #parameter(value: unknown): void {
    const number = nodeOf(withoutCasts(value), 'ParamRef')?.['number'];
    if (typeof number === 'number') this.#parameters.add(number);
  }

  /** Whole numbers above those of 32 bits are floats to the scanner. */
  #number(value: unknown, found: { isPossible: boolean; isThere: boolean }): void {
    const constant = nodeOf(withoutCasts(value), 'A_Const');
    const text = treeOf(constant?.['sval'])?.['sval'] ?? treeOf(constant?.['fval'])?.['fval'] ?? (constant?.['sval'] === undefined ? undefined : '');
    if (typeof text !== 'string') return;
    found.isPossible = true;
    found.isThere ||= elementsOf(text).some((each) => /^\d{10}$/.test(each) && isNumberOfLocal(Number(each)));
  }
}

/** The last part of a column's name. */
function columnOf(value: unknown): string | undefined {
  return stringNode(listOf(nodeOf(withoutCasts(value), 'ColumnRef')?.['fields']).at(-1));
}

/** Constants and parameters of the other side of a comparison: one, a list, an array. */
function valuesOf(value: unknown): readonly unknown[] {
  const inner = withoutCasts(nodeOf(value, 'CollateClause')?.['arg'] ?? value);
  const items = nodeOf(inner, 'List')?.['items'] ?? nodeOf(inner, 'A_ArrayExpr')?.['elements'] ?? (Array.isArray(inner) ? inner : undefined);
  return items === undefined ? [inner] : listOf(items).map(withoutCasts);
}

/** Of `{a,b}`, as a parameter or a constant has it; else the text itself. */
export function elementsOf(text: string): readonly string[] {
  return /^\{.*\}$/s.test(text) ? text.slice(1, -1).split(',').map((part) => part.replace(/^"(.*)"$/s, '$1')).filter((part) => part !== '') : [text];
}
