/**
 * `dual_write_mode 'two_phase'`: which tables' rows may be written to local by the transactions of clients themselves, and when. All others wait for the stream, as in
 * `sync`.
 */
import type { TableRecord } from '../../catalog/records.ts';
import type { MarkableTable } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { detailsOf } from './table-details.ts';

/** Their text says the same whatever the settings under which it is written. */
const keyTypes = /^(smallint|integer|bigint|uuid|text|character varying|boolean|oid)\b/;

export function isTwoPhase({ options }: TableRecord): boolean {
  return options['dualWriteMode'] === 'two_phase';
}

/** Why the rows of no write can be had; undefined when they can. */
export function markingObstacle(plan: TablePlan): string | undefined {
  if (plan.keyKind === 'full') return 'it has no key';
  if (plan.isPartitioned) return 'it is partitioned';
  if (plan.where !== undefined) return 'only some of its rows are migrated (where_clause)';
  // A row that comes early may hold a value that another row, whose changes are still on their way, has to have first.
  if (plan.uniqueKeys.length > 0) return 'it has another unique key, or an exclusion constraint';
  const odd = plan.columns.find((column) => plan.key.includes(column.name) && (!column.canonicalText || !keyTypes.test(column.type)));
  if (odd) return `column ${odd.name} of its key has type ${odd.type}`;
  const money = plan.columns.find((column) => /^money\b/.test(column.type));
  return money && `column ${money.name} has type money`;
}

/** In force: the table is dual-written, and local follows it. */
export function markableTable(record: TableRecord): MarkableTable | undefined {
  const isFollowed = (record.state === 'DUAL_WRITE' || record.state === 'CUTOVER_READY') && record.route.writes === 'source' && record.route.waitVisible;
  const { plan } = detailsOf(record);
  if (!isFollowed || !isTwoPhase(record) || markingObstacle(plan) !== undefined) return undefined;
  return { local: plan.target, columns: plan.columns.map(({ name, type }) => ({ name, type })), key: plan.key };
}
