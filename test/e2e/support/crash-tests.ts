/**
 * At every named fault point of load, apply, cutover, rollback and abort one part is killed: the control process, a gateway worker, the
 * source's server, local's server. Afterwards the migration goes on by itself, clients go on writing, and nothing
 * that was acknowledged is missing, doubled or out of order. Statements in flight on what was killed may fail.
 *
 * `npm test` has a sample with every point at least once; with CAUSEWAY_CRASH=all (`npm run soak`) every victim is killed at every point.
 *
 * One stack per victim, with clients writing all the time; each case brings the tables to where its point is passed, holds the
 * control process there, kills, lets go.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { BankHistory, bankSql, checkLists, OPENING_TOTAL, readLists, readTotal } from './bank.ts';
import { writeBehind } from './behind-the-stream.ts';
import { openBank } from './bank-client.ts';
import { allCases, allPoints, sampleCases } from '../crash-points.ts';
import type { Phase } from '../crash-points.ts';
import { Stack } from './stack.ts';
import type { Victim } from './stack.ts';

const CLIENTS = 4;
const REACH_LIMIT_MS = 40_000;
const SETTLE_LIMIT_MS = 60_000;
const CASE_LIMIT_MS = 180_000;
const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';

/** SQLSTATEs that a client may see when what it talks to is killed under it. */
const causedByKilling = /^(connection|08\w{3}|57P\w{2}|57014|25P02|40003|55P03|53300)$/;

/** Without a conflict, whichever side would win decides nothing. */
const START_OPTIONS = "copy_grants TRUE, batch_size 400, conflict_strategy 'target_wins'";

interface Run {
  readonly stack: Stack;
  readonly history: BankHistory;
  readonly bank: ReturnType<typeof openBank>;
}

export function crashTests(victims: readonly Victim[]): void {
  describe.each(victims)('kill %s', (victim) => {
    let current: Run | undefined;

    const end = async (): Promise<void> => {
      const run = current;
      current = undefined;
      await run?.bank.stop();
      await run?.stack[Symbol.asyncDispose]();
    };
    /** A case that failed leaves nothing to the next one: that begins with servers of its own. */
    const onRun = async (work: (run: Run) => Promise<void>): Promise<void> => {
      const run = (current ??= await begin());
      try {
        await work(run);
      } catch (error) {
        const log = run.stack.product.logTail(15);
        await end();
        throw error instanceof Error ? Object.assign(error, { message: `${error.message}\n${log}` }) : error;
      }
    };
    afterAll(end);

    it.each(isWhole ? allCases : sampleCases(victim))('at $point', { timeout: CASE_LIMIT_MS }, ({ phase, point }) => onRun(async ({ stack, history }) => {
      history.phase = point;
      await bringBefore(stack, phase);
      stack.faults.arm(point);
      const answer = point === 'stream.reread' ? Promise.resolve(await passReread(stack)) : point === 'stream.write_back' ? passWriteBack(stack) : passThrough(stack, phase);
      try {
        await Promise.race([stack.faults.reached(point, REACH_LIMIT_MS), refusal(answer)]);
        await stack.kill(victim);
      } finally {
        stack.faults.release(point);
      }
      const refused = await answer;
      if (point === 'stream.write_back') expect(refused).toBeUndefined();
      // The table that was being ended is ended by itself; the operator asks again for those that had not been begun.
      if (phase === 'abort' && refused !== undefined) await makeFresh(stack);
      await stack.waitState(settled[phase], SETTLE_LIMIT_MS);
      await expectLife(stack, history);
    }));

    it('and at the end both sides agree on every row', { timeout: CASE_LIMIT_MS }, () => onRun(async ({ stack, history, bank }) => {
      await bringBefore(stack, 'rollback');
      await bank.stop();
      const [source, local] = [await stack.direct('source'), await stack.direct('local')];
      const lists = await readLists(local);
      expect(checkLists(history, lists).join('\n')).toBe('');
      expect(await readTotal(local)).toBe(OPENING_TOTAL);
      for (const table of ['checking', 'savings', 'lists']) {
        const digest = `SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) AS digest FROM ${table} t`;
        const { rows } = await local.query(digest);
        // The way back follows a moment later.
        await expect.poll(async () => (await source.query(digest)).rows, { message: table, timeout: 20_000, interval: 200 }).toEqual(rows);
      }
      expect(history.violations.join('\n')).toBe('');
      const unexpected = Object.entries(history.errorsByCode()).filter(([code]) => !causedByKilling.test(code));
      expect(Object.fromEntries(unexpected)).toEqual({});
      console.log(JSON.stringify({ victim, acknowledged: history.acknowledged, unknown: history.unknown, reconnects: history.reconnects, gaveWay: history.gaveWay, errors: history.errorsByCode() }));
    }));
  });
}

