/** Property: statements run where the snapshot says, in the session's own state, and a change of route is not noticed by the client. */
import { describe, expect, it } from 'vitest';
import { onLocal, onSource } from './gateway-fixture.ts';
import { b, c, d, e, fieldsOf, firstValue, p, q, s } from './raw-client.ts';
import { client, errorOf, fixture, local, onServer, source, types, value, withRoutedServers } from './routed-servers.ts';

withRoutedServers();

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

  it('is carried as a whole, however long it is', async () => {
    fixture.control.publish({ a: onLocal });
    for (const length of [10, 3_000, 30_000, 300_000]) {
      await client.ask(q(`SET app.long = '${'x'.repeat(length)}'`));
      expect(await value("SELECT length(current_setting('app.long')) FROM a")).toBe(String(length));
    }
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
