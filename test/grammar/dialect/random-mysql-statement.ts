/** Random statements of MySQL's dialect over the tables of mysql-corpus-tables.ts, made of what the translation lets through. */
import type { Random } from '../../soak/torture-random.ts';

type Type = 'int' | 'unsigned' | 'decimal' | 'double' | 'text' | 'date' | 'datetime' | 'bool';

interface Source {
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: Readonly<Partial<Record<Type, readonly string[]>>>;
}

const sources: readonly Source[] = [
  { table: 'items', key: ['id'], columns: { int: ['id', 'qty', 'small', 'big'], unsigned: ['stock', 'huge'], decimal: ['price'], double: ['ratio'], text: ['name', 'exact', 'fixed'], date: ['created'], datetime: ['changed', 'seen'], bool: ['active'] } },
  { table: 'people', key: ['id'], columns: { int: ['id', 'boss', 'badge'], decimal: ['salary'], text: ['city'], date: ['born'] } },
  { table: 'orders', key: ['person', 'item'], columns: { int: ['person', 'item', 'n'], datetime: ['at'], bool: ['paid'] } },
  { table: 'counters', key: ['id'], columns: { int: ['id', 'hits', 'a', 'b'], text: ['label'] } },
];

const constants: Readonly<Record<Type, readonly string[]>> = {
  int: ['0', '1', '2', '3', '-1', '7', '10', '-7', 'NULL', "'5'", '100000'], unsigned: ['0', '5', '4294967296', '18446744073709551615'], decimal: ['0.5', '1.50', '-2.5', '0.001', '1000000.0', '99.995', '2.0'],
  double: ['5e-1', '2e0', '-1e-1', '1e10'], text: ["'a'", "'A'", "''", "' '", "'apple'", "'Banana '", "'ä'", "'back\\\\slash'", "'12'", "'%'", "'zebra_1'"], date: ["'2024-02-29'", "'2023-12-31'", "DATE '2000-01-01'", 'CURDATE()'],
  datetime: ["'2024-02-29 12:34:56'", "'1970-01-01 00:00:01'", 'NOW()', "TIMESTAMP '2023-12-31 23:59:59.999999'"], bool: ['TRUE', 'FALSE', '1', '0', 'NULL'],
};

const units = ['DAY', 'WEEK', 'MONTH', 'YEAR', 'QUARTER', 'HOUR', 'MINUTE', 'SECOND'];

