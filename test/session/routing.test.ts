/** Property: statements run where the snapshot says, in the session's own state, and a change of route is not noticed by the client. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, c, d, e, fieldsOf, firstValue, h, p, q, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: RawClient;

/** Each table holds one row that says on which side it is. */
const setUp = `DROP TABLE IF EXISTS a, b, w; CREATE TABLE a(k int PRIMARY KEY, side text); CREATE TABLE b(k int PRIMARY KEY, side text); CREATE TABLE w(k int PRIMARY KEY, side text);`;

beforeAll(async () => {
  source = await startTestPostgres();
  local = await startTestPostgres();
  fixture = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 400 } });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const [server, name] of [[source, 'source'], [local, 'local']] as const) {
    const admin = new pg.Client(server.address);
    await admin.connect();
    await admin.query(setUp);
    for (const table of ['a', 'b', 'w']) await admin.query(`INSERT INTO ${table} VALUES (1, '${name}')`);
    await admin.end();
  }
  fixture.control.autoVisible = true;
  fixture.control.leaseValid = true;
  fixture.control.publish({});
  client = await RawClient.connect(fixture.gateway.port);
});

afterEach(() => client.end());

const types = (messages: readonly { type: string }[]): string => messages.map(({ type }) => type).join('');
const value = async (sql: string): Promise<string | undefined> => firstValue(await client.ask(q(sql)));
const errorOf = (messages: Parameters<typeof fieldsOf>[0][]): string | undefined => fieldsOf(messages.find((found) => found?.type === 'E'))['C'];

async function onServer(server: TestPostgres, sql: string): Promise<string> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  const result = await admin.query<Record<string, unknown>>(sql);
  await admin.end();
  return String(Object.values(result.rows[0] ?? {})[0]);
}

describe('a name of a prepared statement that is taken', () => {
  it.each([['a table on local', 'SELECT side FROM a'], ['a table of the source', 'SELECT side FROM b'], ['BEGIN', 'BEGIN']])('is refused, whatever comes second: %s', async (_what, first) => {
    fixture.control.publish({ a: onLocal });
    expect(types(await client.ask([p('n', first), s]))).toBe('1Z');
    for (const second of ['SELECT side FROM a', 'SELECT side FROM b', 'SELECT 1', 'ROLLBACK']) {
      const answer = await client.ask([p('n', second), b('', 'n'), e(''), s]);
      expect([second, types(answer), fieldsOf(answer[0])['C']]).toEqual([second, 'EZ', '42P05']);
    }
    expect(types(await client.ask([p('', 'SELECT side FROM b'), b('', ''), e(''), p('n', 'SELECT side FROM b'), s]))).toBe('12DCEZ');
    expect(types(await client.ask([c('S', 'n'), p('n', 'SELECT side FROM b'), b('', 'n'), e(''), s]))).toBe('312DCZ');
    expect(types(await client.ask([b('', 'n'), e(''), s]))).toBe('2DCZ');
  });
});

describe('routes', () => {
  it('sends each table to its side, and follows a change of route', async () => {
    expect(await value('SELECT side FROM a')).toBe('source');
    fixture.control.publish({ a: onLocal, b: onSource });
    expect(await value('SELECT side FROM a')).toBe('local');
    expect(await value('SELECT side FROM b')).toBe('source');
    fixture.control.publish({ a: onSource });
    expect(await value('SELECT side FROM a')).toBe('source');
  });

  it('refuses a statement that needs both sides', async () => {
    fixture.control.publish({ a: onLocal, b: onSource });
    const answer = await client.ask(q('SELECT 1 FROM a, b FOR UPDATE'));
    expect(fieldsOf(answer[0])).toMatchObject({ C: '0A000', M: expect.stringMatching(/^MIG080/) });
    expect(types(answer)).toBe('EZ');
    expect(await value('SELECT side FROM a')).toBe('local');
  });

  it('a pipeline goes on on the other side, and is one transaction', async () => {
    fixture.control.publish({ a: onLocal, b: onSource });
    const answer = await client.ask([p('', `INSERT INTO b VALUES (2, 'x')`), b('', ''), e(''), p('', 'SELECT * FROM a'), b('', ''), e(''), s]);
    expect(types(answer)).toBe('12C12DCZ');
    expect(await value('SELECT count(*) FROM b')).toBe('2');
    expect(types(await client.ask([p('', `INSERT INTO b VALUES (3, 'x')`), b('', ''), e(''), p('', 'SELECT 1 / 0 FROM a'), b('', ''), e(''), s]))).toMatch(/^12C1?2?EZ$/);
    expect(await value('SELECT count(*) FROM b')).toBe('2');
    expect(types(await client.ask([p('', 'SELECT * FROM a'), b('', ''), d('P', ''), e(''), s]))).toBe('12TDCZ');
  });

  it('answers statements in the order in which they were sent, across legs', async () => {
    fixture.control.publish({ a: onLocal, b: onSource });
    const unit = (table: string): Buffer[] => [p('', `SELECT side FROM ${table}`), b('', ''), e(''), s];
    const answer = await client.ask([...unit('a'), ...unit('b'), ...unit('a'), q('SELECT side FROM b'), q('SELECT side FROM a')], 5);
    expect(answer.filter(({ type }) => type === 'D').map(({ body }) => body.subarray(6).toString())).toEqual(['local', 'source', 'local', 'source', 'local']);
  });
});

