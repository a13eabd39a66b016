/** Functions of text. Positions and lengths count characters on both sides; what differs at the edges is put right or refused. */
import { failIf, quoteMysqlText } from './emission.ts';
import type { Emission, Value } from './emission.ts';
import { coerce } from './literal.ts';
import type { FunctionEmitter } from './math-functions.ts';
import { bool, int4, isInteger, isText, text as textType, typeLabel } from './pg-type.ts';
import { changeCase, collated, comparable, textOf } from './text-value.ts';
import { refuse } from './refusal.ts';

function made(values: readonly Value[], sql: string, type = textType): Value {
  return { sql, type, nullable: values.some(({ nullable }) => nullable), ...(values.every(({ constant }) => constant === true) ? { constant: true } : {}) };
}

/** Arguments that PostgreSQL takes as text by itself. */
function texts(emission: Emission, name: string, values: readonly Value[], count: number, place: unknown): readonly Value[] {
  if (values.length !== count || values.some(({ type }) => !isText(type) && type.name !== 'unknown')) refuse(`function ${name} of these arguments`, place);
  return values.map((value) => textOf(emission, value, place));
}

function ofText(name: string, emit: (sql: string, emission: Emission) => string, type = textType): FunctionEmitter {
  return (emission, values, place) => {
    const [value] = texts(emission, name, values, 1, place);
    return value === undefined ? refuse(name, place) : made([value], emit(value.sql, emission), type);
  };
}

function caseOf(name: string, word: 'LOWER' | 'UPPER'): FunctionEmitter {
  return (emission, values, place) => {
    const [value] = texts(emission, name, values, 1, place);
    return value === undefined ? refuse(name, place) : changeCase(emission, word, value);
  };
}

/** PostgreSQL takes away any of the characters, MySQL the string as a whole: only one character means the same. */
function trim(name: string, word: 'BOTH' | 'LEADING' | 'TRAILING'): FunctionEmitter {
  return (emission, values, place) => {
    const [value, characters] = texts(emission, name, values, values.length, place);
    const set = values.length === 1 ? ' ' : values[1]?.literal;
    if (value === undefined || values.length > 2 || typeof set !== 'string' || [...set].length !== 1) return refuse(`function ${name} of several characters`, place);
    return made([value, ...(characters === undefined ? [] : [characters])], `TRIM(${word} ${quoteMysqlText(set)} FROM ${value.sql})`);
  };
}

function countOf(emission: Emission, value: Value | undefined, name: string, place: unknown): Value {
  if (value === undefined || (!isInteger(value.type) && value.type.name !== 'unknown')) return refuse(`function ${name} of these arguments`, place);
  return coerce(emission, value, int4, place);
}

function substring(name: string): FunctionEmitter {
  return (emission, values, place) => {
    const [subject, ...rest] = values;
    if (subject === undefined || rest.length === 0 || rest.length > 2 || rest.some(({ type }) => isText(type) || type.name === 'unknown')) return refuse(`function ${name} of these arguments`, place);
    const [value] = texts(emission, name, [subject], 1, place);
    const [from, count] = rest.map((item) => countOf(emission, item, name, place));
    if (value === undefined || from === undefined) return refuse(name, place);
    const all = [value, from, ...(count === undefined ? [] : [count])];
    // A start before the first character eats into the length on PostgreSQL, and counts from the end on MySQL.
    const start = from.number !== undefined && from.number > 0 ? from.sql : `GREATEST(${from.sql}, 1)`;
    if (count === undefined) return made(all, `SUBSTRING(${value.sql}, ${start})`);
    const isNegative = `${count.sql} < 0`;
    const given = count.number !== undefined && count.number >= 0 ? count.sql : `IF(${isNegative}, ${failIf(isNegative)}, ${count.sql})`;
    const length = from.number !== undefined && from.number > 0 ? given : `GREATEST(LEAST(${from.sql}, 1) - 1 + ${given}, 0)`;
    return made(all, `SUBSTRING(${value.sql}, ${start}, ${length})`);
  };
}

