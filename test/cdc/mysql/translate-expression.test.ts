/** Property: an expression is translated to one that means the same, or refused by the name of what is not known. */
import { expect, it } from 'vitest';
import { translateExpression } from '../../../cdc/mysql/translate-expression.ts';
import type { ValueKind } from '../../../cdc/mysql/translate-expression.ts';

const kinds: Readonly<Record<string, ValueKind>> = { a: 'integer', b: 'integer', n: 'numeric', t: 'text', u: 'text', flag: 'boolean', d: 'time', 'odd`name': 'text' };
const translate = (text: string): string => {
  const found = translateExpression(text, { kindOf: (name) => kinds[name] });
  return found.ok ? found.sql : `refused: ${found.refused}`;
};

it.each([
  ["((`a` > 0) and (`a` in (1,2,3)))", '(("a" > 0) AND ("a" IN (1, 2, 3)))'],
  ['`a` > 0 or `b` > 0 and not `flag`', '(("a" > 0) OR (("b" > 0) AND (NOT "flag")))'],
  ["concat(_utf8mb4'it\\'s',`t`,`a`)", "('it''s' || \"t\" || (\"a\")::text)"],
  ['`a` + `b` * 2 - 1', '(("a" + ("b" * 2)) - 1)'], ['-`a` between -1 and 1', '((-"a") BETWEEN (-1) AND 1)'], ['`flag` = 1', '("flag" = true)'], ['`flag` <> 0', '("flag" <> false)'],
  ['`a` DIV 3', '("a" / 3)'], ['`a` % 2 = 0', '(("a" % 2) = 0)'], ['`t` is not null', '("t" IS NOT NULL)'], ['`a` <=> `b`', '(NOT ("a" IS DISTINCT FROM "b"))'], ["`t` not like 'a%'", "(\"t\" NOT LIKE 'a%')"],
  ["case when `a` > 1 then 'x' else `t` end", 'CASE WHEN ("a" > 1) THEN \'x\' ELSE "t" END'], ['if(`a`,`b`,0)', 'CASE WHEN ("a" <> 0) THEN "b" ELSE 0 END'], ['ifnull(`t`,`u`)', 'COALESCE("t", "u")'],
  ['char_length(`odd``name`)', 'char_length("odd`name")'], ["`d` > '2020-01-01'", '("d" > \'2020-01-01\')'], ['year(`d`)', '(EXTRACT(year FROM "d"))::integer'], ['lcase(trim(`t`))', 'lower(btrim("t"))'],
])('%s', (text, sql) => {
  expect(translate(text)).toBe(sql);
});

it.each([
  ['`a` / 2', '`/`'], ['`t` + 1', 'something else than numbers'], ["`a` = '1'", 'a comparison of integer and text'], ['`a` div `b`', 'a divisor that may be 0'], ['greatest(`a`,1)', '`greatest(integer, integer)`'], ['`t` regexp \'x\'', '`regexp`'],
  ['json_valid(`t`)', '`json_valid(text)`'], ['`gone` > 1', 'column gone'], ['`t` and 1', 'a text as a truth value'], ['case `a` when 1 then 2 end', '`CASE` with an operand'], ['(`a`', 'an end too early'], ['`a` & 1', 'outside the known syntax'], ["'a\\0b'", 'U+0000'], ['rand()', '`rand()`'],
])('%s is refused', (text, reason) => {
  expect(translate(text)).toContain(reason);
});
