/** A PostgreSQL table as a side of a comparison with another engine: rows by the texts of their fields (`field-form.ts`), hashed by SHA-256. */
import { FIELD_END, fieldMark, floatFraction, floatTiers, usualTiers } from '../field-form.ts';
import type { FieldForm, FloatTier } from '../field-form.ts';
import type { TablePlan } from '../table-plan.ts';
import type { DigestTable } from './checksum.ts';
import { quoteIdent } from './quote.ts';

const mark = (letter: string): string => `E'\\x${FIELD_END.toString(16)}${letter === '' ? '' : letter}'`;

/** `forms`: one for each column of the plan. The session is pinned (`pinSession`), the server's encoding UTF8. */
export function fieldDigestTable(plan: TablePlan, forms: readonly FieldForm[]): DigestTable {
  const column = (name: string): string => `t.${quoteIdent(name)}`;
  const formOf = (name: string): FieldForm => forms[plan.columns.findIndex((each) => each.name === name)] ?? { kind: 'text' };
  const fields = plan.columns.map(({ name }) => `coalesce(${fieldText(column(name), formOf(name))}, ${mark(fieldMark.null)})`);
  const rowText = fields.map((field) => `${field} || ${mark(fieldMark.end)}`).join(' || ');
  const digest = hashed(`convert_to(${rowText}, 'UTF8')`);
  const isKeyless = plan.keyKind === 'full';
  const key = isKeyless ? [] : plan.key.map((name) => ({ name, type: plan.columns.find((each) => each.name === name)?.type ?? 'text' }));
  const keyText = isKeyless ? `ARRAY[${digest}]` : `ARRAY[${key.map(({ name }) => keyFieldText(column(name), formOf(name))).join(', ')}]`;
  const keyHash = isKeyless ? digest : hashed(`convert_to(${key.map(({ name }) => `${keyFieldText(column(name), formOf(name))} || ${mark(fieldMark.end)}`).join(' || ')}, 'UTF8')`);
  return { table: plan.target, key, isKeyless, columns: plan.columns.map(({ name }) => name), where: plan.where, rowText, digest, hash: 'md5', keyText, keyHash };
}

/** PostgreSQL 11 has it. */
function hashed(bytes: string): string {
  return `substr(encode(sha256(${bytes}), 'hex'), 1, 32)`;
}

/** Another text than NULL's for every value: `FIELD_END` never stands alone in one. The collation of a column that stands for one of MySQL's passes control characters over. */
function fieldText(value: string, form: FieldForm): string {
  switch (form.kind) {
    case 'number':
    case 'bits':
    case 'time':
      return `${value}::text`;
    case 'float':
      return floatText(`${value}::float8`);
    case 'date':
    case 'datetime':
      return dateText(value);
    case 'instant':
      return dateText(`(${value} AT TIME ZONE 'UTC')`);
    case 'address':
      // Behind family, bits, kind and length.
      return `encode(substring(inet_send(${value}) from 5), 'hex')`;
    case 'boolean':
      return `${value}::int::text`;
    case 'text':
      return `replace(${value}::text COLLATE "C", ${mark('')}, ${mark(fieldMark.itself)})`;
    case 'labels':
      return `replace(array_to_string(${value}, ',') COLLATE "C", ${mark('')}, ${mark(fieldMark.itself)})`;
    case 'long_text':
      return hashed(`convert_to(${value}::text, 'UTF8')`);
    case 'bytes':
      return hashed(value);
    default:
      return form satisfies never;
  }
}

/** As text that the column's type reads again. */
function keyFieldText(value: string, form: FieldForm): string {
  if (form.kind === 'float') return floatDigits(value);
  return form.kind === 'text' || form.kind === 'long_text' || form.kind === 'bytes' ? `${value}::text` : fieldText(value, form);
}

/** The year 0 of MySQL is the year before 1, and −infinity stands for its date without a value. */
function dateText(value: string): string {
  return `CASE WHEN ${value} >= '0001-01-01' THEN ${value}::text WHEN ${value} = '-infinity' THEN '-infinity' ELSE '0000' || substr(replace(${value}::text, ' BC', ''), 5) END`;
}

function floatText(value: string): string {
  const size = `abs(${value})`;
  const text = ({ name, factors }: FloatTier): string => {
    const scaled = [size, ...factors.map((factor) => `${factor}::float8`)].join(' * ');
    return `'${name}:' || floor(${scaled})::bigint || ':' || ((${scaled} - floor(${scaled})) * ${floatFraction}::float8)::bigint`;
  };
  const usual = usualTiers.map((tier) => `WHEN ${size} >= ${tier.from}::float8 AND ${size} < ${tier.below}::float8 THEN ${text(tier)}`);
  const tiers = floatTiers.map((tier) => `WHEN ${size} >= ${tier.from}::float8 THEN ${text(tier)}`);
  // No number of MySQL's: NaN and the infinities.
  return `CASE WHEN ${size} > 1.7976931348623157e308::float8 THEN ${value}::text ELSE CASE WHEN ${value} < 0 THEN '-' ELSE '' END || CASE WHEN ${value} = 0 THEN '0' ${[...usual, ...tiers].join(' ')} END END`;
}

/** Without the plus sign that MySQL does not write in an exponent. */
function floatDigits(value: string): string {
  return `replace(${value}::float8::text, 'e+', 'e')`;
}
