/** INSERT, REPLACE, and ON DUPLICATE KEY UPDATE. https://dev.mysql.com/doc/refman/8.4/en/insert-on-duplicate.html */
import { quoteLiteral, quoteName } from '../../names.ts';
import { assignValue } from './assign-value.ts';
import { asInteger, isConstantText } from './convert-value.ts';
import { localTable, quoteAlias, tableColumns } from './emit-from.ts';
import type { QueryEmitter } from './emit-query.ts';
import { Scope } from './mysql-emission.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlColumnFacts, MysqlCounts, MysqlInfo, MysqlInsertId, MysqlResultColumn, MysqlStep, MysqlTableFacts } from './mysql-translation.ts';
import type { Assignment, Expression, Insert, SelectItem } from './mysql-tree.ts';
import type { Shown } from './result-column.ts';
import { checkTouched, setAssignments } from './set-assignments.ts';
import { columnType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export interface EmittedWrite {
  readonly steps: readonly MysqlStep[];
  readonly counts: MysqlCounts;
  readonly insertId?: MysqlInsertId | undefined;
  readonly lastInsertId?: { readonly step: number; readonly column: number } | undefined;
  readonly info?: MysqlInfo | undefined;
  /** Of RETURNING. */
  readonly columns?: readonly MysqlResultColumn[] | undefined;
}

type RowId = 'made' | 'given' | { readonly parameter: number };

interface Source {
  readonly sql: string;
  readonly columns: readonly MysqlColumnFacts[];
  /** Of these, those that the statement leaves out. */
  readonly moments: readonly MysqlColumnFacts[];
  /** Of each row, where the number of the AUTO_INCREMENT column comes from; undefined: a query's rows. */
  readonly ids: readonly RowId[] | undefined;
  /** The number of the last row, which was given. */
  readonly lastId?: string | undefined;
  /** Columns that are NULL or made in every row: a key with one of them meets no other row. */
  readonly neverEqual: ReadonlySet<string>;
}

export function emitInsert(queries: QueryEmitter, insert: Insert): EmittedWrite {
  const { emission } = queries;
  const { place } = insert.table;
  const table = emission.table(insert.table.database, insert.table.name, place);
  const isReplace = insert.type === 'replace';
  const source = sourceOf(queries, insert, table);
  const alias = quoteAlias(table.mysqlName, place);
  const automatic = table.columns.find(({ autoIncrement }) => autoIncrement);
  const upsert = insert.onDuplicate.length > 0 || isReplace ? onConflict(queries, insert, table, source, alias) : undefined;
  const conflict = upsert?.sql ?? (insert.ignore ? ' ON CONFLICT DO NOTHING' : '');
  // A row that is left out may be the one whose number is told, but it is not known which row was.
  if (insert.ignore && source.ids?.includes('given') === true && source.ids.some((id) => id !== 'given')) return refuse('INSERT IGNORE with numbers that are given and numbers that are made', place);
  const told = automatic === undefined ? '' : insert.ignore && source.lastId !== undefined ? `(${source.lastId})::bigint` : `${alias}.${quoteName(automatic.name)}`;
  const shown = insert.returning === undefined ? undefined : returning(queries, insert.returning, table, alias, place);
  const kept = [...(automatic === undefined ? [] : [told, ...followed(automatic, alias, source)]), ...(upsert?.inserted === undefined ? [] : [upsert.inserted]), ...(upsert === undefined ? [] : [upsert.count])];
  const returned = [...(shown ?? []).map(({ sql }) => sql), ...kept];
  const text = `INSERT INTO ${localTable(table)} AS ${alias} (${source.columns.map(({ name }) => quoteName(name)).join(', ')}) ${source.sql}${conflict}${returned.length === 0 ? '' : ` RETURNING ${returned.join(', ')}`}`;
  const empty = `INSERT INTO ${localTable(table)} AS ${alias} DEFAULT VALUES${conflict}${returned.length === 0 ? '' : ` RETURNING ${returned.join(', ')}`}`;
  const counts: MysqlCounts = upsert === undefined ? { kind: 'tags', steps: [0] } : { kind: 'sum', step: 0, column: kept.length - 1 };
  const rows = source.ids === undefined ? (source.columns.some(({ autoIncrement }) => autoIncrement) ? 'given' : 'made') : source.ids;
  return {
    steps: [shown === undefined ? emission.step(source.columns.length === 0 ? empty : text, kept.length === 0 ? 'count' : 'keys') : { ...emission.step(source.columns.length === 0 ? empty : text, 'rows'), keepsRest: true }],
    counts: shown === undefined ? counts : { kind: 'none' }, ...(shown === undefined ? {} : { columns: shown.map(({ column }) => column) }),
    insertId: automatic === undefined ? undefined : { step: 0, column: 0, rows, inserted: upsert?.inserted === undefined ? undefined : kept.length - 2 }, lastInsertId: upsert?.remembersId === true ? { step: 0, column: 0 } : undefined,
    // Of rows that meet others it is not known how many there were.
    info: shown === undefined && upsert === undefined && !insert.ignore && source.ids?.length !== 1 ? { kind: 'records' } : undefined,
  };
}

const returningSince = { insert: 100500, delete: 100001 } as const;

/** RETURNING is MariaDB's. */
export function returning(queries: QueryEmitter, items: readonly SelectItem[], table: MysqlTableFacts, alias: string, place: number, of: keyof typeof returningSince = 'insert'): readonly Shown[] {
  const { flavour, version } = queries.emission.facts.mode.server;
  if (flavour !== 'mariadb' || version < returningSince[of]) return refuse('RETURNING', place);
  const scope = new Scope(undefined);
  scope.relations.push({ alias: table.mysqlName, database: table.mysqlDatabase, table, columns: tableColumns(table, table.mysqlName, alias) });
  return queries.returned(items, scope, place);
}

/** A number that was given moves the sequence behind itself, as AUTO_INCREMENT goes on behind its largest number. */
function followed(column: MysqlColumnFacts, alias: string, source: Source): string[] {
  if (source.ids?.every((id) => id === 'made') === true || (source.ids === undefined && !source.columns.includes(column))) return [];
  const { sequence } = column;
  if (sequence === undefined) return refuse('AUTO_INCREMENT without a sequence on local');
  const id = `${alias}.${quoteName(column.name)}`;
  return [`CASE WHEN ${id} >= (SELECT last_value FROM ${sequence}) THEN setval(${quoteLiteral(sequence)}::regclass, ${id}) END`];
}

/** With the moment of the statement in columns that it leaves out and whose default that is: local's own default knows neither the session's zone nor its clock. */
function sourceOf(queries: QueryEmitter, insert: Insert, table: MysqlTableFacts): Source {
  const columns = insert.columns === undefined ? table.columns.filter(({ invisible }) => !invisible) : insert.columns.map((name) => columnNamed(table, name, insert.table.place));
  if (new Set(columns).size !== columns.length) return refuse('column twice', insert.table.place);
  const isOmitted = (name: string): boolean => !columns.some(({ mysqlName }) => mysqlName === name);
  const made = table.columns.filter(({ autoIncrement, mysqlName }) => autoIncrement && isOmitted(mysqlName)).map(({ mysqlName }) => mysqlName);
  const moments = table.columns.filter((column) => column.defaultsToNow === true && isOmitted(column.mysqlName) && isMomentColumn(column));
  const now = moments.map((column) => momentOf(queries, column));
  if (insert.source.type === 'query') return fromQuery(queries, insert, table, { columns, moments, now, made });
  const scope = new Scope(undefined);
  const { rows: written } = insert.source;
  const isEmpty = written.every((row) => row.length === 0);
  if (isEmpty && written.length > 1) return refuse('several rows of defaults', insert.table.place);
  if (isEmpty) return { sql: moments.length === 0 ? '' : `VALUES (${now.join(', ')})`, columns: moments, moments, ids: ['made'], neverEqual: new Set(made) };
  if (written.some((row) => row.length !== columns.length)) return refuse('INSERT of another number of values', insert.table.place);
  const rows = written.map((row) => row.map((node, index) => insertedValue(queries, table, columns[index] ?? refuse('column'), node, scope)));
  const automatic = columns.findIndex(({ autoIncrement }) => autoIncrement);
  const ids = rows.map((row): RowId => (automatic < 0 ? 'made' : row[automatic]?.id ?? 'given'));
  const never = columns.filter((_, index) => rows.every((row) => row[index]?.sql === 'NULL' || row[index]?.id === 'made')).map(({ mysqlName }) => mysqlName);
  const lastId = automatic >= 0 && ids.every((id) => id === 'given') ? rows.at(-1)?.[automatic]?.sql : undefined;
  return { lastId, sql: `VALUES ${rows.map((row) => `(${[...row.map(({ sql }) => sql), ...now].join(', ')})`).join(', ')}`, columns: [...columns, ...moments], moments, ids, neverEqual: new Set([...made, ...never]) };
}

const isMomentColumn = (column: MysqlColumnFacts): boolean => ['datetime', 'timestamp'].includes(columnType(column).kind);

/** The moment of the statement in a column. */
function momentOf({ emission }: QueryEmitter, column: MysqlColumnFacts): string {
  const fraction = column.type.length ?? 0;
  if (columnType(column).kind === 'timestamp') return `(${emission.slot({ kind: 'now', as: 'datetime', zone: 'utc', fraction })}::timestamp AT TIME ZONE 'UTC')`;
  // The zone has to be one that is known.
  void emission.zone;
  return `${emission.slot({ kind: 'now', as: 'datetime', zone: 'session', fraction })}::timestamp`;
}

export function columnNamed(table: MysqlTableFacts, name: string, place: number | undefined): MysqlColumnFacts {
  return table.columns.find(({ mysqlName }) => mysqlName.toLowerCase() === name.toLowerCase()) ?? refuse(`column ${name}`, place);
}

function insertedValue(queries: QueryEmitter, table: MysqlTableFacts, column: MysqlColumnFacts, node: Expression, scope: Scope): { readonly sql: string; readonly id?: RowId | undefined } {
  const { emission } = queries;
  if (node.type === 'default' && node.column === undefined && column.defaultsToNow === true && isMomentColumn(column)) return { sql: momentOf(queries, column) };
  if (node.type === 'default' && node.column === undefined) return { sql: 'DEFAULT', id: column.autoIncrement ? 'made' : undefined };
  const value = queries.expressions.value(node, scope);
  if (!column.autoIncrement) return { sql: assignValue(emission, { table, column }, value, node.place) };
  const makesZero = !emission.facts.mode.sqlMode.has('NO_AUTO_VALUE_ON_ZERO');
  if (value.type.kind === 'null' || (value.constant !== undefined && makesZero && /^0+$/.test(value.constant))) return { sql: 'DEFAULT', id: 'made' };
  const sql = assignValue(emission, { table, column }, value, node.place);
  if (value.constant !== undefined) return { sql, id: 'given' };
  if (value.type.kind !== 'parameter' || column.sequence === undefined) return refuse('AUTO_INCREMENT from an expression', node.place);
  // `notNull` is for columns that take no NULL; this one makes a number of it.
  const open = emission.parameter(value.type.number, { kind: 'integer' }, 'bigint');
  return { sql: `COALESCE(${makesZero ? `NULLIF(${open}, 0)` : open}, nextval(${quoteLiteral(column.sequence)}::regclass))`, id: { parameter: value.type.number } };
}

interface Omitted {
  readonly columns: readonly MysqlColumnFacts[];
  readonly moments: readonly MysqlColumnFacts[];
  readonly now: readonly string[];
  readonly made: readonly string[];
}

function fromQuery(queries: QueryEmitter, insert: Insert, table: MysqlTableFacts, { columns, moments, now, made }: Omitted): Source {
  const { emission } = queries;
  const { place } = insert.table;
  if (insert.source.type !== 'query') return refuse('INSERT', place);
  const { sql, columns: given } = queries.query(insert.source.query, undefined);
  if (given.length !== columns.length) return refuse('INSERT of another number of values', place);
  const alias = emission.alias();
  const list = columns.map((column, index) => {
    const from = given[index]?.value ?? refuse('INSERT', place);
    const value: Value = { ...from, sql: `${alias}."${index + 1}"` };
    // In every row the same string: it is read as one that stands in VALUES is.
    if (!column.autoIncrement && isConstantText(from)) return assignValue(emission, { table, column }, from, place);
    // What would make a number has to fail: no one could say which rows had one made.
    const assigned = assignValue(emission, { table, column }, value.type.kind === 'null' ? value : { ...value, constant: undefined }, place);
    return column.autoIncrement ? `NULLIF(${asInteger(emission, { ...value, constant: undefined }).sql}, 0)` : assigned;
  });
  return { sql: `SELECT ${[...list, ...now].join(', ')} FROM (${sql}) AS ${alias} (${given.map((_, index) => `"${index + 1}"`).join(', ')})`, columns: [...columns, ...moments], moments, ids: undefined, neverEqual: new Set(made) };
}

interface Upsert {
  readonly sql: string;
  /** Affected rows of a row of the answer. */
  readonly count: string;
  /** Whether a row of the answer is a new one; undefined: each of them. */
  readonly inserted: string | undefined;
  readonly remembersId: boolean;
}

const oldRows = 180000;

function onConflict(queries: QueryEmitter, insert: Insert, table: MysqlTableFacts, source: Source, alias: string): Upsert {
  const { emission } = queries;
  const { place } = insert.table;
  const what = insert.type === 'replace' ? 'REPLACE' : 'ON DUPLICATE KEY UPDATE';
  if (emission.facts.localVersion < oldRows) return refuse(`${what} on a local before PostgreSQL 18`, place);
  if (insert.ignore) return refuse(`IGNORE with ${what}`, place);
  const keys = table.uniqueKeys.filter((key) => !key.some((name) => source.neverEqual.has(name)));
  if (table.hasOtherUniqueKeys || keys.length > 1) return refuse(`${what} with several unique keys`, place);
  const [key] = keys;
  if (key === undefined) return { sql: '', count: '1', inserted: undefined, remembersId: false };
  const named = key.map((name) => quoteName(columnNamed(table, name, place).name)).join(', ');
  const { sets, remembersId } = insert.type === 'replace' ? { sets: replaced(emission, table, source, place), remembersId: false } : updates(queries, insert, table, alias);
  const list = sets.map(({ column, sql }) => `${quoteName(column.name)} = ${sql}`);
  const same = `ROW(${sets.map(({ column }) => `old.${quoteName(column.name)}`).join(', ')})::record *= ROW(${sets.map(({ column }) => `new.${quoteName(column.name)}`).join(', ')})::record`;
  const keyColumn = quoteName(columnNamed(table, key[0] ?? '', place).name);
  // Rows of a unique key that were met have a value there, those of an INSERT have no old row.
  return { sql: ` ON CONFLICT (${named}) DO UPDATE SET ${list.join(', ')}`, count: `CASE WHEN old.${keyColumn} IS NULL THEN 1 WHEN ${same} THEN ${insert.type === 'replace' || emission.facts.foundRows ? 1 : unchangedCount(sets)} ELSE 2 END`, inserted: insert.type === 'replace' ? undefined : `old.${keyColumn} IS NULL`, remembersId };
}

/** MySQL takes a column for changed that stays NULL and has a constant for a default, then finds the row to be the same: it counts one row, not none and not two. */
function unchangedCount(sets: readonly { readonly column: MysqlColumnFacts }[]): string {
  const counted = sets.filter(({ column }) => column.hasValueDefault === true && column.nullable).map(({ column }) => `new.${quoteName(column.name)} IS NULL`);
  return counted.length === 0 ? '0' : `CASE WHEN ${counted.join(' OR ')} THEN 1 ELSE 0 END`;
}

/** The new row takes the place of the old one: with its defaults, and a number of its own. */
function replaced(emission: MysqlEmission, table: MysqlTableFacts, source: Source, place: number): readonly { readonly column: MysqlColumnFacts; readonly sql: string }[] {
  checkTouched(emission, table, place);
  if (table.isReferenced) return refuse('REPLACE in a table that foreign keys point at', place);
  if (table.columns.some((column) => column.onUpdateNow && source.columns.includes(column) && !source.moments.includes(column))) return refuse('REPLACE of a column with ON UPDATE CURRENT_TIMESTAMP', place);
  return table.columns.filter(({ generated }) => !generated).map((column) => ({ column, sql: `excluded.${quoteName(column.name)}` }));
}

function updates(queries: QueryEmitter, insert: Insert, table: MysqlTableFacts, alias: string): { readonly sets: readonly { readonly column: MysqlColumnFacts; readonly sql: string }[]; readonly remembersId: boolean } {
  const { place } = insert.table;
  const scope = new Scope(undefined);
  scope.relations.push({ alias: table.mysqlName, database: table.mysqlDatabase, table, columns: tableColumns(table, table.mysqlName, alias) });
  const excluded = tableColumns(table, table.mysqlName, 'excluded').map(({ name, value }) => ({ name, value: { ...value, origin: undefined } }));
  if (insert.rowAlias !== undefined) {
    const named = insert.columnAliases.length === 0 ? excluded : insert.columnAliases.map((name, index) => {
      const column = insert.columns?.[index] ?? table.columns.filter(({ invisible }) => !invisible)[index]?.mysqlName ?? '';
      return { name, value: (excluded.find((each) => each.name.toLowerCase() === column.toLowerCase()) ?? refuse(`column ${name}`, place)).value };
    });
    scope.relations.push({ alias: insert.rowAlias, database: undefined, table: undefined, columns: named });
  }
  queries.expressions.insertedColumn = (name, at) => excluded.find((column) => column.name.toLowerCase() === name.toLowerCase())?.value ?? refuse(`column ${name}`, at);
  const remembered = insert.onDuplicate.find(isRememberedId);
  const sets = setAssignments(queries, table, insert.onDuplicate.filter((each) => each !== remembered), scope, alias);
  queries.expressions.insertedColumn = undefined;
  if (remembered === undefined) return { sets, remembersId: false };
  const column = columnNamed(table, remembered.column, place);
  if (!column.autoIncrement) return refuse('LAST_INSERT_ID() of another column', remembered.place);
  return { sets: [...sets, { column, sql: `${alias}.${quoteName(column.name)}` }], remembersId: true };
}

/** `id = LAST_INSERT_ID(id)`. */
function isRememberedId({ column, value }: Assignment): boolean {
  const [argument] = value.type === 'call' && value.name === 'LAST_INSERT_ID' ? value.args : [];
  return argument?.type === 'column' && argument.name.toLowerCase() === column.toLowerCase();
}
