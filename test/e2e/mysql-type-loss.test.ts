// What a MySQL table's values and definition lose on the way to local is on record, survives the control, and nothing moves before an operator has accepted it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

// The others have their turn in `npm run soak`.
const kinds: readonly MysqlKind[] = process.env['CAUSEWAY_CRASH'] === 'all' ? ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] : ['mariadb-10.11'];

/** A cutover has been decided, and clients still write. */
const DECIDED = 'cutover.reverse_ready';

interface LossRow {
  readonly Table: string;
  readonly Column: string;
  readonly Direction: string;
  readonly Loss: string;
  readonly Policy: string | null;
  readonly Values: string;
  readonly Examples: string;
  readonly Accepted: Date | null;
  readonly 'Accepted By': string | null;
}

for (const kind of kinds) {
  describeMysql([kind], `losses of a migration from ${kind}`, () => {
    let server: TestMysql;
    let stack: Stack;

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql(`SET sql_mode = ''; CREATE TABLE person (id int PRIMARY KEY, born date, flag tinyint(1) NOT NULL, level int NOT NULL, note text, vip tinyint(1) NOT NULL DEFAULT 0, FULLTEXT KEY by_note (note)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
        CREATE TABLE plain (id int PRIMARY KEY) ENGINE = InnoDB;
        INSERT INTO person (id, born, flag, level, note) VALUES (1, '0000-00-00', 1, 1, 'a'), (2, '0000-00-00', 0, 2, 'b'), (3, '2024-02-29', 7, 3, NULL), (4, NULL, 1, 4, 'd')`, 'shop');
      stack = await startMysqlStack(server, { workers: 1, faultPoints: [DECIDED], users: [{ name: 'app' }] });
    });

    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    const losses = async (): Promise<readonly (readonly (string | null)[])[]> =>
      (await stack.insist<LossRow>('SHOW MIGRATION TYPE LOSS FOR TABLE shop.person')).map((row) => [row.Column, row.Direction, row.Loss, row.Policy, row.Values, row['Accepted By']]);
    const write = (sql: string): Promise<unknown> => server.sql(`SET sql_mode = ''; ${sql}`, 'shop');
    /** Once the stream has brought it. */
    const arrived = (id: number): Promise<void> => expect.poll(async () => (await stack.direct('local')).query('SELECT 1 FROM shop.person WHERE id = $1', [id]).then(({ rowCount }) => rowCount), { timeout: 30_000 }).toBe(1);
    const fullText = ['by_note', 'definition', 'index', null, '1', null];

    it('START refuses a type_map for columns that no table has', async () => {
      await expect(stack.command("START MIGRATION FOR TABLE shop.person FROM legacy_mysql OPTIONS (type_map 'born ON zero_date CLAMP, birn date')")).rejects.toThrow('MIG071: type_map names birn, which shop.person does not have or does not carry');
      await expect(stack.command("START MIGRATION FOR TABLE shop.person FROM legacy_mysql OPTIONS (columns 'id, flag', type_map 'born date')")).rejects.toThrow(/MIG071: type_map names born/);
      await expect(stack.command("START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (type_map 'nobody text')")).rejects.toThrow('MIG071: type_map names nobody, which no table of this START has');
      expect(await stack.status()).toEqual([]);
    });

    it('counts what the load and the stream change, by the policies of type_map', async () => {
      await stack.command("START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (copy_grants TRUE, type_map 'born ON zero_date NULL, flag ON boolean_range CLAMP, vip ON boolean_range CLAMP, level numeric(12)')");
      await stack.waitState(['DUAL_WRITE'], 60_000);
      const local = await stack.direct('local');
      const { rows } = await local.query('SELECT id, born::text, flag, pg_typeof(level)::text AS type FROM shop.person ORDER BY id');
      expect(rows).toEqual([
        { id: 1, born: null, flag: true, type: 'numeric' }, { id: 2, born: null, flag: false, type: 'numeric' }, { id: 3, born: '2024-02-29', flag: true, type: 'numeric' }, { id: 4, born: null, flag: true, type: 'numeric' },
      ]);
      const [born] = await stack.command<LossRow>('SHOW MIGRATION TYPE LOSS');
      expect(born).toMatchObject({ Table: 'shop.person', Examples: "'0000-00-00' → NULL; '0000-00-00' → NULL" });
      expect(await losses()).toEqual([['born', 'to local', 'zero_date', 'null', '2', null], fullText, ['flag', 'to local', 'boolean_range', 'clamp', '1', null]]);
      await write("INSERT INTO person (id, born, flag, level, note) VALUES (5, '0000-00-00', 1, 5, 'e')");
      await arrived(5);
      expect(await losses()).toEqual([['born', 'to local', 'zero_date', 'null', '3', null], fullText, ['flag', 'to local', 'boolean_range', 'clamp', '1', null]]);
    }, 120_000);

    it('has them after the control was killed', async () => {
      const before = await losses();
      await stack.kill('control');
      await stack.insist('SHOW MIGRATION TYPE LOSS');
      await stack.waitState(['DUAL_WRITE'], 60_000);
      // The last change may have been carried twice.
      const now = await losses();
      expect(now.map((row) => row.toSpliced(4, 1))).toEqual(before.map((row) => row.toSpliced(4, 1)));
      now.forEach((row, at) => expect(Number(row[4])).toBeGreaterThanOrEqual(Number(before[at]?.[4])));
      const rows = await stack.insist('SELECT column_name, examples ->> 0 AS first FROM SYS$MIGRATION_TYPE_LOSS WHERE direction = \'to_local\' ORDER BY 1');
      expect(rows).toEqual([{ column_name: 'born', first: '{"value":"0000-00-00","becomes":null}' }, { column_name: 'flag', first: '{"value":"7","becomes":"t"}' }]);
    }, 120_000);

    it('a table that is copied again counts its values once', async () => {
      await stack.insist('RESYNC MIGRATION FOR TABLE shop.person');
      await stack.makeReady('shop', 60_000);
      expect(await losses()).toEqual([['born', 'to local', 'zero_date', 'null', '3', null], fullText, ['flag', 'to local', 'boolean_range', 'clamp', '1', null]]);
    }, 120_000);

    it('nothing moves until all of them are accepted, not even by force', async () => {
      for (const words of ['', ' FORCE NO FENCE']) await expect(stack.command(`CUTOVER TABLE shop.person NO ROLLBACK${words}`)).rejects.toThrow('MIG053: shop.person: losses are not accepted: born: 3 values to local (zero_date); by_note: index of the definition; flag: 1 value to local (boolean_range)');
      const explained = await stack.command<{ Subject: string; Finding: string; Next: string }>('EXPLAIN CUTOVER TABLE shop.person');
      expect(explained.find(({ Finding }) => Finding.startsWith('MIG053'))?.Next).toContain('ACCEPT TYPE LOSS');
      expect((await stack.command<{ Why: string }>('SHOW MIGRATION WHY FOR TABLE shop.person')).map(({ Why }) => Why)).toContain('a loss that nobody has accepted: by_note: index of the definition');
      await expect(stack.command('ALTER MIGRATION FOR TABLE shop.person ACCEPT TYPE LOSS FOR COLUMN bron')).rejects.toThrow('MIG072: no loss of bron of shop.person is on record');
      expect(await stack.command('ALTER MIGRATION FOR TABLE shop.person ACCEPT TYPE LOSS FOR COLUMN born')).toEqual([{ Table: 'shop.person', Column: 'born', Direction: 'to local', Loss: 'zero_date', Values: '3' }]);
      await expect(stack.command('CUTOVER TABLE shop.person NO ROLLBACK')).rejects.toThrow('MIG053: shop.person: losses are not accepted: by_note: index of the definition; flag: 1 value to local (boolean_range)');
      const app = await stack.connect('app');
      await expect(app.query('ALTER MIGRATION ALL ACCEPT TYPE LOSS')).rejects.toThrow('MIG075');
      await expect(app.query('SHOW MIGRATION TYPE LOSS')).rejects.toThrow('MIG075');
      await app.end();
      expect((await stack.command('ALTER MIGRATION ALL ACCEPT TYPE LOSS')).length).toBe(2);
    }, 120_000);

    it('a loss that comes after the decision undoes the cutover; one of a kind that is accepted does not', async () => {
      stack.faults.arm(DECIDED);
      const undone = expect(stack.command('CUTOVER TABLE shop.person NO ROLLBACK')).rejects.toMatchObject({ message: expect.stringContaining('MIG053: shop.person: a loss that nobody has accepted came with the last changes') as string, detail: 'vip: 1 value to local (boolean_range)' });
      await stack.faults.reached(DECIDED, 30_000);
      await write('UPDATE person SET vip = 5 WHERE id = 4');
      stack.faults.release(DECIDED);
      await undone;
      expect((await stack.status()).map(({ Table, State }) => [Table, State])).toContainEqual(['shop.person', 'CUTOVER_READY']);
      expect((await stack.command('ALTER MIGRATION FOR TABLE shop.person ACCEPT TYPE LOSS')).length).toBe(1);
      // More values of a kind that is accepted are accepted.
      await write("INSERT INTO person (id, born, flag, level, note) VALUES (6, '0000-00-00', 1, 6, 'f')");
      await arrived(6);
      await stack.command('CUTOVER TABLE shop.person NO ROLLBACK');
      expect(await losses()).toEqual([['born', 'to local', 'zero_date', 'null', '4', 'operator'], ['by_note', 'definition', 'index', null, '1', 'operator'], ['flag', 'to local', 'boolean_range', 'clamp', '1', 'operator'], ['vip', 'to local', 'boolean_range', 'clamp', '1', 'operator']]);
    }, 120_000);
  });
}
