/** Property: the control can ask and do on a MySQL source what it asks and does on a PostgreSQL one: definitions, groups, fence, locks, numbers. */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTable } from '../../../cdc/postgres/build-keys.ts';
import { readJson } from '../../../cdc/postgres/read-json.ts';
import { reviewDependants } from '../../../cdc/postgres/create-dependants.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { mysqlApplierTagSql, readMysqlFences } from '../../../cdc/mysql/fence.ts';
import { MysqlSourceSide } from '../../../cdc/mysql/source-side.ts';
import type { Catalog } from '../../../catalog/catalog.ts';
import type { TableRecord } from '../../../catalog/records.ts';
import { FlowUpkeep } from '../../../src/migrate/flow-upkeep.ts';
import type { SourceFlow } from '../../../src/migrate/source-flow.ts';
import { testRuntime } from '../snapshot/loader-fixture.ts';
import { makeTriggers } from './make-triggers.ts';
import { sourceKinds, startMysqlSource } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';

const orders = { schema: 'shop', name: 'orders' };
const items = { schema: 'shop', name: 'items' };
const bookkeeping = [
  'CREATE DATABASE IF NOT EXISTS causeway CHARACTER SET utf8',
  'CREATE TABLE IF NOT EXISTS causeway.marker (name varchar(190) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL PRIMARY KEY, token varchar(64) CHARACTER SET ascii NOT NULL) ENGINE=InnoDB',
];

interface Session extends AsyncDisposable {
  readonly id: number;
  run(sql: string): Promise<unknown>;
  prepared(sql: string, values: readonly string[]): Promise<unknown>;
}

async function openSession(server: TestMysql): Promise<Session> {
  const connection = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'shop' });
  return { id: connection.threadId, run: (sql) => connection.query(sql), prepared: (sql, values) => connection.execute(sql, [...values]), [Symbol.asyncDispose]: () => connection.end() };
}

const refusal = (work: Promise<unknown>): Promise<string> => work.then(() => 'taken', (error: unknown) => (error instanceof Error ? error.message : String(error)));

for (const kind of sourceKinds) describeMysql([kind], `a source of ${kind} for the control`, () => suite(kind));

