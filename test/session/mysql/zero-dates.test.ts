/** Property: a column whose zero dates are -infinity on local answers MySQL clients what the server answers, prepared or not; what would have to be guessed is refused by name. */
import type mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal, onSource } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const never = '0000-00-00 00:00:00';
const lenient = "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'";
const table = `CREATE TABLE post (id int AUTO_INCREMENT PRIMARY KEY, made datetime NOT NULL DEFAULT '${never}', day date NOT NULL DEFAULT '0000-00-00', changed datetime NULL, title varchar(40) NOT NULL DEFAULT '') ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`;

const writes = [
  `INSERT INTO post (made, day, changed, title) VALUES ('${never}', '0000-00-00', NULL, 'a'), ('2024-02-29 10:20:30', '2024-02-29', '${never}', 'b'), ('2023-01-01 00:00:00', '2023-01-01', '2023-01-01 01:02:03', 'c')`,
  "INSERT INTO post (title) VALUES ('d')", `UPDATE post SET made = '${never}' WHERE title = 'c'`, `UPDATE post SET changed = made WHERE made = '${never}' AND title = 'd'`,
];
const reads = [
  'SELECT id, made, day, changed FROM post ORDER BY id', `SELECT id FROM post WHERE made = '${never}' ORDER BY id`, `SELECT id FROM post WHERE made > '${never}' OR changed <> '${never}' ORDER BY id`, "SELECT id FROM post WHERE day < '2020-01-01' ORDER BY id",
  'SELECT id FROM post ORDER BY made, changed, id', 'SELECT id FROM post ORDER BY made DESC, id', 'SELECT MIN(made), MAX(made), MIN(day), COUNT(DISTINCT made), COUNT(changed) FROM post', 'SELECT made, COUNT(*) FROM post GROUP BY made ORDER BY made',
  'SELECT id, YEAR(made), QUARTER(made), MONTH(day), DAY(made), HOUR(made), MINUTE(made), SECOND(made) FROM post ORDER BY id', "SELECT id, CONCAT(made, '|', day), IFNULL(changed, made), COALESCE(changed, '2020-01-01 00:00:00') FROM post ORDER BY id",
  'SELECT id, DATE(made), changed IS NULL, made IS NOT NULL FROM post ORDER BY id', `SELECT id FROM post WHERE made BETWEEN '${never}' AND '2023-06-01' ORDER BY id`, `SELECT id FROM post WHERE made IN ('${never}', '2024-02-29 10:20:30') ORDER BY id`, 'SELECT id FROM post WHERE made < NOW() ORDER BY id',
];
const refused = [
  "SELECT DATE_FORMAT(made, '%Y') FROM post", 'SELECT made + INTERVAL 1 DAY FROM post', 'SELECT DATEDIFF(made, day) FROM post', 'SELECT UNIX_TIMESTAMP(made) FROM post', 'SELECT id FROM post WHERE made IS NULL', 'SELECT DAYOFWEEK(made) FROM post', 'SELECT CAST(made AS DATETIME) FROM post', 'SELECT TIMESTAMPDIFF(DAY, made, NOW()) FROM post',
];

describeMysql(['mariadb-10.11'], 'zero dates on local', () => {
  let sides: BothSides;

  beforeAll(async () => {
    sides = await BothSides.start('mariadb-10.11', [table], { overrides: [{ column: undefined, type: undefined, policies: [{ loss: 'zero_date', policy: 'clamp' }] }] });
  });

  afterAll(() => sides?.[Symbol.asyncDispose]());

  /** Of each side the answers to the same statements, from a table without rows on. */
  async function answers(ask: (client: mysql.Connection) => Promise<unknown>): Promise<readonly unknown[]> {
    await sides.source.mysql.sql('TRUNCATE post', 'shop');
    await sides.source.local.query('TRUNCATE shop.post RESTART IDENTITY');
    const found: unknown[] = [];
    for (const route of [onSource, onLocal]) {
      sides.publish({ post: route });
      const client = await sides.connect({ dateStrings: true });
      await client.query(lenient);
      found.push(await ask(client));
      sides.endClients();
    }
    return found;
  }

  test.each([['as texts', false], ['prepared', true]] as const)('written and read, %s', async (_, isPrepared) => {
    const [there, here] = await answers(async (client) => {
      const lines: string[] = [];
      for (const sql of [...writes, ...reads]) lines.push(`${sql} => ${JSON.stringify(isPrepared ? (await client.execute(sql))[0] : (await client.query(sql))[0])}`);
      if (isPrepared) lines.push(JSON.stringify((await client.execute('INSERT INTO post (made, day, title) VALUES (?, ?, ?)', [never, '0000-00-00', 'e']))[0]), JSON.stringify((await client.execute("SELECT made, day FROM post WHERE title = 'e'"))[0]));
      // The text behind an OK, and whether an index served, are the server's own.
      return lines.map((line) => line.replace(/"info":.*$/, ''));
    });
    expect(JSON.stringify(there)).toContain(never);
    expect(here).toEqual(there);
    expect(await sides.onLocal("SELECT made::text, day::text FROM shop.post WHERE title = 'd'")).toBe('-infinity|-infinity');
  });

  test('refused: what has no one answer', async () => {
    sides.publish({ post: onLocal });
    const client = await sides.connect();
    await client.query(lenient);
    for (const sql of refused) await expect(client.query(sql), sql).rejects.toMatchObject({ message: expect.stringMatching(/MIG082.*zero date/s) });
    // As a strict session with NO_ZERO_DATE writes none on the server.
    await client.query("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE'");
    await expect(client.query(`INSERT INTO post (made) VALUES ('${never}')`)).rejects.toMatchObject({ message: expect.stringMatching(/MIG082/) });
    sides.endClients();
  });
});
