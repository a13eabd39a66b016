/**
 * Random statements of PostgreSQL's dialect that put values of every type into every place, whether they belong there or not: constants and parameters without a type, types that meet,
 * clauses that the other generator leaves out. What PostgreSQL itself refuses for its types proves nothing; of the rest what is translated has to be the same.
 */
import type { Random } from '../../soak/torture-random.ts';
import type { RandomStatement } from './random-dialect-statement.ts';

type Category = 'number' | 'text' | 'moment' | 'bool' | 'other';

interface Source {
  readonly table: string;
  readonly alias: string;
  readonly key: readonly string[];
  readonly columns: Readonly<Partial<Record<Category, readonly string[]>>>;
}

const all: readonly Category[] = ['number', 'text', 'moment', 'bool', 'other'];
const tables: readonly Omit<Source, 'alias'>[] = [
  { table: 'items', key: ['id'], columns: { number: ['id', 'qty', 'price', 'ratio', 'big', 'small', 'stock'], text: ['name', 'code', 'note'], moment: ['created', 'changed', 'seen'], bool: ['active'], other: ['data', 'bytes'] } },
  { table: 'kinds', key: ['id'], columns: { number: ['id', 'f', 'u', 'y', 'm', 'w'], text: ['l'], moment: ['t', 'z'], other: ['c', 'e'] } },
  { table: 'people', key: ['id'], columns: { number: ['id', 'boss', 'badge', 'salary'], text: ['name', 'city'], moment: ['born'] } },
  { table: 'orders', key: ['person', 'item'], columns: { number: ['person', 'item', 'n'], moment: ['at'], bool: ['paid'] } },
  { table: 'counters', key: ['id'], columns: { number: ['id', 'hits', 'a', 'b'], text: ['label'] } },
];

const leaves: Readonly<Record<Category, readonly string[]>> = {
  number: ['0', '1', '-1', '2', '3', '7', '10', '100', '0.5', '-2.5', '1.50', '99.995', '0.001', '1e2', '2147483647', '2147483648', '9223372036854775807', '-9223372036854775808', "'5'", "' 7 '", "'2.5'", 'NULL', "'3'::smallint", '5::numeric(4,1)', '0.1::float8', '1::real', '3::bigint', '-0.0', '123456789012345678901234567890', "'0.4'::numeric(3,0)", "'1e-200'::float8", "'1e200'::float8", "'-1e-320'::float8", '0.05'],
  text: ["'a'", "'A'", "''", "' '", "'a '", "'apple'", "'B-2'", "'ä'", "'ß'", "'ss'", "'x\\y'", "'it''s'", "'12'", "'%'", "'_'", "'😀'", "'a%'", 'NULL', "'Z'::varchar(3)", "'b '::text", "'5'", "E'a\\nb'", "'small'", "'aa'", "'aaa'", "'p'"],
  moment: ["'2024-02-29'", "'2024-01-31 12:00:00'", "date '2023-12-31'", "timestamp '2024-02-29 12:34:56.789'", "timestamptz '2024-02-29 12:34:56+02'", "'1970-01-01'::date", "timestamp '9999-12-31 23:59:59.999999'", "date '0001-01-01'", 'NULL', "'2024-02-30'", "timestamp '1969-12-31 23:59:59.5'", "date '2024-12-30'"],
  bool: ['true', 'false', 'NULL', "'t'", "'no'::boolean", '(1 = 1)', '(1 > 2)'],
  other: ["'small'", "'Big'", "'ab'", "'\\x61'::bytea", "'\\x'", 'NULL', "'{}'", "'ab   '::char(5)"],
};

const choosing = (slot: string): string[] => [`coalesce({${slot}}, {${slot}})`, `nullif({${slot}}, {${slot}})`, `CASE WHEN {b} THEN {${slot}} ELSE {${slot}} END`, `CASE {${slot}} WHEN {${slot}} THEN {${slot}} END`, `greatest({${slot}}, {${slot}})`, `least({${slot}}, {${slot}}, {${slot}})`];

