/** Functions of strings. https://dev.mysql.com/doc/refman/8.4/en/string-functions.html */
import { quoteLiteral } from '../../names.ts';
import { argument, constantNumber, exactly, optionalArgument, wholeDigits } from './call-context.ts';
import type { CallContext, CallEmitter } from './call-context.ts';
import { compareValues, findLabel, isExactLabel } from './compare-values.ts';
import { asDecimal, asInteger, asText, bigintSql, isConstantText } from './convert-value.ts';
import { oneCollation } from './member-tests.ts';
import type { Value } from './mysql-expression.ts';
import { collated, commonCollation, intType, isUtf8, localCollation, typeName } from './mysql-type.ts';
import type { MysqlType, TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

const length: MysqlType = intType(0n, 0xffffffffn);
const binarySearch = ' COLLATE "C"';

export const text = (call: CallContext, index: number): Value => asText(call.emission, argument(call, index));
const integer = (call: CallContext, index: number): string => bigintSql(asInteger(call.emission, argument(call, index)));

/** So many characters: none for less than none, and NULL for NULL, which PostgreSQL's greatest() leaves out. */
function characters(call: CallContext, index: number): string {
  const count = integer(call, index);
  return argument(call, index).nullable ? `(CASE WHEN ${count} < 0 THEN 0 ELSE ${count} END)::int` : `greatest(${count}, 0)::int`;
}

function collationOfTexts(call: CallContext, values: readonly Value[]): TextCollation | undefined {
  let collation: TextCollation | undefined;
  for (const { type } of values) if (type.kind === 'text') collation = commonCollation(collation, type.collation, call.place);
  return collation;
}

/** A string that is made of others. */
function made(call: CallContext, sql: string, parts: readonly Value[], nullable = parts.some((part) => part.nullable)): Value {
  const collation = collationOfTexts(call, parts);
  // A subquery's value has no COLLATE of its own any more.
  return { sql: collation?.local === undefined ? (sql.includes(' COLLATE ') ? `(SELECT ${sql})` : sql) : collated(sql, collation), type: { kind: 'text', collation, isTrimmed: false, isOwn: collation?.local !== undefined }, nullable };
}

/** Parts that are joined: each with the same COLLATE, if they have different ones. */
function mixed(parts: readonly Value[]): string[] {
  return parts.filter(({ sql }) => sql.includes(' COLLATE ')).length < 2 ? parts.map(({ sql }) => sql) : parts.map(({ sql }) => `(${sql}${binarySearch})`);
}

/** Bytes of the string in its own character set, as `bytea`. */
function bytesOf(call: CallContext, value: Value): string {
  if (value.type.kind === 'bytes') return value.sql;
  const string = asText(call.emission, value);
  const charset = string.type.kind === 'text' ? string.type.collation?.charset ?? call.emission.facts.charset : '';
  return isUtf8(charset) ? `convert_to(${string.sql}, 'UTF8')` : refuse(`${call.name}() of character set ${charset}`, call.place);
}

const concat: CallEmitter = (call) => {
  exactly(call, 1, 99);
  const parts = call.args.map((_, index) => text(call, index));
  return made(call, `(${mixed(parts).join(' || ')})`, parts);
};

const concatWs: CallEmitter = (call) => {
  exactly(call, 2, 99);
  const parts = call.args.map((_, index) => text(call, index));
  return made(call, `concat_ws(${mixed(parts).join(', ')})`, parts, argument(call, 0).nullable);
};

const byteLength: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  if (value.type.kind === 'text' && value.type.collation?.charset === 'latin1') return { sql: `char_length(${value.sql})`, type: length, nullable: value.nullable };
  return { sql: `octet_length(${bytesOf(call, value)})`, type: length, nullable: value.nullable };
};

const charLength: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  return { sql: value.type.kind === 'bytes' ? `octet_length(${value.sql})` : `char_length(${text(call, 0).sql})`, type: length, nullable: value.nullable };
};

