/**
 * Strings read as numbers and dates while the statement runs: what stands at their beginning, as a query's CAST and arithmetic take it. Where the server would go on
 * guessing there is an error. https://dev.mysql.com/doc/refman/8.4/en/type-conversion.html
 */
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { refuse } from './refused-mysql.ts';

/** Begins what local calls no date, for its error to be that of the server (1292): which value it was stands behind it. */
export const NO_NUMBER = 'no number: ';

const plain = ({ sql }: Value): string => `(${sql}) COLLATE "C"`;
/** MySQL skips fewer signs before a whole number than before another one. */
const wholeHeads = { mysql: String.raw`'^[ \t]*([+-]?[0-9]+)'`, mariadb: String.raw`'^[ \t\n\v\f\r]*([+-]?[0-9]+)'` };
const numberHead = String.raw`'^[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)'`;

/** A statement that writes fails in strict mode where a string is no number as a whole. */
function checkReads(emission: MysqlEmission, value: Value): void {
  if (emission.isStrictWrite) refuse('string as a number', value.place);
  checkLabel(value);
}

/** A choice between labels and strings is the number of the label, or what the string says; a string that a date or an INTERVAL has made is the number of a date, or not. */
function checkLabel(value: Value): void {
  if (value.type.kind === 'text' && value.type.isLabel === true) refuse('ENUM, SET, CAST, date or INTERVAL among strings as a number', value.place);
}

/** PostgreSQL's text of the number, without a type. */
function numberOf(emission: MysqlEmission, value: Value, head: string): string {
  checkReads(emission, value);
  return `CASE WHEN (${value.sql}) IS NOT NULL THEN coalesce(substring(${plain(value)} from ${head}), '0') END`;
}

/** Where a statement writes, a string that is no number as a whole is an error. */
export function doubleOfText(emission: MysqlEmission, value: Value): string {
  if (emission.isStrictWrite) {
    checkLabel(value);
    // What has no column is looked at before the statement runs, with another error.
    if (/^\(*'/.test(value.sql)) return refuse('string as a number', value.place);
    const text = plain(value);
    return `(CASE WHEN ${text} ~ ${numberHead.slice(0, -1)}[ \\t\\n\\v\\f\\r]*$' THEN btrim(${text}, E' \\t\\n\\v\\f\\r')::float8 WHEN (${value.sql}) IS NOT NULL THEN (('${NO_NUMBER}' || left(${text}, 40))::date - '2000-01-01'::date)::float8 END)`;
  }
  return `(${numberOf(emission, value, numberHead)})::float8`;
}

export function decimalOfText(emission: MysqlEmission, value: Value): string {
  return `(${numberOf(emission, value, numberHead)})::numeric`;
}

/** More than a bigint holds is an error: the server gives a number that has nothing to do with it. */
export function integerOfText(emission: MysqlEmission, value: Value): string {
  return `(${numberOf(emission, value, wholeHeads[emission.facts.mode.server.flavour])})::bigint`;
}

/** A whole date, with or without a whole time of day; of letters and of days that do not exist NULL. */
export function dateOfText(emission: MysqlEmission, value: Value): string {
  checkReads(emission, value);
  const text = plain(value);
  const month = `substr(${text}, 6, 2)`;
  const day = `substr(${text}, 9, 2)`;
  const last = `to_char((substr(${text}, 1, 7) || '-01')::date + interval '1 month - 1 day', 'DD')`;
  const existing = `CASE WHEN ${month} > '12' THEN NULL WHEN ${day} <= ${last} THEN substr(${text}, 1, 10)::date END`;
  return `(CASE WHEN ${text} ~ '^[0-9]{4}-(0[1-9]|[1-9][0-9])-(0[1-9]|[1-9][0-9])( ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])?$' AND ${text} >= '0001' THEN ${existing} WHEN ${text} ~ '^[A-Za-z]' THEN NULL ELSE ('CAST of a string that is no whole date: ' || left(${text}, 40))::date END)`;
}
