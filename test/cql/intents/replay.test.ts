/**
 * What a cluster owes is sent to it until it has it: not faster than it can take, not in another order where that matters, not for longer than it lives,
 * and never dropped without standing in the repair list.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noFaults } from '../../../config/faults.ts';
import type { Log } from '../../../config/runtime.ts';
import { readCql } from '../../../grammar/cql/statement-facts.ts';
import type { ClusterIndex } from '../../../src/cql/modes.ts';
import type { ReplayOutcome, ReplayPort } from '../../../src/cql/proxy-options.ts';
import { openIntentLog } from '../../../src/cql/intents/disk-log.ts';
import type { DiskLog } from '../../../src/cql/intents/disk-log.ts';
import { BOTH, SOURCE, TARGET } from '../../../src/cql/intents/intent-log.ts';
import type { Intent } from '../../../src/cql/intents/intent-log.ts';
import { RepairList } from '../../../src/cql/intents/repair-list.ts';
import { RepairNotes } from '../../../src/cql/intents/repair-notes.ts';
import { Replay } from '../../../src/cql/intents/replay.ts';
import { reduceTtl } from '../../../src/cql/intents/reduce-ttl.ts';

let directory: string;
let log: DiskLog;
let repairs: RepairList;
const stops: (() => Promise<unknown>)[] = [];
const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => silent };
const origin = { version: 4, keyspace: 'shop', user: 'app' };

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'replay-'));
  ({ log } = openIntentLog({ directory: path.join(directory, 'log'), maxBytes: 1e8, fsync: 'none', faults: noFaults, onDisk: () => undefined }));
  repairs = RepairList.open(path.join(directory, 'repairs.jsonl'), 1e6);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await log.close();
  await repairs.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

interface Sent {
  readonly cluster: ClusterIndex;
  readonly intent: Intent;
  readonly done: (outcome: ReplayOutcome, code?: number) => void;
}

/** Keeps what is sent, or answers it at once. */
function cluster(answer?: (sent: Sent) => ReplayOutcome | readonly [ReplayOutcome, number] | undefined): { readonly port: ReplayPort; readonly sent: Sent[] } {
  const sent: Sent[] = [];
  return {
    sent,
    port: {
      send: (to, intent, done) => {
        const one = { cluster: to, intent, done: (outcome: ReplayOutcome, code = -1) => done(outcome, code, outcome) };
        sent.push(one);
        const outcome = answer?.(one);
        if (typeof outcome === 'string') done(outcome, -1, outcome);
        else if (outcome) done(outcome[0], outcome[1], 'as told');
      },
    },
  };
}

let nowMs = 1_000_000;

function start(port: ReplayPort, options: { readonly maxInFlight?: number; readonly maxRefusals?: number; readonly maxDelayMs?: number } = {}): Replay {
  const replay = new Replay({ intents: log, port, repairs: new RepairNotes(repairs, readCql), log: silent, nowMs: () => nowMs + performance.now(), random: () => 0.5, read: readCql, maxInFlight: 4, firstDelayMs: 2, maxDelayMs: 20, maxRefusals: 3, ...options });
  stops.push(() => replay.stop(10));
  replay.start();
  return replay;
}

/** A QUERY body: text, consistency ONE, no flags. */
function query(text: string): Buffer {
  const bytes = Buffer.from(text);
  const body = Buffer.alloc(4 + bytes.length + 3);
  body.writeInt32BE(bytes.length, 0);
  bytes.copy(body, 4);
  body.writeUInt16BE(1, 4 + bytes.length);
  return body;
}

function add(text: string, { owes = TARGET, order = 0, atMs = nowMs } = {}): number {
  const ticket = log.append(origin, 0x07, owes, order, atMs, [], query(text));
  log.release(ticket, owes);
  return ticket;
}

const textOf = ({ intent }: Sent): string => intent.body.toString('utf8', 4, 4 + intent.body.readInt32BE(0));