/** Letters change as Unicode's simple mapping says; ICU's would make two letters of one. */
const caseOf = (word: 'upper' | 'lower'): CallEmitter => (call) => {
  exactly(call, 1);
  if (call.emission.facts.localVersion < 170000) return refuse(`${call.name}() on a local before PostgreSQL 17`, call.place);
  const value = text(call, 0);
  const isLatin = value.type.kind === 'text' && value.type.collation?.charset === 'latin1';
  // Latin-1 has no capitals for these.
  const source = isLatin && word === 'upper' ? `translate(${value.sql}, 'ÿµ', E'\\uE000\\uE001')` : value.sql;
  const changed = `${word}(${source} COLLATE "pg_c_utf8")`;
  return made(call, source === value.sql ? changed : `translate(${changed}, E'\\uE000\\uE001', 'ÿµ')`, [value]);
};

const left: CallEmitter = (call) => {
  exactly(call, 2);
  return made(call, `left(${text(call, 0).sql}, ${characters(call, 1)})`, [text(call, 0)], text(call, 0).nullable || argument(call, 1).nullable);
};

const right: CallEmitter = (call) => {
  exactly(call, 2);
  return made(call, `right(${text(call, 0).sql}, ${characters(call, 1)})`, [text(call, 0)], text(call, 0).nullable || argument(call, 1).nullable);
};

const substring: CallEmitter = (call) => {
  exactly(call, 2, 3);
  const source = text(call, 0);
  const from = constantOrRefuse(call, 1);
  const count = optionalArgument(call, 2) === undefined ? undefined : characters(call, 2);
  const nullable = source.nullable || optionalArgument(call, 2)?.nullable === true;
  // NULL of a number of characters that is NULL, also where there is none of them.
  const none = `left(${source.sql}, ${count !== undefined && optionalArgument(call, 2)?.nullable === true ? `${count} * 0` : '0'})`;
  if (from === 0) return made(call, none, [source], nullable);
  if (from > 0) return made(call, `substr(${source.sql}, ${from}${count === undefined ? '' : `, ${count}`})`, [source], nullable);
  const tail = `right(${source.sql}, ${-from})`;
  return made(call, `CASE WHEN char_length(${source.sql}) >= ${-from} THEN ${count === undefined ? tail : `left(${tail}, ${count})`} ELSE ${none} END`, [source], nullable);
};

function constantOrRefuse(call: CallContext, index: number): number {
  return constantNumber(asInteger(call.emission, argument(call, index)), `${call.name}() by what is no constant`);
}

/** The separator is looked for as it is written, whatever the collation. */
const substringIndex: CallEmitter = (call) => {
  exactly(call, 3);
  const [source, separator] = [text(call, 0), argument(call, 1)];
  const count = constantOrRefuse(call, 2);
  if (!isConstantText(separator)) return refuse('SUBSTRING_INDEX() by what is no constant', call.place);
  if (separator.constant === '' || count === 0) return made(call, `left(${source.sql}, 0)`, [source]);
  const quoted = quoteLiteral(separator.constant);
  const parts = `string_to_array(${source.sql}${binarySearch}, ${quoted}${binarySearch})`;
  const slice = count > 0 ? `(${parts})[1:${count}]` : `(${parts})[greatest(cardinality(${parts}) - ${-count - 1}, 1):]`;
  return made(call, `array_to_string(${slice}, ${quoted})`, [source]);
};

const padded = (word: 'lpad' | 'rpad'): CallEmitter => (call) => {
  exactly(call, 2, 3);
  const source = text(call, 0);
  const size = constantOrRefuse(call, 1);
  const filling = optionalArgument(call, 2);
  if (size < 0 || (filling !== undefined && (!isConstantText(filling) || filling.constant === ''))) return refuse(`${call.name}() by what is no constant`, call.place);
  return made(call, `${word}(${source.sql}, ${size}, ${quoteLiteral(filling?.constant ?? ' ')})`, [source]);
};

const trim: CallEmitter = (call) => {
  const source = text(call, 0);
  const taken = optionalArgument(call, 1);
  if (taken !== undefined && (!isConstantText(taken) || [...taken.constant].length !== 1)) return refuse('TRIM() of more than one character', call.place);
  const word = call.name === 'LTRIM' || call.details.word === 'LEADING' ? 'ltrim' : call.name === 'RTRIM' || call.details.word === 'TRAILING' ? 'rtrim' : 'btrim';
  return made(call, `${word}(${source.sql}, ${quoteLiteral(taken?.constant ?? ' ')})`, [source]);
};