const forms: Readonly<Record<Category | 'aggregate', readonly string[]>> = {
  number: [
    ...choosing('n'), '({n} + {n})', '({n} - {n})', '({n} * {n})', '({n} / {n})', '({n} % {n})', '({n} & {n})', '({n} | {n})', '(-{n})', 'abs({n})', 'ceil({n})', 'floor({n})', 'round({n})', 'round({n}, {i})', 'trunc({n}, {i})', 'sign({n})', 'mod({n}, {n})', 'sqrt({n})', '{n}::int', '{n}::bigint', '{n}::numeric(10,2)', '{n}::numeric', '{n}::float8', '{n}::smallint',
    'length({s})', 'octet_length({s})', 'strpos({s}, {s})', 'position({s} in {s})', 'extract(year from {d})', 'extract(epoch from {d})', 'extract(dow from {d})', 'extract(second from {d})', "date_part('month', {d})", "date_part('week', {d})", '({d} - {d})', '{b}::int', '{s}::int', 'char_length({s})', '((({n} * {n}) / {n}) + {n})', 'round({n} / {n}, {i})', '({n} / {n})::int', 'extract(isoyear from {d})::int', 'length({o})',
  ],
  text: [
    ...choosing('s'), '({s} || {s})', '({s} || {n})', '({s} || {d})', '({n} || {s})', 'concat({s}, {n}, {s})', 'concat_ws({s}, {s}, {n})', 'upper({s})', 'lower({s})', 'left({s}, {i})', 'right({s}, {i})', 'substring({s} from {i})', 'substring({s} from {i} for {i})', 'substr({s}, {i}, {i})', 'replace({s}, {s}, {s})', 'trim({s})', 'ltrim({s})', 'rtrim({s}, {s})', 'lpad({s}, {i})', 'rpad({s}, {i}, {s})',
    'reverse({s})', 'repeat({s}, {i})', 'split_part({s}, {s}, {i})', '{n}::text', '{d}::text', '{b}::text', '{s}::varchar(3)', "to_char({d}, 'YYYY-MM-DD')", "to_char({d}, 'HH24:MI:SS.US')", 'md5({s})', '{o}::text', 'initcap({s})', 'btrim({s})', "to_char({d}, 'DD Mon YYYY')",
  ],
  moment: [...choosing('d'), '({d} + {i})', "({d} + interval '1 day')", "({d} - interval '1 month')", "({d} + interval '90 minutes')", "({d} + {n} * interval '1 day')", "date_trunc('month', {d})", "date_trunc('week', {d})", "date_trunc('hour', {d})", '{d}::date', '{d}::timestamp', "({d} AT TIME ZONE 'UTC')", '{s}::date', '{d}::timestamptz', "({d} - interval '1 year 2 mons 3 days')", '{d}::timestamp(0)', '{d}::timestamp(3)'],
  bool: [
    '({n} {c} {n})', '({s} {c} {s})', '({d} {c} {d})', '({o} {c} {o})', '({x} {c} {x})', '({a} = {a})', '({n} BETWEEN {n} AND {n})', '({d} BETWEEN {d} AND {d})', '({s} NOT BETWEEN SYMMETRIC {s} AND {s})', '({n} IN ({n}, {n}, {n}))', '({s} NOT IN ({s}, {s}))', '({d} IN ({d}, {d}))', '({s} LIKE {s})', "({s} LIKE 'a%')", "({s} NOT LIKE '%_e')", "({s} ILIKE '%A%')", "({s} LIKE '%!%%' ESCAPE '!')",
    "({s} LIKE 'a\\_%')", "({s} LIKE '%_%' ESCAPE '_')", "({s} ILIKE '%x%A%' ESCAPE 'x')", "({s} LIKE '%' || {s} || '%')", "(lower({s}) LIKE lower({s}))", "(upper({s}) LIKE upper('%' || {s}))", '({n} = ANY ({p}))', '(sum({n}) > 3)', '({a} IS NULL)', '({a} IS NOT NULL)', '({b} IS TRUE)', '({b} IS NOT FALSE)', '({b} IS UNKNOWN)', '({b} AND {b})', '({b} OR {b})', '(NOT {b})', '({x} IS DISTINCT FROM {x})', '({x} IS NOT DISTINCT FROM {x})', '(({n}, {s}) = ({n}, {s}))', '(({n}, {d}) < ({n}, {d}))', '(({n}, {s}) IN (({n}, {s}), ({n}, {s})))', "({n} = ANY ('{1,3,7}'))", "({s} <> ALL (ARRAY['a', 'apple']))", '({n} = ANY (ARRAY[1, 2, 3]))', 'starts_with({s}, {s})', '({b} = {b})', '({b} <> {b})', '({n} <> {s})', '({d} > {s})', '{b}::boolean', '(coalesce({b}, false))',
  ],
  other: [...choosing('o'), '{o}', 'substring({o} from 1 for 2)'],
  aggregate: [
    'count(*)', 'count({a})', 'count(DISTINCT {a})', 'sum({n})', 'avg({n})', 'min({a})', 'max({a})', 'sum(DISTINCT {n})', 'bool_and({b})', 'bool_or({b})', "string_agg({s}, ',' ORDER BY {k})", "string_agg(DISTINCT {s}, ',')", 'count(*) FILTER (WHERE {b})', 'sum({n}) FILTER (WHERE {b})', '(sum({n}) / count(*))', '(max({n}) - min({n}))', 'round(avg({n}), 2)', 'coalesce(sum({n}), 0)', '(count(*) * 1.5)', '(avg({n}) > {n})', 'max({d}) - min({d})', 'sum(CASE WHEN {b} THEN {n} ELSE 0 END)', 'count(nullif({n}, {n}))', "(max({s}) || '!')", 'min({o})', 'sum({n} * {n})', 'avg({n} / 2)', 'every({b})', 'min(upper({s}))',
  ],
};

