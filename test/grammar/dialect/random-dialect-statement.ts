/**
 * Random statements over the tables of dialect-tables.ts, made of what the emitter lets through: expressions of every type on its list, of
 * three levels, in queries and in writes. Most are valid; where one is not, both sides have to say so.
 */
import type { Random } from '../../soak/torture-random.ts';

export interface RandomStatement {
  readonly sql: string;
  readonly parameters: readonly (string | null)[];
  /** No two rows are alike for its ORDER BY. */
  readonly isOrdered: boolean;
  /** Nothing in it can be left out: where PostgreSQL finds an error in its values, the other side has to find one. */
  readonly isStrict: boolean;
}

type Type = 'int' | 'bigint' | 'numeric' | 'float' | 'text' | 'bool' | 'date' | 'timestamp' | 'timestamptz';

interface Source {
  readonly alias: string;
  readonly table: string;
  readonly columns: Readonly<Partial<Record<Type, readonly string[]>>>;
  readonly key: readonly string[];
}

const tables: readonly Omit<Source, 'alias'>[] = [
  { table: 'items', key: ['id'], columns: { int: ['id', 'qty', 'small'], bigint: ['big', 'stock'], numeric: ['price'], float: ['ratio'], text: ['name', 'code', 'note'], bool: ['active'], date: ['created'], timestamp: ['changed'], timestamptz: ['seen'] } },
  { table: 'people', key: ['id'], columns: { int: ['id', 'boss', 'badge'], numeric: ['salary'], text: ['name', 'city'], date: ['born'] } },
  { table: 'orders', key: ['person', 'item'], columns: { int: ['person', 'item', 'n'], timestamp: ['at'], bool: ['paid'] } },
  { table: 'counters', key: ['id'], columns: { int: ['a', 'b'], bigint: ['id', 'hits'], text: ['label'] } },
  { table: 'kinds', key: ['id'], columns: { int: ['id', 'y', 'm'], numeric: ['u', 'w'], text: ['c', 'e', 'l'], float: ['f'], timestamp: ['t'], timestamptz: ['z'] } },
];

const constants: Readonly<Record<Type, readonly string[]>> = {
  int: ['0', '1', '2', '3', '-1', '7', '10', '100', '-7', 'NULL::int', "'5'::int"],
  bigint: ['0::bigint', '9007199254740993', '4294967296', '-4294967296', '12::bigint'],
  numeric: ['0.5', '1.50', '2.5', '-2.5', '0.001', '1000000.0', '0.0', '99.995', '3::numeric(5,2)', 'NULL::numeric(6,2)'],
  float: ['0.5::double precision', '2::double precision', '-0.1::float8', '1e10::float8'],
  text: ["'a'", "'A'", "''", "' '", "'a '", "'apple'", "'B-2'", "'ä'", "'x\\y'", "'it''s'", "'12'", "NULL::text", "'%'", "'_'", "'ß'", "'😀'"],
  bool: ['true', 'false', 'NULL::boolean', "'t'::boolean"],
  date: ["date '2024-02-29'", "date '2023-12-31'", "'1970-01-01'::date", "date '2000-01-01'", 'NULL::date', "date '0001-01-01'"],
  timestamp: ["timestamp '2024-02-29 12:34:56.789'", "timestamp '2023-12-31 23:59:59.999999'", "timestamp '1970-01-01'", "timestamp '1999-12-31 00:00:01'"],
  timestamptz: ["timestamptz '2024-02-29 12:34:56.789+02'", "timestamptz '2023-03-26 01:30:00Z'"],
};

const intervals = ['1 day', '1 month', '-1 month', '3 hours', '1 year 2 mons 3 days', '90 minutes', '0.5 seconds', '1 week', '-25 hours', '12 months -1 day'];
const allTypes: readonly Type[] = ['int', 'bigint', 'numeric', 'float', 'text', 'bool', 'date', 'timestamp', 'timestamptz'];
const valueParameters: Readonly<Partial<Record<Type, readonly [string, readonly (string | null)[]]>>> = {
  int: ['int', ['3', '0', '-7', '10', null]], bigint: ['bigint', ['42', '9007199254740993']], numeric: ['numeric', ['2.50', '0.1', '-3']], text: ['text', ['apple', 'a', '', 'A-1 ', 'back\\slash', null]],
  date: ['date', ['2024-01-31']], timestamp: ['timestamp', ['2024-01-31 00:00:00.5']], bool: ['boolean', ['t', 'false']], float: ['float8', ['0.5', '1e3']],
};

