/**
 * Dates and times of the session's zone and instants. Where its clock is put back an hour comes twice: the server takes the first. Where it is put forward an hour is left
 * out: a time in it is an error. https://dev.mysql.com/doc/refman/8.4/en/time-zone-support.html
 */
import type { MysqlEmission } from './mysql-emission.ts';

/** Each begins what local calls no moment, for its error to be that of the server (1292). */
const LEFT_OUT = 'a time that the clock leaves out: ';
const SECOND = 'the second time of an hour that comes twice: ';

/** `timestamp` of a `timestamptz`. */
export function localOf({ zone }: MysqlEmission, instant: string): string {
  return `(${instant} AT TIME ZONE ${zone})`;
}

/** `timestamptz` of a `timestamp`. */
export function instantOf(emission: MysqlEmission, moment: string): string {
  const { zone } = emission;
  if (emission.hasFixedOffset) return `(${moment} AT TIME ZONE ${zone})`;
  // By the offset of the day before it is the first of two; PostgreSQL takes the second, and moves a time that is left out.
  const first = `((l - interval '1 day') AT TIME ZONE ${zone} + interval '24 hours')`;
  const last = `(l AT TIME ZONE ${zone})`;
  return `(SELECT CASE WHEN ${first} AT TIME ZONE ${zone} = l THEN ${first} WHEN ${last} AT TIME ZONE ${zone} = l THEN ${last} WHEN l IS NOT NULL THEN ('${LEFT_OUT}' || l)::timestamptz END FROM (SELECT ${moment} AS l) AS "~local")`;
}

/** MySQL reads an instant as a date and time on its way, which then is the first of two: an error where it was the second. */
export function firstOf(emission: MysqlEmission, instant: string): string {
  return `(SELECT CASE WHEN ${instantOf(emission, localOf(emission, 'i'))} = i THEN i WHEN i IS NOT NULL THEN ('${SECOND}' || i)::timestamptz END FROM (SELECT ${instant} AS i) AS "~instant")`;
}

/**
 * A TIMESTAMP beside a date and time is compared as one. What is beyond all summer times decides by the instant, so that an index over the column can serve.
 */
export function comparedLocally(emission: MysqlEmission, operator: string, instant: string, moment: string): string {
  const bound = (sign: '+' | '-'): string => `((${moment} AT TIME ZONE ${emission.zone}) ${sign} interval '3 hours')`;
  const bounds = operator === '=' ? [`${instant} > ${bound('-')}`, `${instant} < ${bound('+')}`] : operator === '<' || operator === '<=' ? [`${instant} < ${bound('+')}`] : operator === '>' || operator === '>=' ? [`${instant} > ${bound('-')}`] : [];
  return [...bounds, `${localOf(emission, instant)} ${operator === '<=>' ? 'IS NOT DISTINCT FROM' : operator} ${moment}`].join(' AND ');
}