const replace: CallEmitter = (call) => {
  exactly(call, 3);
  const parts = [text(call, 0), text(call, 1), text(call, 2)] as const;
  // Whose collation the result has is another question on every version.
  if (new Set(parts.flatMap(({ type }) => (type.kind === 'text' && type.collation !== undefined ? [type.collation.name] : []))).size > 1) return refuse('mix of collations', call.place);
  const replaced = `replace(${parts.map(({ sql }) => `${sql}${binarySearch}`).join(', ')})`;
  // MySQL before 8 and MariaDB do not look at the third where there is nothing to replace.
  const { flavour, version } = call.emission.facts.mode.server;
  const isLazy = (flavour === 'mariadb' || version < 80000) && parts[2].nullable;
  // In a character set of one byte, and where bytes are compared, they find that out before, whatever the constant is.
  const { name, charset } = collationOfTexts(call, parts) ?? { name: call.emission.facts.collation, charset: call.emission.facts.charset };
  const isFirst = !isUtf8(charset) || name.endsWith('_bin') ? ` OR strpos(${parts[0].sql}${binarySearch}, ${parts[1].sql}${binarySearch}) = 0` : '';
  return made(call, isLazy ? `CASE WHEN ${parts[1].sql}${binarySearch} = ''${isFirst} THEN ${parts[0].sql}${binarySearch} ELSE ${replaced} END` : replaced, parts);
};

/** LOCATE(needle, text, from), INSTR(text, needle). */
const locate: CallEmitter = (call) => {
  exactly(call, 2, call.name === 'INSTR' ? 2 : 3);
  const [needle, source] = call.name === 'INSTR' ? [text(call, 1), text(call, 0)] : [text(call, 0), text(call, 1)];
  if (optionalArgument(call, 2) !== undefined) return refuse('LOCATE() from a place', call.place);
  const names = [needle, source].flatMap(({ type }) => (type.kind === 'text' && type.collation !== undefined ? [type.collation.name] : []));
  if (new Set(names).size > 1) return refuse('mix of collations', call.place);
  const collation = collationOfTexts(call, [needle, source]) ?? call.emission.connectionCollation(call.place);
  const { flavour, version } = call.emission.facts.mode.server;
  if (!collation.deterministic && (flavour === 'mariadb' || version < 80000)) {
    // These compare as many bytes as the needle has: letters with accents are found by their own length alone.
    if (needle.constant === undefined || /[^\0-\x7f]| $/.test(needle.constant)) return refuse(`${call.name}() of what is no constant of ASCII`, call.place);
    return { sql: `strpos(lower(${source.sql} COLLATE "C"), ${quoteLiteral(needle.constant.toLowerCase())})`, type: length, nullable: source.nullable };
  }
  if (!collation.deterministic && call.emission.facts.localVersion < 180000) return refuse(`${call.name}() on a local before PostgreSQL 18`, call.place);
  // It compares these as the connection compares them.
  if (!isUtf8(collation.charset)) return refuse(`${call.name}() of character set ${collation.charset}`, call.place);
  const local = localCollation(collation, call.place);
  return { sql: `strpos(${source.sql} COLLATE ${local}, ${needle.sql} COLLATE ${local})`, type: length, nullable: needle.nullable || source.nullable };
};

const hex: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  const ascii = (sql: string): Value => ({ sql, type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false, ...wholeDigits(call) }, nullable: value.nullable });
  // MySQL 5.6 keeps twice as many digits as the number can have, and a negative one has sixteen.
  const { flavour, version } = call.emission.facts.mode.server;
  const isShort = value.origin === undefined || /^(?:tiny|small)int$/.test(value.origin.column.type.name);
  if (value.type.kind === 'int' && value.type.min < 0n && isShort && flavour === 'mysql' && version < 50700) return refuse('HEX() of numbers that may be negative', call.place);
  if (value.type.kind === 'int' || value.type.kind === 'bool') return ascii(`upper(to_hex(${integer(call, 0)}))`);
  if (value.type.kind !== 'text' && value.type.kind !== 'bytes') return refuse(`HEX() of ${typeName(value.type)}`, call.place);
  return ascii(`upper(encode(${bytesOf(call, value)}, 'hex'))`);
};

