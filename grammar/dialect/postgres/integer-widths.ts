/** Which functions give integers that are no LONGLONG: each product's own affair, as the type codes of MariaDB 10.11 and MySQL 9.7 show it. Drivers make other values of the two. */
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';

const LONG = 3;
const YEAR = 13;

/** Functions that choose: their integers are as wide as what they choose from. */
const keepsWidth: ReadonlySet<string> = new Set(['IF', 'IFNULL', 'COALESCE', 'NULLIF', 'GREATEST', 'LEAST']);
const longOnMariadb: ReadonlySet<string> = new Set([
  'CHAR_LENGTH', 'CHARACTER_LENGTH', 'LENGTH', 'OCTET_LENGTH', 'INSTR', 'LOCATE', 'POSITION', 'FIELD', 'FIND_IN_SET', 'STRCMP', 'SIGN', 'ISNULL', 'TO_DAYS', 'DATEDIFF', 'EXTRACT', 'YEAR', 'QUARTER', 'MONTH', 'DAY', 'DAYOFMONTH', 'HOUR', 'MINUTE', 'SECOND',
  'MICROSECOND', 'DAYOFWEEK', 'DAYOFYEAR', 'WEEKDAY', 'WEEK', 'YEARWEEK', 'WEEKOFYEAR',
]);

export function withWidth(emission: MysqlEmission, name: string, value: Value): Value {
  const { type } = value;
  if (type.kind !== 'int') return value;
  const { flavour, version } = emission.facts.mode.server;
  if (flavour === 'mariadb') return { ...value, type: { ...type, told: longOnMariadb.has(name) ? LONG : type.told } };
  if (name === 'YEAR' && version >= 80000) return { ...value, type: { ...type, told: YEAR, unsigned: true, isNarrow: true } };
  return { ...value, type: { ...type, told: keepsWidth.has(name) ? type.told : undefined } };
}
