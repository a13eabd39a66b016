/** SELECT from the store, page by page. The paging state is this cluster's own and is refused by every other. */
import { isMultiCell } from '../../../grammar/cql/type.ts';
import type { CqlType } from '../../../grammar/cql/type.ts';
import { murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';
import type { Relation, Select, Term } from './ast.ts';
import { codes, CqlError, invalid } from './cql-error.ts';
import { assembled, needColumn } from './modify.ts';
import { compareClustering, isLive, liveElements } from './store.ts';
import type { Cell, Column, Partition, Row, Table } from './store.ts';
import { compare, elementsOf, encode, native } from './values.ts';
import type { EncodeContext } from './values.ts';

export interface ReadContext extends EncodeContext {
  readonly nowSeconds: number;
  readonly salt: Buffer;
  readonly pageSize: number | undefined;
  readonly pagingState: Buffer | undefined;
}

export interface ResultColumn { readonly name: string; readonly type: CqlType }
export interface ResultRows { readonly columns: readonly ResultColumn[]; readonly rows: readonly (readonly (Buffer | null)[])[]; readonly next: Buffer | undefined }

/** A row as it can be seen; without one of the table it is a partition that has only static columns. */
export class View {
  readonly #table: Table;
  readonly #context: Pick<ReadContext, 'nowSeconds' | 'userTypes'>;
  readonly partition: Partition;
  readonly row: Row | undefined;

  constructor(table: Table, partition: Partition, row: Row | undefined, context: Pick<ReadContext, 'nowSeconds' | 'userTypes'>) {
    this.#table = table;
    this.partition = partition;
    this.row = row;
    this.#context = context;
  }

  value(column: Column): Buffer | null {
    if (column.kind === 'partition_key') return this.partition.key[column.position] ?? null;
    if (column.kind === 'clustering') return this.row?.clustering[column.position] ?? null;
    const row = column.kind === 'static' ? this.partition.statics : this.row;
    const group = row?.cells.get(column.name);
    if (!row || !group) return null;
    if (column.type.kind === 'native' && column.type.name === 'counter') return counterBytes(group.count);
    if (!isMultiCell(column.type)) return this.cell(column)?.value ?? null;
    return assembled(column.type, liveElements(group, this.#table.deletionOf(this.partition, row), this.#context.nowSeconds, column.type), this.#context.userTypes);
  }

  /** The live cell of a column that has only one. */
  cell(column: Column): (Cell & { readonly value: Buffer }) | undefined {
    const row = column.kind === 'static' ? this.partition.statics : this.row;
    if (!row) return undefined;
    const cell = row.cells.get(column.name)?.simple;
    return isLive(cell, this.#table.deletionOf(this.partition, row), this.#context.nowSeconds) ? cell : undefined;
  }
}

function counterBytes(count: bigint | undefined): Buffer | null {
  if (count === undefined) return null;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, count));
  return bytes;
}

/** It has a live row marker or a value in a column. */
export function isVisible(table: Table, partition: Partition, row: Row, nowSeconds: number): boolean {
  const deletedAt = table.deletionOf(partition, row);
  if (isLive(row.marker, deletedAt, nowSeconds)) return true;
  for (const [name, group] of row.cells) {
    if (group.count !== undefined || isLive(group.simple, deletedAt, nowSeconds)) return true;
    const column = group.elements && table.column(name);
    if (column && liveElements(group, deletedAt, nowSeconds, column.type).length > 0) return true;
  }
  return false;
}

export function* viewsOf(table: Table, partition: Partition, context: Pick<ReadContext, 'nowSeconds' | 'userTypes'>, isReversed = false): Generator<View> {
  let isEmpty = true;
  const rows = table.rowsInOrder(partition);
  for (const row of isReversed ? rows.toReversed() : rows) {
    if (!isVisible(table, partition, row, context.nowSeconds)) continue;
    isEmpty = false;
    yield new View(table, partition, row, context);
  }
  if (isEmpty && isVisible(table, partition, partition.statics, context.nowSeconds)) yield new View(table, partition, undefined, context);
}

export function select(table: Table, statement: Select, context: ReadContext): ResultRows {
  const limit = limitOf(statement.limit, context);
  const perPartition = limitOf(statement.perPartition, context) ?? Infinity;
  const after = readState(context);
  const isCount = statement.selectors.some(({ term }) => term?.is === 'call' && term.name === 'count');
  const columns = resultColumns(table, statement);
  const isReversed = statement.orderBy.some(({ column, isDescending }) => needColumn(table, column).isDescending !== isDescending);
  const filters = statement.where.map((relation) => filterOf(table, relation, context));
  let left = Math.min(limit === undefined ? Infinity : limit - (after?.count ?? 0), isCount ? Infinity : context.pageSize ?? Infinity);
  const isLastPage = limit !== undefined && limit - (after?.count ?? 0) <= left;
  const found: View[] = [];
  let isMore = false;
  partitions: for (const partition of candidates(table, statement.where, context)) {
    if (after && isBefore(partition, after)) continue;
    const isResumed = after !== undefined && partition.order === after.order;
    if (isResumed && statement.isDistinct) continue;
    let ofPartition = isResumed ? after.inPartition : 0;
    for (const view of viewsOf(table, partition, context, isReversed)) {
      if (isResumed && !isBehind(table, view, after, isReversed)) continue;
      if (!filters.every((filter) => filter(view))) continue;
      if (ofPartition >= perPartition) break;
      if (left <= 0) {
        isMore = !isLastPage;
        break partitions;
      }
      found.push(view);
      left -= 1;
      ofPartition += 1;
      if (statement.isDistinct) break;
    }
  }
  if (isCount) return { columns, rows: [columns.map((_, index) => countCell(table, statement, index, found))], next: undefined };
  const last = found.at(-1);
  return { columns, rows: found.map((view) => columns.map((_, index) => selected(table, statement, index, view, context))), next: isMore && last ? writeState(context, last, (after?.count ?? 0) + found.length, found.filter(({ partition }) => partition === last.partition).length + (after?.order === last.partition.order ? after.inPartition : 0)) : undefined };
}

/** Conditions that neither a partition key nor an index answers want ALLOW FILTERING. */
export function refuseFiltering(table: Table, { where, isFilteringAllowed }: Select, indexed: readonly string[]): void {
  if (isFilteringAllowed) return;
  const isKnown = table.partitionKey.every(({ name }) => where.some(({ columns, operator, isToken }) => !isToken && columns.includes(name) && (operator === '=' || operator === 'in')));
  const isFiltered = where.some(({ columns, isToken }) => !isToken && columns.some((name) => {
    const { kind } = needColumn(table, name);
    return !indexed.includes(name) && (kind === 'regular' || kind === 'static' || !isKnown);
  }));
  if (isFiltered) throw invalid('Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING');
}

function limitOf(term: Term | undefined, context: ReadContext): number | undefined {
  if (!term) return undefined;
  const value = encode(term, native('int'), context);
  if (!value) return undefined;
  if (value.readInt32BE() <= 0) throw invalid('LIMIT must be strictly positive');
  return value.readInt32BE();
}

/** The partitions that can have rows: those named by their whole key, or all. */
function candidates(table: Table, where: readonly Relation[], context: ReadContext): readonly Partition[] {
  const values = table.partitionKey.map((column) => {
    const relation = where.find(({ columns, isToken, operator }) => !isToken && columns.length === 1 && columns[0] === column.name && (operator === '=' || operator === 'in'));
    return relation && operands(relation, column.type, context);
  });
  if (values.some((each) => each === undefined)) return table.inOrder();
  const keys = values.reduce<Buffer[][]>((rows, each) => rows.flatMap((row) => (each ?? []).map((value) => [...row, value])), [[]]);
  const found = new Map(keys.flatMap((key) => {
    const partition = table.find(key);
    return partition ? [[partition.order, partition] as const] : [];
  }));
  return [...found.values()].sort((a, b) => (a.token < b.token ? -1 : a.token > b.token ? 1 : a.order < b.order ? -1 : 1));
}

function operands(relation: Relation, type: CqlType, context: ReadContext): Buffer[] {
  const [first] = relation.terms;
  const terms = relation.isWholeList && first ? undefined : relation.terms;
  const value = (term: Term, of: CqlType): Buffer => {
    const bytes = encode(term, of, context);
    if (!bytes) throw invalid(`Invalid null value in condition for column ${relation.columns.join(', ')}`);
    return bytes;
  };
  return terms === undefined && first ? elementsOf(value(first, { kind: 'list', of: type, isFrozen: true }), 1) : (terms ?? []).map((term) => value(term, type));
}

function isTrue(operator: string, difference: number): boolean {
  switch (operator) {
    case '=': case 'in': return difference === 0;
    case '!=': return difference !== 0;
    case '<': return difference < 0;
    case '<=': return difference <= 0;
    case '>': return difference > 0;
    case '>=': return difference >= 0;
    default: throw invalid(`Unsupported operator ${operator}`);
  }
}

export function filterOf(table: Table, relation: Relation, context: ReadContext): (view: View) => boolean {
  const columns = relation.columns.map((name) => needColumn(table, name));
  if (relation.isToken) return tokenFilter(relation, columns, context);
  if (columns.length > 1) return tupleFilter(relation, columns, context);
  const [column] = columns;
  if (!column) throw invalid('the mock cluster does not know this condition');
  const { type } = column;
  if (relation.operator.startsWith('contains')) {
    const of = type.kind === 'map' ? (relation.operator === 'contains key' ? type.key : type.value) : type.kind === 'list' || type.kind === 'set' ? type.of : native('blob');
    const wanted = operands(relation, of, context);
    return (view) => {
      const value = view.value(column);
      const elements = value ? elementsOf(value, type.kind === 'map' ? 2 : 1).filter((_, index) => type.kind !== 'map' || index % 2 === (relation.operator === 'contains key' ? 0 : 1)) : [];
      return elements.some((element) => wanted[0]?.equals(element));
    };
  }
  if (relation.element) return elementFilter(relation, column, relation.element, context);
  if (relation.terms.some((term) => term.is === 'constant' && term.form === 'null')) return (view) => isTrue(relation.operator, view.value(column) === null ? 0 : 1);
  const wanted = operands(relation, type, context);
  return (view) => {
    const value = view.value(column);
    return value !== null && wanted.some((each) => isTrue(relation.operator, compare(type, value, each)));
  };
}

function elementFilter(relation: Relation, column: Column, element: Term, context: ReadContext): (view: View) => boolean {
  const { type } = column;
  if (type.kind !== 'map' && type.kind !== 'list') throw invalid(`Column ${column.name} has no elements`);
  const key = encode(element, type.kind === 'map' ? type.key : native('int'), context);
  const of = type.kind === 'map' ? type.value : type.of;
  const wanted = operands(relation, of, context);
  return (view) => {
    const value = view.value(column);
    const elements = value ? elementsOf(value, type.kind === 'map' ? 2 : 1) : [];
    const at = type.kind === 'map' ? elements.findIndex((each, index) => index % 2 === 0 && key?.equals(each)) : (key?.readInt32BE() ?? -1);
    const found = at < 0 ? undefined : elements[type.kind === 'map' ? at + 1 : at];
    return found !== undefined && wanted.some((each) => isTrue(relation.operator, compare(of, found, each)));
  };
}

function tokenFilter(relation: Relation, columns: readonly Column[], context: ReadContext): (view: View) => boolean {
  const [term] = relation.terms;
  if (!term) throw invalid('a token is compared with nothing');
  const token = term.is === 'call' && term.name === 'token' ? tokenOf(term.args, columns, context) : encode(term, native('bigint'), context)?.readBigInt64BE();
  if (token === undefined) throw invalid('Invalid null token value');
  // What Cassandra does: as an upper end, the ring's least token is its end.
  if (relation.operator.startsWith('<') && token === -(2n ** 63n)) return () => true;
  return ({ partition }) => isTrue(relation.operator, partition.token < token ? -1 : partition.token > token ? 1 : 0);
}

function tokenOf(args: readonly Term[], columns: readonly Column[], context: EncodeContext): bigint {
  return murmur3Token(partitionKeyBytes(args.map((arg, index) => encode(arg, columns[index]?.type ?? native('blob'), context) ?? Buffer.alloc(0))));
}

function tupleFilter(relation: Relation, columns: readonly Column[], context: ReadContext): (view: View) => boolean {
  const wanted = relation.terms.map((term) => {
    if (term.is !== 'tuple') throw invalid('the mock cluster compares columns only with a tuple that is written out');
    return term.items.map((item, index) => encode(item, columns[index]?.type ?? native('blob'), context) ?? Buffer.alloc(0));
  });
  return (view) => wanted.some((tuple) => {
    for (const [index, value] of tuple.entries()) {
      const column = columns[index];
      const own = column && view.value(column);
      if (!column || !own) return false;
      const difference = compare(column.type, own, value);
      if (difference !== 0) return isTrue(relation.operator, difference);
    }
    return isTrue(relation.operator, 0);
  });
}

export function resultColumns(table: Table, statement: Select): ResultColumn[] {
  if (statement.selectors.length === 0) return starColumns(table).map(({ name, type }) => ({ name, type }));
  return statement.selectors.map(({ term, alias, text }) => {
    if (!term) throw invalid('the mock cluster does not know this selector');
    if (term.is === 'column') return { name: alias ?? term.name, type: needColumn(table, term.name).type };
    if (term.is !== 'call') throw invalid('the mock cluster does not know this selector');
    const [arg] = term.args;
    if (arg?.is === 'column') needColumn(table, arg.name);
    const type = term.name === 'ttl' ? native('int') : ['count', 'writetime', 'token'].includes(term.name) ? native('bigint') : callType(term, table);
    if (term.name === 'writetime' || term.name === 'ttl') refuseTimes(table, term);
    return { name: alias ?? (term.name === 'token' ? `system.${text}` : text), type };
  });
}

function callType(term: Term & { is: 'call' }, table: Table): CqlType {
  if (term.name === 'now') return native('timeuuid');
  if (term.name === 'uuid') return native('uuid');
  if (term.name === 'totimestamp' || term.name === 'dateof' || term.name === 'currenttimestamp') return native('timestamp');
  const [arg] = term.args;
  if ((term.name === 'min' || term.name === 'max') && arg?.is === 'column') return needColumn(table, arg.name).type;
  throw invalid(`Unknown function '${term.name}'`);
}

function refuseTimes(table: Table, term: Term & { is: 'call' }): void {
  const [arg] = term.args;
  const column = arg?.is === 'column' ? needColumn(table, arg.name) : undefined;
  if (column?.kind === 'partition_key' || column?.kind === 'clustering') throw invalid(`Cannot use selection function ${term.name} on PRIMARY KEY part ${column.name}`);
  if (column && isMultiCell(column.type)) throw invalid(`Cannot use selection function ${term.name} on collections`);
}

/** Key columns in their order, then statics and the others by name. */
export function starColumns(table: Table): Column[] {
  const by = (kind: Column['kind']): Column[] => table.columns.filter((column) => column.kind === kind).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...table.partitionKey, ...table.clustering, ...by('static'), ...by('regular')];
}

function selected(table: Table, statement: Select, index: number, view: View, context: ReadContext): Buffer | null {
  if (statement.selectors.length === 0) {
    const column = starColumns(table)[index];
    return column ? view.value(column) : null;
  }
  const term = statement.selectors[index]?.term;
  if (term?.is === 'column') return view.value(needColumn(table, term.name));
  if (term?.is !== 'call') return null;
  const [arg] = term.args;
  const column = arg?.is === 'column' ? needColumn(table, arg.name) : undefined;
  if (term.name === 'token') return int64(view.partition.token);
  if (term.name === 'writetime' || term.name === 'ttl') {
    const cell = column && view.cell(column);
    if (!cell) return null;
    if (term.name === 'writetime') return int64(cell.timestamp);
    return cell.expiresAt === 0 ? null : int32(cell.expiresAt - context.nowSeconds);
  }
  return context.call(term.name, term.args, callType(term, table));
}

function countCell(table: Table, statement: Select, index: number, views: readonly View[]): Buffer | null {
  const term = statement.selectors[index]?.term;
  const [arg] = term?.is === 'call' ? term.args : [];
  const column = arg?.is === 'column' ? needColumn(table, arg.name) : undefined;
  return int64(BigInt(column ? views.filter((view) => view.value(column) !== null).length : views.length));
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

interface State { readonly token: bigint; readonly order: string; readonly clustering: readonly Buffer[] | undefined; readonly count: number; readonly inPartition: number }

function writeState({ salt }: ReadContext, { partition, row }: View, count: number, inPartition: number): Buffer {
  const state = { t: partition.token.toString(), o: partition.order, c: row?.clustering.map((part) => part.toString('hex')), n: count, p: inPartition };
  return Buffer.concat([salt, Buffer.from(JSON.stringify(state))]);
}

function readState({ salt, pagingState }: ReadContext): State | undefined {
  if (!pagingState) return undefined;
  const bad = new CqlError(codes.protocol, 'Invalid value for the paging state');
  if (!pagingState.subarray(0, salt.length).equals(salt)) throw bad;
  try {
    const { t, o, c, n, p } = JSON.parse(pagingState.subarray(salt.length).toString()) as { t: string; o: string; c?: string[]; n: number; p: number };
    return { token: BigInt(t), order: o, clustering: c?.map((part) => Buffer.from(part, 'hex')), count: n, inPartition: p };
  } catch {
    throw bad;
  }
}

function isBefore(partition: Partition, state: State): boolean {
  return partition.token < state.token || (partition.token === state.token && partition.order < state.order);
}

function isBehind(table: Table, { row }: View, state: State, isReversed: boolean): boolean {
  if (!row || !state.clustering) return false;
  const difference = compareClustering(table.clustering, row.clustering, state.clustering);
  return isReversed ? difference < 0 : difference > 0;
}

