/**
 * Whether two texts of a PostgreSQL type are one value. Two engines spell it in different ways (`12:00:00`, `12:00:00.000`; `1e22`, `1e+22`; `{"a"}`, `{a}`),
 * and what is only spelled differently is no other row (RULES 25). Values are equal here where validation takes them for equal (`cdc/field-form.ts`).
 */

/** `type`: as `format_type` writes it. */
export function isSameValue(type: string, a: string | null | undefined, b: string | null | undefined): boolean {
  if (a === b) return true;
  if (a == null || b == null) return false;
  const spell = spelling(type.replace(/\(.*?\)/, '').replace(/^pg_catalog\./, ''));
  return spell !== undefined && spell(a) === spell(b);
}

/** The one text of a value; undefined for types whose texts are the values. */
function spelling(type: string): ((text: string) => string) | undefined {
  if (type.endsWith('[]')) return arrayText;
  switch (type) {
    case 'smallint': case 'integer': case 'bigint': case 'numeric': return numberText;
    case 'real': return (text) => floatText(text, Math.fround(Number(text)));
    case 'double precision': return (text) => floatText(text, Number(text));
    case 'boolean': return (text) => (/^(?:t|true|1)$/.test(text) ? 't' : /^(?:f|false|0)$/.test(text) ? 'f' : text);
    case 'timestamp without time zone': case 'time without time zone': case 'date': return momentText;
    case 'timestamp with time zone': return instantText;
    case 'interval': return intervalText;
    case 'bytea': case 'uuid': return (text) => text.toLowerCase();
    case 'inet': return addressText;
    case 'jsonb': return jsonText;
    default: return undefined;
  }
}

/** `-012.50e1` → `-125e0`. Exact, of any length. */
function numberText(text: string): string {
  const [match, sign = '', whole = '', fraction = '', exponent = '0'] = /^([-+]?)(\d*)\.?(\d*)(?:e([-+]?\d+))?$/i.exec(text.trim()) ?? [];
  if (match === undefined || whole + fraction === '') return text;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  return significant === '' ? '0' : `${sign === '-' ? '-' : ''}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/** A zero has no sign. */
function floatText(text: string, value: number): string {
  return Number.isFinite(value) && /\d/.test(text) ? `${value + 0 === 0 ? 0 : value}` : text.toLowerCase();
}

function withoutZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');
}

function momentText(text: string): string {
  return withoutZeros(text.replace('T', ' '));
}

const instant = /^(\d{4,})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(\.\d+)?(?:([-+])(\d\d)(?::?(\d\d))?(?::?(\d\d))?|Z)( BC)?$/;

/** In UTC. */
function instantText(text: string): string {
  const [match, year = '', month, day, hour, minute, second, fraction = '', sign, zoneHour = '0', zoneMinute = '0', zoneSecond = '0', era] = instant.exec(text) ?? [];
  if (match === undefined) return text;
  const offset = (Number(zoneHour) * 3600 + Number(zoneMinute) * 60 + Number(zoneSecond)) * (sign === '-' ? -1 : 1);
  const moment = new Date(0);
  moment.setUTCFullYear(era === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day));
  moment.setUTCHours(Number(hour), Number(minute), Number(second) - offset);
  return `${moment.getTime()}${withoutZeros(fraction)}`;
}

/** Months and microseconds: a day is 24 hours, as in a length of time it is. */
function intervalText(text: string): string {
  let months = 0;
  let micros = 0n;
  const rest = text.replaceAll(/([+-]?)(?:(\d+) (year|mon|day)s?|(\d+):(\d\d):(\d\d)(?:\.(\d+))?)/g, (_, sign: string, number: string | undefined, unit: string | undefined, hour: string, minute: string, second: string, fraction = '') => {
    const factor = sign === '-' ? -1 : 1;
    if (unit === 'year' || unit === 'mon') months += factor * Number(number) * (unit === 'year' ? 12 : 1);
    else if (unit === 'day') micros += BigInt(factor) * BigInt(number ?? 0) * 86_400_000_000n;
    else micros += BigInt(factor) * (BigInt((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0')));
    return '';
  });
  return rest.trim() === '' ? `${months} ${micros}` : text;
}

/** As a browser's address has it, in which each address has one text. */
function addressText(text: string): string {
  if (!text.includes(':')) return text.replace(/\/32$/, '');
  const [address = '', mask = '128'] = text.split('/');
  return `${URL.parse(`http://[${address}]/`)?.hostname ?? address}/${mask}`;
}

/** Of one dimension; any other one is its text. */
function arrayText(text: string): string {
  if (!text.startsWith('{') || /^\{[{[]/.test(text)) return text;
  const elements: (string | null)[] = [];
  let end = 1;
  for (const [whole, quoted, bare] of text.slice(0, -1).matchAll(/[{,](?:"((?:[^"\\]|\\.)*)"|([^",{}]*))/gs)) {
    elements.push(quoted === undefined ? (bare?.toUpperCase() === 'NULL' ? null : bare ?? '') : quoted.replace(/\\(.)/gs, '$1'));
    end += whole.length;
  }
  if (text === '{}') return '[]';
  return end === text.length ? JSON.stringify(elements) : text;
}

/** With keys in one order and numbers in one spelling, which is exact where a double would not be. */
function jsonText(text: string): string {
  try {
    // A string that is marked as a number is none of the document's own: those begin with a quotation mark.
    const marked = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs, (token) => (token.startsWith('"') ? `"s${token.slice(1)}` : `"n${numberText(token)}"`));
    return JSON.stringify(inOrder(JSON.parse(marked)));
  } catch {
    return text;
  }
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => ({ name, member: inOrder(member) }));
}
