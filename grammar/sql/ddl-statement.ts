/**
 * Facts of DDL and maintenance. Whatever relation such a statement names is found by shape (every node with a `relname`),
 * so that a form which is new to this file still names its tables; names that stand as bare lists (DROP, COMMENT, SECURITY LABEL) are read apart.
 */
import { FactsCollector, rangeVarRef, relationRef } from './facts-collector.ts';
import { collectQuery } from './query-relations.ts';
import { temporaryTarget } from './temporary-target.ts';
import type { RelationRef, StatementFacts, StatementKind } from './statement-facts.ts';
import { isTree, listOf, nameParts, nodeOf, optionTruth, stringOf, treeOf } from './tree.ts';
import type { Tree } from './tree.ts';

const maintenance: ReadonlySet<string> = new Set(['VacuumStmt', 'ClusterStmt', 'ReindexStmt', 'RefreshMatViewStmt']);
const STATISTICS = 'OBJECT_STATISTIC_EXT';
/** Objects whose list of names is a relation's own; extended statistics have names of the same kind. */
const relationObjects: ReadonlySet<string> = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_INDEX', 'OBJECT_SEQUENCE', 'OBJECT_FOREIGN_TABLE', STATISTICS]);
/** Objects whose list of names is a relation's with one more name behind it. */
const partObjects: ReadonlySet<string> = new Set(['OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT', 'OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY']);

/** Takes every statement that no other family has taken. */
export function ddlStatement(name: string, node: Tree): StatementFacts {
  const collector = new FactsCollector();
  if (isOutsideTransaction(name, node)) collector.raise('outsideTransaction');
  const command = commandOf(name, node);
  const temporary = name === 'CreateStmt' || name === 'CreateSeqStmt' ? temporaryTarget(treeOf(node['relation'] ?? node['sequence']) ?? {}) : undefined;
  collectNames(node, collector);
  collectObjects(name, node, collector);
  collectOwner(node['options'], collector);
  if (temporary !== undefined) return temporaryFacts(collector, temporary, command);
  return collector.facts(kindOf(name), { command, objectName: name === 'RenameStmt' ? stringOf(node['newname']) : undefined });
}

/** What the definition names besides the new relation (LIKE, INHERITS) must be there where it is made: reads. */
function temporaryFacts(collector: FactsCollector, temporary: RelationRef, command: string): StatementFacts {
  const named = collector.facts('ddl').ddl.filter((relation) => relation.name !== temporary.name);
  for (const relation of named) collector.read(relation);
  return collector.facts('create_temp', { ddl: [temporary], objectName: temporary.name, command });
}

function kindOf(name: string): StatementKind {
  return maintenance.has(name) ? 'maintenance' : 'ddl';
}

/**
 * Queries inside (CREATE VIEW, CREATE RULE, policies) are read with their CTEs; the body of an SQL function is not: its
 * tables are touched when it is called.
 */
function collectNames(root: Tree, into: FactsCollector): void {
  const work: unknown[] = [root];
  for (let value = work.pop(); value !== undefined; value = work.pop()) {
    if (Array.isArray(value)) {
      work.push(...value.filter((item) => typeof item === 'object' && item !== null));
      continue;
    }
    if (!isTree(value)) continue;
    if (typeof value['relname'] === 'string') {
      const relation = rangeVarRef(value);
      if (relation !== undefined) into.define(relation);
      continue;
    }
    for (const field of Object.keys(value)) {
      const child = value[field];
      if (field === 'sql_body' || typeof child !== 'object' || child === null) continue;
      if (isQuery(field)) collectDefinition(field, child, into);
      else work.push(child);
    }
  }
}

function isQuery(field: string): boolean {
  return field === 'SelectStmt' || field === 'InsertStmt' || field === 'UpdateStmt' || field === 'DeleteStmt' || field === 'MergeStmt';
}

/** A definition only names what its query will touch later: reads, whatever the query does with it; calls are not made now. */
function collectDefinition(name: string, query: unknown, into: FactsCollector): void {
  const inside = new FactsCollector();
  collectQuery({ [name]: query }, inside);
  const facts = inside.facts('select');
  for (const relation of [...facts.reads, ...facts.writes]) into.read(relation);
}

