/**
 * What was written is read back after any end of the process; what ended is not sent again; damage is told, never skipped.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { spawn } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noFaults } from '../../../config/faults.ts';
import { openIntentLog } from '../../../src/cql/intents/disk-log.ts';
import type { DiskLog, DiskLogOptions, OpenedLog } from '../../../src/cql/intents/disk-log.ts';
import { BOTH, REFUSED, SOURCE, TARGET } from '../../../src/cql/intents/intent-log.ts';
import type { IntentStatement } from '../../../src/cql/intents/intent-log.ts';

let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'intents-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

const origin = { version: 4, keyspace: 'shop', user: 'app' };
const statements: readonly IntentStatement[] = [1, 2, 3].map((number) => ({ id: Buffer.alloc(16, number), keyspace: number === 3 ? '' : 'shop', text: `INSERT INTO t${number} (k, "Ä") VALUES (?, ?)` }));

function open(options: Partial<DiskLogOptions> = {}): OpenedLog {
  return openIntentLog({ directory, maxBytes: 1e9, fsync: 'none', faults: noFaults, onDisk: () => undefined, ...options });
}

function append(log: DiskLog, body: string, { owes = BOTH, count = 1 } = {}): number {
  return log.append(origin, 0x0a, owes, 7, 1000, statements.slice(0, count), Buffer.from(body));
}

/** Ticket → body and owes, as the replay walks it. */
function released(log: DiskLog): Map<number, string> {
  const found = new Map<number, string>();
  for (let ticket = log.nextReleased(0); ticket !== -1; ticket = log.nextReleased(ticket)) {
    const intent = log.read(ticket);
    if (intent) found.set(ticket, `${intent.body.toString()}/${intent.owes}`);
  }
  return found;
}

const written = (log: DiskLog, ticket: number): Promise<void> => expect.poll(() => log.writtenUpTo, { interval: 1 }).toBeGreaterThanOrEqual(ticket);

