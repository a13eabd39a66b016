/** Dates and times that are written as strings. Only the forms that every version reads alike. https://dev.mysql.com/doc/refman/8.4/en/date-and-time-literals.html */

export interface MomentText {
  /** `2024-01-31` or `2024-01-31 10:20:30.5`, as PostgreSQL reads it. */
  readonly text: string;
  readonly hasTime: boolean;
  /** Digits behind the point of the seconds. */
  readonly fraction: number;
  readonly year: number;
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const two = (digits: string): string => digits.padStart(2, '0');

export function readMoment(text: string): MomentText | undefined {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,6}))?)?)?$/.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour, minute = '0', second = '0', fraction = ''] = match;
  const isLeap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0);
  const days = Number(month) === 2 && isLeap ? 29 : monthDays[Number(month) - 1] ?? 0;
  if (Number(year) === 0 || Number(day) < 1 || Number(day) > days || Number(hour ?? 0) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const date = `${year}-${two(month)}-${two(day)}`;
  const hasTime = hour !== undefined;
  return { text: hasTime ? `${date} ${two(hour)}:${two(minute)}:${two(second)}${fraction === '' ? '' : `.${fraction}`}` : date, hasTime, fraction: fraction.length, year: Number(year) };
}

/** `0000-00-00`, with or without a time of day that is zero. */
export function isZeroMoment(text: string): boolean {
  return /^0000-00-00(?:[ T]00:00:00(?:\.0{0,6})?)?$/.test(text);
}

/** `-838:59:59.5`, `10:20`; PostgreSQL's interval takes the same text with its sign before each part of it. */
export function readTime(text: string): { readonly text: string; readonly fraction: number } | undefined {
  const match = /^(-?)(\d{1,3}):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{0,6}))?)?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', hours = '', minutes = '', seconds = '0', fraction = ''] = match;
  if (Number(hours) > 838) return undefined;
  return { text: `${sign}${two(hours)}:${two(minutes)}:${two(seconds)}${fraction === '' ? '' : `.${fraction}`}`, fraction: fraction.length };
}

const wholeNumber = /^[+-]?\d{1,15}$/;
const decimalNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)$/;

/** A whole number of any length, as an integer column takes it of a string. */
export function readWhole(text: string): bigint | undefined {
  const trimmed = text.trim();
  return /^[+-]?\d{1,25}$/.test(trimmed) ? BigInt(trimmed.replace('+', '')) : undefined;
}

/** A number that is written as a string and means the same whether it is read as an exact number or as a double. */
export function readNumber(text: string): { readonly text: string; readonly isWhole: boolean; readonly scale: number } | undefined {
  const trimmed = text.trim();
  if (wholeNumber.test(trimmed)) return { text: `${BigInt(trimmed.replace('+', ''))}`, isWhole: true, scale: 0 };
  if (!decimalNumber.test(trimmed) || trimmed.replace(/\D/g, '').length > 15) return undefined;
  const [whole = '', fraction = ''] = trimmed.replace('+', '').split('.');
  const digits = whole === '' || whole === '-' ? `${whole}0` : whole;
  return { text: fraction === '' ? digits : `${digits}.${fraction}`, isWhole: fraction === '', scale: fraction.length };
}
