/** Property: how a client's bytes are cut, and when they come, changes nothing of what it is answered; what it does not read costs no memory. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Command } from '../../../src/wire/mysql/commands.ts';
import { integer } from '../../../src/wire/mysql/payload.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';
import { errorIn, firstColumn, RawMysql } from './raw-mysql.ts';

describeMysql(['mariadb-10.11'], 'bytes of MySQL clients', () => {
  let server: TestMysql;
  let fixture: DoorFixture;

  beforeAll(async () => {
    server = await startMysql('mariadb-10.11');
    fixture = await openDoor(server);
    await server.createDatabase('shop');
    await server.sql('CREATE TABLE t (id int auto_increment primary key, data longtext)', 'shop');
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
    await server?.dispose();
  });

  const connect = (): Promise<RawMysql> => RawMysql.connect({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway' }, 'shop');

  /** What a session sends, and the shapes of what it is answered with. */
  function conversation(client: RawMysql): { readonly bytes: Buffer; readonly shapes: readonly Parameters<RawMysql['answer']>[0][] } {
    const statement = client.command(Command.prepare, 'SELECT ? + 1');
    // The statement that was prepared last: a client that does not wait cannot know its number.
    const execute = client.command(Command.execute, Buffer.concat([integer(0xffffffff, 4), Buffer.of(0), integer(1, 4), Buffer.of(0, 1, 8, 0), Buffer.from([41, 0, 0, 0, 0, 0, 0, 0])]));
    return {
      bytes: Buffer.concat([
        client.command(Command.query, 'SELECT 1 UNION SELECT 2'), client.command(Command.ping), client.command(Command.query, 'SHOW MIGRATION STATUS'), statement, execute,
        client.command(0x77), client.command(Command.query, 'SELECT nothing'), client.command(Command.query, 'DO 1'), client.command(Command.query, 'SELECT 9'),
      ]),
      shapes: ['result', 'packet', 'result', 'prepare', 'result', 'packet', 'result', 'result', 'result'],
    };
  }

  async function answersOf(client: RawMysql, shapes: readonly Parameters<RawMysql['answer']>[0][]): Promise<string[]> {
    const answers: string[] = [];
    for (const shape of shapes) answers.push((await client.answer(shape)).map((payload) => payload.toString('hex')).join(' '));
    // The statement's number is the server's.
    return answers.map((answer, index) => (shapes[index] === 'prepare' ? answer.replace(/^00.{8}/, '00') : answer));
  }

  async function oneByOne(): Promise<string[]> {
    using client = await connect();
    const { bytes, shapes } = conversation(client);
    const answers: string[] = [];
    for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
      const end = at + 4 + bytes.readUIntLE(at, 3);
      client.socket.write(bytes.subarray(at, end));
      answers.push(...await answersOf(client, shapes.slice(turn, turn + 1)));
      at = end;
    }
    return answers;
  }

  test('all at once, byte by byte, and cut at every place: as one by one', async () => {
    const expected = await oneByOne();
    expect(expected).toHaveLength(9);
    using atOnce = await connect();
    const { bytes, shapes } = conversation(atOnce);
    atOnce.socket.write(bytes);
    expect(await answersOf(atOnce, shapes)).toEqual(expected);
    using slowly = await connect();
    for (const byte of bytes) {
      slowly.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await answersOf(slowly, shapes)).toEqual(expected);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      atOnce.socket.write(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce.socket.write(bytes.subarray(cut));
      expect(await answersOf(atOnce, shapes), `cut ${cut}`).toEqual(expected);
    }
  });

  test('a large statement in small parts, and one behind it', async () => {
    using client = await connect();
    const large = client.command(Command.query, `SELECT LENGTH('${'x'.repeat(300_000)}')`);
    const both = Buffer.concat([large, client.command(Command.query, 'SELECT 5')]);
    for (let at = 0; at < both.length; at += 7_919) client.socket.write(both.subarray(at, at + 7_919));
    expect(firstColumn(await client.answer('result'), client.capabilities)).toEqual(['300000']);
    expect(firstColumn(await client.answer('result'), client.capabilities)).toEqual(['5']);
  });

  test('a client that goes at any byte leaves nothing behind', async () => {
    for (let cut = 1; cut < 240; cut += 17) {
      const client = await connect();
      client.socket.write(conversation(client).bytes.subarray(0, cut));
      client.socket.destroy();
    }
    await expect.poll(() => fixture.door.sessions).toBe(0);
    await expect.poll(async () => (await server.sql("SELECT id FROM information_schema.processlist WHERE db = 'shop'")).length).toBe(0);
    expect(fixture.warnings).toEqual([]);
  });

  test('the source goes amid an answer, and while nothing runs: the client\'s connection ends', async () => {
    using client = await connect();
    using idle = await connect();
    const ids = [client, idle].map(async (each) => firstColumn(await each.query('SELECT CONNECTION_ID()'), each.capabilities)[0]);
    const [busyId, idleId] = await Promise.all(ids);
    client.socket.write(client.command(Command.query, 'SELECT SLEEP(60)'));
    await expect.poll(async () => (await server.sql(`SELECT id FROM information_schema.processlist WHERE id = ${busyId} AND info IS NOT NULL`)).length).toBe(1);
    await server.sql(`KILL ${busyId}`);
    await server.sql(`KILL ${idleId}`);
    await Promise.all([client.closed(), idle.closed()]);
    await expect.poll(() => fixture.door.sessions).toBe(0);
  });

  test('a client that does not read is waited for: the gateway holds little of its answer', async () => {
    await server.sql(`INSERT INTO t (data) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT REPEAT('x', 1000000) FROM n`, 'shop');
    using client = await connect();
    client.socket.pause();
    const before = process.memoryUsage();
    client.socket.write(client.command(Command.query, 'SELECT data FROM t'));
    const held = (): number => (process.memoryUsage().arrayBuffers - before.arrayBuffers) / 2 ** 20;
    // Until nothing moves any more: the source is stuck in its write.
    await expect.poll(async () => (await server.sql("SELECT state FROM information_schema.processlist WHERE info LIKE 'SELECT data%'"))[0]?.['state'], { timeout: 10_000 }).toMatch(/writing|sending/i);
    for (let last = -1; last !== client.socket.bytesRead; await delay(100)) last = client.socket.bytesRead;
    expect(held()).toBeLessThan(32);
    const count = await client.countInAnswer('result', 'x'.charCodeAt(0));
    // A sequence id, and a length, may be the same.
    expect([count >= 200_000_000, count < 200_000_010]).toEqual([true, true]);
    expect(firstColumn(await client.query('SELECT 3'), client.capabilities)).toEqual(['3']);
  });

  test('what is no MySQL at all is let go', async () => {
    using client = await connect();
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    client.socket.write(client.command(Command.query, 'SELECT 1'));
    // "GET " is the header of a packet of five million bytes: nothing comes, and nothing breaks.
    using other = await connect();
    expect(firstColumn(await other.query('SELECT 1'), other.capabilities)).toEqual(['1']);
    other.socket.write(Buffer.of(0, 0, 0, 0));
    expect(errorIn(await other.answer('packet'))).toContain('no bytes');
  });
});
