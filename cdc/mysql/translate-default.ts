/** Defaults of columns, as local spells them. */
import { quoteLiteral } from '../postgres/quote.ts';
import type { MysqlColumn } from './definition.ts';
import { policyFor } from './type-loss.ts';
import type { MappedColumn } from './type-map.ts';
import { translateExpression } from './translate-expression.ts';
import type { ExpressionScope, Translation } from './translate-expression.ts';

/** `spelled`: the type as it stands behind `::`. Undefined: no default. */
export function translateDefault(mapped: MappedColumn, spelled: string, scope: ExpressionScope): Translation | undefined {
  const { column } = mapped;
  if (column.default === null) return undefined;
  if (column.default.kind === 'literal') return literalDefault(mapped, spelled, column.default.text);
  return nowDefault(column, spelled, column.default.text) ?? uuidDefault(spelled, column.default.text) ?? translateExpression(column.default.text, scope);
}

/** Through the column's own conversion: the default has to be what a row with that value becomes. */
function literalDefault({ column, plan, policies }: MappedColumn, spelled: string, text: string): Translation {
  let refused: string | undefined;
  const { toLocal } = plan.make((kind, value, clamped) => {
    // As in every row: -infinity stands for the zero date.
    if (kind === 'zero_date' && policyFor(policies, kind) === 'clamp') return clamped;
    refused = `the default ${JSON.stringify(value)} (${kind})`;
    return null;
  }, () => null);
  const converted = toLocal(canonicalLiteral(column, text));
  if (converted === null || refused !== undefined) return { ok: false, refused: refused ?? 'a default without a counterpart' };
  return { ok: true, sql: `${quoteLiteral(converted)}::${spelled}`, kind: 'other' };
}

/** The catalogs give numbers with fewer digits than the column has, and times without their fraction. */
function canonicalLiteral({ type }: MysqlColumn, text: string): string {
  if (type.name === 'year' && text === '0') return '0000';
  if (type.name === 'date') return text.slice(0, 10);
  return text;
}

/** The time of the statement, as MySQL's; cut to the column's digits, which local would round. */
function nowDefault(column: MysqlColumn, spelled: string, text: string): Translation | undefined {
  if (!/^\(?(?:current_timestamp|now|localtime|localtimestamp)(?:\(\d?\))?\)?$/i.test(text)) return undefined;
  return { ok: true, sql: nowExpression(column.type.length ?? 0, spelled), kind: 'time' };
}

/** `digits` of 1, 2, 4 and 5 are cut to the next lower unit that local can cut to. */
export function nowExpression(digits: number, spelled: string): string {
  const unit = digits >= 6 ? undefined : digits >= 3 ? 'milliseconds' : 'second';
  return `(${unit === undefined ? 'statement_timestamp()' : `date_trunc('${unit}', statement_timestamp())`})::${spelled}`;
}

function uuidDefault(spelled: string, text: string): Translation | undefined {
  return /^\(?uuid\(\)\)?$/i.test(text) ? { ok: true, sql: `(gen_random_uuid())::${spelled}`, kind: 'other' } : undefined;
}
