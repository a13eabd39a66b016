/**
 * The statements that make a table on local, in the order of a migration: pre-data before the load, the key after it, then
 * indexes, constraints and foreign keys once replay has passed the consistency point (RULES 2, 3). Pure: `build-keys` and
 * `create-table` run them.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../table-plan.ts';
import { serverCapabilities } from './capabilities.ts';
import { joinGrants } from './grants.ts';
import type { Grant } from './grants.ts';
import { quoteIdent, quoteList, quoteLiteral, quoteTable } from './quote.ts';
import { columnClause, createSequence, createType, partitionClause } from './schema-clauses.ts';
import type { ForeignKeyDefinition, IndexDefinition, TableDefinition } from './definition.ts';

/** `sql` runs as one transaction unless `done`, an SQL expression over the catalog, is already true. */
export interface SchemaStep {
  readonly name: string;
  readonly done: string;
  readonly sql: readonly string[];
}

/** An index on local; found again by `tail` whatever its name became. */
export interface IndexStep {
  readonly name: string;
  readonly table: QualifiedName;
  readonly unique: boolean;
  readonly tail: string;
  /** `ADD CONSTRAINT name PRIMARY KEY|UNIQUE USING INDEX …` follows when set. */
  readonly constraint: { readonly name: string; readonly clause: 'PRIMARY KEY' | 'UNIQUE'; readonly timing: string } | undefined;
  /** Set where the constraint can only be made whole (partitioned tables, exclusion, WITHOUT OVERLAPS): the text behind ADD CONSTRAINT. */
  readonly whole: string | undefined;
  readonly comment: string | null;
  readonly onPartitioned: boolean;
}

export interface SchemaPlan {
  readonly target: QualifiedName;
  readonly preData: readonly SchemaStep[];
  /** The arbiter of upserts; empty for a keyless table. */
  readonly key: readonly IndexStep[];
  readonly indexes: readonly IndexStep[];
  /** Exclusion constraints and the like: they need exclusive access while they are built. */
  readonly constraints: readonly IndexStep[];
  /** Set after the key exists: the reverse stream needs the same replica identity. */
  readonly replicaIdentity: string | undefined;
  /** A partition does not take over its root's replica identity, and it is the partition's that counts when its rows change. */
  readonly partitionIdentity: readonly string[];
  readonly comments: readonly string[];
  /** Of the source's roles. */
  readonly grants: readonly Grant[];
}

export interface SchemaOptions {
  /** `server_version_num` of local. */
  readonly localVersion: number;
  /** Where a source relation lives on local; undefined when it is not (yet) migrated. Default: the same name. */
  readonly targetOf?: (source: QualifiedName) => QualifiedName | undefined;
}

export function planSchema(definition: TableDefinition, plan: TablePlan, options: SchemaOptions): SchemaPlan {
  const columns = targetColumns(definition, plan);
  const names = new Set(columns.map((column) => column.name));
  const indexes = definition.indexes.filter((index) => index.valid && coversOnly(index, definition, names)).map((index) => planIndex(index, definition, plan.target));
  const own = definition.partitions.flatMap((part) => part.ownIndexes.filter((index) => index.valid).map((index) => planIndex(index, { ...definition, kind: part.partitioning === null ? 'table' : 'partitioned', constraints: [] }, { schema: partitionSchema(part.schema, definition, plan), name: part.name })));
  const keyTail = keyIndex(definition, plan)?.name;
  const isKey = (index: IndexDefinition | IndexStep): boolean => index.name === keyTail;
  return {
    target: plan.target,
    preData: planPreData(definition, plan, options),
    key: indexes.filter(isKey),
    indexes: [...indexes.filter((index) => !isKey(index) && (index.whole === undefined || index.onPartitioned)), ...own],
    constraints: indexes.filter((index) => !isKey(index) && index.whole !== undefined && !index.onPartitioned),
    replicaIdentity: replicaIdentitySql(definition, plan),
    partitionIdentity: partitionIdentitySql(definition, plan),
    comments: planComments(definition, plan, names),
    grants: [grantsOf(definition, plan.target, names, options), ...definition.partitions.map((part) => grantsOf(part, { schema: partitionSchema(part.schema, definition, plan), name: part.name }, names, options))].flat(),
  };
}

