/** What a table's own definition says about migrating it. Pure. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../postgres/finding.ts';
import { collationFor } from './collation.ts';
import { isByteType, isCharacterType } from './column-type.ts';
import type { ConvertedTable } from './create-schema.ts';
import type { MysqlForeignKey, MysqlIndex, MysqlTable } from './definition.ts';
import { freeTimings } from './fence.ts';
import { mysqlName, mysqlTableName } from './query.ts';
import { policyFor } from './type-loss.ts';
import type { MappedColumn } from './type-map.ts';
import { triggerFindings } from './way-back-findings.ts';

export function mysqlTableFindings(table: MysqlTable, converted: ConvertedTable | undefined, companions: readonly QualifiedName[]): Finding[] {
  return [
    ...engineFindings(table), ...behaviourFindings(table), ...relationFindings(table, companions),
    ...(converted === undefined ? [] : [...converted.findings, ...keyFindings(table, converted), ...converted.mapped.flatMap((mapped) => [...columnFindings(table, mapped)])]),
  ];
}

/** Those that have transactions, row events and a consistent order of commits. */
const transactional = new Set(['innodb', 'rocksdb', 'tokudb']);

function* engineFindings(table: MysqlTable): Generator<Finding> {
  if (transactional.has(table.engine.toLowerCase())) return;
  yield { code: 'engine', severity: 'error', subject: mysqlTableName(table), message: `its engine is ${table.engine}, which has no transactions: a change can be logged that a crash has undone, or the other way round`, remedy: `ALTER TABLE ${mysqlTableName(table)} ENGINE = InnoDB;`, errorCode: 'MIG011' };
}

function* keyFindings(table: MysqlTable, { definition, mapped }: ConvertedTable): Generator<Finding> {
  const name = mysqlTableName(table);
  if (definition.replicaIdentity.kind === 'full') {
    yield { code: 'keyless', severity: 'warning', subject: name, message: 'has no usable key: it is copied in one piece that starts again after a crash, changes are applied by comparing whole rows, and validation compares multisets', remedy: `ALTER TABLE ${name} ADD PRIMARY KEY (…); on the source, if it can have one.` };
  }
  for (const index of table.indexes.filter((each) => each.unique)) {
    for (const { column, plan, policies } of mapped.filter((each) => index.parts.some((part) => part.column === each.column.name))) {
      const merging = plan.toLocalLosses.find((kind) => ['clamp', 'null'].includes(policyFor(policies, kind)));
      if (merging !== undefined) yield { code: 'key_loss', severity: index.primary ? 'error' : 'warning', subject: `${name} ${index.name}`, message: `values of ${column.name} that are changed on the way (${merging}) may become equal, or NULL, in a unique key`, remedy: `OPTIONS (type_map '${column.name} ON ${merging} REJECT').`, ...(index.primary ? { errorCode: 'MIG011' as const } : {}) };
    }
    yield* keyCollationFindings(table, index);
  }
}

/** Where the keys of the two sides may disagree about what is equal. */
function* keyCollationFindings(table: MysqlTable, index: MysqlIndex): Generator<Finding> {
  for (const part of index.parts) {
    const column = table.columns.find((each) => each.name === part.column);
    if (column === undefined || !isCharacterType(column.type) || collationFor(column.collation) === undefined) continue;
    const subject = `${mysqlTableName(table)} ${index.name}`;
    if (column.padsBlanks) yield { code: 'key_collation', severity: 'warning', subject, message: `${column.collation} ignores blanks at the end of ${column.name}, local does not: after the cutover it takes a value beside the same one with a blank, which the source refuses on the way back`, remedy: 'See that the application trims its keys.' };
    if (collationFor(column.collation)?.definition.deterministic === false) yield { code: 'key_collation', severity: 'warning', subject, message: `${column.collation} is compared by ICU on local, which agrees about case and accents but not about every character (ß, ł and đ, for some): a few values may be equal on one side only; two rows that are one key on the other side stop the table (MIG030)`, remedy: 'VALIDATE … FULL finds such rows before the cutover. A key that is compared by …_bin cannot have them.' };
  }
}

function* columnFindings(table: MysqlTable, { column, local, reason, plan, policies }: MappedColumn): Generator<Finding> {
  const subject = `${mysqlTableName(table)} ${column.name}`;
  const spelled = local === 'enum' ? 'an enum type' : local.spelled;
  const info = (code: string, message: string, remedy = ''): Finding => ({ code, severity: 'info', subject, message, remedy });
  if (column.type.name === 'bigint' && column.type.unsigned) yield info('unsigned_64', `becomes ${spelled}: ${reason}`, `OPTIONS (type_map '${column.name} ${spelled === 'bigint' ? 'numeric(20)' : 'bigint'}') for the other.`);
  if (column.generated !== null) yield info('generated_column', 'is computed by local, not copied; its expression must give the same there');
  if (column.isInvisible) yield info('invisible_column', 'is visible on local: SELECT * shows it there');
  if (column.onUpdateNow) yield info('on_update', 'ON UPDATE CURRENT_TIMESTAMP becomes a trigger; an update that sets the column to the value that it has counts as not setting it');
  if (column.autoIncrement) yield info('auto_increment', 'becomes an identity column: local draws a number when the column is left out or DEFAULT, not for NULL or 0');
  const collation = isCharacterType(column.type) ? collationFor(column.collation) : undefined;
  if (collation?.definition.deterministic === false) yield info('collation', `${column.collation} becomes ${collation.definition.schema}.${collation.definition.name}, which ignores case as well; LIKE on it needs PostgreSQL 18`);
  const kept = [...new Set([...plan.toLocalLosses, ...plan.toSourceLosses])];
  if (!isByteType(column.type) && plan.toLocalLosses.length > 0) yield info('type_loss', `becomes ${spelled}; values that it cannot hold: ${kept.map((kind) => `${kind} ${policyFor(policies, kind)}`).join(', ')}`, `OPTIONS (type_map '${column.name} ON ${plan.toLocalLosses[0]} CLAMP|NULL|TEXT').`);
}

