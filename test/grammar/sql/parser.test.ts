/** Property: no statement, however hostile, takes the parser away from anybody else (RULES 31). */
import { describe, expect, test } from 'vitest';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';

describe('hostile statements', () => {
  test('overflows are that statement\'s error; every later statement is read', async () => {
    await using parser = await loadSqlParser({ largeFrom: 1_000_000 });
    for (let round = 0; round < 30; round += 1) {
      // Read on this thread first, where it overflows.
      const facts = await parser.readFacts(`SELECT ${'1+'.repeat(20_000)}1`);
      expect(facts.type).toMatch(/sql|invalid/);
      expect(await parser.readFacts('SELECT 1 FROM a')).toMatchObject({ type: 'sql' });
    }
  }, 120_000);

  test('what overflows the large stack too is refused', async () => {
    await using parser = await loadSqlParser();
    expect(await parser.readFacts(`SELECT ${'1+'.repeat(3_000_000)}1`)).toMatchObject({ type: 'invalid', refusal: { code: 'MIG088' } });
    expect(await parser.readFacts(`SELECT ${'1+'.repeat(20_000)}1`)).toMatchObject({ type: 'sql' });
  }, 60_000);

  test('a text over the limit is refused unread', async () => {
    await using parser = await loadSqlParser({ maxLength: 1_000 });
    expect(parser.parseFacts(`SELECT '${'x'.repeat(1_000)}'`)).toMatchObject({ type: 'invalid', refusal: { code: 'MIG088' } });
  });

  test('constants do not count: rows, lists and long values are read whatever their size', async () => {
    await using parser = await loadSqlParser();
    const value = "it''s".repeat(10);
    const rows = Array.from({ length: 400_000 }, (_, index) => `(${index}, '${value}', -${index}.5, NULL)`).join(', ');
    const texts = [
      `INSERT INTO big (a, b, c, d) VALUES ${rows} ON CONFLICT (a) DO NOTHING RETURNING (SELECT max(x) FROM other)`,
      `UPDATE big SET b = '${'x'.repeat(30_000_000)}' WHERE a IN (SELECT y FROM other)`,
      `SELECT * FROM big JOIN other ON a IN (${Array.from({ length: 2_000_000 }, (_, index) => index).join(', ')})`,
    ];
    for (const text of texts) {
      expect(text.length).toBeGreaterThan(15_000_000);
      const facts = await parser.readFacts(text);
      const [one] = facts.type === 'sql' ? facts.statements : [];
      expect([...(one?.reads ?? []), ...(one?.writes ?? [])].map(({ name }) => name).sort(), text.slice(0, 40)).toEqual(['big', 'other']);
    }
    expect(await parser.readFacts(`INSERT INTO big VALUES ${rows} RETURNING nonsense(((`)).toMatchObject({ type: 'invalid' });
  }, 120_000);

  test('a constant that names something is read as it stands', async () => {
    await using parser = await loadSqlParser();
    const facts = await parser.readFacts(`SELECT nextval('first'), '${'x'.repeat(1_000_000)}'`);
    expect(facts.type === 'sql' ? facts.statements[0]?.sequencesWritten.map(({ name }) => name) : facts).toEqual(['first']);
  });

  test('many large statements at once are read in turn', async () => {
    await using parser = await loadSqlParser();
    const all = await Promise.all(Array.from({ length: 20 }, (_, index) => parser.readFacts(`SELECT ${'1,'.repeat(8_000)}1 FROM t${index}`)));
    expect(all.map((facts) => (facts.type === 'sql' ? facts.statements[0]?.reads[0]?.name : facts.type))).toEqual(Array.from({ length: 20 }, (_, index) => `t${index}`));
  });

  test('closing answers those who wait', async () => {
    const parser = await loadSqlParser();
    const waiting = Array.from({ length: 3 }, () => parser.readFacts(`SELECT ${'1,'.repeat(8_000)}1`));
    await parser[Symbol.asyncDispose]();
    for (const facts of await Promise.all(waiting)) expect(facts).toMatchObject({ type: 'invalid', refusal: { code: 'MIG085' } });
  });
});
