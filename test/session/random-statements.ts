/**
 * Random statements over the tables t0 … t4, which all have the columns k (key), a, b (numbers, some NULL), s (text), d (date): joins of up to
 * five tables of every kind, sub-queries everywhere, grouping, windows, set operations, CTEs, and DML. What they give does not depend on the
 * order in which rows are met.
 */
import * as fc from 'fast-check';

export const tableNames = ['t0', 't1', 't2', 't3', 't4'] as const;
export type RandomTable = (typeof tableNames)[number];

export const createTables = tableNames.map((table, index) => `CREATE TABLE ${table} (${index % 2 === 0 ? 'dropped int, ' : ''}k int PRIMARY KEY, a int, b ${index === 3 ? 'bigint' : 'int'}, s ${index === 1 ? 'varchar(30)' : 'text'}, d date)`).join(';');

/** With the same columns; what they read is on one side, or on both. */
export const viewTables = { w0: ['t0'], w1: ['t1', 't2'], w2: ['t1', 't2', 't4'] } as const;
export const createViews = `CREATE VIEW w0 AS SELECT k, a, b, s, d FROM t0 WHERE a > 1 OR s = 'x'; CREATE VIEW w1 AS SELECT x.k, y.a, x.b, y.s, x.d FROM t1 x LEFT JOIN t2 y ON y.k = x.a;
  CREATE VIEW w2 (k, a, b, s, d) AS SELECT w1.k, t4.a, count(t4.b)::int, t4.s, max(w1.d) FROM w1 JOIN t4 ON t4.k = w1.k GROUP BY w1.k, t4.a, t4.s`;

export interface RandomStatement {
  readonly sql: string;
  readonly type: 'query' | 'ordered' | 'dml';
  /** Of DML. */
  readonly target: RandomTable | undefined;
}

interface Scope {
  /** Aliases whose columns can be named, those of outer queries included. */
  readonly aliases: readonly string[];
  readonly depth: number;
}

const table = fc.constantFrom(...tableNames);
const readable = fc.oneof({ weight: 8, arbitrary: table as fc.Arbitrary<string> }, { weight: 1, arbitrary: fc.constantFrom('w0', 'w1', 'w2') });
const literal = fc.integer({ min: -1, max: 6 }).map(String);
const textLiteral = fc.constantFrom("'x'", "'y'", "''", "'x''\"\\'", "'1'");
const comparison = fc.constantFrom('=', '<>', '<', '>', '<=', '>=');

function column(scope: Scope): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...scope.aliases), fc.constantFrom('k', 'a', 'b')).map(([alias, name]) => `${alias}.${name}`);
}

function alias(scope: Scope): fc.Arbitrary<string> {
  return fc.constantFrom(...scope.aliases);
}

