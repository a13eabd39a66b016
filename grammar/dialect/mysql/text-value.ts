/** Text as PostgreSQL has it: compared by code point, without padding; and what other types look like as text. */
import { failIf, quoteMysqlText } from './emission.ts';
import type { Emission, Value } from './emission.ts';
import { decide } from './literal.ts';
import { isInteger, isText, text as textType, typeLabel } from './pg-type.ts';
import { refuse } from './refusal.ts';

/** The form in which the server compares and sorts text as PostgreSQL does. */
export function comparable(emission: Emission, value: Value): string {
  if (!needsBinary(emission, value)) return value.sql;
  // MySQL 5.6 works the bytes of such a text out for the first row, and has others for the next.
  if (value.constant === true && value.sql.includes('(')) return refuse('comparison of text that functions make of constants');
  return `BINARY ${value.sql}`;
}

export function needsBinary(emission: Emission, value: Value): boolean {
  return isText(value.type) && emission.capabilities.binaryCollation === undefined;
}

/** Gives text from a function or a constant the collation that columns have here. */
export function collated(emission: Emission, sql: string): string {
  return `${sql} COLLATE ${emission.capabilities.binaryCollation ?? 'utf8mb4_bin'}`;
}

/** A constant or parameter in the column's own charset and collation, so that its index serves; what has no place there equals nothing in it. */
export function asStored(column: Value, sql: string): string {
  const { columnCharset } = column;
  return columnCharset === undefined || columnCharset.charset === 'utf8mb4' ? sql : `CONVERT(${sql} USING ${columnCharset.charset}) COLLATE ${columnCharset.collation}`;
}

/**
 * What a value looks like as text. Other types by CONCAT, since MySQL 9.7 takes what CAST … AS CHAR gives for latin1 where MIN or MAX stands
 * around it in a query that groups.
 */
export function textOf(emission: Emission, given: Value, place?: unknown): Value {
  const value = decide(emission, given, textType, place);
  const { type } = value;
  if (isText(type)) return { ...value, type: textType };
  const base = { type: textType, nullable: value.nullable, ...(value.constant === true ? { constant: true } : {}) };
  if (isInteger(type)) return { ...base, sql: `CONCAT(${value.sql})` };
  switch (type.name) {
    case 'numeric':
      if (value.shown !== undefined) return { ...base, sql: value.shown };
      if (type.scale === undefined) refuse('numeric of varying scale as text', place);
      // A zero that MySQL 5.6 has computed has no digits after its point.
      return { ...base, sql: emission.capabilities.binaryCollation === undefined && value.column === undefined ? `CONCAT(CAST(${value.sql} AS DECIMAL(65,${type.scale})))` : `CONCAT(${value.sql})` };
    case 'bool': return { ...base, sql: `ELT(${value.sql} + 1, 'false', 'true')` };
    case 'date': return { ...base, sql: `CONCAT(${value.sql})` };
    case 'timestamp': case 'timestamptz': return { ...base, sql: momentText(emission, value, place) };
    default: return refuse(`${typeLabel(type)} as text`, place);
  }
}

/** PostgreSQL shows no zeros at the end of a fraction. */
function momentText(emission: Emission, value: Value, place: unknown): string {
  const digits = `CONCAT(${value.sql})`;
  const short = `IF(LOCATE('.', ${digits}) = 0, ${digits}, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${digits})))`;
  if (value.type.name === 'timestamp') return short;
  if (emission.facts.timeZone !== 'UTC') refuse(`timestamptz as text in time zone ${emission.facts.timeZone}`, place);
  return `CONCAT(${short}, '+00')`;
}

/**
 * Upper and lower case: the servers agree on the letters of Western Europe, and not on all of the others, so a text with one of those makes
 * the statement fail; with any that is not ASCII's where the collation has a say in them.
 */
export function changeCase(emission: Emission, word: 'LOWER' | 'UPPER', given: Value): Value {
  const value = textOf(emission, given);
  // MySQL 9.7 changes the letters where they are: in what the column of a subquery is for all who read it.
  const changed = value.column === undefined ? `${word}(CONCAT('', ${value.sql}))` : `${word}(${value.sql})`;
  const base = { type: textType, nullable: value.nullable, ...(value.constant === true ? { constant: true } : {}) };
  if (/^'[\x20-\x7e]*'$/.test(value.sql)) return { ...base, sql: changed };
  const isForeign = `CONVERT(CONVERT(${value.sql} USING ${emission.isCaseOpen ? 'ascii' : 'latin1'}) USING utf8mb4) <> ${value.sql}`;
  const exceptions = word === 'UPPER' && !emission.isCaseOpen ? ` OR LOCATE('ÿ', ${value.sql}) > 0 OR LOCATE('µ', ${value.sql}) > 0` : '';
  return { ...base, sql: `IF(${isForeign}${exceptions}, CONCAT(${failIf(`${isForeign}${exceptions}`)}), ${changed})` };
}

const wildcards = /[%_]/;
/** Stands for no escape character at all, which MariaDB cannot be told. */
export const noEscape = '\u0001';

export interface LikeOptions {
  readonly negated: boolean;
  readonly ignoresCase: boolean;
  readonly escape: string;
}

export function like(emission: Emission, left: Value, right: Value, options: LikeOptions, place: unknown): string {
  const { escape } = options;
  if ([...escape].length > 1) refuse('ESCAPE of several characters', place);
  // To the servers these stay what they are, and a letter would change its case with the pattern's.
  if (wildcards.test(escape) || (options.ignoresCase && escape.toLowerCase() !== escape.toUpperCase())) refuse('ESCAPE by this character', place);
  // PostgreSQL has the spaces at its end in sight here.
  if (left.type.name === 'bpchar') refuse('LIKE of character', place);
  const subject = textOf(emission, left, place);
  const pattern = patternOf(emission, right, escape, place);
  const [one, other] = options.ignoresCase ? [changeCase(emission, 'LOWER', subject).sql, changeCase(emission, 'LOWER', pattern).sql] : [subject.sql, pattern.sql];
  const end = ` ESCAPE ${quoteMysqlText(escape === '' ? noEscape : escape)}`;
  const test = `${one} LIKE ${other}${end}`;
  const isPrefix = right.parameter !== undefined || (typeof right.literal === 'string' && !wildcards.test(right.literal.slice(0, 1)));
  const isIndexed = !options.ignoresCase && subject.column !== undefined && isPrefix;
  const exact = isIndexed ? `(${subject.column} LIKE ${asStored(subject, other)}${end} AND ${test})` : `(${test})`;
  return options.negated ? `(NOT ${exact})` : exact;
}

/** A constant or a parameter, or what has been made of one, as a pattern. */
export function patternOf(emission: Emission, pattern: Value, escape: string, place: unknown): Value {
  if (pattern.pattern === true) return pattern;
  if (pattern.literal !== undefined) {
    if (pattern.literal?.includes(noEscape) === true) refuse('control character in a LIKE pattern', place);
    if (pattern.literal !== null && endsInEscape(pattern.literal, escape)) refuse('LIKE pattern that ends in its escape character', place);
    return decide(emission, pattern, textType, place);
  }
  if (pattern.parameter === undefined) return refuse('LIKE pattern that is no constant', place);
  emission.parameterType(pattern.parameter, textType);
  return { sql: emission.slot({ kind: 'pattern', number: pattern.parameter, escape }), type: textType, nullable: true, constant: true };
}

export function endsInEscape(pattern: string, escape: string): boolean {
  if (escape === '') return false;
  let isEscaped = false;
  for (const character of pattern) isEscaped = !isEscaped && character === escape;
  return isEscaped;
}