describe('a log', () => {
  test('gives back what it took, whole', async () => {
    const { log } = open();
    const ticket = log.append(origin, 0x0d, TARGET, 4_000_000_000, 1234.5, [...statements, ...statements], Buffer.from([0, 255, 1]));
    expect(log.writtenUpTo).toBe(ticket - 1);
    await written(log, ticket);
    expect(log.read(ticket)).toEqual({ ticket, opcode: 0x0d, owes: TARGET, order: 4_000_000_000, atMs: 1234.5, origin, statements: [...statements, ...statements], body: Buffer.from([0, 255, 1]) });
    await log.close();
    const again = open();
    expect(again).toMatchObject({ damages: [], tornBytes: 0 });
    expect(again.log.read(ticket)).toEqual({ ticket, opcode: 0x0d, owes: TARGET, order: 4_000_000_000, atMs: 1234.5, origin, statements: [...statements, ...statements], body: Buffer.from([0, 255, 1]) });
    expect(again.log.state()).toMatchObject({ depth: 1, released: 1, oldestAtMs: 1234.5 });
    await again.log.close();
  });

  test('calls once for all that one write took', async () => {
    const { log } = open();
    await expect.poll(() => fs.readdirSync(directory).length).toBe(1);
    let calls = 0;
    log.onWritten = () => (calls += 1);
    const last = Array.from({ length: 100 }, (_, index) => append(log, `b${index}`)).at(-1) ?? 0;
    expect(calls).toBe(0);
    await written(log, last);
    expect(calls).toBe(1);
    await log.close();
  });

  test.each(['none', 'group'] as const)('has what was appended in its file when flush returns; with fsync %s it is told when that holds', async (fsync) => {
    const { log } = open({ fsync });
    await expect.poll(() => fs.readdirSync(directory).length).toBe(1);
    const ticket = append(log, 'in the same turn');
    log.flush();
    expect(fs.readFileSync(path.join(directory, fs.readdirSync(directory)[0] ?? '')).includes('in the same turn')).toBe(true);
    expect(log.writtenUpTo).toBe(fsync === 'none' ? ticket : ticket - 1);
    await written(log, ticket);
    await log.close();
  });

  test('walks over what was released only, and only over what is written', async () => {
    const { log } = open();
    const [a, b, c] = [append(log, 'a'), append(log, 'b'), append(log, 'c')];
    let told = 0;
    log.onReleased = () => (told += 1);
    log.release(b, TARGET);
    expect(log.nextReleased(0)).toBe(-1);
    await written(log, c);
    expect(told).toBe(1);
    expect(released(log)).toEqual(new Map([[b, 'b/2']]));
    log.release(a, SOURCE);
    expect(told).toBe(2);
    log.settle(b);
    expect(released(log)).toEqual(new Map([[a, 'a/1']]));
    await log.close();
    const again = open();
    expect(released(again.log)).toEqual(new Map([[a, 'a/1'], [c, 'c/3']]));
    await again.log.close();
  });

  test('tells of a cancellation when it is on disk', async () => {
    const { log } = open();
    const ticket = append(log, 'a');
    const number = log.cancel(ticket);
    expect(log.cancelledUpTo).toBeLessThan(number);
    await expect.poll(() => log.cancelledUpTo, { interval: 1 }).toBe(number);
    // A copy is what another process would find after SIGKILL.
    const copy = `${directory}-copy`;
    fs.cpSync(directory, copy, { recursive: true });
    const found = open({ directory: copy });
    expect(found.log.state().depth).toBe(0);
    await found.log.close();
    fs.rmSync(copy, { recursive: true });
    await log.close();
  });

  test('that is closed writes nothing more, whoever is late', async () => {
    const { log } = open();
    const tickets = ['a', 'b', 'c'].map((body) => append(log, body));
    await written(log, tickets[2] ?? 0);
    await log.close();
    const files = (): string => JSON.stringify(fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name)).toString('hex')]));
    const before = files();
    log.settle(tickets[0] ?? 0);
    log.cancel(tickets[1] ?? 0);
    log.release(tickets[2] ?? 0, TARGET);
    await log.close();
    expect(files()).toBe(before);
    expect(log.state().depth).toBe(3);
  });

  test('refuses when it is full, and takes again when a segment has ended', async () => {
    const { log } = open({ maxBytes: 200_000, segmentBytes: 20_000 });
    const tickets: number[] = [];
    for (let ticket = append(log, 'x'.repeat(1000)); ticket !== REFUSED; ticket = append(log, 'x'.repeat(1000))) {
      tickets.push(ticket);
      await written(log, ticket);
    }
    expect(tickets.length).toBeGreaterThan(150);
    expect(log.state().bytes).toBeLessThanOrEqual(200_000);
    for (const ticket of tickets.slice(0, 50)) log.settle(ticket);
    await expect.poll(() => append(log, 'again'), { interval: 5 }).not.toBe(REFUSED);
    await log.close();
    expect(append(log, 'late')).toBe(REFUSED);
    expect(log.refusal).toBe('closed');
  });

  test('removes segments whose intents have all ended, and no other; tickets are not used again', async () => {
    const { log } = open({ segmentBytes: 2000 });
    const tickets: number[] = [];
    for (let index = 0; index < 100; index += 1) {
      tickets.push(append(log, `${index}`.padEnd(100, '.')));
      await written(log, tickets.at(-1) ?? 0);
    }
    const kept = tickets[30] ?? 0;
    for (const ticket of tickets) if (ticket !== kept) log.settle(ticket);
    await expect.poll(() => log.state().segments).toBeLessThanOrEqual(2);
    expect([...released(log).keys()]).toEqual([]);
    await log.close();
    const again = open();
    expect([...released(again.log).keys()]).toEqual([kept]);
    again.log.settle(kept);
    await again.log.close();
    const third = open();
    expect(third.damages).toEqual([]);
    expect(append(third.log, 'next')).toBeGreaterThan(tickets.at(-1) ?? 0);
    await third.log.close();
  });

  test('refuses while the disk fails and goes on by itself', async () => {
    const told: (Error | undefined)[] = [];
    const { log } = open({ onDisk: (error) => told.push(error), segmentBytes: 1000 });
    const first = append(log, 'first'.padEnd(1200));
    await written(log, first);
    // The next segment's name is taken by a folder.
    const blocked = path.join(directory, `${String(first + 1).padStart(16, '0')}.intents`);
    await expect.poll(() => fs.existsSync(blocked)).toBe(true);
    const second = append(log, 'second'.padEnd(1200));
    await written(log, second);
    const name = path.join(directory, `${String(second + 1).padStart(16, '0')}.intents`);
    await expect.poll(() => fs.existsSync(name)).toBe(true);
    await log.close();
    const again = open({ onDisk: (error) => told.push(error), segmentBytes: 1000 });
    fs.rmSync(name, { force: true });
    fs.mkdirSync(name);
    await expect.poll(() => again.log.refusal).toBe('disk');
    expect(append(again.log, 'third')).toBe(REFUSED);
    fs.rmdirSync(name);
    await expect.poll(() => again.log.refusal).toBe(undefined);
    expect(told.map((error) => error !== undefined)).toEqual([true, false]);
    const third = append(again.log, 'third');
    await written(again.log, third);
    await again.log.close();
  });
});

