/** Numbers, bits and years. */
import type { ColumnType } from './column-type.ts';
import { integerRange } from './column-type.ts';
import { keepText } from './conversion.ts';
import type { ConversionPlan, ConvertText } from './conversion.ts';
import type { LossKind, OnLoss } from './type-loss.ts';

interface Range {
  readonly min: bigint;
  readonly max: bigint;
}

const localRanges: Readonly<Record<string, Range>> = {
  smallint: { min: -(1n << 15n), max: (1n << 15n) - 1n }, integer: { min: -(1n << 31n), max: (1n << 31n) - 1n }, bigint: { min: -(1n << 63n), max: (1n << 63n) - 1n },
};

/** ZEROFILL is a matter of display: `00042` → `42`. */
function withoutZeros(text: string): string {
  let at = 0;
  while (text.charCodeAt(at) === 48 && text.charCodeAt(at + 1) >= 48) at += 1;
  return at === 0 ? text : text.slice(at);
}

function withinRange(range: Range, kind: LossKind, onLoss: OnLoss): ConvertText {
  const allowsNegative = range.min < 0n;
  // Shorter numbers are inside whatever their digits are.
  const safeDigits = Math.min(`${range.max}`.length, allowsNegative ? `${-range.min}`.length : 99) - 1;
  return (text) => {
    const isNegative = text.charCodeAt(0) === 45;
    const digits = isNegative ? text.length - 1 : text.length;
    if (digits <= safeDigits && (!isNegative || allowsNegative)) return text;
    const value = BigInt(text);
    if (value >= range.min && value <= range.max) return text;
    return onLoss(kind, text, `${value < range.min ? range.min : range.max}`);
  };
}

/** Integer types to `smallint`, `integer`, `bigint` or `numeric`. */
export function integerPlan(type: ColumnType, target: string): ConversionPlan {
  const range = integerRange(type) ?? localRanges['bigint'] ?? { min: 0n, max: 0n };
  const local = localRanges[target];
  const isNarrower = local !== undefined && (range.min < local.min || range.max > local.max);
  return {
    toLocalLosses: isNarrower ? ['unsigned_range'] : [], toSourceLosses: ['integer_range', ...(local === undefined ? ['fraction', 'not_finite'] as const : [])],
    make: (toLocal, toSource) => {
      const checked = isNarrower ? withinRange(local, 'unsigned_range', toLocal) : keepText;
      const back = withinRange(range, 'integer_range', toSource);
      return {
        toLocal: type.zerofill ? (text) => checked(withoutZeros(text)) : checked,
        toSource: local !== undefined ? back : (text) => {
          if (!isDigits(text)) {
            const whole = wholeNumber(text, range, toSource);
            return whole === null ? null : back(whole);
          }
          return back(text);
        },
      };
    },
  };
}

