/**
 * Values of PostgreSQL's text protocol as MySQL's, and a MySQL client's parameters as PostgreSQL takes them. The texts of local are those of `DateStyle ISO`, `IntervalStyle postgres`, `bytea_output hex`.
 * A parameter that a step's form cannot hold exactly is refused, or fails as strict mode fails.
 */
import { isPlainJson } from './assign-value.ts';
import { charsetFits } from './charset-fits.ts';
import { findLabel } from './compare-values.ts';
import { likePattern, losesBackslash } from './like-pattern.ts';
import { isZeroMoment, readMoment, readNumber, readTime, readWhole } from './moment-text.ts';
import type { MysqlForm, MysqlParameter, MysqlResultColumn, PgForm, PgParameter } from './mysql-translation.ts';

/** Makes MySQL's text of PostgreSQL's; of bytes latin1, one character per byte. Undefined: the texts are the same, the bytes can be passed on. */
export function mysqlValue({ form }: Pick<MysqlResultColumn, 'form'>): ((text: string) => string) | undefined {
  return form.kind === 'same' ? undefined : converter(form);
}

function converter(form: Exclude<MysqlForm, { kind: 'same' }>): (text: string) => string {
  switch (form.kind) {
    case 'boolean': return (text) => (text === 't' ? '1' : text === 'f' ? '0' : text);
    case 'float': return (text) => doubleText(Number(Number(text).toPrecision(6)));
    case 'double': {
      const { decimals } = form;
      return decimals === undefined ? (text) => doubleText(Number(text)) : (text) => fixedText(Number(text), decimals);
    }
    case 'date': return (text) => dateText(text, '', '');
    case 'datetime': {
      const { fraction } = form;
      const zeros = fraction === 0 ? '' : `.${'0'.repeat(fraction)}`;
      return (text) => (text.length === 19 ? text + zeros : dateText(text, ' 00:00:00', zeros));
    }
    case 'time': {
      const { fraction } = form;
      return (text) => timeText(text, fraction);
    }
    case 'year': return (text) => text.padStart(4, '0');
    case 'zerofill': {
      const { width } = form;
      return (text) => text.padStart(width, '0');
    }
    case 'bytes': return (text) => Buffer.from(text.slice(2), 'hex').toString('latin1');
    case 'bit': {
      const { bits } = form;
      return (text) => bitText(text === 't' ? '1' : text === 'f' ? '0' : text, bits);
    }
    case 'set': return setText;
  }
}

/** Digits before the point from which on an exponent is written, and zeros behind it. */
const longestPlain = 15;

