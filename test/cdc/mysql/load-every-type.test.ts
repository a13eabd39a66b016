/**
 * A table of every type, with extreme values, comes from each server to PostgreSQL value by value, also when its load is killed and goes on; and chunk
 * checksums of the two sides are the same, and another as soon as one value is.
 */
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checksumBuckets, checksumChunk, lookUpRows, mysqlDigestTable, nextBound, readDigests } from '../../../cdc/mysql/checksum.ts';
import type { AskMysql } from '../../../cdc/mysql/connect.ts';
import * as postgres from '../../../cdc/postgres/checksum.ts';
import { fieldDigestTable } from '../../../cdc/postgres/field-digest.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { compareEveryType, everyType, everyTypeMap, fillEveryType } from './every-type.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';

const program = path.join(import.meta.dirname, 'load-child.ts');
const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
const ROWS = isWhole ? 200_000 : 20_000;
const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
let local: TestPostgres;

beforeAll(async () => {
  local = await startTestPostgres();
});
afterAll(async () => local[Symbol.asyncDispose]());

for (const kind of kinds) {
  describeMysql([kind], `from ${kind}`, () => {
    let source: TestMysql;
    let pair: MysqlPair;
    let client: Client;
    let ask: AskMysql;
    let plan: TablePlan;
    const rules = typeRules(everyTypeMap);
    const database = 'types';

    beforeAll(async () => {
      source = await startMysql(kind);
      pair = await makeMysqlPair(source, local, database, `types_${kind.replaceAll(/\W/g, '_')}`);
      ({ client, ask } = pair);
      await fillEveryType(source, database, ROWS);
      plan = await pair.migrate('every_type', rules);
    });
    afterAll(async () => {
      await pair[Symbol.asyncDispose]();
      await source.dispose();
    });

    const load = (faults: string): Promise<{ readonly signal: NodeJS.Signals | null; readonly output: string }> => {
      const job = { source: pair.source, target: pair.target, plan, typeMap: everyTypeMap, options: { parallelWorkers: 2, batchSize: ROWS / 10 } };
      const child = spawn(process.execPath, [program, JSON.stringify(job)], { env: { ...process.env, CAUSEWAY_FAULT: faults }, stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
      return new Promise((resolve) => child.once('close', (_, signal) => resolve({ signal, output })));
    };

    it('goes on after two kills, and reads no finished chunk again', async () => {
      expect((await load('load.after_chunk_commit:crash@3')).signal).toBe('SIGKILL');
      expect((await load('load.mid_chunk:crash@4')).signal).toBe('SIGKILL');
      const before = await finished(client);
      expect(before).toBeGreaterThan(0);
      const { output } = await load('');
      const length = Math.max(...everyType.map(({ extremes }) => extremes.length));
      expect(JSON.parse(output)).toMatchObject({ rowsLoaded: ROWS + length + 1, rowsSkipped: 0 });
      const { rows } = await client.query<{ again: string }>("SELECT count(*) AS again FROM causeway.chunk WHERE chunk_no > 0 AND finished_at > (SELECT max(finished_at) FROM (SELECT finished_at FROM causeway.chunk WHERE chunk_no > 0 ORDER BY finished_at LIMIT $1) q)", [before]);
      expect(Number(rows[0]?.again)).toBe((await finished(client)) - before);
    });

    it('holds every value exactly', async () => {
      const step = ROWS / 10;
      const local = async (sql: string): Promise<readonly (readonly (string | null)[])[]> => (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;
      let compared = 0;
      for (let from = -100; from <= ROWS; from += step) {
        const found = await compareEveryType({ source: ask, local }, from, from + step);
        expect(found.different).toEqual([]);
        compared += found.compared;
      }
      expect(compared).toBeGreaterThan(ROWS * everyType.length);
    });

    it('has the checksums of the source, over ranges of the key and over buckets, until one value is another', async () => {
      const there = mysqlDigestTable(plan, await pair.columns(plan, rules));
      const here = fieldDigestTable(plan, there.forms);
      await postgres.pinSession(client);
      expect(there.isOrdered).toBe(true);
      const all = { type: 'range', lower: null, upper: null } as const;
      const middle = await nextBound(ask, there, all, 70_000);
      const ranges = [{ ...all, upper: ['-1'] }, { ...all, lower: ['-1'], upper: middle ?? null }, { ...all, lower: middle ?? null }];
      // The extremes one by one, so that a difference names its row.
      expect(await readDigests(ask, there, ranges.slice(0, 1))).toHaveLength(Math.max(...everyType.map(({ extremes }) => extremes.length)));
      const digests = async (): Promise<readonly string[][]> => {
        const [inSource, inLocal] = [await readDigests(ask, there, ranges.slice(0, 1)), await postgres.readDigests(client, here, ranges.slice(0, 1))];
        const known = new Map(inLocal.map((row) => [row.key.join(), row.digest]));
        return inSource.filter((row) => known.get(row.key.join()) !== row.digest).map((row) => [...row.key]);
      };
      // A value that a policy changed is compared as what it became.
      expect(await digests()).toEqual([]);
      for (const range of ranges) expect(await checksumChunk(ask, there, range)).toEqual(await postgres.checksumChunk(client, here, range));
      expect(new Map([...(await checksumBuckets(ask, there, 7))].sort(([a], [b]) => a - b))).toEqual(new Map([...(await postgres.checksumBuckets(client, here, 7))].sort(([a], [b]) => a - b)));
      const keys = [['-3'], ['0'], ['5'], ['123456789']];
      const found = await postgres.lookUpRows(client, here, keys);
      expect([...(await lookUpRows(ask, there, keys))].map(([at, row]) => [at, row.digest])).toEqual([...found].sort(([a], [b]) => a - b).map(([at, row]) => [at, row.digest]));
      for (const [column, other] of [['double_', '0.30000000000000004'], ['varying', "'é'"], ['bytes', "'\\x01'"], ['length', "'1 sec'"], ['choices', "'{a,b}'"], ['moment_exact', "'2000-01-01 00:00:00.000001'"], ['day', 'NULL']]) {
        await client.query('BEGIN');
        await client.query(`UPDATE public.every_type SET "${column}" = ${other} WHERE id = 77`);
        const range = { ...all, lower: ['70'], upper: ['80'] };
        expect(await checksumChunk(ask, there, range), column).not.toEqual(await postgres.checksumChunk(client, here, range));
        await client.query('ROLLBACK');
      }
    });
  });
}

async function finished(client: Client): Promise<number> {
  const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM causeway.chunk WHERE chunk_no > 0');
  return Number(rows[0]?.n);
}
