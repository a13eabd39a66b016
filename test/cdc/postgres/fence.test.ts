/** Property: while a fence stands, no write reaches the table by any path but the applier's; what was open before it has ended. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applierTagSql, dropFenceTriggers, installFence, installFenceSupport, installGuard, readFences, removeFence, removeGuard } from '../../../cdc/postgres/fence.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

for (const [version, options] of [['15', { nativeDirectory: '/usr/lib/postgresql/15' }], ['18', {}]] as const) {
  describe(`PostgreSQL ${version}`, () => {
    let server: TestPostgres;
    let client: pg.Client;
    const parent = { schema: 's', name: 'parent' };
    const child = { schema: 's', name: 'child' };
    const parted = { schema: 's', name: 'parted' };

    beforeAll(async () => {
      server = await startTestPostgres(options);
      client = await server.client();
      await client.query("CREATE ROLE app LOGIN");
      await installFenceSupport(client);
    });
    afterAll(() => server[Symbol.asyncDispose]());
    beforeEach(async () => {
      await client.query(`DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO app; DELETE FROM causeway.fence;
        CREATE TABLE s.parent (id int PRIMARY KEY, v int); CREATE TABLE s.child (id int PRIMARY KEY, p int REFERENCES s.parent ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE s.parted (id int, d int, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE TABLE s.parted_1 PARTITION OF s.parted FOR VALUES FROM (0) TO (10); CREATE TABLE s.parted_2 PARTITION OF s.parted DEFAULT PARTITION BY LIST (d); CREATE TABLE s.parted_2d PARTITION OF s.parted_2 DEFAULT;
        INSERT INTO s.parent VALUES (1, 1), (2, 2); INSERT INTO s.child VALUES (1, 1); INSERT INTO s.parted VALUES (1, 5), (2, 50); GRANT ALL ON ALL TABLES IN SCHEMA s TO app`);
    });

    async function inTransaction(work: () => Promise<void>): Promise<void> {
      await client.query('BEGIN');
      try {
        await work();
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    }
    const fence = (...tables: { schema: string; name: string }[]): Promise<void> => inTransaction(() => installFence(client, tables, { epoch: 7, token: 'secret' }));

    it('refuses every kind of write, from everyone, with a clear error', async () => {
      await fence(child, parted);
      const writes = [
        'INSERT INTO s.child VALUES (9, 1)', 'UPDATE s.child SET p = 2', 'DELETE FROM s.child', 'UPDATE s.child SET p = 2 WHERE false', 'TRUNCATE s.child', 'TRUNCATE s.parent CASCADE',
        'INSERT INTO s.child VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET p = 2', 'WITH x AS (DELETE FROM s.child RETURNING *) SELECT * FROM x', 'DELETE FROM s.parent WHERE id = 1', 'UPDATE s.parent SET id = 5 WHERE id = 1',
        'INSERT INTO s.parted VALUES (3, 3)', 'INSERT INTO s.parted_1 VALUES (3, 3)', 'UPDATE s.parted_2d SET id = 4', 'DELETE FROM s.parted_2', 'UPDATE s.parted SET d = 60 WHERE d = 5', 'TRUNCATE s.parted_1', 'TRUNCATE s.parted',
        'MERGE INTO s.child c USING (SELECT 1 AS id) x ON c.id = x.id WHEN MATCHED THEN DELETE', "COPY s.child FROM PROGRAM 'echo 9'", "COPY s.parted_2 FROM PROGRAM 'printf 9,90' (FORMAT csv)",
      ];
      for (const prefix of ['', 'SET LOCAL session_replication_role = replica; ', "SET LOCAL causeway.applier = 'wrong'; ", "SET LOCAL causeway.applier = ''; "]) {
        for (const sql of writes) {
          if (prefix.includes('replica') && /s\.parent/.test(sql) && !sql.startsWith('TRUNCATE')) continue;
          await expect(client.query(`BEGIN; ${prefix}${sql}; COMMIT`), prefix + sql).rejects.toMatchObject({ code: '55006', message: expect.stringMatching(/MIG082: .* is refused by the Causeway gateway \(epoch 7\)/) as string });
          await client.query('ROLLBACK');
        }
      }
      await client.query('SET ROLE app');
      await expect(client.query('UPDATE s.child SET p = 2')).rejects.toMatchObject({ code: '55006', hint: expect.stringContaining('gateway') as string });
      await client.query('RESET ROLE');
      await client.query('INSERT INTO s.parent VALUES (3, 3); SELECT * FROM s.child; SELECT * FROM s.parted FOR UPDATE');
    });

    it('lets the tagged applier pass, in every form, in its own transaction only', async () => {
      await fence(parent, child, parted);
      await inTransaction(async () => {
        await client.query(applierTagSql('secret'));
        await client.query("INSERT INTO s.child VALUES (9, 1); UPDATE s.child SET p = 2 WHERE id = 9; DELETE FROM s.parent WHERE id = 1; INSERT INTO s.parted VALUES (3, 3); UPDATE s.parted SET d = 60 WHERE d = 5; DELETE FROM s.parted_2; COPY s.parent FROM PROGRAM 'printf 7,7' (FORMAT csv); TRUNCATE s.parted; INSERT INTO s.parent VALUES (2, 20) ON CONFLICT (id) DO UPDATE SET v = excluded.v");
      });
      expect((await client.query('SELECT id, v FROM s.parent ORDER BY id')).rows).toEqual([{ id: 2, v: 20 }, { id: 7, v: 7 }]);
      expect((await client.query('SELECT id, p FROM s.child')).rows).toEqual([{ id: 9, p: 2 }]);
      await expect(client.query('DELETE FROM s.child')).rejects.toMatchObject({ code: '55006' });
    });

    it('waits for open and prepared writers, and gives up at the lock_timeout with nothing installed', async () => {
      await client.query("BEGIN; UPDATE s.child SET p = 2; PREPARE TRANSACTION 'p1'");
      const attempt = inTransaction(async () => {
        await client.query("SET LOCAL lock_timeout = '100ms'");
        await installFence(client, [child], { epoch: 1, token: 't' });
      });
      await expect(attempt).rejects.toMatchObject({ code: '55P03' });
      expect(await readFences(client)).toEqual([]);
      await client.query("COMMIT PREPARED 'p1'");
      await fence(child);
      expect(await readFences(client)).toMatchObject([{ kind: 'fence', schema: 's', name: 'child', epoch: 7, token: 'secret', complete: true }]);
    });

    it('meets writes that fire no statement trigger of the table: through an inheritance parent or an unfenced root', async () => {
      await client.query('CREATE TABLE s.base (id int); CREATE TABLE s.heir () INHERITS (s.base); INSERT INTO s.heir VALUES (1)');
      await fence({ schema: 's', name: 'heir' }, { schema: 's', name: 'parted_1' });
      await expect(client.query('UPDATE s.base SET id = 2')).rejects.toMatchObject({ code: '55006' });
      await expect(client.query('INSERT INTO s.parted VALUES (3, 3)')).rejects.toMatchObject({ code: '55006' });
      await client.query('INSERT INTO s.parted VALUES (3, 300)');
    });

    it('can be installed again with another token, stands beside a guard, is undone with its transaction and taken away', async () => {
      await fence(child);
      await inTransaction(() => installFence(client, [child], { epoch: 8, token: 'next' }));
      await expect(inTransaction(async () => {
        await client.query(applierTagSql('secret'));
        await client.query('DELETE FROM s.child');
      })).rejects.toMatchObject({ message: expect.stringContaining('epoch 8') as string });
      await client.query('BEGIN');
      await installGuard(client, [parent], { epoch: 8, token: 'g' });
      await client.query('ROLLBACK');
      await client.query('UPDATE s.parent SET v = 0');
      await inTransaction(() => installGuard(client, [parent, parted], { epoch: 8, token: 'g' }));
      await expect(client.query('UPDATE s.parent SET v = 0')).rejects.toMatchObject({ detail: expect.stringContaining('being migrated') as string });
      await client.query('CREATE TABLE s.parted_new PARTITION OF s.parted FOR VALUES FROM (10) TO (20)');
      expect((await readFences(client)).map((each) => [each.kind, each.name, each.complete])).toEqual([['fence', 'child', true], ['guard', 'parent', true], ['guard', 'parted', false]]);
      await removeFence(client, [child]);
      await removeGuard(client, [parent, parted]);
      await removeGuard(client, [parent, { schema: 's', name: 'gone' }]);
      await client.query('DELETE FROM s.parent; DELETE FROM s.parted; TRUNCATE s.child');
      expect(await readFences(client)).toEqual([]);
      for (const kind of ['fence', 'guard'] as const) await dropFenceTriggers(client, kind, [parent, child, parted]);
      expect((await client.query("SELECT count(*)::int AS n FROM pg_trigger WHERE tgname LIKE '%causeway%'")).rows).toEqual([{ n: 0 }]);
    });
  });
}
