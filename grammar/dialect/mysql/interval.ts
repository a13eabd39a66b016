/** Intervals that stand in the statement as constants. https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-INTERVAL-INPUT */

export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly microseconds: number;
}

const units: readonly (readonly [RegExp, keyof Interval, number])[] = [
  [/^y(ears?|rs?)?$/, 'months', 12], [/^mon(s|ths?)?$/, 'months', 1], [/^w(eeks?)?$/, 'days', 7], [/^d(ays?)?$/, 'days', 1],
  [/^h(ours?|rs?)?$/, 'microseconds', 3_600_000_000], [/^m(in(s|utes?)?)?$/, 'microseconds', 60_000_000], [/^s(ec(s|onds?)?)?$/, 'microseconds', 1_000_000],
];

/** Undefined for what is not a list of whole numbers with units, perhaps with a time of day. */
export function parseInterval(text: string): Interval | undefined {
  const sum = { months: 0, days: 0, microseconds: 0 };
  const piece = /\s*(?:([+-]?)(\d+):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?|([+-]?\d+)(?:\.(\d{1,6}))?\s*([a-z]+))(?=[\s\d+-]|$)/gy;
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return undefined;
  while (piece.lastIndex < wanted.length) {
    const match = piece.exec(wanted);
    if (match === null) return undefined;
    const [, sign, hours, minutes, seconds = '0', fraction = '', amount, part, unit = ''] = match;
    if (hours !== undefined) {
      sum.microseconds += (sign === '-' ? -1 : 1) * ((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6 + Number(fraction.padEnd(6, '0')));
      continue;
    }
    const found = units.find(([pattern]) => pattern.test(unit));
    if (found === undefined) return undefined;
    const [, field, size] = found;
    if (part !== undefined && size !== 1_000_000) return undefined;
    const negative = amount?.startsWith('-') === true;
    sum[field] += Number(amount) * size + (negative ? -1 : 1) * Number((part ?? '').padEnd(6, '0'));
  }
  return Object.values(sum).every((value) => Number.isSafeInteger(value)) ? sum : undefined;
}
