/** INSERT, UPDATE and DELETE done to the store. */
import { isMultiCell } from '../../../grammar/cql/type.ts';
import type { CqlType } from '../../../grammar/cql/type.ts';
import type { Assignment, Modification, Relation, Term } from './ast.ts';
import { invalid } from './cql-error.ts';
import { deleteGroup, groupOf, liveElements, newerCell, writeCell, writeElement } from './store.ts';
import type { Cell, Column, Partition, Row, Table } from './store.ts';
import { counted, countedMap, elementsOf, encode, fieldsOf, native, sized } from './values.ts';
import type { EncodeContext } from './values.ts';

export interface WriteContext extends EncodeContext {
  readonly nowSeconds: number;
  readonly timestamp: bigint;
  /** A place of its own for an element of a list: behind all that were made before, or before all. */
  listPath(isFront: boolean): string;
}

/** What a modification is about: partitions and rows, or slices of them. */
export interface Target {
  readonly partition: Partition;
  /** Undefined when only the partition, or a slice of it, is named. */
  readonly row: Row | undefined;
  readonly slice: { readonly prefix: readonly Buffer[]; readonly lower?: { value: Buffer; isInclusive: boolean }; readonly upper?: { value: Buffer; isInclusive: boolean } } | undefined;
}

export function needColumn(table: Table, name: string): Column {
  const column = table.column(name);
  if (column === undefined) throw invalid(`Undefined column name ${name} in table ${table.keyspace}.${table.name}`);
  return column;
}

/** The rows of INSERT or WHERE; made if they are not there. */
export function targetsOf(table: Table, statement: Modification, context: WriteContext): Target[] {
  const given = new Map<string, { values: Buffer[]; isSingle: boolean }>();
  const slices: Relation[] = [];
  const keyValue = (column: Column, term: Term): Buffer => {
    const value = encode(term, column.type, context);
    if (value === undefined) throw invalid(`Invalid unset value for column ${column.name}`);
    if (value === null) throw invalid(`Invalid null value in condition for column ${column.name}`);
    if (column.kind === 'partition_key' && value.length === 0 && table.partitionKey.length === 1) throw invalid('Key may not be empty');
    return value;
  };
  if (statement.is === 'insert') {
    for (const column of [...table.partitionKey, ...table.clustering]) {
      const term = statement.terms[statement.columns.indexOf(column.name)];
      if (term) given.set(column.name, { values: [keyValue(column, term)], isSingle: true });
    }
  }
  for (const relation of statement.where) readKeyRelation(table, relation, given, slices, keyValue, context);
  for (const column of table.partitionKey) if (!given.has(column.name)) throw invalid(`Some partition key parts are missing: ${column.name}`);
  const partitions = product(table.partitionKey.map(({ name }) => given.get(name)?.values ?? [])).map((key) => table.partition(key));
  const named = table.clustering.filter(({ name }) => given.has(name));
  const isPrefix = named.every(({ position }, index) => position === index);
  if (!isPrefix) throw invalid(`PRIMARY KEY column "${named.at(-1)?.name ?? ''}" cannot be restricted as preceding column is not restricted`);
  const prefixes = product(named.map(({ name }) => given.get(name)?.values ?? []));
  const isWhole = named.length === table.clustering.length;
  const written = writtenColumns(table, statement);
  const onlyStatics = table.clustering.length > 0 && written.length > 0 && written.every(({ kind }) => kind === 'static');
  if (onlyStatics && named.length === 0 && slices.length === 0) return partitions.map((partition) => ({ partition, row: undefined, slice: undefined }));
  if (isWhole && slices.length === 0) {
    const isPartition = statement.is === 'delete' && statement.assignments.length === 0 && table.clustering.length === 0;
    return partitions.flatMap((partition) => prefixes.map((clustering) => ({ partition, row: isPartition ? undefined : table.row(partition, clustering), slice: undefined })));
  }
  if (statement.is !== 'delete') throw invalid(`Some clustering keys are missing: ${table.clustering.filter(({ name }) => !given.has(name)).map(({ name }) => name).join(', ')}`);
  if (statement.assignments.length > 0) throw invalid(`Range deletions are not supported for specific columns`);
  if (named.length === 0 && slices.length === 0) return partitions.map((partition) => ({ partition, row: undefined, slice: undefined }));
  const bounds = sliceBounds(table, slices, named.length, context);
  return partitions.flatMap((partition) => prefixes.map((prefix) => ({ partition, row: undefined, slice: { prefix, ...bounds } })));
}

