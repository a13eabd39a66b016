/** Property: local's collation for a column agrees with MySQL's about case and accents, for every collation that the server has. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { collationFor } from '../../../cdc/mysql/collation.ts';
import { collationSteps } from '../../../cdc/mysql/create-schema.ts';
import { quoteTable } from '../../../cdc/postgres/quote.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { sourceKinds, startMysqlSource } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';

const pairs = [['a', 'A'], ['a', 'b'], ['a', 'á'], ['é', 'É'], ['o', 'ö']] as const;

/** Old collations with weights of their own for some letters; the preflight warns of every key that has a collation which is compared by ICU. */
const peculiar = /^(?:latin2_general|latin7_general|latin2_hungarian|cp1257_lithuanian|hp8_english|ujis_japanese|eucjpms_japanese)_(?:nopad_)?ci$|^utf8mb4_nn_0900_ai_ci$|^uca1400_vietnamese_(?:nopad_)?ai_cs$/;

for (const kind of sourceKinds) {
  describeMysql([kind], `collations of ${kind}`, () => {
    let source: MysqlSource;
    beforeAll(async () => {
      source = await startMysqlSource(kind);
    });
    afterAll(() => source[Symbol.asyncDispose]());

    it('agree about case and accents', async () => {
      const found = await source.query('SELECT COLLATION_NAME AS name, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY ORDER BY 1');
      const different: string[] = [];
      let compared = 0;
      for (const { name, charset } of found) {
        const collation = collationFor(name ?? null);
        if (name == null || name === 'binary' || charset == null || collation === undefined || !/^[a-z0-9_]+$/.test(name)) continue;
        for (const step of collationSteps(collation.locale === undefined ? [] : [collation])) for (const sql of step.sql) await source.local.query(sql);
        const text = (each: string): string => `CONVERT(_utf8 x'${Buffer.from(each).toString('hex')}' USING ${charset})`;
        const questions = pairs.map(([one, other], at) => `${text(one)} COLLATE ${name} = ${text(other)} COLLATE ${name} AS e${at}, CONVERT(${text(other)} USING utf8) = _utf8 x'${Buffer.from(other).toString('hex')}' COLLATE utf8_bin AS k${at}`);
        // MariaDB lists collations of one name for several sets.
        const [answer] = await source.query(`SELECT ${questions.join(', ')}`).catch(() => []);
        if (answer === undefined) continue;
        compared += 1;
        const local = await source.local.query<Record<string, boolean>>(`SELECT ${pairs.map(([one, other], at) => `'${one}' COLLATE ${quoteTable(collation.definition)} = '${other}' AS e${at}`).join(', ')}`);
        for (const [at, [one, other]] of pairs.entries()) {
          const isKnown = answer[`k${at}`] === '1';
          if (isKnown && (answer[`e${at}`] === '1') !== local.rows[0]?.[`e${at}`] && !peculiar.test(name)) different.push(`${name} ${one}=${other}: ${answer[`e${at}`]}`);
        }
      }
      expect(compared).toBeGreaterThan(180);
      expect(different).toEqual([]);
    });
  });
}