describe('replay', () => {
  test('sends what is owed to whom owes it, and ends it when both have it', async () => {
    const { port, sent } = cluster(() => 'ok');
    const replay = start(port);
    add('INSERT INTO t (k) VALUES (1)', { owes: BOTH });
    add('INSERT INTO t (k) VALUES (2)', { owes: SOURCE });
    await expect.poll(() => log.state().depth).toBe(0);
    expect(sent.map((one) => [one.cluster, textOf(one).at(-2)]).sort()).toEqual([[0, '1'], [0, '2'], [1, '1']]);
    expect(replay.report().map(({ cluster: name, replayed }) => [name, replayed])).toEqual([['source', 2], ['target', 1]]);
  });

  test('takes up what an earlier process has left, and what is released later with a lower ticket', async () => {
    const early = log.append(origin, 0x07, TARGET, 0, nowMs, [], query('INSERT INTO t (k) VALUES (0)'));
    add('INSERT INTO t (k) VALUES (1)');
    const { port, sent } = cluster(() => 'ok');
    start(port);
    await expect.poll(() => sent.length).toBe(1);
    log.release(early, TARGET);
    await expect.poll(() => log.state().depth).toBe(0);
    expect(sent.map(textOf)).toEqual(['INSERT INTO t (k) VALUES (1)', 'INSERT INTO t (k) VALUES (0)']);
  });

  test('has no more under way than it may', async () => {
    const { port, sent } = cluster();
    start(port, { maxInFlight: 4 });
    for (let index = 0; index < 20; index += 1) add(`INSERT INTO t (k) VALUES (${index})`);
    await expect.poll(() => sent.length).toBe(4);
    for (let index = 0; index < 20; index += 1) {
      expect(sent).toHaveLength(Math.min(20, index + 4));
      sent[index]?.done('ok');
    }
    await expect.poll(() => log.state().depth).toBe(0);
  });

  test('goes through thousands that are answered at once without a stack of its own for each', async () => {
    const { port } = cluster(() => 'ok');
    for (let index = 0; index < 20_000; index += 1) add('INSERT INTO t (k) VALUES (1)');
    await expect.poll(() => log.nextReleased(0)).not.toBe(-1);
    start(port);
    await expect.poll(() => log.state().depth).toBe(0);
  });

  test('of one order goes one after the other, also when the first fails', async () => {
    const { port, sent } = cluster();
    start(port);
    for (const text of ['a', 'b', 'c']) add(`INSERT INTO ${text} (k) VALUES (1)`, { order: 9 });
    add('INSERT INTO other (k) VALUES (1)', { order: 10 });
    await expect.poll(() => sent.length).toBe(2);
    sent[0]?.done('uncertain');
    await expect.poll(() => sent.length).toBe(3);
    sent[2]?.done('ok');
    await expect.poll(() => sent.length).toBe(4);
    sent[3]?.done('ok');
    await expect.poll(() => sent.length).toBe(5);
    sent[4]?.done('ok');
    expect(sent.map((one) => textOf(one).split(' ')[2])).toEqual(['a', 'other', 'a', 'b', 'c']);
  });

  test('leaves a cluster that fails alone, asks with one write, and goes on when it answers', async () => {
    let isUp = false;
    const { port, sent } = cluster(() => (isUp ? 'ok' : 'unsent'));
    const replay = start(port, { maxDelayMs: 40 });
    for (let index = 0; index < 200; index += 1) add(`INSERT INTO t (k) VALUES (${index})`);
    await expect.poll(() => replay.report()[1]?.state).toBe('open');
    const before = sent.length;
    // Six more answers are six probes, not six times four.
    await expect.poll(() => sent.length).toBeGreaterThan(before + 6);
    expect(replay.report()[1]?.inFlight).toBeLessThanOrEqual(1);
    expect(log.state().depth).toBe(200);
    isUp = true;
    await expect.poll(() => log.state().depth).toBe(0);
    expect(replay.report()[1]?.state).toBe('closed');
    expect(repairs.state().entries).toBe(0);
  });

  test('overload and timeouts are the cluster\'s, and are never given up', async () => {
    let answers = 0;
    const { port } = cluster(() => (++answers < 12 ? ['refused', answers % 2 === 0 ? 0x1001 : 0x1000] : 'ok'));
    start(port);
    add('INSERT INTO t (k) VALUES (1)');
    await expect.poll(() => log.state().depth).toBe(0);
    expect(answers).toBe(12);
    expect(repairs.state().entries).toBe(0);
  });

  test('a statement that is refused again and again is in the repair list before it has ended, and holds up no other', async () => {
    const { port, sent } = cluster((one) => (textOf(one).includes('missing') ? ['refused', 0x2200] : 'ok'));
    start(port);
    add('INSERT INTO missing (k) VALUES (1)');
    add('INSERT INTO t (k) VALUES (1)');
    await expect.poll(() => log.state().depth).toBe(0);
    expect(sent.filter((one) => textOf(one).includes('missing'))).toHaveLength(3);
    expect(repairs.entries()).toMatchObject([{ reason: 'refused', owes: TARGET, tables: ['shop.missing'], texts: ['INSERT INTO missing (k) VALUES (1)'], message: 'as told' }]);
    await repairs.close();
    expect(RepairList.open(path.join(directory, 'repairs.jsonl'), 1e6).state()).toMatchObject({ entries: 1, isWhole: true, wholeTables: [] });
  });

  test('with a TTL has what is left of it, and one second when nothing is', async () => {
    const { port, sent } = cluster(() => 'ok');
    add('INSERT INTO t (k) VALUES (1) USING TTL 600', { atMs: nowMs - 100_000 });
    add('UPDATE t USING TTL 50 AND TIMESTAMP 7 SET v = 600 WHERE k = 1', { atMs: nowMs - 100_000 });
    nowMs -= performance.now();
    start(port);
    await expect.poll(() => sent.length).toBe(2);
    expect(sent.map(textOf).map((text) => text.replace(/ TTL (499|500)$/, ' TTL 500'))).toEqual(['INSERT INTO t (k) VALUES (1) USING TTL 500', 'UPDATE t USING TTL 1 AND TIMESTAMP 7 SET v = 600 WHERE k = 1']);
  });
});