function* behaviourFindings(table: MysqlTable): Generator<Finding> {
  const name = mysqlTableName(table);
  for (const event of ['INSERT', 'UPDATE', 'DELETE']) {
    if (freeTimings(table.triggers, event, table.server).length === 0) yield { code: 'fence', severity: 'warning', subject: name, message: `has triggers before and after ${event}, and this version takes one of each: there is no room for the one that keeps others from writing after the cutover`, remedy: 'Cut over with NO FENCE, or take one of the triggers away.' };
  }
  for (const trigger of table.triggers) {
    yield { code: 'trigger', severity: 'warning', subject: `${name} ${trigger.name}`, message: `${trigger.timing} ${trigger.event}: it is not made on local, where rows written after the cutover do without it; until then its effects come with the changes`, remedy: 'Write it for local, and create it there before the cutover.' };
  }
  yield* triggerFindings(table, table.triggers);
  for (const event of table.events) yield { code: 'event', severity: 'warning', subject: name, message: `event ${event} names the table: it goes on on the source, outside the gateway`, remedy: `ALTER EVENT ${event} DISABLE; at the cutover, and run it through the gateway.` };
  if (table.partitions.length > 0) yield { code: 'partitions', severity: 'warning', subject: name, message: `${table.partitions.length} partitions by ${table.partitions[0]?.method ?? ''} (${table.partitions[0]?.expression ?? ''}): on local it is one table`, remedy: 'If it needs partitions there, create the table on local beforehand, with the same columns and keys.' };
  if (table.views.length > 0) yield { code: 'view', severity: 'info', subject: name, message: `is read by ${table.views.map((view) => `${view.schema}.${view.name}`).join(', ')}: views are not carried`, remedy: 'Create them on local, in its dialect, before the cutover.' };
}

function* relationFindings(table: MysqlTable, companions: readonly QualifiedName[]): Generator<Finding> {
  const isIn = (name: QualifiedName): boolean => [table, ...companions].some((each) => each.schema === name.schema && each.name === name.name);
  const describe = (key: MysqlForeignKey): string => `${key.child.schema}.${key.child.name} (${key.columns.join(', ')}) → ${key.parent.schema}.${key.parent.name}`;
  for (const key of table.foreignKeys) {
    if (!isIn(key.parent)) yield { code: 'foreign_key', severity: 'warning', subject: `${mysqlTableName(table)} ${key.name}`, message: `${describe(key)}: the parent is not being migrated; on local the key cannot exist until it is`, remedy: `START MIGRATION FOR TABLE ${key.parent.schema}.${key.parent.name} as well; they move as one group.` };
    yield* cascadeFindings(table, key, describe(key));
  }
  for (const key of table.referencedBy) {
    if (!isIn(key.child)) yield { code: 'foreign_key', severity: 'warning', subject: `${mysqlTableName(table)} ${key.name}`, message: `${describe(key)}: the child is not being migrated, and would be left on the source without a parent`, remedy: `START MIGRATION FOR TABLE ${key.child.schema}.${key.child.name} as well; they move as one group.` };
  }
}

/** InnoDB carries out the action by itself, below the log; the appliers, for their part, write with foreign keys off. */
function* cascadeFindings(table: MysqlTable, key: MysqlForeignKey, described: string): Generator<Finding> {
  if (table.server.loggedCascades) return;
  const subject = `${mysqlTableName(table)} ${key.name}`;
  const writes = (rule: MysqlForeignKey['onDelete']): boolean => rule === 'cascade' || rule === 'set null' || rule === 'set default';
  const remedy = 'Make the key RESTRICT and have the application change the children itself, until the cutover.';
  if (writes(key.onDelete)) {
    yield {
      code: 'cascade', severity: 'error', subject, message: `${described} ON DELETE ${key.onDelete.toUpperCase()}: this version does not log what it changes in the child, so that local would keep the rows`,
      remedy: `Make the key RESTRICT and have a trigger do what it did, for that is logged: ${deleteTrigger(key)}`, errorCode: 'MIG011',
    };
  }
  if (writes(key.onUpdate)) yield { code: 'cascade', severity: 'warning', subject, message: `${described} ON UPDATE ${key.onUpdate.toUpperCase()}: this version does not log what it changes in the child when a key of the parent changes`, remedy };
}

/** Before the row of the parent goes; rows that come back after a cutover bring those of the child with them. */
function deleteTrigger({ name, child, columns, parent, parentColumns, onDelete }: MysqlForeignKey): string {
  const where = columns.map((column, at) => `${mysqlName(column)} = OLD.${mysqlName(parentColumns[at] ?? '')}`).join(' AND ');
  const change = onDelete === 'cascade' ? `DELETE FROM ${mysqlTableName(child)} WHERE ${where}` : `UPDATE ${mysqlTableName(child)} SET ${columns.map((column) => `${mysqlName(column)} = ${onDelete === 'set null' ? 'NULL' : 'DEFAULT'}`).join(', ')} WHERE ${where}`;
  return `CREATE TRIGGER ${mysqlName(parent.schema)}.${mysqlName(`${name.slice(0, 50)}_delete`)} BEFORE DELETE ON ${mysqlTableName(parent)} FOR EACH ROW BEGIN IF @causeway_applier IS NULL THEN ${change}; END IF; END`;
}