function readKeyRelation(table: Table, relation: Relation, given: Map<string, { values: Buffer[]; isSingle: boolean }>, slices: Relation[], keyValue: (column: Column, term: Term) => Buffer, context: WriteContext): void {
  const [name] = relation.columns;
  if (name === undefined || relation.isToken) throw invalid('The token function cannot be used in WHERE clauses for UPDATE and DELETE statements');
  if (relation.columns.length > 1) {
    const [tuple] = relation.terms;
    if (relation.operator !== '=' || tuple?.is !== 'tuple') throw invalid('the mock cluster knows tuples of columns in a modification only with =');
    relation.columns.forEach((each, index) => given.set(each, { values: [keyValue(needColumn(table, each), tuple.items[index] ?? { is: 'constant', form: 'null', text: '' })], isSingle: true }));
    return;
  }
  const column = needColumn(table, name);
  if (column.kind !== 'partition_key' && column.kind !== 'clustering') throw invalid(`Non PRIMARY KEY columns found in where clause: ${name}`);
  if (relation.operator === '=') given.set(name, { values: relation.terms.map((term) => keyValue(column, term)), isSingle: true });
  else if (relation.operator === 'in') given.set(name, { values: unique(relation.isWholeList ? listItems(relation.terms[0], column, context) : relation.terms.map((term) => keyValue(column, term))), isSingle: false });
  else slices.push(relation);
}

function listItems(term: Term | undefined, column: Column, context: EncodeContext): Buffer[] {
  const value = term && encode(term, { kind: 'list', of: column.type, isFrozen: true }, context);
  if (!value) throw invalid(`Invalid null value in condition for column ${column.name}`);
  return elementsOf(value, 1);
}

function unique(values: readonly Buffer[]): Buffer[] {
  return [...new Map(values.map((value) => [value.toString('hex'), value])).values()];
}

function product(lists: readonly (readonly Buffer[])[]): Buffer[][] {
  return lists.reduce<Buffer[][]>((rows, values) => rows.flatMap((row) => values.map((value) => [...row, value])), [[]]);
}

function sliceBounds(table: Table, slices: readonly Relation[], position: number, context: EncodeContext): { lower?: { value: Buffer; isInclusive: boolean }; upper?: { value: Buffer; isInclusive: boolean } } {
  const bounds: { lower?: { value: Buffer; isInclusive: boolean }; upper?: { value: Buffer; isInclusive: boolean } } = {};
  for (const { columns: [name = ''], operator, terms: [term] } of slices) {
    const column = needColumn(table, name);
    if (column.position !== position || column.kind !== 'clustering') throw invalid(`Clustering column "${name}" cannot be restricted`);
    const value = term && encode(term, column.type, context);
    if (!value) throw invalid(`Invalid null value in condition for column ${name}`);
    if (operator.startsWith('>')) bounds.lower = { value: Buffer.from(value), isInclusive: operator === '>=' };
    else if (operator.startsWith('<')) bounds.upper = { value: Buffer.from(value), isInclusive: operator === '<=' };
    else throw invalid(`Unsupported operator ${operator} in a deletion`);
  }
  return bounds;
}

/** Without those of the key. */
function writtenColumns(table: Table, statement: Modification): Column[] {
  const names = statement.is === 'insert' ? statement.columns : statement.assignments.map(({ column }) => column);
  return names.map((name) => needColumn(table, name)).filter(({ kind }) => kind === 'regular' || kind === 'static');
}

/** The effective time to live, the table's default included. */
export function ttlOf(table: Table, statement: Modification, context: EncodeContext): number {
  const value = statement.ttl && encode(statement.ttl, native('int'), context);
  if (value === null || value === undefined) return Number(table.options.get('default_time_to_live') ?? 0);
  const ttl = value.readInt32BE();
  if (ttl < 0) throw invalid('A TTL must be greater or equal to 0, but was ' + String(ttl));
  if (ttl > 630_720_000) throw invalid(`ttl is too large. requested (${ttl}) maximum (630720000)`);
  return ttl;
}

