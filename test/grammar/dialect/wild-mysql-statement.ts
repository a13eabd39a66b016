/**
 * Random statements of MySQL's dialect that put values of every type into every place, whether they belong there or not: what the translation makes of types
 * that meet, of functions over foreign types, of parameters and user variables. Most are refused, which costs next to nothing; the rest has to be the same.
 */
import type { MysqlParameter } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { Random } from '../../soak/torture-random.ts';
import { functions, lexicon } from './wild-mysql-lexicon.ts';
import type { Category } from './wild-mysql-lexicon.ts';

export interface WildStatement {
  readonly sql: string;
  readonly parameters: readonly MysqlParameter[];
  /** No two rows are alike for its ORDER BY. */
  readonly isOrdered: boolean;
  /** Which of several strings that are equal stands for all of them is each side's own affair. */
  readonly isFolded: boolean;
}

interface Source {
  readonly table: string;
  readonly alias: string;
  readonly key: readonly string[];
  readonly columns: Readonly<Partial<Record<Category, readonly string[]>>>;
}

const all: readonly Category[] = ['number', 'text', 'moment', 'time', 'bytes', 'other'];

const tables: readonly Omit<Source, 'alias'>[] = [
  { table: 'kinds', key: ['id'], columns: {
    number: ['id', 'ti', 'tu', 'si', 'su', 'mi', 'mu', 'i', 'iu', 'bi', 'bu', 'fl', 'd1', 'd2', 'du', 'd0', 'f', 'g', 'ye'], text: ['ch', 'vc', 'vu', 'vb', 'lt', 'tx'], moment: ['da', 'dt', 'd3', 'd6', 'ts', 't3'], time: ['tm', 't6'],
    bytes: ['vn', 'bl', 'bn'], other: ['b1', 'b8', 'bm', 'en', 'se', 'eb', 'ec'],
  } },
  { table: 'items', key: ['id'], columns: { number: ['id', 'qty', 'price', 'active', 'big', 'small', 'stock', 'huge', 'year4'], text: ['name', 'code', 'note', 'fixed', 'exact'], moment: ['created', 'changed', 'seen'], time: ['lasts'], bytes: ['raw'], other: ['size', 'tags'] } },
  { table: 'people', key: ['id'], columns: { number: ['id', 'boss', 'badge', 'salary'], text: ['name', 'city'], moment: ['born'] } },
  { table: 'orders', key: ['person', 'item'], columns: { number: ['person', 'item', 'n', 'paid'], moment: ['at'] } },
  { table: 'counters', key: ['id'], columns: { number: ['id', 'hits', 'a', 'b'], text: ['label'] } },
  { table: 'moments', key: ['id'], columns: { number: ['id'], moment: ['ts', 't2', 't3', 'ti', 'dt', 'd3'] } },
  { table: 'docs', key: ['id'], columns: { number: ['id', "data->'$.a'", "data->>'$.b[0]'"], text: ['title', "data->>'$.a'", "data->>'$.b[2].c'"], other: ['data', "data->'$.b'", "data->>'$.n'"] } },
];

export class WildMysqlStatements {
  readonly #random: Random;
  /** Most statements are about this one. */
  readonly #usual: string;
  #sources: readonly Source[] = [];
  #parameters: MysqlParameter[] = [];
  #isFolded = false;

  constructor(random: Random, usual = 'kinds') {
    this.#random = random;
    this.#usual = usual;
  }