export class MysqlStatements {
  readonly #random: Random;
  #source: Source = sources[0] ?? { table: '', key: [], columns: {} };
  #alias = '';

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    this.#source = this.#pick(sources);
    this.#alias = '';
    return this.#pick([() => this.#select(), () => this.#select(), () => this.#select(), () => this.#grouped(), () => this.#grouped(), () => this.#joined(), () => this.#union(), () => this.#update(), () => this.#delete(), () => this.#insert()])();
  }

  #pick<Item>(items: readonly Item[]): Item {
    return this.#random.pick(items);
  }

  #chance(share: number): boolean {
    return this.#random.below(100) < share;
  }

  #select(): string {
    const { table, key } = this.#source;
    const list = [...key, ...this.#times(1 + this.#random.below(3), () => this.#any(2))];
    const where = this.#chance(70) ? ` WHERE ${this.#bool(2)}` : '';
    const order = this.#chance(40) ? ` ORDER BY ${this.#chance(70) ? `${this.#any(1)}${this.#chance(40) ? ' DESC' : ''}, ` : ''}${key.join(', ')}${this.#chance(40) ? ` LIMIT ${this.#random.below(5)}` : ''}` : '';
    return `SELECT ${list.join(', ')} FROM ${table}${where}${order}`;
  }

  #grouped(): string {
    const { table } = this.#source;
    const group = this.#pick([() => this.#int(1), () => this.#bool(1), () => this.#date(1), () => this.#decimal(1)])();
    const aggregate = (): string => this.#pick([() => 'COUNT(*)', () => `COUNT(${this.#any(1)})`, () => `SUM(${this.#int(1)})`, () => `AVG(${this.#int(1)})`, () => `SUM(${this.#decimal(1)})`, () => `AVG(${this.#decimal(1)})`, () => `MIN(${this.#decimal(1)})`, () => `MAX(${this.#date(1)})`, () => `COUNT(DISTINCT ${this.#any(1)})`, () => `MAX(${this.#int(1)})`, () => `SUM(${this.#bool(1)})`])();
    const list = this.#times(1 + this.#random.below(3), aggregate);
    const where = this.#chance(50) ? ` WHERE ${this.#bool(1)}` : '';
    if (this.#chance(40)) return `SELECT ${list.join(', ')} FROM ${table}${where}`;
    return `SELECT ${group} AS g, ${list.join(', ')} FROM ${table}${where} GROUP BY g${this.#chance(30) ? ` HAVING ${aggregate()} > ${this.#pick(constants.int)}` : ''}`;
  }

  #joined(): string {
    const [left, right] = [this.#pick(sources), this.#pick(sources)];
    const join = this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', ',']);
    const value = (source: Source, alias: string, depth: number): string => {
      this.#source = source;
      this.#alias = `${alias}.`;
      return this.#int(depth);
    };
    const on = `${value(left, 'x', 0)} = ${value(right, 'y', 0)}`;
    const list = [...left.key.map((name) => `x.${name}`), ...right.key.map((name) => `y.${name}`), value(left, 'x', 1), this.#any(1)];
    return `SELECT ${list.join(', ')} FROM ${left.table} x ${join} ${right.table} y ${join === ',' ? 'WHERE' : 'ON'} ${on}${join === ',' ? ' AND ' : ' WHERE '}${this.#bool(1)}`;
  }

  #union(): string {
    const one = this.#pick<Type>(['int', 'decimal', 'date', 'text']);
    const side = (): string => {
      this.#source = this.#pick(sources);
      return `SELECT ${this.#of(one, 1)} AS v FROM ${this.#source.table} WHERE ${this.#bool(1)}`;
    };
    return `${side()} UNION ${one === 'text' || this.#chance(50) ? 'ALL ' : ''}${side()}`;
  }

  #update(): string {
    const { table, columns, key } = this.#source;
    const type = this.#pick((['int', 'decimal', 'text', 'bool', 'date'] as const).filter((each) => columns[each]?.some((name) => !key.includes(name)) === true));
    const sets = this.#times(1 + this.#random.below(2), () => `${this.#pick((columns[type] ?? []).filter((name) => !key.includes(name)))} = ${this.#of(type, 1)}`);
    const limit = this.#chance(20) ? ` ORDER BY ${key.join(', ')} LIMIT ${1 + this.#random.below(3)}` : '';
    return `UPDATE ${table} SET ${[...new Map(sets.map((set) => [set.split(' ')[0], set])).values()].join(', ')} WHERE ${this.#bool(1)}${limit}`;
  }

  #delete(): string {
    return `DELETE FROM ${this.#source.table} WHERE ${this.#bool(2)}`;
  }

  #insert(): string {
    this.#source = { table: 'counters', key: ['id'], columns: {} };
    const id = this.#random.below(6);
    const tail = this.#pick(['', ' ON DUPLICATE KEY UPDATE hits = hits + VALUES(hits)', ' ON DUPLICATE KEY UPDATE a = VALUES(a), b = a', ' ON DUPLICATE KEY UPDATE label = VALUES(label)']);
    const word = tail === '' ? this.#pick(['INSERT', 'INSERT IGNORE', 'REPLACE']) : 'INSERT';
    return `${word} INTO counters (id, hits, label, a) VALUES (${id}, ${this.#int(1)}, ${this.#text(1)}, ${this.#int(1)})${tail}`;
  }

  #times<Item>(count: number, make: () => Item): Item[] {
    return Array.from({ length: count }, make);
  }

  #any(depth: number): string {
    return this.#of(this.#pick<Type>(['int', 'int', 'unsigned', 'decimal', 'decimal', 'double', 'text', 'text', 'date', 'datetime', 'bool']), depth);
  }

  #of(type: Type, depth: number): string {
    switch (type) {
      case 'int': return this.#int(depth);
      case 'decimal': return this.#decimal(depth);
      case 'text': return this.#text(depth);
      case 'date': return this.#date(depth);
      case 'bool': return this.#bool(depth);
      case 'double': return depth === 0 ? this.#leaf('double') : this.#pick([() => this.#leaf('double'), () => `(${this.#leaf('double')} ${this.#pick(['+', '-', '*'])} ${this.#int(depth - 1)})`])();
      case 'unsigned': case 'datetime': return this.#leaf(type);
    }
  }

  #leaf(type: Type): string {
    const columns = this.#source.columns[type];
    return columns === undefined || this.#chance(25) ? this.#pick(constants[type]) : `${this.#alias}${this.#pick(columns)}`;
  }

  #int(depth: number): string {
    if (depth === 0) return this.#leaf('int');
    const inner = (): string => this.#int(depth - 1);
    return this.#pick([
      () => this.#leaf('int'), () => `(${inner()} ${this.#pick(['+', '-', '*'])} ${inner()})`, () => `(${inner()} ${this.#pick(['DIV', '%'])} ${inner()})`, () => `ABS(${inner()})`, () => `CHAR_LENGTH(${this.#text(depth - 1)})`, () => `LENGTH(${this.#text(depth - 1)})`,
      () => `YEAR(${this.#date(depth - 1)})`, () => `DAYOFMONTH(${this.#date(depth - 1)})`, () => `DATEDIFF(${this.#date(depth - 1)}, ${this.#date(depth - 1)})`, () => `IF(${this.#bool(depth - 1)}, ${inner()}, ${inner()})`, () => `IFNULL(${inner()}, ${inner()})`,
      () => `COALESCE(${inner()}, ${inner()})`, () => `NULLIF(${inner()}, ${inner()})`, () => `CASE WHEN ${this.#bool(depth - 1)} THEN ${inner()} END`, () => `GREATEST(${inner()}, ${inner()})`, () => `LEAST(${inner()}, ${inner()})`, () => `(0 - ${inner()})`, () => `SIGN(${inner()})`,
      () => `CAST(${inner()} AS SIGNED)`, () => `LOCATE('a', ${this.#text(depth - 1)})`, () => `TIMESTAMPDIFF(${this.#pick(units)}, ${this.#date(depth - 1)}, ${this.#leaf('datetime')})`, () => `FLOOR(${this.#decimal(depth - 1)})`, () => `WEEKDAY(${this.#date(depth - 1)})`,
    ])();
  }

  #decimal(depth: number): string {
    if (depth === 0) return this.#leaf('decimal');
    const inner = (): string => this.#decimal(depth - 1);
    return this.#pick([
      () => this.#leaf('decimal'), () => `(${inner()} ${this.#pick(['+', '-', '*'])} ${this.#pick([() => inner(), () => this.#int(depth - 1)])()})`, () => `(${this.#int(depth - 1)} / ${inner()})`, () => `(${inner()} / ${this.#int(depth - 1)})`, () => `ROUND(${inner()}, ${this.#random.below(3)})`,
      () => `TRUNCATE(${inner()}, 1)`, () => `ABS(${inner()})`, () => `IFNULL(${inner()}, ${this.#int(depth - 1)})`, () => `IF(${this.#bool(depth - 1)}, ${inner()}, ${inner()})`, () => `(${inner()} % ${inner()})`, () => `CAST(${inner()} AS DECIMAL(12,3))`, () => `GREATEST(${inner()}, ${inner()})`,
      () => `COALESCE(${inner()}, ${this.#int(depth - 1)}, 0)`, () => `CASE WHEN ${this.#bool(depth - 1)} THEN ${inner()} ELSE ${this.#int(depth - 1)} END`,
    ])();
  }

  #text(depth: number): string {
    if (depth === 0) return this.#leaf('text');
    const inner = (): string => this.#text(depth - 1);
    return this.#pick([
      () => this.#leaf('text'), () => `CONCAT(${inner()}, ${inner()})`, () => `CONCAT(${inner()}, ${this.#int(depth - 1)})`, () => `CONCAT_WS('-', ${inner()}, ${inner()})`, () => `UPPER(${inner()})`, () => `LOWER(${inner()})`, () => `LEFT(${inner()}, ${this.#random.below(4)})`,
      () => `RIGHT(${inner()}, 2)`, () => `SUBSTRING(${inner()}, ${this.#pick(['1', '2', '-2', '0'])}, 2)`, () => `TRIM(${inner()})`, () => `REPLACE(${inner()}, 'a', 'b')`, () => `LPAD(${inner()}, 5, 'x')`, () => `IFNULL(${inner()}, 'none')`, () => `IF(${this.#bool(depth - 1)}, ${inner()}, ${inner()})`,
      () => `REVERSE(${inner()})`, () => `DATE_FORMAT(${this.#date(depth - 1)}, '%d.%m.%Y')`, () => `NULLIF(${inner()}, ${inner()})`, () => `CAST(${this.#decimal(depth - 1)} AS CHAR)`, () => `SUBSTRING_INDEX(${inner()}, 'a', ${this.#pick(['1', '-1', '2'])})`,
    ])();
  }

  #date(depth: number): string {
    if (depth === 0) return this.#leaf('date');
    const inner = (): string => this.#date(depth - 1);
    return this.#pick([
      () => this.#leaf('date'), () => `${this.#dateColumn()} ${this.#pick(['+', '-'])} INTERVAL ${1 + this.#random.below(40)} ${this.#pick(['DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'])}`, () => `LAST_DAY(${inner()})`, () => `DATE(${this.#leaf('datetime')})`,
      () => `COALESCE(${this.#dateColumn()}, CURDATE())`, () => `IF(${this.#bool(depth - 1)}, ${this.#dateColumn()}, CURDATE())`,
    ])();
  }

  /** Of dates, not of strings that look like them. */
  #dateColumn(): string {
    const columns = this.#source.columns.date;
    return columns === undefined ? "DATE '2024-01-31'" : `${this.#alias}${this.#pick(columns)}`;
  }

  #bool(depth: number): string {
    const compare = (): string => this.#pick(['=', '<>', '<', '<=', '>', '>=', '<=>']);
    if (depth === 0) return `${this.#leaf('int')} ${compare()} ${this.#leaf('int')}`;
    const inner = (): string => this.#bool(depth - 1);
    return this.#pick([
      () => `(${this.#int(depth - 1)} ${compare()} ${this.#int(depth - 1)})`, () => `(${this.#decimal(depth - 1)} ${compare()} ${this.#pick([() => this.#decimal(depth - 1), () => this.#int(depth - 1)])()})`, () => `(${this.#textColumn()} ${compare()} ${this.#text(depth - 1)})`,
      () => `(${this.#dateColumn()} ${compare()} ${this.#date(depth - 1)})`, () => `(${this.#leaf('unsigned')} ${compare()} ${this.#int(depth - 1)})`, () => `(${inner()} ${this.#pick(['AND', 'OR', 'XOR'])} ${inner()})`, () => `(NOT ${inner()})`, () => `(${this.#any(depth - 1)} IS ${this.#pick(['', 'NOT '])}NULL)`,
      () => `(${this.#int(depth - 1)} ${this.#pick(['', 'NOT '])}IN (${this.#int(0)}, ${this.#int(0)}))`, () => `(${this.#int(depth - 1)} BETWEEN ${this.#int(0)} AND ${this.#int(0)})`, () => `(${this.#textColumn()} LIKE ${this.#pick(["'a%'", "'%an%'", "'_pple'", "'%e'", "'A%'", "'%\\_%'"])})`,
      () => `(${this.#textColumn()} IN (${this.#text(0)}, 'apple'))`, () => `(${inner()} IS ${this.#pick(['TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN'])})`, () => this.#leaf('bool'), () => `(${this.#leaf('datetime')} ${compare()} ${this.#leaf('datetime')})`,
      () => `(${this.#pick(['items', 'people'])}.id IS NULL)`.replace(/^\(\w+\.id/, `(${this.#alias}${this.#source.key[0] ?? 'id'}`), () => `(${this.#leaf('int')} IN (SELECT ${this.#pick(['boss', 'badge', 'id'])} FROM people))`, () => `EXISTS (SELECT 1 FROM orders WHERE orders.n > ${this.#pick(constants.int)})`,
    ])();
  }

  #textColumn(): string {
    const columns = this.#source.columns.text;
    return columns === undefined ? `CONCAT(${this.#leaf('int')}, '')` : `${this.#alias}${this.#pick(columns)}`;
  }
}