const typed: Readonly<Record<Category, readonly string[]>> = { number: ['int', 'bigint', 'numeric', 'float8'], text: ['text', 'varchar'], moment: ['date', 'timestamp', 'timestamptz'], bool: ['boolean'], other: ['text', 'bytea'] };
const bound: Readonly<Record<Category, readonly (string | null)[]>> = { number: ['3', '0', '-7', '10', null], text: ['apple', 'a', '', 'back\\slash', null], moment: ['2024-01-31', '2024-02-29'], bool: ['t', 'false', null], other: ['small', 'ab'] };

export class WildDialectStatements {
  readonly #random: Random;
  #sources: readonly Source[] = [];
  #parameters: (string | null)[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  next(): RandomStatement {
    this.#parameters = [];
    const make = this.#pick([() => this.#select(), () => this.#select(), () => this.#select(), () => this.#select(), () => this.#grouped(), () => this.#grouped(), () => this.#joined(), () => this.#joined(), () => this.#derived(), () => this.#sorted(), () => this.#merged(), () => this.#ranked(), () => this.#setOperation(), () => this.#subquery(), () => this.#windowed(), () => this.#distinctOn(), () => this.#common(), () => this.#update(), () => this.#update(), () => this.#updateFrom(), () => this.#delete(), () => this.#insert(), () => this.#upsert(), () => this.#numbered()]);
    const made = make();
    // Of what was made and thrown away parameters are left over.
    const numbers = [...new Set(Array.from(made.matchAll(/\$(\d+)/g), ([, number]) => Number(number)))];
    const sql = made.replace(/\$(\d+)/g, (_text, number: string) => `$${numbers.indexOf(Number(number)) + 1}`);
    return { sql: sql.replace(' /* all */', ''), parameters: numbers.map((number) => this.#parameters[number - 1] ?? null), isOrdered: sql.includes('/* all */'), isStrict: false };
  }

  #pick<Item>(items: readonly Item[]): Item {
    return this.#random.pick(items);
  }

