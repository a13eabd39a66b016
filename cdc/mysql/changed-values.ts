/** Values of the source that a policy makes other ones on local, in MySQL's SQL: the preflight counts them, a comparison takes them for what they became. */
import { fractionOf, integerRange, isCharacterType } from './column-type.ts';
import type { ColumnType } from './column-type.ts';
import { mysqlName, withoutZeros } from './query.ts';
import { policyFor } from './type-loss.ts';
import type { LossKind } from './type-loss.ts';
import type { MappedColumn } from './type-map.ts';

export interface LossCondition {
  readonly kind: LossKind;
  /** True for such a value. */
  readonly condition: string;
}

export interface ChangedValue {
  /** SQL, true for every such value. */
  readonly condition: string;
  /** SQL for the text that it has on local; null: NULL. */
  readonly becomes: string | null;
}

/** What can be asked of the server in SQL. */
export function lossConditions({ column, local, plan }: Pick<MappedColumn, 'column' | 'local' | 'plan'>): LossCondition[] {
  const name = mysqlName(column.name);
  const { type } = column;
  const find = (kind: LossKind, condition: string): LossCondition[] => (plan.toLocalLosses.includes(kind) ? [{ kind, condition }] : []);
  if (isDate(type)) {
    const isZero = `CAST(${name} AS CHAR) LIKE '0000-00-00%'`;
    return [...find('zero_date', isZero), ...find('invalid_date', `(CAST(${name} AS CHAR) LIKE '____-00-%' OR CAST(${name} AS CHAR) LIKE '____-__-00%' OR DAYOFMONTH(${name}) > DAYOFMONTH(LAST_DAY(DATE_ADD(CAST(CONCAT(LEFT(CAST(${name} AS CHAR), 8), '01') AS DATE), INTERVAL 0 DAY)))) AND NOT ${isZero}`)];
  }
  if (type.name === 'enum') return find('enum_empty', `${name} + 0 = 0`);
  if (type.name === 'time') return find('time_range', `${name} < 0 OR ${name} > '24:00:00'`);
  if (integerRange(type) !== undefined) return [...find('boolean_range', `${name} NOT IN (0, 1)`), ...find('unsigned_range', `${name} > ${largest(local)}`)];
  // A character of zeros is the only one whose byte form holds none but zeros.
  if (isCharacterType(type)) return find('nul_character', `LOCATE(x'00', CAST(CONVERT(${name} USING utf8) AS BINARY)) > 0`);
  return [];
}

/** Of a zero date and a flag the clamped value is what a comparison sees in them anyway. */
const seenAsClamped: ReadonlySet<LossKind> = new Set(['zero_date', 'boolean_range']);

export function changedValues(mapped: Pick<MappedColumn, 'column' | 'local' | 'plan' | 'policies'>): ChangedValue[] {
  return lossConditions(mapped).flatMap(({ kind, condition }): ChangedValue[] => {
    switch (policyFor(mapped.policies, kind)) {
      case 'null': return [{ condition, becomes: null }];
      // Texts without U+0000 are what they are without it, and looking for it first would cost as much again.
      case 'clamp': return seenAsClamped.has(kind) ? [] : [{ condition: kind === 'nul_character' ? 'TRUE' : condition, becomes: clamped(kind, mapped) }];
      default: return [];
    }
  });
}

/** As the conversions do it. */
function clamped(kind: LossKind, { column, local }: Pick<MappedColumn, 'column' | 'local'>): string {
  const name = mysqlName(column.name);
  switch (kind) {
    case 'unsigned_range': return `'${largest(local)}'`;
    case 'time_range': return `IF(${name} < 0, '00:00:00', '24:00:00')`;
    case 'enum_empty': return `_utf8mb4 0x${Buffer.from(column.type.labels[0] ?? '').toString('hex')}`;
    case 'invalid_date': return nearestDay(name, fractionOf(column.type));
    default: return `REPLACE(CAST(CONVERT(${name} USING utf8mb4) AS BINARY), x'00', '')`;
  }
}

function nearestDay(name: string, fraction: number): string {
  const text = `CAST(${name} AS CHAR)`;
  const month = `CONCAT(LEFT(${text}, 5), LPAD(GREATEST(SUBSTR(${text}, 6, 2) + 0, 1), 2, '0'), '-')`;
  return `CONCAT(${month}, LPAD(LEAST(GREATEST(SUBSTR(${text}, 9, 2) + 0, 1), DAYOFMONTH(LAST_DAY(CONCAT(${month}, '01')))), 2, '0'), SUBSTR(${withoutZeros(name, fraction)}, 11))`;
}

function isDate(type: ColumnType): boolean {
  return ['date', 'datetime', 'timestamp'].includes(type.name);
}

function largest(local: MappedColumn['local']): string {
  return local !== 'enum' && local.name === 'bigint' ? '9223372036854775807' : local !== 'enum' && local.name === 'integer' ? '2147483647' : '32767';
}
