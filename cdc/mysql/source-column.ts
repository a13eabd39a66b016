/** A column as the load, the stream and the checksums need it: its type on MySQL, and how its values become local's. */
import { MigrationError } from '../../config/migration-error.ts';
import type { TablePlan } from '../table-plan.ts';
import { changedValues } from './changed-values.ts';
import type { ChangedValue } from './changed-values.ts';
import type { ColumnType } from './column-type.ts';
import { keepText } from './conversion.ts';
import type { ConvertText } from './conversion.ts';
import { introspectMysqlTable } from './introspect.ts';
import type { MysqlQuery } from './query.ts';
import type { TypeLoss } from './type-loss.ts';
import { makeConversion, mapColumn } from './type-map.ts';
import type { MapOverrides } from './type-map.ts';

export interface SourceColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** Of characters; undefined for every other type. */
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  /** Type on local, as the plan has it. */
  readonly local: string;
  /** From canonical text. `keepText` itself: the bytes may be handed on unread. */
  readonly toLocal: ConvertText;
  /** By the column's policies. */
  readonly changed: readonly ChangedValue[];
  /** See `ConversionPlan`. */
  readonly keepsOrdinary: boolean;
}

/** What a migration's own words say of the types of its tables. */
export interface TypeRules {
  /** Of OPTIONS (type_map …). */
  overridesOf(plan: TablePlan): MapOverrides;
  /** A policy has changed a value on its way to local. */
  onLoss(plan: TablePlan, loss: TypeLoss): void;
}

export const standardTypes: TypeRules = { overridesOf: () => [], onLoss: () => undefined };

/** The carried columns, in the plan's order. Throws MIG010, MIG011. */
export async function readSourceColumns(query: MysqlQuery, plan: TablePlan, types: TypeRules): Promise<readonly SourceColumn[]> {
  const { columns, server } = await introspectMysqlTable(query, plan.source);
  const overrides = types.overridesOf(plan);
  return plan.columns.map(({ name, type: local }) => {
    const column = columns.find((each) => each.name === name);
    if (!column) throw new MigrationError('MIG011', `The source table has no column ${name}`, { tableName: plan.source.name });
    const mapped = mapColumn(column, server, overrides);
    const { toLocal } = makeConversion(mapped, (loss) => types.onLoss(plan, loss));
    return { name, type: column.type, charset: column.charset ?? undefined, collation: column.collation ?? undefined, local, toLocal, changed: changedValues(mapped), keepsOrdinary: mapped.plan.keepsOrdinary === true };
  });
}

export function keepsAll(column: Pick<SourceColumn, 'toLocal'>): boolean {
  return column.toLocal === keepText;
}
