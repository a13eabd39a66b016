/** Texts, bytes, labels and addresses. */
import { encodableIn, encodedBytes } from './charset.ts';
import { keepText } from './conversion.ts';
import type { ConversionPlan, ConvertText } from './conversion.ts';
import type { LossKind, OnLoss } from './type-loss.ts';

export interface TextLimits {
  readonly charset: string;
  /** Of CHAR and VARCHAR. */
  readonly maxCharacters: number | undefined;
  /** Of the TEXT types. */
  readonly maxBytes: number | undefined;
  /** MySQL cuts blanks at the end of a CHAR off. */
  readonly isBlankCut: boolean;
}

export function textPlan(limits: TextLimits): ConversionPlan {
  const encodable = encodableIn(limits.charset);
  const losses: LossKind[] = ['text_length'];
  if (encodable !== undefined) losses.push('charset');
  if (limits.isBlankCut) losses.push('trailing_blanks');
  return {
    toLocalLosses: ['nul_character'], toSourceLosses: losses, keepsOrdinary: true,
    make: (toLocal, toSource) => ({ toLocal: withoutNul(toLocal), toSource: textToSource(limits, toSource) }),
  };
}

function withoutNul(onLoss: OnLoss): ConvertText {
  return (text) => (text.includes('\0') ? onLoss('nul_character', text, text.replaceAll('\0', '')) : text);
}

function textToSource(limits: TextLimits, onLoss: OnLoss): ConvertText {
  const encodable = encodableIn(limits.charset);
  const fits = fitting(limits);
  return (text) => {
    let kept: string | null = text;
    // The characters that every set has need no look.
    if (encodable !== undefined && !/^[\x00-\x7f]*$/.test(text)) {
      const known = replaceUnknown(text, encodable);
      if (known !== text) kept = onLoss('charset', text, known);
    }
    if (kept === null) return null;
    if (limits.isBlankCut && kept.charCodeAt(kept.length - 1) === 32) {
      kept = onLoss('trailing_blanks', text, kept.replace(/ +$/, ''));
      if (kept === null) return null;
    }
    const cut = fits(kept);
    return cut === kept ? kept : onLoss('text_length', text, cut);
  };
}

function replaceUnknown(text: string, isKnown: (character: string) => boolean): string {
  let replaced = '';
  for (const character of text) replaced += isKnown(character) ? character : '?';
  return replaced;
}

/** The longest beginning of a text that the column takes. */
function fitting({ charset, maxCharacters, maxBytes }: TextLimits): (text: string) => string {
  if (maxCharacters !== undefined) {
    return (text) => {
      if (text.length <= maxCharacters) return text;
      const characters = [...text];
      return characters.length <= maxCharacters ? text : characters.slice(0, maxCharacters).join('');
    };
  }
  if (maxBytes === undefined) return (text) => text;
  const bytesOf = encodedBytes(charset);
  return (text) => {
    if (text.length * 4 <= maxBytes || bytesOf(text) <= maxBytes) return text;
    let bytes = 0;
    let end = 0;
    for (const character of text) {
      bytes += bytesOf(character);
      if (bytes > maxBytes) break;
      end += character.length;
    }
    return text.slice(0, end);
  };
}

/** Bytes as `\x…`. `fixed`: BINARY(n), which MySQL fills up with zero bytes. */
export function bytesPlan(maxBytes: number | undefined, fixed: boolean): ConversionPlan {
  const digits = maxBytes === undefined ? Infinity : maxBytes * 2 + 2;
  return {
    toLocalLosses: [], toSourceLosses: maxBytes === undefined ? [] : ['text_length', ...(fixed ? ['trailing_blanks'] as const : [])],
    make: (_, toSource) => ({
      // A server or its log may leave the zero bytes at the end out.
      toLocal: fixed ? (text) => text.padEnd(digits, '0') : keepText,
      toSource: (text) => {
        if (text.length > digits) return toSource('text_length', text, text.slice(0, digits));
        return fixed && text.length < digits ? toSource('trailing_blanks', text, text.padEnd(digits, '0')) : text;
      },
    }),
  };
}