  #chance(share: number): boolean {
    return this.#random.below(100) < share;
  }

  #table(alias: string, named?: string): string {
    const table = tables.find((each) => each.table === named) ?? (this.#chance(45) ? tables[0] : this.#pick(tables));
    if (table === undefined) throw new Error(named);
    this.#sources = [{ ...table, alias }];
    return `${table.table} ${alias}`;
  }

  get #keys(): string {
    return this.#sources.flatMap(({ alias, key }) => key.map((name) => `${alias}.${name}`)).join(', ');
  }

  #leaf(category: Category): string {
    if (this.#parameters.length > 0 && this.#chance(4)) return `$${1 + this.#random.below(this.#parameters.length)}`;
    if (this.#chance(6)) {
      this.#parameters.push(this.#pick(bound[category]));
      return `$${this.#parameters.length}${this.#chance(60) ? `::${this.#pick(typed[category])}` : ''}`;
    }
    const source = this.#sources.length === 0 || this.#chance(30) ? undefined : this.#pick(this.#sources);
    const names = source?.columns[category];
    return source === undefined || names === undefined ? this.#pick(leaves[category]) : `${source.alias}.${this.#pick(names)}`;
  }

  #value(wanted: Category | undefined, depth: number): string {
    const category = wanted === undefined || this.#chance(6) ? this.#pick(all) : wanted;
    return depth <= 0 || this.#chance(25) ? this.#leaf(category) : this.#filled(this.#pick(forms[category]), depth - 1);
  }

  #filled(form: string, depth: number): string {
    let same: Category | undefined;
    return form.replace(/\{([a-z])\}/g, (_, slot: string) => {
      switch (slot) {
        case 'n': return this.#value('number', depth);
        case 's': return this.#value('text', depth);
        case 'd': return this.#value('moment', depth);
        case 'b': return this.#bool(depth);
        case 'o': return this.#value('other', depth);
        case 'x': return this.#value((same ??= this.#pick(all)), depth);
        case 'c': return this.#pick(['=', '<>', '<', '<=', '>', '>=']);
        case 'i': return this.#pick(['0', '1', '2', '3', '-1', '5', '10']);
        case 'k': return this.#keys;
        case 'p': {
          this.#parameters.push(this.#pick(['{1,3,7}', '{}', '{NULL,2}', null]));
          return `$${this.#parameters.length}`;
        }
        default: return this.#value(undefined, depth);
      }
    });
  }

  #bool(depth: number): string {
    return depth <= 0 ? this.#filled(this.#pick(['({n} {c} {n})', '({s} = {s})', '({a} IS NULL)', '{d} IS NOT NULL']), 0) : this.#filled(this.#pick(forms.bool), depth - 1);
  }

  #where(share: number, depth = 2): string {
    return this.#chance(share) ? ` WHERE ${this.#bool(depth)}` : '';
  }

  #direction(): string {
    return this.#pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST']);
  }

  #tail(): string {
    if (!this.#chance(45)) return '';
    return ` ORDER BY ${this.#chance(60) ? `${this.#value(undefined, 1)}${this.#direction()}, ` : ''}${this.#keys} /* all */${this.#pick(['', '', ' LIMIT 3', ' OFFSET 2', ' LIMIT 2 OFFSET 1', ' FETCH FIRST 2 ROWS ONLY'])}`;
  }

  #select(): string {
    const from = this.#table('t');
    return `SELECT ${this.#keys}, ${this.#value(undefined, 2)} AS v FROM ${from}${this.#where(70)}${this.#tail()}`;
  }

  #aggregate(): string {
    return this.#filled(this.#pick(forms.aggregate), 1);
  }

  #grouped(): string {
    const from = this.#chance(75) ? this.#table('t') : this.#pair();
    const keys = this.#chance(30) ? [] : [this.#value(undefined, this.#random.below(2)), ...(this.#chance(30) ? [this.#value(undefined, 1)] : [])];
    const having = this.#chance(35) ? ` HAVING ${this.#aggregate()} ${this.#pick(['> 1', 'IS NOT NULL', '<> 0', '= 3'])}` : '';
    const order = keys.length > 0 && this.#chance(30) ? ` ORDER BY ${keys.map((_, index) => `${index + 1}${this.#direction()}`).join(', ')}` : '';
    return `SELECT ${[...keys, this.#aggregate(), this.#aggregate()].join(', ')} FROM ${from}${this.#where(40, 1)}${keys.length === 0 ? '' : ` GROUP BY ${keys.map((_, index) => index + 1).join(', ')}`}${having}${order}`;
  }

  #pair(): string {
    const one = this.#table('x');
    const first = this.#sources;
    const other = this.#table('y');
    this.#sources = [...first, ...this.#sources];
    const [left, right] = this.#sources;
    return `${one} ${this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'INNER JOIN'])} ${other} ON ${this.#chance(60) ? `x.${left?.key[0] ?? ''} = y.${right?.key[0] ?? ''}` : this.#bool(1)}`;
  }

  #joined(): string {
    const from = this.#pair();
    return `SELECT ${this.#keys}, ${this.#value(undefined, 2)} FROM ${from}${this.#where(50)}${this.#chance(30) ? ` ORDER BY ${this.#keys} /* all */` : ''}`;
  }

  #derived(): string {
    const from = this.#table('t');
    const category = this.#pick(all);
    const inner = `SELECT ${this.#value(category, 2)} AS v, ${this.#value('number', 1)} AS w FROM ${from}${this.#where(50)}${this.#chance(30) ? ` ORDER BY ${this.#keys} LIMIT 4` : ''}`;
    this.#sources = [{ table: 'd', alias: 'd', key: [], columns: { [category]: ['v'], number: ['w'] } }];
    return `SELECT ${this.#value(category, 1)}, d.v, d.w FROM (${inner}) d${this.#where(50, 1)}`;
  }

  /** A query in an order that another one goes on in. */
  #sorted(): string {
    const from = this.#table('t');
    const category = this.#pick(all);
    const end = this.#pick([' LIMIT 3', ' OFFSET 2', '', ` WHERE v IS NOT NULL LIMIT 2`]);
    const inner = `SELECT ${this.#keys.replace(', ', ' * 100 + ')} AS k, ${this.#value(category, 2)} AS v FROM ${from}${this.#where(40, 1)} ORDER BY ${this.#value(undefined, 1)}${this.#direction()}, ${this.#keys}${this.#chance(20) ? ' LIMIT 5' : ''}`;
    if (this.#chance(30)) return `WITH s AS (${inner}) SELECT k, v FROM s${end} /* all */`;
    this.#sources = [{ table: 's', alias: 's', key: ['k'], columns: { number: ['k'], [category]: ['v'] } }];
    return `SELECT ${this.#pick(['s.k', 's.k, s.v', `s.k, ${this.#value(category, 1)}`])} FROM (${inner}) s${end} /* all */`;
  }

  /** Two tables by USING, whose columns may be of different types. */
  #merged(): string {
    const category = this.#pick(all);
    const side = (): string => {
      const from = this.#table('t');
      return `(SELECT ${this.#keys.replace(', ', ' * 100 + ')} AS k${this.#sources[0]?.table === 'items' ? '' : 'y'}, ${this.#value(category, 1)} AS u FROM ${from}${this.#where(30, 1)})`;
    };
    const [one, other] = [side(), side()];
    this.#sources = [{ table: 'm', alias: 'm', key: [], columns: { [category]: ['u'] } }];
    return `SELECT ${this.#pick(['u', 'u, a.u, b.u', '*', this.#value(category, 1).replaceAll('m.u', 'u')])} FROM ${one} a ${this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN'])} ${other} b USING (u)`;
  }

  /** Windows over groups. */
  #ranked(): string {
    const from = this.#table('t');
    const key = this.#value(this.#pick(['text', 'number', 'moment']), this.#random.below(2));
    const aggregates = [this.#aggregate(), this.#aggregate()];
    const call = this.#pick(['rank()', 'row_number()', 'dense_rank()', `sum(${aggregates[0] ?? ''})`, `max(${aggregates[0] ?? ''})`, 'count(*)']);
    return `SELECT ${key} AS g, ${aggregates[1] ?? ''}, ${this.#pick(['', "'n' || ", '1 + '])}${call} OVER (ORDER BY ${this.#chance(50) ? `${aggregates[0] ?? ''}${this.#direction()}, ` : ''}${key}) FROM ${from}${this.#where(30, 1)} GROUP BY ${key} ORDER BY ${key}${this.#direction()} /* all */${this.#pick(['', ' LIMIT 3'])}`;
  }

  /** Rows that the server numbers in the order of a query. */
  #numbered(): string {
    const from = this.#table('t');
    return `INSERT INTO items (name, qty) SELECT ${this.#value('text', 1)}, ${this.#sources[0]?.key[0] ?? ''} FROM ${from}${this.#where(40, 1)} ORDER BY ${this.#chance(60) ? `${this.#value(undefined, 1)}${this.#direction()}, ` : ''}${this.#keys}${this.#chance(30) ? ' LIMIT 4' : ''}`;
  }

  #setOperation(): string {
    const category = this.#pick(all);
    const side = (): string => {
      const from = this.#table('t');
      return `SELECT ${this.#value(category, 1)} AS v FROM ${from}${this.#where(60, 1)}`;
    };
    return `${side()} ${this.#pick(['UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL'])} ${side()}${this.#chance(30) ? ` ORDER BY v${this.#direction()} /* all */` : ''}`;
  }

  #subquery(): string {
    const from = this.#table('o');
    const outer = this.#sources;
    const category = this.#pick(all);
    const operand = this.#value(category, 1);
    const keys = this.#keys;
    const within = this.#table('n');
    const inner = this.#sources;
    this.#sources = [...inner, ...(this.#chance(40) ? outer : [])];
    const value = this.#chance(70) ? this.#value(category, 1) : this.#aggregate();
    const where = this.#where(60, 1);
    this.#sources = inner;
    const limited = `(SELECT ${value} FROM ${within}${where}${/\b(?:count|sum|avg|min|max|bool_\w+|every|string_agg)\(/.test(value) ? '' : ` ORDER BY ${this.#keys}`} LIMIT 1)`;
    const test = this.#pick([`${operand} IN (SELECT ${value} FROM ${within}${where})`, `${operand} NOT IN (SELECT ${value} FROM ${within}${where})`, `EXISTS (SELECT 1 FROM ${within}${where})`, `${operand} ${this.#pick(['=', '<>', '<', '>='])} ${limited}`, `${operand} ${this.#pick(['>', '<=', '='])} ${this.#pick(['ANY', 'ALL'])} (SELECT ${value} FROM ${within}${where})`]);
    return this.#chance(60) ? `SELECT ${keys} FROM ${from} WHERE ${test}` : `SELECT ${keys}, ${this.#pick([test, limited])} AS v FROM ${from}`;
  }

  #windowed(): string {
    const from = this.#table('t');
    const frame = this.#chance(40) ? ` ${this.#pick(['ROWS', 'RANGE'])} BETWEEN ${this.#pick(['UNBOUNDED', '1'])} PRECEDING AND ${this.#pick(['CURRENT ROW', '1 FOLLOWING', 'UNBOUNDED FOLLOWING'])}` : '';
    const call = this.#pick(['row_number()', 'rank()', 'dense_rank()', 'percent_rank()', 'cume_dist()', 'ntile(3)', `lag(${this.#value(undefined, 1)})`, `lead(${this.#value('number', 0)}, 2)`, `lag(${this.#value('number', 0)}, 1, 0)`, `first_value(${this.#value(undefined, 1)})`, `last_value(${this.#value(undefined, 1)})`, this.#aggregate(), this.#aggregate()]);
    return `SELECT ${this.#keys}, ${call} OVER (${this.#chance(50) ? `PARTITION BY ${this.#value(undefined, 1)} ` : ''}ORDER BY ${this.#chance(60) ? `${this.#value(undefined, 1)}${this.#direction()}, ` : ''}${this.#keys}${frame}) FROM ${from}`;
  }

  #distinctOn(): string {
    const from = this.#table('t');
    if (this.#chance(50)) return `SELECT DISTINCT ${this.#value(undefined, 1)} AS a, ${this.#value(undefined, 1)} AS b FROM ${from}${this.#where(30, 1)}${this.#chance(40) ? ' ORDER BY 1, 2' : ''}`;
    const key = this.#value(undefined, 1);
    return `SELECT DISTINCT ON (${key}) ${this.#keys}, ${this.#value(undefined, 1)} FROM ${from}${this.#where(30, 1)} ORDER BY ${key}${this.#direction()}, ${this.#keys}`;
  }

  #common(): string {
    const from = this.#table('t');
    const category = this.#pick(all);
    const inner = `SELECT t.${this.#sources[0]?.key[0] ?? ''} AS k, ${this.#value(category, 1)} AS v FROM ${from}${this.#where(40, 1)}`;
    const other = this.#table('y');
    this.#sources = [{ table: 'c', alias: 'c', key: ['k'], columns: { number: ['k'], [category]: ['v'] } }, ...this.#sources];
    if (this.#chance(30)) return `SELECT y.${this.#sources[1]?.key[0] ?? ''}, l.v FROM ${other} ${this.#pick(['CROSS JOIN', ','])} LATERAL (SELECT ${this.#filled('{a}', 1).replaceAll(/\bc\.\w+/g, '1')} AS v) l`;
    return `WITH c AS (${inner}) SELECT c.k, ${this.#value(category, 1)} FROM c ${this.#pick(['JOIN', 'LEFT JOIN'])} ${other} ON c.k = y.${this.#sources[1]?.key[0] ?? ''}${this.#where(50, 1)}`;
  }

  #assignment(alias = ''): string {
    const [source] = this.#sources;
    const category = this.#pick(all.filter((each) => source?.columns[each]?.some((name) => !source.key.includes(name)) === true));
    return `${alias}${this.#pick((source?.columns[category] ?? []).filter((name) => source?.key.includes(name) === false))} = ${this.#value(category, 1)}`;
  }

  #assignments(): string {
    const made = Array.from({ length: 1 + this.#random.below(2) }, () => this.#assignment());
    return [...new Map(made.map((each) => [each.split(' ')[0], each])).values()].join(', ');
  }

  #returning(): string {
    return this.#chance(20) ? ` RETURNING ${this.#keys}, ${this.#value(undefined, 1)}` : '';
  }

  #update(): string {
    const table = this.#table('t');
    return `UPDATE ${table} SET ${this.#assignments()}${this.#where(80)}${this.#returning()}`;
  }

  #updateFrom(): string {
    const table = this.#table('x');
    const [own] = this.#sources;
    const other = this.#table('y');
    const [joined] = this.#sources;
    if (own === undefined || joined === undefined) return '';
    this.#sources = [own, joined];
    const link = `x.${own.key[0] ?? ''} = y.${joined.key[0] ?? ''}`;
    return this.#chance(40) ? `DELETE FROM ${table} USING ${other} WHERE ${link} AND ${this.#bool(1)}` : `UPDATE ${table} SET ${this.#assignments()} FROM ${other} WHERE ${link} AND ${this.#bool(1)}`;
  }

  #delete(): string {
    const table = this.#table('t');
    return `DELETE FROM ${table}${this.#where(95)}${this.#returning()}`;
  }

  #insert(): string {
    const columns = [['number', 'qty'], ['number', 'price'], ['text', 'name'], ['text', 'code'], ['moment', 'created'], ['moment', 'changed'], ['bool', 'active'], ['number', 'ratio'], ['number', 'stock'], ['number', 'big'], ['number', 'small'], ['moment', 'seen']] as const;
    const chosen = columns.filter(() => this.#chance(20));
    const list = chosen.length === 0 ? [columns[0]] : chosen;
    const names = list.map(([, name]) => name).join(', ');
    if (this.#chance(50)) {
      this.#sources = [];
      return `INSERT INTO items (${names}) VALUES ${Array.from({ length: 1 + this.#random.below(2) }, () => `(${list.map(([category]) => this.#value(category, 1)).join(', ')})`).join(', ')}${this.#chance(30) ? ` RETURNING id, ${names}` : ''}`;
    }
    const from = this.#table('t');
    return `INSERT INTO items (id, ${names}) SELECT t.${this.#sources[0]?.key[0] ?? ''} + 100, ${list.map(([category]) => this.#value(category, 1)).join(', ')} FROM ${from}${this.#sources[0]?.table === 'orders' ? ' WHERE t.item = 1' : this.#where(40, 1)}`;
  }

  #upsert(): string {
    this.#sources = [];
    const rows = this.#pick([[1], [9], [1, 2, 7]]).map((id) => `(${id}, ${this.#value('number', 1)}, ${this.#value('text', 1)}, ${this.#value('number', 0)})`).join(', ');
    this.#sources = [{ table: 'counters', alias: 'counters', key: ['id'], columns: { number: ['hits', 'a', 'b'], text: ['label'] } }, { table: 'counters', alias: 'excluded', key: ['id'], columns: { number: ['hits', 'a', 'b'], text: ['label'] } }];
    return `INSERT INTO counters (id, hits, label, a) VALUES ${rows} ON CONFLICT (id) DO ${this.#chance(20) ? 'NOTHING' : `UPDATE SET ${this.#assignments()}`}`;
  }
}
