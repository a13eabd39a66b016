/**
 * Timestamps and dates as text that sorts by time: `YYYY-MM-DD HH:MM:SS.mmm`, with six digits only where the microseconds are
 * not 0; dates are `YYYY-MM-DD`. Everything is UTC, as if the session's TimeZone were.
 */
import { DAY_MICROS, decimalMicros } from './interval.ts';
import type { Interval } from './interval.ts';

/** Microseconds since 1970. */
export type Micros = bigint;

export function parseTimestamp(text: string, useZone: boolean): Micros | undefined {
  const match = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?\s*(?:(Z|UTC)|([+-])(\d{1,2})(?::?(\d\d))?)?\s*$/i.exec(text);
  if (!match) return undefined;
  const [, year = '', month = '', day = '', hour = '0', minute = '0', second = '0', , sign, zoneHours = '0', zoneMinutes = '0'] = match;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const valid = new Date(date).getUTCDate() === Number(day) && Number(month) <= 12 && Number(hour) <= 24 && Number(minute) < 60;
  if (!valid) return undefined;
  const micros = BigInt(date) * 1000n + BigInt(hour) * 3_600_000_000n + BigInt(minute) * 60_000_000n + decimalMicros(second);
  const zone = (BigInt(zoneHours) * 60n + BigInt(zoneMinutes)) * 60_000_000n * (sign === '-' ? -1n : 1n);
  return useZone ? micros - zone : micros;
}

export function encodeTimestamp(micros: Micros): string {
  const milliseconds = floorDivide(micros, 1000n);
  const rest = micros - milliseconds * 1000n;
  const text = new Date(Number(milliseconds)).toISOString().replace('T', ' ').slice(0, -1);
  return rest === 0n ? text : `${text}${rest.toString().padStart(3, '0')}`;
}

/** Of a stored timestamp or date. */
export function decodeTimestamp(text: string): Micros {
  const micros = parseTimestamp(text, false);
  if (micros === undefined) throw new RangeError(`not a stored timestamp: ${text}`);
  return micros;
}

export function encodeDate(micros: Micros): string {
  return encodeTimestamp(micros).slice(0, 10);
}

/** As the server prints it: no zeros at the end of the fraction. */
export function formatTimestamp(stored: string): string {
  return stored.includes('.') ? stored.replace(/\.?0+$/, '') : stored;
}

export function addInterval(micros: Micros, interval: Interval): Micros {
  let at = micros;
  if (interval.months !== 0) {
    const date = new Date(Number(floorDivide(at, 1000n)));
    const month = date.getUTCMonth() + interval.months;
    const lastDay = new Date(Date.UTC(date.getUTCFullYear(), month + 1, 0)).getUTCDate();
    const day = Math.min(date.getUTCDate(), lastDay);
    at = BigInt(Date.UTC(date.getUTCFullYear(), month, day)) * 1000n + floorRemainder(at, DAY_MICROS);
  }
  return at + BigInt(interval.days) * DAY_MICROS + interval.micros;
}

export function subtractTimestamps(a: Micros, b: Micros): Interval {
  const micros = a - b;
  return { months: 0, days: Number(micros / DAY_MICROS), micros: micros % DAY_MICROS };
}

const truncations: Readonly<Record<string, bigint>> = {
  microseconds: 1n, milliseconds: 1000n, second: 1_000_000n, minute: 60_000_000n, hour: 3_600_000_000n, day: DAY_MICROS,
};

/** undefined for a field that is not known. */
export function truncateTimestamp(field: string, micros: Micros): Micros | undefined {
  const unit = truncations[field];
  if (unit !== undefined) return micros - floorRemainder(micros, unit);
  const date = new Date(Number(floorDivide(micros, 1000n)));
  const year = date.getUTCFullYear();
  const at = (y: number, m: number, d: number): Micros => BigInt(Date.UTC(y, m, d)) * 1000n;
  // Weeks begin on Monday (ISO 8601).
  if (field === 'week') return at(year, date.getUTCMonth(), date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  if (field === 'month') return at(year, date.getUTCMonth(), 1);
  if (field === 'quarter') return at(year, Math.floor(date.getUTCMonth() / 3) * 3, 1);
  return field === 'year' ? at(year, 0, 1) : undefined;
}

/** A field as `unscaled / 10^scale`, as EXTRACT returns it; undefined for one that is not known. */
export function extractFromTimestamp(field: string, micros: Micros): { readonly unscaled: bigint; readonly scale: number } | undefined {
  const date = new Date(Number(floorDivide(micros, 1000n)));
  const whole = (value: number): { readonly unscaled: bigint; readonly scale: number } => ({ unscaled: BigInt(value), scale: 0 });
  switch (field) {
    case 'epoch': return { unscaled: micros, scale: 6 };
    case 'second': return { unscaled: floorRemainder(micros, 60_000_000n), scale: 6 };
    case 'minute': return whole(date.getUTCMinutes());
    case 'hour': return whole(date.getUTCHours());
    case 'day': return whole(date.getUTCDate());
    case 'month': return whole(date.getUTCMonth() + 1);
    case 'quarter': return whole(Math.floor(date.getUTCMonth() / 3) + 1);
    case 'year': return whole(date.getUTCFullYear());
    case 'dow': return whole(date.getUTCDay());
    case 'isodow': return whole(date.getUTCDay() === 0 ? 7 : date.getUTCDay());
    default: return undefined;
  }
}

export function extractFromInterval(field: string, { months, days, micros }: Interval): { readonly unscaled: bigint; readonly scale: number } | undefined {
  // A year counts as 365.25 days here, a month as 30.
  const epoch = (BigInt(Math.trunc(months / 12)) * 31_557_600n + BigInt(months % 12) * 2_592_000n + BigInt(days) * 86_400n) * 1_000_000n + micros;
  switch (field) {
    case 'epoch': return { unscaled: epoch, scale: 6 };
    case 'second': return { unscaled: micros % 60_000_000n, scale: 6 };
    case 'minute': return { unscaled: (micros / 60_000_000n) % 60n, scale: 0 };
    case 'hour': return { unscaled: micros / 3_600_000_000n, scale: 0 };
    case 'day': return { unscaled: BigInt(days), scale: 0 };
    case 'month': return { unscaled: BigInt(months % 12), scale: 0 };
    case 'year': return { unscaled: BigInt(Math.trunc(months / 12)), scale: 0 };
    default: return undefined;
  }
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

function floorRemainder(a: bigint, b: bigint): bigint {
  return a - floorDivide(a, b) * b;
}