describe('a repair list', () => {
  const entry = { atMs: 1, reason: 'condition' as const, owes: 2, keyspace: '', opcode: 7, version: 4, texts: ['x'.repeat(100)], body: 'AAAA', message: '' };

  test('that is full notes each table once, to be scanned whole', async () => {
    const file = path.join(directory, 'full.jsonl');
    const list = RepairList.open(file, 2000);
    for (let index = 0; index < 100; index += 1) await list.add({ ...entry, tables: [`ks.t${index % 2}`] });
    expect(list.state()).toMatchObject({ wholeTables: ['ks.t0', 'ks.t1'] });
    expect(fs.statSync(file).size).toBeLessThan(3000);
    await list.close();
    expect(RepairList.open(file, 2000).state()).toEqual(list.state());
  });

  test('takes a torn line for nothing and says when a whole one cannot be read', async () => {
    const file = path.join(directory, 'torn.jsonl');
    const list = RepairList.open(file, 1e6);
    await list.add({ ...entry, tables: ['ks.a'] });
    await list.add({ ...entry, tables: ['ks.b'] });
    await list.close();
    const text = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(file, text.slice(0, -20));
    const torn = RepairList.open(file, 1e6);
    expect(torn.state()).toMatchObject({ entries: 1, isWhole: true });
    await torn.add({ ...entry, tables: ['ks.c'] });
    await torn.close();
    expect(torn.entries().map(({ tables }) => tables[0])).toEqual(['ks.a', 'ks.c']);
    fs.writeFileSync(file, text.replace('ks.a', 'ks.z'));
    expect(RepairList.open(file, 1e6).state()).toMatchObject({ entries: 1, isWhole: false });
  });

  test('gives up what is repaired, and nothing when it is damaged', async () => {
    const file = path.join(directory, 'removed.jsonl');
    const list = RepairList.open(file, 1e6);
    await list.add({ ...entry, tables: ['ks.a'] });
    await list.add({ ...entry, tables: ['ks.b'] });
    expect(await list.remove(({ tables }) => tables.includes('ks.a'))).toBe(1);
    await list.add({ ...entry, tables: ['ks.c'] });
    expect(list.entries().map(({ tables }) => tables[0])).toEqual(['ks.b', 'ks.c']);
    expect(list.state()).toMatchObject({ entries: 2, isWhole: true });
    await list.close();
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('ks.b', 'ks.z'));
    const damaged = RepairList.open(file, 1e6);
    expect(await damaged.remove(() => true)).toBe(0);
    expect(damaged.state()).toMatchObject({ entries: 1, isWhole: false });
  });

  test('that is full knows when it last noted nothing new of a table', async () => {
    const list = RepairList.open(path.join(directory, 'unlisted.jsonl'), 0);
    await list.add({ ...entry, notedAtMs: 1, tables: ['ks.a'] });
    await list.add({ ...entry, notedAtMs: 2, tables: ['ks.a'] });
    await list.add({ ...entry, notedAtMs: 9, tables: ['ks.a'] });
    expect([list.lastUnlisted('ks.a'), list.lastUnlisted('ks.b')]).toEqual([9, 0]);
    await list.close();
  });
});