export function apply(table: Table, statement: Modification, target: Target, context: WriteContext): void {
  const { timestamp, nowSeconds } = context;
  const ttl = ttlOf(table, statement, context);
  const live = (value: Buffer): Cell => ({ timestamp, value: Buffer.from(value), ttl, expiresAt: ttl > 0 ? nowSeconds + ttl : 0 });
  if (statement.is === 'delete' && statement.assignments.length === 0) return deleteRows(table, target, timestamp);
  if (statement.is === 'insert') {
    if (target.row) target.row.marker = newerCell(target.row.marker, live(Buffer.alloc(0)));
    statement.columns.forEach((name, index) => {
      const column = needColumn(table, name);
      const term = statement.terms[index];
      if (term && column.kind !== 'partition_key' && column.kind !== 'clustering') assign(table, { column: name, operation: 'set', term }, column, target, context, live);
    });
    return undefined;
  }
  for (const assignment of statement.assignments) {
    const column = needColumn(table, assignment.column);
    if (column.kind === 'partition_key' || column.kind === 'clustering') throw invalid(`PRIMARY KEY part ${column.name} found in SET part`);
    assign(table, assignment, column, target, context, live);
  }
  return undefined;
}

function deleteRows(table: Table, { partition, row, slice }: Target, timestamp: bigint): void {
  const resetCounters = (affected: Row): void => {
    for (const group of affected.cells.values()) if (group.count !== undefined && table.deletionOf(partition, affected) >= timestamp) group.count = undefined;
  };
  if (row) row.deletedAt = timestamp > row.deletedAt ? timestamp : row.deletedAt;
  else if (slice) partition.ranges.push({ prefix: slice.prefix, lower: slice.lower, upper: slice.upper, timestamp });
  else partition.deletedAt = timestamp > partition.deletedAt ? timestamp : partition.deletedAt;
  if (table.isCounter) for (const each of [partition.statics, ...partition.rows.values()]) resetCounters(each);
}

function assign(table: Table, assignment: Assignment, column: Column, target: Target, context: WriteContext, live: (value: Buffer) => Cell): void {
  const row = column.kind === 'static' ? target.partition.statics : target.row;
  if (!row) throw invalid(`Some clustering keys are missing`);
  const { timestamp, nowSeconds } = context;
  const tombstone: Cell = { timestamp, value: null, ttl: 0, expiresAt: nowSeconds };
  const { name, type } = column;
  if (type.kind === 'native' && type.name === 'counter') return count(assignment, row, context);
  if (!isMultiCell(type)) {
    if (assignment.operation === 'delete' && !assignment.key && assignment.field === undefined) return writeCell(row, name, tombstone);
    if (assignment.operation !== 'set' || !assignment.term) throw invalid(`Invalid operation on column ${name}`);
    const value = encode(assignment.term, type, context);
    if (value !== undefined) writeCell(row, name, value === null ? tombstone : live(value));
    return undefined;
  }
  const deletion = table.deletionOf(target.partition, row);
  const current = (): [string, Cell][] => liveElements(row.cells.get(name), deletion, nowSeconds, type);
  const key = (): string => {
    if (assignment.field !== undefined && type.kind === 'udt') return fieldPath(context.userTypes(type.name).findIndex(({ name: field }) => field === assignment.field));
    const keyType = type.kind === 'list' ? native('int') : type.kind === 'map' ? type.key : type.kind === 'set' ? type.of : native('blob');
    const value = assignment.key && encode(assignment.key, keyType, context);
    if (!value) throw invalid(`Invalid null value for an element of ${name}`);
    if (type.kind !== 'list') return value.toString('hex');
    const path = current()[value.readInt32BE()]?.[0];
    if (path === undefined) throw invalid(`List index ${value.readInt32BE()} out of bound, list has size ${current().length}`);
    return path;
  };
  switch (assignment.operation) {
    case 'delete': return assignment.key || assignment.field !== undefined ? writeElement(row, name, key(), tombstone) : deleteGroup(row, name, timestamp);
    case 'element': case 'field': {
      if (!assignment.term) return undefined;
      const elementType = type.kind === 'list' ? type.of : type.kind === 'map' ? type.value : type.kind === 'udt' ? context.userTypes(type.name).find(({ name: field }) => field === assignment.field)?.type : undefined;
      const value = encode(assignment.term, elementType ?? native('blob'), context);
      if (value !== undefined) writeElement(row, name, key(), value === null ? tombstone : live(value));
      return undefined;
    }
    case 'set': case 'add': case 'prepend': {
      const value = assignment.term && encode(assignment.term, type, context);
      if (value === undefined) return undefined;
      if (assignment.operation === 'set') deleteGroup(row, name, timestamp - 1n);
      for (const [path, element] of value === null ? [] : pathsOf(type, value, context, assignment.operation === 'prepend')) writeElement(row, name, path, element === null ? tombstone : live(element));
      return undefined;
    }
    case 'subtract': {
      const of: CqlType = type.kind === 'map' ? { kind: 'set', of: type.key, isFrozen: true } : type;
      const value = assignment.term && encode(assignment.term, of, context);
      if (!value) return undefined;
      const unwanted = new Set(elementsOf(value, 1).map((element) => element.toString('hex')));
      if (type.kind !== 'list') for (const path of unwanted) writeElement(row, name, path, tombstone);
      else for (const [path, cell] of current()) if (cell.value && unwanted.has(cell.value.toString('hex'))) writeElement(row, name, path, tombstone);
      return undefined;
    }
  }
}

