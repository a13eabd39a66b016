/** Constants and calls for wild-mysql-statement.ts; what `{n}` and the like stand for is said there. */

export type Category = 'number' | 'text' | 'moment' | 'time' | 'bytes' | 'other';

export const lexicon: Readonly<Record<Category, readonly string[]>> = {
  number: [
    '0', '1', '2', '3', '-1', '7', '-7', '10', '100', '255', '2024', 'NULL', 'TRUE', 'FALSE', '2147483648', '9223372036854775807', '-9223372036854775808', '18446744073709551615', '0.5', '1.50', '-2.5', '0.001', '99.995', '2.0', '.5', '123456789012345678901234567890',
    '1e0', '5e-1', '-5e-1', '1e10', '0e0', '20240131', '20240131123456', "'5'", "' 5'", "'5 '", "'-0'", "'2.5'", "'1e1'", "'12abc'", "'.5'", "'+3'", 'x\'41\'', "b'101'",
  ],
  text: ["'a'", "'A'", "''", "' '", "'a '", "'apple'", "'Apple'", "'Banana '", "'ä'", "'Ä'", "'ÿ'", "'12'", "'1'", "'0'", "'%'", "'_'", "'back\\\\slash'", "'a\\tb'", "'2024-01-31'", "'aa'", "'Zz'", 'NULL', "_utf8mb4'a'", "N'a'", "\"q\"", "'it''s'", "'10:20:30'", "'null'"],
  moment: [
    "'2024-02-29'", "'2023-12-31'", "'2024-1-5'", "'2024-01-31 12:00:00'", "'2024-02-29 12:34:56.789'", "'1970-01-01 00:00:01'", "'9999-12-31'", "'1000-01-01'", "DATE '2000-01-01'", "DATE '2024-01-31'", "TIMESTAMP '2023-12-31 23:59:59.999999'", "TIMESTAMP '2024-01-31 12:00:00'",
    'CURDATE()', 'NOW()', 'NOW(3)', 'UTC_TIMESTAMP()', '20240131', "'20240131'", "'24-01-31'", "'2024-02-30'", "'2024-01-31T10:00:00'", "'0000-00-00'", 'NULL', "'2024-01-31 '", "'2024-10-27 02:30:00'", "'2024-03-31 02:30:00'", "'2024-10-27 03:00:00'", "'2024-04-07 01:45:00'", 'FROM_UNIXTIME(1729992600)',
  ],
  time: ["'10:20:30'", "'838:59:59'", "'-838:59:59'", "'00:00:00'", "'25:00:00'", "'-00:00:01'", "'10:20'", "'1:2:3'", "'10:20:30.5'", "TIME '10:20:30'", "TIME '-25:00:00.5'", "TIME '00:00:00'", 'CURTIME()', '102030', '0', 'NULL', "SEC_TO_TIME(90061)"],
  bytes: ["x'00ff'", "x'41'", "''", "_binary'abc'", "'abc'", "'A'", "BINARY 'a'", '0x6162', 'NULL', "b'1000001'"],
  other: ["'small'", "'Medium'", "'SMALL'", "'large'", "'none'", "'x'", "'X'", "'y'", "'é'", "'red'", "'red,blue'", "'blue,red'", "''", '0', '1', '2', '3', '7', "b'1'", "b'0'", "b'101'", 'NULL', "'b'", "'B'", '255'],
};

const choosing = (slot: string): string[] => [
  `IF({b}, {${slot}}, {${slot}})`, `IFNULL({${slot}}, {${slot}})`, `COALESCE({${slot}}, {${slot}}, {${slot}})`, `NULLIF({${slot}}, {${slot}})`, `CASE WHEN {b} THEN {${slot}} ELSE {${slot}} END`, `CASE {x} WHEN {x} THEN {${slot}} END`, `GREATEST({${slot}}, {${slot}})`, `LEAST({${slot}}, {${slot}})`,
];

