/** Dates, times and instants. The texts of local are those of `DateStyle ISO`, `IntervalStyle postgres`, `TimeZone UTC`. */
import { keepText } from './conversion.ts';
import type { ConversionPlan, ConvertText } from './conversion.ts';
import type { LossKind, OnLoss } from './type-loss.ts';

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : (monthDays[month - 1] ?? 31);
}

const pair = (text: string, at: number): number => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;

/** `suffix`: the zone of instants. MySQL's year 0 is 1 BC to local. */
function dateToLocal(suffix: string, onLoss: OnLoss): ConvertText {
  return (text) => {
    const month = pair(text, 5);
    const day = pair(text, 8);
    const isYearZero = text.charCodeAt(0) === 48 && text.startsWith('0000');
    if (month === 0 || day === 0 || (day > 28 && day > daysOf(Number(text.slice(0, 4)), month))) {
      if (isYearZero && month === 0 && day === 0) return onLoss('zero_date', text, '-infinity');
      const near = Math.max(month, 1);
      const nearest = `${text.slice(0, 5)}${two(near)}-${two(Math.min(Math.max(day, 1), daysOf(Number(text.slice(0, 4)), near)))}${text.slice(10)}`;
      return onLoss('invalid_date', text, isYearZero ? beforeChrist(nearest, suffix) : nearest + suffix);
    }
    if (isYearZero) return beforeChrist(text, suffix);
    return suffix === '' ? text : text + suffix;
  };
}

const two = (number: number): string => (number < 10 ? `0${number}` : `${number}`);
const beforeChrist = (text: string, suffix: string): string => `0001${text.slice(4)}${suffix} BC`;

const dateLosses: readonly LossKind[] = ['zero_date', 'invalid_date'];

/** DATE to `date`, DATETIME to `timestamp`. `takesZero`: -infinity stands for the zero date. */
export function datePlan(digits: number | undefined, takesZero: boolean): ConversionPlan {
  return {
    toLocalLosses: dateLosses, toSourceLosses: ['date_range', ...(digits === undefined ? [] : ['fraction'] as const)], keepsOrdinary: true,
    make: (toLocal, toSource) => ({ toLocal: dateToLocal('', toLocal), toSource: dateToSource(digits, takesZero, toSource) }),
  };
}

function dateToSource(digits: number | undefined, takesZero: boolean, onLoss: OnLoss): ConvertText {
  const fraction = digits === undefined ? undefined : fractionTo(19, digits, onLoss);
  const time = digits === undefined ? '' : ` 00:00:00${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`;
  const end = digits === undefined ? '9999-12-31' : `9999-12-31 23:59:59${digits === 0 ? '' : `.${'9'.repeat(digits)}`}`;
  return (text) => {
    if (text.charCodeAt(4) !== 45 || text.charCodeAt(text.length - 1) === 67) {
      if (text === '-infinity') return takesZero ? `0000-00-00${time}` : onLoss('date_range', text, `0000-01-01${time}`);
      if (!text.endsWith(' BC')) return onLoss('date_range', text, end);
      if (!text.startsWith('0001-')) return onLoss('date_range', text, `0000-01-01${time}`);
      const yearZero = `0000${text.slice(4, -3)}`;
      // MySQL's year 0 is no leap year.
      if (yearZero.startsWith('0000-02-29')) return onLoss('date_range', text, `0000-02-28${yearZero.slice(10)}`);
      return fraction === undefined ? yearZero : fraction(yearZero);
    }
    return fraction === undefined ? text : fraction(text);
  };
}

/** `whole`: length of the text without a fraction. Local leaves out zeros at the end, MySQL prints them. */
function fractionTo(whole: number, digits: number, onLoss: OnLoss): ConvertText {
  const zeros = digits === 0 ? '' : `.${'0'.repeat(digits)}`;
  return (text) => {
    if (text.length === whole) return zeros === '' ? text : text + zeros;
    if (text.length - whole - 1 <= digits) return text.padEnd(whole + 1 + digits, '0');
    return onLoss('fraction', text, text.slice(0, digits === 0 ? whole : whole + 1 + digits));
  };
}

/** TIMESTAMP to `timestamptz` (`suffix` '+00') or `timestamp`. `lastInstant`: the end of the type on this server. */
export function instantPlan(digits: number, takesZero: boolean, lastInstant: string, isZoned: boolean): ConversionPlan {
  return {
    toLocalLosses: dateLosses, toSourceLosses: ['timestamp_range', 'date_range', 'fraction'], keepsOrdinary: true,
    make: (toLocal, toSource) => {
      const back = dateToSource(digits, takesZero, toSource);
      const zeros = digits === 0 ? '' : `.${'0'.repeat(digits)}`;
      const first = `1970-01-01 00:00:01${zeros}`;
      const last = `${lastInstant}${digits === 0 ? '' : `.${'9'.repeat(digits)}`}`;
      return {
        toLocal: dateToLocal(isZoned ? '+00' : '', toLocal),
        toSource: (text) => {
          const kept = back(isZoned ? inUtc(text) : text);
          if (kept === null || (kept >= first && kept <= last)) return kept;
          if (takesZero && kept.startsWith('0000-00-00')) return kept;
          return toSource('timestamp_range', text, kept < first ? first : last);
        },
      };
    },
  };
}

/** DATETIME that the operator knows to be UTC, to `timestamptz`. */
export function zonedDatetimePlan(digits: number, takesZero: boolean): ConversionPlan {
  return {
    toLocalLosses: dateLosses, toSourceLosses: ['date_range', 'fraction'], keepsOrdinary: true,
    make: (toLocal, toSource) => {
      const back = dateToSource(digits, takesZero, toSource);
      return { toLocal: dateToLocal('+00', toLocal), toSource: (text) => back(inUtc(text)) };
    },
  };
}