function fieldPath(index: number): string {
  if (index < 0) throw invalid('Unknown field of a user-defined type');
  return index.toString(16).padStart(4, '0');
}

/** Elements with the places where they are kept. */
function pathsOf(type: CqlType, value: Buffer, context: WriteContext, isFront: boolean): [path: string, element: Buffer | null][] {
  switch (type.kind) {
    case 'list': {
      const elements = elementsOf(value, 1);
      // Each goes before all others, so that the last is put there first: their order stays.
      return (isFront ? elements.toReversed() : elements).map((element) => [context.listPath(isFront), element]);
    }
    case 'set': return elementsOf(value, 1).map((element) => [element.toString('hex'), Buffer.alloc(0)]);
    case 'map': {
      const parts = elementsOf(value, 2);
      return parts.flatMap((part, index): [string, Buffer][] => (index % 2 === 0 ? [[part.toString('hex'), parts[index + 1] ?? Buffer.alloc(0)]] : []));
    }
    case 'udt': return fieldsOf(value).map((field, index) => [fieldPath(index), field]);
    default: throw invalid('not a collection');
  }
}

function count({ operation, term, column }: Assignment, row: Row, context: WriteContext): void {
  if (operation === 'delete') return deleteGroup(row, column, context.timestamp);
  if ((operation !== 'add' && operation !== 'subtract') || !term) throw invalid(`Cannot set the value of counter column ${column} (counters can only be incremented/decremented, not set)`);
  const delta = encode(term, native('bigint'), context);
  if (!delta) throw invalid(`Invalid null value for counter increment/decrement`);
  const group = groupOf(row, column);
  group.count = (group.count ?? 0n) + (operation === 'add' ? 1n : -1n) * delta.readBigInt64BE();
}

/** A multi-cell column's value as it is read; null when it has no element. */
export function assembled(type: CqlType, elements: readonly [path: string, cell: Cell & { readonly value: Buffer }][], userTypes: EncodeContext['userTypes']): Buffer | null {
  if (elements.length === 0) return null;
  if (type.kind === 'map') return countedMap(elements.flatMap(([path, { value }]) => [Buffer.from(path, 'hex'), value]));
  if (type.kind === 'udt') {
    const fields = new Map(elements.map(([path, { value }]) => [path, value]));
    return Buffer.concat(userTypes(type.name).map((_, index) => sized(fields.get(fieldPath(index)) ?? null)));
  }
  const values = elements.map(([path, { value }]) => (type.kind === 'set' ? Buffer.from(path, 'hex') : value));
  return counted(values);
}
