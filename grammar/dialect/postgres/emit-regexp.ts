/** REGEXP as `~` in collation "C". */
import { quoteLiteral } from '../../names.ts';
import { asText, isConstantText } from './convert-value.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { boolType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';
import { regexpPattern } from './regexp-pattern.ts';

export function matchedRegexp(emission: MysqlEmission, given: Value, pattern: Value, { not, place }: { readonly not: boolean; readonly place: number }): Value {
  if (given.type.kind === 'parameter') return refuse('REGEXP of a parameter', place);
  if (!isConstantText(pattern)) return refuse('REGEXP by what is no constant', place);
  const operand = asText(emission, given);
  const collation = (operand.type.kind === 'text' ? operand.type.collation : undefined) ?? emission.ownCollation;
  const { mode: { server: { flavour, version } }, regexFlags = '' } = emission.facts;
  if (regexFlags !== '') return refuse(`default_regex_flags ${regexFlags}`, place);
  const engine = flavour === 'mariadb' ? 'pcre' : version < 80004 ? 'spencer' : 'icu';
  const written = regexpPattern(pattern.constant, { engine, ignoresCase: !/_(?:bin|cs)$/.test(collation.name) });
  if (written === undefined) return refuse('REGEXP by this pattern', place);
  return { sql: `(${operand.sql} COLLATE "C" ${not ? '!~' : '~'} ${quoteLiteral(written)})`, type: boolType, nullable: operand.nullable };
}