  next(): WildStatement {
    this.#parameters = [];
    this.#isFolded = false;
    const make = this.#pick([
      () => this.#constants(), () => this.#select(), () => this.#select(), () => this.#select(), () => this.#select(), () => this.#where(), () => this.#where(), () => this.#where(), () => this.#grouped(), () => this.#grouped(), () => this.#distinct(), () => this.#union(), () => this.#joined(),
      () => this.#derived(), () => this.#subquery(), () => this.#windowed(), () => this.#update(), () => this.#update(), () => this.#manyUpdate(), () => this.#delete(), () => this.#insert(), () => this.#insert(), () => this.#insertSelect(), () => this.#upsert(), () => this.#upsert(),
      () => this.#summary(), () => this.#summary(), () => this.#common(), () => this.#three(), () => this.#manyUpsert(),
    ]);
    const sql = make();
    return { ...this.#numbered(sql), isOrdered: sql.includes('/* all */'), isFolded: this.#isFolded };
  }

  /** Parameters in the order in which their places are left in the text. */
  #numbered(sql: string): Pick<WildStatement, 'sql' | 'parameters'> {
    const parameters: MysqlParameter[] = [];
    const text = sql.replace(/\?(\d+)\?/g, (_, number: string) => {
      parameters.push(this.#parameters[Number(number)] ?? { kind: 'text', value: null });
      return '?';
    }).replace(' /* all */', '');
    return { sql: text, parameters };
  }

  #pick<Item>(items: readonly Item[]): Item {
    return this.#random.pick(items);
  }

  #chance(share: number): boolean {
    return this.#random.below(100) < share;
  }

  #list(least: number, most: number, make: () => string): string {
    return Array.from({ length: least + this.#random.below(most - least + 1) }, make).join(', ');
  }

  /** Makes what follows speak of a table; its text for FROM. */
  #table(alias = '', named?: string): string {
    const picked = named ?? (this.#chance(60) ? this.#usual : this.#pick(tables).table);
    const table = tables.find((each) => each.table === picked);
    if (table === undefined) throw new Error(named);
    this.#sources = [{ ...table, alias }];
    return alias === '' ? table.table : `${table.table} ${alias}`;
  }

  get #keys(): string {
    return this.#sources.flatMap(({ alias, key }) => key.map((name) => (alias === '' ? name : `${alias}.${name}`))).join(', ');
  }

  #column(category: Category): string | undefined {
    const { alias, columns } = this.#pick(this.#sources);
    const names = columns[category];
    return names === undefined ? undefined : `${alias === '' ? '' : `${alias}.`}${this.#pick(names)}`;
  }

  #leaf(category: Category): string {
    if (this.#chance(4)) return this.#parameter(category);
    if (this.#chance(2)) return this.#pick(['@i', '@s', '@n']);
    const column = this.#sources.length === 0 || this.#chance(30) ? undefined : this.#column(category);
    return column ?? this.#pick(lexicon[category]);
  }

  #parameter(category: Category): string {
    const parameter = this.#pick<MysqlParameter>(category === 'number' ? [
      { kind: 'integer', value: this.#pick(['0', '1', '3', '-7', '9223372036854775807', '2024']) }, { kind: 'decimal', value: this.#pick(['2.50', '-0.1', '3.0', '10']) }, { kind: 'double', value: this.#pick(['0.5', '1e10', '3', '-2.5']) },
      { kind: 'unsigned', value: this.#pick(['3', '18446744073709551615']) }, { kind: 'text', value: this.#pick(['3', '2.5', 'a', '', ' 7', '1e1']) }, { kind: 'text', value: null },
    ] : category === 'bytes' ? [{ kind: 'bytes', value: this.#pick(['a', '\xff', '', 'abc']) }, { kind: 'text', value: 'abc' }] : [
      { kind: 'text', value: category === 'moment' ? this.#pick(['2024-01-31', '2024-01-31 12:00:00', '2024-1-5', 'x']) : category === 'time' ? this.#pick(['10:20:30', '-838:59:59', '1:2:3']) : category === 'other' ? this.#pick(['small', 'red', 'blue,red', 'b', '']) : this.#pick(['apple', 'a', '', 'A ', 'ä', 'aa', '12']) },
      { kind: 'integer', value: this.#pick(['0', '12', '2024']) }, { kind: 'text', value: null },
    ]);
    this.#parameters.push(parameter);
    return `?${this.#parameters.length - 1}?`;
  }

  /** One time in eight another category than the place asks for. */
  #value(wanted: Category | undefined, depth: number): string {
    const category = wanted === undefined || this.#chance(12) ? this.#pick(all) : wanted;
    if (depth <= 0 || this.#chance(25)) return this.#leaf(category);
    return this.#filled(this.#pick(functions[category]), depth - 1);
  }

  /** `{n}` a number, `{i}` a small constant, `{a}` anything … as the lexicon says. */
  #filled(template: string, depth: number): string {
    let same: Category | undefined;
    return template.replace(/\{(\w+)\}/g, (_, slot: string) => {
      switch (slot) {
        case 'n': return this.#value('number', depth);
        case 's': return this.#value('text', depth);
        case 'd': return this.#value('moment', depth);
        case 't': return this.#value('time', depth);
        case 'y': return this.#value('bytes', depth);
        case 'o': return this.#value('other', depth);
        case 'x': return this.#value((same ??= this.#pick(all)), depth);
        case 'b': return this.#bool(depth);
        case 'i': return this.#pick(['0', '1', '2', '3', '-1', '-2', '5', '10', '40']);
        case 'l': return this.#pick(["'a'", "'A'", "' '", "'b'", "'-'", "'1'", "'ä'", "''"]);
        case 'u': return this.#pick(['MICROSECOND', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR']);
        case 'c': return this.#pick(['=', '<>', '<', '<=', '>', '>=', '<=>']);
        case 'p': return this.#pick(["'a%'", "'%a'", "'_'", "'A%e'", "'%\\\\_%'", "'%ä%'", "'1%'", "'%'", "''", "'% '"]);
        case 'w': return this.#pick(["'%\\\\\\\\%'", "'%k\\\\\\\\s%'", "'back\\\\\\\\%'", "'%r\\\\_s%'", "'%\\\\%%'", "'_\\\\_'", "'\\\\a%'", "'%'", "'%|_%' ESCAPE '|'", "'a|%' ESCAPE '|'"]);
        case 'r': return this.#bare(depth, false);
        case 'q': return this.#bare(depth, true);
        case 'C': return this.#pick(['utf8mb4_bin', 'utf8mb4_general_ci', 'utf8mb4_unicode_ci', 'latin1_swedish_ci']);
        case 'T': return this.#pick(['SIGNED', 'UNSIGNED', 'CHAR', 'CHAR(3)', 'DECIMAL(10,2)', 'DECIMAL(5,0)', 'DECIMAL', 'DATE', 'DATETIME', 'DATETIME(3)', 'TIME', 'TIME(6)', 'BINARY']);
        case 'k': return this.#keys || '1';
        case 'f': return this.#pick(["'%Y-%m-%d'", "'%H:%i:%s.%f'", "'%W %M %e %y'", "'%a %b %c %j %p %r %T'", "'%x-%v'", "'%D'", "'%% %k:%l'", "'%h%I'", "'year %Y x'"]);
        default: return this.#value(undefined, depth);
      }
    });
  }

  /** Operators without parentheses, whose order is the parser's affair. */
  #bare(depth: number, isCondition: boolean): string {
    const leaf = (): string => `${this.#pick(['', '', '', '', '-', '~', '!', '- -', 'NOT '])}${this.#pick([() => this.#leaf('number'), () => this.#pick(['1', '2', '3', '5', '7']), () => this.#pick(['1', '2', '3', '5', '7']), () => `(${this.#value('number', depth - 1)})`])()}`;
    const operator = (): string => this.#pick(isCondition ? ['AND', 'OR', 'XOR', '&&', '||', '=', '<>', '<', '<=>', '!=', '+', '*', '&', 'DIV'] : ['+', '-', '*', 'DIV', '%', 'MOD', '&', '|', '^', '<<', '>>', '+', '-', '*', '/']);
    const behind = (): string => this.#pick(['', '', '', '', ' IS NULL', ' IS NOT TRUE', ' IN (1, 2)', ' NOT IN (0, 3)', ' BETWEEN 1 AND 3', ' NOT BETWEEN 0 AND 2', " LIKE '1%'"]);
    const parts = Array.from({ length: 2 + this.#random.below(4) }, () => ` ${operator()} ${leaf()}${isCondition ? behind() : ''}`);
    return `${leaf()}${parts.join('')}`;
  }

  #bool(depth: number): string {
    return this.#filled(this.#pick(functions.bool), depth);
  }

  #tail(): string {
    if (!this.#chance(40)) return '';
    return ` ORDER BY ${this.#chance(70) ? `${this.#value(undefined, 1)}${this.#chance(40) ? ' DESC' : ''}, ` : ''}${this.#keys} /* all */${this.#chance(30) ? ` LIMIT ${this.#pick(['2', '3', '1, 3', '5 OFFSET 2', '0'])}` : ''}`;
  }

  #constants(): string {
    this.#sources = [];
    return `SELECT ${this.#list(1, 2, () => this.#value(undefined, 2))}`;
  }

  #select(): string {
    const from = this.#table();
    const list = this.#list(1, 2, () => this.#value(undefined, 1 + this.#random.below(2)));
    return `SELECT ${this.#keys}, ${list} FROM ${from}${this.#chance(20) ? ` WHERE ${this.#bool(1)}` : ''}${this.#tail()}`;
  }

  #where(): string {
    const from = this.#table();
    return `SELECT ${this.#keys} FROM ${from} WHERE ${this.#bool(2)}${this.#chance(30) ? ` ${this.#pick(['AND', 'OR', 'XOR'])} ${this.#bool(1)}` : ''}${this.#tail()}`;
  }

  #aggregate(): string {
    return this.#filled(this.#pick(functions.aggregate), 1);
  }

  #grouped(): string {
    this.#isFolded = true;
    const from = this.#table();
    const where = this.#chance(30) ? ` WHERE ${this.#bool(1)}` : '';
    const list = this.#list(1, 2, () => this.#aggregate());
    if (this.#chance(30)) return `SELECT ${list} FROM ${from}${where}`;
    const group = this.#value(undefined, this.#random.below(2));
    const having = this.#chance(30) ? ` HAVING ${this.#pick([`${this.#aggregate()} ${this.#pick(['>', '=', '<'])} ${this.#pick(lexicon.number)}`, `gr ${this.#pick(['>', '=', 'IS NOT NULL AND 1 ='])} 1`, 'COUNT(*) > 1'])}` : '';
    return `SELECT ${group} AS gr, ${list} FROM ${from}${where} GROUP BY ${this.#pick(['gr', '1', group])}${this.#chance(8) ? ' WITH ROLLUP' : ''}${having}`;
  }

  /** Of several groups, with conditions and an order by the names of what is shown. */
  #summary(): string {
    this.#isFolded = true;
    const from = this.#chance(70) ? this.#table() : this.#pair();
    const list = `${this.#value(undefined, 1)} AS a, ${this.#value(undefined, 0)} AS b, ${this.#aggregate()} AS m`;
    const where = this.#chance(40) ? ` WHERE ${this.#bool(1)}` : '';
    return `SELECT ${list} FROM ${from}${where} GROUP BY ${this.#pick(['a, b', '1, 2', 'b, a'])}${this.#chance(30) ? ` HAVING m ${this.#pick(['IS NOT NULL', '> 1', '<> 0', "= 'a'", 'IN (1, 2)'])}` : ''}${this.#pick(['', ' ORDER BY m', ' ORDER BY a, m DESC', ' ORDER BY NULL'])}`;
  }

  #common(): string {
    const from = this.#table();
    const category = this.#pick(all);
    const inner = `SELECT ${this.#keys.split(', ')[0] ?? ''} AS k, ${this.#value(category, 1)} AS v FROM ${from}${this.#chance(50) ? ` WHERE ${this.#bool(1)}` : ''}`;
    const own: Source = { table: 'c', alias: 'c', key: ['k'], columns: { number: ['k'], [category]: ['v'] } };
    const other = this.#table('y');
    this.#sources = [own, ...this.#sources];
    return `WITH c AS (${inner}) SELECT c.k, ${this.#value(category, 1)} FROM c ${this.#pick(['JOIN', 'LEFT JOIN'])} ${other} ON ${this.#chance(60) ? `c.k = y.${this.#sources[1]?.key[0] ?? ''}` : this.#bool(0)}${this.#chance(50) ? ` WHERE ${this.#bool(1)}` : ''}`;
  }

  /** Three tables, and a derived one that groups. */
  #three(): string {
    const from = this.#pair();
    const pair = this.#sources;
    const grouped = this.#table();
    const key = this.#sources[0]?.key[0] ?? '';
    const inner = `SELECT ${key} AS k, ${this.#aggregate()} AS m FROM ${grouped} GROUP BY ${key}`;
    this.#sources = [...pair, { table: 'd', alias: 'd', key: ['k'], columns: { number: ['k', 'm'], text: ['m'], other: ['m'] } }];
    return `SELECT ${this.#keys}, d.m, ${this.#value(undefined, 1)} FROM ${from} ${this.#pick(['JOIN', 'LEFT JOIN'])} (${inner}) d ON d.k = ${this.#pick(['x', 'y'])}.${pair[0]?.key[0] ?? ''}${this.#chance(40) ? ` WHERE ${this.#bool(1)}` : ''}`;
  }

  /** Rows of a list or of a query, some of which are there. */
  #manyUpsert(): string {
    this.#table('', 'counters');
    const source = this.#sources;
    const column = this.#pick(['hits', 'label', 'a', 'b']);
    const category = column === 'label' ? 'text' : 'number';
    const set = this.#pick([`${column} = VALUES(${column})`, `${column} = IFNULL(VALUES(${column}), ${column})`, `${column} = ${this.#value(category, 1)}`, `a = a + 1, b = ${this.#pick(['a', 'VALUES(id)', 'b + hits'])}`]);
    if (this.#chance(50)) {
      this.#sources = [];
      return `INSERT INTO counters (id, ${column}) VALUES ${[1, 7, 3].map((id) => `(${id}, ${this.#value(category, 1)})`).join(', ')} ON DUPLICATE KEY UPDATE ${set}`;
    }
    const from = this.#table('', this.#pick(['items', 'people', 'kinds']));
    const sql = `INSERT INTO counters (id, ${column}) SELECT id, ${this.#value(category, 1)} FROM ${from} WHERE id < 6 ON DUPLICATE KEY UPDATE ${set.replaceAll(/\b(hits|label|a|b)\b(?![(.])/g, 'counters.$1').replaceAll(/VALUES\(counters\./g, 'VALUES(')}`;
    this.#sources = source;
    return sql;
  }

  #distinct(): string {
    this.#isFolded = true;
    return `SELECT DISTINCT ${this.#list(1, 2, () => this.#value(undefined, this.#random.below(2)))} FROM ${this.#table()}`.replace(/^(SELECT DISTINCT )(.*)$/s, (_, head: string, rest: string) => `${head}${rest}`);
  }

  #union(): string {
    const category = this.#pick(all);
    const side = (): string => {
      const from = this.#table();
      return `SELECT ${this.#value(category, 1)} AS v FROM ${from} WHERE ${this.#bool(1)}`;
    };
    const isDistinct = this.#chance(40);
    this.#isFolded = isDistinct;
    return `${side()} UNION ${isDistinct ? '' : 'ALL '}${side()}`;
  }

  #pair(): string {
    const one = this.#table('x');
    const [first] = this.#sources;
    const other = this.#table('y');
    const join = this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN']);
    this.#sources = [...(first === undefined ? [] : [first]), ...this.#sources];
    const condition = this.#chance(50) ? `x.${first?.key[0] ?? ''} = y.${this.#sources[1]?.key[0] ?? ''}` : this.#bool(0);
    return `${one} ${join} ${other} ON ${condition}`;
  }

  #joined(): string {
    const from = this.#pair();
    return `SELECT ${this.#keys}, ${this.#value(undefined, 1)} FROM ${from}${this.#chance(50) ? ` WHERE ${this.#bool(1)}` : ''}${this.#chance(30) ? ` ORDER BY ${this.#keys} /* all */` : ''}`;
  }

  #derived(): string {
    const from = this.#table();
    const category = this.#pick(all);
    const inner = `SELECT ${this.#value(category, 1)} AS v, ${this.#value(undefined, 1)} AS w FROM ${from}${this.#chance(50) ? ` WHERE ${this.#bool(1)}` : ''}${this.#chance(30) ? ` ORDER BY ${this.#keys} LIMIT 4` : ''}`;
    this.#sources = [{ table: 'd', alias: 'd', key: [], columns: { [category]: ['v'], other: ['w'] } }];
    return `SELECT ${this.#list(1, 2, () => this.#value(category, 1))}, d.v FROM (${inner}) d${this.#chance(50) ? ` WHERE ${this.#bool(1)}` : ''}`;
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
    const value = this.#pick([this.#value(category, 1), this.#aggregate()]);
    const where = this.#chance(60) ? ` WHERE ${this.#bool(1)}` : '';
    this.#sources = inner;
    const limited = `(SELECT ${value} FROM ${within}${where} ORDER BY ${this.#keys} LIMIT 1)`;
    const compared = this.#pick(['=', '<>', '<', '>', '<=>']);
    const test = this.#pick([`${operand} IN (SELECT ${value} FROM ${within}${where})`, `${operand} NOT IN (SELECT ${value} FROM ${within}${where})`, `EXISTS (SELECT 1 FROM ${within}${where})`, `${operand} ${compared} ${limited}`, `${operand} ${this.#pick(['>', '<=', '='])} ${this.#pick(['ANY', 'ALL'])} (SELECT ${value} FROM ${within}${where})`]);
    return this.#chance(60) ? `SELECT ${keys} FROM ${from} WHERE ${test}` : `SELECT ${keys}, ${this.#pick([test, limited])} FROM ${from}`;
  }

  #windowed(): string {
    const from = this.#table();
    const partition = this.#chance(50) ? `PARTITION BY ${this.#value(undefined, 1)} ` : '';
    const order = `ORDER BY ${this.#chance(60) ? `${this.#value(undefined, 1)}${this.#pick(['', ' DESC'])}, ` : ''}${this.#keys}`;
    const call = this.#pick(['ROW_NUMBER()', 'RANK()', 'DENSE_RANK()', 'PERCENT_RANK()', 'CUME_DIST()', `LAG(${this.#value(undefined, 1)})`, `LEAD(${this.#value(undefined, 1)}, 2)`, `FIRST_VALUE(${this.#value(undefined, 1)})`, `LAST_VALUE(${this.#value(undefined, 1)})`, this.#aggregate(), this.#aggregate()]);
    return `SELECT ${this.#keys}, ${call} OVER (${partition}${order}${this.#chance(30) ? ` ${this.#pick(['ROWS', 'ROWS', 'RANGE'])} BETWEEN ${this.#pick(['1', 'UNBOUNDED'])} PRECEDING AND ${this.#pick(['CURRENT ROW', '1 FOLLOWING', 'UNBOUNDED FOLLOWING'])}` : ''}) FROM ${from}`;
  }

  #assignment(isPlain: boolean, prefix = ''): string {
    const [source] = this.#sources;
    const category = this.#pick(all.filter((each) => source?.columns[each]?.some((name) => source.key.length === 0 || !source.key.includes(name)) === true));
    const column = this.#pick((source?.columns[category] ?? []).filter((name) => source?.key.includes(name) === false || source?.key.length === 0));
    return `${prefix}${column} = ${this.#value(category, isPlain ? this.#random.below(2) : 1)}`;
  }

  #assignments(most: number, prefix = ''): string {
    const made = Array.from({ length: 1 + this.#random.below(most) }, () => this.#assignment(true, prefix));
    return [...new Map(made.map((each) => [each.split(' ')[0], each])).values()].join(', ');
  }

  #update(): string {
    const table = this.#table();
    return `UPDATE ${table} SET ${this.#assignments(2)}${this.#chance(70) ? ` WHERE ${this.#chance(50) ? `${this.#sources[0]?.key[0] ?? ''} IN (1, 2, ${this.#random.below(10)})` : this.#bool(1)}` : ''}${this.#chance(15) ? ` ORDER BY ${this.#keys} LIMIT 2` : ''}`;
  }

  #manyUpdate(): string {
    const from = this.#pair();
    if (this.#chance(40)) return `DELETE ${this.#pick(['x', 'y'])} FROM ${from}${this.#chance(70) ? ` WHERE ${this.#bool(1)}` : ''}`;
    const [one, other] = this.#sources;
    if (one === undefined || other === undefined) return '';
    this.#sources = [{ ...one, alias: 'x' }, other];
    return `UPDATE ${from} SET ${this.#assignments(2, 'x.')}${this.#chance(70) ? ` WHERE ${this.#bool(1)}` : ''}`;
  }

  #delete(): string {
    const table = this.#table();
    return `DELETE FROM ${table}${this.#chance(90) ? ` WHERE ${this.#bool(2)}` : ''}${this.#chance(20) ? ` ORDER BY ${this.#keys} LIMIT 3` : ''}`;
  }

  /** Into a table with few columns without defaults; a key may be taken. */
  #insert(): string {
    const table = this.#pick(['kinds', 'kinds', 'counters', 'items', 'people']);
    this.#table('', table);
    const [{ columns }] = this.#sources as readonly [Source];
    this.#sources = [];
    const chosen = Array.from({ length: 1 + this.#random.below(2) }, () => {
      const category = this.#pick(all.filter((each) => columns[each] !== undefined));
      return { category, column: this.#pick(columns[category] ?? []) };
    }).filter(({ column }, index, list) => column !== 'id' && list.findIndex((each) => each.column === column) === index);
    const needed = table === 'people' ? ["'x'", '1'] : [];
    const names = ['id', ...(table === 'people' ? ['name', 'salary'] : []), ...chosen.filter(({ column }) => table !== 'people' || (column !== 'name' && column !== 'salary')).map(({ column }) => column)];
    const kept = chosen.filter(({ column }) => names.includes(column) && (table !== 'people' || (column !== 'name' && column !== 'salary')));
    const row = (): string => `(${[this.#pick(['1', '3', '12', '40', '41', '42', '43', '-5', "'44'", '0']), ...needed, ...kept.map(({ category }) => this.#value(category, 1))].join(', ')})`;
    return `${this.#pick(['INSERT', 'INSERT', 'INSERT', 'INSERT IGNORE', 'REPLACE'])} INTO ${table} (${names.join(', ')}) VALUES ${Array.from({ length: 1 + this.#random.below(2) }, row).join(', ')}`;
  }

  #insertSelect(): string {
    const target = tables[0];
    const category = this.#pick(all.filter((each) => target?.columns[each] !== undefined));
    const column = this.#pick((target?.columns[category] ?? []).filter((name) => name !== 'id'));
    const from = this.#table();
    return `${this.#pick(['INSERT', 'INSERT', 'INSERT IGNORE', 'REPLACE'])} INTO kinds (id, ${column}) SELECT ${this.#sources[0]?.key[0] ?? ''} + ${this.#pick(['100', '5', '0'])}, ${this.#value(category, 1)} FROM ${from}${this.#sources[0]?.table === 'orders' ? ' WHERE item = 1' : ''}`;
  }

  #upsert(): string {
    const table = this.#pick(['kinds', 'counters', 'kinds']);
    this.#table('', table);
    const [source] = this.#sources as readonly [Source];
    const made = this.#assignment(true);
    const column = made.split(' ')[0] ?? '';
    this.#sources = [];
    const category = all.find((each) => source.columns[each]?.includes(column) === true);
    const value = this.#value(category, 1);
    this.#sources = [source];
    const set = this.#pick([`${column} = VALUES(${column})`, made, `${column} = ${this.#value(category, 1)}`, this.#assignments(2), `${column} = IFNULL(${column}, VALUES(${column}))`, `${column} = NULL`]);
    return `INSERT INTO ${table} (id, ${column}) VALUES (${this.#pick(['1', '2', '3', '4', '50'])}, ${value}) ON DUPLICATE KEY UPDATE ${set}`;
  }
}
