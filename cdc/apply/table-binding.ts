/**
 * A table's plan joined with the relation that the stream describes: which values of a tuple go where, and the SQL that puts
 * them there. Frozen; made again when the source describes the table anew.
 */
import type { Relation } from '../change.ts';
import { quoteName, quoteTable } from '../postgres/connect.ts';
import type { TablePlan } from '../table-plan.ts';
import type { BoundColumn, BoundTable, TargetShape } from './bound-table.ts';
import { buildStatements } from './statements.ts';
import type { TableStatements } from './statements.ts';

export interface TableBinding extends BoundTable {
  readonly statements: TableStatements;
}

export function bindTable(plan: TablePlan, relation: Relation, shape: TargetShape): TableBinding {
  const place = new Map(relation.columns.map((column, index) => [column.name, index]));
  const columns: BoundColumn[] = [];
  for (const column of plan.columns) {
    const at = place.get(column.name);
    if (at === undefined || shape.generated.has(column.name)) continue;
    columns.push({ plan: column, at, quoted: quoteName(column.name) });
  }
  const keyColumns = plan.keyKind === 'full' ? [] : plan.key.map((name) => boundColumn(columns, name));
  const base = {
    plan,
    relation,
    columns,
    keyColumns,
    keyPlaces: keyColumns.map((column) => column.at),
    foldable: keyColumns.length > 0 && keyColumns.every((column) => column.plan.canonicalText),
    looseKey: plan.where === undefined ? keyColumns.filter((column) => shape.looseTexts?.has(column.plan.name)) : [],
    mayLeaveOut: plan.columns.some((column) => column.toastable),
    targetName: quoteTable(plan.target),
    shape,
  };
  return { ...base, statements: buildStatements(base) };
}

/** A relation of the plan's own columns stands in for the stream's. */
export function bindPlan(plan: TablePlan, shape: TargetShape): TableBinding {
  const columns = plan.columns.map((column) => ({ name: column.name, typeOid: column.typeOid, typmod: -1, inKey: plan.key.includes(column.name) }));
  return bindTable(plan, { oid: 0, schema: plan.source.schema, name: plan.source.name, replicaIdentity: 'default', columns }, shape);
}

function boundColumn(columns: readonly BoundColumn[], name: string): BoundColumn {
  const found = columns.find((column) => column.plan.name === name);
  if (!found) throw new Error(`key column ${name} is not carried`);
  return found;
}
