/** PostgreSQL's `interval`: months, days and microseconds kept apart (manual §8.5.4). Stored as `months:days:micros`. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: bigint;
}

export const DAY_MICROS = 86_400_000_000n;

const unitMicros: Readonly<Record<string, bigint>> = {
  microsecond: 1n, us: 1n, usec: 1n, millisecond: 1_000n, ms: 1_000n, msec: 1_000n, second: 1_000_000n, sec: 1_000_000n, s: 1_000_000n,
  minute: 60_000_000n, min: 60_000_000n, m: 60_000_000n, hour: 3_600_000_000n, hr: 3_600_000_000n, h: 3_600_000_000n,
};
const unitDays: Readonly<Record<string, number>> = { day: 1, d: 1, week: 7, w: 7 };
const unitMonths: Readonly<Record<string, number>> = { month: 1, mon: 1, year: 12, y: 12, yr: 12, decade: 120, century: 1200, centurie: 1200 };

/** `1 day 02:03:04.5`, `90 minutes`, `1.5 hours`, `2 weeks ago`; undefined for what it can't read. */
export function parseInterval(text: string): Interval | undefined {
  let rest = text.trim().toLowerCase().replace(/^@\s*/, '');
  const ago = / ago$/.test(rest);
  if (ago) rest = rest.slice(0, -4);
  let sum: Interval = { months: 0, days: 0, micros: 0n };
  if (rest === '') return undefined;
  while (rest !== '') {
    const part = /^([+-]?)(\d+):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?(?:\s+|$)/.exec(rest) ?? /^([+-]?\d+(?:\.\d{1,6})?)\s*([a-z]+)(?:\s+|$)/.exec(rest);
    const value = part === null ? undefined : part.length === 5 ? clock(part) : amount(part[1] ?? '', part[2] ?? '');
    if (part === null || value === undefined) return undefined;
    sum = addIntervals(sum, value);
    rest = rest.slice(part[0].length);
  }
  return ago ? scaleInterval(sum, -1) : sum;
}

function clock(part: RegExpExecArray): Interval {
  const seconds = decimalMicros(part[4] ?? '0');
  const micros = BigInt(part[2] ?? 0) * 3_600_000_000n + BigInt(part[3] ?? 0) * 60_000_000n + seconds;
  return { months: 0, days: 0, micros: part[1] === '-' ? -micros : micros };
}

function amount(number: string, unit: string): Interval | undefined {
  const name = (known: Readonly<Record<string, unknown>>): string | undefined =>
    [unit, unit.replace(/s$/, '')].find((candidate) => candidate !== '' && Object.hasOwn(known, candidate));
  const micros = unitMicros[name(unitMicros) ?? ''];
  if (micros !== undefined) return { months: 0, days: 0, micros: (decimalMicros(number) * micros) / 1_000_000n };
  const days = unitDays[name(unitDays) ?? ''];
  if (days !== undefined) return spreadDays(Number(number) * days);
  const months = unitMonths[name(unitMonths) ?? ''];
  return months !== undefined && Number.isInteger(Number(number) * months) ? { months: Number(number) * months, days: 0, micros: 0n } : undefined;
}

function spreadDays(days: number): Interval {
  const whole = Math.trunc(days);
  return { months: 0, days: whole, micros: BigInt(Math.round((days - whole) * Number(DAY_MICROS))) };
}

/** `1.5` → 1500000n. */
export function decimalMicros(text: string): bigint {
  const negative = text.startsWith('-');
  const [whole = '0', fraction = ''] = text.replace(/^[+-]/, '').split('.');
  const micros = BigInt(whole === '' ? 0 : whole) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  return negative ? -micros : micros;
}

export function addIntervals(a: Interval, b: Interval): Interval {
  return { months: a.months + b.months, days: a.days + b.days, micros: a.micros + b.micros };
}

export function scaleInterval(a: Interval, factor: number): Interval {
  if (Number.isInteger(factor)) return { months: a.months * factor, days: a.days * factor, micros: a.micros * BigInt(factor) };
  return spread(a, (part) => part * factor);
}

/** The divisor is not 0. */
export function divideInterval(a: Interval, divisor: number): Interval {
  return spread(a, (part) => part / divisor);
}

/** Fractions of months go to days of 30, fractions of days to the time, rounded where the server's interval_div rounds. */
function spread(a: Interval, scale: (part: number) => number): Interval {
  const months = Math.trunc(scale(a.months));
  const days = Math.trunc(scale(a.days));
  const monthDays = roundMicros((scale(a.months) - months) * 30);
  const seconds = roundMicros((scale(a.days) - days + monthDays - Math.trunc(monthDays)) * 86_400);
  const carried = Math.trunc(seconds / 86_400);
  const micros = halfEven(scale(Number(a.micros)) + (seconds - carried * 86_400) * 1_000_000);
  return { months, days: days + carried + Math.trunc(monthDays), micros: BigInt(micros) };
}

function roundMicros(value: number): number {
  return halfEven(value * 1_000_000) / 1_000_000;
}

/** As C's rint. */
export function halfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function encodeInterval(a: Interval): string {
  return `${a.months}:${a.days}:${a.micros}`;
}

export function decodeInterval(text: string): Interval {
  const [months = '0', days = '0', micros = '0'] = text.split(':');
  return { months: Number(months), days: Number(days), micros: BigInt(micros) };
}

/** Comparison counts a month as 30 days and a day as 24 hours. */
export function intervalKey(a: Interval): bigint {
  return BigInt(a.months * 30 + a.days) * DAY_MICROS + a.micros;
}

/** IntervalStyle `postgres`: `1 year 2 mons -3 days +04:05:06.7`. */
export function formatInterval(a: Interval): string {
  const parts: string[] = [];
  let before = false;
  for (const [value, unit] of [[Math.trunc(a.months / 12), 'year'], [a.months % 12, 'mon'], [a.days, 'day']] as const) {
    if (value === 0) continue;
    parts.push(`${before && value > 0 ? '+' : ''}${value} ${unit}${value === 1 ? '' : 's'}`);
    before = value < 0;
  }
  if (parts.length === 0 || a.micros !== 0n) parts.push(`${a.micros < 0n ? '-' : before ? '+' : ''}${formatClock(a.micros < 0n ? -a.micros : a.micros)}`);
  return parts.join(' ');
}

function formatClock(micros: bigint): string {
  const two = (value: bigint): string => value.toString().padStart(2, '0');
  const fraction = (micros % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  const whole = micros / 1_000_000n;
  return `${two(whole / 3600n)}:${two((whole / 60n) % 60n)}:${two(whole % 60n)}${fraction === '' ? '' : `.${fraction}`}`;
}