describe('prepared statements', () => {
  it('survive source → local → source', async () => {
    const run = async (): Promise<string | undefined> => firstValue(await client.ask([b('', 'st', ['1']), e(''), s]));
    expect(types(await client.ask([p('st', 'SELECT side FROM a WHERE k = $1'), d('S', 'st'), s]))).toBe('1tTZ');
    expect(await run()).toBe('source');
    fixture.control.publish({ a: onLocal });
    expect(await run()).toBe('local');
    expect(await run()).toBe('local');
    fixture.control.publish({ a: onSource });
    expect(await run()).toBe('source');
    fixture.control.publish({ a: onLocal });
    expect(types(await client.ask([d('S', 'st'), b('', 'st', ['1']), d('P', ''), e(''), s]))).toBe('tT2TDCZ');
    expect(types(await client.ask([c('S', 'st'), s]))).toBe('3Z');
    expect(errorOf(await client.ask([b('', 'st', ['1']), e(''), s]))).toBe('26000');
    expect(types(await client.ask([p('st', 'SELECT 1'), b('', 'st'), e(''), s]))).toBe('12DCZ');
  });

  it('keeps the unnamed statement over a change of route', async () => {
    await client.ask([p('', 'SELECT side FROM a WHERE k = $1'), s]);
    fixture.control.publish({ a: onLocal });
    expect(firstValue(await client.ask([b('', '', ['1']), e(''), s]))).toBe('local');
  });

  it('runs SQL-level PREPARE and EXECUTE on the right leg', async () => {
    await client.ask(q('PREPARE st(int) AS SELECT side FROM a WHERE k = $1'));
    expect(await value('EXECUTE st(1)')).toBe('source');
    fixture.control.publish({ a: onLocal });
    expect(await value('EXECUTE st(1)')).toBe('local');
    expect(await value('EXECUTE st(1)')).toBe('local');
    expect(types(await client.ask(q('DEALLOCATE st')))).toBe('CZ');
    expect(errorOf(await client.ask(q('EXECUTE st(1)')))).toBe('26000');
    await client.ask(q('PREPARE st AS SELECT side FROM a'));
    expect(await value('EXECUTE st')).toBe('local');
  });

  it('knows which Parses of a failed pipeline took place', async () => {
    fixture.control.publish({ b: onLocal });
    expect(types(await client.ask([p('one', 'SELECT 1'), p('bad', 'SELECT nothing'), p('three', 'SELECT 3'), s]))).toBe('1EZ');
    expect(types(await client.ask([b('', 'one'), e(''), s]))).toBe('2DCZ');
    expect(types(await client.ask([p('three', 'SELECT 3'), b('', 'three'), e(''), s]))).toBe('12DCZ');
  });
});