async function begin(): Promise<Run> {
  const stack = await Stack.start({ sourceSql: bankSql, faultPoints: allPoints });
  const history = new BankHistory();
  return { stack, history, bank: openBank(stack.gateway, history, CLIENTS, 20) };
}

/** Where the tables may be once the phase is over, whichever way the crash decided it. Nobody needs an operator. */
const settled: Readonly<Record<Phase, readonly string[]>> = {
  load: ['DUAL_WRITE', 'CUTOVER_READY'],
  stream: ['DUAL_WRITE', 'CUTOVER_READY'],
  cutover: ['DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY'],
  rollback: ['DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY'],
  abort: ['NOT_STARTED', 'DUAL_WRITE', 'CUTOVER_READY'],
};

async function bringBefore(stack: Stack, phase: Phase): Promise<void> {
  const rows = await stack.status();
  const isFresh = rows.length === 0 || rows.every((row) => row.State === 'NOT_STARTED');
  const isLocal = rows.some((row) => row.State === 'LOCAL_ONLY');
  switch (phase) {
    case 'load':
      if (isFresh) return;
      if (isLocal) await stack.insist('ROLLBACK MIGRATION FOR GROUP OF checking');
      await makeFresh(stack);
      return;
    case 'rollback':
      if (isLocal) return;
      await bringBefore(stack, 'cutover');
      await stack.insist('CUTOVER GROUP OF checking');
      await stack.waitState(['LOCAL_ONLY']);
      return;
    default:
      if (isLocal) await stack.insist('ROLLBACK MIGRATION FOR GROUP OF checking PRESERVE LOCAL DATA');
      if (isFresh) await stack.migrate('public', START_OPTIONS);
      else await stack.makeReady('public');
  }
}

/** What has been begun is ended; an operator whose statement was lost says it again. */
async function makeFresh(stack: Stack): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const rows = await stack.status();
    if (rows.every((row) => row.State === 'NOT_STARTED')) return;
    if (performance.now() > deadline) throw new Error(`not back at the beginning: ${JSON.stringify(rows)}\n${stack.product.logTail()}`);
    if (rows.some((row) => row.State !== 'NOT_STARTED' && row.State !== 'ROLLBACK')) await stack.command('ABORT MIGRATION ALL').catch(() => undefined);
    await delay(100);
  }
}

/** Rejects when the statement is refused before its point was reached; else never settles. */
function refusal(answer: Promise<Error | undefined>): Promise<never> {
  return answer.then((error) => (error === undefined ? new Promise<never>(() => undefined) : Promise.reject(error)));
}

/** Sets off what passes the phase's points. Resolves with the error, which is no surprise once something has been killed. */
async function passThrough(stack: Stack, phase: Phase): Promise<Error | undefined> {
  const statements: Readonly<Record<Phase, string | undefined>> = {
    load: `START MIGRATION FOR SCHEMA public FROM legacy OPTIONS (${START_OPTIONS})`,
    stream: undefined,
    cutover: 'CUTOVER GROUP OF checking',
    rollback: 'ROLLBACK MIGRATION FOR GROUP OF checking PRESERVE LOCAL DATA',
    abort: 'ABORT MIGRATION ALL',
  };
  const statement = statements[phase];
  if (statement === undefined) return undefined;
  const deadline = performance.now() + REACH_LIMIT_MS;
  for (;;) {
    try {
      await stack.command(statement);
      return undefined;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      // What an operator asked for goes on when the worker that he asked through was killed.
      if (!/^MIG074: .* is running/.test(error.message) || performance.now() > deadline) return error;
      await delay(100);
    }
  }
}