function grantsOf({ grants, schemaUsers }: Pick<TableDefinition, 'grants' | 'schemaUsers'>, target: QualifiedName, columns: ReadonlySet<string>, { localVersion }: SchemaOptions): Grant[] {
  const hasMaintain = serverCapabilities(localVersion).maintainPrivilege;
  const given = grants.filter(({ column, privilege }) => (column === null || columns.has(column)) && (hasMaintain || privilege !== 'MAINTAIN'));
  return [
    ...schemaUsers.map((grantee) => ({ grantee, rights: [{ privilege: 'USAGE' }], on: `SCHEMA ${quoteIdent(target.schema)}`, grantable: false })),
    ...joinGrants(quoteTable(target), given),
  ];
}

/** Generated columns are on local unless a subset of columns was asked for. */
function targetColumns(definition: TableDefinition, plan: TablePlan): TableDefinition['columns'] {
  const carried = new Set(plan.columns.map((column) => column.name));
  const isSubset = definition.columns.some((column) => column.generated === null && !carried.has(column.name));
  return definition.columns.filter((column) => carried.has(column.name) || (column.generated !== null && !isSubset));
}

function coversOnly(index: IndexDefinition, definition: TableDefinition, names: ReadonlySet<string>): boolean {
  const missing = definition.columns.filter((column) => !names.has(column.name));
  return missing.every((column) => !mentions(index.tail, column.name));
}

/** True when the expression holds the name as a word; may err on the side of true. */
function mentions(expression: string, name: string): boolean {
  return new RegExp(`(^|[^\\w$])"?${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}"?($|[^\\w$])`).test(expression);
}

function keyIndex(definition: TableDefinition, plan: TablePlan): IndexDefinition | undefined {
  if (plan.keyKind === 'full') return undefined;
  const candidates = definition.indexes.filter((index) => index.unique && index.predicate === null && index.columns.join('\0') === plan.key.join('\0'));
  return candidates.find((index) => index.primary) ?? candidates[0];
}

function planIndex(index: IndexDefinition, definition: TableDefinition, table: QualifiedName): IndexStep {
  const constraint = definition.constraints.find((each) => each.name === index.constraint);
  const onPartitioned = definition.kind === 'partitioned';
  const timing = constraint?.deferrable === true ? ` DEFERRABLE${constraint.deferred ? ' INITIALLY DEFERRED' : ''}` : '';
  const base = { name: index.name, table, unique: index.unique, tail: index.tail, comment: index.comment, onPartitioned };
  if (constraint === undefined) return { ...base, constraint: undefined, whole: undefined };
  const whole = onPartitioned || constraint.type === 'exclusion' || index.method !== 'btree' ? constraint.definition : undefined;
  return { ...base, name: constraint.name, constraint: { name: constraint.name, clause: constraint.type === 'primary' ? 'PRIMARY KEY' : 'UNIQUE', timing }, whole };
}

