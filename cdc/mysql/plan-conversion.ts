/** Type of MySQL and type of local → conversion. What is not listed has none. */
import type { MysqlCapabilities } from './capabilities.ts';
import { integerRange, isByteType, isCharacterType, maxBytes } from './column-type.ts';
import { keepBoth } from './conversion.ts';
import type { ConversionPlan } from './conversion.ts';
import { bitFlagPlan, bitNumberPlan, booleanPlan, decimalPlan, floatPlan, integerPlan, numberTextPlan, yearPlan } from './convert-numbers.ts';
import { bytesPlan, enumPlan, enumTextPlan, inetPlan, jsonLongtextPlan, jsonTextPlan, jsonbPlan, setPlan, setTextPlan, textPlan, uuidBytesPlan, uuidTextPlan } from './convert-texts.ts';
import { datePlan, instantPlan, intervalPlan, timeOfDayPlan, timeTextPlan, zonedDatetimePlan } from './convert-times.ts';
import type { MysqlColumn } from './definition.ts';
import type { LocalType } from './local-type.ts';
import { policyFor } from './type-loss.ts';
import type { LossPolicies } from './type-loss.ts';

/** Undefined when values of the one cannot become values of the other. */
export function planConversion(column: MysqlColumn, local: LocalType | 'enum', server: MysqlCapabilities, policies: LossPolicies): ConversionPlan | undefined {
  const { type } = column;
  if (local === 'enum') return type.name === 'enum' ? enumPlan(type.labels) : undefined;
  const target = local.name;
  const isText = target === 'text' || (target === 'character varying' && local.modifiers.length === 0);
  if (integerRange(type) !== undefined) return integerConversion(column, local, isText);
  if (isCharacterType(type)) return textConversion(column, local);
  if (isByteType(type)) return byteConversion(column, local, isText);
  switch (type.name) {
    case 'decimal':
      if (isText) return numberTextPlan(/^-?\d+(?:\.\d+)?$/, decimalPlan(type));
      return target === 'numeric' && holdsDecimal(type.length ?? 10, type.scale ?? 0, local.modifiers) ? decimalPlan(type) : undefined;
    case 'float': case 'double':
      if (isText) return numberTextPlan(/^-?\d+(?:\.\d+)?(?:e[-+]?\d+)?$/i, floatPlan(type, type.name === 'float' ? 'real' : 'double precision'));
      return target === 'real' || target === 'double precision' ? floatPlan(type, target) : undefined;
    case 'bit': return bitConversion(type.length ?? 1, local, isText);
    case 'year':
      if (isText) return timeTextPlan(/^(?:0000|19(?:0[1-9]|[1-9]\d)|20\d\d|21(?:[0-4]\d|5[0-5]))$/);
      return target === 'smallint' || target === 'integer' || target === 'bigint' ? yearPlan : undefined;
    case 'date': case 'datetime': case 'timestamp': case 'time': return timeConversion(column, local, server, policies, isText);
    case 'enum': return !isText ? undefined : policyFor(policies, 'enum_empty') === 'text' ? enumTextPlan(type.labels) : enumPlan(type.labels);
    case 'set':
      if (target === 'text[]') return setPlan(type.labels);
      return isText ? setTextPlan(type.labels) : undefined;
    case 'json': return target === 'jsonb' ? jsonbPlan : target === 'json' || isText ? jsonTextPlan : undefined;
    case 'uuid': return target === 'uuid' || isText ? keepBoth : undefined;
    case 'inet4': case 'inet6': return target === 'inet' ? inetPlan(type.name === 'inet6') : isText ? keepBoth : undefined;
    default: return undefined;
  }
}

/** Without modifiers a numeric holds everything. */
function holdsDecimal(precision: number, scale: number, [localPrecision, localScale = 0]: readonly number[]): boolean {
  return localPrecision === undefined || (localScale >= scale && localPrecision - localScale >= precision - scale);
}