describe('session state', () => {
  it('is carried to a leg that is opened later, and follows changes', async () => {
    await client.ask(q(`SET application_name = 'mine'`));
    await client.ask(q(`SET statement_timeout = '12345ms'`));
    fixture.control.publish({ a: onLocal });
    expect(await value(`SELECT current_setting('application_name') || current_setting('statement_timeout') || side FROM a`)).toBe('mine12345mslocal');
    await client.ask(q(`SELECT set_config('application_name', 'yours', false)`));
    expect(await value(`SELECT current_setting('application_name') || side FROM a`)).toBe('yourslocal');
    await client.ask(q('RESET ALL'));
    expect(await value(`SELECT current_setting('statement_timeout') || side FROM a`)).toBe('0local');
  });

  it('undoes SET with its transaction on both legs', async () => {
    fixture.control.publish({ a: onLocal });
    await client.ask(q('BEGIN'));
    await client.ask(q(`SET application_name = 'inside'`));
    expect(await value(`SELECT current_setting('application_name') || side FROM a`)).toBe('insidelocal');
    await client.ask(q('ROLLBACK'));
    expect(await value(`SELECT current_setting('application_name') || side FROM a`)).toBe('local');
  });

  it('honours search_path and temporary tables', async () => {
    fixture.control.publish({ a: onLocal });
    await client.ask(q('CREATE SCHEMA IF NOT EXISTS other'));
    await client.ask(q(`CREATE TABLE IF NOT EXISTS other.a AS SELECT 'other' AS side`));
    fixture.control.publish({ a: onLocal }, { shadows: ['other.a'] });
    expect(await value('SELECT side FROM a')).toBe('local');
    await client.ask(q('SET search_path = other, public'));
    expect(await value('SELECT side FROM a')).toBe('other');
    await client.ask(q('RESET search_path'));
    await client.ask(q(`CREATE TEMP TABLE a AS SELECT 'temporary' AS side`));
    expect(await value('SELECT side FROM a')).toBe('temporary');
    await client.ask(q('DROP TABLE a'));
    expect(await value('SELECT side FROM a')).toBe('local');
    await client.ask(q('DROP SCHEMA other CASCADE'));
  });

  it('survives the end of a leg to local that is idle, and opens another', async () => {
    fixture.control.publish({ a: onLocal });
    const pid = await value('SELECT pg_backend_pid() FROM a');
    await onServer(local, `SELECT pg_terminate_backend(${pid ?? ''}, 5000)`);
    expect(await value(`SELECT pg_backend_pid() <> ${pid ?? ''} FROM a`)).toBe('t');
    expect(await value('SELECT side FROM b')).toBe('source');
    expect(client.closed).toBe(false);
  });

  it('listens on both sides', async () => {
    fixture.control.publish({ a: onLocal });
    await client.ask(q('LISTEN ch'));
    await value('SELECT side FROM a');
    client.messages.length = 0;
    await onServer(local, `NOTIFY ch, 'local'`);
    await onServer(source, `NOTIFY ch, 'source'`);
    await client.until(() => client.types() === 'AA');
    await client.ask(q('UNLISTEN ch'));
  });
});

