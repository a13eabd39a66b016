/** One table's trouble is its own, from a MySQL source too: what is kept for it is given up for the others when the spool takes no more, and a log that is lost or damaged stops it alone. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { orderOr, until } from '../stream/fixture.ts';
import { followForward } from './forward-fixture.ts';
import type { Forward } from './forward-fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';

const kind = 'mariadb-10.11';

describeMysql([kind], `a table that lost changes of ${kind}`, () => {
  let server: TestMysql;
  let local: TestPostgres;
  let number = 0;

  beforeAll(async () => {
    [server, local] = await Promise.all([startMysql(kind), startTestPostgres()]);
  });
  afterAll(async () => {
    await server?.dispose();
    await local?.[Symbol.asyncDispose]();
  });

  async function followTwo(spoolBytes?: number): Promise<{ readonly pair: MysqlPair; readonly forward: Forward } & AsyncDisposable> {
    const pair = await makeMysqlPair(server, local, `lost${number += 1}`);
    for (const name of ['a', 'b']) await pair.ask(`CREATE TABLE ${name} (id int PRIMARY KEY, v longtext) ENGINE = InnoDB`);
    const forward = await followForward(pair, ['a', 'b'], undefined, undefined, undefined, spoolBytes);
    return {
      pair, forward,
      [Symbol.asyncDispose]: async () => {
        await forward[Symbol.asyncDispose]();
        await pair[Symbol.asyncDispose]();
      },
    };
  }

  async function expectLostAlone(pair: MysqlPair, { stream, settle }: Forward): Promise<void> {
    await until('b is lost', () => stream.status('b')?.needsResync === true);
    expect(stream.status('b')).toMatchObject({ mode: 'failed', error: { code: 'MIG021', hint: expect.stringContaining(`RESYNC MIGRATION FOR TABLE ${pair.database}.b;`) as unknown } });
    await pair.ask("INSERT INTO a VALUES (5000, 'goes on')");
    await settle(['a', 'b']);
    expect((await pair.client.query('SELECT v FROM a WHERE id = 5000')).rows).toEqual([{ v: 'goes on' }]);
    expect(stream.status('a')?.mode).toBe('shared');
  }

  it('because its log was damaged stops alone', { timeout: 60_000 }, async () => {
    await using two = await followTwo();
    const { stream, spoolDirectory } = two.forward;
    await stream.pauseTable('b');
    await two.pair.ask("INSERT INTO b VALUES (1, 'one'), (2, 'two')");
    const before = orderOr(stream.health().visible, 0n);
    await two.pair.ask("INSERT INTO a VALUES (1, 'one')");
    await two.forward.settle(['a']);
    await until('confirmed', () => orderOr(stream.health().durable, 0n) > before);
    const folder = path.join(spoolDirectory, `t-${Buffer.from('b').toString('hex')}`);
    const file = path.join(folder, fs.readdirSync(folder)[0] ?? '');
    const bytes = fs.readFileSync(file);
    bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    await stream.startDraining('b');
    await expectLostAlone(two.pair, two.forward);
  });

  it('because it was stopped and the spool took no more stops alone', { timeout: 60_000 }, async () => {
    await using two = await followTwo(2 << 20);
    const { stream } = two.forward;
    await stream.pauseTable('b');
    stream.setStopped(new Set(['b']));
    for (let id = 1; id <= 40; id += 1) await two.pair.ask(`INSERT INTO b VALUES (${id}, REPEAT('x', 100000))`);
    await expectLostAlone(two.pair, two.forward);
  });
});
