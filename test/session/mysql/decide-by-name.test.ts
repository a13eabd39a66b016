/** Property: a statement passes only when its text shows that the source may answer it; whatever could touch a table that is elsewhere is refused. */
import { expect, test } from 'vitest';
import { DecideByName } from '../../../src/session/mysql/decide-by-name.ts';
import { FakeControl, onLocal, onSource } from '../gateway-fixture.ts';
import { readMysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import { classifyMysql, splitMysqlText } from '../../../grammar/dialect/postgres/classify-mysql.ts';
import { relationKey } from '../../../catalog/routing-snapshot.ts';
import type { LocalContext } from '../../../src/session/mysql/mysql-decision.ts';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';

function snapshotOf(tables: Parameters<FakeControl['publish']>[0], more: Partial<RoutingSnapshot> = {}): RoutingSnapshot {
  const control = new FakeControl('mysql');
  control.publish(tables, more);
  return control.snapshot;
}

const decider = new DecideByName();
const mode = { sqlMode: new Set<string>(), server: { flavour: 'mysql', version: 90_700 } } as const;

function decided(text: string, snapshot: RoutingSnapshot, { holdsLocks = false, leaseValid = true, touched = [] as readonly string[] } = {}): string {
  const decision = decider.decide(text, snapshot, { holdsLocks, leaseValid, hasTouched: (key) => touched.includes(key.replace('public.', '')) });
  return decision.route === 'refused' ? 'refused' : `${decision.route} ${decision.touches.map((key) => key.replace('public.', '')).join()}`.trim();
}

const moved = snapshotOf({ orders: onLocal, customers: onSource, 'odd name': onLocal, 'odd"name': onLocal }, { views: { 'public.open_orders': ['public.orders'] }, writeClosure: { 'public.log': ['public.orders'] } });

test.each([
  'SELECT * FROM orders', 'select * from `ORDERS`', 'SELECT 1 FROM shop.orders o', 'INSERT INTO orders (a) VALUES (1)', 'SELECT * FROM customers JOIN orders USING (id)', 'SELECT * FROM/**/orders',
  'SELECT 1; DELETE FROM orders', 'TRUNCATE orders', 'LOCK TABLES orders READ', 'SELECT * FROM open_orders', 'INSERT INTO log VALUES (1)', 'SELECT * FROM `odd name`', "SELECT 'orders'", '/*! SELECT * FROM orders */',
  'CALL p()', "PREPARE s FROM 'SELECT 1'", 'EXECUTE s', "EXECUTE IMMEDIATE CONCAT('DELETE FROM ord', 'ers')", 'DROP DATABASE shop', 'SELECT own_function(1)', 'SELECT `own_function` (1)', 'SELECT shop.own_function(1)',
  'DO own_function()', 'SELECT own_function /* x */ (1)', 'SELECT own_function -- x\n (1)', 'SELECT 1 INTO -- into\n own_function(1)', 'BEGIN NOT ATOMIC DELETE FROM x; END', 'SELECT 1 AS x, own_function(2)', 'HANDLER orders OPEN', 'SELECT * FROM ORDERs',
  'HANDLER h READ FIRST', "BINLOG 'abc'", "XA COMMIT 'x'", "XA PREPARE 'x'", 'SELECT count (1)', 'SET SESSION sql_log_bin = 0', 'SET @@binlog_format := statement', 'CREATE VIEW v AS SELECT * FROM customers',
  'DROP/*x*/DATABASE shop', "XA COMMIT 'x' /* ONE PHASE */", 'SET @@sql_log_bin/**/=/**/0', 'SELECT /*+ SET_VAR(sql_log_bin=0) */ 1', '/*!50003 CREATE*/ /*!50003 TRIGGER t AFTER INSERT ON other FOR EACH ROW DELETE FROM customers */',
  'SELECT * FROM "odd""name"', 'CREATE OR REPLACE DEFINER=a TRIGGER t AFTER INSERT ON other FOR EACH ROW DELETE FROM customers', 'ALTER EVENT e DO DELETE FROM customers',
])('refused: %s', (text) => {
  expect(decided(text, moved)).toBe('refused');
});

test.each([
  ['SELECT 1', 'remote'], ['SELECT COUNT(*), MAX(id) FROM customers WHERE name IN (1, 2)', 'remote customers'], ['INSERT INTO customers (id, name) VALUES (1, UPPER(2))', 'remote customers'],
  ['INSERT INTO `customers` (`id`) VALUES (1)', 'remote customers'], ['INSERT INTO shop.customers(id) VALUES (1) ON DUPLICATE KEY UPDATE id = VALUES(id)', 'remote customers'], ['SET NAMES utf8mb4', 'remote'], ['BEGIN', 'remote'],
  ['SELECT ordersx, xorders FROM elsewhere', 'remote'], ['WITH x (a) AS (SELECT 1) SELECT * FROM x', 'remote'], ['SHOW TABLES', 'remote'], ["XA COMMIT 'x' ONE PHASE", 'remote'], ["XA ROLLBACK 'x'", 'remote'], ['DEALLOCATE PREPARE s', 'remote'], ['SELECT SUM(1), UPPER (2)', 'remote'], ['SELECT @@binlog_format', 'remote'], ['CREATE VIEW v AS SELECT 1', 'remote'], ['SELECT @@version_comment LIMIT 1', 'remote'], ['CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY)', 'remote'],
])('passes: %s', (text, expected) => {
  expect(decided(text, moved)).toBe(expected);
});

test('while everything is the source\'s, what cannot be seen passes, and counts as touching everything', () => {
  const early = snapshotOf({ orders: onSource, customers: onSource });
  expect(decided('CALL p()', early)).toBe('remote orders,customers');
  expect(decided('UPDATE orders SET a = 1', early)).toBe('remote orders');
  expect(decided('ALTER TABLE orders ADD event INT', early)).toBe('remote orders');
});

test('states between: reads of the source, and what is refused of writes', () => {
  const waiting = snapshotOf({ orders: { waitVisible: true } });
  expect(decided('SELECT * FROM orders', waiting)).toBe('remote orders');
  const waits = (text: string): unknown => decider.decide(text, waiting, { holdsLocks: false, leaseValid: true, hasTouched: () => false });
  for (const text of ['SELECT * FROM orders', 'SELECT 1', 'BEGIN']) expect(waits(text), text).toMatchObject({ route: 'remote', waits: false });
  for (const text of ['SELECT * FROM orders FOR UPDATE', 'INSERT INTO orders VALUES (1)', 'SELECT 1; DELETE FROM orders', 'EXPLAIN ANALYZE SELECT * FROM orders', 'WITH x AS (SELECT 1) DELETE FROM orders', 'CALL p()', 'SELECT own_function(1)', 'ALTER TABLE orders ADD x int']) {
    expect(waits(text), text).toMatchObject({ route: 'remote', touches: ['public.orders'], waits: true });
  }
  const blocked = snapshotOf({ orders: { writesBlocked: true } });
  expect([decided('SELECT * FROM orders', blocked), decided('REPLACE orders VALUES (1)', blocked)]).toEqual(['remote orders', 'refused']);
  const fixed = snapshotOf({ orders: { ddlBlocked: true } });
  expect(['DELETE FROM orders', 'DROP TABLE orders', 'DELETE FROM orders; DROP TABLE orders', 'RENAME TABLE x TO orders', 'CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW DO 1'].map((text) => decided(text, fixed))).toEqual(['remote orders', 'refused', 'refused', 'refused', 'refused']);
});

test('while definitions are fixed, rows are locked, read and changed as before', () => {
  const fixed = snapshotOf({ orders: { ddlBlocked: true } });
  for (const text of ['SELECT * FROM orders FOR UPDATE', 'SELECT * FROM orders LOCK IN SHARE MODE', 'WITH x AS (SELECT 1) SELECT * FROM orders, x', 'WITH x AS (SELECT 1) DELETE FROM orders', '(SELECT 1 FROM orders)']) expect(decided(text, fixed), text).toBe('remote orders');
  expect(decided('WITH x AS (SELECT 1) DELETE FROM orders', snapshotOf({ orders: { writesBlocked: true } }))).toBe('refused');
});

/** As a session that knows what it is on the server. */
const local: LocalContext = {
  isKnown: true, split: (text) => splitMysqlText(text, mode).map((each) => each.text), classify: (statement) => classifyMysql(statement, mode), definition: (statement) => readMysqlDefinition(statement, mode), keyOf: ({ database, name }) => relationKey(database ?? 'public', name),
};

test.each([
  ["INSERT INTO orders (note) VALUES ('please call me (today); or \\'create a view\\'')", 'remote orders'], ["UPDATE orders SET note = 'a:1:{i:0;s:5:\"after\";}' WHERE id = 1", 'remote orders'], ["SELECT * FROM elsewhere WHERE a = 'Hello (orders)'", 'remote'],
  ["/* list (all) */ SELECT * FROM orders FOR UPDATE", 'remote orders'], ["INSERT INTO orders (note) VALUES ('x'); DELETE FROM orders", 'remote orders'],
  ["INSERT INTO orders (note) VALUES (own_function('x;y'))", 'refused'], ["INSERT INTO orders (note) VALUES ('a; b'); DROP TABLE orders", 'refused'], ["SELECT count (1) FROM orders -- (x)", 'refused'], ["INSERT INTO audited (note) VALUES ('x; y')", 'refused'], ["INSERT INTO orders (note) SELECT note FROM moved WHERE note = 'x; y'", 'refused'],
])('what stands in strings and comments is no statement: %s', (text, expected) => {
  const snapshot = snapshotOf({ orders: { ddlBlocked: true }, audited: { ddlBlocked: true }, moved: onLocal }, { writeClosure: { 'public.audited': ['public.moved'] } });
  const context = { holdsLocks: false, leaseValid: true, hasTouched: () => false };
  const decision = decider.decide(text, snapshot, { ...context, local });
  expect(decision.route === 'refused' ? 'refused' : `${decision.route} ${decision.touches.map((key) => key.replace('public.', '')).join()}`.trim()).toBe(expected);
  // Before it is known how the session's texts are read they cannot be.
  if (expected.startsWith('remote') && text.includes('(')) expect(decider.decide(text, snapshot, { ...context, local: { ...local, isKnown: false } }).route).toBe('ask');
});

test('a branch of XA, and LOCK TABLES, where there is a way to local', () => {
  const context = { holdsLocks: false, leaseValid: true, hasTouched: () => false, local };
  const said = (text: string, tables: Parameters<FakeControl['publish']>[0]): string => {
    const decision = decider.decide(text, snapshotOf(tables), context);
    return decision.route === 'refused' ? 'refused' : `${decision.route} ${decision.touches.map((key) => key.replace('public.', '')).join()}`.trim();
  };
  const mixed = { orders: onLocal, customers: onSource };
  expect(["XA START 'x'", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'", "XA ROLLBACK 'x'", 'XA RECOVER', "XA COMMIT 'x'; SELECT 1"].map((text) => said(text, mixed))).toEqual(['remote', 'remote', 'remote customers', 'remote customers', 'remote', 'remote', 'refused']);
  expect([said("XA COMMIT 'x'", { orders: onLocal, customers: { writesBlocked: true } }), said("XA COMMIT 'x'", { orders: { ...onLocal, quiescing: true } }), said("XA COMMIT 'x'", { orders: onLocal, customers: { quiescing: true } })]).toEqual(['refused', 'remote', 'wait customers']);
  expect(['LOCK TABLES orders READ, customers AS c WRITE, elsewhere READ', 'LOCK TABLES orders READ; SELECT 1', 'UNLOCK TABLES', 'LOCK TABLES elsewhere READ', 'FLUSH TABLES WITH READ LOCK', "SELECT 'flush, read lock'"].map((text) => said(text, mixed))).toEqual(['remote orders,customers', 'refused', 'remote', 'remote', 'refused', 'remote']);
  expect(said('LOCK TABLES orders READ, customers READ', { orders: onLocal, customers: { writesBlocked: true } })).toBe('refused');
});

test.each([
  ['CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, name varchar(20))', 'remote'], ['create table if not exists `public`.`orders` (id int)', 'remote'], ['/* x */ create table if not exists orders (id int)', 'cannot be seen by its text'],
  ['CREATE TABLE IF NOT EXISTS orders AS SELECT * FROM customers', 'the statement cannot be read'], ['CREATE TABLE IF NOT EXISTS orders /*!50000 SELECT 1 */', 'the statement cannot be read'],
  ['ALTER TABLE orders ADD COLUMN x int', 'ALTER TABLE "public"."orders" …'], ['ALTER IGNORE TABLE `orders` DROP x', 'ALTER TABLE "public"."orders" …'], ['CREATE UNIQUE INDEX i ON orders (a)', 'CREATE UNIQUE INDEX CONCURRENTLY "i" ON "public"."orders" (…)'],
  ['create index `a b` using btree on `orders` (a)', 'local public.orders'], ['create index `a b` on `orders` ((a + 1))', 'CREATE INDEX CONCURRENTLY "a b" ON "public"."orders" (…)'], ['DROP INDEX i ON orders', 'local public.orders'], ['ALTER TABLE orders ADD KEY a (b), DROP KEY c', 'local public.orders'], ['ALTER TABLE orders ADD KEY a (b), ADD c int', 'ALTER TABLE "public"."orders" …'], ['DROP TABLE IF EXISTS orders', 'behind DROP MIGRATION'],
  ['RENAME TABLE orders TO old_orders', 'behind DROP MIGRATION'], ['ANALYZE TABLE orders', 'local public.orders'], ['ANALYZE TABLE orders UPDATE HISTOGRAM ON a', 'ANALYZE "public"."orders"'], ['OPTIMIZE LOCAL TABLE elsewhere, orders', 'local public.orders'], ['CHECK TABLE orders QUICK', 'local public.orders'], ['REPAIR TABLE orders', 'local public.orders'],
  ['CREATE TABLE orders (id int)', 'the statement cannot be read'], ['ALTER TABLE customers ADD COLUMN orders int', 'the statement cannot be read'],
])('definitions of a table on local: %s', (text, expected) => {
  const decision = decider.decide(text, moved, { holdsLocks: false, leaseValid: true, hasTouched: () => false, local });
  expect(decision.route === 'refused' ? `${decision.error.message} ${decision.error.detail}` : `${decision.route} ${decision.touches.join()}`.trim()).toContain(expected);
});

test('a barrier holds up who has no locks, and after its grace everybody', () => {
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { quiescing: true } }))).toBe('wait orders');
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { quiescing: true } }), { holdsLocks: true })).toBe('remote orders');
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { quiescing: true, closed: true } }), { holdsLocks: true })).toBe('wait orders');
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { quiescing: true } }), { holdsLocks: true, leaseValid: false })).toBe('wait orders');
  expect(decided('CALL p()', snapshotOf({ orders: { quiescing: true } }))).toBe('wait orders');
  expect(decided('SELECT * FROM customers', snapshotOf({ orders: { quiescing: true } }))).toBe('remote');
});

