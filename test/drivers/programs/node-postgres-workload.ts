/** What applications do through node-postgres, on the tables of `setup.sql`; gives each statement's outcome as a line `name => what came`. */
import pg from 'pg';

export async function nodePostgresWorkload(target: pg.ClientConfig): Promise<string> {
  const lines: string[] = [];
  const client = new pg.Client(target);
  const notices: string[] = [];
  client.on('notice', (notice) => notices.push(`${notice.severity ?? ''} ${notice.message ?? ''}`));

  const say = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    let came: string;
    try {
      came = JSON.stringify(await work());
    } catch (error) {
      const { code, message, table, constraint, position } = error as pg.DatabaseError;
      came = `error ${JSON.stringify({ code, message, table, constraint, position })}`;
    }
    lines.push(`${name} => ${came}${notices.splice(0).map((notice) => ` ${notice}`).join('')}`);
  };
  const ask = async (config: string | pg.QueryConfig | pg.QueryArrayConfig, values?: unknown[]): Promise<unknown> => {
    const answer = await client.query(config as pg.QueryConfig, values);
    return (Array.isArray(answer) ? answer as pg.QueryResult[] : [answer]).map(({ command, rowCount, rows, fields }) => ({ command, rowCount, rows: rows as unknown, fields: fields?.map(({ name, format }) => `${name} ${format}`) }));
  };
  const run = (sql: string, values?: unknown[]): Promise<void> => say(sql, () => ask(sql, values));

  await client.connect();
  await run('TRUNCATE item, entry RESTART IDENTITY');
  for (let n = 1; n <= 10; n += 1) {
    await run('INSERT INTO item(name, price, made, flags, doc, at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *', [`item ${n}`, n * 1.5, '2024-02-03', ['a', null, `q"${n}`], { n }, new Date(Date.UTC(2024, 1, n))]);
    await run('INSERT INTO entry SELECT $1::int, $2 || g FROM generate_series(1, 5) g', [n, 'note ']);
  }
  for (let n = 1; n <= 10; n += 1) {
    await say('named', () => ask({ name: 'by-id', text: 'SELECT id, name, doc FROM item WHERE id = $1', values: [n] }));
    await say('named, of both in turn', () => ask({ name: `plain-${n % 2}`, text: n % 2 === 0 ? 'SELECT v FROM plain WHERE id = $1' : 'SELECT name FROM item WHERE id = $1', values: [n] }));
    await say('as arrays', () => ask({ rowMode: 'array', text: 'SELECT * FROM entry WHERE item = $1', values: [n] }));
    await run('SELECT v FROM plain WHERE id = $1', [n]);
  }
  for (const sql of ['SELECT nothing FROM item', 'SELEC 1', 'SELECT * FROM missing', 'INSERT INTO item(name) VALUES (NULL)', "INSERT INTO item(name, price) VALUES ('x', -1)", 'INSERT INTO item(id, name) VALUES (1, \'again\')', 'SELECT 1 / 0', '']) await run(sql);
  await run('SELECT $1::int', ['x']);
  await run('SELECT $1::int / $2::int', [1, 0]);
  for (const [sql, value] of [['SELECT $1::date::text', '2024-02-28'], ['SELECT $1::timestamptz', new Date(0)], ['SELECT $1::jsonb', { a: [1, null] }], ['SELECT $1::bytea', Buffer.from([0, 255])], ['SELECT $1::bool', true], ['SELECT $1::int8', '9007199254740993'], ['SELECT $1::numeric', '1e-20'], ['SELECT $1::float8', 'NaN'], ['SELECT $1::text[]', ['a', 'b,c', '']], ['SELECT $1::interval', '1 day 2:03'], ['SELECT $1::inet', '10.0.0.1/8'], ['SELECT $1::uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], ['SELECT $1::text', null], ['SELECT $1::point', '(1,2)']] as const) {
    await run(sql, [value]);
    await say(`${sql}, named`, () => ask({ name: sql, text: sql, values: [value] }));
  }
  for (const commits of ['COMMIT', 'ROLLBACK']) {
    await run('BEGIN');
    await run("UPDATE item SET name = name || '!' WHERE id <= 3");
    await run('SAVEPOINT a');
    await run('INSERT INTO item(id, name) VALUES (1, \'again\')');
    await run('SELECT 1');
    await run('ROLLBACK TO a');
    await run('SELECT id, name FROM item ORDER BY id LIMIT 4');
    await run('DECLARE c CURSOR FOR SELECT item, note FROM entry ORDER BY item, note');
    await run('FETCH 7 FROM c');
    await run('MOVE 3 FROM c');
    await run('FETCH 2 FROM c');
    await run('CLOSE c');
    await run(commits);
    await run('SELECT name FROM item ORDER BY id LIMIT 3');
  }
  for (const level of ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
    await run(`BEGIN ISOLATION LEVEL ${level} READ ONLY`);
    if (level !== 'SERIALIZABLE') await run('SHOW transaction_isolation');
    await run('SELECT count(*)::int FROM item');
    await run('DELETE FROM entry');
    await run('COMMIT');
  }
  await run('BEGIN ISOLATION LEVEL SERIALIZABLE');
  await say('SERIALIZABLE, after a SHOW', async () => {
    await client.query('SHOW transaction_isolation');
    return ask('SELECT count(*)::int FROM item');
  });
  await run('ROLLBACK');
  await run('SELECT count(*)::int FROM item; SELECT count(*)::int FROM entry; UPDATE entry SET note = note');
  await run('BEGIN; DELETE FROM entry WHERE item = 9; SELECT 1 / 0; COMMIT');
  await run('ROLLBACK');
  await run('SELECT count(*)::int FROM entry');
  await run("DO $$ BEGIN RAISE NOTICE 'noticed %', 7; END $$");
  for (const sql of ["SET TimeZone = 'Asia/Tokyo'", 'SHOW TimeZone', 'SELECT at::text FROM item WHERE id = 1', 'RESET TimeZone', 'SET search_path = pg_catalog', 'SELECT count(*)::int FROM item', 'RESET search_path', 'SELECT count(*)::int FROM item', 'CREATE TEMP TABLE mine(a int)', 'INSERT INTO mine SELECT generate_series(1, 5)', 'SELECT sum(a)::int FROM mine', 'DISCARD ALL', 'SELECT * FROM mine']) await run(sql);
  await say('many at once', async () => {
    const answers = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((n) => client.query(n === 4 ? 'SELECT 1 / 0 FROM item' : 'SELECT count(*)::int AS n FROM item WHERE id > $1', n === 4 ? [] : [n])));
    return answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows as unknown : (answer.reason as Error).message));
  });
  await say('notifications', async () => {
    const heard: string[] = [];
    client.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload ?? ''}`));
    await client.query('LISTEN news');
    await client.query("SELECT pg_notify('news', 'one')");
    await client.query("NOTIFY news, 'two'");
    await client.query('UNLISTEN *');
    return heard;
  });
  await say('statement timeout', async () => {
    await client.query("SET statement_timeout = '300ms'");
    try {
      return await ask('SELECT pg_sleep(20), count(*) FROM item');
    } finally {
      await client.query('RESET statement_timeout');
    }
  });
  await run('DELETE FROM item WHERE id > 5 RETURNING id');
  lines.push(`statements => ${lines.length}`);
  await client.end();
  return lines.join('\n');
}
