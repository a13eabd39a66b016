/**
 * Random statements that are valid over a schema in which the tables a, b, c, d and s2.a all have the columns id, v, s. CTEs
 * like to take the names of tables, sub-selects stand everywhere, and DML stands in WITH.
 */
import * as fc from 'fast-check';

const tables = ['a', 'b', 'c', 'd', 's2.a', 'public.b', '"Mixed Case"'] as const;
const cteNames = ['a', 'b', 'c', 'x', 'y'] as const;

interface Budget {
  readonly depth: number;
  /** CTEs in scope, usable as tables. */
  readonly ctes: readonly string[];
}

const columns = (alias: string): string => `${alias}.id, ${alias}.v, ${alias}.s`;

/** Always gives the columns id, v, s; the text stands in parentheses where one is needed. */
function select({ depth, ctes }: Budget): fc.Arbitrary<string> {
  if (depth <= 0) return relation(ctes).map((from) => `SELECT ${columns('t')} FROM ${from} AS t`);
  const inner = { depth: depth - 1, ctes };
  return fc.oneof(
    { weight: 2, arbitrary: relation(ctes).map((from) => `SELECT ${columns('t')} FROM ${from} AS t`) },
    fc.tuple(relation(ctes), relation(ctes), predicate(inner)).map(([left, right, where]) => `SELECT ${columns('t')} FROM ${left} AS t JOIN ${right} AS u ON t.id = u.id WHERE ${where}`),
    fc.tuple(relation(ctes), select(inner)).map(([left, right]) => `SELECT ${columns('t')} FROM ${left} AS t LEFT JOIN LATERAL (${right}) AS u ON u.v > t.v`),
    fc.tuple(select(inner), select(inner), fc.constantFrom('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT')).map(([left, right, op]) => `(${left}) ${op} (${right})`),
    fc.tuple(select(inner), predicate(inner)).map(([from, where]) => `SELECT ${columns('t')} FROM (${from}) AS t WHERE ${where}`),
    fc.tuple(relation(ctes), select(inner)).map(([from, scalar]) => `SELECT t.id, (SELECT max(q.v) FROM (${scalar}) q) AS v, CASE WHEN t.s IS NULL THEN 'x' ELSE t.s END AS s FROM ${from} AS t`),
    withSelect(inner),
    relation([]).map((from) => `SELECT ${columns('t')} FROM ${from} AS t FOR UPDATE`),
    fc.tuple(relation([]), relation(ctes)).map(([left, right]) => `SELECT ${columns('t')} FROM ${left} AS t, ${right} AS u WHERE t.id = u.id FOR SHARE OF t`),
    select(inner).map((from) => `SELECT ${columns('t')} FROM (${from}) AS t ORDER BY (SELECT count(*) FROM d) LIMIT 3`),
  );
}

function relation(ctes: readonly string[]): fc.Arbitrary<string> {
  return ctes.length === 0 ? fc.constantFrom(...tables) : fc.oneof(fc.constantFrom(...tables), fc.constantFrom(...ctes));
}

function predicate(budget: Budget): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constant('t.v IS NOT NULL'),
    select(budget).map((query) => `t.id IN (SELECT q.id FROM (${query}) q)`),
    select(budget).map((query) => `EXISTS (SELECT 1 FROM (${query}) q WHERE q.id = t.id)`),
    select(budget).map((query) => `t.v > ALL (SELECT q.v FROM (${query}) q)`),
  );
}

function withSelect({ depth, ctes }: Budget): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...cteNames), fc.constantFrom('', '', 'RECURSIVE')).chain(([name, recursive]) => {
    const own = recursive === '' ? select({ depth: depth - 1, ctes }) : recursiveQuery(name, { depth: depth - 1, ctes });
    return fc.tuple(own, select({ depth: depth - 1, ctes: [...ctes, name] })).map(([query, main]) => `WITH ${recursive} ${name} AS (${query}) ${main}`);
  });
}

/** A name under RECURSIVE hides the table of that name in its own query too. */
function recursiveQuery(name: string, { ctes }: Budget): fc.Arbitrary<string> {
  const others = tables.filter((table) => table !== name);
  return fc.tuple(fc.constantFrom(...others, ...ctes.filter((cte) => cte !== name)), fc.constantFrom(...others))
    .map(([start, step]) => `SELECT t.id, t.v, t.s FROM ${start} t UNION SELECT t.id, ${name}.v, t.s FROM ${step} t JOIN ${name} ON ${name}.id = t.id + 1`);
}

function modification(budget: Budget): fc.Arbitrary<string> {
  const target = fc.constantFrom(...tables);
  const query = select(budget);
  return fc.oneof(
    fc.tuple(target, query).map(([table, from]) => `INSERT INTO ${table} (id, v, s) ${from}`),
    fc.tuple(target, query).map(([table, scalar]) => `INSERT INTO ${table} (id, v) VALUES (7, (SELECT max(q.v) FROM (${scalar}) q)) ON CONFLICT (id) DO UPDATE SET v = excluded.v`),
    fc.tuple(target, predicate(budget)).map(([table, where]) => `UPDATE ${table} AS t SET v = t.v + 1 WHERE ${where}`),
    fc.tuple(target, query).map(([table, from]) => `UPDATE ${table} AS t SET v = q.v FROM (${from}) q WHERE q.id = t.id`),
    fc.tuple(target, predicate(budget)).map(([table, where]) => `DELETE FROM ${table} AS t WHERE ${where}`),
    fc.tuple(target, relation(budget.ctes), query).map(([table, one, two]) => `DELETE FROM ${table} AS t USING ${one} AS u, (${two}) q WHERE u.id = t.id AND q.id = t.id`),
    fc.tuple(target, query).map(([table, from]) => `MERGE INTO ${table} AS t USING (${from}) q ON t.id = q.id WHEN MATCHED THEN UPDATE SET v = q.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (q.id, q.v)`),
  );
}

function modifyingWith(): fc.Arbitrary<string> {
  return fc.constantFrom(...cteNames).chain((name) =>
    fc.tuple(modification({ depth: 1, ctes: [] }), fc.oneof(select({ depth: 2, ctes: [name] }), modification({ depth: 1, ctes: [name] })))
      .map(([inner, main]) => `WITH ${name} AS (${inner} RETURNING ${returned(inner)}) ${main}`));
}

/** INSERT has no alias here. */
function returned(statement: string): string {
  return statement.startsWith('INSERT') ? 'id, v, s' : columns('t');
}

export const randomStatement: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: select({ depth: 3, ctes: [] }) },
  { weight: 4, arbitrary: modification({ depth: 2, ctes: [] }) },
  { weight: 3, arbitrary: modifyingWith() },
);

/** The schema that corpus.txt and the statements above are written for. */
export const schemaSql = `
  CREATE SCHEMA s2;
  ${['a', 'b', 'c', 'd', 's2.a', '"Mixed Case"'].map((table) => `CREATE TABLE ${table} (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v int, s text, j jsonb); INSERT INTO ${table} (id, v, s, j) VALUES (100, 1, '1', '{}');`).join('\n')}
  CREATE TABLE p (id int, v int, s text) PARTITION BY LIST (id);
  CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
  CREATE SEQUENCE seq; CREATE SEQUENCE "My Seq";
  CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION f(bigint) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION s2.g(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE PROCEDURE pp(int) LANGUAGE plpgsql AS 'BEGIN END';`;
