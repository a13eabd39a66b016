/**
 * What differs between two definitions, and the statement that would bring local in line (RULES 6). Pure.
 *
 * Two uses: the source then and the source now (`sameTable`: attnums, partitions and replica identity count), and the
 * source against an existing local table (only what rows need counts; names of indexes and constraints don't).
 */
import { createHash } from 'node:crypto';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import type { ColumnDefinition, TableDefinition } from './definition.ts';

export interface DefinitionDifference {
  readonly kind: 'table' | 'column_added' | 'column_dropped' | 'column_changed' | 'column_order' | 'key' | 'check' | 'foreign_key' | 'partition_added' | 'partition_dropped' | 'partition_changed' | 'replica_identity';
  readonly subject: string;
  readonly message: string;
  /** For local; undefined when no single statement does it. */
  readonly remedy: string | undefined;
  /** False when rows can still be carried as they are (a default, a missing check). */
  readonly blocking: boolean;
}

export interface DiffOptions {
  readonly sameTable: boolean;
  /** Name on local, for the remedies. */
  readonly target: QualifiedName;
  /** Only these columns are carried; default all. */
  readonly columns?: readonly string[];
}

/** Everything that a row image or its meaning depends on, of one table on one server; the same text, the same hash. */
export function definitionHash(definition: TableDefinition): string {
  return hash([planShape(definition), definition.partitions.map((part) => [part.oid, part.schema, part.name, part.bound, part.columns, part.replicaIdentity])]);
}

/** As `definitionHash`, without the partitions: a new partition does not make copied chunks void. */
export function shapeHash(definition: TableDefinition, extra: unknown): string {
  return hash([planShape(definition), extra]);
}