describe('transactions', () => {
  beforeEach(() => fixture.control.publish({ a: onLocal, b: onSource }));

  it('go to the leg that is needed, both when one only reads', async () => {
    expect(types(await client.ask(q('BEGIN')))).toBe('CZ');
    expect(await value('SELECT side FROM a')).toBe('local');
    await client.ask(q(`UPDATE a SET side = 'changed'`));
    expect(await value('SELECT side FROM b')).toBe('source');
    const answer = await client.ask(q('COMMIT'));
    expect(types(answer)).toBe('CZ');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('changed');
  });

  it('fail on both legs when one fails', async () => {
    await client.ask(q('BEGIN'));
    await client.ask(q(`UPDATE a SET side = 'changed'`));
    await client.ask(q('SELECT side FROM b'));
    const failed = await client.ask(q('SELECT 1/0 FROM b'));
    expect(failed.at(-1)?.body.toString()).toBe('E');
    expect(errorOf(await client.ask(q('SELECT side FROM a')))).toBe('25P02');
    const end = await client.ask(q('COMMIT'));
    expect(end[0]?.body.toString()).toBe('ROLLBACK\0');
    expect(end.at(-1)?.body.toString()).toBe('I');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('local');
  });

  it('refuse a write on the second side, and fail', async () => {
    await client.ask(q('BEGIN'));
    await client.ask(q(`UPDATE a SET side = 'changed'`));
    const refused = await client.ask(q(`UPDATE b SET side = 'changed'`));
    expect(fieldsOf(refused[0])).toMatchObject({ C: '0A000', M: expect.stringMatching(/^MIG081/) });
    expect(refused.at(-1)?.body.toString()).toBe('E');
    expect(errorOf(await client.ask(q('SELECT 1')))).toBe('25P02');
    expect((await client.ask(q('COMMIT')))[0]?.body.toString()).toBe('ROLLBACK\0');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('local');
  });

  it('carry savepoints to a leg that joins later', async () => {
    for (const sql of ['BEGIN', `UPDATE a SET side = 'one'`, 'SAVEPOINT x', `UPDATE a SET side = 'two'`]) await client.ask(q(sql));
    expect(await value('SELECT side FROM b')).toBe('source');
    expect((await client.ask(q('SELECT 1/0 FROM b'))).at(-1)?.body.toString()).toBe('E');
    expect((await client.ask(q('ROLLBACK TO x'))).at(-1)?.body.toString()).toBe('T');
    expect(await value('SELECT side FROM a')).toBe('one');
    expect(await value('SELECT side FROM b')).toBe('source');
    expect(types(await client.ask(q('RELEASE x')))).toBe('CZ');
    expect(errorOf(await client.ask(q('RELEASE x')))).toBe('3B001');
    await client.ask(q('ROLLBACK'));
  });

  it('chain, keep their modes, and warn as the server does', async () => {
    await client.ask(q('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'));
    expect(await value(`SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only') || side FROM a`)).toBe('repeatable readonlocal');
    expect((await client.ask(q('COMMIT AND CHAIN'))).at(-1)?.body.toString()).toBe('T');
    expect(await value(`SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only') || side FROM a`)).toBe('repeatable readonlocal');
    await client.ask(q('COMMIT'));
    expect(types(await client.ask(q('COMMIT')))).toBe('NCZ');
    expect((await client.ask(q('START TRANSACTION')))[0]?.body.toString()).toBe('START TRANSACTION\0');
    expect((await client.ask(q('ROLLBACK')))[0]?.body.toString()).toBe('ROLLBACK\0');
  });

  it('work in the extended protocol, BEGIN and COMMIT in the same pipeline too', async () => {
    const statement = (sql: string): Buffer[] => [p('', sql), b('', ''), d('P', ''), e('')];
    expect(types(await client.ask([...statement('BEGIN'), s]))).toBe('12nCZ');
    expect(types(await client.ask([...statement(`UPDATE a SET side = 'x'`), ...statement('SELECT side FROM b'), s]))).toBe('12nC12TDCZ');
    expect(types(await client.ask([...statement('COMMIT'), s]))).toBe('12nCZ');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('x');
    expect(types(await client.ask([...statement('BEGIN'), ...statement(`UPDATE a SET side = 'y'`), ...statement('COMMIT'), s]))).toBe('12nC12nC12nCZ');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('y');
    await client.ask([p('bgn', 'BEGIN'), p('cmt', 'COMMIT'), s]);
    expect(types(await client.ask([b('', 'bgn'), e(''), b('', 'cmt'), e(''), s]))).toBe('2C2CZ');
  });

  it('fetch from a cursor where it was declared', async () => {
    for (const sql of ['BEGIN', 'DECLARE cu CURSOR FOR SELECT side FROM a']) expect(types(await client.ask(q(sql)))).toBe('CZ');
    expect(await value('FETCH 1 FROM cu')).toBe('local');
    expect(await value('SELECT side FROM b')).toBe('source');
    expect(types(await client.ask(q('FETCH 1 FROM cu')))).toBe('TCZ');
    expect(types(await client.ask(q('CLOSE cu')))).toBe('CZ');
    await client.ask(q('COMMIT'));
  });

  it('answer at Flush inside a block', async () => {
    await client.ask(q('BEGIN'));
    client.messages.length = 0;
    client.socket.write(Buffer.concat([p('', 'SELECT side FROM a'), b('', ''), e(''), h]));
    await client.until(() => client.types() === '12DC');
    client.socket.write(Buffer.concat([p('', 'SELECT side FROM b'), b('', ''), e(''), h]));
    await client.until(() => client.types() === '12DC12DC');
    expect(types(await client.ask(s))).toBe('Z');
    await client.ask(q('COMMIT'));
  });

  it('run a text with its own BEGIN and COMMIT whole', async () => {
    expect(types(await client.ask(q(`BEGIN; UPDATE a SET side = 'x'; COMMIT`)))).toBe('CCCZ');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('x');
    expect((await client.ask(q(`BEGIN; UPDATE a SET side = 'y'`))).at(-1)?.body.toString()).toBe('T');
    expect(await value('SELECT side FROM a')).toBe('y');
    expect(types(await client.ask(q('ROLLBACK')))).toBe('CZ');
    expect(await onServer(local, 'SELECT side FROM a')).toBe('x');
  });
});

