/** Property: who has to wait, for local or for a change of authority, waits as long as that takes and no longer, and finds the protocol as it was. */
import { beforeEach, describe, expect, it } from 'vitest';
import { dualWrite, onLocal, onSource } from './gateway-fixture.ts';
import { RawClient, b, d, e, fieldsOf, firstValue, p, q, s } from './raw-client.ts';
import { client, errorOf, fixture, onServer, source, types, value, withRoutedServers } from './routed-servers.ts';

withRoutedServers();

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

  it('waits for the right transaction, wherever in its answer a chunk ends', async () => {
    fixture.control.autoVisible = false;
    const wrong: string[] = [];
    // What is read first is 2 kB long: somewhere in these its end is in the row that tells the number.
    for (let length = 1_780; length < 1_960; length += 3) {
      const one = await RawClient.connect(fixture.gateway.port);
      one.messages.length = 0;
      one.socket.write(q(`INSERT INTO w VALUES (${length}, 'x') RETURNING xmin, repeat('x', ${length})`));
      await expect.poll(() => fixture.control.waits.length, { interval: 2 }).toBe(1);
      const id = fixture.control.waits[0]?.id;
      fixture.control.makeVisible();
      await one.until(() => one.types() === 'TDCZ');
      const told = firstValue(one.messages);
      if (told !== String(id)) wrong.push(`${length}: ${id}, not ${told}`);
      one.socket.destroy();
    }
    expect(wrong).toEqual([]);
    fixture.control.autoVisible = true;
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