function planPreData(definition: TableDefinition, plan: TablePlan, options: SchemaOptions): SchemaStep[] {
  const has = serverCapabilities(options.localVersion);
  const columns = targetColumns(definition, plan);
  const names = new Set(columns.map((column) => column.name));
  const sequences = definition.sequences.filter((sequence) => names.has(sequence.column));
  const sequenceName = (name: QualifiedName, owned: boolean): QualifiedName => (owned && name.schema === definition.schema ? { schema: plan.target.schema, name: name.name } : name);
  const schemas = new Set([plan.target.schema, ...definition.requiredTypes.map((type) => type.schema), ...sequences.map((sequence) => sequenceName(sequence, sequence.ownedBy !== null).schema), ...definition.partitions.map((part) => partitionSchema(part.schema, definition, plan))]);
  const steps: SchemaStep[] = [...schemas].map((schema) => ({ name: `schema ${schema}`, done: `to_regnamespace(${quoteLiteral(quoteIdent(schema))}) IS NOT NULL`, sql: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(schema)}`] }));
  for (const type of definition.requiredTypes) {
    const sql = createType(type);
    const done = type.kind === 'extension' ? `EXISTS (SELECT 1 FROM pg_extension WHERE extname = ${quoteLiteral(type.extension)})` : `to_regtype(${quoteLiteral(quoteTable(type))}) IS NOT NULL`;
    if (sql.length > 0) steps.push({ name: `type ${type.schema}.${type.name}`, done, sql });
  }
  const plain = sequences.filter((sequence) => !sequence.identity);
  for (const sequence of plain) {
    const name = sequenceName(sequence, sequence.ownedBy !== null);
    steps.push({ name: `sequence ${name.schema}.${name.name}`, done: `to_regclass(${quoteLiteral(quoteTable(name))}) IS NOT NULL`, sql: [createSequence(sequence, name)] });
  }
  const table = quoteTable(plan.target);
  const clauses = columns.map((column) => columnClause(column, sequences, (sequence, owned) => sequenceName(sequence, owned), has));
  const checks = definition.constraints.filter((constraint) => constraint.type === 'check' && constraint.columns.every((name) => names.has(name)));
  const storage = definition.storageOptions.length > 0 && definition.kind === 'table' ? ` WITH (${definition.storageOptions.join(', ')})` : '';
  steps.push({
    name: `table ${plan.target.schema}.${plan.target.name}`,
    done: `to_regclass(${quoteLiteral(table)}) IS NOT NULL`,
    sql: [
      `CREATE TABLE ${table} (${clauses.join(', ')})${partitionClause(definition.partitioning)}${storage}`,
      ...checks.map((check) => `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdent(check.name)} ${check.definition}`),
      ...columns.flatMap((column) => columnSettings(table, column, has.columnCompression)),
      ...plain.filter((sequence) => sequence.ownedBy !== null).map((sequence) => `ALTER SEQUENCE ${quoteTable(sequenceName(sequence, true))} OWNED BY ${table}.${quoteIdent(sequence.column)}`),
    ],
  });
  return [...steps, ...planPartitions(definition, plan)];
}

function columnSettings(table: string, column: TableDefinition['columns'][number], compression: boolean): string[] {
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${quoteIdent(column.name)}`;
  const sql: string[] = [];
  if (column.storage !== column.typeStorage) sql.push(`${alter} SET STORAGE ${column.storage.toUpperCase()}`);
  if (column.statistics !== null && column.statistics >= 0) sql.push(`${alter} SET STATISTICS ${column.statistics}`);
  if (column.compression !== null && compression) sql.push(`${alter} SET COMPRESSION ${column.compression}`);
  return sql;
}

/** Partitions follow their root into another schema when they lived beside it. */
export function partitionSchema(schema: string, definition: TableDefinition, plan: TablePlan): string {
  return schema === definition.schema ? plan.target.schema : schema;
}

function planPartitions(definition: TableDefinition, plan: TablePlan): SchemaStep[] {
  return definition.partitions.map((part) => {
    const name = { schema: partitionSchema(part.schema, definition, plan), name: part.name };
    const isRoot = part.parent.schema === definition.schema && part.parent.name === definition.name;
    const parent = isRoot ? plan.target : { schema: partitionSchema(part.parent.schema, definition, plan), name: part.parent.name };
    return {
      name: `partition ${name.schema}.${name.name}`,
      done: `EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(${quoteLiteral(quoteTable(name))}) AND inhparent = to_regclass(${quoteLiteral(quoteTable(parent))}))`,
      sql: [
        `CREATE TABLE ${quoteTable(name)} PARTITION OF ${quoteTable(parent)} ${part.bound}${partitionClause(part.partitioning)}`,
        ...part.ownChecks.map((check) => `ALTER TABLE ${quoteTable(name)} ADD CONSTRAINT ${quoteIdent(check.name)} ${check.definition}`),
      ],
    };
  });
}

function replicaIdentitySql(definition: TableDefinition, plan: TablePlan): string | undefined {
  const table = quoteTable(plan.target);
  if (definition.replicaIdentity.kind === 'full') return `ALTER TABLE ${table} REPLICA IDENTITY FULL`;
  return plan.keyKind === 'unique' ? `ALTER TABLE ${table} REPLICA IDENTITY USING INDEX` : undefined;
}

/** FULL where a partition's own primary key is not the key of the plan: the index that stands for it there has a name of its own. */
function partitionIdentitySql(definition: TableDefinition, plan: TablePlan): string[] {
  if (definition.kind !== 'partitioned' || (definition.replicaIdentity.kind !== 'full' && plan.keyKind === 'primary')) return [];
  return definition.partitions.map((part) => `ALTER TABLE ${quoteTable({ schema: partitionSchema(part.schema, definition, plan), name: part.name })} REPLICA IDENTITY FULL`);
}

function planComments(definition: TableDefinition, plan: TablePlan, names: ReadonlySet<string>): string[] {
  const table = quoteTable(plan.target);
  const sql = definition.comment === null ? [] : [`COMMENT ON TABLE ${table} IS ${quoteLiteral(definition.comment)}`];
  for (const column of definition.columns) {
    if (column.comment !== null && names.has(column.name)) sql.push(`COMMENT ON COLUMN ${table}.${quoteIdent(column.name)} IS ${quoteLiteral(column.comment)}`);
  }
  for (const constraint of definition.constraints) {
    if (constraint.comment !== null && constraint.columns.every((name) => names.has(name))) sql.push(`COMMENT ON CONSTRAINT ${quoteIdent(constraint.name)} ON ${table} IS ${quoteLiteral(constraint.comment)}`);
  }
  return sql;
}

export interface ForeignKeyStep {
  readonly name: string;
  /** Names on the source. */
  readonly sourceChild: QualifiedName;
  readonly sourceParent: QualifiedName;
  readonly child: QualifiedName;
  readonly parent: QualifiedName;
  readonly columns: readonly string[];
  readonly definition: string;
  readonly validate: boolean;
  readonly childIsPartitioned: boolean;
}

/** The table's foreign keys in both directions, for whichever end reaches local last; those whose other end has no target are left out. */
export function planForeignKeys(definition: TableDefinition, targetOf: (source: QualifiedName) => QualifiedName | undefined): ForeignKeyStep[] {
  const all = [...definition.foreignKeys, ...definition.referencedBy.filter((key) => key.child.schema !== definition.schema || key.child.name !== definition.name)];
  return all.flatMap((key) => {
    const child = targetOf(key.child);
    const parent = targetOf(key.parent);
    if (child === undefined || parent === undefined) return [];
    const isOwn = key.child.schema === definition.schema && key.child.name === definition.name;
    return [{ name: key.name, sourceChild: key.child, sourceParent: key.parent, child, parent, columns: key.columns, definition: foreignKeyClause(key, parent), validate: key.validated, childIsPartitioned: isOwn && definition.kind === 'partitioned' }];
  });
}

function foreignKeyClause(key: ForeignKeyDefinition, parent: QualifiedName): string {
  const setColumns = key.onDeleteColumns.length > 0 ? ` (${quoteList(key.onDeleteColumns)})` : '';
  return [
    `FOREIGN KEY (${quoteList(key.columns)}) REFERENCES ${quoteTable(parent)} (${quoteList(key.parentColumns)})`,
    key.match === 'full' ? ' MATCH FULL' : '',
    key.onUpdate === 'no action' ? '' : ` ON UPDATE ${key.onUpdate.toUpperCase()}`,
    key.onDelete === 'no action' ? '' : ` ON DELETE ${key.onDelete.toUpperCase()}${setColumns}`,
    key.deferrable ? ` DEFERRABLE${key.deferred ? ' INITIALLY DEFERRED' : ''}` : '',
  ].join('');
}