export class DialectStatements {
  readonly #random: Random;
  #parameters: (string | null)[] = [];
  #aliases = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): RandomStatement {
    this.#parameters = [];
    this.#aliases = 0;
    const random = this.#random;
    if (random.chance(0.2)) {
      const single = this.#used(this.#single());
      return { ...single, isOrdered: false, isStrict: !single.sql.includes('(SELECT') };
    }
    const kind = random.below(20);
    const [sql, isOrdered] = kind < 7 ? this.#plain() : kind < 10 ? this.#grouped() : kind < 12 ? this.#derived() : kind < 14 ? this.#setOperation() : kind < 15 ? this.#windowed() : kind < 16 ? this.#distinct() : [this.#write(), false];
    return { ...this.#used(sql), isOrdered, isStrict: false };
  }

  /** Without the parameters that were made for a part which was thrown away again. */
  #used(sql: string): Pick<RandomStatement, 'sql' | 'parameters'> {
    const numbers = [...new Set(Array.from(sql.matchAll(/\$(\d+)/g), ([, number]) => Number(number)))];
    return { sql: sql.replace(/\$(\d+)/g, (_text, number: string) => `$${numbers.indexOf(Number(number)) + 1}`), parameters: numbers.map((number) => this.#parameters[number - 1] ?? null) };
  }

  #source(table = this.#random.chance(0.6) ? tables[0] : this.#random.pick(tables)): Source {
    this.#aliases += 1;
    return { ...(table ?? this.#random.pick(tables)), alias: `t${this.#aliases}` };
  }

  #list(count: number, make: () => string): string {
    return Array.from({ length: count }, make).join(', ');
  }

  /** FROM, and what it shows. */
  #from(): { readonly text: string; readonly sources: readonly Source[]; readonly isOuter: boolean } {
    const random = this.#random;
    const first = this.#source();
    if (random.chance(0.65)) return { text: `${first.table} ${first.alias}`, sources: [first], isOuter: false };
    const second = this.#source(random.pick(tables));
    const sources = [first, second];
    const isOuter = random.chance(0.5);
    const on = random.chance(0.6) ? `${first.alias}.${first.columns.int?.[0] ?? first.key[0] ?? ''} = ${second.alias}.${second.columns.int?.[0] ?? second.key[0] ?? ''}` : this.#bool(sources, 1);
    return { text: `${first.table} ${first.alias} ${isOuter ? random.pick(['LEFT JOIN', 'RIGHT JOIN']) : 'JOIN'} ${second.table} ${second.alias} ON ${on}`, sources, isOuter };
  }

  #where(sources: readonly Source[]): string {
    const random = this.#random;
    const [first] = sources;
    const few = first?.table === 'items' ? `${first.alias}.id IN (${random.pick(['1, 2, 3', '6, 7, 8, 9', '3, 9, 10', '2, 8', '1, 2, 3, 6, 7, 8, 9, 10', '4, 5, 7'])})` : undefined;
    const tests = [...(few !== undefined && random.chance(0.7) ? [few] : []), ...(random.chance(0.7) ? [this.#bool(sources, 2)] : [])];
    return tests.length === 0 ? '' : ` WHERE ${tests.join(' AND ')}`;
  }

  #keys(sources: readonly Source[]): string {
    return sources.flatMap(({ alias, key }) => key.map((name) => `${alias}.${name}`)).join(', ');
  }

  #direction(): string {
    return this.#random.pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST', ' ASC NULLS LAST']);
  }

