/** Definition + options → `TablePlan`. Pure; refuses what cannot be carried. */
import { MigrationError } from '../../config/migration-error.ts';
import type { PlannedColumn, TablePlan } from '../table-plan.ts';
import { shapeHash } from './definition-diff.ts';
import { quoteTable } from './quote.ts';
import type { ColumnDefinition, IndexDefinition, TableDefinition } from './definition.ts';

export interface PlanOptions {
  readonly tableId: string;
  /** Names as in the catalog; default: every column. */
  readonly columns?: readonly string[];
  readonly whereClause?: string;
  readonly targetSchema?: string;
  readonly targetTable?: string;
}

/** Throws MIG010 (unknown column), MIG011 (not a table that can be carried), MIG012 (a type), MIG013 (no usable key). */
export function planTable(definition: TableDefinition, options: PlanOptions): TablePlan {
  const tableName = `${definition.schema}.${definition.name}`;
  refuseKind(definition, tableName);
  const columns = chooseColumns(definition, options.columns, tableName);
  const { key, keyKind } = chooseKey(definition, tableName);
  const missing = key.filter((name) => !columns.some((column) => column.name === name));
  if (keyKind !== 'full' && missing.length > 0) {
    throw new MigrationError('MIG013', `columns of ${tableName} leave out ${missing.join(', ')} of its key`, { tableName, hint: `Add ${missing.join(', ')} to OPTIONS (columns …).` });
  }
  const carried = new Set(columns.map((column) => column.name));
  const where = options.whereClause?.trim();
  return {
    tableId: options.tableId,
    source: { schema: definition.schema, name: definition.name },
    target: { schema: options.targetSchema ?? definition.schema, name: options.targetTable ?? definition.name },
    columns,
    key: keyKind === 'full' ? columns.map((column) => column.name) : key,
    keyKind,
    uniqueKeys: otherUniqueKeys(definition, key, carried),
    foreignKeys: definition.foreignKeys.filter((each) => each.columns.every((name) => carried.has(name))).map((each) => ({ columns: each.columns, parent: each.parent, parentColumns: each.parentColumns })),
    where: where === '' ? undefined : where,
    isPartitioned: definition.kind === 'partitioned',
    definitionHash: shapeHash(definition, [columns.map((column) => column.name), where ?? null]),
  };
}

function refuseKind(definition: TableDefinition, tableName: string): void {
  if (definition.kind === 'foreign') throw new MigrationError('MIG011', `${tableName} is a foreign table`, { tableName, hint: 'Migrate it from the server that holds its rows.' });
  if (definition.persistence !== 'permanent') {
    throw new MigrationError('MIG011', `${tableName} is ${definition.persistence}: its changes are not in the WAL`, { tableName, hint: `ALTER TABLE ${quoteTable(definition)} SET LOGGED; on the source, or leave it out.` });
  }
  if (definition.withOids) throw new MigrationError('MIG011', `${tableName} was made WITH OIDS`, { tableName, hint: `ALTER TABLE ${quoteTable(definition)} SET WITHOUT OIDS; on the source.` });
  const foreign = definition.partitions.find((part) => part.isForeign);
  if (foreign) throw new MigrationError('MIG011', `partition ${foreign.name} of ${tableName} is a foreign table`, { tableName, hint: 'Detach it, and migrate it from the server that holds its rows.' });
}

/** Values of these are meaningful on their own server only, or have no input function. */
const unsupportedTypes = new Set(['pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary', 'aclitem', 'txid_snapshot', 'pg_snapshot'].map((name) => `pg_catalog.${name}`));

export function isUnsupportedType(column: ColumnDefinition): boolean {
  return column.typeKind === 'p' || unsupportedTypes.has(column.baseType);
}

function chooseColumns(definition: TableDefinition, wanted: readonly string[] | undefined, tableName: string): PlannedColumn[] {
  const unknown = wanted?.find((name) => !definition.columns.some((column) => column.name === name));
  if (unknown !== undefined) throw new MigrationError('MIG010', `column ${unknown} of ${tableName} not found`, { tableName, hint: `The table has ${definition.columns.map((column) => column.name).join(', ')}.` });
  const chosen = definition.columns.filter((column) => column.generated === null && (wanted === undefined || wanted.includes(column.name)));
  const unsupported = chosen.find(isUnsupportedType);
  if (unsupported) throw new MigrationError('MIG012', `column ${unsupported.name} of ${tableName} has type ${unsupported.type}`, { tableName });
  if (chosen.length === 0) throw new MigrationError('MIG011', `${tableName} has no column to carry`, { tableName });
  return chosen.map((column) => ({
    name: column.name, type: column.type, typeOid: column.typeOid, attnum: column.attnum, notNull: column.notNull,
    canonicalText: hasCanonicalText(column), toastable: column.typeLength === -1 && column.storage !== 'plain',
  }));
}