/** BINARY(16) to `uuid`, in the order of the bytes. */
export const uuidBytesPlan: ConversionPlan = {
  toLocalLosses: [], toSourceLosses: [],
  make: () => ({
    toLocal: (text) => {
      const hex = text.slice(2).padEnd(32, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
    toSource: (text) => `\\x${text.replaceAll('-', '')}`,
  }),
};

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** CHAR(36) to `uuid`: comes back in small letters. */
export const uuidTextPlan: ConversionPlan = {
  toLocalLosses: ['spelling', 'malformed'], toSourceLosses: [],
  make: (toLocal) => ({
    toLocal: (text) => {
      if (uuidForm.test(text)) return text;
      const lower = text.toLowerCase();
      return uuidForm.test(lower) ? toLocal('spelling', text, lower) : toLocal('malformed', text, null);
    },
    toSource: keepText,
  }),
};

/** INET4 and INET6 to `inet`: local's type knows networks as well. */
export function inetPlan(isSix: boolean): ConversionPlan {
  return {
    toLocalLosses: [], toSourceLosses: ['malformed'],
    make: (_, toSource) => ({ toLocal: keepText, toSource: (text) => (!text.includes('/') && text.includes(':') === isSix ? text : toSource('malformed', text, null)) }),
  };
}

/** ENUM to an enum type or a text. */
export function enumPlan(labels: readonly string[]): ConversionPlan {
  const known = new Set(labels);
  const first = labels[0] ?? null;
  const takesEmpty = known.has('');
  return {
    toLocalLosses: takesEmpty ? [] : ['enum_empty'], toSourceLosses: ['enum_label'],
    make: (toLocal, toSource) => ({
      toLocal: takesEmpty ? keepText : (text) => (text === '' ? toLocal('enum_empty', text, first) : text),
      toSource: (text) => (known.has(text) ? text : toSource('enum_label', text, first)),
    }),
  };
}

/** ENUM to a text that keeps the empty value as well; a server takes that back in a mode without checks only. */
export function enumTextPlan(labels: readonly string[]): ConversionPlan {
  return { ...enumPlan([...labels, '']), toLocalLosses: [] };
}

/** SET to `text[]`, in the order of the definition. A label holds no comma. */
export function setPlan(labels: readonly string[]): ConversionPlan {
  const quoted = new Map(labels.map((label) => [label, `"${label.replace(/[\\"]/g, (special) => `\\${special}`)}"`]));
  return {
    toLocalLosses: [], toSourceLosses: ['set_member'],
    make: (_, toSource) => ({
      toLocal: (text) => {
        if (text === '') return '{}';
        let list = '';
        for (const label of text.split(',')) list += `${list === '' ? '{' : ','}${quoted.get(label) ?? `"${label.replace(/[\\"]/g, '\\$&')}"`}`;
        return `${list}}`;
      },
      toSource: (text) => {
        const members = readArray(text);
        const has = new Set(members);
        const kept = labels.filter((label) => has.has(label)).join(',');
        return members !== undefined && members.every((member) => quoted.has(member)) ? kept : toSource('set_member', text, kept);
      },
    }),
  };
}

/** SET to a text with commas. */
export function setTextPlan(labels: readonly string[]): ConversionPlan {
  const known = new Set(labels);
  return {
    toLocalLosses: [], toSourceLosses: ['set_member'],
    make: (_, toSource) => ({
      toLocal: keepText,
      toSource: (text) => {
        const members = text === '' ? [] : text.split(',');
        const has = new Set(members);
        const kept = labels.filter((label) => has.has(label)).join(',');
        return members.every((member) => known.has(member)) ? kept : toSource('set_member', text, kept);
      },
    }),
  };
}

/** Elements of a one-dimensional array without NULLs; undefined for another. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function readArray(text: string): string[] | undefined {
  if (text === '{}') return [];
  const elements: string[] = [];
  let end = 1;
  for (const [whole, quoted, bare] of text.slice(0, -1).matchAll(/[{,](?:"((?:[^"\\]|\\.)*)"|([^",{}]*))/gs)) {
    if (bare?.toUpperCase() === 'NULL') return undefined;
    elements.push(quoted?.replace(/\\(.)/gs, '$1') ?? bare ?? '');
    end += whole.length;
  }
  return text.startsWith('{') && end === text.length ? elements : undefined;
}

const nulEscape = /(?<!\\)(?:\\\\)*\\u0000/;

/** JSON to `jsonb`, which orders keys as MySQL does and takes no U+0000. */
export const jsonbPlan: ConversionPlan = {
  toLocalLosses: ['nul_character', 'json_number'], toSourceLosses: ['json_number'],
  make: (toLocal, toSource) => ({
    toLocal: (text) => {
      if (text.includes('\\u0000') && nulEscape.test(text)) return toLocal('nul_character', text, text.replace(/(?<!\\)((?:\\\\)*)\\u0000/g, '$1'));
      // A numeric has no negative zero.
      return text.includes('-0') && numbersOf(text).some((number) => /^-0(?:\.0*)?(?:e.*)?$/i.test(number)) ? toLocal('json_number', text, text.replace(/-0(\.0*)?(?![\d.])/g, '0$1')) : text;
    },
    toSource: (text) => (hasRoundedNumber(text) ? toSource('json_number', text, text) : text),
  }),
};

/** JSON to `json`, which keeps the text. */
export const jsonTextPlan: ConversionPlan = { ...jsonbPlan, toLocalLosses: [], make: (toLocal, toSource) => ({ ...jsonbPlan.make(toLocal, toSource), toLocal: keepText }) };

/** MariaDB's JSON is a text with a check. */
export const jsonLongtextPlan: ConversionPlan = { toLocalLosses: [], toSourceLosses: [], make: () => ({ toLocal: keepText, toSource: keepText }) };

function numbersOf(json: string): string[] {
  return [...json.matchAll(/"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*)/g)].flatMap(([, number]) => (number === undefined ? [] : [number]));
}

/** MySQL keeps whole numbers of 64 bits and doubles. */
function hasRoundedNumber(json: string): boolean {
  // Fifteen digits fit into a double in any case.
  if (!/\d[\d.]{15}|[eE][+-]?\d{3}/.test(json)) return false;
  return numbersOf(json).some((number) => {
    if (/^-?\d+$/.test(number) && number.length <= 20) {
      const whole = BigInt(number);
      if (whole >= -(1n << 63n) && whole < 1n << 64n) return false;
    }
    return significand(number) !== significand(`${Number(number)}`);
  });
}

/** `-12.50e3` → `-125e2`: one spelling of a number for each value. */
function significand(number: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  return trimmed === '' ? '0' : `${sign}${trimmed}e${Number(exponent) - fraction.length + digits.length - trimmed.length}`;
}