/** A negative count leaves out so many from the other end. */
function side(name: 'left' | 'right', word: 'LEFT' | 'RIGHT'): FunctionEmitter {
  return (emission, values, place) => {
    const [subject, given] = values;
    if (values.length !== 2 || subject === undefined) return refuse(`function ${name} of these arguments`, place);
    const [value] = texts(emission, name, [subject], 1, place);
    const count = countOf(emission, given, name, place);
    if (value === undefined) return refuse(name, place);
    const length = count.number !== undefined && count.number >= 0 ? count.sql : `IF(${count.sql} < 0, GREATEST(CHAR_LENGTH(${value.sql}) + ${count.sql}, 0), ${count.sql})`;
    // The least of all integers has no negative: PostgreSQL's right leaves nothing out by it.
    const checked = name === 'right' && count.number === undefined ? `IF(${count.sql} = -2147483648, CHAR_LENGTH(${value.sql}), ${length})` : length;
    return made([value, count], `${word}(${value.sql}, ${checked})`);
  };
}

function pad(name: 'lpad' | 'rpad', word: 'LPAD' | 'RPAD'): FunctionEmitter {
  return (emission, values, place) => {
    const [subject, given, filler] = values;
    const fill = filler === undefined ? ' ' : filler.literal;
    if (subject === undefined || values.length > 3 || typeof fill !== 'string' || fill === '') return refuse(`function ${name} with a filler that is no constant`, place);
    const [value] = texts(emission, name, [subject], 1, place);
    const count = countOf(emission, given, name, place);
    if (value === undefined) return refuse(name, place);
    const length = count.number !== undefined && count.number >= 0 ? count.sql : `GREATEST(${count.sql}, 0)`;
    return made([value, count], `${word}(${value.sql}, ${length}, ${quoteMysqlText(fill)})`);
  };
}

function locate(name: string): FunctionEmitter {
  return (emission, values, place) => {
    const [subject, wanted] = texts(emission, name, values, 2, place);
    if (subject === undefined || wanted === undefined) return refuse(name, place);
    // Where the server has no exact collation its bytes are compared, whose places are not those of characters.
    if (emission.capabilities.binaryCollation === undefined) return made([subject, wanted], `LOCATE(${collated(emission, wanted.sql)}, ${subject.sql})`, int4);
    return made([subject, wanted], `LOCATE(${wanted.sql}, ${subject.sql})`, int4);
  };
}

function concatenated(emission: Emission, value: Value, place: unknown): string {
  if (value.type.name === 'bpchar') return refuse('concat of character', place);
  if (value.type.name === 'bool') return `ELT(${value.sql} + 1, 'f', 't')`;
  return textOf(emission, value, place).sql;
}

