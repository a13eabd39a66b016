/** The texts of `field-form.ts` in MySQL's SQL, all of them strings of bytes: no collation has a say. */
import { FIELD_END, fieldMark, floatFraction, floatTiers, usualTiers } from '../field-form.ts';
import type { FieldForm, FloatTier } from '../field-form.ts';
import { fractionOf, isByteType, isCharacterType } from './column-type.ts';
import type { ColumnType } from './column-type.ts';
import { mysqlName, withoutZeros } from './query.ts';
import type { SourceColumn } from './source-column.ts';

type ComparedColumn = Pick<SourceColumn, 'name' | 'type' | 'changed'>;

/** How values of a column are compared, by its type here and the type (as `format_type` writes it) that it has on PostgreSQL. */
export function fieldForm(type: ColumnType, localType: string): FieldForm {
  const local = localType.replace(/\(.*?\)/, '').replace(/^pg_catalog\./, '');
  if (local === 'boolean') return { kind: 'boolean' };
  if (local.endsWith('[]')) return { kind: 'labels' };
  if (local === 'bit' || local === 'bit varying') return { kind: 'bits', length: type.length ?? 1 };
  if (/^(?:smallint|integer|bigint|numeric)$/.test(local)) return { kind: 'number' };
  if (local === 'real' || local === 'double precision') return { kind: 'float' };
  if (local === 'timestamp with time zone') return { kind: 'instant' };
  if (local.startsWith('timestamp')) return { kind: 'datetime' };
  if (local === 'date') return { kind: 'date' };
  if (local === 'interval' || local.startsWith('time')) return { kind: 'time' };
  if (local === 'bytea') return { kind: 'bytes' };
  if (local === 'inet') return { kind: 'address' };
  return /^(?:tiny|medium|long)?text$|^json$/.test(type.name) ? { kind: 'long_text' } : { kind: 'text' };
}

const end = Buffer.from(`${String.fromCharCode(FIELD_END)}${fieldMark.end}`).toString('hex');
const nothing = Buffer.from(`${String.fromCharCode(FIELD_END)}${fieldMark.null}`).toString('hex');
const itself = Buffer.from(`${String.fromCharCode(FIELD_END)}${fieldMark.itself}`).toString('hex');
const escaped = (bytes: string): string => `REPLACE(${bytes}, 0x${FIELD_END.toString(16)}, 0x${itself})`;
/** The connection's charset is utf8mb4: so is what a number or a date is written in. */
const bytesOf = (text: string): string => `CAST(${text} AS BINARY)`;

export function rowText(columns: readonly ComparedColumn[], forms: readonly FieldForm[]): string {
  return `CONCAT(${columns.map((column, at) => `IFNULL(${textOnLocal(column, forms[at] ?? { kind: 'text' })}, 0x${nothing}), 0x${end}`).join(', ')})`;
}

/** What a policy has made another value is compared as that. */
function textOnLocal(column: ComparedColumn, form: FieldForm): string {
  const wanted = (text: string): string => (form.kind === 'text' || form.kind === 'labels' ? escaped(bytesOf(text)) : form.kind === 'long_text' ? hashed(bytesOf(text)) : bytesOf(text));
  return column.changed.reduce((text, { condition, becomes }) => `IF(${condition}, ${becomes === null ? 'NULL' : wanted(becomes)}, ${text})`, fieldText(column, form));
}

export function keyHash(columns: readonly ComparedColumn[], forms: readonly FieldForm[]): string {
  return hashed(`CONCAT(${columns.map((column, at) => `${keyFieldText(column, forms[at] ?? { kind: 'text' })}, 0x${end}`).join(', ')})`);
}

export function hashed(bytes: string): string {
  return `LEFT(SHA2(${bytes}, 256), 32)`;
}

/** NULL for NULL. */
export function fieldText(column: ComparedColumn, form: FieldForm): string {
  switch (form.kind) {
    case 'text':
    case 'labels':
      return escaped(unicode(column));
    case 'long_text':
      return hashed(unicode(column));
    case 'bytes':
      return hashed(mysqlName(column.name));
    default:
      return bytesOf(plainText(column, form));
  }
}

/** As text that local's type reads again. */
export function keyFieldText(column: ComparedColumn, form: FieldForm): string {
  if (form.kind === 'bytes') return `CONCAT(0x5c78, LOWER(HEX(${mysqlName(column.name)})))`;
  if (form.kind === 'float') return floatDigits(mysqlName(column.name));
  return form.kind === 'text' || form.kind === 'long_text' ? unicode(column) : fieldText(column, form);
}

function unicode(column: ComparedColumn): string {
  const name = mysqlName(column.name);
  if (isByteType(column.type)) return bytesOf(`CONCAT(0x5c78, LOWER(HEX(${name})))`);
  if (isCharacterType(column.type) || /^(?:enum|set|json)$/.test(column.type.name)) return bytesOf(`CONVERT(${name} USING utf8mb4)`);
  return bytesOf(plainText(column, { kind: 'number' }));
}

function plainText(column: ComparedColumn, form: Exclude<FieldForm, { kind: 'text' | 'labels' | 'long_text' | 'bytes' }>): string {
  const name = mysqlName(column.name);
  switch (form.kind) {
    case 'boolean':
      return `IF(${name} = 0, '0', IF(${name} IS NULL, NULL, '1'))`;
    case 'bits':
      return `LPAD(BIN(${name} + 0), ${form.length}, '0')`;
    case 'float':
      return floatText(name);
    case 'number':
      return `CAST(${column.type.name === 'year' || column.type.name === 'bit' || column.type.zerofill ? `${name} + 0` : name} AS CHAR)`;
    case 'date':
    case 'datetime':
    case 'instant':
      return `IF(${name} = 0, '-infinity', ${withoutZeros(name, fractionOf(column.type))})`;
    case 'address':
      return `LOWER(HEX(CAST(${name} AS BINARY(${column.type.name === 'inet4' ? 4 : 16}))))`;
    case 'time':
      return withoutZeros(name, fractionOf(column.type));
    default:
      return form satisfies never;
  }
}

function floatText(name: string): string {
  const size = `ABS(${name} * 1e0)`;
  const text = ({ name: tier, factors }: FloatTier): string => {
    const scaled = [size, ...factors].join(' * ');
    return `CONCAT('${tier}:', CAST(FLOOR(${scaled}) AS SIGNED), ':', CAST((${scaled} - FLOOR(${scaled})) * ${floatFraction} AS SIGNED))`;
  };
  const usual = usualTiers.map((tier) => `WHEN ${size} >= ${tier.from} AND ${size} < ${tier.below} THEN ${text(tier)}`);
  const tiers = floatTiers.map((tier) => `WHEN ${size} >= ${tier.from} THEN ${text(tier)}`);
  return `CONCAT(IF(${name} < 0, '-', ''), CASE WHEN ${name} = 0 THEN '0' ${[...usual, ...tiers].join(' ')} END)`;
}

/** Of a FLOAT the text has six digits, of the DOUBLE that it is all of them. */
function floatDigits(name: string): string {
  return bytesOf(`${name} * 1e0`);
}