  #single(): string {
    const source = this.#source(tables[0]);
    return `SELECT ${this.#list(1 + this.#random.below(2), () => this.#any([source], 3))} FROM items ${source.alias} WHERE ${source.alias}.id = ${1 + this.#random.below(10)}`;
  }

  #plain(): [string, boolean] {
    const random = this.#random;
    const { text, sources } = this.#from();
    const list = this.#list(1 + random.below(3), () => this.#any(sources, 3));
    const body = `SELECT ${list} FROM ${text}${this.#where(sources)}`;
    if (random.chance(0.5)) return [body, false];
    const order = `${random.chance(0.6) ? `${this.#any(sources, 2)}${this.#direction()}, ` : ''}${this.#keys(sources)}`;
    const limit = random.chance(0.3) ? ` LIMIT ${random.below(5)}${random.chance(0.5) ? ` OFFSET ${random.below(3)}` : ''}` : '';
    return [`${body} ORDER BY ${order}${limit}`, true];
  }

  #aggregate(sources: readonly Source[]): string {
    const random = this.#random;
    const filter = random.chance(0.2) ? ` FILTER (WHERE ${this.#bool(sources, 1)})` : '';
    switch (random.below(9)) {
      case 0: return `count(*)${filter}`;
      case 1: return `count(${random.chance(0.4) ? 'DISTINCT ' : ''}${this.#any(sources, 2)})${filter}`;
      case 2: return `sum(${random.chance(0.2) ? 'DISTINCT ' : ''}${this.#value(random.pick(['int', 'bigint', 'numeric']), sources, 2)})${filter}`;
      case 3: return `avg(${this.#value(random.pick(['int', 'bigint', 'numeric']), sources, 1)})${filter}`;
      case 4: case 5: return `${random.pick(['min', 'max'])}(${this.#value(random.pick(['int', 'bigint', 'numeric', 'float', 'text', 'date', 'timestamp', 'timestamptz']), sources, 2)})${filter}`;
      case 6: return `${random.pick(['bool_and', 'bool_or', 'every'])}(${this.#bool(sources, 1)})${filter}`;
      case 7: return `string_agg(${this.#value('text', sources, 1)}, ${random.pick(["','", "''", "' - '"])} ORDER BY ${this.#keys(sources)})`;
      default: return `${random.pick(['sum', 'max', 'min'])}(${this.#value('int', sources, 1)}) ${random.pick(['+', '-', '*', '/'])} ${random.pick(['2', '3', '1.5', 'count(*)'])}`;
    }
  }

  #grouped(): [string, boolean] {
    const random = this.#random;
    const { text, sources } = this.#from();
    const keys = Array.from({ length: random.below(3) }, () => this.#value(random.pick(['int', 'text', 'bool', 'date', 'bigint', 'numeric', 'timestamp']), sources, random.pick([0, 0, 1, 2])));
    const list = [...keys, ...Array.from({ length: 1 + random.below(3) }, () => this.#aggregate(sources))].join(', ');
    const having = random.chance(0.25) ? ` HAVING ${random.pick(['count(*) > 1', 'min(1) = 1', `count(*) <> ${random.below(3)}`])}` : '';
    return [`SELECT ${list} FROM ${text}${this.#where(sources)}${keys.length === 0 ? '' : ` GROUP BY ${keys.map((_key, index) => index + 1).join(', ')}`}${having}`, false];
  }

  #derived(): [string, boolean] {
    const random = this.#random;
    const { text, sources } = this.#from();
    const types = [random.pick(allTypes), random.pick(allTypes)];
    const inner = `SELECT ${types.map((type, index) => `${this.#value(type, sources, 2)} AS x${index + 1}`).join(', ')} FROM ${text}${this.#where(sources)}`;
    const columns: Partial<Record<Type, string[]>> = {};
    for (const [index, type] of types.entries()) columns[type] = [...(columns[type] ?? []), `x${index + 1}`];
    const source: Source = { alias: 's', table: 's', columns, key: [] };
    const list = this.#list(1 + random.below(2), () => this.#value(random.pick(types), [source], 2));
    const where = random.chance(0.4) ? ` WHERE ${this.#bool([source], 1)}` : '';
    return random.chance(0.3) ? [`WITH s AS (${inner}) SELECT ${list}, s.* FROM s${where}`, false] : [`SELECT ${list}, s.x1 FROM (${inner}) s${where}`, false];
  }

  #setOperation(): [string, boolean] {
    const random = this.#random;
    const types = Array.from({ length: 1 + random.below(2) }, () => random.pick(allTypes));
    const branch = (): string => {
      const { text, sources } = this.#from();
      return `SELECT ${types.map((type) => this.#value(type, sources, 2)).join(', ')} FROM ${text}${this.#where(sources)}`;
    };
    const word = random.pick(['UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL']);
    return random.chance(0.3) ? [`${branch()} ${word} ${branch()} ORDER BY ${types.map((_type, index) => `${index + 1}${this.#direction()}`).join(', ')}`, true] : [`${branch()} ${word} ${branch()}`, false];
  }

  #distinct(): [string, boolean] {
    const random = this.#random;
    const { text, sources } = this.#from();
    const types = [random.pick(allTypes), random.pick(allTypes)];
    const list = types.map((type) => this.#value(type, sources, 1)).join(', ');
    if (random.chance(0.3)) {
      const key = this.#value(random.pick(['int', 'text', 'bool', 'date']), sources, 0);
      return [`SELECT DISTINCT ON (${key}) ${list} FROM ${text}${this.#where(sources)} ORDER BY ${key}${this.#direction()}, ${this.#keys(sources)}`, true];
    }
    return random.chance(0.5) ? [`SELECT DISTINCT ${list} FROM ${text}${this.#where(sources)}`, false] : [`SELECT DISTINCT ${list} FROM ${text}${this.#where(sources)} ORDER BY 1${this.#direction()}, 2${this.#direction()}`, true];
  }

  #windowed(): [string, boolean] {
    const random = this.#random;
    const { text, sources } = this.#from();
    const window = (): string => `(${random.chance(0.5) ? `PARTITION BY ${this.#value(random.pick(['int', 'text', 'bool']), sources, 1)} ` : ''}ORDER BY ${random.chance(0.5) ? `${this.#any(sources, 1)}${this.#direction()}, ` : ''}${this.#keys(sources)}${random.pick(['', '', ' ROWS BETWEEN 1 PRECEDING AND CURRENT ROW', ' ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING'])})`;
    const call = (): string => random.pick([
      () => `row_number() OVER (ORDER BY ${this.#keys(sources)})`, () => `rank() OVER (ORDER BY ${this.#any(sources, 1)}${this.#direction()})`, () => `dense_rank() OVER (ORDER BY ${this.#value('text', sources, 1)}${this.#direction()})`,
      () => `sum(${this.#value('int', sources, 1)}) OVER ${window()}`, () => `max(${this.#value(random.pick(['int', 'text', 'date', 'numeric']), sources, 1)}) OVER ${window()}`,
      () => `lag(${this.#any(sources, 1)}) OVER (ORDER BY ${this.#keys(sources)})`, () => `first_value(${this.#any(sources, 1)}) OVER ${window()}`, () => `count(${this.#any(sources, 1)}) OVER ${window()}`, () => `avg(${this.#value('int', sources, 0)}) OVER ${window()}`,
    ])();
    return [`SELECT ${this.#any(sources, 1)}, ${call()} FROM ${text}${this.#where(sources)}`, false];
  }

  #write(): string {
    const random = this.#random;
    const source = this.#source(random.pick(tables.slice(0, 3)));
    const returning = (): string => (random.chance(0.3) ? ` RETURNING ${this.#keys([source])}, ${this.#any([source], 1)}` : '');
    switch (random.below(4)) {
      case 0: return `DELETE FROM ${source.table} ${source.alias}${this.#where([source])}${returning()}`;
      case 1: case 2: {
        const types = allTypes.filter((type) => (source.columns[type] ?? []).some((name) => !source.key.includes(name)));
        const used = new Set<string>();
        const sets = Array.from({ length: 1 + random.below(2) }, () => random.pick(types)).flatMap((type) => {
          const name = random.pick((source.columns[type] ?? []).filter((column) => !source.key.includes(column)));
          if (used.has(name)) return [];
          used.add(name);
          return [`${name} = ${this.#value(type === 'bigint' && random.chance(0.5) ? 'int' : type, [source], 2)}`];
        });
        return `UPDATE ${source.table} ${source.alias} SET ${sets.join(', ')}${this.#where([source])}${returning()}`;
      }
      default: {
        const from = this.#source(tables[0]);
        const picked = (['int', 'bigint', 'numeric', 'float', 'text', 'bool', 'date', 'timestamp', 'timestamptz'] as const).filter(() => random.chance(0.35));
        const names: Partial<Record<Type, string>> = { int: 'qty', bigint: 'big', numeric: 'price', float: 'ratio', text: 'note', bool: 'active', date: 'created', timestamp: 'changed', timestamptz: 'seen' };
        const types: readonly Type[] = picked.length === 0 ? ['int'] : picked;
        const columns = types.map((type) => names[type] ?? 'qty').join(', ');
        if (random.chance(0.5)) return `INSERT INTO items (${columns}) VALUES (${types.map((type) => this.#value(type, [], 2)).join(', ')})${random.chance(0.4) ? ` RETURNING id, ${columns}` : ''}`;
        return `INSERT INTO items (id, ${columns}) SELECT ${from.alias}.id + 100, ${types.map((type) => this.#value(type, [from], 2)).join(', ')} FROM items ${from.alias}${this.#where([from])}`;
      }
    }
  }

  #any(sources: readonly Source[], depth: number): string {
    return this.#value(this.#random.pick(allTypes), sources, depth);
  }

  /** An expression of the type; without sources it is made of constants. */
  #value(type: Type, sources: readonly Source[], depth: number): string {
    const random = this.#random;
    if (depth <= 0 || random.chance(0.25)) return this.#leaf(type, sources);
    if (type === 'bool') return this.#bool(sources, depth - 1);
    const inner = (wanted: Type = type): string => this.#value(wanted, sources, depth - 1);
    if (random.chance(0.25)) return this.#choice(type, sources, depth);
    switch (type) {
      case 'int': return this.#int(inner);
      case 'bigint': return random.pick([() => `(${inner()} ${random.pick(['+', '-', '*'])} ${inner('int')})`, () => `(${inner()} ${random.pick(['/', '%'])} ${random.pick(['2', '7', '-3', inner('int')])})`, () => `${inner('int')}::bigint`, () => `abs(${inner()})`, () => `-(${this.#leaf('bigint', sources)})`, () => `(${inner()} ${random.pick(['&', '|', '#'])} ${inner()})`])();
      case 'numeric': return this.#numeric(inner);
      case 'float': return random.pick([() => `(${inner()} ${random.pick(['+', '-', '*'])} ${inner(random.pick(['int', 'float', 'numeric']))})`, () => `(${inner()} / ${random.pick(['2', '4::float8', inner('int')])})`, () => `${inner(random.pick(['int', 'numeric', 'bigint']))}::double precision`, () => `abs(${inner()})`, () => `${random.pick(['floor', 'ceil', 'sign'])}(${inner()})`, () => `sqrt(abs(${inner()}))`, () => `date_part('${random.pick(['year', 'month', 'epoch', 'second'])}', ${inner('timestamp')})`])();
      case 'text': return this.#text(inner, sources);
      case 'date': return random.pick([() => `(${inner()} ${random.pick(['+', '-'])} ${random.pick(['1', '30', '-45', '366'])})`, () => `${inner('timestamp')}::date`, () => `${inner('timestamptz')}::date`])();
      case 'timestamp': return random.pick([() => `(${inner(random.pick(['timestamp', 'date']))} ${random.pick(['+', '-'])} interval '${random.pick(intervals)}')`, () => `date_trunc('${random.pick(['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second'])}', ${inner()})`, () => `${inner('date')}::timestamp`, () => `(${inner('timestamptz')} AT TIME ZONE 'UTC')`, () => `(${inner()} + ${random.pick(['2', '-3', inner('int')])} * interval '${random.pick(['1 day', '1 hour', '1 month'])}')`])();
      case 'timestamptz': return random.pick([() => `(${inner()} ${random.pick(['+', '-'])} interval '${random.pick(intervals)}')`, () => `date_trunc('${random.pick(['year', 'month', 'week', 'day', 'hour'])}', ${inner()})`, () => `${inner(random.pick(['date', 'timestamp']))}::timestamptz`])();
      default: return this.#leaf(type, sources);
    }
  }

  #leaf(type: Type, sources: readonly Source[]): string {
    const random = this.#random;
    const columns = sources.flatMap(({ alias, columns: own }) => (own[type] ?? []).map((name) => `${alias}.${name}`));
    if (columns.length > 0 && random.chance(0.7)) return random.pick(columns);
    const parameter = valueParameters[type];
    if (parameter !== undefined && type !== 'numeric' && random.chance(0.15)) {
      this.#parameters.push(random.pick(parameter[1]));
      return `$${this.#parameters.length}::${parameter[0]}`;
    }
    return random.pick(constants[type]);
  }

  /** CASE, COALESCE and their like. */
  #choice(type: Type, sources: readonly Source[], depth: number): string {
    const random = this.#random;
    const inner = (): string => this.#value(type, sources, depth - 1);
    switch (random.below(6)) {
      case 0: return `CASE WHEN ${this.#bool(sources, depth - 1)} THEN ${inner()} ${random.chance(0.3) ? `WHEN ${this.#bool(sources, 0)} THEN ${inner()} ` : ''}${random.chance(0.7) ? `ELSE ${inner()} ` : ''}END`;
      case 1: return `CASE ${this.#value(random.pick(['int', 'text']), sources, 0)} WHEN ${random.pick(['1', "'7'", '3'])} THEN ${inner()} ELSE ${inner()} END`;
      case 2: return `coalesce(${inner()}, ${inner()})`;
      case 3: return `nullif(${inner()}, ${inner()})`;
      case 4: return type === 'float' ? inner() : `${random.pick(['greatest', 'least'])}(${inner()}, ${inner()})`;
      default: return this.#subquery(type, sources);
    }
  }

  #subquery(type: Type, sources: readonly Source[]): string {
    const random = this.#random;
    const own = this.#source();
    const [outer] = sources;
    const link = outer !== undefined && random.chance(0.5) ? ` WHERE ${own.alias}.${own.key[0] ?? ''} = ${outer.alias}.${outer.columns.int?.[0] ?? outer.columns.bigint?.[0] ?? outer.key[0] ?? 'x1'}` : this.#where([own]);
    const word = type === 'bool' ? 'bool_or' : random.pick(['min', 'max']);
    return `(SELECT ${word}(${this.#leaf(type, [own])}) FROM ${own.table} ${own.alias}${link})`;
  }

  #int(inner: (type?: Type) => string): string {
    const random = this.#random;
    return random.pick([
      () => `(${inner()} ${random.pick(['+', '-', '*'])} ${inner()})`, () => `(${inner()} ${random.pick(['/', '%'])} ${random.pick(['2', '3', '-2', inner()])})`, () => `abs(${inner()})`, () => `mod(${inner()}, ${random.pick(['3', '-4', inner()])})`,
      () => `length(${inner('text')})`, () => `octet_length(${inner('text')})`, () => `strpos(${inner('text')}, ${inner('text')})`, () => `position(${random.pick(["'p'", "''", inner('text')])} in ${inner('text')})`,
      () => `(${inner('date')} - ${inner('date')})`, () => `${inner('bool')}::int`, () => `${inner('numeric')}::int`, () => `extract(${random.pick(['year', 'month', 'day', 'dow', 'isodow', 'doy', 'week', 'isoyear', 'quarter'])} from ${inner(random.pick(['date', 'timestamp', 'timestamptz']))})::int`,
      () => `(${inner()} ${random.pick(['&', '|', '#'])} ${inner()})`, () => `-(${inner()})`,
    ])();
  }

  #numeric(inner: (type?: Type) => string): string {
    const random = this.#random;
    return random.pick([
      () => `(${inner()} ${random.pick(['+', '-', '*'])} ${inner(random.pick(['numeric', 'int']))})`, () => `round(${inner()}, ${random.below(4)})`, () => `round(${inner()})`, () => `trunc(${inner()}, ${random.below(3)})`, () => `${random.pick(['ceil', 'floor', 'abs', 'sign', 'trunc'])}(${inner()})`,
      () => `${inner(random.pick(['int', 'bigint', 'numeric']))}::numeric(${random.pick(['12,2', '20,0', '8,3', '5,1'])})`, () => `(${inner(random.pick(['int', 'numeric']))} / ${random.pick(['3.0', '7.00', '0.3', '-1.5', inner()])})`, () => `round(${inner()} / ${random.pick(['3', '7.0', '-0.6'])}, ${random.below(5)})`,
      () => `extract(${random.pick(['epoch', 'second', 'hour', 'minute'])} from ${inner('timestamp')})`, () => `(${inner()} % ${random.pick(['3', '0.7', '-2'])})`, () => `mod(${inner()}, 2)`, () => `-(${inner()})`,
    ])();
  }

  #text(inner: (type?: Type) => string, sources: readonly Source[]): string {
    const random = this.#random;
    const count = (): string => random.pick(['0', '1', '2', '3', '10', '-1', '-2', inner('int')]);
    const separator = (): string => random.pick(["' '", "'-'", "'p'", "'an'"]);
    return random.pick([
      () => `(${inner()} || ${inner()})`, () => `(${inner()} || ${inner(random.pick(['int', 'date', 'bigint', 'timestamp', 'bool']))})`, () => `${random.pick(['lower', 'upper'])}(${this.#leaf('text', sources)})`, () => `${random.pick(['left', 'right'])}(${inner()}, ${count()})`,
      () => `substring(${inner()} from ${count()}${random.chance(0.5) ? ` for ${random.pick(['0', '1', '2', '5'])}` : ''})`, () => `replace(${inner()}, ${inner()}, ${inner()})`, () => `${random.pick(['trim', 'btrim', 'ltrim', 'rtrim'])}(${inner()})`, () => `trim(both 'a' from ${inner()})`,
      () => `${random.pick(['lpad', 'rpad'])}(${inner()}, ${random.pick(['0', '3', '7', '-1'])}${random.chance(0.5) ? `, ${random.pick(["'*'", "'ab'", "'ä'"])}` : ''})`, () => `${inner(random.pick(['int', 'bigint', 'date', 'timestamp', 'timestamptz', 'bool']))}::text`, () => `${this.#leaf('numeric', sources)}::text`,
      () => `concat(${inner()}, ${inner(random.pick(allTypes.filter((type) => type !== 'float' && type !== 'numeric')))})`, () => `concat_ws(${separator()}, ${inner()}, ${inner()})`, () => `split_part(${inner()}, ${separator()}, ${1 + random.below(3)})`, () => `reverse(${inner()})`, () => `repeat(${inner()}, ${random.pick(['0', '1', '2', '-1'])})`,
      () => `to_char(${inner('timestamp')}, '${random.pick(['YYYY-MM-DD', 'HH24:MI:SS', 'DD.MM.YYYY HH12:MI AM', 'US', 'DDD', 'Mon'])}')`, () => `${inner()}::varchar(${1 + random.below(4)})`,
    ])();
  }

  #bool(sources: readonly Source[], depth: number): string {
    const random = this.#random;
    const type = random.pick(allTypes);
    const value = (wanted: Type = type): string => this.#value(wanted, sources, depth);
    const comparison = (): string => `${value()} ${random.pick(['=', '<>', '<', '<=', '>', '>='])} ${value()}`;
    if (depth > 0 && random.chance(0.3)) return random.pick([() => `(${this.#bool(sources, depth - 1)} ${random.pick(['AND', 'OR'])} ${this.#bool(sources, depth - 1)})`, () => `(NOT ${this.#bool(sources, depth - 1)})`, () => `((${this.#bool(sources, depth - 1)}) IS ${random.pick(['TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN', 'NOT UNKNOWN', 'NULL'])})`])();
    return `(${random.pick([
      comparison, comparison, comparison,
      () => `${value()} IS ${random.pick(['', 'NOT '])}NULL`, () => `${value()} ${random.pick(['', 'NOT '])}IN (${value()}, ${value()})`, () => `${value()} ${random.pick(['', 'NOT '])}BETWEEN ${value()} AND ${value()}`, () => `${value()} IS ${random.pick(['', 'NOT '])}DISTINCT FROM ${value()}`,
      () => `${value('text')} ${random.pick(['LIKE', 'NOT LIKE', 'ILIKE'])} ${random.pick(["'a%'", "'%e'", "'_p%'", "'%\\_%'", "'%'", "''", "'A-1'", "'%a_'", "'%ä%'", "'% '"])}`,
      () => `${value('int')} = ANY ('{1,3,7,NULL}')`, () => `${value('text')} = ANY (ARRAY['apple', 'B-2', ''])`,
      () => `(${value('int')}, ${value('text')}) ${random.pick(['=', '<', '>=', '<>'])} (${value('int')}, ${value('text')})`,
      () => this.#memberTest(sources, depth), () => this.#value('bool', sources, 0), () => `starts_with(${value('text')}, ${value('text')})`, () => `${this.#subquery(type, sources)} ${random.pick(['=', '<>', '<'])} ${value()}`,
    ])()})`;
  }

  #memberTest(sources: readonly Source[], depth: number): string {
    const random = this.#random;
    const own = this.#source();
    const type = random.pick((['int', 'text', 'date', 'numeric', 'bool'] as const).filter((one) => own.columns[one] !== undefined));
    if (random.chance(0.4)) return `${random.pick(['', 'NOT '])}EXISTS (SELECT 1 FROM ${own.table} ${own.alias} WHERE ${this.#bool([own, ...sources], 0)})`;
    const operator = random.pick(['IN', 'NOT IN', '= ANY', '<> ALL', '< ANY', '>= ALL', '> ANY']);
    return `${this.#value(type, sources, depth)} ${operator} (SELECT ${this.#leaf(type, [own])} FROM ${own.table} ${own.alias}${this.#where([own])})`;
  }
}