describe('the TTL of a frame', () => {
  const int = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(4, 0);
    bytes.writeInt32BE(value, 4);
    return bytes;
  };
  const short = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
  const statement = { id: Buffer.alloc(16, 1), keyspace: 'shop', text: 'INSERT INTO t (k, v) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?' };
  const intent = (opcode: number, body: Buffer, statements = [statement]): Intent => ({ ticket: 1, opcode, owes: 2, order: 0, atMs: 0, origin, statements, body });
  const id = Buffer.concat([short(16), statement.id]);
  const stamp = Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.alloc(8, 3)]);

  test('is reduced at its bind marker only', () => {
    const body = (ttl: number): Buffer => Buffer.concat([id, short(1), Buffer.from([0x01]), short(4), int(600), int(600), int(ttl), stamp]);
    expect(reduceTtl(intent(0x0a, body(600)), 100_000, readCql)).toEqual(body(500));
    expect(reduceTtl(intent(0x0a, body(60)), 100_000, readCql)).toEqual(body(1));
    const unlimited = intent(0x0a, body(0));
    expect(reduceTtl(unlimited, 100_000, readCql)).toBe(unlimited.body);
    const unchanged = intent(0x0a, body(600));
    expect(reduceTtl(unchanged, 400, readCql)).toBe(unchanged.body);
  });

  test('that is null or not set stays so', () => {
    for (const length of [-1, -2]) {
      const nothing = Buffer.alloc(4);
      nothing.writeInt32BE(length, 0);
      const one = intent(0x0a, Buffer.concat([id, short(1), Buffer.from([0x01]), short(4), int(600), int(600), nothing, stamp]));
      expect(reduceTtl(one, 100_000, readCql)).toBe(one.body);
    }
  });

  test('is found by its name', () => {
    const name = (text: string): Buffer => Buffer.concat([short(text.length), Buffer.from(text)]);
    const body = (ttl: number): Buffer => {
      const text = Buffer.from('INSERT INTO t (k) VALUES (:k) USING TTL :life');
      const length = Buffer.alloc(4);
      length.writeInt32BE(text.length, 0);
      return Buffer.concat([length, text, short(1), Buffer.from([0x41]), short(2), name('life'), int(ttl), name('k'), int(600)]);
    };
    expect(reduceTtl(intent(0x07, body(600), []), 100_000, readCql)).toEqual(body(500));
  });

  test('is reduced in each child of a batch, and in a batch of one text', () => {
    const text = (ttl: number): Buffer => {
      const bytes = Buffer.from(`INSERT INTO "ü" (k) VALUES (1) USING TTL ${ttl}`);
      const length = Buffer.alloc(4);
      length.writeInt32BE(bytes.length, 0);
      return Buffer.concat([length, bytes]);
    };
    const body = (first: number, second: number): Buffer => Buffer.concat([Buffer.from([0]), short(2), Buffer.from([0]), text(first), short(0), Buffer.from([1]), id, short(4), int(1), int(2), int(second), stamp, short(1), Buffer.from([0])]);
    expect(reduceTtl(intent(0x0d, body(1000, 600)), 100_000, readCql)).toEqual(body(900, 500));
    const whole = query("BEGIN BATCH INSERT INTO t (k) VALUES ('TTL 100') USING TTL 1000; UPDATE t USING TTL 100 SET v = 1 WHERE k = 2; APPLY BATCH");
    expect(reduceTtl(intent(0x07, whole, []), 50_000, readCql)).toEqual(query("BEGIN BATCH INSERT INTO t (k) VALUES ('TTL 100') USING TTL 950; UPDATE t USING TTL 50 SET v = 1 WHERE k = 2; APPLY BATCH"));
  });
});