export const textFunctions: Readonly<Record<string, FunctionEmitter>> = {
  lower: caseOf('lower', 'LOWER'),
  upper: caseOf('upper', 'UPPER'),
  length: (emission, values, place) => {
    const [value] = values;
    if (value?.type.name === 'bytea') return made([value], `LENGTH(${value.sql})`, int4);
    if (value?.type.name === 'bpchar') return made([value], `CHAR_LENGTH(${value.sql})`, int4);
    return ofText('length', (sql) => `CHAR_LENGTH(${sql})`, int4)(emission, values, place);
  },
  char_length: ofText('char_length', (sql) => `CHAR_LENGTH(${sql})`, int4),
  character_length: ofText('character_length', (sql) => `CHAR_LENGTH(${sql})`, int4),
  octet_length: (emission, values, place) => {
    if (values[0]?.type.name === 'bpchar') return refuse('octet_length of character', place);
    return ofText('octet_length', (sql) => `LENGTH(${sql})`, int4)(emission, values, place);
  },
  btrim: trim('btrim', 'BOTH'),
  ltrim: trim('ltrim', 'LEADING'),
  rtrim: trim('rtrim', 'TRAILING'),
  substring: substring('substring'),
  substr: substring('substr'),
  left: side('left', 'LEFT'),
  right: side('right', 'RIGHT'),
  lpad: pad('lpad', 'LPAD'),
  rpad: pad('rpad', 'RPAD'),
  position: locate('position'),
  strpos: locate('strpos'),
  replace: (emission, values, place) => {
    const all = texts(emission, 'replace', values, 3, place);
    const sql = `REPLACE(${all.map((value) => value.sql).join(', ')})`;
    const [, , other] = all;
    // What would be put in is not looked at where nothing is found.
    return made(all, other?.nullable === true ? `IF(${other.sql} IS NULL, NULL, ${sql})` : sql);
  },
  reverse: ofText('reverse', (sql) => `REVERSE(${sql})`),
  md5: ofText('md5', (sql, emission) => (emission.capabilities.md5 ? `MD5(${sql})` : refuse('function md5'))),
  repeat: (emission, values, place) => {
    const [subject, given] = values;
    if (subject === undefined || values.length !== 2) return refuse('function repeat of these arguments', place);
    const [value] = texts(emission, 'repeat', [subject], 1, place);
    const count = countOf(emission, given, 'repeat', place);
    return value === undefined ? refuse('repeat', place) : made([value, count], `REPEAT(${value.sql}, ${count.sql})`);
  },
  /** NULL counts as nothing. */
  concat: (emission, values, place) => {
    if (values.length === 0) return refuse('function concat of no arguments', place);
    return { sql: `CONCAT(${values.map((value) => `COALESCE(${concatenated(emission, value, place)}, '')`).join(', ')})`, type: textType, nullable: false };
  },
  concat_ws: (emission, values, place) => {
    const [separator, ...rest] = values;
    if (separator === undefined || rest.length === 0) return refuse('function concat_ws of these arguments', place);
    const mark = textOf(emission, separator, place);
    // MariaDB takes the first item wrongly when it is a subquery's column that stands there twice: an empty one goes before it, and away again.
    const sql = `SUBSTRING(CONCAT_WS(${mark.sql}, '', ${rest.map((value) => concatenated(emission, value, place)).join(', ')}), CHAR_LENGTH(${mark.sql}) + 1)`;
    return { sql, type: textType, nullable: separator.nullable };
  },
  starts_with: (emission, values, place) => {
    const [subject, wanted] = texts(emission, 'starts_with', values, 2, place);
    if (subject === undefined || wanted === undefined) return refuse('starts_with', place);
    return made([subject, wanted], `(${comparable(emission, { ...subject, sql: `LEFT(${subject.sql}, CHAR_LENGTH(${wanted.sql}))` })} = ${comparable(emission, wanted)})`, bool);
  },
  split_part: (emission, values, place) => {
    const [subject, separator, number] = values;
    if (subject === undefined || values.length !== 3 || typeof separator?.literal !== 'string' || separator.literal === '' || (number?.number ?? 0) < 1) return refuse('function split_part of these arguments', place);
    const [value] = texts(emission, 'split_part', [subject], 1, place);
    const mark = quoteMysqlText(separator.literal);
    if (value === undefined || number?.number === undefined) return refuse(`function split_part of ${typeLabel(subject.type)}`, place);
    const marks = `(CHAR_LENGTH(${value.sql}) - CHAR_LENGTH(REPLACE(${value.sql}, ${mark}, ''))) DIV ${[...separator.literal].length}`;
    // All from the left: from the right `aa` stands elsewhere in `aaa`.
    const upTo = (count: number): string => `SUBSTRING_INDEX(${value.sql}, ${mark}, ${count})`;
    if (number.number === 1) return made([value], upTo(1));
    return made([value], `IF(${marks} < ${number.number - 1}, '', SUBSTRING(${upTo(number.number)}, CHAR_LENGTH(${upTo(number.number - 1)}) + ${[...separator.literal].length + 1}))`);
  },
};