function suite(kind: MysqlKind): void {
  let source: MysqlSource;
  let side: MysqlSourceSide;

  beforeAll(async () => {
    source = await startMysqlSource(kind, { settings: kind === 'mysql-9.7' ? ['performance-schema=ON'] : [] });
    await source.mysql.sql('CREATE DATABASE shop; CREATE DATABASE other');
    await source.mysql.sql(`
      CREATE TABLE orders (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, state ENUM('new', 'paid') NOT NULL DEFAULT 'new', changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB;
      CREATE TABLE items (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, n INT, CONSTRAINT to_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE) ENGINE=InnoDB;
      CREATE TABLE audit (at INT PRIMARY KEY AUTO_INCREMENT, what TEXT) ENGINE=InnoDB;
      CREATE TABLE alone (id INT PRIMARY KEY) ENGINE=InnoDB;
      CREATE TABLE other.orders (id INT PRIMARY KEY) ENGINE=InnoDB;
      CREATE PROCEDURE note (t TEXT) INSERT INTO audit (what) VALUES (t);
      CREATE TRIGGER noted AFTER INSERT ON items FOR EACH ROW CALL note('item');
      CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'new';
      CREATE VIEW open_items AS SELECT i.* FROM items i JOIN open_orders o ON o.id = i.order_id;
      INSERT INTO orders (state) VALUES ('new'), ('paid'), ('new'); INSERT INTO items (order_id) VALUES (1), (2)`, 'shop');
    side = new MysqlSourceSide(testRuntime(), {
      source: { host: source.mysql.host, port: source.mysql.port, user: source.mysql.user, password: source.mysql.password, database: 'shop' }, local: source.postgres.address, bookkeeping,
      readPosition: () => Promise.reject(new Error('not here')), assertSaved: () => Promise.reject(new Error('not here')),
    });
    await side.prepare(7n);
  });
  afterAll(async () => {
    await side.close();
    await source[Symbol.asyncDispose]();
  });

  it('lists tables, finds and counts them', async () => {
    expect((await side.listTables('shop')).map(({ name }) => name)).toEqual(['alone', 'audit', 'items', 'orders']);
    expect((await side.listTables(undefined)).filter(({ schema }) => schema === 'other')).toEqual([{ schema: 'other', name: 'orders' }]);
    expect(await side.findTable({ schema: 'shop', name: 'none' })).toBeUndefined();
    await expect(side.introspectTable({ schema: 'shop', name: 'open_orders' })).rejects.toMatchObject({ code: 'MIG010' });
    expect(await side.takenNames([orders, { schema: 'shop', name: 'open_orders' }, { schema: 'shop', name: 'none' }])).toEqual([orders, { schema: 'shop', name: 'open_orders' }]);
    expect(await side.mayUpdate(orders)).toBe(true);
    expect(await side.countRows(orders)).toBe('3');
  });

  it('gives a definition from which the table is made on local, and passes the preflight', async () => {
    for (const name of [orders, items]) {
      const definition = await side.introspectTable(name);
      const plan = side.planTable(definition, { tableId: name.name });
      expect(plan).toMatchObject({ key: ['id'], keyKind: 'primary', source: name, target: name });
      await createTable(source.local, definition, plan, side.planSchema(definition, plan, 180000));
      expect((await side.wayBackFindings(definition, plan)).map(({ subject }) => subject)).toEqual(name === items ? ['`shop`.`items` noted'] : []);
    }
    const [trigger] = await readJson<{ n: number }>(source.local, "SELECT count(*)::int AS n FROM pg_trigger WHERE tgrelid = 'shop.orders'::regclass AND NOT tgisinternal");
    expect(trigger?.n).toBe(1);
    const definition = await side.introspectTable(items);
    expect(side.planForeignKeys(definition, (name) => name)).toHaveLength(1);
    const findings = await side.preflight(source.local, { tableId: '', table: orders, companions: [items] });
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect((await side.introspectTable(orders, { targetSchema: 'moved' })).columns[1]?.type).toBe('moved.orders_state');
  });

  it('tells translators what the table is on both sides, and by its hash when that is another thing', async () => {
    const translation = async (overrides: Parameters<typeof side.introspectTable>[1] = {}) => {
      const definition = await side.introspectTable(orders, overrides);
      return side.migratedTable(definition, side.planTable(definition, { tableId: '', targetSchema: 'moved' }));
    };
    const told = await translation();
    expect(told).toMatchObject({
      mysql: { database: 'shop', name: 'orders' }, local: { schema: 'moved', name: 'orders' }, server: { flavour: kind.startsWith('mariadb') ? 'mariadb' : 'mysql' },
      primaryKey: ['id'], uniqueKeys: [{ mysqlName: 'PRIMARY', localName: 'orders_pkey', columns: ['id'] }],
      columns: [
        { name: 'id', type: 'integer', mysqlType: 'int', autoIncrement: true, sequence: { schema: 'shop', name: 'orders_id_seq' }, nullable: false, exact: true, hasLocalDefault: false },
        { name: 'state', type: 'shop.orders_state', mysqlType: 'enum', isLocalEnum: true, labels: ['new', 'paid'], default: { kind: 'literal', text: 'new' }, hasLocalDefault: true, exact: true },
        { name: 'changed', type: 'timestamp(0) with time zone', mysqlType: 'timestamp', onUpdateNow: true, nullable: false, policies: {} },
      ],
      referencedBy: [{ mysqlName: 'to_order', child: { name: 'items' }, columns: ['order_id'], onDelete: 'cascade' }],
    });
    // It goes over the link to the workers.
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    expect((await translation()).hash).toBe(told.hash);
    const other = await translation({ overrides: [{ column: 'state', type: 'text', policies: [] }, { column: 'changed', type: undefined, policies: [{ loss: 'zero_date', policy: 'null' }] }] });
    expect(other.hash).not.toBe(told.hash);
    expect(other.columns.slice(1)).toMatchObject([{ type: 'text', exact: false }, { exact: false, mayBecomeNull: true, policies: { zero_date: 'null' } }]);
  });

  it('sees a change of definition that the types of local hide', async () => {
    const before = (await side.readConverted(orders)).sourceHash;
    await source.mysql.sql("INSERT INTO orders (state) VALUES ('new'); DELETE FROM orders WHERE id > 3", 'shop');
    expect((await side.readConverted(orders)).sourceHash).toBe(before);
    await source.mysql.sql("ALTER TABLE orders MODIFY state ENUM('new', 'paid', 'sent') NOT NULL DEFAULT 'new'", 'shop');
    expect((await side.readConverted(orders)).sourceHash).not.toBe(before);
  });

  it('knows what has to move together, and what a write reaches', async () => {
    const group = await side.groupOf(orders);
    expect(group.tables.map(({ name }) => name)).toEqual(['audit', 'items', 'orders']);
    expect(group.ties.map(({ reason, name }) => `${reason} ${name}`).sort()).toEqual(['foreign_key to_order', 'trigger noted']);
    expect(await side.tableGroups()).toHaveLength(1);
    expect((await side.groupOf({ schema: 'shop', name: 'alone' })).ties).toEqual([]);
    expect(await side.routingRelations([orders, items, { schema: 'shop', name: 'audit' }], [])).toMatchObject({
      views: { 'shop.open_orders': ['shop.orders'], 'shop.open_items': ['shop.items', 'shop.orders'] }, sequences: {}, shadows: ['other.orders'],
      writeClosure: { 'shop.orders': ['shop.audit', 'shop.items'], 'shop.items': ['shop.audit'] }, functions: { 'shop.note': { writes: ['shop.audit'] } },
    });
  });

  it('names what people have to write for local, until it is there', async () => {
    const tables = [orders, items].map((name) => ({ source: name, target: name, copyGrants: false }));
    const { all, sourceVersion } = await side.readDependants(tables);
    const review = async (): Promise<string[]> => (await reviewDependants(source.local, all, { sourceVersion, tables, isOnLocal: () => true })).map(({ dependant, status }) => `${dependant.kind} ${dependant.name}: ${status}`);
    expect(await review()).toEqual(['trigger noted on shop.items: refused', 'view shop.open_items: refused', 'view shop.open_orders: refused']);
    await source.local.query("CREATE VIEW shop.open_orders AS SELECT * FROM shop.orders; CREATE FUNCTION shop.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noted AFTER INSERT ON shop.items FOR EACH ROW EXECUTE FUNCTION shop.noted()");
    expect(await review()).toEqual(['trigger noted on shop.items: present', 'view shop.open_items: refused', 'view shop.open_orders: present']);
  });

  const request = { epoch: 3, token: 7n, partitions: [], timeoutMs: 5_000 };
  const standing = async (): Promise<string[]> => (await readMysqlFences(source.query)).map(({ schema, name, epoch, token }) => `${schema}.${name} ${epoch} ${token}`);
  const marker = async (): Promise<string | null | undefined> => (await source.mysql.sql("SELECT token FROM causeway.marker WHERE name = 's'"))[0]?.['token'];

  it('fences: writers outside are refused, the applier is not, and readers never are', async () => {
    await side.fence([orders, items], { ...request, fence: true, marker: { stream: 's', token: 'cutover:1' } });
    expect(await standing()).toEqual(['shop.items 3 7', 'shop.orders 3 7']);
    expect(await marker()).toBe('cutover:1');
    await using writer = await openSession(source.mysql);
    for (const sql of ['INSERT INTO orders (state) VALUES (1)', "UPDATE orders SET state = 'paid' WHERE id = 1", 'DELETE FROM items', 'REPLACE INTO items (id, order_id) VALUES (1, 1)', "INSERT INTO orders (id) VALUES (1) ON DUPLICATE KEY UPDATE state = 'paid'"]) {
      expect(await refusal(writer.run(sql)), sql).toMatch(/^MIG082: .* is refused by the Causeway gateway, the other database is the authority for shop\.(orders|items)$/);
    }
    expect(await refusal(writer.run('SELECT * FROM orders'))).toBe('taken');
    await using applier = await openSession(source.mysql);
    await applier.run(mysqlApplierTagSql('6'));
    expect(await refusal(applier.run("UPDATE orders SET state = 'paid' WHERE id = 1"))).toMatch(/^MIG082/);
    await applier.run(mysqlApplierTagSql('7'));
    expect(await refusal(applier.run("UPDATE orders SET state = 'paid' WHERE id = 1"))).toBe('taken');
    // Another control process has taken over: its own appliers pass, and no earlier ones.
    await side.prepare(8n);
    expect(await refusal(applier.run("UPDATE orders SET state = 'paid' WHERE id = 1"))).toMatch(/^MIG082/);
    await side.fenceAgain([orders, items], { ...request, token: 8n, epoch: 4 });
    expect(await standing()).toEqual(['shop.items 4 8', 'shop.orders 4 8']);
    expect((await side.introspectTable(orders)).triggers).toEqual([]);
    expect((await side.readDependants([{ source: orders, target: orders, copyGrants: false }])).all.filter((each) => each.kind === 'trigger')).toEqual([]);
  });

  it('lowers the fence, and takes its triggers away afterwards only', async () => {
    const triggers = async (): Promise<number> => (await source.mysql.sql("SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'causeway%'")).length;
    await side.dropFences([orders, items], { timeoutMs: 5_000 });
    expect(await triggers()).toBe(6);
    await side.unfence([orders, items], 5_000);
    expect(await standing()).toEqual([]);
    await source.mysql.sql('INSERT INTO orders (id) VALUES (50)', 'shop');
    await side.dropFences([orders, items], { timeoutMs: 5_000 });
    expect(await triggers()).toBe(0);
    await side.unfence([orders, items], 5_000);
    await expect(side.unfence([orders], 5_000, { stream: 's', shared: 0n, tables: [] })).rejects.toThrow('not here');
  });

  it.runIf(kind !== 'mysql-5.6').each([true, false])('waits for a branch of XA that is prepared and has lost its connection, also after a crash of the server (fence: %s)', async (fence) => {
    const prepare = async (name: string): Promise<void> => {
      await using session = await openSession(source.mysql);
      for (const sql of [`XA START '${name}'`, "INSERT INTO orders (state) VALUES ('new')", `XA END '${name}'`, `XA PREPARE '${name}'`]) await session.run(sql);
    };
    const refused = async (): Promise<void> => {
      await expect(side.fence([orders], { ...request, timeoutMs: 100, fence, marker: { stream: 's', token: 'behind XA' } })).rejects.toMatchObject({ code: 'MIG052', detail: expect.stringContaining('XA RECOVER') as string });
      expect(await standing()).toEqual([]);
    };
    await side.dropFences([orders], { timeoutMs: 5_000 });
    await prepare('before the triggers');
    await refused();
    await source.mysql.sql("XA COMMIT 'before the triggers'");
    await makeTriggers(source.mysql, [orders]);
    await prepare('before the crash');
    await source.mysql.kill();
    await source.mysql.restart();
    await expect.poll(refused, { timeout: 20_000 }).toBeUndefined();
    await source.mysql.sql("XA ROLLBACK 'before the crash'");
    await side.fence([orders], { ...request, fence, marker: { stream: 's', token: 'behind XA' } });
    expect(await marker()).toBe('behind XA');
    await side.unfence([orders], 5_000);
  });

  it('is prepared, and dropped, without ending a transaction that has read the table and writes it then', async () => {
    await side.dropFences([orders], { timeoutMs: 5_000 });
    await using open = await openSession(source.mysql);
    const underWay = async (work: () => Promise<unknown>): Promise<unknown> => {
      await open.run('BEGIN');
      await open.run('SELECT * FROM orders');
      const working = work().catch((error: unknown) => error);
      await delay(200);
      await open.run("UPDATE orders SET state = 'paid' WHERE id = 2");
      await open.run('COMMIT');
      return working;
    };
    for (let round = 0; round < 3; round += 1) {
      const outcome = await underWay(() => side.prepareFence([orders], 500));
      if (outcome !== undefined) expect(outcome).toMatchObject({ code: 'MIG052' });
    }
    await makeTriggers(source.mysql, [orders]);
    expect(await side.idleFences()).toContainEqual(orders);
    expect(await underWay(() => side.dropFences([orders], { timeoutMs: 100 }))).toEqual([orders]);
    expect(await side.idleFences()).toContainEqual(orders);
    // Nobody is there any more.
    expect(await side.dropFences([orders], { timeoutMs: 5_000 })).toEqual([]);
    expect(await side.idleFences()).not.toContainEqual(orders);
  });

  it('is swept away by a control process that knows nothing of it, once its table is in no migration', async () => {
    await makeTriggers(source.mysql, [orders, items]);
    let migrating: readonly Partial<TableRecord>[] = [{ tableId: 'o', sourceServer: 'legacy', source: orders, target: orders, state: 'DUAL_WRITE' }];
    const sweep = async (): Promise<void> => {
      const catalog = { tables: async () => Promise.resolve(migrating as readonly TableRecord[]) } as unknown as Catalog;
      const nothing = async (): Promise<readonly never[]> => Promise.resolve([]);
      await new FlowUpkeep(testRuntime(), catalog).keep({ serverName: 'legacy', sourceSide: side, streams: { endUnused: nothing }, rights: { look: nothing }, idleGuards: nothing } as unknown as SourceFlow);
    };
    const left = async (): Promise<readonly unknown[]> => (await source.mysql.sql("SELECT DISTINCT EVENT_OBJECT_TABLE AS t FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'causeway%' ORDER BY 1")).map((row) => Object.values(row)[0]);
    await sweep();
    expect(await left()).toEqual(['orders']);
    migrating = [];
    await sweep();
    expect(await left()).toEqual([]);
    expect(await side.idleFences()).toEqual([]);
  });

  it('is dropped under transactions that read the table and write it then, and the server ends none of them', async () => {
    const failed: string[] = [];
    let done = 0;
    for (let round = 0; round < 6; round += 1) {
      await makeTriggers(source.mysql, [orders]);
      const stop = new AbortController();
      const write = async (id: number): Promise<void> => {
        await using session = await openSession(source.mysql);
        while (!stop.signal.aborted) {
          for (const sql of ['BEGIN', `SELECT * FROM orders WHERE id = ${id}`, `UPDATE orders SET state = 'paid' WHERE id = ${id}`, 'COMMIT']) {
            const error = await session.run(sql).then(() => undefined, String);
            if (error === undefined) continue;
            failed.push(error);
            await session.run('ROLLBACK');
            break;
          }
          done += 1;
          // Longer and longer, until the table is left alone for a while.
          await delay((done % 3) * round * 10);
        }
      };
      const writing = Promise.all([write(1), write(2), write(3)]);
      for (const before = done; done < before + 20;) await Promise.race([writing, delay(5)]);
      await side.dropFences([orders], { timeoutMs: 1_300 });
      stop.abort();
      await writing;
      expect(await side.dropFences([orders], { timeoutMs: 5_000 })).toEqual([]);
    }
    expect(failed).toEqual([]);
    expect(done).toBeGreaterThan(100);
  });

  it('makes its triggers under statements that are prepared again and again, and none of them fails', async () => {
    const stop = new AbortController();
    const write = async (): Promise<void> => {
      await using session = await openSession(source.mysql);
      await session.run('SET lock_wait_timeout = 30');
      // In transactions, for whose end CREATE TRIGGER waits.
      while (!stop.signal.aborted) for (const sql of ['BEGIN', 'UPDATE orders SET state = ? WHERE id = 2', 'UPDATE orders SET state = ? WHERE id = 3', 'COMMIT']) await (sql.includes('?') ? session.prepared(sql, ['paid']) : session.run(sql));
    };
    const writing = Promise.all([write(), write(), write()]);
    writing.catch(() => undefined);
    for (let round = 0; round < 8; round += 1) {
      await makeTriggers(source.mysql, [orders, items]);
      await delay(20);
      await side.dropFences([orders, items], { timeoutMs: 200 });
    }
    stop.abort();
    await expect(writing).resolves.toBeDefined();
  });

  it.each([true, false])('waits for transactions that have written, lets none in behind, and names the one that stays (fence: %s)', async (fence) => {
    await using open = await openSession(source.mysql);
    await open.run('START TRANSACTION');
    await open.run("UPDATE orders SET state = 'paid' WHERE id = 2");
    await expect(side.fence([orders], { ...request, timeoutMs: 100, fence, marker: { stream: 's', token: `late ${fence}` } })).rejects.toMatchObject({ code: 'MIG052', detail: expect.stringContaining(`Connection ${open.id} of`) as string });
    expect(await marker()).not.toBe(`late ${fence}`);
    expect(await standing()).toEqual([]);
    expect(await side.openWriters([orders])).toMatchObject({ count: 1 });
    const fenced = side.fence([orders], { ...request, timeoutMs: 20_000, fence, marker: { stream: 's', token: `late ${fence}` } });
    await delay(100);
    await open.run("UPDATE orders SET state = 'new' WHERE id = 3");
    await open.run('COMMIT');
    await fenced;
    expect(await marker()).toBe(`late ${fence}`);
    expect(await refusal(open.run("UPDATE orders SET state = 'paid' WHERE id = 2"))).toMatch(fence ? /^MIG082/ : /^taken$/);
    await side.unfence([orders], 5_000);
    expect(await side.openWriters([orders])).toEqual({ count: 0, longestMs: 0 });
  });

  it('is seen by a transaction whose snapshot is older than the fence', async () => {
    await using old = await openSession(source.mysql);
    await old.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await old.run('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    await old.run('SELECT * FROM alone');
    await makeTriggers(source.mysql, [orders]);
    await side.fence([orders], { ...request, fence: true, marker: { stream: 's', token: 'snapshot' } });
    expect(await refusal(old.run("UPDATE orders SET state = 'paid' WHERE id = 2"))).toMatch(/^MIG082/);
    await old.run('ROLLBACK');
    await side.unfence([orders], 5_000);
  });

  it('tells who waits for whom', async () => {
    await using holder = await openSession(source.mysql);
    await using waiter = await openSession(source.mysql);
    await holder.run('BEGIN');
    await holder.run("UPDATE orders SET state = 'paid' WHERE id = 1");
    const waiting = waiter.run("UPDATE orders SET state = 'new' WHERE id = 1");
    await expect.poll(() => side.blockers([waiter.id, holder.id]), { timeout: 5_000 }).toEqual([[waiter.id, holder.id]]);
    await holder.run('COMMIT');
    await waiting;
    expect(await side.blockers([waiter.id])).toEqual([]);
    expect(await side.blockers([])).toEqual([]);
  });

  it('carries numbers to local and back, and never backwards', async () => {
    await source.mysql.sql('INSERT INTO orders (id) VALUES (100)', 'shop');
    const tables = [{ source: orders, target: orders }];
    const drawn = async (): Promise<number | undefined> => (await source.local.query<{ id: number }>("INSERT INTO shop.orders (state) VALUES ('new') RETURNING id")).rows[0]?.id;
    const given = async (): Promise<number> => Number((await source.mysql.sql("INSERT INTO orders (state) VALUES ('new'); SELECT LAST_INSERT_ID() AS id", 'shop'))[0]?.['id']);
    const forward = await side.pairSequences('local', source.local, tables);
    expect(forward.map(({ source: from, target }) => `${from.name} ${from.column} ${from.lastValue} → ${target.name}`)).toEqual(['orders id 101 → orders_id_seq']);
    await source.mysql.sql('INSERT INTO orders (id) VALUES (200)', 'shop');
    await side.advanceSequences('local', source.local, forward, 10);
    expect(await drawn()).toBe(211);
    await source.local.query("SELECT setval('shop.orders_id_seq', 500)");
    const back = await side.pairSequences('source', source.local, tables);
    await side.advanceSequences('source', source.local, back, 0);
    expect(await given()).toBe(501);
    await source.mysql.sql('INSERT INTO orders (id) VALUES (900)', 'shop');
    await side.advanceSequences('source', source.local, back, 0);
    expect(await given()).toBe(901);
    await source.local.query("SELECT setval('shop.orders_id_seq', 5000)");
    await side.advanceSequences('local', source.local, forward, 0);
    expect(await drawn()).toBe(5001);
    expect(await side.grantSequences()).toEqual([]);
    expect(await side.pairSequences('local', source.local, [{ source: { schema: 'shop', name: 'alone' }, target: orders }])).toEqual([]);
  });
}
