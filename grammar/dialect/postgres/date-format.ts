/** Formats of DATE_FORMAT as patterns of to_char. https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html#function_date-format */

const patterns: Readonly<Record<string, string>> = {
  Y: 'YYYY', y: 'YY', m: 'MM', c: 'FMMM', d: 'DD', e: 'FMDD', H: 'HH24', k: 'FMHH24', h: 'HH12', I: 'HH12', l: 'FMHH12', i: 'MI', s: 'SS', S: 'SS', f: 'US', p: 'AM', T: 'HH24:MI:SS', r: 'HH12:MI:SS AM',
  M: 'FMMonth', b: 'Mon', W: 'FMDay', a: 'Dy', j: 'DDD', v: 'IW', x: 'IYYY',
};

/** Whether every value has digits and the same signs at the same places. */
export function isFixedFormat(format: string): boolean {
  return /^(?:%[YymdHhIisSfTj]|[-\/:. ])+$/.test(format) && !format.endsWith(' ');
}

/** Undefined: PostgreSQL has no pattern for a part of it. */
export function datePattern(format: string): string | undefined {
  let pattern = '';
  let plain = '';
  const flush = (): void => {
    if (plain !== '') pattern += `"${plain.replace(/["\\]/g, '\\$&')}"`;
    plain = '';
  };
  for (let at = 0; at < format.length; at += 1) {
    const character = format[at] ?? '';
    const next = format[at + 1] ?? '';
    if (character !== '%' || next === '') {
      plain += character;
      continue;
    }
    at += 1;
    const known = Object.hasOwn(patterns, next) ? patterns[next] : undefined;
    if (known === undefined && /[A-Za-z]/.test(next)) return undefined;
    if (known === undefined) plain += next;
    else {
      flush();
      pattern += known;
    }
  }
  flush();
  return pattern;
}