describe('any course of calls', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ does: fc.constant('append' as const), body: fc.string({ maxLength: 300 }), count: fc.integer({ min: 0, max: 3 }) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('settle' as const, 'cancel' as const, 'release' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('wait' as const, 'reopen' as const) }) },
  );

  test('leaves exactly what had not ended', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
      fs.rmSync(directory, { recursive: true, force: true });
      let { log } = open({ segmentBytes: 1500 });
      const live = new Map<number, string>();
      const pick = (which: number): number => [...live.keys()][which % Math.max(1, live.size)] ?? 0;
      for (const one of steps) {
        if (one.does === 'append') live.set(append(log, one.body, { count: one.count }), `${one.body}/3`);
        else if (one.does === 'wait') await new Promise((resolve) => setImmediate(resolve));
        else if (one.does === 'reopen') {
          await log.close();
          const opened = open({ segmentBytes: 1500 });
          expect(opened).toMatchObject({ damages: [], tornBytes: 0 });
          ({ log } = opened);
          expect(released(log)).toEqual(live);
        } else if (live.size > 0 && 'which' in one) {
          const ticket = pick(one.which);
          if (one.does === 'settle') log.settle(ticket);
          else if (one.does === 'cancel') log.cancel(ticket);
          else log.release(ticket, TARGET);
          if (one.does === 'release') live.set(ticket, (live.get(ticket) ?? '').replace(/\/\d$/, '/2'));
          else live.delete(ticket);
        }
      }
      await log.close();
      const { log: last, damages } = open();
      expect(damages).toEqual([]);
      expect(released(last)).toEqual(live);
      expect(last.state().depth).toBe(live.size);
      await last.close();
    }), { numRuns: 60 });
  });
});

/** One segment of ten intents as a killed process leaves it. */
async function tenIntents(): Promise<{ readonly file: string; readonly bytes: Buffer; readonly bodies: ReadonlyMap<number, string> }> {
  const { log } = open();
  const bodies = new Map<number, string>();
  for (let index = 0; index < 10; index += 1) bodies.set(append(log, `body of ${index}`, { count: index % 4 }), `body of ${index}/3`);
  await written(log, Math.max(...bodies.keys()));
  const file = path.join(directory, fs.readdirSync(directory)[0] ?? '');
  const bytes = fs.readFileSync(file);
  await log.close();
  return { file, bytes, bodies };
}

function leave(file: string, bytes: Buffer): void {
  fs.rmSync(directory, { recursive: true });
  fs.mkdirSync(directory);
  fs.writeFileSync(file, bytes);
}

describe('a file', () => {
  test('that is cut anywhere gives the intents before the cut, and the rest is a torn write', async () => {
    const { file, bytes, bodies } = await tenIntents();
    for (let length = 0; length <= bytes.length; length += 1) {
      leave(file, bytes.subarray(0, length));
      const { log, damages, tornBytes } = open();
      const found = released(log);
      expect([...found]).toEqual([...bodies].slice(0, found.size));
      expect(damages).toEqual([]);
      if (length === bytes.length) expect({ size: found.size, tornBytes }).toEqual({ size: 10, tornBytes: 0 });
      await log.close();
      const again = open();
      expect({ found: released(again.log), damages: again.damages, tornBytes: again.tornBytes }).toEqual({ found, damages: [], tornBytes: 0 });
      await again.log.close();
    }
  });

  test('with a changed byte gives no changed intent, and says so of every one that is lost', async () => {
    const { file, bytes, bodies } = await tenIntents();
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      leave(file, changed);
      const { log, damages, tornBytes } = open();
      const found = released(log);
      for (const [ticket, body] of found) expect(bodies.get(ticket)).toBe(body);
      const lost = [...bodies.keys()].filter((ticket) => !found.has(ticket));
      for (const ticket of lost) {
        const isTold = damages.some(({ fromTicket, toTicket }) => ticket >= fromTicket && (toTicket === undefined || ticket < toTicket)) || (tornBytes > 0 && ticket === 10);
        expect(isTold, `byte ${at}, ticket ${ticket}: ${JSON.stringify({ damages, tornBytes })}`).toBe(true);
      }
      await log.close();
    }
  });

  test('that was damaged is kept when its intents have ended, and named again at each start', async () => {
    const { file, bytes } = await tenIntents();
    const changed = Buffer.from(bytes);
    changed[bytes.indexOf('body of 4')] = 0;
    leave(file, changed);
    const { log, damages } = open();
    expect(damages).toMatchObject([{ file, fromTicket: 5, toTicket: 6 }]);
    const found = released(log);
    expect(found.size).toBe(9);
    for (const ticket of found.keys()) log.settle(ticket);
    await log.close();
    const second = open();
    expect(second.damages).toHaveLength(1);
    expect(second.damages[0]?.file).toMatch(/\.damaged$/);
    expect(append(second.log, 'next')).toBeGreaterThan(10);
    await second.log.close();
  });

  test('that changes under a running process is not sent as something else', async () => {
    const { log } = open();
    const ticket = append(log, 'what was written');
    await written(log, ticket);
    const file = path.join(directory, fs.readdirSync(directory).find((name) => name.endsWith('.intents')) ?? '');
    const bytes = fs.readFileSync(file);
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, 'W', bytes.indexOf('what was'));
    fs.closeSync(fd);
    expect(() => log.read(ticket)).toThrow(/cannot be read/);
    await log.close();
  });

  test('of format 1, whose intents have another checksum, is read whole; with a changed byte it is not', async () => {
    const { file, bytes } = await tenIntents();
    const { crc32 } = await import('node:zlib');
    const former = Buffer.from(bytes);
    for (let at = 0; at < former.length; at += 20 + former.readUInt32BE(at + 8)) {
      const end = at + 20 + former.readUInt32BE(at + 8);
      expect(former.readUInt16BE(at + 4)).toBe(former[at + 6] === 4 ? 0xc71e : 0xc71d);
      if (former[at + 6] === 1) former.writeUInt32BE(1, at + 20);
      former.writeUInt16BE(0xc71d, at + 4);
      former.writeUInt32BE(crc32(former.subarray(at + 4, end)), at);
    }
    leave(file, former);
    const { log, damages, tornBytes } = open();
    expect([damages, tornBytes, released(log).size]).toEqual([[], 0, 10]);
    await log.close();
    former[former.indexOf('body of 4')] = 0x42;
    leave(file, former);
    const again = open();
    expect([again.damages.length, released(again.log).size]).toEqual([1, 9]);
    await again.log.close();
  });

  test('of a later format is refused by name', async () => {
    const { file, bytes } = await tenIntents();
    const { RecordBuffer } = await import('../../../src/cql/intents/log-records.ts');
    const { crc32 } = await import('node:zlib');
    const head = new RecordBuffer();
    head.head(1);
    head.bytes.writeUInt32BE(99, 20);
    head.bytes.writeUInt32BE(crc32(head.bytes.subarray(4, head.length)), 0);
    leave(file, Buffer.concat([head.bytes.subarray(0, head.length), bytes.subarray(head.length)]));
    expect(() => open()).toThrow(/MIG091/);
  });
});