function predicate(scope: Scope): fc.Arbitrary<string> {
  const own = column(scope);
  const plain = fc.oneof(
    fc.tuple(own, comparison, literal).map((parts) => parts.join(' ')),
    fc.tuple(own, comparison, own).map((parts) => parts.join(' ')),
    fc.tuple(own, literal, literal).map(([name, low, high]) => `${name} BETWEEN ${low} AND ${high}`),
    fc.tuple(own, literal, literal, fc.constantFrom('IN', 'NOT IN')).map(([name, one, two, op]) => `${name} ${op} (${one}, ${two})`),
    fc.tuple(own, fc.constantFrom('IS NULL', 'IS NOT NULL')).map((parts) => parts.join(' ')),
    fc.tuple(own, fc.constantFrom('IS DISTINCT FROM', 'IS NOT DISTINCT FROM'), literal).map((parts) => parts.join(' ')),
    fc.tuple(alias(scope), fc.constantFrom('=', '<>', '>'), textLiteral).map(([name, op, text]) => `${name}.s ${op} ${text}`),
    fc.tuple(alias(scope), fc.constantFrom('LIKE', 'NOT LIKE'), fc.constantFrom("'x%'", "'_'", "'%''%'")).map(([name, op, text]) => `${name}.s ${op} ${text}`),
    fc.tuple(alias(scope), comparison, literal).map(([name, op, days]) => `${name}.d ${op} date '2026-01-01' + ${days}`),
    fc.tuple(alias(scope), comparison).map(([name, op]) => `${name}.d ${op} '2026-01-03'::date`),
    alias(scope).map((name) => `${name}.s = ANY (ARRAY['x', ''])`),
    alias(scope).map((name) => `${name}.k = ANY ('{1,2,5}')`),
    alias(scope).map((name) => `coalesce(${name}.a, 0) > 1`),
    alias(scope).map((name) => `${name} IS NOT NULL`),
  );
  if (scope.depth <= 0) return plain;
  const inner = { ...scope, depth: scope.depth - 1 };
  return fc.oneof(
    { weight: 6, arbitrary: plain },
    fc.tuple(predicate(inner), predicate(inner), fc.constantFrom('AND', 'OR')).map(([left, right, op]) => `(${left} ${op} ${right})`),
    predicate(inner).map((of) => `NOT (${of})`),
    fc.tuple(own, subquery(inner, 'a'), fc.constantFrom('IN', 'NOT IN')).map(([name, query, op]) => `${name} ${op} (${query})`),
    fc.tuple(subquery(inner, '1'), fc.constantFrom('EXISTS', 'NOT EXISTS')).map(([query, op]) => `${op} (${query})`),
    fc.tuple(own, comparison, subquery(inner, 'b'), fc.constantFrom('ANY', 'ALL')).map(([name, op, query, kind]) => `${name} ${op} ${kind} (${query})`),
    fc.tuple(own, comparison, subquery(inner, 'max(b)')).map(([name, op, query]) => `${name} ${op} (${query})`),
  );
}

/** A sub-select that may name what is outside; `what` is a column of its own table, or an aggregate of one. */
function subquery(scope: Scope, what: string): fc.Arbitrary<string> {
  const name = `q${scope.depth}${scope.aliases.length}`;
  const inner = { ...scope, aliases: [...scope.aliases, name] };
  const written = what.replace(/\b([ab])\b/, `${name}.$1`);
  return fc.tuple(readable, predicate(inner)).map(([from, where]) => `SELECT ${written} FROM ${from} AS ${name} WHERE ${where}`);
}

interface From {
  readonly sql: string;
  readonly aliases: readonly string[];
}

/** Sub-selects that can stand for a table. */
const derivedTables = [
  '(SELECT * FROM ? WHERE a > 0 OR b IS NULL)', '(SELECT k, max(a) AS a, min(b) AS b, s, d FROM ? GROUP BY k, s, d)', '(SELECT a AS k, k AS a, z.b, s, d FROM ? AS z)', '(SELECT DISTINCT k, a, b, s, d FROM ?)',
  '(SELECT k, a, b, s, d FROM ? ORDER BY k LIMIT 3)', '(SELECT k, a, sum(b) OVER (PARTITION BY a)::int AS b, s, d FROM ?)', '(SELECT max(k) AS k, a, count(*)::int AS b, s, min(d) AS d FROM ? GROUP BY a, s HAVING count(*) < 3)',
] as const;

const joinWords = ['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN', ','] as const;

function from(depth: number): fc.Arbitrary<From> {
  return fc.tuple(fc.array(readable, { minLength: 1, maxLength: 5 }), fc.array(fc.constantFrom(...joinWords), { minLength: 4, maxLength: 4 }), fc.nat(8), fc.nat(6))
    .chain(([tables, words, derived, renamed]) => {
      const aliases = tables.map((_, index) => `x${index}`);
      const conditions = tables.map((_, index) => (index === 0 ? fc.constant('') : on(aliases.slice(0, index + 1), words[index - 1] ?? ',', depth, index === 1)));
      return fc.tuple(...conditions).map((parts): From => {
        let sql = '';
        for (const [index, name] of tables.entries()) {
          const item = index === (derived < 2 ? 0 : 1) ? (derivedTables[derived] ?? '?').replace('?', name) : name;
          // Some have their columns under each other's names; the rows of a view over both sides are then refused as a whole.
          const named = index === renamed && !item.startsWith('w') ? `x${index} (k, b, a, s, d)` : `x${index}`;
          if (index === 0) sql = `${item} AS ${named}`;
          else if (words[index - 1] === ',') sql = `${sql} CROSS JOIN ${item} AS ${named}`;
          else sql = `${sql} ${words[index - 1] ?? ''} ${item} AS ${named}${parts[index] ?? ''}`;
        }
        return { sql, aliases };
      });
    });
}

