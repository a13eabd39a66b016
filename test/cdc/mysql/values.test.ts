/**
 * Property: a value written on MySQL, converted, stored by local, read there, converted back and written on MySQL again is the value that was there,
 * or the conversion has named what it lost.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { convertTable, planMysqlSchema } from '../../../cdc/mysql/create-schema.ts';
import type { ConvertedTable } from '../../../cdc/mysql/create-schema.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { settleDefinition } from '../../../cdc/mysql/settle-definition.ts';
import { makeConversion } from '../../../cdc/mysql/type-map.ts';
import type { MapOverrides } from '../../../cdc/mysql/type-map.ts';
import type { TypeLoss } from '../../../cdc/mysql/type-loss.ts';
import { createTable } from '../../../cdc/postgres/build-keys.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { quoteIdent, quoteTable } from '../../../cdc/postgres/quote.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { readCanonical, sourceKinds, startMysqlSource, writeCanonical } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';
import { columnsOf, everyTypeTable } from './sample-tables.ts';
import { randomValue } from './sample-values.ts';

type Rows = readonly (readonly (string | null)[])[];

for (const kind of sourceKinds) {
  describeMysql([kind], `values of ${kind}`, () => {
    let source: MysqlSource;
    let converted: ConvertedTable;

    beforeAll(async () => {
      source = await startMysqlSource(kind);
      await source.mysql.createDatabase('shop');
      await source.mysql.sql(everyTypeTable(kind), 'shop');
      await source.mysql.sql('CREATE TABLE back LIKE `every type`', 'shop');
      converted = await make('every type');
    });
    afterAll(() => source[Symbol.asyncDispose]());

    async function make(table: string, overrides: MapOverrides = []): Promise<ConvertedTable> {
      const definition = await introspectMysqlTable(source.query, { schema: 'shop', name: table });
      const settled = await settleDefinition(source.local, convertTable(definition, { overrides }));
      expect(settled.findings.filter((finding) => finding.severity === 'error')).toEqual([]);
      const plan = planTable(settled.definition, { tableId: table });
      await createTable(source.local, settled.definition, plan, planMysqlSchema(settled, plan, { localVersion: 180000 }));
      return settled;
    }

    /** MySQL → local → MySQL; rows as they are in the end, and everything that was lost. */
    async function roundTrip(table: ConvertedTable, rows: Rows, modeOfReturn = 'STRICT_ALL_TABLES'): Promise<{ readonly written: Rows; readonly onLocal: Rows; readonly back: Rows; readonly losses: readonly TypeLoss[] }> {
      const columns = table.mapped.map(({ column }) => ({ name: column.name, type: column.type }));
      const losses: TypeLoss[] = [];
      const conversions = table.mapped.map((mapped) => makeConversion(mapped, (loss) => losses.push(loss)));
      const name = table.definition.name;
      const local = quoteTable(table.definition);
      await source.mysql.sql(`DELETE FROM \`${name}\`; DELETE FROM back`, 'shop');
      await source.local.query(`DELETE FROM ${local}`);
      await writeCanonical(source.mysql, 'shop', name, columns, rows, 'ALLOW_INVALID_DATES');
      const written = await readCanonical(source.mysql, 'shop', name, columns);
      for (const row of written) {
        const values = row.map((value, index) => (value === null ? null : conversions[index]?.toLocal(value) ?? null));
        await source.local.query(`INSERT INTO ${local} VALUES (${values.map((_, index) => `$${index + 1}::text::${table.definition.columns[index]?.type}`).join(', ')})`, values);
      }
      await source.local.query("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'");
      const found = await source.local.query<(string | null)[]>({
        text: `SELECT ${columns.map((column) => quoteIdent(column.name)).join(', ')} FROM ${local} ORDER BY 1`, rowMode: 'array', types: { getTypeParser: () => (value: string) => value },
      });
      const onLocal = found.rows;
      const back = onLocal.map((row) => row.map((value, index) => (value === null ? null : conversions[index]?.toSource(value) ?? null)));
      await writeCanonical(source.mysql, 'shop', 'back', columns, back, modeOfReturn);
      return { written, onLocal, back: await readCanonical(source.mysql, 'shop', 'back', columns), losses };
    }

    it('at the ends of every type come back as they were', async () => {
      const columns = columnsOf(kind);
      const count = Math.max(...columns.map(({ extremes }) => extremes.length));
      const rows = Array.from({ length: count + 1 }, (_, row) => [`${row + 1}`, ...columns.map(({ extremes }) => (row === count ? null : extremes[row % extremes.length] ?? null))]);
      const { written, back, losses } = await roundTrip(converted, rows);
      expect(back).toEqual(written);
      expect(losses).toEqual([]);
      // What was asked for is what was written: nothing was cut by the mode without checks.
      expect(written.length).toBe(rows.length);
      for (const [at, column] of columns.entries()) {
        if (/^(?:FLOAT|DOUBLE|JSON)/.test(column.type)) continue;
        expect(written.map((row) => row[at + 1]), column.name).toEqual(rows.map((row) => row[at + 1]));
      }
    });

    it('of every type, whatever they are, come back as they were', async () => {
      const columns = columnsOf(kind);
      const row = fc.tuple(...columns.map((column) => fc.option(randomValue(column.type), { freq: 8 })));
      await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 30, maxLength: 60 }), async (rows) => {
        const { written, back } = await roundTrip(converted, rows.map((values, index) => [`${index + 1}`, ...values]));
        expect(back).toEqual(written);
      }), { numRuns: 8, endOnFailure: true });
    }, 180_000);

    it('that local cannot hold are refused by name, or become what their policy says', async () => {
      await source.mysql.sql(`CREATE TABLE odd (id INT PRIMARY KEY, d DATE, dt DATETIME(3) NOT NULL, t TEXT CHARACTER SET utf8mb4, e ENUM('a','b'), flag TINYINT(1), big BIGINT UNSIGNED, time_of_day TIME) ENGINE=InnoDB`, 'shop');
      await source.mysql.sql('DROP TABLE back; CREATE TABLE back LIKE odd', 'shop');
      const rows: Rows = [
        ['1', '0000-00-00', '0000-00-00 00:00:00.000', 'a\0b', 'nothing', '7', '18446744073709551615', '-01:00:00'],
        ['2', '2024-00-00', '2024-02-31 10:00:00.500', 'ab', 'a', '1', '9223372036854775807', '24:00:01'],
        ['3', '2024-05-00', '0000-05-05 10:00:00.000', '', 'b', '0', '0', '23:59:59'],
      ];
      const strict = await make('odd');
      await expect(roundTrip(strict, rows)).rejects.toMatchObject({ code: 'MIG014', message: expect.stringContaining('zero_date') as string, hint: expect.stringContaining("type_map 'd ON zero_date CLAMP'") as string });
      await source.local.query('DROP TABLE shop.odd');

      const clamped = await make('odd', readTypeOverrides('big bigint, time_of_day time, * ON * CLAMP'));
      const kept = await roundTrip(clamped, rows);
      expect(kept.onLocal.map((row) => row.slice(1))).toEqual([
        ['-infinity', '-infinity', 'ab', 'a', 't', '9223372036854775807', '00:00:00'],
        ['2024-01-01', '2024-02-29 10:00:00.5', 'ab', 'a', 't', '9223372036854775807', '24:00:00'],
        ['2024-05-01', '0001-05-05 10:00:00 BC', '', 'b', 'f', '0', '23:59:59'],
      ]);
      expect(kept.back.map((row) => row.slice(1, 3))).toEqual([['0000-00-00', '0000-00-00 00:00:00.000'], ['2024-01-01', '2024-02-29 10:00:00.500'], ['2024-05-01', '0000-05-05 10:00:00.000']]);
      expect(kept.losses.map(({ kind: lost, column }) => `${column} ${lost}`)).toEqual([
        'd zero_date', 'dt zero_date', 't nul_character', 'e enum_empty', 'flag boolean_range', 'big unsigned_range', 'time_of_day time_range', 'd invalid_date', 'dt invalid_date', 'time_of_day time_range', 'd invalid_date',
      ]);
      await source.local.query('DROP TABLE shop.odd');

      const nulls = await make('odd', readTypeOverrides('* ON * NULL, big bigint, t ON nul_character CLAMP'));
      expect(nulls.definition.columns.find((column) => column.name === 'dt')?.notNull).toBe(false);
      await source.mysql.sql('ALTER TABLE back MODIFY dt DATETIME(3) NULL', 'shop');
      expect((await roundTrip(nulls, rows)).onLocal[0]?.slice(1)).toEqual([null, null, 'ab', null, null, null, '-01:00:00']);
      await source.local.query('DROP TABLE shop.odd; DROP TYPE shop.odd_e');

      const texts = await make('odd', readTypeOverrides('* ON * TEXT, t ON nul_character CLAMP'));
      const exact = await roundTrip(texts, rows, 'ALLOW_INVALID_DATES');
      expect(exact.back.map((row) => row.filter((_, index) => index !== 3))).toEqual(exact.written.map((row) => row.filter((_, index) => index !== 3)));
      expect(exact.losses.map(({ kind: lost }) => lost)).toEqual(['nul_character']);
    });
  });
}
