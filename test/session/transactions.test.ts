/** Property: a block is one transaction, whichever sides its statements need. */
import { beforeEach, describe, expect, it } from 'vitest';
import { onLocal, onSource } from './gateway-fixture.ts';
import { b, d, e, fieldsOf, h, p, q, s } from './raw-client.ts';
import { client, errorOf, fixture, local, onServer, types, value, withRoutedServers } from './routed-servers.ts';

withRoutedServers();

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
