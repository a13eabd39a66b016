/**
 * Keys that are equal on one side only (RULES 5, 25): however changes fall into the load, the catch-up and units, and in whichever direction they go, a table ends as
 * the captured side has it, or stops with MIG030 before the change; no row is written over or deleted for another one.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { until } from '../stream/fixture.ts';
import { seeded } from '../stream/random-workload.ts';
import { followForward } from './forward-fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { copyToLocal, reverseOptions, runBack } from './reverse-fixture.ts';

const seed = randomSeed('SEED');
const TABLES = 12;
const TRANSACTIONS = 8;

/** general_ci takes `ß` for `s`, ICU for `ss`; MySQL ignores blanks at the end. */
const keys = ['s', 'S', 'ß', 'ss', 'SS', 'x', 'x '] as const;
type Rows = readonly string[];

const one = (name: string): string => `CREATE TABLE ${name} (code varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`;

/** One side on which a random application writes. */
interface Writing {
  run(sql: string): Promise<unknown>;
  rows(table: string): Promise<Rows>;
  insert(table: string, key: string, n: number): string;
  move(table: string, from: string, to: string, n: number): string;
}

interface History {
  /** After each transaction, the first before all. */
  readonly states: Rows[];
  /** Two rows stood there whose keys are one on the other side, if only within a transaction. */
  hasMet: boolean;
}

const keyOf = (row: string): string => row.slice(0, row.indexOf('|'));
const meetOnLocal = (rows: Rows): boolean => rows.some((row) => keyOf(row) === 'ß') && rows.some((row) => keyOf(row).toLowerCase() === 'ss');
const meetOnSource = (rows: Rows): boolean => new Set(rows.map((row) => keyOf(row).trimEnd().replace('ß', 's').toLowerCase())).size < rows.length;

function onSource({ ask }: MysqlPair): Writing {
  return {
    run: (sql) => ask(sql),
    rows: async (table) => (await ask(`SELECT CONCAT(code, '|', n) FROM ${table}`)).map(([row]) => String(row)).sort(),
    insert: (table, key, n) => `INSERT IGNORE INTO ${table} VALUES ('${key}', ${n})`,
    move: (table, from, to, n) => `UPDATE IGNORE ${table} SET code = '${to}', n = ${n} WHERE code = '${from}'`,
  };
}

function onLocal({ client }: MysqlPair): Writing {
  return {
    run: (sql) => client.query(sql),
    rows: async (table) => (await client.query<{ r: string }>(`SELECT code || '|' || n AS r FROM ${table}`)).rows.map(({ r }) => r).sort(),
    insert: (table, key, n) => `INSERT INTO ${table} VALUES ('${key}', ${n}) ON CONFLICT DO NOTHING`,
    move: (table, from, to, n) => `UPDATE ${table} SET code = '${to}', n = ${n} WHERE code = '${from}' AND NOT EXISTS (SELECT FROM ${table} WHERE code = '${to}' AND code <> '${from}')`,
  };
}

async function writeRandomly(side: Writing, table: string, random: () => number, meet: (rows: Rows) => boolean, history: History, transactions = TRANSACTIONS): Promise<void> {
  const pick = (): string => keys[Math.floor(random() * keys.length)] ?? 'x';
  for (let transaction = 0; transaction < transactions; transaction += 1) {
    await side.run('BEGIN');
    for (let left = 1 + Math.floor(random() * 4); left > 0; left -= 1) {
      const [choice, n] = [random(), Math.floor(random() * 1e6)];
      if (choice < 0.25) await side.run(side.insert(table, pick(), n));
      else if (choice < 0.55) await side.run(`DELETE FROM ${table} WHERE code = '${pick()}'`);
      else if (choice < 0.75) await side.run(`UPDATE ${table} SET n = ${n} WHERE code = '${pick()}'`);
      else await side.run(side.move(table, pick(), pick(), n));
      if (meet(await side.rows(table))) history.hasMet = true;
    }
    await side.run('COMMIT');
    history.states.push(await side.rows(table));
  }
}

