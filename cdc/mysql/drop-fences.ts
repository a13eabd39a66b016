/**
 * Takes the triggers of fences that do not stand away, at moments when nobody uses the table.
 *
 * DROP TRIGGER wants the table for itself. While it waits for a transaction that has read the table, that transaction's first write waits for it, and the
 * server ends the transaction (1213), not the waiting. MariaDB can be asked without waiting. MySQL cannot: there the table is watched until nobody has
 * held it for a while, asked for then, and given up as soon as somebody has come in between. A table that is never left alone keeps its
 * triggers: switched off, they cost a row lock for each row that is written, and somebody tries again.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Clock, Runtime } from '../../config/runtime.ts';
import { errnoOf } from './connect.ts';
import { dropMysqlFence, isFenceIdle } from './fence.ts';
import type { FencePace } from './fence.ts';
import { readMysqlServer } from './introspect.ts';
import { withLocks } from './lock-attempts.ts';
import { readRest } from './lock-holders.ts';
import type { MysqlClient } from './mysql-client.ts';
import type { MysqlQuery } from './query.ts';

export interface DropFencesOptions {
  /** Of each table. */
  readonly timeoutMs: number;
  /** Clients of the gateway are held up meanwhile. */
  readonly isPaused: boolean;
  readonly pace: FencePace;
  /** Whoever interrupts what `admin` waits for. */
  readonly interrupter: MysqlClient;
}

/** Nobody has been seen for so long: the table counts as left alone. The more often somebody comes, the more likely it is that he comes just now. */
const REST_MS = 1_000;
/** Of those past the gateway, who come seldom. */
const PAUSED_REST_MS = 100;
const LOOK_MS = 10;
/** Whoever has come in between waits no longer than this. */
const GIVE_UP_MS = 10;
/** ER_LOCK_WAIT_TIMEOUT, ER_QUERY_INTERRUPTED, ER_LOCK_DEADLOCK. */
const givenUp: readonly (number | undefined)[] = [1205, 1317, 1213];

/** Returns the tables whose triggers have stayed. */
export async function dropMysqlFences(runtime: Runtime, admin: MysqlClient, tables: readonly QualifiedName[], options: DropFencesOptions): Promise<readonly QualifiedName[]> {
  const { triesLocks } = await admin.hold((query) => readMysqlServer(query));
  const left: QualifiedName[] = [];
  for (const table of tables) {
    const isGone = triesLocks ? await dropByTrying(runtime, admin, table, options) : await dropAtRest(runtime, admin, table, options);
    if (!isGone) left.push(table);
  }
  return left;
}

async function dropByTrying(runtime: Runtime, admin: MysqlClient, table: QualifiedName, { timeoutMs, pace }: DropFencesOptions): Promise<boolean> {
  try {
    await withLocks(runtime, admin, [table], timeoutMs, (query) => dropMysqlFence(query, table, pace), 0);
    return true;
  } catch (error) {
    if (error instanceof MigrationError && error.code === 'MIG052') return false;
    throw error;
  }
}

async function dropAtRest({ clock }: Runtime, admin: MysqlClient, table: QualifiedName, { timeoutMs, isPaused, pace, interrupter }: DropFencesOptions): Promise<boolean> {
  const endMs = clock.monotonicMs() + timeoutMs;
  const restMs = isPaused ? PAUSED_REST_MS : REST_MS;
  let rest: { readonly text: string; readonly sinceMs: number } | undefined;
  for (;;) {
    const isGone = await admin.hold(async (query) => {
      if (!(await isFenceIdle(query, table))) return true;
      const text = await readRest(query, table);
      if (text === undefined) rest = undefined;
      else if (rest?.text !== text) rest = { text, sinceMs: clock.monotonicMs() };
      else if (clock.monotonicMs() - rest.sinceMs >= restMs) {
        if (await dropUnlessHeld(clock, query, table, text, pace, interrupter)) return true;
        rest = undefined;
      }
      return false;
    });
    if (isGone) return true;
    if (clock.monotonicMs() >= endMs) return false;
    await clock.sleep(LOOK_MS);
  }
}

async function dropUnlessHeld(clock: Clock, query: MysqlQuery, table: QualifiedName, rest: string, pace: FencePace, interrupter: MysqlClient): Promise<boolean> {
  const id = (await query('SELECT CONNECTION_ID() AS id'))[0]?.['id'] ?? '';
  await query('SET SESSION lock_wait_timeout = 1');
  let isBusy = false;
  try {
    await dropMysqlFence(query, table, pace, async (sql) => {
      // Once somebody is there, the rest of the triggers waits as well.
      isBusy ||= (await readRest(query, table)) !== rest;
      if (!isBusy) await interrupted(clock, query, sql, id, interrupter);
    });
  } catch (error) {
    if (!givenUp.includes(errnoOf(error))) throw error;
    isBusy = true;
  } finally {
    await query('SET SESSION lock_wait_timeout = DEFAULT');
  }
  return !isBusy;
}

/** Runs it for as long as hardly anybody has to wait for it. */
async function interrupted(clock: Clock, query: MysqlQuery, sql: string, id: string, interrupter: MysqlClient): Promise<void> {
  const done = new AbortController();
  let isKilled = false;
  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(GIVE_UP_MS, done.signal);
      const [row] = await interrupter.query(`SELECT STATE AS state FROM information_schema.PROCESSLIST WHERE ID = ${id}`);
      // What it does once it has the table takes its time.
      if (row?.['state']?.includes('metadata lock') !== true) continue;
      isKilled = true;
      await interrupter.query(`KILL QUERY ${id}`);
    }
  };
  const watching = watch().catch(() => undefined);
  try {
    await query(sql);
  } finally {
    done.abort();
    await watching;
    // One that came too late would meet the next statement.
    if (isKilled) await query('DO 0').catch(() => undefined);
  }
}