/** The shortest digits that mean the number, with an exponent where it is far from 1. */
export function doubleText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [, sign = '', first = '', rest = '', exponent = ''] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential()) ?? [];
  const digits = first + rest;
  const point = Number(exponent) + 1;
  // With digits behind the point it is written as it is, however long.
  if ((point > longestPlain && digits.length <= point) || point < -longestPlain + 1) return `${sign}${first}${rest === '' ? '' : `.${rest}`}e${Number(exponent)}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits.length <= point ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`}`;
}

/** The shortest digits, and zeros up to the point and behind it. */
function fixedText(value: number, decimals: number): string {
  const [, sign = '', first = '', rest = '', exponent = ''] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential()) ?? [];
  if (Number(exponent) < 21) return value.toFixed(decimals);
  return `${sign}${(first + rest).padEnd(Number(exponent) + 1, '0')}${decimals === 0 ? '' : `.${'0'.repeat(decimals)}`}`;
}

/** `-infinity` stands for the zero date, and MySQL's year 0 is 1 BC. */
function dateText(text: string, midnight: string, zeros: string): string {
  if (text === '-infinity') return `0000-00-00${midnight}${zeros}`;
  const bare = text.endsWith(' BC') ? `0000${text.slice(4, -3)}` : text;
  if (zeros === '' || bare.length < 19) return bare;
  return bare.length === 19 ? bare + zeros : bare.padEnd(19 + zeros.length, '0').slice(0, 19 + zeros.length);
}

const two = (number: number): string => (number < 10 ? `0${number}` : `${number}`);

/** `1 day -02:03:04.5`: each part has its own sign. */
function timeText(text: string, fraction: number): string {
  let micros = 0;
  for (const [, sign, number = '0', hours, minutes, seconds, rest = ''] of text.matchAll(/([+-]?)(?:(\d+) days?|(\d+):(\d\d):(\d\d)(\.\d+)?)/g)) {
    const part = hours === undefined ? Number(number) * 86_400e6 : (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6 + Number(rest.slice(1).padEnd(6, '0'));
    micros += sign === '-' ? -part : part;
  }
  const total = Math.trunc(Math.abs(micros) / 1e6);
  const digits = fraction === 0 ? '' : `.${`${Math.abs(micros) % 1e6}`.padStart(6, '0').slice(0, fraction)}`;
  return `${micros < 0 ? '-' : ''}${two(Math.trunc(total / 3600))}:${two(Math.trunc(total / 60) % 60)}:${two(total % 60)}${digits}`;
}

function bitText(digits: string, bits: number): string {
  const bytes = Math.ceil(bits / 8);
  const padded = digits.padStart(bytes * 8, '0');
  let text = '';
  for (let at = 0; at < padded.length; at += 8) text += String.fromCharCode(Number.parseInt(padded.slice(at, at + 8), 2));
  return text;
}

/** A one-dimensional array; members of a SET hold no comma. */
function setText(text: string): string {
  return text.slice(1, -1).replace(/"((?:[^"\\]|\\.)*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1'));
}

const value = (text: string | null): PgParameter => ({ type: 'value', text });
const refused = (construct: string): PgParameter => ({ type: 'refused', construct });
const error = (number: number): PgParameter => ({ type: 'error', number });

/** ER_WARN_DATA_OUT_OF_RANGE, ER_DATA_TOO_LONG, ER_TRUNCATED_WRONG_VALUE, WARN_DATA_TRUNCATED, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ER_INVALID_JSON_TEXT. */
const outOfRange = 1264;
const tooLong = 1406;
const wrongValue = 1292;
const truncated = 1265;
const wrongText = 1366;
const wrongJson = 3140;

const numberKinds: ReadonlySet<string> = new Set(['integer', 'unsigned', 'decimal', 'double', 'text']);
const dateKinds: ReadonlySet<string> = new Set(['date', 'datetime', 'text']);

type Take<Kind extends PgForm['kind']> = (form: Extract<PgForm, { kind: Kind }>, text: string, parameter: MysqlParameter) => PgParameter;

/** Makes the text that a step takes of a parameter's value. */
export function pgValue(form: PgForm): (parameter: MysqlParameter) => PgParameter {
  // NULL of no kind makes a string's calculation of what it stands in.
  const ofNull = (parameter: MysqlParameter): PgParameter => (form.kind === 'integer' && form.integerOnly === true && parameter.kind === 'text' ? refused('parameter as an integer') : value(null));
  return (parameter) => (parameter.value === null ? ofNull(parameter) : take(form, parameter.value, parameter));
}

function take(form: PgForm, text: string, parameter: MysqlParameter): PgParameter {
  switch (form.kind) {
    case 'integer': return integer(form, text, parameter);
    case 'decimal': return decimal(form, text, parameter);
    case 'double':
      if (form.numberOnly === true && parameter.kind === 'text') return refused('string beside a number');
      return parameter.kind === 'double' ? value(text) : decimal({ kind: 'decimal' }, text, parameter);
    case 'text': return string(form, text, parameter);
    case 'bytes': return bytes(form, text, parameter);
    case 'boolean': {
      const number = readNumber(text);
      return numberKinds.has(parameter.kind) && (number?.text === '0' || number?.text === '1') ? value(number.text === '1' ? 't' : 'f') : refused('another number than 0 and 1 in a TINYINT(1)');
    }
    case 'date': case 'datetime': return moment(form, text, parameter);
    case 'time': {
      const time = parameter.kind === 'time' || parameter.kind === 'text' ? readTime(text) : undefined;
      return time === undefined || time.fraction > form.fraction ? refused('parameter as a TIME') : value(time.text);
    }
    case 'year': return (text !== '0' || parameter.kind !== 'text') && /^(?:0|0000|19(?!00)\d\d|20\d\d|21[0-4]\d|215[0-5])$/.test(text) && numberKinds.has(parameter.kind) ? value(`${Number(text)}`) : refused('parameter as a YEAR');
    case 'enum': {
      const label = parameter.kind === 'text' ? findLabel(form.labels, text, form.exact === true) : undefined;
      return label === undefined ? (form.assigned === true ? error(truncated) : refused('comparison of ENUM with what is no label')) : value(label);
    }
    case 'set': return set(form, text, parameter);
    case 'bit': {
      const digits = /^\d{1,19}$/.test(text) && numberKinds.has(parameter.kind) && parameter.kind !== 'text' ? BigInt(text).toString(2) : undefined;
      return digits === undefined ? refused('parameter as a BIT') : digits.length > form.bits ? error(tooLong) : value(form.bits === 1 ? (digits === '1' ? 't' : 'f') : digits.padStart(form.bits, '0'));
    }
    case 'json': return parameter.kind !== 'text' ? refused('parameter as JSON') : isPlainJson(text) ? value(text) : error(wrongJson);
    case 'uuid': return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? value(text.toLowerCase()) : error(wrongValue);
    case 'inet': return /^[0-9a-f.:]+$/i.test(text) ? value(text) : error(wrongValue);
  }
}

const integer: Take<'integer'> = (form, text, parameter) => {
  if (form.numberOnly === true && parameter.kind === 'text') return refused('string beside a number');
  // Its digits behind the point would be those of all.
  if (form.numberOnly === true && parameter.kind === 'decimal') return refused('DECIMAL beside an integer');
  if (form.integerOnly === true && parameter.kind !== 'integer' && parameter.kind !== 'unsigned') return refused('parameter as an integer');
  const isExact = parameter.kind === 'integer' || parameter.kind === 'unsigned' || parameter.kind === 'decimal';
  const whole = numberKinds.has(parameter.kind) ? (isExact && /^-?\d+$/.test(text) ? text : wholeOf(text)) : undefined;
  if (whole === undefined) return refused('parameter as an integer');
  const number = BigInt(whole);
  if ((form.min !== undefined && number < BigInt(form.min)) || (form.max !== undefined && number > BigInt(form.max))) return error(outOfRange);
  return value(`${number}`);
};

/** `5`, `5.0`, `5e0`: a double of a driver that knows no integers. */
function wholeOf(text: string): string | undefined {
  const number = readNumber(text);
  if (number?.isWhole === true) return number.text;
  const whole = readWhole(text);
  if (whole !== undefined) return `${whole}`;
  if (number !== undefined && /^-?\d+\.0*$/.test(number.text)) return number.text.split('.')[0];
  const double = Number(text);
  return /^-?\d(?:\.\d+)?e\+?\d+$/i.test(text) && Number.isSafeInteger(double) ? `${double}` : undefined;
}

const decimal: Take<'decimal'> = (form, text, parameter) => {
  if (!numberKinds.has(parameter.kind)) return refused('parameter as a number');
  const isExact = parameter.kind === 'integer' || parameter.kind === 'unsigned' || parameter.kind === 'decimal';
  const number = isExact && /^-?\d+(?:\.\d+)?$/.test(text) ? { text, scale: (text.split('.')[1] ?? '').length } : readNumber(text);
  if (number === undefined) return refused('parameter as a number');
  return form.scale !== undefined && number.scale > form.scale ? refused('number with more digits than the column') : value(number.text);
};

const string: Take<'text'> = (form, text, parameter) => {
  if (form.stringOnly === true && parameter.kind !== 'text') return refused('comparison of a string with a number');
  if (form.neverNumber === true && parameter.kind !== 'text') return refused('number as a part of a string');
  if (!['text', 'integer', 'unsigned', 'decimal'].includes(parameter.kind)) return refused('parameter as a string');
  if (text.includes('\0')) return refused('string with the character NUL');
  if (form.pattern !== undefined) return form.unslashed === true && losesBackslash(likePattern(text, form.pattern)) ? refused('LIKE of a backslash in a collation that is not binary') : value(likePattern(text, form.pattern));
  if (form.unpadded === true && text.endsWith(' ')) return refused('blanks at the end of a unique key');
  const kept = form.trimmed === true ? text.replace(/ +$/, '') : text;
  if (form.charset !== undefined && !charsetFits(form.charset, kept)) return error(wrongText);
  return form.maxLength !== undefined && kept.length > form.maxLength && [...kept.replace(/ +$/, '')].length > form.maxLength ? error(tooLong) : value(kept);
};

const bytes: Take<'bytes'> = (form, text, parameter) => {
  if (parameter.kind !== 'bytes' && parameter.kind !== 'text') return refused('parameter as bytes');
  const content = parameter.kind === 'bytes' ? Buffer.from(text, 'latin1') : Buffer.from(text);
  const most = form.fixed ?? form.maxLength;
  if (most !== undefined && content.length > most) return error(tooLong);
  return value(`\\x${content.toString('hex').padEnd((form.fixed ?? 0) * 2, '0')}`);
};

const firstYear = 1970;
const lastYear = 2037;

function moment(form: Extract<PgForm, { kind: 'date' | 'datetime' }>, text: string, parameter: MysqlParameter): PgParameter {
  if (form.zero === true && dateKinds.has(parameter.kind) && isZeroMoment(text)) return value('-infinity');
  const read = dateKinds.has(parameter.kind) ? readMoment(text) : undefined;
  if (read === undefined) return refused('parameter as a date');
  if (form.kind === 'date') return read.fraction > 0 ? refused('fraction of a second in a DATE') : value(read.text.slice(0, 10));
  if (form.timestamp === true && (read.year <= firstYear || read.year > lastYear)) return refused('TIMESTAMP at the end of its range');
  return value(read.text);
}

const set: Take<'set'> = (form, text, parameter) => {
  if (parameter.kind !== 'text') return refused('parameter as a SET');
  const words = text === '' ? [] : text.split(',').map((word) => findLabel(form.labels, word, form.exact === true));
  if (words.includes(undefined)) return error(truncated);
  return value(`{${form.labels.filter((label) => words.includes(label)).map((label) => `"${label.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`);
};
