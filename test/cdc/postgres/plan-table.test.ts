/** Property: the plan's key is the one that the change stream identifies rows by, and nothing is planned that cannot be carried. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type pg from 'pg';
import { groupTables } from '../../../cdc/postgres/groups.ts';
import type { TableTie } from '../../../cdc/postgres/groups.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { indexTail } from '../../../cdc/postgres/read-constraints.ts';
import { closeWrites } from '../../../cdc/postgres/relations.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startTestPostgres();
  client = await server.client();
});
afterAll(() => server[Symbol.asyncDispose]());

async function plan(ddl: string): Promise<TablePlan> {
  await client.query(`DROP TABLE IF EXISTS public.t CASCADE; ${ddl}`);
  return planTable(await introspectTable(client, { schema: 'public', name: 't' }), { tableId: 't' });
}

describe('the key', () => {
  const cases: readonly (readonly [string, string, TablePlan['keyKind'], readonly string[]])[] = [
    ['is the primary key, in the key\'s own order', 'CREATE TABLE t (a int, b int, PRIMARY KEY (b, a))', 'primary', ['b', 'a']],
    ['is the index that the replica identity names', 'CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL CONSTRAINT u UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX u', 'unique', ['b']],
    ['is the primary key under REPLICA IDENTITY FULL', 'CREATE TABLE t (a int PRIMARY KEY, b int); ALTER TABLE t REPLICA IDENTITY FULL', 'primary', ['a']],
    ['is the shortest not-null unique key under FULL', 'CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int, UNIQUE (a, b), UNIQUE (c)); CREATE UNIQUE INDEX ON t (b); ALTER TABLE t REPLICA IDENTITY FULL', 'unique', ['b']],
    ['is no partial, no expression and no deferrable index', 'CREATE TABLE t (a int NOT NULL, b int NOT NULL, UNIQUE (b) DEFERRABLE); CREATE UNIQUE INDEX ON t (a) WHERE a > 0; CREATE UNIQUE INDEX ON t (abs(a)); ALTER TABLE t REPLICA IDENTITY FULL', 'full', ['a', 'b']],
  ];
  for (const [what, ddl, kind, key] of cases) {
    it(what, async () => {
      expect(await plan(ddl)).toMatchObject({ keyKind: kind, key });
    });
  }

  it('and the other keys: expressions and exclusions tie every row to every other', async () => {
    const made = await plan('CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE, c int, r int4range, EXCLUDE USING gist (r WITH &&)); CREATE UNIQUE INDEX ON t (lower(c::text)); CREATE UNIQUE INDEX ON t (b, c) INCLUDE (r)');
    expect(made.uniqueKeys.map((key) => key.join(',')).sort()).toEqual(['', '', 'b', 'b,c']);
  });
});

describe('columns', () => {
  it('tell canonical text and TOAST, and leave generated ones out', async () => {
    const made = await plan(`CREATE EXTENSION IF NOT EXISTS citext; DROP DOMAIN IF EXISTS dint; CREATE DOMAIN dint AS int;
      CREATE TABLE t (id int PRIMARY KEY, tx text, n numeric, f float8, ia int[], na numeric[], jb jsonb, iv interval, ch char(3), ci citext, di dint, by bytea, pl text, g int GENERATED ALWAYS AS (id * 2) STORED); ALTER TABLE t ALTER pl SET STORAGE PLAIN`);
    const flags = Object.fromEntries(made.columns.map((column) => [column.name, [column.canonicalText, column.toastable]]));
    expect(flags).toEqual({
      id: [true, false], tx: [true, true], n: [false, true], f: [false, false], ia: [true, true], na: [false, true], jb: [false, true], iv: [false, false], ch: [false, true], ci: [false, true], di: [true, false], by: [true, true], pl: [true, false],
    });
  });

  it('make another hash when the definition, the columns or the filter change, the same one otherwise', async () => {
    const base = await plan('CREATE TABLE t (id int PRIMARY KEY, v text)');
    const definition = await introspectTable(client, { schema: 'public', name: 't' });
    expect(planTable(definition, { tableId: 'other', targetTable: 'x' }).definitionHash).toBe(base.definitionHash);
    expect(planTable(definition, { tableId: 't', whereClause: 'id > 1' }).definitionHash).not.toBe(base.definitionHash);
    expect(planTable(definition, { tableId: 't', columns: ['id'] }).definitionHash).not.toBe(base.definitionHash);
    await client.query('ALTER TABLE t ALTER v SET NOT NULL');
    expect(planTable(await introspectTable(client, { schema: 'public', name: 't' }), { tableId: 't' }).definitionHash).not.toBe(base.definitionHash);
  });
});

describe('pure parts', () => {
  it('cut an index definition behind any name', () => {
    expect(indexTail('CREATE INDEX "a USING b" ON ONLY s."t "" USING c" USING btree (x)')).toBe('USING btree (x)');
    expect(indexTail('CREATE UNIQUE INDEX i ON s.t USING btree (x) WHERE (y = 1)')).toBe('USING btree (x) WHERE (y = 1)');
  });

  it('group tables exactly when a chain of ties joins them (random graphs)', () => {
    const edge = fc.tuple(fc.nat(9), fc.nat(9)).filter(([a, b]) => a !== b);
    fc.assert(fc.property(fc.array(edge, { maxLength: 15 }), (edges) => {
      const name = (n: number): { schema: string; name: string } => ({ schema: 's', name: `t${n}` });
      const groups = groupTables(edges.map(([a, b]): TableTie => ({ a: name(a), b: name(b), reason: 'rule', name: 'r' })));
      const reach = Array.from({ length: 10 }, (_, at) => new Set([at]));
      for (let turn = 0; turn < 10; turn += 1) for (const [a, b] of edges) for (const [x, y] of [[a, b], [b, a]] as const) for (const each of reach[y] ?? []) reach[x]?.add(each);
      for (let n = 0; n < 10; n += 1) {
        const group = groups.find((each) => each.tables.some((table) => table.name === `t${n}`));
        const expected = [...(reach[n] ?? [])].map((each) => `t${each}`).sort();
        expect(group?.tables.map((table) => table.name) ?? [`t${n}`]).toEqual(expected);
      }
      expect(groups.flatMap((group) => group.ties).length).toBe(edges.length);
    }));
  });

  it('close writes over any number of steps, cycles included', () => {
    const edge = (from: string, to: string) => ({ from: { schema: 's', name: from }, to: { schema: 's', name: to }, reason: 'trigger', detail: '' }) as const;
    const closure = closeWrites([edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('x', 'p1')], (key) => (key === 's.p1' ? 's.p' : key), new Set(['s.a', 's.c', 's.p']));
    expect(closure).toEqual({ 's.a': ['s.c'], 's.b': ['s.a', 's.c'], 's.c': ['s.a'], 's.x': ['s.p'] });
  });
});