const canonicalTypes = new Set([
  'bool', 'int2', 'int4', 'int8', 'oid', 'xid', 'xid8', 'pg_lsn', 'uuid', 'date', 'timestamp', 'timestamptz', 'time', 'bytea', 'text', 'varchar', 'char', 'name', 'bit', 'varbit', 'macaddr', 'macaddr8', 'cidr', 'inet', 'money',
].flatMap((name) => [`pg_catalog.${name}`, `pg_catalog._${name}`]));

/**
 * `numeric` (1.0 = 1.00), floats (0 = -0), `interval` (30 days = 1 mon), `bpchar` (trailing blanks), jsonb (numbers inside) and
 * everything from an extension may be equal and differ as text.
 */
export function hasCanonicalText(column: Pick<ColumnDefinition, 'baseType' | 'typeKind' | 'collation'>): boolean {
  if (column.collation !== null && !column.collation.deterministic) return false;
  return column.typeKind === 'e' || canonicalTypes.has(column.baseType);
}

/** A key that pgoutput identifies rows by: see https://www.postgresql.org/docs/current/logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY */
export function chooseKey(definition: TableDefinition, tableName: string): { key: readonly string[]; keyKind: TablePlan['keyKind'] } {
  const identity = definition.replicaIdentity;
  const primary = definition.indexes.find((index) => index.primary && isUsableKey(index, definition));
  if (identity.kind === 'index') {
    const index = definition.indexes.find((each) => each.name === identity.index);
    if (index && isUsableKey(index, definition)) return { key: keyColumns(index), keyKind: index.primary ? 'primary' : 'unique' };
  }
  if (identity.kind === 'default' && primary) return { key: keyColumns(primary), keyKind: 'primary' };
  if (identity.kind === 'full') {
    if (primary) return { key: keyColumns(primary), keyKind: 'primary' };
    const unique = definition.indexes.filter((index) => isUsableKey(index, definition)).sort((a, b) => a.columns.length - b.columns.length)[0];
    return unique ? { key: keyColumns(unique), keyKind: 'unique' } : { key: [], keyKind: 'full' };
  }
  // Publishing such a table would make the application's own UPDATE and DELETE fail (RULES 2).
  throw new MigrationError('MIG013', `${tableName} has no key that its replica identity (${identity.kind.toUpperCase()}) can use`, { tableName, hint: keyHint(definition) });
}

function keyHint(definition: TableDefinition): string {
  const table = quoteTable(definition);
  const unique = definition.indexes.find((index) => isUsableKey(index, definition));
  if (definition.replicaIdentity.kind === 'nothing') return `ALTER TABLE ${table} REPLICA IDENTITY ${definition.indexes.some((index) => index.primary) ? 'DEFAULT' : 'FULL'}; on the source.`;
  if (unique) return `ALTER TABLE ${table} REPLICA IDENTITY USING INDEX "${unique.name}"; on the source.`;
  return `Add a primary key on the source, or ALTER TABLE ${table} REPLICA IDENTITY FULL (rows are then compared as a whole).`;
}

/** Unique at once, over plain not-null columns, for all rows: an arbiter for upserts. */
export function isUsableKey(index: IndexDefinition, definition: TableDefinition): boolean {
  const notNull = (name: string | null): boolean => name !== null && definition.columns.some((column) => column.name === name && column.notNull && column.generated === null);
  return index.unique && index.valid && index.immediate && index.method === 'btree' && index.predicate === null && index.columns.length > 0 && index.columns.every(notNull);
}

function keyColumns(index: IndexDefinition): string[] {
  return index.columns.filter((name) => name !== null);
}

/** An expression or a generated column in a key makes the columns unknown: then any two changes of the table may meet, which `[]` says. */
function otherUniqueKeys(definition: TableDefinition, key: readonly string[], carried: ReadonlySet<string>): string[][] {
  const keys = definition.indexes.filter((index) => (index.unique || isExclusion(index, definition)) && index.valid)
    .map((index) => (index.columns.every((name) => name !== null && carried.has(name)) && !isExclusion(index, definition) ? keyColumns(index) : []));
  return keys.filter((columns) => columns.join('\0') !== key.join('\0'));
}

function isExclusion(index: IndexDefinition, definition: TableDefinition): boolean {
  return definition.constraints.some((constraint) => constraint.type === 'exclusion' && constraint.name === index.constraint);
}
