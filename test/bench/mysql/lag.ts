/** Part `lag`: the time from the end of COMMIT on MySQL until another connection sees the transaction on local, at a steady rate of changes. */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { ChangeFigures } from './change-process.ts';
import { makeItemPair } from './item-pair.ts';
import type { ItemPair } from './item-pair.ts';
import { serverSettings } from './item-table.ts';

export interface LagFigure extends ChangeFigures {
  readonly kind: MysqlKind;
  readonly changesPerSecond: number;
  readonly transactions: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** 5 updates, 3 inserts, 2 deletes. */
const CHANGES = 10;
/** Local is asked again after so long, so a figure is too large by half of it. */
const LOOK_MS = 2;
const WARM_UP_S = 3;
/** Ids of the transactions' own rows begin behind all others. */
const FIRST = 10_000_000;

export async function measureLag(kind: MysqlKind, changesPerSecond: number, seconds: number): Promise<LagFigure> {
  await using server = await startMysql(kind, { settings: serverSettings(kind) });
  await using local = await startTestPostgres({ settings: { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '30min' } });
  await using pair = await makeItemPair(server, local, 'lag');
  const stop = await pair.startStream();
  await write(server, pair, 0, WARM_UP_S, changesPerSecond);
  const { committedAtMs, seenAtMs, tookS } = await write(server, pair, WARM_UP_S * changesPerSecond, seconds, changesPerSecond);
  const figures = await stop();
  const lags = committedAtMs.map((at, index) => (seenAtMs[index] ?? Number.POSITIVE_INFINITY) - at).sort((left, right) => left - right);
  const at = (part: number): number => lags[Math.min(lags.length - 1, Math.floor(lags.length * part))] ?? Number.NaN;
  return { kind, changesPerSecond: Math.round((committedAtMs.length * CHANGES) / tookS), transactions: committedAtMs.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), ...figures };
}

interface Times {
  readonly committedAtMs: readonly number[];
  readonly seenAtMs: readonly number[];
  /** How long the writer needed. */
  readonly tookS: number;
}

/** One transaction after the other, each at its time; local shows them in the same order, so the largest id says how many are there. */
async function write(server: TestMysql, pair: ItemPair, skip: number, seconds: number, changesPerSecond: number): Promise<Times> {
  const transactions = Math.round((seconds * changesPerSecond) / CHANGES);
  const first = FIRST + skip;
  const committedAtMs: number[] = [];
  const seenAtMs: number[] = [];
  const started = performance.now();
  let tookS = 0;
  const writing = async (): Promise<void> => {
    const connection = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: pair.database, multipleStatements: true });
    try {
      for (let at = 0; at < transactions; at += 1) {
        const early = started + (at * CHANGES * 1000) / changesPerSecond - performance.now();
        if (early > 1) await delay(early);
        await connection.query(transactionOf(first, at));
        committedAtMs.push(performance.now());
      }
      tookS = (performance.now() - started) / 1000;
    } finally {
      connection.destroy();
    }
  };
  const looking = async (): Promise<void> => {
    const end = started + seconds * 3_000 + 60_000;
    while (seenAtMs.length < transactions) {
      const { rows: [row] } = await pair.local.query<{ at: string | null }>('SELECT max(id)::text AS at FROM item');
      const now = performance.now();
      const seen = Math.floor((Number(row?.at ?? 0) - first) / CHANGES) + 1;
      while (seenAtMs.length < seen) seenAtMs.push(now);
      if (now > end) throw new Error(`${seenAtMs.length} of ${transactions} transactions are visible on local`);
      await delay(LOOK_MS);
    }
  };
  await Promise.all([writing(), looking()]);
  return { committedAtMs, seenAtMs, tookS };
}

function transactionOf(first: number, at: number): string {
  const id = first + at * CHANGES;
  const updates = Array.from({ length: 5 }, (_, index) => 1 + ((at * 5 + index) * 7919) % 200_000);
  const added = [0, 1, 2].map((index) => `(${id + index}, ${at}, 'lag', 1.5, NOW(6), UNHEX(LPAD(HEX(${at}), 32, 'a')), REPEAT('x', 40))`);
  // Of the transaction before it the last two go again.
  return `BEGIN; UPDATE item SET quantity = quantity + 1, changed_at = NOW(6) WHERE id IN (${updates.join(', ')}); INSERT INTO item VALUES ${added.join(', ')}; DELETE FROM item WHERE id IN (${id - CHANGES + 1}, ${id - CHANGES + 2}); COMMIT`;
}
