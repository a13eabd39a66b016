/** What a table's own definition says about migrating it. Pure. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { isUsableKey } from './plan-table.ts';
import type { Finding } from './finding.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import type { ForeignKeyDefinition, TableDefinition } from './definition.ts';

export function tableFindings(definition: TableDefinition, companions: readonly QualifiedName[]): Finding[] {
  return [...keyFindings(definition), ...columnFindings(definition), ...behaviourFindings(definition), ...relationFindings(definition, companions)];
}

function* keyFindings(definition: TableDefinition): Generator<Finding> {
  const table = quoteTable(definition);
  const identity = definition.replicaIdentity;
  const hasKey = definition.indexes.some((index) => isUsableKey(index, definition));
  if (identity.kind === 'full' && !hasKey) {
    yield { code: 'keyless', severity: 'warning', subject: table, message: 'has no usable key: it is copied in one piece that starts again after a crash, changes are applied by comparing whole rows, and validation compares multisets', remedy: `ALTER TABLE ${table} ADD PRIMARY KEY (…); on the source, if it can have one.` };
  } else if (identity.kind === 'full') {
    yield { code: 'replica_identity', severity: 'info', subject: table, message: 'REPLICA IDENTITY FULL writes the whole old row into the WAL with every update', remedy: `ALTER TABLE ${table} REPLICA IDENTITY DEFAULT; after the migration, unless something else needs it.` };
  }
  for (const part of definition.partitions) {
    if (part.partitioning === null && !identifiesRows(part, definition)) yield { code: 'replica_identity', severity: 'error', subject: quoteTable(part), message: `the partition has REPLICA IDENTITY ${part.replicaIdentity.toUpperCase()}, which does not name the table's key: it takes over none from its root, and in the stream its own counts`, remedy: `ALTER TABLE ${quoteTable(part)} REPLICA IDENTITY ${identity.kind === 'default' ? 'DEFAULT' : 'FULL'};`, errorCode: 'MIG013' };
  }
  for (const index of definition.indexes) {
    const subject = `${table} ${index.name}`;
    if (index.unique && !index.immediate) yield { code: 'deferrable_key', severity: 'info', subject, message: 'a deferrable key cannot identify rows for upserts; it is created on local as it is, and changes of one transaction that swap its values are applied as delete and insert', remedy: '' };
    if (!index.valid) yield { code: 'invalid_index', severity: 'warning', subject, message: 'the index is invalid on the source and is not created on local', remedy: `REINDEX INDEX ${quoteIdent(index.name)}; or drop it.` };
  }
  for (const constraint of definition.constraints) {
    if (constraint.type === 'exclusion') yield { code: 'exclusion_constraint', severity: 'info', subject: `${table} ${constraint.name}`, message: 'is built after replay has passed the consistency point; its changes are applied one transaction at a time', remedy: '' };
    if (!constraint.validated) yield { code: 'not_valid', severity: 'info', subject: `${table} ${constraint.name}`, message: 'is NOT VALID on the source and stays so on local', remedy: `ALTER TABLE ${table} VALIDATE CONSTRAINT ${quoteIdent(constraint.name)}; if all rows keep it.` };
  }
}

/** Publishing a partition without an identity would make the application's own UPDATE of it fail (RULES 2). */
function identifiesRows(part: TableDefinition['partitions'][number], { replicaIdentity, indexes }: TableDefinition): boolean {
  if (part.replicaIdentity === 'full') return true;
  if (replicaIdentity.kind === 'index') return part.replicaIdentity === 'index';
  return part.replicaIdentity === 'default' && indexes.some((index) => index.primary);
}

function* columnFindings(definition: TableDefinition): Generator<Finding> {
  for (const column of definition.columns) {
    const subject = `${quoteTable(definition)} ${column.name}`;
    if (column.generated !== null) yield { code: 'generated_column', severity: 'info', subject, message: 'is computed by local, not copied; its expression must give the same there', remedy: '' };
    if (column.identity === 'always') yield { code: 'identity_always', severity: 'info', subject, message: 'GENERATED ALWAYS is kept; the loader overrides it', remedy: '' };
    if (column.collation !== null && !column.collation.deterministic) yield { code: 'collation', severity: 'warning', subject, message: `collation ${column.collation.name} is non-deterministic: equal values may differ as text, so their changes are not folded`, remedy: '' };
    if (column.baseType === 'pg_catalog.oid' || column.type.endsWith('lo')) yield { code: 'large_object', severity: 'warning', subject, message: 'may hold the number of a large object: large objects are not in the change stream and are not migrated', remedy: 'Copy them with pg_dump --large-objects, or move them into a bytea column.' };
    if (column.baseType.startsWith('pg_catalog.reg')) yield { code: 'object_number', severity: 'warning', subject, message: `${column.type} names an object by its number on this server; it is carried by name, which must exist on local`, remedy: '' };
  }
}