/** `2024-01-01 02:00:00+02` → `2024-01-01 00:00:00`; the zone of a session of ours is UTC, that of another's value may be any. */
function inUtc(text: string): string {
  if (text.endsWith('+00')) return text.slice(0, -3);
  if (text.endsWith('+00 BC')) return `${text.slice(0, -6)} BC`;
  const match = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/.exec(text);
  if (match === null) return text;
  const [, year = '', month, day, hour, minute, second, fraction = '', sign, zoneHour, zoneMinute = '0', zoneSecond = '0', era] = match;
  const offset = (Number(zoneHour) * 3600 + Number(zoneMinute) * 60 + Number(zoneSecond)) * (sign === '-' ? -1 : 1);
  const moved = new Date(0);
  moved.setUTCFullYear(era === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day));
  moved.setUTCHours(Number(hour), Number(minute), Number(second) - offset);
  const movedYear = moved.getUTCFullYear();
  const shown = movedYear > 0 ? movedYear : 1 - movedYear;
  return `${`${shown}`.padStart(4, '0')}-${two(moved.getUTCMonth() + 1)}-${two(moved.getUTCDate())} ${two(moved.getUTCHours())}:${two(moved.getUTCMinutes())}:${two(moved.getUTCSeconds())}${fraction}${movedYear > 0 ? '' : ' BC'}`;
}

const LONGEST_TIME_SECONDS = 838 * 3600 + 59 * 60 + 59;

/** TIME to `interval`: a length of time, which may be negative and above a day. */
export function intervalPlan(digits: number): ConversionPlan {
  return {
    toLocalLosses: [], toSourceLosses: ['time_range', 'interval_months', 'fraction'],
    make: (_, toSource) => ({ toLocal: keepText, toSource: timeToSource(digits, toSource) }),
  };
}

/** TIME to `time`, a time of the day. */
export function timeOfDayPlan(digits: number): ConversionPlan {
  return {
    toLocalLosses: ['time_range'], toSourceLosses: ['fraction'],
    make: (toLocal, toSource) => ({
      toLocal: (text) => {
        if (text.charCodeAt(0) === 45) return toLocal('time_range', text, '00:00:00');
        return text.charCodeAt(2) === 58 && (text < '24' || /^24:00:00(?:\.0*)?$/.test(text)) ? text : toLocal('time_range', text, '24:00:00');
      },
      toSource: fractionTo(8, digits, toSource),
    }),
  };
}

function timeToSource(digits: number, onLoss: OnLoss): ConvertText {
  return (text) => {
    const plain = /^(-?)(\d+):(\d\d):(\d\d)(\.\d+)?$/.exec(text);
    if (plain !== null) return clockTime(text, plain[1] === '-', Number(plain[2]) * 3600 + Number(plain[3]) * 60 + Number(plain[4]), plain[5] ?? '', digits, onLoss);
    if (text.endsWith('infinity')) return onLoss('time_range', text, longest(text.startsWith('-'), digits));
    return fromParts(text, digits, onLoss);
  };
}

const longest = (isNegative: boolean, digits: number): string => `${isNegative ? '-' : ''}838:59:59${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`;

function clockTime(original: string, isNegative: boolean, seconds: number, fraction: string, digits: number, onLoss: OnLoss): string | null {
  if (seconds > LONGEST_TIME_SECONDS || (seconds === LONGEST_TIME_SECONDS && /[1-9]/.test(fraction))) return onLoss('time_range', original, longest(isNegative, digits));
  const shownFraction = digits === 0 ? '' : `.${fraction.slice(1, digits + 1).padEnd(digits, '0')}`;
  const text = `${isNegative ? '-' : ''}${two(Math.trunc(seconds / 3600))}:${two(Math.trunc(seconds / 60) % 60)}:${two(seconds % 60)}${shownFraction}`;
  return /[1-9]/.test(fraction.slice(digits + 1)) ? onLoss('fraction', original, text) : text;
}

/** `1 year 2 mons -3 days +04:05:06.7`: each part has its own sign. Microseconds are counted as whole numbers. */
function fromParts(text: string, digits: number, onLoss: OnLoss): string | null {
  let months = 0;
  let micros = 0;
  for (const [, sign, number = '0', unit, hour, minute, second, fraction = ''] of text.matchAll(/([+-]?)(?:(\d+) (year|mon|day)s?|(\d+):(\d\d):(\d\d)(\.\d+)?)/g)) {
    const factor = sign === '-' ? -1 : 1;
    if (unit === undefined) micros += factor * ((Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1e6 + Number(fraction.slice(1).padEnd(6, '0')));
    else if (unit === 'day') micros += factor * Number(number) * 86_400e6;
    else months += factor * Number(number) * (unit === 'year' ? 12 : 1);
  }
  const total = micros + months * 30 * 86_400e6;
  const seconds = Math.trunc(Math.abs(total) / 1e6);
  const rest = Math.abs(total) - seconds * 1e6;
  // Under `reject` the months are the reason, whatever else is wrong.
  const asked = months === 0 ? onLoss : (_kind: LossKind, _value: string, clamped: string | null): string | null => clamped;
  const time = clockTime(text, total < 0, seconds, rest === 0 ? '' : `.${`${rest}`.padStart(6, '0')}`, digits, asked);
  return months === 0 ? time : onLoss('interval_months', text, time);
}

/** Dates and times that local keeps as text. */
export function timeTextPlan(pattern: RegExp): ConversionPlan {
  return { toLocalLosses: [], toSourceLosses: ['malformed'], make: (_, toSource) => ({ toLocal: keepText, toSource: (text) => (pattern.test(text) ? text : toSource('malformed', text, null)) }) };
}
