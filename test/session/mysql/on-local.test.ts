/** Property: for a MySQL client a table whose rows are on local is answered as a MySQL server answers, and its transaction is one, whichever sides it is on. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { decisionTableSql } from '../../../cdc/mysql/decisions.ts';
import type { QuiesceReport } from '../../../src/session/control-port.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal, onSource } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';
import { plainDialect } from './plain-dialect.ts';

type Header = mysql.ResultSetHeader;
type Rows = mysql.RowDataPacket[];

describeMysql(['mariadb-10.11'], 'tables on local and MySQL clients', () => {
  let sides: BothSides;

  beforeAll(async () => {
    sides = await BothSides.start('mariadb-10.11', [
      'CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20) NOT NULL, n int, flag tinyint(1), data blob, UNIQUE KEY by_name (name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
      'CREATE TABLE other (id int PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE plain (id int PRIMARY KEY, item varchar(40)) ENGINE=InnoDB',
      'CREATE VIEW seen AS SELECT id, name FROM item',
    ], { dialect: plainDialect });
  });

  beforeEach(async () => {
    await sides.source.local.query("TRUNCATE shop.item, shop.other RESTART IDENTITY; INSERT INTO shop.item (name, n, flag, data) VALUES ('one', 1, true, '\\x00ff'), ('zwölf', NULL, false, NULL); INSERT INTO shop.other VALUES (1, 1)");
    await sides.source.mysql.sql("DELETE FROM item; DELETE FROM other; DELETE FROM plain; INSERT INTO item (id, name) VALUES (1, 'stale'); INSERT INTO other VALUES (1, 100); INSERT INTO plain VALUES (1, 'x')", 'shop');
    sides.publish({ item: onLocal, other: onLocal }, { views: { 'shop.seen': ['shop.item'] } });
  });

  afterEach(() => sides.endClients());
  afterAll(() => sides?.[Symbol.asyncDispose]());

  const report = (): QuiesceReport => sides.door.quiesceReport(['shop.item'], sides.control.snapshot.epoch + 1);
  const names = (): Promise<string | undefined> => sides.onLocal('SELECT name FROM shop.item ORDER BY id');

  test('rows as texts, described as MySQL does', async () => {
    const client = await sides.connect();
    const [rows, fields] = await client.query<Rows>('SELECT id, name, n, flag, data FROM item ORDER BY id');
    expect(rows).toEqual([{ id: 1, name: 'one', n: 1, flag: 1, data: Buffer.from([0, 255]) }, { id: 2, name: 'zwölf', n: null, flag: 0, data: null }]);
    expect(fields.map(({ name, orgTable, schema, columnType }) => [name, orgTable, schema, columnType])).toEqual([['id', 'item', 'shop', 3], ['name', 'item', 'shop', 253], ['n', 'item', 'shop', 3], ['flag', 'item', 'shop', 1], ['data', 'item', 'shop', 252]]);
    expect((await client.query<Rows>('SELECT id FROM item WHERE id = 7'))[0]).toEqual([]);
    expect((await client.query<Rows>("SELECT id, item FROM plain WHERE item <> 'item'"))[0]).toEqual([{ id: 1, item: 'x' }]);
  });

  test('prepared statements: values, long data, executions before and after the table moves, there and back', async () => {
    sides.publish({ item: onSource, other: onSource });
    const client = await sides.connect();
    const read = await client.prepare('SELECT name, n, flag FROM item WHERE id = ?');
    expect((await read.execute([1]))[0]).toEqual([{ name: 'stale', n: null, flag: null }]);
    sides.publish({ item: onLocal, other: onLocal });
    expect((await read.execute([1]))[0]).toEqual([{ name: 'one', n: 1, flag: 1 }]);
    const add = await client.prepare('INSERT INTO item (name, n, data) VALUES (?, ?, ?)');
    const [added] = await add.execute(['lång', null, Buffer.from([1])]) as unknown as [Header];
    expect([added.affectedRows, added.insertId]).toEqual([1, 3]);
    expect((await read.execute([3]))[0]).toEqual([{ name: 'lång', n: null, flag: null }]);
    sides.publish({ item: onSource, other: onSource });
    expect((await read.execute([1]))[0]).toEqual([{ name: 'stale', n: null, flag: null }]);
    const [there] = await add.execute(['there', 5, null]) as unknown as [Header];
    expect(there.affectedRows).toBe(1);
    sides.publish({ item: onLocal, other: onLocal });
    expect((await read.execute([2]))[0]).toEqual([{ name: 'zwölf', n: null, flag: 0 }]);
    await add.close();
    expect(await names()).toBe('one zwölf lång');
  });

  test('a session is told of with its connections to both servers', async () => {
    const client = await sides.connect({ connectAttributes: { program_name: 'shop front' } });
    const statement = await client.prepare('SELECT id FROM other');
    await client.query('SELECT id FROM item');
    const { clients } = sides.door.survey();
    const { port } = sides.source.mysql;
    expect(clients).toMatchObject([{ user: 'causeway', database: 'shop', protocol: 'mysql', state: 'idle', applicationName: 'shop front', preparedStatements: 1, lastStatement: 'SELECT id FROM item', parkedForMs: undefined }]);
    expect(clients[0]?.legs.map(({ side, port: at, user }) => [side, at, user])).toEqual([['source', port, 'causeway'], ['local', sides.source.postgres.address.port, sides.source.postgres.address.user]]);
    expect(clients[0]?.requestedForMs).toBeLessThanOrEqual(clients[0]?.connectedForMs ?? 0);
    await client.query('BEGIN');
    await client.query('SELECT id FROM item FOR UPDATE');
    expect(sides.door.survey().clients[0]).toMatchObject({ state: 'idle in transaction' });
    await statement.close();
  });

  test('counts and ids, on whichever side they were made', async () => {
    const client = await sides.connect();
    const [insert] = await client.query<Header>("INSERT INTO item (name, n) VALUES ('a', 1), ('b', 2)");
    expect([insert.affectedRows, insert.insertId]).toEqual([2, 3]);
    expect((await client.query<Rows>('SELECT LAST_INSERT_ID() AS id'))[0]).toEqual([{ id: 3 }]);
    const [update] = await client.query<Header>('UPDATE item SET n = 5 WHERE id >= 3');
    expect(update.affectedRows).toBe(2);
    expect((await client.query<Rows>('SELECT ROW_COUNT() AS n'))[0]).toEqual([{ n: 2 }]);
    const [given] = await client.query<Header>("INSERT INTO item (id, name) VALUES (77, 'given')");
    expect(given.insertId).toBe(77);
    expect((await client.query<Rows>('SELECT LAST_INSERT_ID() AS id FROM item WHERE id = 1'))[0]).toEqual([{ id: 3 }]);
    await client.query('SELECT id FROM item');
    expect((await client.query<Rows>('SELECT FOUND_ROWS() AS n'))[0]).toEqual([{ n: 5 }]);
    await client.query('INSERT INTO plain VALUES (2, LAST_INSERT_ID())');
    expect(await sides.onServer('SELECT item FROM plain WHERE id = 2')).toBe('3');
    await client.query('SELECT LAST_INSERT_ID(41)');
    expect((await client.query<Rows>('SELECT LAST_INSERT_ID() AS id FROM item WHERE id = 1'))[0]).toEqual([{ id: 41 }]);
  });

  test('errors have MySQL\'s numbers and words, and leave a transaction as it was', async () => {
    const client = await sides.connect();
    await client.beginTransaction();
    await client.query("INSERT INTO item (name) VALUES ('kept')");
    await expect(client.query("INSERT INTO item (name) VALUES ('one')")).rejects.toMatchObject({ errno: 1062, sqlState: '23000', message: "Duplicate entry 'one' for key 'by_name'" });
    await expect(client.query('INSERT INTO item (name) VALUES (NULL)')).rejects.toMatchObject({ errno: 1048, message: "Column 'name' cannot be null" });
    await expect(client.query("UPDATE item SET name = 'far too long for this column' WHERE id = 1")).rejects.toMatchObject({ errno: 1406, sqlState: '22001' });
    await expect(client.query('SELECT refuse_me FROM item')).rejects.toThrow(/MIG082.*REFUSE_ME/);
    await client.commit();
    expect(await names()).toBe('one zwölf kept');
    expect((await client.query<Rows>('SELECT @@in_transaction AS t'))[0]).toEqual([{ t: 0 }]);
  });

  test('GET_LOCK is the server\'s, also in a transaction on local', async () => {
    const [client, other] = [await sides.connect(), await sides.connect()];
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('held')");
    expect((await client.query<Rows>("SELECT GET_LOCK('item', 0) AS got"))[0]).toEqual([{ got: 1 }]);
    await client.commit();
    expect((await other.query<Rows>("SELECT GET_LOCK('item', 0) AS got"))[0]).toEqual([{ got: 0 }]);
    expect((await client.query<Rows>("SELECT RELEASE_LOCK('item') AS freed"))[0]).toEqual([{ freed: 1 }]);
    expect((await other.query<Rows>("SELECT GET_LOCK('item', 0) AS got"))[0]).toEqual([{ got: 1 }]);
    expect(await names()).toBe('one zwölf held');
  });

  test('BEGIN, COMMIT, ROLLBACK and savepoints are of both sides', async () => {
    const client = await sides.connect();
    await client.query('BEGIN');
    await client.query('SAVEPOINT before_all');
    await client.query("INSERT INTO item (name) VALUES ('a')");
    await client.query('SAVEPOINT `S p`');
    await client.query("INSERT INTO item (name) VALUES ('b')");
    await client.query('ROLLBACK TO `s P`');
    await client.query("INSERT INTO item (name) VALUES ('c')");
    expect((await client.query<Rows>('SELECT item FROM plain'))[0]).toEqual([{ item: 'x' }]);
    await client.query('RELEASE SAVEPOINT `S p`');
    await expect(client.query('ROLLBACK TO SAVEPOINT `S p`')).rejects.toMatchObject({ errno: 1305 });
    expect(await names()).toBe('one zwölf');
    await client.query('COMMIT');
    expect(await names()).toBe('one zwölf a c');
    await client.query('BEGIN');
    await client.query('SAVEPOINT s');
    await client.query("UPDATE item SET name = 'gone' WHERE id = 1");
    await client.query('ROLLBACK TO s');
    await client.query("INSERT INTO item (name) VALUES ('d')");
    await client.query('ROLLBACK');
    expect(await names()).toBe('one zwölf a c');
    await client.query('SET autocommit = 0');
    await client.query("UPDATE item SET name = 'eins' WHERE id = 1");
    expect(await names()).toBe('one zwölf a c');
    await client.query('SET autocommit = 1');
    expect(await names()).toBe('eins zwölf a c');
  });

  test('several statements in one text do not end a transaction behind local\'s back', async () => {
    const client = await sides.connect({ multipleStatements: true });
    await client.query('BEGIN; SAVEPOINT a; SAVEPOINT b');
    await client.query("INSERT INTO item (name) VALUES ('a')");
    await expect(client.query('SELECT 1; COMMIT')).rejects.toThrow('MIG082');
    await client.query('ROLLBACK TO b');
    await client.query("INSERT INTO item (name) VALUES ('b')");
    await client.query('COMMIT');
    expect(await names()).toBe('one zwölf b');
    await expect(client.query("PREPARE s FROM 'SELECT id FROM item'")).rejects.toThrow(/MIG082.*may touch tables/);
  });

  test('a transaction writes on one side', async () => {
    const client = await sides.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('a')");
    await expect(client.query("INSERT INTO plain VALUES (5, 'no')")).rejects.toThrow('MIG081');
    await client.query('COMMIT');
    await client.query('BEGIN');
    await client.query("INSERT INTO plain VALUES (6, 'yes')");
    await expect(client.query("INSERT INTO item (name) VALUES ('b')")).rejects.toThrow('MIG081');
    expect((await client.query<Rows>('SELECT n FROM other'))[0]).toEqual([{ n: 1 }]);
    await client.query('COMMIT');
    await client.query("INSERT INTO item (name) VALUES ('after')");
    expect([await names(), await sides.onServer('SELECT id FROM plain ORDER BY id')]).toEqual(['one zwölf a after', '1 6']);
  });

  test('a transaction that writes on the server and on local is committed on both or on neither, by whatever commits it', async () => {
    const { mysql: server, local } = sides.source;
    const client = await sides.connect({ multipleStatements: true });
    const able = { twoPhase: { sides: ['local'] as const, mark: 'causeway_test_', mysqlMark: 'causeway_testm_' } };
    sides.publish({ item: onLocal, other: onLocal }, able);
    await server.sql(`DROP DATABASE IF EXISTS causeway; ${decisionTableSql.join('; ')}; TRUNCATE shop.plain`);
    const values = async (): Promise<readonly (string | undefined)[]> => [await names(), await sides.onServer('SELECT id FROM plain ORDER BY id'), await sides.onLocal('SELECT count(*) FROM pg_prepared_xacts'), await sides.onServer('SELECT COUNT(*) FROM causeway.decision')];
    const write = async (id: number, ...between: readonly string[]): Promise<void> => {
      for (const sql of ['BEGIN', `INSERT INTO item (name) VALUES ('n${id}')`, `INSERT INTO plain VALUES (${id}, 'x')`, ...between]) await client.query(sql);
    };
    await write(1);
    await client.query('COMMIT');
    expect(await values()).toEqual(['one zwölf n1', '1', '0', '1']);
    // The server first, several statements in one text, savepoints; committed by what begins the next one, by a definition, by autocommit, by a chain.
    await client.query("BEGIN; INSERT INTO plain VALUES (2, 'x')");
    await client.query('SAVEPOINT s');
    await client.query("INSERT INTO item (name) VALUES ('no')");
    await client.query('ROLLBACK TO s');
    await client.query("INSERT INTO item (name) VALUES ('n2')");
    await client.query('BEGIN');
    await client.query('ROLLBACK');
    await write(3);
    await client.query('CREATE TABLE IF NOT EXISTS besides (id int)');
    await client.query('SET autocommit = 0');
    await client.query("INSERT INTO item (name) VALUES ('n4')");
    await client.query("INSERT INTO plain VALUES (4, 'x')");
    await client.query('SET autocommit = 1');
    await write(5);
    await client.query('COMMIT AND CHAIN');
    expect((await client.query<Rows>('SELECT @@in_transaction AS t').catch(() => [[{ t: 1 }]]))[0]).toEqual([{ t: 1 }]);
    await client.query('ROLLBACK');
    const whole = ['one zwölf n1 n2 n3 n4 n5', '1 2 3 4 5', '0', '5'];
    expect(await values()).toEqual(whole);
    await write(6);
    await client.query('ROLLBACK');
    // What the server refuses at the end, and what local does; and a way that has gone.
    await write(7);
    await server.sql('RENAME TABLE causeway.decision TO causeway.away');
    await expect(client.query('COMMIT')).rejects.toThrow(/MIG081.*decision/);
    await server.sql('RENAME TABLE causeway.away TO causeway.decision');
    await local.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation; END $$; CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()");
    await write(8);
    await expect(client.query('COMMIT')).rejects.toMatchObject({ errno: 1062 });
    await local.query('DROP FUNCTION refuse CASCADE');
    await write(9);
    sides.publish({ item: onLocal, other: onLocal });
    await expect(client.query('COMMIT')).rejects.toThrow('MIG081');
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('a')");
    await expect(client.query("INSERT INTO plain VALUES (10, 'no')")).rejects.toThrow('MIG081');
    await client.query('ROLLBACK');
    // Of several statements in one text, too.
    await client.query("BEGIN; INSERT INTO plain VALUES (11, 'x')");
    await expect(client.query("INSERT INTO item (name) VALUES ('a')")).rejects.toThrow('MIG081');
    await client.query('ROLLBACK');
    expect(await values()).toEqual(whole);
    await client.query("INSERT INTO item (name) VALUES ('after')");
    expect((await client.query<Rows>('SELECT name FROM item WHERE id > 8'))[0].at(-1)).toEqual({ name: 'after' });
  });

  test('plain reads of a transaction see one state; a conflict with another is MySQL\'s deadlock, and rolls both sides back', async () => {
    const client = await sides.connect();
    const writer = await sides.localClient();
    await client.query('BEGIN');
    expect((await client.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    await writer.query('UPDATE shop.item SET n = 2 WHERE id = 1');
    expect((await client.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    await expect(client.query('UPDATE item SET n = 9 WHERE id = 1')).rejects.toMatchObject({ errno: 1213, sqlState: '40001' });
    expect((await client.query<Rows>('SELECT @@in_transaction AS t'))[0]).toEqual([{ t: 0 }]);
    // One that begins with a write works on the newest rows, as at InnoDB.
    await client.query('BEGIN');
    await client.query('UPDATE item SET n = n + 10 WHERE id = 2');
    await writer.query('UPDATE shop.item SET n = 3 WHERE id = 1');
    await client.query('UPDATE item SET n = n + 10 WHERE id = 1');
    await client.query('COMMIT');
    expect(await sides.onLocal('SELECT n FROM shop.item WHERE id = 1')).toBe('13');
    await writer.end();
  });

  test('what needs both sides, or cannot be seen through, is refused by name', async () => {
    const client = await sides.connect();
    for (const [sql, said] of [
      ['SELECT id FROM seen', /"seen" reaches tables whose rows are on local/], ['ALTER TABLE item ADD x int', /MIG082.* ALTER TABLE "shop"\."item" …/], ['CREATE UNIQUE INDEX by_n ON item (n)', /CREATE UNIQUE INDEX CONCURRENTLY "by_n" ON "shop"\."item" \(…\)/], ['CALL anything()', /MIG082/],
    ] as const) await expect(client.query(sql)).rejects.toThrow(said);
    expect((await client.query<Rows>('SHOW COLUMNS FROM item'))[0]).toHaveLength(5);
    // What migration tools send first does nothing, as the server says.
    expect((await client.query('CREATE TABLE IF NOT EXISTS item (id int NOT NULL PRIMARY KEY, other varchar(20) DEFAULT NULL)'))[0]).toMatchObject({ warningStatus: 1 });
    expect((await client.query<Rows>('SHOW WARNINGS'))[0]).toMatchObject([{ Code: 1050 }]);
    expect((await client.query<Rows>('SELECT COUNT(*) AS c FROM item'))[0]).toEqual([{ c: 2 }]);
    expect((await client.query<Rows>("SELECT table_name AS t FROM information_schema.tables WHERE table_name = 'item'"))[0]).toEqual([{ t: 'item' }]);
  });

  test('several statements in one text', async () => {
    const client = await sides.connect({ multipleStatements: true });
    const [results] = await client.query("INSERT INTO item (name) VALUES ('a'); SELECT id FROM item WHERE name = 'a'; UPDATE item SET n = 0 WHERE id = 3");
    expect(results).toMatchObject([{ affectedRows: 1, insertId: 3 }, [{ id: 3 }], { affectedRows: 1 }]);
    await expect(client.query("SELECT id FROM item; SELECT id FROM plain")).rejects.toThrow('MIG082');
    await expect(client.query("INSERT INTO item (name) VALUES ('b'); INSERT INTO item (name) VALUES ('b'); INSERT INTO item (name) VALUES ('c')")).rejects.toMatchObject({ errno: 1062 });
    expect(await names()).toBe('one zwölf a b');
  });

  test('a barrier waits for who is on local, and who comes later waits for it', async () => {
    const [holder, late] = [await sides.connect(), await sides.connect()];
    await holder.query('BEGIN');
    await holder.query("INSERT INTO item (name) VALUES ('held')");
    await late.query('SELECT id FROM item WHERE id = 1');
    expect(report().holding).toMatchObject([{ user: 'causeway', backendPids: { source: expect.any(Number), local: expect.any(Number) } }]);
    sides.publish({ item: { ...onLocal, quiescing: true, barrier: 3 }, other: onLocal });
    const waiting = late.query<Rows>('SELECT name FROM item WHERE id = 1');
    await expect.poll(() => report().parked).toBe(1);
    sides.publish({ item: { ...onLocal, quiescing: true, barrier: 3, closed: true }, other: onLocal });
    await holder.query("UPDATE item SET n = 4 WHERE name = 'held'");
    expect(report().holding).toHaveLength(1);
    await holder.query('COMMIT');
    await expect.poll(() => report().holding).toEqual([]);
    expect(await sides.onLocal("SELECT n FROM shop.item WHERE name = 'held'")).toBe('4');
    sides.publish({ item: onSource, other: onLocal });
    expect((await waiting)[0]).toEqual([{ name: 'stale' }]);
  });

  test('a client that does not read is waited for, and one that goes leaves nothing running', async () => {
    await sides.source.local.query("INSERT INTO shop.item (name, data) SELECT 'r' || g, repeat('x', 20000)::bytea FROM generate_series(1, 3000) g");
    const client = await sides.connect();
    const before = process.memoryUsage().rss;
    // The promises of mysql2 have no streams.
    const { connection } = client as unknown as { readonly connection: { query(sql: string): { stream(options: object): AsyncIterable<Record<string, unknown>> } } };
    let count = 0;
    for await (const row of connection.query('SELECT id, data FROM item').stream({ highWaterMark: 1 })) {
      if (count === 0) await new Promise((resolve) => setTimeout(resolve, 300));
      expect(row['id']).toBe(++count);
    }
    expect(count).toBe(3_002);
    expect(process.memoryUsage().rss - before).toBeLessThan(250e6);
    const leaver = await sides.connect();
    leaver.query('SELECT id, pg_sleep(30) AS s FROM item').catch(() => undefined);
    const running = (): Promise<string | undefined> => sides.onLocal("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()");
    await expect.poll(running).toBe('1');
    leaver.destroy();
    await expect.poll(running).toBe('0');
    expect(report().holding).toEqual([]);
  });

  test('another database, a reset and another user leave nothing of the transaction before', async () => {
    const client = await sides.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('reset')");
    const { connection } = client as unknown as { readonly connection: { reset(done: (error: unknown) => void): void } };
    await new Promise<void>((resolve, reject) => connection.reset((error) => (error ? reject(new Error(String(error))) : resolve())));
    expect(await names()).toBe('one zwölf');
    expect(report().holding).toEqual([]);
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('changed')");
    await client.changeUser({ user: 'causeway', database: 'mysql' });
    expect(await names()).toBe('one zwölf');
    await expect(client.query('SELECT id FROM item')).rejects.toThrow(/item/);
    expect((await client.query<Rows>('SELECT id FROM shop.item WHERE id = 1'))[0]).toEqual([{ id: 1 }]);
    await client.query('USE shop');
    expect((await client.query<Rows>('SELECT id FROM item WHERE id = 1'))[0]).toEqual([{ id: 1 }]);
    await client.query('SET NAMES latin1');
    expect((await client.query<Rows>('SELECT name FROM item WHERE id = 2'))[0]).toHaveLength(1);
    await client.query('SET sql_select_limit = 1');
    await expect(client.query('SELECT id FROM item')).rejects.toThrow(/MIG082.*sql_select_limit/);
  });

  test('KILL QUERY ends what runs on local', async () => {
    const [client, killer] = [await sides.connect(), await sides.connect()];
    const running = client.query('SELECT id, pg_sleep(30) AS s FROM item').then(() => undefined, (error: unknown) => error);
    await expect.poll(() => sides.onLocal("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()")).toBe('1');
    await killer.query(`KILL QUERY ${client.threadId}`);
    expect(await running).toMatchObject({ errno: 1317 });
    expect((await client.query<Rows>('SELECT id FROM item WHERE id = 1'))[0]).toEqual([{ id: 1 }]);
  });

  test('a transaction whose connection to local is lost ends with its client\'s connection', async () => {
    const client = await sides.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO item (name) VALUES ('lost')");
    await sides.source.local.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway mysql'");
    await expect(client.query('COMMIT')).rejects.toThrow();
    const [again] = await (await sides.connect()).query<Rows>('SELECT name FROM item ORDER BY id');
    expect(again).toEqual([{ name: 'one' }, { name: 'zwölf' }]);
    expect(report().holding).toEqual([]);
  });
});