/** DROP a, b; COMMENT ON …; SECURITY LABEL ON …; ALTER … OWNER/SET SCHEMA/DEPENDS of objects given as name lists. */
function collectObjects(statement: string, node: Tree, into: FactsCollector): void {
  const renamed = node['renameType'] === STATISTICS ? STATISTICS : undefined;
  const type = stringOf(node['removeType']) ?? stringOf(node['objtype']) ?? stringOf(node['objectType']) ?? renamed ?? (statement === 'AlterStatsStmt' ? STATISTICS : '');
  const partly = partObjects.has(type);
  if (!partly && !relationObjects.has(type)) return;
  const objects = node['removeType'] === undefined ? [node['object'] ?? node['defnames']] : listOf(node['objects']);
  for (const object of objects) {
    const parts = nameParts(object);
    const names = partly ? parts?.slice(0, -1) : parts;
    const name = names?.at(-1);
    if (name !== undefined) into.define(relationRef(names?.at(-2), name));
  }
}

/** ALTER SEQUENCE … OWNED BY t.c ties the sequence to a table. */
function collectOwner(options: unknown, into: FactsCollector): void {
  for (const item of listOf(options)) {
    const option = nodeOf(item, 'DefElem');
    if (option?.['defname'] !== 'owned_by') continue;
    const parts = nameParts(option['arg']) ?? [];
    const name = parts.at(-2);
    if (name !== undefined) into.define(relationRef(parts.at(-3), name));
  }
}

const neverInTransaction: ReadonlySet<string> = new Set(['CreatedbStmt', 'DropdbStmt', 'CreateTableSpaceStmt', 'DropTableSpaceStmt']);

function isOutsideTransaction(name: string, node: Tree): boolean {
  if (neverInTransaction.has(name) || node['concurrent'] === true && name !== 'RefreshMatViewStmt') return true;
  switch (name) {
    case 'VacuumStmt': return node['is_vacuumcmd'] === true;
    case 'ClusterStmt': return node['relation'] === undefined;
    case 'ReindexStmt': return node['relation'] === undefined || hasOption(node['params'], 'concurrently');
    case 'CreateSubscriptionStmt': return !isOff(node['options'], 'create_slot') && !isOff(node['options'], 'connect');
    case 'DropSubscriptionStmt': return true;
    case 'AlterTableStmt': return listOf(node['cmds']).some((item) => treeOf(treeOf(nodeOf(item, 'AlterTableCmd')?.['def'])?.['PartitionCmd'])?.['concurrent'] === true);
    default: return false;
  }
}

function hasOption(options: unknown, name: string): boolean {
  return listOf(options).some((item) => {
    const option = nodeOf(item, 'DefElem');
    return option?.['defname'] === name && optionTruth(option) === true;
  });
}

function isOff(options: unknown, name: string): boolean {
  return listOf(options).some((item) => {
    const option = nodeOf(item, 'DefElem');
    return option?.['defname'] === name && optionTruth(option) === false;
  });
}

/** `DROP TABLE`, `ALTER INDEX`, `CREATE TRIG` …: close enough to the command tag to be read by people. */
function commandOf(name: string, node: Tree): string {
  const object = (stringOf(node['removeType']) ?? stringOf(node['renameType']) ?? stringOf(node['objtype']) ?? stringOf(node['objectType']) ?? '')
    .replace(/^OBJECT_/, '').replace('MATVIEW', 'MATERIALIZED VIEW').replace('TABCONSTRAINT', 'CONSTRAINT').replace('STATISTIC_EXT', 'STATISTICS').replaceAll('_', ' ');
  if (name === 'VacuumStmt') return node['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE';
  if (name === 'DropStmt') return `DROP ${object}`;
  if (name === 'CommentStmt') return `COMMENT ON ${object}`;
  if (name === 'GrantStmt') return node['is_grant'] === true ? 'GRANT' : 'REVOKE';
  if (name === 'RenameStmt' || name === 'AlterTableStmt' || name.startsWith('AlterO')) return `ALTER ${object}`;
  return fixedCommands[name] ?? name.replace(/Stmt$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase();
}

const fixedCommands: Readonly<Record<string, string>> = {
  CreateStmt: 'CREATE TABLE', IndexStmt: 'CREATE INDEX', CreateTrigStmt: 'CREATE TRIGGER', RuleStmt: 'CREATE RULE', CreateSeqStmt: 'CREATE SEQUENCE',
  AlterSeqStmt: 'ALTER SEQUENCE', CreatedbStmt: 'CREATE DATABASE', DropdbStmt: 'DROP DATABASE', RefreshMatViewStmt: 'REFRESH MATERIALIZED VIEW',
  ClusterStmt: 'CLUSTER', ReindexStmt: 'REINDEX', CreateForeignTableStmt: 'CREATE FOREIGN TABLE', SecLabelStmt: 'SECURITY LABEL', AlterStatsStmt: 'ALTER STATISTICS',
};
