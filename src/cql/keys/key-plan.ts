/**
 * Where the key of a table stands in a statement's values, by its text. What is not certain is `unknown`: then the write may have changed any row of the table.
 *
 * A clustering column that the text does not fix ends the key there: all rows that begin with what is fixed may have changed.
 */
import type { CqlRelation, CqlStatement, CqlTerm } from '../../../grammar/cql/statement.ts';
import { tenantBytes, tenantTypeId } from '../../../grammar/cql/tenant-values.ts';
import { parseCqlType } from '../../../grammar/cql/type.ts';
import type { KeyColumn, KeyedTable } from './key-columns.ts';

/** One value: of a bind marker, or as the text has it. `list`: the marker is bound to a whole list, each element of which is one. */
export type KeyValue = { readonly bind: number } | { readonly bytes: Buffer } | { readonly list: number };

export interface KeyPlan {
  /** For each column of the key its values; several for IN. */
  readonly partitionKey: readonly (readonly KeyValue[])[];
  readonly clustering: readonly (readonly KeyValue[])[];
  readonly isStaticOnly: boolean;
}

/** One for each statement of the text that writes the table; empty when none does. */
export function planKeys(facts: CqlStatement, keyspaceInUse: string, table: KeyedTable): readonly (KeyPlan | 'unknown')[] {
  if (facts.kind === 'unknown') return ['unknown'];
  const own = (facts.batch?.children ?? [facts]).filter((child) => child.table === table.table && (child.keyspace ?? keyspaceInUse) === table.keyspace);
  const names = facts.bindNames.filter((name) => name !== undefined);
  // Two markers of one name are two values for Cassandra and one for newer ScyllaDB: nobody knows which is which.
  if (new Set(names).size < names.length) return own.map(() => 'unknown');
  return own.map((child) => planOf(child, table));
}

function planOf(facts: CqlStatement, { partitionKey, clustering }: KeyedTable): KeyPlan | 'unknown' {
  if (facts.json !== undefined || (facts.kind !== 'insert' && facts.kind !== 'update' && facts.kind !== 'delete')) return 'unknown';
  const partition = partitionKey.map((column) => valuesOf(facts, column));
  if (partition.includes(undefined)) return 'unknown';
  const prefix: (readonly KeyValue[])[] = [];
  for (const column of clustering) {
    const values = valuesOf(facts, column);
    if (values === undefined) break;
    prefix.push(values);
  }
  // Without a word about its rows, a write that is no deletion of the partition can only be about its static columns.
  const isStaticOnly = clustering.length > 0 && !clustering.some(({ name }) => isNamed(facts, name)) && (facts.kind !== 'delete' || facts.writes.length > 0);
  return { partitionKey: partition.map((values) => values ?? []), clustering: prefix, isStaticOnly };
}

function isNamed(facts: CqlStatement, name: string): boolean {
  return facts.kind === 'insert' ? facts.writes.some(({ column }) => column === name) : facts.where.some(({ columns }) => columns.length !== 1 || columns.includes(name));
}

/** Undefined when the text does not fix the column. */
function valuesOf(facts: CqlStatement, column: KeyColumn): readonly KeyValue[] | undefined {
  if (facts.kind === 'insert') {
    const written = facts.writes.filter((write) => write.column === column.name);
    const [only] = written;
    return written.length === 1 && only?.term !== undefined ? allOf([only.term], column) : undefined;
  }
  const relations = facts.where.filter(({ columns }) => columns.includes(column.name));
  const [only] = relations;
  return relations.length === 1 && only !== undefined ? ofRelation(only, column) : undefined;
}

function ofRelation({ columns, operator, isToken, isPart, terms, isWholeList }: CqlRelation, column: KeyColumn): readonly KeyValue[] | undefined {
  if (columns.length !== 1 || isToken || isPart) return undefined;
  if (operator === '=') return allOf(terms, column);
  if (operator !== 'IN') return undefined;
  if (!isWholeList) return allOf(terms, column);
  const [list] = terms;
  return list?.kind === 'bind' ? [{ list: list.index }] : undefined;
}

function allOf(terms: readonly CqlTerm[], column: KeyColumn): readonly KeyValue[] | undefined {
  const values = terms.map((term) => valueOf(term, column));
  return values.includes(undefined) ? undefined : values.flatMap((value) => value ?? []);
}

function valueOf(term: CqlTerm, column: KeyColumn): KeyValue | undefined {
  if (term.kind === 'bind') return { bind: term.index };
  // A type in front of a marker, as the proxy itself writes it for now(): it has to be the column's own.
  if (term.kind === 'compound' && term.form === 'cast' && term.items.length === 1 && term.items[0]?.kind === 'bind') return { bind: term.items[0].index };
  const bytes = term.kind === 'constant' ? literalBytes(term, column) : undefined;
  return bytes && { bytes };
}

/** Which forms of a constant are certain to be these bytes in a column of the type. Strings for times depend on the server's reading, and numbers with a point on its rounding. */
const certain: Readonly<Partial<Record<Extract<CqlTerm, { kind: 'constant' }>['form'], ReadonlySet<string>>>> = {
  string: new Set(['ascii', 'text', 'varchar']), number: new Set(['tinyint', 'smallint', 'int', 'bigint', 'varint']), uuid: new Set(['uuid', 'timeuuid']), blob: new Set(['blob']), boolean: new Set(['boolean']),
};

function literalBytes({ form, text }: Extract<CqlTerm, { kind: 'constant' }>, { type }: KeyColumn): Buffer | undefined {
  const parsed = parseCqlType(type);
  if (parsed?.kind !== 'native' || certain[form]?.has(parsed.name) !== true) return undefined;
  return form === 'string' ? Buffer.from(text) : tenantBytes(text, tenantTypeId(parsed))[0];
}
