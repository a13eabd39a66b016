/** A value that MySQL sent, in PostgreSQL's text form. `time` of timestamptz is UTC. */
import type { PgType } from './pg-type.ts';

/** Made once per column: nothing but the result is allocated. */
export function resultText(type: PgType): (value: string) => string {
  switch (type.name) {
    case 'bool': return (value) => (value === '0' ? 'f' : 't');
    case 'numeric': return type.scale === undefined || type.precision === -1 ? (value) => value : withDigits(type.scale);
    case 'float8': return (value) => floatText(Number(value), shortestFloat8(Number(value)), 15);
    case 'float4': return (value) => floatText(Math.fround(Number(value)), shortestFloat4(Number(value)), 6);
    case 'date': return (value) => (value.length > 10 ? value.slice(0, 10) : value);
    case 'timestamp': return withoutZeros;
    case 'timestamptz': return (value) => `${withoutZeros(value)}+00`;
    case 'bpchar': return type.length === undefined ? (value) => value : (value) => value.padEnd((type.length ?? 0) + value.length - [...value].length);
    default: return (value) => value;
  }
}

/** A zero that MySQL 5.6 has computed comes as `0`, and what could have been NULL without a scale with the digits that it has. */
function withDigits(scale: number): (value: string) => string {
  if (scale === 0) return (value) => value;
  return (value) => {
    const point = value.indexOf('.');
    const missing = point < 0 ? scale : scale - (value.length - point - 1);
    return missing <= 0 ? value : `${value}${point < 0 ? '.' : ''}${'0'.repeat(missing)}`;
  };
}

function withoutZeros(value: string): string {
  return value.includes('.') ? value.replace(/\.?0+$/, '') : value.length === 10 ? `${value} 00:00:00` : value;
}

/** JavaScript's, but for digits that lie halfway between two numbers: they read back as this one, and PostgreSQL takes more of them. */
function shortestFloat8(value: number): string {
  const shortest = String(value);
  if (!isHalfway(shortest, value, 53)) return shortest;
  for (let digits = 15; digits <= 17; digits += 1) {
    const text = value.toPrecision(digits);
    if (Number(text) === value && !isHalfway(text, value, 53)) return text;
  }
  return shortest;
}

/** Below 2^`bits` what lies halfway has more digits than the number itself. */
function isHalfway(text: string, value: number, bits: number): boolean {
  const size = Math.abs(value);
  if (!(size >= 2 ** bits) || size === Infinity) return false;
  const exact = BigInt(size);
  const gap = 2n ** BigInt(exact.toString(2).length - bits);
  const written = integerOf(text.replace('-', ''));
  const distance = written > exact ? written - exact : exact - written;
  // Below a power of two the numbers are twice as close.
  const isBelowPower = written < exact && size === 2 ** (exact.toString(2).length - 1);
  return distance * (isBelowPower ? 4n : 2n) === gap;
}

/** `1.25e+18` and `1250000000000000000` as a whole number. */
function integerOf(text: string): bigint {
  const [digits = '', power = '0'] = text.split('e');
  const [whole = '', fraction = ''] = digits.split('.');
  return BigInt(`${whole}${fraction.padEnd(Number(power), '0')}`);
}

/** The fewest digits that read back as the same float4. */
function shortestFloat4(value: number): string {
  const wanted = Math.fround(value);
  for (let digits = 6; digits <= 9; digits += 1) {
    const text = wanted.toPrecision(digits);
    if (Math.fround(Number(text)) === wanted && !isHalfway(text, wanted, 24)) return String(Number(text));
  }
  return String(wanted);
}

/** PostgreSQL writes an exponent from 10^15 on (10^6 for float4), and below 10^-4. */
function floatText(value: number, shortest: string, places: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [, sign = '', whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(shortest) ?? [];
  const all = `${whole}${fraction}`;
  const leading = all.length - all.replace(/^0+/, '').length;
  const digits = all.slice(leading).replace(/0+$/, '');
  const exponent = whole.length - 1 - leading + Number(power);
  if (exponent < -4 || exponent >= places) {
    const mantissa = digits.length > 1 ? `${digits.slice(0, 1)}.${digits.slice(1)}` : digits;
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return digits.length <= exponent + 1 ? `${sign}${digits.padEnd(exponent + 1, '0')}` : `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}