const hash = (write: (bytes: string) => string): CallEmitter => (call) => ({ sql: write(bytesOf(call, argument(call, 0))), type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false }, nullable: argument(call, 0).nullable });

const sha2: CallEmitter = (call) => {
  exactly(call, 2);
  const bits = constantOrRefuse(call, 1);
  if (![0, 224, 256, 384, 512].includes(bits)) return refuse(`SHA2() of ${bits} bits`, call.place);
  return hash((bytes) => `encode(sha${bits === 0 ? 256 : bits}(${bytes}), 'hex')`)(call);
};

const field: CallEmitter = (call) => {
  const [first, ...others] = call.args;
  if (first === undefined || others.length === 0) return refuse('FIELD()', call.place);
  const isSame = (kind: (value: Value) => boolean): boolean => call.args.every(kind);
  if (!isSame(({ type }) => type.kind === 'text' || type.kind === 'enum') && !isSame(({ type }) => type.kind === 'int')) return refuse('FIELD() of several types', call.place);
  oneCollation(call.args, call.place);
  const branches = others.map((other, index) => `WHEN ${compareValues(call.emission, '=', first, other, call.place).sql} THEN ${index + 1}`);
  return { sql: `CASE ${branches.join(' ')} ELSE 0 END`, type: intType(0n, BigInt(others.length)), nullable: false };
};

const elt: CallEmitter = (call) => {
  const [, ...others] = call.args;
  const texts = others.map((other) => asText(call.emission, other));
  return made(call, `CASE ${integer(call, 0)} ${mixed(texts).map((sql, index) => `WHEN ${index + 1} THEN ${sql}`).join(' ')} END`, texts, true);
};

const findInSet: CallEmitter = (call) => {
  exactly(call, 2);
  const [needle, list] = [argument(call, 0), argument(call, 1)];
  if (list.type.kind === 'set') {
    if (!isConstantText(needle)) return refuse('FIND_IN_SET() of what is no constant', call.place);
    // A letter with an accent may be one of the label's letters; a blank at the end is none of its.
    if ([...list.type.labels, needle.constant].some((each) => /[^\x20-\x7e]/.test(each)) && !list.type.labels.includes(needle.constant)) return refuse('FIND_IN_SET() of what is no constant of ASCII', call.place);
    const exact = needle.constant.endsWith(' ') ? undefined : findLabel(list.type.labels, needle.constant, isExactLabel(list.type.collation));
    const number = exact === undefined ? 0 : list.type.labels.indexOf(exact) + 1;
    const label = list.type.labels[number - 1];
    if (label === undefined) return { sql: `CASE WHEN ${list.sql} IS NULL THEN NULL ELSE 0 END`, type: length, nullable: list.nullable };
    return { sql: `CASE WHEN ${quoteLiteral(label)} = ANY (${list.sql}) THEN ${number} WHEN ${list.sql} IS NOT NULL THEN 0 END`, type: length, nullable: list.nullable };
  }
  const [one, other] = [text(call, 0), text(call, 1)];
  const collation = collationOfTexts(call, [one, other]) ?? call.emission.connectionCollation(call.place);
  const { flavour, version } = call.emission.facts.mode.server;
  // These find nothing that has more bytes than the list.
  if (!collation.deterministic && (flavour === 'mariadb' || version < 80000) && (one.constant === undefined || /[^\0-\x7f]/.test(one.constant))) return refuse('FIND_IN_SET() of what is no constant of ASCII', call.place);
  return { sql: `CASE WHEN ${one.sql} IS NULL OR ${other.sql} IS NULL THEN NULL ELSE coalesce(array_position(string_to_array(${other.sql}${binarySearch}, ',') COLLATE ${localCollation(collation, call.place)}, ${one.sql} COLLATE ${localCollation(collation, call.place)}), 0) END`, type: length, nullable: one.nullable || other.nullable };
};

