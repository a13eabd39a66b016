/** Lengths of time as statements write them: `'1 hour'`, `'1h 30min'`, `'90 s'`, `'01:30:00'`; in milliseconds. */
const unitMs: Readonly<Record<string, number>> = {
  ms: 1, msec: 1, msecs: 1, millisecond: 1, milliseconds: 1,
  s: 1000, sec: 1000, secs: 1000, second: 1000, seconds: 1000,
  m: 60_000, min: 60_000, mins: 60_000, minute: 60_000, minutes: 60_000,
  h: 3_600_000, hr: 3_600_000, hrs: 3_600_000, hour: 3_600_000, hours: 3_600_000,
  d: 86_400_000, day: 86_400_000, days: 86_400_000,
  w: 604_800_000, week: 604_800_000, weeks: 604_800_000,
};

/** A hundred years; a longer one is a slip. */
export const maxIntervalMs = 36_525 * 86_400_000;

export const intervalForms = "an interval such as '30 seconds', '1 hour', '24 hours', '7 days' or '01:30:00'";

/**
 * Whole milliseconds, or undefined when the text is no length of time. Months and years are refused: they have no fixed
 * length. A negative length is refused as well.
 */
export function parseInterval(text: string): number | undefined {
  const parts = text.trim().toLowerCase();
  if (parts === '') return undefined;
  const part = /(?:(\d{1,9}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?|(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]+))(?:\s+|$|(?=\d))/y;
  let total = 0;
  while (part.lastIndex < parts.length) {
    const match = part.exec(parts);
    const ms = match === null ? undefined : partMs(match);
    if (ms === undefined) return undefined;
    total += ms;
  }
  const whole = Math.round(total);
  return whole <= maxIntervalMs ? whole : undefined;
}

function partMs(match: RegExpExecArray): number | undefined {
  const [, hours, minutes, seconds, amount, unit] = match;
  if (hours !== undefined) return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds ?? 0) * 1000;
  const ms = unitMs[unit ?? ''];
  return ms === undefined ? undefined : Number(amount) * ms;
}

/** The shortest exact form in one unit: 5,400,000 → `90 minutes`. `parseInterval` gives the same number back. */
export function formatInterval(ms: number): string {
  for (const [unit, size] of [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]] as const) {
    if (ms !== 0 && ms % size === 0) return `${ms / size} ${unit}${ms === size ? '' : 's'}`;
  }
  return `${ms} ms`;
}