export const functions: Readonly<Record<Category | 'bool' | 'aggregate', readonly string[]>> = {
  number: [
    ...choosing('n'), '({n} + {n})', '({n} - {n})', '({n} * {n})', '({n} / {n})', '({n} DIV {n})', '({n} % {n})', '(- {n})', '({n} & {n})', '({n} | {n})', '({n} ^ {n})', '({n} << {i})', '({n} >> {i})', '(~ {n})', 'ABS({n})', 'CEIL({n})', 'FLOOR({n})', 'ROUND({n})', 'ROUND({n}, {i})', 'TRUNCATE({n}, {i})',
    'MOD({n}, {n})', 'SIGN({n})', 'POW({n}, {i})', 'SQRT({n})', 'LN({n})', 'LOG10({n})', 'CHAR_LENGTH({s})', 'LENGTH({a})', 'LOCATE({l}, {s})', 'LOCATE({s}, {s})', 'INSTR({s}, {l})', 'POSITION({l} IN {s})', 'STRCMP({s}, {s})', 'FIELD({x}, {x}, {x})', 'FIND_IN_SET({l}, {s})', 'FIND_IN_SET({o}, {o})',
    'YEAR({d})', 'MONTH({d})', 'DAYOFMONTH({d})', 'DAYOFWEEK({d})', 'WEEKDAY({d})', 'DAYOFYEAR({d})', 'QUARTER({d})', 'WEEK({d}, 3)', 'WEEK({d})', 'WEEKOFYEAR({d})', 'HOUR({t})', 'MINUTE({t})', 'SECOND({t})', 'MICROSECOND({t})', 'HOUR({d})', 'MICROSECOND({d})', 'SECOND({d})', 'EXTRACT({u} FROM {d})', 'EXTRACT({u} FROM {t})',
    'DATEDIFF({d}, {d})', 'TIMESTAMPDIFF({u}, {d}, {d})', 'UNIX_TIMESTAMP({d})', 'TIME_TO_SEC({t})', 'TO_DAYS({d})', 'CAST({a} AS SIGNED)', 'CAST({a} AS UNSIGNED)', 'CAST({a} AS DECIMAL(10,2))', 'CAST({n} AS DECIMAL(5,0))', '({o} + 0)', '({b})', '(NOT {n})', 'ISNULL({a})', 'GREATEST({n}, {n}, {n})', 'COALESCE({n}, {s})', 'IFNULL({n}, {s})', 'IF({b}, {n}, {s})', 'IFNULL({n}, {d})', 'YEARWEEK({d}, 3)', 'WEEK({d}, 5)', 'TO_SECONDS({d})', 'EXTRACT(YEAR_MONTH FROM {d})', 'CONVERT({a}, SIGNED)', 'CHAR_LENGTH({a})', 'BIT_COUNT({n})', 'CONV({s}, {i}, {i})', 'ORD({s})', 'CAST({a} AS DOUBLE)', '({n} IN ({n}, {n}))', '({s} + {s})', '({s} * {n})', '({d} - {d})', '({n} + {d})', 'INTERVAL({n}, {n}, {n})', 'TRUNCATE({n}, 2)', 'ROUND(({n} / {n}), {i})', '((({n} * {n}) / {n}) + {n})', 'ASCII({s})', 'BIT_LENGTH({s})', 'CRC32({s})', '({a} + {a})', '({a} * 1)',
  ],
  text: [
    ...choosing('s'), 'CONCAT({s}, {s})', 'CONCAT({a}, {a})', 'CONCAT({s}, {n})', 'CONCAT({s}, {d})', "CONCAT_WS({l}, {s}, {a})", 'UPPER({s})', 'LOWER({s})', 'LEFT({s}, {i})', 'RIGHT({s}, {i})', 'SUBSTRING({s}, {i})', 'SUBSTRING({s}, {i}, {i})', 'SUBSTRING({s} FROM {i} FOR {i})', 'SUBSTRING_INDEX({s}, {l}, {i})', 'LPAD({s}, {i}, {l})', 'RPAD({s}, {i}, {l})',
    'TRIM({s})', 'LTRIM({s})', 'RTRIM({s})', 'TRIM(BOTH {l} FROM {s})', 'TRIM(LEADING {l} FROM {s})', 'TRIM(TRAILING {l} FROM {s})', 'REPLACE({s}, {l}, {l})', 'REPLACE({s}, {s}, {s})', 'REVERSE({s})', 'REPEAT({s}, {i})', 'SPACE({i})', 'INSERT({s}, {i}, {i}, {l})', 'ELT({n}, {s}, {s})', 'HEX({a})', 'MD5({s})', 'SHA1({a})', 'SHA2({s}, 256)', 'FORMAT({n}, {i})',
    'DATE_FORMAT({d}, {f})', 'DAYNAME({d})', 'MONTHNAME({d})', 'CAST({a} AS CHAR)', 'CAST({a} AS CHAR(3))', 'COALESCE({s}, {n})', 'IF({b}, {s}, {d})', 'CASE WHEN {b} THEN {s} WHEN {b} THEN {n} ELSE {d} END', 'IFNULL({s}, {t})', 'IFNULL({d}, {s})', 'LEFT({d}, {i})', 'SUBSTRING({d}, 1, 7)', 'REPLACE({d}, {l}, {l})', "DATE_FORMAT({d}, '%Y')", "DATE_FORMAT({d}, '%Y-%m')", 'CAST({n} AS CHAR)', "LPAD({n}, 5, '0')", "RPAD({a}, {i}, {l})", 'FORMAT({n}, 2)', 'TRIM({n})', 'CONCAT({l}, {n}, {l})', 'CONCAT_WS({l}, {a}, {a}, {a})', 'CHAR({n})', 'TO_BASE64({s})', 'CONCAT(({n} / {n}), {l})', 'CONCAT(ROUND({n}, {i}), {l})', 'CONCAT({d} + INTERVAL {i} {u}, {l})', 'CONVERT({s} USING utf8mb4)', '({s} COLLATE {C})', 'LEFT({a}, {i})', 'UPPER({a})', 'LOWER({o})', 'TRIM({a})', 'QUOTE({s})', 'TIME_FORMAT({t}, {f})', 'REVERSE({a})', 'BIN({n})', 'UCASE({s})', 'MID({s}, {i}, {i})',
  ],
  moment: [
    ...choosing('d'), '{d} + INTERVAL {i} {u}', '{d} - INTERVAL {n} {u}', 'DATE_ADD({d}, INTERVAL {i} {u})', 'DATE_SUB({d}, INTERVAL {i} {u})', 'ADDDATE({d}, {i})', 'SUBDATE({d}, {i})', 'DATE({d})', 'LAST_DAY({d})', 'TIMESTAMP({d})', 'CAST({d} AS DATE)', 'CAST({d} AS DATETIME)', 'CAST({d} AS DATETIME(3))', 'CAST({a} AS DATE)', 'CAST({a} AS DATETIME)', 'FROM_UNIXTIME({n})', 'DATE({a})',
    'STR_TO_DATE({s}, {f})', 'MAKEDATE({n}, {i})', 'FROM_DAYS({n})', 'TIMESTAMPADD({u}, {i}, {d})', 'TIMESTAMP({d}, {t})', 'CONVERT({d}, DATE)', 'CAST({n} AS DATE)',
  ],
  time: [...choosing('t'), 'TIME({d})', 'TIME({t})', 'SEC_TO_TIME({n})', 'CAST({t} AS TIME)', 'CAST({d} AS TIME)', 'CAST({t} AS TIME(6))', 'CURTIME(3)', 'TIMEDIFF({t}, {t})', 'ADDTIME({t}, {t})', 'MAKETIME({n}, {i}, {i})', 'CAST({a} AS TIME)', '{t} + INTERVAL {i} {u}', '(- {t})', '({t} + 0)'],
  bytes: [...choosing('y'), 'CAST({s} AS BINARY)', 'BINARY {s}', 'CONCAT({y}, {s})', 'LEFT({y}, 1)', 'UNHEX({s})', 'SUBSTRING({y}, 1, 1)', 'UPPER({y})', 'REVERSE({y})', 'CAST({a} AS BINARY)'],
  other: [...choosing('o'), '({o} + 0)', 'CONCAT({o})', 'CAST({o} AS CHAR)', 'CAST({o} AS UNSIGNED)', 'UPPER({o})', 'LENGTH({o})', '({o} | 0)', 'FIND_IN_SET({l}, {o})', 'HEX({o})'],
  bool: [
    '({n} {c} {n})', '({s} {c} {s})', '({d} {c} {d})', '({t} {c} {t})', '({y} {c} {y})', '({o} {c} {o})', '({x} {c} {x})', '({a} {c} {a})', '({x} {c} {x})', '({n} BETWEEN {n} AND {n})', '({s} BETWEEN {s} AND {s})', '({d} BETWEEN {d} AND {d})', '({x} NOT BETWEEN {x} AND {x})', '({n} IN ({n}, {n}))', '({s} IN ({s}, {s}))', '({s} NOT IN ({s}, {s}))', '({d} IN ({d}, {d}))', '({x} IN ({x}, {x}, {x}))', '({a} NOT IN ({a}, {a}))',
    '({s} LIKE {p})', '({s} NOT LIKE {p})', '({a} LIKE {p})', "({s} LIKE {p} ESCAPE '|')", '({a} IS NULL)', '({a} IS NOT NULL)', '({n} IS TRUE)', '({b} IS NOT TRUE)', '({n} IS FALSE)', '({b} IS UNKNOWN)', '({b} AND {b})', '({b} OR {b})', '({b} XOR {b})', '(NOT {b})', '(NOT {n})', '{n}', '{o}', '({n} && {s})', '(({x}, {n}) = ({x}, {n}))', '(({n}, {s}) IN (({n}, {s}), ({n}, {s})))', '(! {n})', '(({s}, {n}) <=> ({s}, {n}))',
    '({s} = {s} COLLATE {C})', '({s} COLLATE {C} {c} {s})', '({s} REGEXP {l})', '({s} LIKE {s})', '({n} LIKE {p})', '({d} LIKE {p})', '({s} LIKE CONCAT({s}, {l}))', '({s} RLIKE {l})', '({d} BETWEEN {s} AND {s})', '({s} BETWEEN {n} AND {n})', '({n} NOT IN ({s}, {n}))', '({d} IN ({s}, {s}))', '({n} <=> {s})', '({d} <=> {s})', 'ISNULL({a})', '(LEFT({s}, 1) = {l})', '(({n}, {d}) IN (({n}, {d}), ({n}, {d})))', '(DATE({d}) = {d})', '(YEAR({d}) = {n})', "(DATE_FORMAT({d}, '%Y-%m') {c} '2024-02')", '(CONCAT({s}, {s}) = {s})', '(TRIM({s}) {c} {s})', '(UPPER({s}) {c} {s})', '({s} {c} {n})', '({d} {c} {n})', '({o} {c} {s})', '({o} {c} {n})', '({o} IN ({o}, {o}))', '({n} IN ({n}, {n}, NULL))', '(({n} / {n}) {c} {n})', '(({n} % {n}) {c} {n})', '(({n} - {n}) {c} {n})', '(COALESCE({n}, {n}) {c} {n})', '(IFNULL({s}, {s}) {c} {s})', '(CASE WHEN {b} THEN {s} ELSE {s} END {c} {s})', '(CAST({a} AS CHAR) {c} {s})', '({d} + INTERVAL {i} {u} {c} {d})', '(TIME({d}) {c} {t})', '(BINARY {s} = {s})',
  ],
  aggregate: [
    'COUNT(*)', 'COUNT({a})', 'COUNT(DISTINCT {a})', 'COUNT(DISTINCT {n}, {s})', 'SUM({n})', 'SUM(DISTINCT {n})', 'AVG({n})', 'MIN({a})', 'MAX({a})', 'MIN({n})', 'MAX({d})', 'MIN({s})', 'MAX({s})', 'MAX({t})', 'MIN({o})', 'SUM({b})', 'SUM({o})', 'BIT_OR({n})', 'BIT_XOR({n})', 'BIT_AND({n})', 'GROUP_CONCAT({n} ORDER BY 1)', 'GROUP_CONCAT(DISTINCT {n} ORDER BY {n})', 'AVG(DISTINCT {n})',
    'SUM({a})', 'AVG({o})', 'GROUP_CONCAT({s} ORDER BY {n}, {k} SEPARATOR {l})', 'GROUP_CONCAT({a} ORDER BY {k})', 'MIN({d})', 'MAX(({n} / {n}))', 'SUM({n}) / COUNT({a})', 'AVG({n}) - AVG({n})', 'MAX({s}) = MIN({s})', 'SUM({n}) % {n}', 'COUNT(NULLIF({n}, {n}))', 'MAX(IF({b}, {s}, NULL))', 'SUM({n} {c} {n})', 'AVG({b})', 'DATE_FORMAT(MAX({d}), {f})', 'DATEDIFF(MAX({d}), MIN({d}))', 'GREATEST(MAX({n}), {n})', 'MIN({y})', 'STD({n})', '(SUM({n}) + 1)', '(MAX({n}) * 2)', '(COUNT(*) / 2)', 'IFNULL(SUM({n}), 0)', 'ROUND(AVG({n}), 2)', 'CONCAT(COUNT(*), {l})', 'COALESCE(MAX({s}), {l})', 'IF(COUNT({a}) > 1, MAX({n}), 0)', 'SUM(CASE WHEN {b} THEN {n} ELSE 0 END)', 'SUM(IF({b}, 1, 0))', 'COUNT(IF({b}, 1, NULL))',
  ],
};