function planShape(definition: TableDefinition): unknown {
  return [
    definition.oid, definition.schema, definition.name, definition.kind, definition.replicaIdentity,
    definition.columns.map((column) => [column.name, column.attnum, column.type, column.notNull, column.generated, column.collation?.schema, column.collation?.name]),
    keyShapes(definition), definition.foreignKeys.map((key) => [key.columns, key.parent, key.parentColumns]),
  ];
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

function keyShapes(definition: TableDefinition): string[] {
  return definition.indexes.filter((index) => index.unique).map((index) => `${index.tail}${index.immediate ? '' : ' deferrable'}`).sort();
}

export function diffDefinitions(source: TableDefinition, other: TableDefinition, options: DiffOptions): DefinitionDifference[] {
  const differences = [...diffColumns(source, other, options)];
  if (options.sameTable) {
    if (source.oid !== other.oid) differences.push({ kind: 'table', subject: source.name, message: 'the table was dropped and created again', remedy: undefined, blocking: true });
    differences.push(...diffPartitions(source, other, options), ...diffReplicaIdentity(source, other));
  }
  differences.push(...diffKeys(source, other, options), ...diffChecks(source, other, options));
  return differences;
}

/** With `sameTable`, `other` is the newer one: what it has more was added. Against local, what local lacks must be added. */
function* diffColumns(source: TableDefinition, other: TableDefinition, options: DiffOptions): Generator<DefinitionDifference> {
  const [wanted, present] = options.sameTable ? [other, source] : [source, other];
  const carried = (name: string): boolean => options.columns === undefined || options.columns.includes(name);
  const table = quoteTable(options.target);
  const presentColumns = new Map(present.columns.map((column) => [column.name, column]));
  for (const column of wanted.columns) {
    const before = presentColumns.get(column.name);
    if (before !== undefined) yield* diffColumn(column, before, table, options, carried(column.name));
    else if (carried(column.name) || options.sameTable) {
      yield { kind: 'column_added', subject: column.name, message: `column ${column.name} ${column.type} is not ${options.sameTable ? 'in the definition that the migration began with' : 'on local'}`, remedy: `ALTER TABLE ${table} ADD COLUMN ${quoteIdent(column.name)} ${column.type}${collate(column)}${filled(column)}`, blocking: options.columns === undefined || carried(column.name) };
    }
  }
  const wantedNames = new Set(wanted.columns.map((column) => column.name));
  for (const column of present.columns) {
    if (wantedNames.has(column.name)) continue;
    const fills = !options.sameTable && (!column.notNull || column.default !== null || column.identity !== null || column.generated !== null);
    yield { kind: 'column_dropped', subject: column.name, message: `column ${column.name} is no longer on the source`, remedy: `ALTER TABLE ${table} DROP COLUMN ${quoteIdent(column.name)}`, blocking: !fills && (!options.sameTable || carried(column.name)) };
  }
}

function* diffColumn(wanted: ColumnDefinition, present: ColumnDefinition, table: string, options: DiffOptions, carried: boolean): Generator<DefinitionDifference> {
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${quoteIdent(wanted.name)}`;
  const changed = (message: string, remedy: string | undefined, blocking: boolean): DefinitionDifference => ({ kind: 'column_changed', subject: wanted.name, message: `column ${wanted.name}: ${message}`, remedy, blocking: blocking && carried });
  if (options.sameTable && wanted.attnum !== present.attnum) yield { kind: 'column_order', subject: wanted.name, message: `column ${wanted.name} was dropped and added again`, remedy: undefined, blocking: carried };
  if (wanted.type !== present.type) yield changed(`type is ${wanted.type} on the source, ${present.type} ${options.sameTable ? 'before' : 'on local'}`, `${alter} TYPE ${wanted.type}${collate(wanted)} USING ${quoteIdent(wanted.name)}::${wanted.type}`, true);
  if (wanted.notNull !== present.notNull) yield changed(wanted.notNull ? 'is NOT NULL on the source' : 'may be NULL on the source', `${alter} ${wanted.notNull ? 'SET' : 'DROP'} NOT NULL`, !wanted.notNull);
  if ((wanted.generated === null) !== (present.generated === null)) yield changed(wanted.generated === null ? 'is generated on local only' : 'is generated on the source only', undefined, true);
  else if ((wanted.generated !== null || options.sameTable) && wanted.default !== present.default && wanted.defaultSequence === null) {
    const remedy = wanted.generated === null ? `${alter} ${wanted.default === null ? 'DROP DEFAULT' : `SET DEFAULT ${wanted.default}`}` : undefined;
    yield changed(`${wanted.generated === null ? 'default' : 'expression'} is ${wanted.default ?? 'none'}, was ${present.default ?? 'none'}`, remedy, wanted.generated !== null);
  }
  if ((wanted.identity === null) !== (present.identity === null)) yield changed(wanted.identity === null ? 'is no identity column on the source' : 'is an identity column on the source', undefined, false);
  if (wanted.type === present.type && (wanted.collation?.name !== present.collation?.name || wanted.collation?.deterministic !== present.collation?.deterministic)) {
    yield changed(`collation is ${wanted.collation?.name ?? 'none'} on the source, ${present.collation?.name ?? 'none'} ${options.sameTable ? 'before' : 'on local'}`, wanted.collation?.explicit === true ? `${alter} TYPE ${wanted.type}${collate(wanted)}` : undefined, wanted.collation?.deterministic !== present.collation?.deterministic);
  }
}

function collate({ collation }: ColumnDefinition): string {
  return collation?.explicit === true ? ` COLLATE ${quoteTable(collation)}` : '';
}

/** The rows that are there have the default on the source as well, and no change says so. */
function filled(column: ColumnDefinition): string {
  if (column.generated !== null || column.default === null || column.defaultSequence !== null) return '';
  return ` DEFAULT ${column.default}${column.notNull ? ' NOT NULL' : ''}`;
}

function* diffKeys(source: TableDefinition, other: TableDefinition, options: DiffOptions): Generator<DefinitionDifference> {
  const [wanted, present] = options.sameTable ? [other, source] : [source, other];
  const keysOf = (definition: TableDefinition): string[][] => definition.indexes.filter((index) => index.unique && index.predicate === null).map((index) => index.columns.map((name) => name ?? '(expression)'));
  const spelled = (definition: TableDefinition): Set<string> => new Set(keysOf(definition).map((key) => [...key].sort().join(', ')));
  const [inWanted, inPresent] = [spelled(wanted), spelled(present)];
  for (const key of inPresent) {
    // Local may not refuse what the source allows; what local still lacks is built later.
    if (!inWanted.has(key)) yield { kind: 'key', subject: key, message: `unique key (${key}) is ${options.sameTable ? 'gone from the source' : 'on local only: rows of the source may be refused'}`, remedy: undefined, blocking: true };
  }
  for (const key of inWanted) {
    if (options.sameTable && !inPresent.has(key)) yield { kind: 'key', subject: key, message: `unique key (${key}) was added`, remedy: `CREATE UNIQUE INDEX ON ${quoteTable(options.target)} (${key.split(', ').map(quoteIdent).join(', ')})`, blocking: false };
  }
}

function* diffChecks(source: TableDefinition, other: TableDefinition, options: DiffOptions): Generator<DefinitionDifference> {
  const [wanted, present] = options.sameTable ? [other, source] : [source, other];
  const checks = (definition: TableDefinition): Map<string, string> => new Map(definition.constraints.filter((constraint) => constraint.type === 'check').map((check) => [check.definition.replace(/ NOT VALID$/, ''), check.name]));
  const [inWanted, inPresent] = [checks(wanted), checks(present)];
  for (const [definition, name] of inPresent) {
    if (!inWanted.has(definition)) yield { kind: 'check', subject: name, message: `${definition} is ${options.sameTable ? 'gone from the source' : 'on local only: rows of the source may be refused'}`, remedy: `ALTER TABLE ${quoteTable(options.target)} DROP CONSTRAINT ${quoteIdent(name)}`, blocking: true };
  }
  for (const [definition, name] of inWanted) {
    if (!inPresent.has(definition)) yield { kind: 'check', subject: name, message: `${definition} is on the source only`, remedy: `ALTER TABLE ${quoteTable(options.target)} ADD CONSTRAINT ${quoteIdent(name)} ${definition}`, blocking: false };
  }
}

function* diffPartitions(before: TableDefinition, now: TableDefinition, options: DiffOptions): Generator<DefinitionDifference> {
  const known = new Map(before.partitions.map((part) => [`${part.schema}.${part.name}`, part]));
  const parentName = (parent: QualifiedName): string => (parent.name === now.name && parent.schema === now.schema ? quoteTable(options.target) : quoteTable({ schema: options.target.schema, name: parent.name }));
  for (const part of now.partitions) {
    const name = `${part.schema}.${part.name}`;
    const old = known.get(name);
    known.delete(name);
    const child = quoteTable({ schema: options.target.schema, name: part.name });
    if (old === undefined) yield { kind: 'partition_added', subject: name, message: `partition ${name} ${part.bound} was added`, remedy: `CREATE TABLE ${child} PARTITION OF ${parentName(part.parent)} ${part.bound}`, blocking: false };
    else if (old.oid !== part.oid || old.bound !== part.bound || old.columns.join() !== part.columns.join()) yield { kind: 'partition_changed', subject: name, message: `partition ${name} was made again or has other bounds or columns`, remedy: undefined, blocking: true };
  }
  for (const [name, part] of known) {
    // A detached or dropped partition takes its rows away without one delete in the stream.
    yield { kind: 'partition_dropped', subject: name, message: `partition ${name} was dropped or detached: its rows left the table without a change in the stream`, remedy: `DROP TABLE ${quoteTable({ schema: options.target.schema, name: part.name })}`, blocking: true };
  }
}

function* diffReplicaIdentity(before: TableDefinition, now: TableDefinition): Generator<DefinitionDifference> {
  const spelled = (definition: TableDefinition): string => [definition.replicaIdentity.kind, definition.replicaIdentity.index ?? ''].join(' ').trim();
  if (spelled(before) === spelled(now)) return;
  yield { kind: 'replica_identity', subject: now.name, message: `replica identity was ${spelled(before)}, is ${spelled(now)}`, remedy: undefined, blocking: now.replicaIdentity.kind !== 'full' };
}
