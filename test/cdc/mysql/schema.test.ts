/** Property: a table of MySQL is made on local with the meaning that it has there, by the same functions as any other, and making it again changes nothing. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addForeignKeys, buildIndexes, buildKey, createTable } from '../../../cdc/postgres/build-keys.ts';
import { planForeignKeys } from '../../../cdc/postgres/create-schema.ts';
import type { TableDefinition } from '../../../cdc/postgres/definition.ts';
import { diffDefinitions } from '../../../cdc/postgres/definition-diff.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { convertTable, planMysqlSchema } from '../../../cdc/mysql/create-schema.ts';
import type { ConvertedTable } from '../../../cdc/mysql/create-schema.ts';
import { introspectMysqlTable, introspectMysqlTables } from '../../../cdc/mysql/introspect.ts';
import { planMysqlTable } from '../../../cdc/mysql/preflight.ts';
import { settleDefinition } from '../../../cdc/mysql/settle-definition.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { sourceKinds, startMysqlSource } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';
import { rentalTables } from './rental-tables.ts';
import { clauseTables, columnsOf, everyTypeTable } from './sample-tables.ts';

interface Made {
  readonly converted: ConvertedTable;
  readonly plan: TablePlan;
}

for (const kind of sourceKinds) {
  describeMysql([kind], `schema of ${kind}`, () => {
    const isModern = kind !== 'mysql-5.6';
    let source: MysqlSource;

    beforeAll(async () => {
      source = await startMysqlSource(kind);
      for (const database of ['shop', 'rental', 'Odd `"name']) await source.mysql.sql(`CREATE DATABASE \`${database.replaceAll('`', '``')}\``);
      for (const sql of [everyTypeTable(kind), ...clauseTables(kind)]) await source.mysql.sql(sql, 'shop');
      for (const sql of rentalTables) await source.mysql.sql(sql, 'rental');
    });
    afterAll(() => source[Symbol.asyncDispose]());

    async function makeAll(schema: string): Promise<ReadonlyMap<string, Made>> {
      const made = new Map<string, Made>();
      for (const table of await introspectMysqlTables(source.query, { schema, table: undefined })) {
        const converted = await settleDefinition(source.local, convertTable(table));
        expect(converted.findings.filter((finding) => finding.severity === 'error')).toEqual([]);
        const plan = planMysqlTable(converted, { tableId: table.name });
        const steps = planMysqlSchema(converted, plan, { localVersion: 180000 });
        await createTable(source.local, converted.definition, plan, steps);
        await buildKey(source.local, steps);
        await buildIndexes(source.postgres.address, steps, { connections: 2, concurrently: false });
        made.set(table.name, { converted, plan });
      }
      for (const { converted } of made.values()) expect(await addForeignKeys(source.local, planForeignKeys(converted.definition, (name) => name), () => true)).toEqual([]);
      return made;
    }

    const onLocal = (schema: string, name: string): Promise<TableDefinition> => introspectTable(source.local, { schema, name });

    it('has the documented type for every type', async () => {
      const made = (await makeAll('shop')).get('every type');
      const local = await onLocal('shop', 'every type');
      expect(local.columns.slice(1).map((column) => `${column.name}: ${column.type}`)).toEqual(columnsOf(kind).map((column) => `${column.name}: ${column.local.replace('"shop"', 'shop')}`));
      expect(made?.plan.columns.map((column) => `${column.name}: ${column.type}`)).toEqual(local.columns.map((column) => `${column.name}: ${column.type}`));
      expect(local.columns[0]).toMatchObject({ name: 'id', identity: 'by default', notNull: true, comment: 'it\'s the \\ key' });
      expect(local.comment).toBe('every "type"');
      expect(local.sequences[0]).toMatchObject({ start: '42', max: '4294967295', column: 'id' });
      expect(made?.plan).toMatchObject({ key: ['id'], keyKind: 'primary' });
    });

    it('keeps defaults, keys, checks, generated columns and comments, and is recognised when it is made again', async () => {
      const first = await makeAll('shop');
      const before = await onLocal('shop', 'clauses');
      const again = await makeAll('shop');
      expect(await onLocal('shop', 'clauses')).toEqual(before);
      for (const [name, { converted, plan }] of again) {
        expect(plan.definitionHash).toBe(first.get(name)?.plan.definitionHash);
        expect(diffDefinitions(converted.definition, await onLocal('shop', name), { sameTable: false, target: plan.target })).toEqual([]);
      }
      await source.local.query("INSERT INTO shop.parent (code, a, b) VALUES ('p', 1, 2)");
      const inserted = await source.local.query('INSERT INTO shop.clauses (parent_id, email, c) VALUES (1, $1, 7) RETURNING *', ['A@b']);
      expect(inserted.rows[0]).toMatchObject({
        id: '1', name: 'it\'s \\ "q"', flag: true, price: '1.50', ratio: -0.25, bits: '101', kind: 'old', tags: ['x', 'y'], bytes: Buffer.from('ab'), y: 2024,
        ...(isModern ? { twice: 14, label: 'it\'s \\ "q"-7', calc: 3 } : {}),
      });
      const refused = async (sql: string): Promise<string> => source.local.query(sql).then(() => 'taken', (error: unknown) => (error instanceof Error && 'constraint' in error ? String(error.constraint) : String(error)));
      expect(await refused("INSERT INTO shop.clauses (parent_id, email) VALUES (1, 'a@B')")).toBe('clauses_email');
      expect(await refused("INSERT INTO shop.clauses (parent_id, email) VALUES (2, 'c')")).toBe('to_parent');
      expect(await refused("INSERT INTO shop.clauses (parent_id, email, y) VALUES (1, 'd', 1899)")).toBe('clauses_y_range');
      expect(await refused("INSERT INTO shop.clauses (parent_id, email, tags) VALUES (1, 'e', '{z}')")).toBe('clauses_tags_range');
      if (isModern) expect(await refused("INSERT INTO shop.clauses (parent_id, email, price) VALUES (1, 'f', -1)")).toBe('positive');
      expect(await refused(`INSERT INTO shop.clauses (parent_id, email, body) VALUES (1, 'g', '${'x'.repeat(25)}'), (1, 'h', '${'X'.repeat(20)}other')`)).toBe('clauses_start');
    });

    it('sets the time of an update as MySQL does', async () => {
      const touched = async (change: string): Promise<boolean> => {
        const rows = await source.local.query<{ touched: boolean }>(`UPDATE shop.clauses SET ${change} WHERE id = 1 RETURNING changed > '2020-01-01' AS touched`);
        return rows.rows[0]?.touched === true;
      };
      await source.local.query("SET session_replication_role = replica; UPDATE shop.clauses SET changed = '2000-01-01' WHERE id = 1; SET session_replication_role = origin");
      expect(await touched('c = c')).toBe(false);
      expect(await touched("c = c + 1, changed = '2001-01-01'")).toBe(false);
      expect(await touched('c = c + 1')).toBe(true);
      const rows = await source.local.query<{ digits: string }>("SELECT to_char(changed, 'US') AS digits FROM shop.clauses WHERE id = 1");
      expect(rows.rows[0]?.digits).toMatch(/000$/);
    });

    it('of a rental shop, with foreign keys in a ring, is whole', async () => {
      const made = await makeAll('rental');
      const tables = [...made.keys()];
      expect(tables).toEqual(['actor', 'city', 'copy', 'country', 'customer', 'film', 'film_actor', 'payment', 'rental', 'staff', 'store']);
      const keys: number[] = [];
      for (const name of tables) keys.push((await onLocal('rental', name)).foreignKeys.length);
      expect(keys).toEqual([0, 1, 2, 0, 1, 0, 2, 2, 3, 1, 1]);
      const film = await onLocal('rental', 'film');
      expect(film.columns.map((column) => `${column.name} ${column.type}`)).toEqual([
        'film_id integer', 'title character varying(128)', 'description text', 'release_year smallint', 'length integer', 'rate numeric(4,2)', 'rating rental.film_rating', 'features text[]', 'last_update timestamp(0) with time zone',
      ]);
      expect(made.get('film_actor')?.plan).toMatchObject({ key: ['actor_id', 'film_id'], keyKind: 'primary' });
    });

    it('makes tables of one new schema at once, from several connections', async () => {
      const tables = (await introspectMysqlTables(source.query, { schema: 'rental', table: undefined })).slice(0, 6);
      await Promise.all(tables.map(async (table) => {
        const client = await source.postgres.client();
        const converted = await settleDefinition(client, convertTable(table, { targetSchema: 'at once' }));
        const plan = planMysqlTable(converted, { tableId: table.name, targetSchema: 'at once' });
        await createTable(client, converted.definition, plan, planMysqlSchema(converted, plan, { localVersion: 180000 }));
        await settleDefinition(client, convertTable(table, { targetSchema: 'at once' }));
      }));
      expect((await Promise.all(tables.map(({ name }) => onLocal('at once', name)))).map(({ name }) => name)).toEqual(tables.map(({ name }) => name));
    });

    it('takes any name, another schema, a part of the columns and other types', async () => {
      const name = 'Tab`le "1" \\ é';
      await source.mysql.sql('SET NAMES utf8; CREATE TABLE `Tab``le "1" \\\\ é` (`co``l "x"` INT NOT NULL, `b` TINYINT(1), `at` DATETIME, `left` INT, UNIQUE KEY `ke``y` (`co``l "x"`)) ENGINE=InnoDB'.replace('\\\\', '\\'), 'Odd `"name');
      const table = await introspectMysqlTable(source.query, { schema: 'Odd `"name', name });
      const converted = await settleDefinition(source.local, convertTable(table, { targetSchema: 'moved', columns: ['co`l "x"', 'b', 'at'], overrides: readTypeOverrides('b smallint, at timestamptz ON zero_date NULL') ?? [] }));
      const plan = planMysqlTable(converted, { tableId: 'x', targetSchema: 'moved', targetTable: 'plain' });
      await createTable(source.local, converted.definition, plan, planMysqlSchema(converted, plan, { localVersion: 180000 }));
      const local = await onLocal('moved', 'plain');
      expect(local.columns.map((column) => `${column.name} ${column.type} ${column.notNull}`)).toEqual(['co`l "x" integer true', 'b smallint false', 'at timestamp(0) with time zone false']);
      expect(plan).toMatchObject({ key: ['co`l "x"'], keyKind: 'unique', source: { name } });
    });
  });
}