test('who has touched one table of a barrier gets through to all of its tables: the barrier waits for that transaction', () => {
  const closed = { quiescing: true, closed: true, barrier: 1 };
  const snapshot = snapshotOf({ orders: closed, items: closed, others: { ...closed, barrier: 2 } });
  const touched = { touched: ['orders'], leaseValid: false };
  expect(['orders', 'items', 'others'].map((table) => decided(`DELETE FROM ${table}`, snapshot, touched))).toEqual(['remote orders', 'remote items', 'wait others']);
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { quiescing: true, closed: true } }), touched)).toBe('remote orders');
});

test('a barrier over a table on local holds up what would be refused: it may come back to the source', () => {
  expect(decided('SELECT * FROM orders', snapshotOf({ orders: { ...onLocal, quiescing: true } }))).toBe('wait orders');
});

test('a name whose letters depend on a character set lets nothing pass that has such letters', () => {
  const open = snapshotOf({ 'größe': onLocal });
  expect([decided('SELECT 1', open), decided('SELECT * FROM grösse', open), decided("SELECT 'ä'", open)]).toEqual(['remote', 'refused', 'refused']);
});

test('a table of PostgreSQL clients is none of a MySQL client\'s, whatever its name', () => {
  const control = new FakeControl();
  control.publish({ item: onLocal }, { views: { 'public.v': ['public.item'] } });
  expect([decided('SELECT * FROM item', control.snapshot), decided('DELETE FROM v', control.snapshot), decided('CALL p()', control.snapshot)]).toEqual(['remote', 'remote', 'remote']);
});
