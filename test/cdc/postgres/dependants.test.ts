/** Property: after the migration a client finds on local the functions, triggers, rules, policies and views of the source; what cannot be had is named. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { buildIndexes, buildKey, createTable } from '../../../cdc/postgres/build-keys.ts';
import { createDependants, dropDependantsOf, dropFunctionsOf, reviewDependants } from '../../../cdc/postgres/create-dependants.ts';
import type { DependantState } from '../../../cdc/postgres/create-dependants.ts';
import { planSchema } from '../../../cdc/postgres/create-schema.ts';
import { readDependants } from '../../../cdc/postgres/read-dependants.ts';
import { introspectTable, listTables } from '../../../cdc/postgres/introspect.ts';
import { lineDiff } from '../../../cdc/postgres/line-diff.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { preflightTable } from '../../../cdc/postgres/preflight.ts';
import { loadSampleDatabase } from '../../../src/main/sample/load-sample.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

const ddl = `
  CREATE TYPE mood AS ENUM ('calm', 'cross');
  CREATE TABLE parent (id int PRIMARY KEY, who text);
  CREATE FUNCTION half(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n / 2';
  CREATE FUNCTION quarter(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.half(public.half(n))';
  CREATE FUNCTION is_calm(m mood DEFAULT 'calm') RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN m = 'calm'; END $$;
  CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL CHECK (quarter(n) >= 0), q int GENERATED ALWAYS AS (quarter(n)) STORED, d int DEFAULT half(10), owner_name text DEFAULT current_user);
  CREATE TABLE item_log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text, calm boolean);
  CREATE INDEX item_half ON item (half(n));
  CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.item_log (what, calm) VALUES (what, public.is_calm()); END $$;
  CREATE FUNCTION log_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(TG_OP); RETURN NEW; END $$;
  REVOKE ALL ON FUNCTION note(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION note(text) TO clerk;
  CREATE TRIGGER item_log AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION log_item();
  CREATE TRIGGER item_off AFTER DELETE ON item FOR EACH ROW EXECUTE FUNCTION log_item(); ALTER TABLE item DISABLE TRIGGER item_off;
  CREATE TRIGGER item_always AFTER DELETE ON item FOR EACH STATEMENT EXECUTE FUNCTION log_item(); ALTER TABLE item ENABLE ALWAYS TRIGGER item_always;
  CREATE TABLE rule_log (id int PRIMARY KEY);
  CREATE RULE log_parent AS ON DELETE TO parent DO ALSO INSERT INTO rule_log VALUES (OLD.id);
  CREATE VIEW items WITH (security_barrier = true) AS SELECT i.id AS item, half(i.n) AS half, p.who FROM item i LEFT JOIN parent p USING (id);
  CREATE VIEW a_view_of_items AS SELECT item FROM items WHERE half > 1;
  CREATE MATERIALIZED VIEW stored AS SELECT count(*) AS n FROM a_view_of_items; CREATE UNIQUE INDEX stored_n ON stored (n);
  COMMENT ON VIEW items IS 'all of them'; GRANT SELECT ON items TO clerk;
  CREATE FUNCTION put_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.item (id, n) VALUES (NEW.item, 0); RETURN NEW; END $$;
  CREATE TRIGGER put INSTEAD OF INSERT ON items FOR EACH ROW EXECUTE FUNCTION put_item();
  ALTER TABLE item ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON item FOR SELECT TO clerk USING (owner_name = current_user AND half(n) > 0);
`;

let local: TestPostgres;
let old: TestPostgres;
let number = 0;
let source: pg.Client;
let target: pg.Client;
let targetName: string;

beforeAll(async () => {
  [local, old] = await Promise.all([startTestPostgres(), startTestPostgres({ nativeDirectory: '/usr/lib/postgresql/15' })]);
  for (const server of [local, old]) await (await server.client()).query('CREATE ROLE clerk');
});
afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await old[Symbol.asyncDispose]();
});

beforeEach(async () => {
  number += 1;
  targetName = await local.createDatabase(`target${number}`);
  source = await local.client(await local.createDatabase(`source${number}`));
  target = await local.client(targetName);
});

interface Carried {
  readonly states: readonly DependantState[];
  readonly left: readonly string[];
}

const named = (name: string): QualifiedName => ({ schema: 'public', name });

/** As a migration goes: functions before each table, the tables, everything else once `loaded` tables have their rows. */
async function carry(tables: readonly string[], loaded: readonly string[] = tables): Promise<Carried> {
  const carried = tables.map((name) => ({ source: named(name), target: named(name), copyGrants: true }));
  const definitions = [];
  for (const name of tables) definitions.push(await introspectTable(source, named(name)));
  const dependants = await readDependants(source, carried);
  const options = { sourceVersion: definitions[0]?.serverVersion ?? 0, tables: carried, isOnLocal: (table: QualifiedName) => loaded.includes(table.name) };
  await createDependants(target, dependants.filter((each) => each.phase === 'before'), options);
  for (const definition of definitions) {
    const plan = planTable(definition, { tableId: definition.name });
    const schema = planSchema(definition, plan, { localVersion: 180000 });
    await createTable(target, definition, plan, schema);
    await buildKey(target, schema);
    await buildIndexes({ ...local.address, database: targetName }, schema, { connections: 1, concurrently: false });
  }
  const states = await createDependants(target, dependants, options);
  return { states, left: states.filter(({ status }) => status !== 'present').map(({ dependant, status }) => `${status} ${dependant.kind} ${dependant.name}`) };
}