describe('waiting for local', () => {
  beforeEach(() => fixture.control.publish({ w: dualWrite }));

  const held = async (send: Buffer | readonly Buffer[], shown: string): Promise<void> => {
    fixture.control.autoVisible = false;
    client.messages.length = 0;
    client.socket.write(Buffer.isBuffer(send) ? send : Buffer.concat([...send]));
    await expect.poll(() => fixture.control.waits.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const before = client.types();
    expect(before).not.toContain('Z');
    const id = fixture.control.waits[0]?.id;
    fixture.control.makeVisible();
    await client.until(() => client.types().endsWith('Z'));
    expect(client.types()).toBe(shown);
    expect(typeof id === 'number' ? id > 0 : (id ?? 0n) > 0n).toBe(true);
    fixture.control.autoVisible = true;
  };

  it('holds the answer of an autocommit write, in both protocols', async () => {
    await held(q(`INSERT INTO w VALUES (2, 'x') -- a comment`), 'CZ');
    await held(q(`INSERT INTO w VALUES (3, 'x') RETURNING k`), 'TDCZ');
    await held([p('', `INSERT INTO w VALUES (4, 'x')`), b('', ''), e(''), s], '12CZ');
    await held([p('', `INSERT INTO w VALUES (5, 'x')`), b('', ''), e(''), p('', `INSERT INTO w VALUES (6, 'x') RETURNING k`), b('', ''), d('P', ''), e(''), s], '12C12TDCZ');
    await client.ask(q('DISCARD ALL'));
    await held([p('', `INSERT INTO w VALUES (40, 'x')`), b('', ''), e(''), s], '12CZ');
    await held(q(`INSERT INTO w VALUES (7, 'x'); INSERT INTO w VALUES (8, 'x')`), 'CCZ');
  });

  it('holds COMMIT, and the writes inside pass at once', async () => {
    expect(types(await client.ask(q('BEGIN')))).toBe('CZ');
    fixture.control.autoVisible = false;
    expect(types(await client.ask(q(`INSERT INTO w VALUES (2, 'x')`)))).toBe('CZ');
    await held(q('COMMIT'), 'CZ');
    await held([p('', 'BEGIN'), b('', ''), e(''), p('', `INSERT INTO w VALUES (3, 'x')`), b('', ''), e(''), p('', 'COMMIT'), b('', ''), e(''), s], '12C12C12CZ');
  });

  it('does not wait when nothing was written, or when it failed', async () => {
    fixture.control.autoVisible = false;
    expect(types(await client.ask(q(`UPDATE w SET side = 'x' WHERE k = 99`)))).toBe('CZ');
    expect(types(await client.ask(q(`INSERT INTO w VALUES (1, 'x')`)))).toBe('EZ');
    expect(types(await client.ask([p('', `INSERT INTO w VALUES (1, 'x')`), b('', ''), e(''), s]))).toBe('12EZ');
    expect(fixture.control.waits.length).toBe(0);
  });

  it('waits by position for COPY, and keeps the protocol straight', async () => {
    fixture.control.autoVisible = false;
    client.messages.length = 0;
    client.socket.write(Buffer.concat([p('', 'COPY w FROM STDIN'), b('', ''), e(''), s]));
    await client.until(() => client.types() === '12G');
    const { copyData, copyDone } = await import('./raw-client.ts');
    client.socket.write(Buffer.concat([copyData('20\tx\n'), copyDone, s]));
    await expect.poll(() => fixture.control.waits.length).toBe(1);
    expect(fixture.control.waits[0]?.kind).toBe('lsn');
    fixture.control.makeVisible();
    await client.until(() => client.types() === '12GCZ');
  });

  it('answers with a WARNING past the bound, and reads the source until local has caught up', async () => {
    fixture.control.autoVisible = false;
    const answer = await client.ask(q(`INSERT INTO w VALUES (2, 'x')`));
    expect(types(answer)).toBe('NCZ');
    expect(fieldsOf(answer[0])).toMatchObject({ S: 'WARNING' });
    expect(await value('SELECT side FROM w WHERE k = 1')).toBe('source');
    fixture.control.makeVisible();
    fixture.control.autoVisible = true;
    expect(await value('SELECT side FROM w WHERE k = 1')).toBe('local');
  });

  it('fetches the position of the source before a local read, once per sight of the source', async () => {
    const before = fixture.fetches;
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(fixture.fetches - before).toBe(1);
    await client.ask(q('SELECT 1'));
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(fixture.fetches - before).toBe(2);
    await client.ask(q(`UPDATE w SET side = 'source2'`));
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(fixture.fetches - before).toBe(2);
  });

  it('fetches it again when the source has told the session something by itself', async () => {
    await client.ask(q('LISTEN told'));
    expect(await value('SELECT side FROM w')).toBe('local');
    const before = fixture.fetches;
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(fixture.fetches - before).toBe(0);
    client.messages.length = 0;
    await onServer(source, `SELECT pg_notify('told', 'something')`);
    await client.until(() => client.types() === 'A');
    expect(await value('SELECT side FROM w')).toBe('local');
    expect(fixture.fetches - before).toBe(1);
  });

  it('knows which of its own Parses took place when the client\'s statements fail', async () => {
    const insert = (k: number): Buffer[] => [p('', `INSERT INTO w VALUES (${k}, 'x')`), b('', ''), e(''), s];
    expect(types(await client.ask(insert(1)))).toBe('12EZ');
    await held(insert(2), '12CZ');
    const other = await RawClient.connect(fixture.gateway.port);
    expect(types(await other.ask([...insert(1), ...insert(3), ...insert(1), ...insert(4), q('DISCARD ALL'), ...insert(5)], 6))).toBe('12EZ12CZ12EZ12CZCZ12CZ');
    expect(types(await other.ask(insert(6)))).toBe('12CZ');
    other.end();
  });

  it('pipelines units behind a held one, in order', async () => {
    fixture.control.autoVisible = false;
    client.messages.length = 0;
    client.socket.write(Buffer.concat([q(`INSERT INTO w VALUES (2, 'x')`), q('SELECT 1'), q(`INSERT INTO w VALUES (3, 'x')`), q('SELECT 2')]));
    await expect.poll(() => fixture.control.waits.length).toBe(1);
    expect(client.types()).toBe('');
    fixture.control.makeVisible();
    await expect.poll(() => fixture.control.waits.length).toBe(1);
    await client.until(() => client.types() === 'CZTDCZ');
    fixture.control.makeVisible();
    await client.until(() => client.types() === 'CZTDCZCZTDCZ');
  });
});

describe('barrier', () => {
  const report = (): readonly unknown[] => fixture.gateway.quiesceReport(['public.a'], fixture.control.snapshot.epoch).holding;

  it('parks new units, names those that hold it up, and lets all go with the next snapshot', async () => {
    fixture.control.publish({ a: onSource });
    await client.ask(q('BEGIN'));
    await client.ask(q(`UPDATE a SET side = 'x'`));
    const other = await RawClient.connect(fixture.gateway.port);
    fixture.control.publish({ a: { ...onSource, quiescing: true } });
    expect(report()).toMatchObject([{ user: 'postgres', lastStatement: expect.stringMatching(/^UPDATE a/) }]);
    other.messages.length = 0;
    other.socket.write(Buffer.concat([p('', 'SELECT side FROM a'), b('', ''), e(''), s]));
    await expect.poll(() => fixture.gateway.parkedUnits(['public.a']).length).toBe(1);
    expect(types(await client.ask(q(`UPDATE a SET side = 'y'`)))).toBe('CZ');
    const emptied = new Promise<void>((resolve) => {
      const stop = fixture.gateway.onUnitEnded(() => {
        if (report().length > 0) return;
        stop();
        resolve();
      });
    });
    await client.ask(q('COMMIT'));
    await emptied;
    expect(other.types()).toBe('');
    fixture.control.publish({ a: onLocal });
    await other.until(() => other.types() === '12DCZ');
    expect(firstValue(other.messages)).toBe('local');
    expect(fixture.gateway.parkedUnits(['public.a']).length).toBe(0);
    other.end();
  });

  it('honours cancel, disconnect and statement_timeout while parked', async () => {
    fixture.control.publish({ a: { ...onSource, quiescing: true } });
    await client.ask(q('SET statement_timeout = 150'));
    expect(errorOf(await client.ask(q('SELECT side FROM a')))).toBe('57014');
    expect(errorOf(await client.ask([p('', 'SELECT side FROM a'), b('', ''), e(''), s]))).toBe('57014');
    expect(types(await client.ask(q('SELECT 1')))).toBe('TDCZ');
    const before = fixture.gateway.sessions;
    const leaver = await RawClient.connect(fixture.gateway.port);
    leaver.socket.write(q('SELECT side FROM a'));
    await expect.poll(() => fixture.gateway.parkedUnits(['public.a']).length).toBe(1);
    leaver.end();
    await expect.poll(() => fixture.gateway.parkedUnits(['public.a']).length).toBe(0);
    await expect.poll(() => fixture.gateway.sessions).toBe(before);
  });

  it('gives a parked transaction 40001 when told to, and never an autocommit unit', async () => {
    fixture.control.publish({ a: { ...onSource, quiescing: true }, b: onSource });
    await client.ask(q('BEGIN'));
    await client.ask(q('SELECT side FROM b'));
    client.messages.length = 0;
    client.socket.write(q('SELECT side FROM a'));
    const other = await RawClient.connect(fixture.gateway.port);
    other.messages.length = 0;
    other.socket.write(q('SELECT side FROM a'));
    await expect.poll(() => fixture.gateway.parkedUnits(['public.a']).length).toBe(2);
    expect(fixture.gateway.failParked(fixture.gateway.parkedUnits(['public.a']).map((unit) => unit.sessionId))).toBe(1);
    await client.until(() => client.types() === 'EZ');
    expect(errorOf(client.messages)).toBe('40001');
    expect((await client.ask(q('ROLLBACK'))).at(-1)?.body.toString()).toBe('I');
    fixture.control.publish({ a: onSource });
    await other.until(() => other.types() === 'TDCZ');
    other.end();
  });

  it('counts what may have touched a table before it was known', async () => {
    await client.ask(q('BEGIN'));
    await client.ask(q('SELECT side FROM a'));
    fixture.control.publish({ a: onSource });
    fixture.control.publish({ a: { ...onSource, quiescing: true } });
    expect(report().length).toBe(1);
    await client.ask(q('COMMIT'));
    expect(report().length).toBe(0);
    fixture.control.publish({ a: onSource });
  });

  it('routes a table that a transaction had not touched as it is now, one that it had as it was', async () => {
    fixture.control.publish({ a: onSource, b: onSource });
    await client.ask(q('BEGIN'));
    expect(await value('SELECT side FROM b')).toBe('source');
    fixture.control.publish({ a: onLocal, b: onSource });
    expect(await value('SELECT side FROM a')).toBe('local');
    await client.ask(q('COMMIT'));
  });
});

describe('migration statements', () => {
  it('are answered by the control, in both protocols', async () => {
    expect(types(await client.ask(q('SHOW MIGRATION STATUS')))).toBe('TDDCZ');
    expect(fixture.control.commands.at(-1)).toMatchObject({ sql: 'SHOW MIGRATION STATUS', user: 'postgres', clientAddress: '127.0.0.1' });
    const before = fixture.control.commands.length;
    expect(types(await client.ask([p('', 'SHOW MIGRATION STATUS'), b('', ''), d('P', ''), e(''), s]))).toBe('12TDDCZ');
    expect(types(await client.ask([p('m', 'SHOW MIGRATION STATUS'), d('S', 'm'), b('', 'm'), e('', 1), e('', 0), s]))).toBe('1tT2DsDCZ');
    expect(fixture.control.commands.length - before).toBe(2);
  });

  it('fail with their code, and inside a transaction block when they change something', async () => {
    const { MigrationError } = await import('../../config/migration-error.ts');
    const answer = fixture.control.answer;
    fixture.control.answer = () => Promise.reject(new MigrationError('MIG072', undefined, { detail: 'no such table', position: 7 }));
    const failed = await client.ask(q('PAUSE MIGRATION FOR TABLE a'));
    expect(fieldsOf(failed[0])).toMatchObject({ C: '42704', M: expect.stringMatching(/^MIG072/), D: 'no such table', P: '7' });
    expect(types(await client.ask([p('', 'PAUSE MIGRATION FOR TABLE a'), b('', ''), e(''), p('', 'SELECT 1'), s]))).toBe('12EZ');
    fixture.control.answer = answer;
    await client.ask(q('BEGIN'));
    expect(errorOf(await client.ask(q('PAUSE MIGRATION FOR TABLE a')))).toBe('25001');
    expect(errorOf(await client.ask(q('SELECT 1')))).toBe('25P02');
    expect((await client.ask(q('COMMIT')))[0]?.body.toString()).toBe('ROLLBACK\0');
  });
});