/** `12345.678, 2` → `12,345.68`. */
const format: CallEmitter = (call) => {
  exactly(call, 2);
  const digits = constantOrRefuse(call, 1);
  if (digits < 0 || digits > 15) return refuse('FORMAT() by more than 15 digits', call.place);
  // It is a DOUBLE there, which is rounded to the even one.
  if (argument(call, 0).type.kind === 'text') return refuse('FORMAT() of a string', call.place);
  const number = asDecimal(call.emission, argument(call, 0));
  if (number.type.precision - number.type.scale > 24) return refuse('FORMAT() of more than 24 digits', call.place);
  const pattern = `FM999,999,999,999,999,999,999,990${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`;
  return { sql: `to_char(round(${number.sql}, ${digits}), '${pattern}')`, type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false }, nullable: number.nullable };
};

const strcmp: CallEmitter = (call) => {
  exactly(call, 2);
  const compare = (operator: '=' | '<'): string => compareValues(call.emission, operator, text(call, 0), text(call, 1), call.place).sql;
  return { sql: `CASE WHEN ${compare('=')} THEN 0 WHEN ${compare('<')} THEN -1 WHEN ${text(call, 0).sql} IS NOT NULL AND ${text(call, 1).sql} IS NOT NULL THEN 1 END`, type: intType(-1n, 1n), nullable: true };
};

const repeated: CallEmitter = (call) => {
  exactly(call, 2);
  const source = text(call, 0);
  return made(call, `repeat(${source.sql}, ${characters(call, 1)})`, [source], source.nullable || argument(call, 1).nullable);
};

const reverse: CallEmitter = (call) => {
  exactly(call, 1);
  return made(call, `reverse(${text(call, 0).sql})`, [text(call, 0)]);
};

const space: CallEmitter = (call) => {
  exactly(call, 1);
  return { sql: `repeat(' ', ${characters(call, 0)})`, type: { kind: 'text', collation: undefined, isTrimmed: false, isOwn: false }, nullable: argument(call, 0).nullable };
};

const insert: CallEmitter = (call) => {
  exactly(call, 4);
  const { flavour, version } = call.emission.facts.mode.server;
  // Of a number some versions make Latin-1.
  if (argument(call, 0).type.kind !== 'text') return refuse(`INSERT() of ${typeName(argument(call, 0).type)}`, call.place);
  const [source, part] = [text(call, 0), text(call, 3)];
  const [from, count] = [constantOrRefuse(call, 1), constantOrRefuse(call, 2)];
  if (from < 1 || count < 0) return refuse('INSERT() at a place before the string', call.place);
  const [whole = '', piece = ''] = mixed([source, part]);
  if (flavour === 'mysql' && version >= 50700 && version < 80000) return refuse('INSERT() before MySQL 8', call.place);
  // To MySQL 5.6 the place behind the last character is one of the string's.
  const least = flavour === 'mysql' && version < 50700 ? from - 1 : from;
  return made(call, `CASE WHEN char_length(${source.sql}) < ${least}${part.nullable ? ` AND ${piece} IS NOT NULL` : ''} THEN ${whole} ELSE overlay(${whole} PLACING ${piece} FROM ${from} FOR ${count}) END`, [source, part]);
};

export const textCalls: Readonly<Record<string, CallEmitter>> = {
  CONCAT: concat, CONCAT_WS: concatWs, LENGTH: byteLength, OCTET_LENGTH: byteLength, CHAR_LENGTH: charLength, CHARACTER_LENGTH: charLength, UPPER: caseOf('upper'), UCASE: caseOf('upper'), LOWER: caseOf('lower'), LCASE: caseOf('lower'),
  LEFT: left, RIGHT: right, SUBSTRING: substring, SUBSTR: substring, MID: substring, SUBSTRING_INDEX: substringIndex, LPAD: padded('lpad'), RPAD: padded('rpad'), TRIM: trim, LTRIM: trim, RTRIM: trim, REPLACE: replace,
  LOCATE: locate, INSTR: locate, HEX: hex, MD5: hash((bytes) => `md5(${bytes})`), SHA2: sha2, FIELD: field, ELT: elt, FIND_IN_SET: findInSet, FORMAT: format, STRCMP: strcmp, REPEAT: repeated, REVERSE: reverse, SPACE: space, INSERT: insert,
};