/**
 * A row is read again when its change lacks a value and the row is absent: one that is changed after capture has begun and
 * deleted before the copy begins.
 */
async function passReread(stack: Stack): Promise<Error | undefined> {
  const source = await stack.direct('source');
  await source.query("INSERT INTO checking VALUES (1000001, 0, repeat('note', 2000))");
  stack.faults.arm('load.after_capture');
  const answer = passThrough(stack, 'load');
  try {
    await stack.faults.reached('load.after_capture', REACH_LIMIT_MS);
    // It may be another table's capture that came there first.
    const isCaptured = async (): Promise<boolean> => (await source.query("SELECT 1 FROM pg_publication_tables WHERE tablename = 'checking'")).rowCount === 1;
    await expect.poll(isCaptured, { timeout: REACH_LIMIT_MS }).toBe(true);
    // With a new key, as changes of one key are folded and the deletion would be all that is left.
    await source.query('UPDATE checking SET id = 1000002 WHERE id = 1000001');
    await source.query('DELETE FROM checking WHERE id = 1000002');
  } finally {
    stack.faults.release('load.after_capture');
  }
  return answer;
}

/** A row that was written to local behind the stream, and then to the source: local's wins, and is written to the source. */
async function passWriteBack(stack: Stack): Promise<Error | undefined> {
  const local = await stack.direct('local');
  const row = (note: string): string => `INSERT INTO checking VALUES (2000001, 0, '${note}')`;
  await writeBehind(local, row('of local'));
  await (await stack.direct('source')).query(row('of the source'));
  const deadline = performance.now() + REACH_LIMIT_MS + SETTLE_LIMIT_MS;
  for (;;) {
    try {
      const [source, target] = [await stack.direct('source'), await stack.direct('local')];
      const { rows } = await source.query<{ note: string }>('SELECT note FROM checking WHERE id = 2000001');
      const isOver = (await target.query('SELECT 1 FROM causeway.writeback')).rowCount === 0;
      if (isOver && rows[0]?.note === 'of local') {
        await source.query('DELETE FROM checking WHERE id = 2000001');
        return undefined;
      }
    } catch {
      // The server is the one that was killed.
    }
    if (performance.now() > deadline) return new Error("local's row was not written to the source");
    await delay(100);
  }
}

/** New writes are acknowledged, and all that were acknowledged before are there. */
async function expectLife(stack: Stack, history: BankHistory): Promise<void> {
  const before = history.acknowledged;
  await expect.poll(() => history.acknowledged, { timeout: 30_000, interval: 50 }).toBeGreaterThan(before + 5);
  const app = await connectApp(stack);
  try {
    const askedMs = performance.now();
    const lists = await readLists(app);
    const findings = checkLists(history, lists, askedMs);
    expect(findings.join('\n'), findings.length === 0 ? '' : await whereItIs(stack)).toBe('');
    expect(await readTotal(app)).toBe(OPENING_TOTAL);
  } finally {
    await app.end();
  }
  expect(history.violations.join('\n')).toBe('');
}

async function connectApp(stack: Stack): ReturnType<Stack['connect']> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await stack.connect('app');
    } catch (error) {
      if (attempt === 50) throw error;
      await delay(100);
    }
  }
}

/** What either side holds, and what the product says of it: where a missing row has gone. */
async function whereItIs(stack: Stack): Promise<string> {
  const side = async (name: 'source' | 'local'): Promise<string> => {
    const { rows } = await (await stack.direct(name)).query<{ k: number; items: string[] }>('SELECT k, items[greatest(1, cardinality(items) - 30):] AS items FROM lists ORDER BY k');
    return `${name}: ${JSON.stringify(rows)}`;
  };
  const history = await stack.command('SELECT old_state, new_state, details, created_at FROM SYS$MIGRATION_HISTORY ORDER BY created_at DESC LIMIT 12').catch(String);
  return [await side('source').catch(String), await side('local').catch(String), JSON.stringify(await stack.status()), JSON.stringify(history), stack.product.logTail(60)].join('\n');
}