async function value<T>(client: pg.Client, sql: string): Promise<T> {
  const { rows } = await client.query<{ v: T }>(sql);
  return rows[0]?.v as T;
}

async function drop(name: string): Promise<void> {
  await target.query('BEGIN');
  await dropDependantsOf(target, named(name));
  await target.query(`DROP TABLE IF EXISTS ${name}`);
  await dropFunctionsOf(target, named(name));
  await target.query('COMMIT');
}

const all = ['parent', 'item', 'item_log', 'rule_log'];

describe('what hangs on a table', () => {
  it('is made on local in its order, and works there: functions of functions, triggers, rules, policies, views of views, stored views', async () => {
    await source.query(ddl);
    expect((await carry(all)).left).toEqual([]);
    await target.query("INSERT INTO parent VALUES (1, 'ann'); INSERT INTO item (id, n) VALUES (1, 8); UPDATE item SET n = 12; DELETE FROM item; INSERT INTO items (item) VALUES (5); DELETE FROM parent");
    expect((await target.query('SELECT what, calm FROM item_log ORDER BY id')).rows).toEqual([{ what: 'INSERT', calm: true }, { what: 'UPDATE', calm: true }, { what: 'DELETE', calm: true }, { what: 'INSERT', calm: true }]);
    expect(await value(target, 'SELECT count(*)::int AS v FROM rule_log')).toBe(1);
    await target.query('INSERT INTO item (id, n) VALUES (7, 12); REFRESH MATERIALIZED VIEW CONCURRENTLY stored');
    expect(await value(target, 'SELECT n::int AS v FROM stored')).toBe(1);
    for (const [sql, label] of [
      ["SELECT pg_get_viewdef('items'::regclass) AS v", 'view'], ["SELECT reloptions::text AS v FROM pg_class WHERE relname = 'items'", 'options'], ["SELECT obj_description('items'::regclass) AS v", 'comment'],
      ["SELECT has_table_privilege('clerk', 'items', 'SELECT') AS v", 'grant'], ["SELECT has_function_privilege('public', 'note(text)', 'EXECUTE') AS v", 'revoked'], ["SELECT has_function_privilege('clerk', 'note(text)', 'EXECUTE') AS v", 'granted'],
      ['SELECT qual AS v FROM pg_policies', 'policy'], ["SELECT relrowsecurity AS v FROM pg_class WHERE relname = 'item'", 'row security'],
    ] as const) expect([label, await value(target, sql)]).toEqual([label, await value(source, sql)]);
    expect((await target.query("SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'item'::regclass ORDER BY 1")).rows)
      .toEqual([{ tgname: 'item_always', tgenabled: 'O' }, { tgname: 'item_log', tgenabled: 'O' }, { tgname: 'item_off', tgenabled: 'D' }]);
  });

  it('does not fire for the applier, which writes in the replica role', async () => {
    await source.query(ddl);
    await carry(all);
    await target.query("BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO item (id, n) VALUES (1, 8) ON CONFLICT (id) DO UPDATE SET n = excluded.n; INSERT INTO parent VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET who = excluded.who; DELETE FROM parent; COMMIT");
    expect(await value(target, 'SELECT (SELECT count(*) FROM item_log)::int + (SELECT count(*) FROM rule_log)::int AS v')).toBe(0);
  });

  it('made again changes nothing, and goes on where a crash left it', async () => {
    await source.query(ddl);
    await carry(all);
    const objects = "SELECT string_agg(oid::text, ',' ORDER BY oid) AS v FROM (SELECT oid FROM pg_proc WHERE oid >= 16384 UNION ALL SELECT oid FROM pg_rewrite WHERE oid >= 16384 UNION ALL SELECT oid FROM pg_trigger UNION ALL SELECT oid FROM pg_policy) o";
    const before = await value(target, objects);
    expect((await carry(all)).left).toEqual([]);
    expect(await value(target, objects)).toBe(before);
    await target.query('DROP MATERIALIZED VIEW stored; DROP VIEW a_view_of_items; DROP TRIGGER item_log ON item; DROP FUNCTION note(text); DROP POLICY own ON item');
    expect((await carry(all)).left).toEqual([]);
  });

  it('waits for the last table of a view, and is made then', async () => {
    await source.query(ddl);
    const first = await carry(all, ['item', 'item_log', 'rule_log']);
    expect(first.left).toEqual(['refused trigger put on public.items', 'waiting view public.items', 'waiting view public.a_view_of_items', 'waiting materialized view public.stored'].sort((a, b) => first.left.indexOf(a) - first.left.indexOf(b)));
    expect((await carry(all)).left).toEqual([]);
  });

  it('of a version behind is accepted as the same, and the sample database comes over whole', async () => {
    const database = await old.createDatabase(`old${number}`);
    await loadSampleDatabase({ ...old.address, database }, { scale: 0.001 });
    source = await old.client(database);
    await target.query('CREATE ROLE app; CREATE ROLE operator');
    const tables = (await listTables(source, 'public')).map((table) => table.name);
    expect((await carry(tables)).left).toEqual([]);
    expect((await carry(tables)).left).toEqual([]);
    await target.query("INSERT INTO customers (id, email, name) VALUES (1, 'a@b', 'A'); INSERT INTO orders (id, customer_id) VALUES (1, 1); UPDATE orders SET status = 'paid'");
    expect((await target.query('SELECT old_status, new_status FROM order_audit')).rows).toEqual([{ old_status: 'placed', new_status: 'paid' }]);
    expect((await target.query('SELECT id, customer FROM order_overview')).rows).toEqual([{ id: '1', customer: 'A' }]);
    expect(await value(target, "SELECT has_table_privilege('app', 'order_overview', 'SELECT') AS v")).toBe(true);
    await source.query(ddl);
    expect((await carry([...tables, ...all])).left).toEqual([]);
    expect((await carry([...tables, ...all])).left).toEqual([]);
  });

  it('brings the functions that applications call: those that name its tables, and those that name none', async () => {
    await source.query(`CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY);
      CREATE PROCEDURE add_t(n int) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (n); END $$; CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
      CREATE FUNCTION count_other() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM other'`);
    const { states, left } = await carry(['t']);
    expect(left).toEqual([]);
    await target.query('CALL add_t(double(4))');
    expect(await value(target, 'SELECT id AS v FROM t')).toBe(8);
    expect(states.filter(({ dependant }) => dependant.isCalledOnly).map(({ dependant }) => dependant.name).sort()).toEqual(['public.add_t(integer)', 'public.double(integer)']);
    await drop('t');
    expect(await value(target, "SELECT string_agg(proname, ',') AS v FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).toBe('double');
  });

  it('is never overwritten: another object of the name is a finding with what differs, also before the migration', async () => {
    await source.query(ddl);
    await target.query("CREATE FUNCTION log_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; CREATE TABLE items (x int)");
    const { states, left } = await carry(all);
    expect(left).toEqual(expect.arrayContaining(['differs function public.log_item()', 'differs view public.items', 'refused view public.a_view_of_items']));
    const reason = states.find(({ dependant }) => dependant.name === 'public.log_item()')?.reason ?? '';
    expect(reason).toContain('- AS $function$ BEGIN PERFORM public.note(TG_OP); RETURN NEW; END $function$');
    expect(await value(target, "SELECT prosrc AS v FROM pg_proc WHERE proname = 'log_item'")).toBe(' BEGIN RETURN NEW; END ');
    const findings = await preflightTable(source, target, { tableId: '', table: named('item'), companions: all.map(named) });
    expect(findings.find((finding) => finding.subject === 'function public.log_item()')).toMatchObject({ severity: 'warning', message: expect.stringContaining('MIG011') as string });
  });

  it('that cannot be carried is named: C functions, aggregates, ON UPDATE rules, roles that local lacks', async () => {
    await source.query(`CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY);
      CREATE FUNCTION odd(oid) RETURNS int LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator'; CREATE VIEW uses_c AS SELECT id, odd(0) FROM t;
      CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int); CREATE VIEW uses_aggregate AS SELECT total(v) FROM t;
      CREATE RULE up AS ON UPDATE TO t DO ALSO NOTIFY changed; CREATE VIEW mixed AS SELECT t.id FROM t JOIN other USING (id)`);
    const { states } = await carry(['t']);
    const reasons = Object.fromEntries(states.filter(({ status }) => status !== 'present').map(({ dependant, reason }) => [dependant.name, reason]));
    expect(reasons).toMatchObject({
      'public.odd(oid)': expect.stringContaining('written in C') as string, 'public.total(integer)': expect.stringContaining('aggregate') as string, 'up on public.t': expect.stringContaining('ON UPDATE rule') as string,
      'public.uses_c': expect.stringContaining('42883') as string, 'public.mixed': expect.stringContaining('public.other') as string,
    });
    expect(states.find(({ dependant }) => dependant.name === 'public.odd(oid)')?.dependant.isCalledOnly).toBe(true);
    const findings = await preflightTable(source, target, { tableId: '', table: named('t'), companions: [] });
    expect(findings.filter((finding) => finding.code === 'dependant').map((finding) => finding.subject)).toEqual(expect.arrayContaining(['function public.odd(oid)', 'view public.mixed', 'rule up on public.t']));
  });

  it('goes with its table, and nothing else does: what others made or still use stays', async () => {
    await source.query(`${ddl}; CREATE TABLE second (id int PRIMARY KEY, h int DEFAULT half(2))`);
    await carry([...all, 'second']);
    await target.query('CREATE VIEW mine AS SELECT * FROM rule_log');
    await drop('item');
    expect((await target.query("SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace")).rows).toEqual([{ relname: 'mine' }]);
    expect(await value(target, "SELECT string_agg(proname, ',' ORDER BY proname) AS v FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).toBe('half,put_item');
    await drop('item');
    await drop('second');
    await drop('parent');
    expect(await value(target, "SELECT count(*)::int AS v FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).toBe(0);
    expect((await carry([...all, 'second'])).left).toEqual([]);
    const known = await readDependants(source, [{ source: named('item'), target: named('item'), copyGrants: false }]);
    const states = await reviewDependants(target, known, { sourceVersion: 180000, tables: [], isOnLocal: () => true });
    expect(states.every(({ status }) => status === 'present')).toBe(true);
  });
});

it('a view is a plain query where its readers may read its tables and no row security decides', async () => {
  await source.query(`DO $$ BEGIN CREATE ROLE view_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$; CREATE TABLE a (k int); CREATE TABLE b (k int); CREATE TABLE secured (k int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
    CREATE VIEW own AS SELECT * FROM a; CREATE VIEW granted AS SELECT * FROM a; CREATE VIEW over AS SELECT k FROM granted JOIN b USING (k); CREATE VIEW for_all AS SELECT * FROM a; CREATE VIEW policy AS SELECT a.k FROM a JOIN secured USING (k); CREATE MATERIALIZED VIEW stored AS SELECT * FROM a;
    GRANT SELECT ON granted, over TO view_reader; GRANT SELECT ON for_all TO PUBLIC`);
  const plain = async (): Promise<string[]> => (await readDependants(source, [{ source: named('a'), target: named('a'), copyGrants: true }])).flatMap(({ name, isPlainQuery }) => (isPlainQuery === true ? [name] : [])).sort();
  expect(await plain()).toEqual(['public.own']);
  await source.query('GRANT SELECT ON a TO view_reader');
  expect(await plain()).toEqual(['public.granted', 'public.own']);
  await source.query('GRANT SELECT ON b TO view_reader; GRANT SELECT ON a TO PUBLIC');
  expect(await plain()).toEqual(['public.for_all', 'public.granted', 'public.over', 'public.own']);
});

describe('line differences', () => {
  it('name the lines between the common beginning and end', () => {
    expect(lineDiff('a\nb\nc', 'a\nx\ny\nc')).toBe('- b\n+ x\n+ y');
    expect(lineDiff('a', 'a')).toBe('');
  });
});