function on(aliases: readonly string[], word: string, depth: number, mayMerge: boolean): fc.Arbitrary<string> {
  if (word === 'CROSS JOIN' || word === ',') return fc.constant('');
  const condition = conditionOn(aliases, word, depth);
  return mayMerge ? fc.oneof({ weight: 3, arbitrary: condition }, { weight: 1, arbitrary: fc.constantFrom(' USING (k)', ' USING (a)', ' USING (k, b)') }) : condition;
}

function conditionOn(aliases: readonly string[], word: string, depth: number): fc.Arbitrary<string> {
  const last = aliases.at(-1) ?? 'x0';
  const equality = fc.tuple(fc.constantFrom(...aliases.slice(0, -1)), fc.constantFrom('k', 'a', 'b'), fc.constantFrom('k', 'a')).map(([other, theirs, own]) => `${last}.${own} = ${other}.${theirs}`);
  // FULL JOIN takes only conditions that can be hashed or merged.
  if (word === 'FULL JOIN') return equality.map((condition) => ` ON ${condition}`);
  return fc.tuple(equality, fc.option(predicate({ aliases: [last, ...aliases.slice(0, -1)], depth: Math.min(depth, 0) }))).map(([condition, more]) => ` ON ${condition}${more === null ? '' : ` AND ${more}`}`);
}

function outputs(aliases: readonly string[]): fc.Arbitrary<readonly string[]> {
  const scope: Scope = { aliases, depth: 1 };
  return fc.array(fc.oneof(
    { weight: 5, arbitrary: column(scope) },
    alias(scope).map((name) => `${name}.s`), alias(scope).map((name) => `${name}.d`),
    fc.tuple(column(scope), column(scope)).map(([one, two]) => `${one} + ${two}`),
    fc.tuple(alias(scope), literal).map(([name, number]) => `CASE WHEN ${name}.a > ${number} THEN ${name}.s ELSE 'none' END`),
    subquery(scope, 'count(*)').map((query) => `(${query})`),
    alias(scope).map((name) => `row_to_json(${name})::text`),
  ), { minLength: 1, maxLength: 4 });
}

const where = (aliases: readonly string[]): fc.Arbitrary<string> => fc.option(predicate({ aliases, depth: 2 })).map((condition) => (condition === null ? '' : ` WHERE ${condition}`));

