/**
 * Bindings of one stream, by layout: the partitions of a table that are laid out alike share one, so that changes which go to many
 * partitions are still written as one set. The first of them stands for all in `relation`.
 */
import type { Relation } from '../change.ts';
import { quoteTable } from '../postgres/quote.ts';
import type { TablePlan } from '../table-plan.ts';
import type { TargetShape } from './bound-table.ts';
import { bindTable } from './table-binding.ts';
import type { TableBinding } from './table-binding.ts';

export class BindingCache {
  readonly #byLayout = new Map<string, TableBinding>();

  bind(plan: TablePlan, relation: Relation, shape: TargetShape): TableBinding {
    const layout = JSON.stringify([plan.tableId, relation.replicaIdentity, relation.columns]);
    const known = this.#byLayout.get(layout);
    if (known?.plan === plan && known.shape === shape) return known;
    const binding = bindTable(plan, relation, shape);
    this.#byLayout.set(layout, binding);
    return binding;
  }
}

/** The binding for TRUNCATE of this very relation: a partition is emptied alone, under the name that it has on the target. */
export function bindTruncated(table: TableBinding, relation: Pick<Relation, 'schema' | 'name'>): TableBinding {
  const { source, target } = table.plan;
  if (relation.schema === source.schema && relation.name === source.name) return table;
  return { ...table, targetName: quoteTable({ schema: relation.schema === source.schema ? target.schema : relation.schema, name: relation.name }) };
}