function integerConversion({ type }: MysqlColumn, local: LocalType, isText: boolean): ConversionPlan | undefined {
  switch (local.name) {
    case 'boolean': return type.name === 'tinyint' ? booleanPlan : undefined;
    case 'smallint': case 'integer': case 'bigint': return integerPlan(type, local.name);
    case 'numeric': return holdsDecimal(`${integerRange(type)?.max ?? 0n}`.length, 0, local.modifiers) ? integerPlan(type, 'numeric') : undefined;
    default: return isText ? numberTextPlan(/^-?\d+$/, integerPlan(type, 'bigint')) : undefined;
  }
}

function textConversion(column: MysqlColumn, local: LocalType): ConversionPlan | undefined {
  const { type, charset } = column;
  const own = textPlan({ charset: charset ?? 'utf8mb4', maxCharacters: type.name === 'char' || type.name === 'varchar' ? type.length : undefined, maxBytes: maxBytes(type), isBlankCut: type.name === 'char' });
  switch (local.name) {
    case 'text': return own;
    case 'character varying': return (local.modifiers[0] ?? Infinity) >= (type.name === 'char' || type.name === 'varchar' ? type.length ?? 1 : Infinity) ? own : undefined;
    case 'json': return column.isJsonText ? jsonLongtextPlan : own;
    case 'jsonb': return column.isJsonText ? jsonbPlan : undefined;
    case 'uuid': return type.length === 36 ? uuidTextPlan : undefined;
    default: return undefined;
  }
}

function byteConversion({ type }: MysqlColumn, local: LocalType, isText: boolean): ConversionPlan | undefined {
  if (local.name === 'uuid') return type.name === 'binary' && type.length === 16 ? uuidBytesPlan : undefined;
  const limit = type.name === 'binary' || type.name === 'varbinary' ? (type.length ?? 1) : maxBytes(type);
  return local.name === 'bytea' || isText ? bytesPlan(limit, type.name === 'binary') : undefined;
}

function bitConversion(bits: number, local: LocalType, isText: boolean): ConversionPlan | undefined {
  switch (local.name) {
    case 'boolean': return bits === 1 ? bitFlagPlan : undefined;
    case 'bit': return (local.modifiers[0] ?? 1) === bits ? keepBoth : undefined;
    case 'smallint': return bits < 16 ? bitNumberPlan(bits) : undefined;
    case 'integer': return bits < 32 ? bitNumberPlan(bits) : undefined;
    case 'bigint': return bitNumberPlan(bits);
    default: return isText ? timeTextPlan(new RegExp(`^[01]{${bits}}$`)) : undefined;
  }
}

function timeConversion({ type }: MysqlColumn, local: LocalType, server: MysqlCapabilities, policies: LossPolicies, isText: boolean): ConversionPlan | undefined {
  const digits = type.length ?? 0;
  // -infinity is the zero date only where the zero date became it.
  const takesZero = policyFor(policies, 'zero_date') === 'clamp';
  const holdsFraction = (local.modifiers[0] ?? 6) >= digits;
  if (isText) return timeTextPlan(type.name === 'time' ? /^-?\d{2,3}:\d\d:\d\d(?:\.\d+)?$/ : type.name === 'date' ? /^\d{4}-\d\d-\d\d$/ : /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$/);
  if (type.name === 'date') return local.name === 'date' ? datePlan(undefined, takesZero) : undefined;
  if (!holdsFraction) return undefined;
  if (type.name === 'datetime') return local.name === 'timestamp' ? datePlan(digits, takesZero) : local.name === 'timestamptz' ? zonedDatetimePlan(digits, takesZero) : undefined;
  if (type.name === 'timestamp') return local.name === 'timestamptz' || local.name === 'timestamp' ? instantPlan(digits, takesZero, server.lastTimestamp, local.name === 'timestamptz') : undefined;
  return local.name === 'interval' ? intervalPlan(digits) : local.name === 'time' ? timeOfDayPlan(digits) : undefined;
}