function* behaviourFindings(definition: TableDefinition): Generator<Finding> {
  const table = quoteTable(definition);
  for (const trigger of definition.triggers) {
    const writes = trigger.mentions.length === 0 ? '' : `; its function ${trigger.function.schema}.${trigger.function.name} names ${trigger.mentions.map((each) => `${each.schema}.${each.name}`).join(', ')}`;
    const opaque = trigger.language === 'plpgsql' ? '' : ` (language ${trigger.language}: what it does cannot be seen)`;
    yield { code: 'trigger', severity: opaque === '' && trigger.mentions.length === 0 ? 'info' : 'warning', subject: `${table} ${trigger.name}`, message: `the trigger fires on the side that is the authority${writes}${opaque}`, remedy: 'It is made on local with its function; tables that it writes belong to the group.' };
    if (trigger.enabled === 'A' || trigger.enabled === 'R') yield { code: 'always_trigger', severity: 'warning', subject: `${table} ${trigger.name}`, message: `is enabled ${trigger.enabled === 'A' ? 'ALWAYS: on local it is made as an ordinary trigger' : 'REPLICA: on local it is made disabled'}, or it would fire for applied changes too`, remedy: '' };
  }
  for (const rule of definition.rules) {
    yield { code: 'rule', severity: 'warning', subject: `${table} ${rule.name}`, message: `the rule rewrites ${rule.event.toUpperCase()}${rule.relations.length === 0 ? '' : ` to ${rule.relations.map((each) => `${each.schema}.${each.name}`).join(', ')}`}; it is made on local too`, remedy: '' };
  }
  if (definition.rowSecurity.enabled) {
    yield { code: 'row_security', severity: 'warning', subject: table, message: `row security is on${definition.rowSecurity.forced ? ' (FORCE)' : ''} with ${definition.policies.length} policies: the migration's users must bypass it on both sides`, remedy: 'ALTER ROLE … BYPASSRLS; the policies are made on local, their roles have to be there.' };
  }
}

function* relationFindings(definition: TableDefinition, companions: readonly QualifiedName[]): Generator<Finding> {
  const table = quoteTable(definition);
  const isIn = (name: QualifiedName): boolean => (name.schema === definition.schema && name.name === definition.name) || companions.some((each) => each.schema === name.schema && each.name === name.name);
  const describe = (key: ForeignKeyDefinition): string => `${key.child.schema}.${key.child.name} (${key.columns.join(', ')}) → ${key.parent.schema}.${key.parent.name}`;
  for (const key of definition.foreignKeys) {
    if (!isIn(key.parent)) yield { code: 'foreign_key', severity: 'warning', subject: `${table} ${key.name}`, message: `${describe(key)}: the parent is not being migrated; on local the key cannot exist until it is`, remedy: `START MIGRATION FOR TABLE ${key.parent.schema}.${key.parent.name} as well; they move as one group.` };
    if (!key.validated) yield { code: 'not_valid', severity: 'info', subject: `${table} ${key.name}`, message: 'is NOT VALID on the source and stays so on local', remedy: '' };
  }
  for (const key of definition.referencedBy) {
    if (!isIn(key.child)) yield { code: 'foreign_key', severity: 'warning', subject: `${table} ${key.name}`, message: `${describe(key)}: the child is not being migrated, and would be left on the source without a parent`, remedy: `START MIGRATION FOR TABLE ${key.child.schema}.${key.child.name} as well; they move as one group.` };
  }
  if (definition.partitionOf !== null) yield { code: 'partition', severity: 'error', subject: table, message: `is a partition of ${definition.partitionOf.schema}.${definition.partitionOf.name}; the whole table moves, not one partition`, remedy: `START MIGRATION FOR TABLE ${definition.partitionOf.schema}.${definition.partitionOf.name} …`, errorCode: 'MIG011' };
  if (definition.inherits.length > 0 || definition.inheritedBy.length > 0) {
    yield { code: 'inheritance', severity: 'error', subject: table, message: 'is part of an inheritance tree: a statement on the parent reads and writes its children, on one server only', remedy: 'Make it a partitioned table, or ALTER TABLE … NO INHERIT.', errorCode: 'MIG011' };
  }
  if (definition.partitions.length > 0) yield { code: 'partitions', severity: 'info', subject: table, message: `${definition.partitions.length} partitions are created on local with the same bounds; attaching or detaching one during the migration stops it`, remedy: '' };
  if (definition.views.length > 0) yield { code: 'view', severity: 'info', subject: table, message: `is read by ${definition.views.map((view) => `${view.schema}.${view.name}`).join(', ')}; a statement on a view goes where its tables are`, remedy: '' };
}