interface Killed {
  readonly acknowledged: ReadonlySet<number>;
  readonly cancelled: ReadonlySet<number>;
  readonly settled: ReadonlySet<number>;
}

/** Runs the writer until it ends or is killed; `killAfter` lines of its answers. */
async function runWriter(fault: string, { killAfter = Infinity, fsync = 'none', count = 3000 } = {}): Promise<Killed> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'log-writer.ts'), directory, fsync, String(count)], { env: { ...process.env, CAUSEWAY_FAULT: fault }, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > killAfter) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.on('close', resolve));
  const result = { acknowledged: new Set<number>(), cancelled: new Set<number>(), settled: new Set<number>() };
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [what, first, last] = line.split(' ');
    if (what === 'A') for (let ticket = Number(first); ticket <= Number(last); ticket += 1) result.acknowledged.add(ticket);
    if (what === 'C') result.cancelled.add(Number(first));
    if (what === 'S') result.settled.add(Number(first));
  }
  return result;
}

async function checkAfter({ acknowledged, cancelled, settled }: Killed): Promise<void> {
  const { log, damages } = open({ segmentBytes: 64 * 1024 });
  expect(damages).toEqual([]);
  const found = released(log);
  // Cancelled but not told of yet: the client has not been answered, either may be.
  const missing = [...acknowledged].filter((ticket) => !cancelled.has(ticket) && !settled.has(ticket) && ticket % 7 !== 0 && !found.has(ticket));
  expect(missing).toEqual([]);
  expect([...cancelled].filter((ticket) => found.has(ticket))).toEqual([]);
  await log.close();
}

describe('a process that is killed', () => {
  test.each(['intents.before_write@9', 'intents.after_write@9', 'intents.before_ends@3', 'intents.after_ends@3', 'intents.before_remove@1', 'intents.between_removes@1'])('at %s leaves every written intent and no cancelled one', async (point) => {
    const killed = await runWriter(`${point.replace('@', ':crash@')}`);
    await checkAfter(killed);
    // The same directory again, to its end.
    await runWriter('', { count: 200 });
    await checkAfter({ acknowledged: new Set(), cancelled: killed.cancelled, settled: new Set() });
  });

  test.each([1, 5, 20, 60])('from outside after %i answers, three times in a row', async (killAfter) => {
    const all: Killed[] = [];
    for (let round = 0; round < 3; round += 1) {
      all.push(await runWriter('', { killAfter, fsync: round === 1 ? 'group' : 'none', count: 100_000 }));
      const merge = (pick: (killed: Killed) => ReadonlySet<number>): Set<number> => new Set(all.flatMap((killed) => [...pick(killed)]));
      await checkAfter({ acknowledged: merge((each) => each.acknowledged), cancelled: merge((each) => each.cancelled), settled: merge((each) => each.settled) });
    }
  });
});