describeMysql(['mariadb-10.11'], 'keys that are equal on one side only', () => {
  let server: TestMysql;
  let local: TestPostgres;
  let number = 0;

  beforeAll(async () => {
    [server, local] = await Promise.all([startMysql('mariadb-10.11'), startTestPostgres()]);
  });
  afterAll(async () => {
    await server?.dispose();
    await local?.[Symbol.asyncDispose]();
  });

  const makePair = (): Promise<MysqlPair> => makeMysqlPair(server, local, `equal_${(number += 1)}`);

  async function fill(pair: MysqlPair, tables: Rows, values = "('s', 1), ('ss', 2), ('x', 3)"): Promise<void> {
    for (const table of tables) {
      await pair.ask(one(table));
      await pair.ask(`INSERT INTO ${table} VALUES ${values}`);
    }
  }

  const hasFailed = (stream: OpenedStream, table: string): Promise<void> => until(`${table} has stopped`, () => stream.status(table)?.mode === 'failed');
  const isMet = { code: 'MIG030', message: expect.stringContaining('Two rows of one side') as string };

  it('a table that has stopped stops again, however often it is told to go on', async () => {
    await using pair = await makePair();
    await fill(pair, ['inserted', 'moved']);
    await using forward = await followForward(pair, ['inserted', 'moved']);
    for (const sql of ["DELETE FROM inserted WHERE code = 's'", "INSERT INTO inserted VALUES ('ß', 4)", "DELETE FROM moved WHERE code = 's'", "UPDATE moved SET code = 'ß' WHERE code = 'x'"]) await pair.ask(sql);
    for (const table of ['inserted', 'moved']) {
      for (let time = 0; time < 3; time += 1) {
        await hasFailed(forward.stream, table);
        expect(forward.stream.status(table)?.error).toMatchObject(isMet);
        // As a control process does that took the stream's reconnection for trouble, or RESUME.
        await forward.stream.startDraining(table);
      }
      await hasFailed(forward.stream, table);
      expect(await onLocal(pair).rows(table)).toEqual(['ss|2', 'x|3']);
    }
  });

  it('two rows that the load reads: the key cannot be made', async () => {
    await using pair = await makePair();
    await fill(pair, ['t'], "('ss', 2), ('ß', 3)");
    await expect(followForward(pair, ['t'])).rejects.toThrow(/unique|duplicate/i);
  });

  it.each([
    ['while it is loaded, before its first row is read', 'load'], ['while it catches up', 'catchUp'],
  ] as const)('a row that comes %s', async (_, when) => {
    await using pair = await makePair();
    const spelled = ["UPDATE spelled SET code = 'SS', n = 5 WHERE code = 'ss'"];
    const replaced = ["DELETE FROM replaced WHERE code = 'ss'", "INSERT INTO replaced VALUES ('ß', 4)", "UPDATE replaced SET n = 5 WHERE code = 'ß'"];
    const cases = { inserted: ["INSERT INTO inserted VALUES ('ß', 4)"], moved: ["UPDATE moved SET code = 'ß' WHERE code = 'x'"], gone: ["INSERT INTO gone VALUES ('ß', 4)", "DELETE FROM gone WHERE code = 'ß'"], spelled, replaced };
    await fill(pair, Object.keys(cases), "('ss', 2), ('x', 3)");
    const write = async (table: string): Promise<void> => {
      for (const sql of cases[table as keyof typeof cases]) await pair.ask(sql);
    };
    const tables = when === 'load' ? ['spelled', 'replaced'] : Object.keys(cases);
    await using forward = await followForward(pair, tables, standardTypes, { kind: 'source_wins' }, { [when]: write });
    await forward.settle(['spelled', 'replaced']);
    expect(await onLocal(pair).rows('spelled')).toEqual(['SS|5', 'x|3']);
    expect(await onLocal(pair).rows('replaced')).toEqual(['x|3', 'ß|5']);
    if (when === 'load') return;
    for (const table of ['inserted', 'moved', 'gone']) {
      expect(forward.stream.status(table)).toMatchObject({ mode: 'failed', error: isMet });
      expect(await onLocal(pair).rows(table)).toEqual(['ss|2', 'x|3']);
    }
  });

  it('the same on the way back', async () => {
    await using pair = await makePair();
    await fill(pair, ['early'], "('s', 2), ('x', 3)");
    // Blanks at the end do not count there either, and local compares as bytes: changes of one key are folded.
    await pair.ask(one('folded').replace('general_ci', 'bin'));
    await pair.ask("INSERT INTO folded VALUES ('s', 2), ('x', 3)");
    const copies = [await copyToLocal(pair, 'folded', standardTypes), await copyToLocal(pair, 'early', standardTypes)];
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-keys-'));
    // Clients write on local as soon as it is the authority, and the stream may begin a moment later.
    await using back = await runBack(reverseOptions(pair, folder, { types: standardTypes }), copies.map(({ reverse }) => reverse), async () => {
      await pair.client.query("INSERT INTO early VALUES ('ß', 4)");
    });
    await hasFailed(back.stream, 'early');
    expect(back.stream.status('early')?.error).toMatchObject(isMet);
    expect(await onSource(pair).rows('early')).toEqual(['s|2', 'x|3']);
    await pair.client.query("BEGIN; INSERT INTO folded VALUES ('x ', 4); DELETE FROM folded WHERE code = 'x '; COMMIT");
    await back.stream.waitForMarker(await back.stream.writeMarker(), ['folded'], 30_000);
    expect(await onSource(pair).rows('folded')).toEqual(['s|2', 'x|3']);
  });

  it(`random writers, in the load, the catch-up and the stream (SEED=${seed})`, { timeout: 120_000 }, async () => {
    const random = seeded(seed);
    await using pair = await makePair();
    const side = onSource(pair);
    const tables = Array.from({ length: TABLES }, (_, at) => `t${at}`);
    await fill(pair, tables);
    const histories = new Map<string, History>();
    for (const table of tables) histories.set(table, { states: [await side.rows(table)], hasMet: false });
    const history = (table: string): History => histories.get(table) as History;
    const write = (table: string, transactions?: number): Promise<void> => writeRandomly(side, table, random, meetOnLocal, history(table), transactions);
    // Only the first third is written while it is loaded and catches up: most of these stop there.
    const early = tables.slice(0, TABLES / 3);
    await using forward = await followForward(pair, tables, standardTypes, { kind: 'source_wins' }, { catchUp: async (table) => (early.includes(table) ? write(table, 2) : undefined) });
    for (const table of tables) await write(table);
    for (const table of tables) {
      await until(`${table} has come to its end`, async () => forward.stream.status(table)?.mode === 'failed' || JSON.stringify(await onLocal(pair).rows(table)) === JSON.stringify(history(table).states.at(-1)));
      const status = forward.stream.status(table);
      if (status?.mode !== 'failed') continue;
      expect(status.error).toMatchObject(isMet);
      expect(history(table).hasMet).toBe(true);
      expect(history(table).states).toContainEqual(await onLocal(pair).rows(table));
    }
  });

  it(`random writers on the way back (SEED=${seed})`, { timeout: 120_000 }, async () => {
    const random = seeded(seed + 1);
    await using pair = await makePair();
    const tables = Array.from({ length: TABLES }, (_, at) => `t${at}`);
    await fill(pair, tables);
    const copies = [];
    for (const table of tables) copies.push(await copyToLocal(pair, table, standardTypes));
    const histories = new Map<string, History>();
    for (const table of tables) histories.set(table, { states: [await onLocal(pair).rows(table)], hasMet: false });
    const write = (table: string): Promise<void> => writeRandomly(onLocal(pair), table, random, meetOnSource, histories.get(table) as History);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-keys-'));
    await using back = await runBack(reverseOptions(pair, folder, { types: standardTypes }), copies.map(({ reverse }) => reverse), () => write('t0'));
    for (const table of tables.slice(1)) await write(table);
    for (const table of tables) {
      const { states, hasMet } = histories.get(table) as History;
      await until(`${table} has come to its end`, async () => back.stream.status(table)?.mode === 'failed' || JSON.stringify(await onSource(pair).rows(table)) === JSON.stringify(states.at(-1)));
      const status = back.stream.status(table);
      if (status?.mode !== 'failed') continue;
      expect(status.error).toMatchObject(isMet);
      expect(hasMet).toBe(true);
      expect(states).toContainEqual(await onSource(pair).rows(table));
    }
  });
});