/** At most so many rows are looked at: joins without a condition multiply. */
const query: fc.Arbitrary<RandomStatement> = from(1).chain(({ sql, aliases }) => fc.tuple(outputs(aliases), where(aliases), fc.nat(9)).map(([columns, condition, shape]): RandomStatement => {
  const first = aliases[0] ?? 'x0';
  const named = columns.map((text, index) => `${text} AS c${index}`).join(', ');
  const body = `SELECT ${named} FROM ${sql}${condition}`;
  switch (shape) {
    case 0: return { sql: `SELECT * FROM ${sql}${condition}`, type: 'query', target: undefined };
    case 1: return { sql: `SELECT DISTINCT ${named} FROM ${sql}${condition}`, type: 'query', target: undefined };
    case 2: return { sql: `SELECT ${first}.k, ${first}.s, count(*), sum(${aliases.at(-1) ?? first}.a), min(${first}.d) FROM ${sql}${condition} GROUP BY ${first}.k`, type: 'query', target: undefined };
    case 3: return { sql: `SELECT ${first}.s, count(DISTINCT ${aliases.at(-1) ?? first}.k), bool_or(${first}.a > 2) FROM ${sql}${condition} GROUP BY ${first}.s HAVING count(*) > 1`, type: 'query', target: undefined };
    case 4: return { sql: `SELECT ${aliases.map((name) => `${name}.k`).join(', ')}, ${first}.s FROM ${sql}${condition} ORDER BY ${aliases.map((_, index) => `${index + 1}`).join(', ')} LIMIT 7 OFFSET 1`, type: 'ordered', target: undefined };
    case 5: return { sql: `WITH c AS (${body}) SELECT count(*), max(c0::text) FROM c`, type: 'query', target: undefined };
    case 6: return { sql: `(${body}) UNION ${columns.length % 2 === 0 ? 'ALL ' : ''}(${body}) EXCEPT SELECT ${columns.map((text) => text).join(', ')} FROM ${sql} WHERE false`, type: 'query', target: undefined };
    case 7: return { sql: `SELECT ${first}.k, rank() OVER (PARTITION BY ${first}.s ORDER BY ${first}.k), sum(${first}.a) OVER (ORDER BY ${first}.k) FROM ${sql}${condition}`, type: 'query', target: undefined };
    default: return { sql: body, type: 'query', target: undefined };
  }
}));

/** No row of a target meets more than one row of what it is joined with: which one counts would be chance. */
const modification: fc.Arbitrary<RandomStatement> = fc.tuple(table, readable, table, predicate({ aliases: ['y'], depth: 1 }), predicate({ aliases: ['x', 'y'], depth: 1 }), fc.nat(6)).map(([target, one, two, ofSource, ofBoth, shape]): RandomStatement => {
  const of = (sql: string): RandomStatement => ({ sql, type: 'dml', target });
  switch (shape) {
    case 0: return of(`INSERT INTO ${target} (k, a, b, s, d) SELECT y.k + 1000, y.a, y.b, y.s, y.d FROM ${one} AS y WHERE ${ofSource} ON CONFLICT (k) DO NOTHING RETURNING k, s`);
    case 1: return of(`INSERT INTO ${target} (k, a, s) SELECT y.k, z.a, y.s FROM ${one} AS y LEFT JOIN ${two} AS z ON z.k = y.k WHERE ${ofSource} ON CONFLICT (k) DO UPDATE SET a = excluded.a, s = ${target}.s || excluded.s RETURNING *`);
    case 2: return of(`UPDATE ${target} AS x SET a = y.b, s = y.s FROM ${one} AS y WHERE y.k = x.a AND ${ofBoth} RETURNING x.*, y.k`);
    case 3: return of(`DELETE FROM ${target} AS x USING ${one} AS y WHERE y.k = x.k AND ${ofBoth} RETURNING x.k, y.s`);
    case 4: return of(`MERGE INTO ${target} AS x USING (SELECT * FROM ${one} AS y WHERE ${ofSource}) AS y ON x.k = y.k WHEN MATCHED AND y.a > 2 THEN DELETE WHEN MATCHED THEN UPDATE SET s = y.s WHEN NOT MATCHED THEN INSERT (k, s) VALUES (y.k, y.s)`);
    case 5: return of(`WITH gone AS (DELETE FROM ${target} AS x WHERE x.a IN (SELECT y.a FROM ${one} AS y WHERE ${ofSource}) RETURNING x.k, x.s) SELECT gone.k, z.s FROM gone LEFT JOIN ${two} AS z ON z.k = gone.k`);
    default: return of(`UPDATE ${target} AS x SET b = (SELECT max(y.a) FROM ${one} AS y WHERE y.b = x.a AND ${ofSource}) WHERE x.k NOT IN (SELECT z.k FROM ${two} AS z WHERE z.a = 1)`);
  }
});

export const randomStatement: fc.Arbitrary<RandomStatement> = fc.oneof({ weight: 3, arbitrary: query }, { weight: 1, arbitrary: modification });
