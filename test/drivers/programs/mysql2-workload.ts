/** Statements through mysql2; prints `name => what came` for each. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { createConnection } from 'mysql2';
import mysql from 'mysql2/promise';

const where = { host: process.env['MYSQL_HOST'] ?? '', port: Number(process.env['MYSQL_TCP_PORT']), user: 'causeway', password: process.env['MYSQL_PWD'] ?? '', database: 'shop' };
let count = 0;

function say(name: string, value: unknown): void {
  count += 1;
  console.log(`${name} => ${JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each))}`);
}

async function tried(name: string, what: () => Promise<unknown>): Promise<void> {
  try {
    say(name, await what());
  } catch (error) {
    const { code, errno, sqlState, sqlMessage } = error as { code?: string; errno?: number; sqlState?: string; sqlMessage?: string };
    say(name, { code, errno, sqlState, sqlMessage: sqlMessage?.replace(/`?\w+@[\w.]+`?/g, 'somebody') });
  }
}

type Result = readonly [unknown, unknown];

/** Of one result, or of several. */
function described(fields: unknown): unknown {
  if (Array.isArray(fields)) return fields.map(described);
  return typeof fields === 'object' && fields !== null && 'name' in fields && 'columnType' in fields ? [fields.name, fields.columnType] : typeof fields;
}

function told([rows, fields]: Result): unknown {
  return { rows, columns: described(fields) };
}

