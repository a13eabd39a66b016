/** Random changes over tables whose keys, values and constraints are the awkward ones. Seeded, so that a failure can be run again. */
import type { Client } from 'pg';

export const workloadTables = ['w_int', 'w_text', 'w_pair', 'w_uuid', 'w_swap', 'w_numeric', 'w_reread'] as const;

export const workloadDdl = `
CREATE TABLE w_int (id int PRIMARY KEY, v int, big text, at timestamptz DEFAULT now());
ALTER TABLE w_int ALTER big SET STORAGE EXTERNAL;
CREATE TABLE w_text (id text PRIMARY KEY, v jsonb, list int[]);
CREATE TABLE w_pair (a int, b text, v bytea, PRIMARY KEY (a, b));
CREATE TABLE w_uuid (id uuid PRIMARY KEY, v double precision, d date, b boolean);
CREATE TABLE w_swap (id int PRIMARY KEY, place int UNIQUE, name text UNIQUE);
CREATE TABLE w_numeric (id numeric PRIMARY KEY, v text);
CREATE TABLE w_reread (id int PRIMARY KEY, v int, big text);
ALTER TABLE w_reread ALTER big SET STORAGE EXTERNAL;
`;

export type Random = () => number;

/** mulberry32 */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const between = (random: Random, low: number, high: number): number => low + Math.floor(random() * (high - low + 1));

function change(random: Random): string {
  const id = between(random, 1, 60);
  const other = between(random, 1, 60);
  const text = `'v${between(random, 0, 999)}'`;
  const changes: readonly (() => string)[] = [
    () => `INSERT INTO w_int VALUES (${id}, ${other}, repeat('${String.fromCharCode(97 + (id % 26))}', ${between(random, 1, 5000)})) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v`,
    () => `UPDATE w_int SET v = v + 1 WHERE id % 5 = ${id % 5}`,
    () => `UPDATE w_int SET id = ${other + 1000} WHERE id = ${id} AND NOT EXISTS (SELECT FROM w_int WHERE id = ${other + 1000})`,
    () => `DELETE FROM w_int WHERE id IN (${id}, ${other + 1000})`,
    () => `DELETE FROM w_int WHERE id = ${id}; INSERT INTO w_int VALUES (${id}, 0, repeat('q', 3000))`,
    () => `UPDATE w_int SET big = repeat('z', ${between(random, 10, 6000)}) WHERE id = ${id}`,
    () => `INSERT INTO w_text VALUES ('k${id}''\\\\', '{"a": [${other}, "\\u00e9"]}', '{1,NULL,${other}}') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v`,
    () => `UPDATE w_text SET list = list || ${id} WHERE id LIKE 'k${id % 10}%'`,
    () => `DELETE FROM w_text WHERE id LIKE 'k${id}%'`,
    () => `INSERT INTO w_pair VALUES (${id % 7}, 'b${other}', '\\x00ff${String(id).padStart(2, '0')}') ON CONFLICT DO NOTHING`,
    () => `UPDATE w_pair SET b = b || 'x' WHERE a = ${id % 7} AND length(b) < 12`,
    () => `UPDATE w_pair SET a = 7 - a WHERE a = ${id % 7} AND NOT EXISTS (SELECT FROM w_pair p WHERE p.a = 7 - ${id % 7})`,
    () => `DELETE FROM w_pair WHERE a = ${id % 7} AND length(b) > 6`,
    () => `INSERT INTO w_uuid VALUES (md5('${id}')::uuid, ${random()}, '2024-02-29', ${random() < 0.5}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v, b = NULL`,
    () => `UPDATE w_uuid SET d = d + 1, v = v * 3 WHERE id < md5('${other}')::uuid`,
    () => `INSERT INTO w_swap SELECT ${id}, ${id}, 'n${id}' WHERE NOT EXISTS (SELECT FROM w_swap WHERE id = ${id} OR place = ${id} OR name = 'n${id}')`,
    () => `WITH two AS (DELETE FROM w_swap WHERE id IN (${id}, ${other}) RETURNING *) INSERT INTO w_swap SELECT id + 100 + ${between(random, 0, 3)} * 1000, -place, name || 's' FROM two WHERE length(name) < 40 ON CONFLICT DO NOTHING`,
    () => `UPDATE w_swap SET place = place + 100000 WHERE id = ${id}; UPDATE w_swap SET place = place - 100000 WHERE place >= 100000`,
    // A swap through a free place: what is left of it, folded, is a permutation.
    () => swap(id, other),
    () => `DELETE FROM w_swap WHERE id = ${id}`,
    () => `INSERT INTO w_numeric VALUES (${id % 9}.${'0'.repeat(id % 3)}, ${text}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v`,
    () => `UPDATE w_numeric SET id = ${id % 9}.000 WHERE id = ${id % 9}`,
    () => `DELETE FROM w_numeric WHERE id = ${other % 9}`,
    () => `UPDATE w_reread SET v = v + 1 WHERE id = ${id}`,
    () => `UPDATE w_reread SET id = id + 100 WHERE id = ${id} AND NOT EXISTS (SELECT FROM w_reread WHERE id = ${id + 100})`,
    () => `INSERT INTO w_int SELECT g, 0, 'bulk' FROM generate_series(2000, 2000 + ${between(random, 1, 300)}) g ON CONFLICT DO NOTHING`,
    () => 'DELETE FROM w_int WHERE id >= 2000',
  ];
  return (changes[Math.floor(random() * changes.length)] ?? changes[0] ?? (() => 'SELECT 1'))();
}

function swap(a: number, b: number): string {
  if (a === b) return 'SELECT 1';
  return `DO $$ DECLARE x int; y int; BEGIN
    SELECT place INTO x FROM w_swap WHERE id = ${a}; SELECT place INTO y FROM w_swap WHERE id = ${b};
    IF x IS NOT NULL AND y IS NOT NULL THEN
      UPDATE w_swap SET place = -1000000 WHERE id = ${a}; UPDATE w_swap SET place = x WHERE id = ${b}; UPDATE w_swap SET place = y WHERE id = ${a};
    END IF; END $$`;
}

/** One transaction, some of whose changes are rolled back. Errors of its own making end it. */
export async function randomTransaction(client: Client, random: Random): Promise<void> {
  await client.query('BEGIN');
  try {
    for (let left = between(random, 1, 6); left > 0; left -= 1) {
      if (random() < 0.2) await client.query(`SAVEPOINT s; ${change(random)}; ROLLBACK TO s`);
      else if (random() < 0.2) await client.query(`SAVEPOINT s; ${change(random)}; RELEASE s`);
      else await client.query(change(random));
    }
    if (random() < 0.01) await client.query('TRUNCATE w_uuid');
    await client.query(random() < 0.9 ? 'COMMIT' : 'ROLLBACK');
  } catch (error) {
    await client.query('ROLLBACK');
    if (!['23505', '40P01', '21000'].includes(String((error as { code?: string }).code))) throw error;
  }
}