function isDigits(text: string): boolean {
  for (let at = text.charCodeAt(0) === 45 ? 1 : 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** A numeric that is no plain integer. */
function wholeNumber(text: string, range: Range, onLoss: OnLoss): string | null {
  const point = text.indexOf('.');
  if (point < 0) return onLoss('not_finite', text, text === 'NaN' ? '0' : `${text.startsWith('-') ? range.min : range.max}`);
  const whole = text.slice(0, point) === '-0' ? '0' : text.slice(0, point);
  return /^0*$/.test(text.slice(point + 1)) ? whole : onLoss('fraction', text, whole);
}

/** TINYINT(1) and BIT(1) to `boolean`. */
export const booleanPlan: ConversionPlan = {
  toLocalLosses: ['boolean_range'], toSourceLosses: [],
  make: (toLocal) => ({
    toLocal: (text) => (text === '1' ? 't' : text === '0' ? 'f' : toLocal('boolean_range', text, 't')),
    toSource: (text) => (text === 't' || text === 'true' ? '1' : '0'),
  }),
};

/** BIT(1) has no other values. */
export const bitFlagPlan: ConversionPlan = { ...booleanPlan, toLocalLosses: [] };

/** BIT(n) to an integer type. */
export function bitNumberPlan(bits: number): ConversionPlan {
  const range = { min: 0n, max: (1n << BigInt(bits)) - 1n };
  return {
    toLocalLosses: bits > 63 ? ['unsigned_range'] : [], toSourceLosses: ['integer_range'],
    make: (toLocal, toSource) => {
      const checked = bits > 63 ? withinRange(localRanges['bigint'] ?? range, 'unsigned_range', toLocal) : keepText;
      const back = withinRange(range, 'integer_range', toSource);
      return {
        toLocal: (text) => checked(`${BigInt(`0b${text}`)}`),
        toSource: (text) => {
          const kept = back(text);
          return kept === null ? null : BigInt(kept).toString(2).padStart(bits, '0');
        },
      };
    },
  };
}

/** YEAR is 0 or 1901 to 2155. */
export const yearPlan: ConversionPlan = {
  toLocalLosses: [], toSourceLosses: ['integer_range'],
  make: (_, toSource) => ({
    toLocal: (text) => (text === '0000' ? '0' : text),
    toSource: (text) => {
      if (text === '0') return '0000';
      const year = Number(text);
      return year >= 1901 && year <= 2155 ? text : toSource('integer_range', text, year < 951 ? '0000' : year < 1901 ? '1901' : '2155');
    },
  }),
};

/** DECIMAL to `numeric`, of whatever precision. */
export function decimalPlan(type: ColumnType): ConversionPlan {
  const precision = type.length ?? 10;
  const scale = type.scale ?? 0;
  const largest = `${'9'.repeat(precision - scale) || '0'}${scale === 0 ? '' : `.${'9'.repeat(scale)}`}`;
  const smallest = type.unsigned ? padScale('0', scale) : `-${largest}`;
  return {
    toLocalLosses: [], toSourceLosses: ['decimal_range', 'fraction', 'not_finite'],
    make: (_, toSource) => ({
      toLocal: type.zerofill ? withoutZeros : keepText,
      toSource: (text) => {
        const last = text.charCodeAt(text.length - 1);
        if (last < 48 || last > 57) return toSource('not_finite', text, text === 'NaN' ? padScale('0', scale) : text.startsWith('-') ? smallest : largest);
        const isNegative = text.charCodeAt(0) === 45;
        const point = text.indexOf('.');
        const start = isNegative ? 1 : 0;
        const whole = (point < 0 ? text.length : point) - start;
        if ((whole > precision - scale && !(whole === 1 && text.charCodeAt(start) === 48)) || (isNegative && type.unsigned)) return toSource('decimal_range', text, isNegative ? smallest : largest);
        const digits = point < 0 ? 0 : text.length - point - 1;
        if (digits === scale) return text;
        if (digits < scale) return padScale(text, scale);
        const kept = text.slice(0, scale === 0 ? point : point + 1 + scale);
        return /^0*$/.test(text.slice(point + 1 + scale)) ? kept : toSource('fraction', text, kept);
      },
    }),
  };
}

function padScale(text: string, scale: number): string {
  if (scale === 0) return text;
  const point = text.indexOf('.');
  return point < 0 ? `${text}.${'0'.repeat(scale)}` : text.padEnd(point + 1 + scale, '0');
}

/** Not its shortest text, 3.4028235e38, which is above it and refused by MySQL. */
const largestFloat = '3.4028234663852886e38';
const largestDouble = '1.7976931348623157e308';

/** FLOAT and DOUBLE to `real`, `double precision`. FLOAT(M,D) and DOUBLE(M,D) are rounded by MySQL. */
export function floatPlan(type: ColumnType, target: string): ConversionPlan {
  const isSingle = type.name === 'float';
  const digits = type.scale;
  // M and D of FLOAT(M,D): the largest number is M nines with D of them behind the point.
  const limit = digits === undefined ? Infinity : 10 ** ((type.length ?? 0) - digits) - 10 ** -digits;
  const isWider = isSingle && target !== 'real';
  const isNarrower = !isSingle && target === 'real';
  const largest = digits === undefined ? (isSingle ? largestFloat : largestDouble) : limit.toFixed(digits);
  return {
    toLocalLosses: isNarrower ? ['float_rounding'] : [],
    toSourceLosses: ['not_finite', ...(isWider || digits !== undefined ? ['float_rounding'] as const : []), ...(type.unsigned || digits !== undefined ? ['decimal_range'] as const : [])],
    make: (toLocal, toSource) => ({
      toLocal: !isNarrower ? keepText : (text) => (Number(shortestSingle(Number(text))) === Number(text) ? text : toLocal('float_rounding', text, shortestSingle(Number(text)))),
      toSource: (text) => {
        const last = text.charCodeAt(text.length - 1);
        const isNegative = text.charCodeAt(0) === 45;
        const smallest = type.unsigned ? '0' : `-${largest}`;
        if (last < 48 || last > 57) return toSource('not_finite', text, text === 'NaN' ? '0' : isNegative ? smallest : largest);
        if (type.unsigned && isNegative && Number(text) !== 0) return toSource('decimal_range', text, '0');
        if (isWider && Number(shortestSingle(Number(text))) !== Number(text)) {
          return Math.abs(Number(text)) > Number(largestFloat) ? toSource('float_rounding', text, isNegative ? smallest : largest) : toSource('float_rounding', text, shortestSingle(Number(text)));
        }
        if (digits !== undefined) {
          const value = Number(text);
          if (Math.abs(value) > limit) return toSource('decimal_range', text, isNegative ? smallest : largest);
          // A float prints fewer digits than D asks for; only a value that has more is rounded.
          const rounded = value.toFixed(digits);
          const isSame = isSingle ? Math.fround(Number(rounded)) === Math.fround(value) : Number(rounded) === value;
          if (!isSame) return toSource('float_rounding', text, rounded);
        }
        if (isSingle && digits === undefined && text.endsWith('3.4028235e+38')) return isNegative ? `-${largestFloat}` : largestFloat;
        return text.includes('e+') ? text.replace('e+', 'e') : text;
      },
    }),
  };
}

/** The shortest text that reads back as the same float4. */
export function shortestSingle(value: number): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return `${single}`;
  for (let digits = 1; digits < 9; digits += 1) {
    const text = single.toPrecision(digits);
    if (Math.fround(Number(text)) === single) return text;
  }
  return single.toPrecision(9);
}

/** Numbers that local keeps as text: what comes back has to be one. */
export function numberTextPlan(pattern: RegExp, within: ConversionPlan): ConversionPlan {
  return {
    toLocalLosses: [], toSourceLosses: ['malformed', ...within.toSourceLosses],
    make: (toLocal, toSource) => {
      const back = within.make(toLocal, toSource).toSource;
      return { toLocal: keepText, toSource: (text) => (pattern.test(text) ? back(text) : toSource('malformed', text, null)) };
    },
  };
}