const main = await mysql.createConnection({ ...where, multipleStatements: true, supportBigNumbers: true, dateStrings: true });
const statements = [
  'SELECT 1', 'SELECT * FROM kinds ORDER BY id', 'SELECT * FROM item ORDER BY id', 'SELECT id FROM item WHERE 0', 'DO 1', 'SELECT NULL', 'SHOW TABLES', 'SHOW CREATE TABLE item', 'DESCRIBE kinds', 'SELECT nothing', 'SELEC 1',
  "INSERT INTO item (name) VALUES ('j1'), ('j2')", "UPDATE item SET price = 2 WHERE name LIKE 'j%'", "INSERT INTO item (name) VALUES ('one')", "DELETE FROM item WHERE name LIKE 'j%'", "SELECT CAST('x' AS SIGNED)", 'SHOW WARNINGS',
  'CALL two_results(4, @b)', 'CALL fails(3)', 'SELECT @b', 'SELECT * FROM missing', 'SELECT doubled(21)', 'SET @a = 5', 'SELECT @a', "SELECT 'ß', '漢字'", 'SHOW VARIABLES LIKE "sql_mode"', 'SELECT @@autocommit',
];
for (const sql of statements) {
  await tried(`text ${sql.slice(0, 50)}`, async () => told(await main.query(sql)));
  await tried(`prepared ${sql.slice(0, 50)}`, async () => told(await main.execute(sql)));
}
for (const sql of ['SELECT 1; SELECT 2, 3; DO 0; SELECT 4', 'SELECT 1; SELECT nothing; SELECT 3', 'BEGIN; SELECT 1; ROLLBACK', 'CALL two_results(1, @b); SELECT @b']) await tried(`several ${sql}`, async () => told(await main.query(sql)));
const values: readonly [string, unknown][] = [
  ['null', null], ['small', 1], ['negative', -5], ['fraction', 1.25], ['large', '9223372036854775807'], ['text', 'x ß 漢'], ['empty', ''], ['bytes', Buffer.from([0, 255, 10])], ['true', true], ['date', new Date(Date.UTC(2024, 1, 29, 12, 0, 0))],
  ['long', 'z'.repeat(70_000)], ['longer', 'z'.repeat(17 << 20)], ['long bytes', Buffer.alloc(300_000, 1)],
];
for (const [name, value] of values) {
  await tried(`parameter ${name}`, async () => (await main.execute('SELECT LENGTH(?) AS n, MD5(?) AS hash', [value, value] as mysql.ExecuteValues))[0]);
  await tried(`placeholder ${name}`, async () => (await main.query('SELECT LENGTH(?) AS n, MD5(?) AS hash', [value, value]))[0]);
}
for (const id of [1, 2, 3, 4]) await tried(`prepared again ${id}`, async () => (await main.execute('SELECT * FROM kinds WHERE id = ?', [id]))[0]);
await tried('a statement kept', async () => {
  const statement = await main.prepare('SELECT ? + ? AS sum');
  const sums = [await statement.execute([1, 2]), await statement.execute([10, 20]), await statement.execute([null, 1])].map(([rows]) => rows);
  await statement.close();
  return sums;
});
await tried('many statements', async () => {
  let sum = 0;
  for (let index = 0; index < 150; index += 1) sum += ((await main.execute(`SELECT ${index} AS n`))[0] as { n: number }[])[0]?.n ?? 0;
  return sum;
});
await tried('sent at once', async () => await Promise.all(Array.from({ length: 40 }, async (_, index) => ((await (index % 2 === 0 ? main.query('SELECT ? AS n', [index]) : main.execute('SELECT ? AS n', [index])))[0]))));
await tried('an error among those sent at once', async () => (await Promise.allSettled([main.query('SELECT 1'), main.query('SELECT nothing'), main.query('SELECT 2')])).map(({ status }) => status));
await tried('rows as a stream', async () => {
  let rows = 0;
  const plain = createConnection(where);
  for await (const _ of plain.query('SELECT a.id FROM item a, item b, item c, item d').stream()) rows += 1;
  plain.destroy();
  return rows;
});
await tried('rows as arrays', async () => (await main.query({ sql: 'SELECT id, name FROM item ORDER BY id', rowsAsArray: true }))[0]);
for (const size of [1, 70_000, (1 << 24) - 5, (1 << 24) - 1, 1 << 24]) await tried(`answer of ${size}`, async () => ((await main.query(`SELECT REPEAT('x', ${size}) AS x`))[0] as { x: string }[])[0]?.x.length);
for (const size of [1, 70_000, (1 << 24) - 5, 1 << 24]) await tried(`prepared answer of ${size}`, async () => ((await main.execute(`SELECT REPEAT('x', ${size}) AS x`))[0] as { x: string }[])[0]?.x.length);
await tried('local infile', async () => (await main.query({ sql: "LOAD DATA LOCAL INFILE 'stream' INTO TABLE item (name, price)", infileStreamFactory: () => Readable.from(Array.from({ length: 300 }, (_, i) => Buffer.from(`s${i}\t${i}\n`))) }))[0]);
await tried('what it loaded', async () => (await main.query("DELETE FROM item WHERE name LIKE 's%'"))[0]);
await tried('local infile that is not wanted', async () => (await main.query("LOAD DATA LOCAL INFILE '/nowhere' INTO TABLE item (name)"))[0]);
await tried('transaction', async () => {
  await main.beginTransaction();
  await main.query("INSERT INTO item (name) VALUES ('t1')");
  await main.rollback();
  await main.beginTransaction();
  await main.commit();
  return (await main.query("SELECT COUNT(*) AS n FROM item WHERE name = 't1'"))[0];
});
await tried('ping', () => main.ping());
await tried('another user, another database', async () => {
  await main.query('SET @mine = 1');
  await main.changeUser({ user: where.user, password: where.password, database: 'mysql' });
  const there = (await main.query('SELECT DATABASE() AS d, @mine AS mine'))[0];
  await main.changeUser({ user: where.user, password: where.password, database: 'shop' });
  return there;
});
await tried('reset', async () => {
  await main.query('SET @mine = 2');
  await main.reset();
  return (await main.query('SELECT @mine AS mine, DATABASE() AS d'))[0];
});
await tried('prepared after it', async () => (await main.execute('SELECT ? AS n', [1]))[0]);
await tried('killed', async () => {
  const [victim, killer] = [await mysql.createConnection(where), await mysql.createConnection(where)];
  const slept = victim.query('SELECT SLEEP(30) AS s').then(([rows]) => rows, (error: unknown) => (error as { code?: string }).code);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await killer.query(`KILL QUERY ${victim.threadId}`);
  const outcome = await slept;
  const still = (await victim.query('SELECT 1 AS one'))[0];
  const ended = once(victim, 'error').then(() => 'ended');
  await killer.query(`KILL ${victim.threadId}`);
  const last = await ended;
  await killer.end();
  return { outcome, still, last };
});
const options: readonly mysql.ConnectionOptions[] = [{ charset: 'latin1_swedish_ci' }, { charset: 'utf8mb4_bin' }, { flags: ['-FOUND_ROWS'] }, { flags: ['-DEPRECATE_EOF'] }, { flags: ['-SESSION_TRACK', '-PLUGIN_AUTH_LENENC_CLIENT_DATA'] }, { database: 'nowhere' }, { connectAttributes: { program: 'x' } }];
for (const more of options) {
  await tried(`connect ${JSON.stringify(more)}`, async () => {
    const connection = await mysql.createConnection({ ...where, ...more });
    const rows = [(await connection.query('SELECT @@character_set_client AS c, DATABASE() AS d'))[0], (await connection.query('UPDATE item SET price = 1.5 WHERE id = 1'))[0], (await connection.execute('SELECT * FROM item WHERE id < 3'))[0]];
    await connection.end();
    return rows;
  });
}
await main.end();
console.log(`statements => ${count}`);
