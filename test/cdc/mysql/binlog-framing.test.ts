/** Packets and events are found wherever the bytes are cut; what is damaged is never passed on; texts are told apart by what they do. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BinlogPlace } from '../../../cdc/mysql/binlog/binlog-place.ts';
import { EventQueue } from '../../../cdc/mysql/binlog/event-queue.ts';
import { EventSource } from '../../../cdc/mysql/binlog/event-source.ts';
import { eventType } from '../../../cdc/mysql/binlog/event.ts';
import { floatText } from '../../../cdc/mysql/binlog/float-text.ts';
import { formatUuid, UuidText } from '../../../cdc/mysql/binlog/gtid-set.ts';
import { packet, PacketSplitter } from '../../../cdc/mysql/binlog/packet-splitter.ts';
import { mentionsCaptured, statementKind } from '../../../cdc/mysql/binlog/statement-kind.ts';

describe('packets', () => {
  test('come whole, wherever the bytes are cut', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (payloads, cuts) => {
      const bytes = Buffer.concat(payloads.map((payload, index) => packet(Buffer.from(payload), index)));
      const got: string[] = [];
      const splitter = new PacketSplitter((payload) => got.push(payload.toString('hex')));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      for (const [index, place] of places.entries()) if (index > 0) splitter.push(bytes.subarray(places[index - 1] ?? 0, place));
      expect(got).toEqual(payloads.map((payload) => Buffer.from(payload).toString('hex')));
    }));
  });

  test('a payload of 16 MB and more is one', () => {
    for (const size of [0xff_ffff, 0xff_ffff + 5, 2 * 0xff_ffff]) {
      const payload = Buffer.alloc(size, 'x');
      const parts: Buffer[] = [];
      for (let at = 0; at <= size; at += 0xff_ffff) parts.push(packet(payload.subarray(at, at + 0xff_ffff), parts.length));
      const got: number[] = [];
      const splitter = new PacketSplitter((one) => got.push(one.length));
      const bytes = Buffer.concat(parts);
      for (let at = 0; at < bytes.length; at += 1_000_000) splitter.push(bytes.subarray(at, at + 1_000_000));
      expect(got).toEqual([size]);
    }
  });
});

describe('events that wait', () => {
  /** Bytes that say which event they are of. */
  const eventOfSize = (index: number, size: number): Buffer => Buffer.alloc(size, `${index};`);

  test('come out as they went in, each whole until the next one is asked for, and the memory is used again', () => {
    const limit = 512 * 1024;
    const sizes = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 19, max: 2_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 300_000 }) });
    fc.assert(fc.property(fc.array(fc.record({ sizes: fc.array(sizes, { maxLength: 40 }), takes: fc.nat(60) }), { maxLength: 20 }), (turns) => {
      const told: boolean[] = [];
      const queue = new EventQueue(limit, () => told.push(true), () => told.push(false));
      const expected: Buffer[] = [];
      let pushed = 0;
      let largest = 0;
      const takeOne = (): void => {
        const event = queue.shift();
        const [first] = expected.splice(0, 1);
        expect(event?.equals(first ?? Buffer.alloc(0))).toBe(first && true);
      };
      for (const { sizes: wanted, takes } of turns) {
        for (const size of wanted) {
          // As a producer that has been told to stop does.
          if (told.at(-1) === true) break;
          const event = eventOfSize(pushed, size);
          largest = Math.max(largest, size);
          queue.push(Buffer.concat([Buffer.from('x'), event]), 1);
          expected.push(event);
          pushed += 1;
        }
        expect(queue.bytes).toBe(expected.reduce((sum, { length }) => sum + length, 0));
        expect(queue.bytes).toBeLessThan(limit + largest);
        expect(queue.heldBytes).toBeLessThan(3 * limit + 2 * largest);
        for (let left = takes; left > 0; left -= 1) takeOne();
      }
      while (expected.length > 0) takeOne();
      expect(queue.bytes).toBe(0);
      expect(told.at(-1) ?? false).toBe(false);
    }), { numRuns: 50 });
  });

  test('an event is not written over by those that come while it is read', () => {
    const queue = new EventQueue(1 << 20, () => undefined, () => undefined);
    for (let index = 0; index < 2_000; index += 1) {
      queue.push(eventOfSize(index, 700));
      const event = queue.shift();
      queue.push(eventOfSize(index + 1, 900));
      expect(event?.equals(eventOfSize(index, 700))).toBe(true);
      queue.shift();
    }
    expect(queue.heldBytes).toBeLessThan(300_000);
  });
});

function eventOf(type: number, body: Buffer, next: number): Buffer {
  const event = Buffer.alloc(19 + body.length + 4);
  event[4] = type;
  event.writeUInt32LE(event.length, 9);
  event.writeUInt32LE(next, 13);
  body.copy(event, 19);
  event.writeUInt32LE(crc32(event.subarray(0, -4)), event.length - 4);
  return event;
}

describe('events', () => {
  const source = (events: readonly Buffer[], place = new BinlogPlace({ type: 'mysql_binlog', binlogFile: 'b.000001', binlogPosition: 4 })): EventSource => {
    const queue = new EventQueue(1_000_000, () => undefined, () => undefined);
    for (const event of events) queue.push(event);
    return new EventSource(queue, place, true, () => undefined);
  };

  test('are passed on when their checksum is right, and never with one byte changed', () => {
    const good = eventOf(eventType.query, Buffer.from('some text'), 100);
    expect(source([good]).next(false)?.body.toString()).toBe('some text');
    for (let at = 0; at < good.length; at += 1) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      expect(() => source([damaged]).next(false)).toThrow(/MIG023|older than/);
    }
  });

  test('move the place past 4 GB', () => {
    const place = new BinlogPlace({ type: 'mysql_binlog', binlogFile: 'b.000001', binlogPosition: 4 });
    const events = source([0xffff_ff00, 100, 200].map((next) => eventOf(eventType.query, Buffer.alloc(1), next)), place);
    while (events.next(false)) place.finish();
    expect(place.position).toMatchObject({ binlogPosition: 0x1_0000_0000 + 200 });
  });
});

describe('texts', () => {
  test('are told apart', () => {
    const kinds: readonly (readonly [string, unknown])[] = [
      ['BEGIN', { kind: 'begin' }], ['commit', { kind: 'commit' }], ['/* x */ ROLLBACK', { kind: 'rollback' }], ['ROLLBACK TO `a``b`', { kind: 'rollbackTo', name: 'a`b' }], ['SAVEPOINT `a b`', { kind: 'savepoint', name: 'a b' }],
      ["XA COMMIT X'01',X'',1", { kind: 'xaCommit', xid: "x'01',x'',1" }], ['XA START X\'01\'', { kind: 'xaStart' }], ['# note\ninsert into t values (1)', { kind: 'changes' }], ['LOAD DATA INFILE 1', { kind: 'changes' }],
      ['ALTER TABLE t ADD x int', { kind: 'other' }], ['DROP /*!40005 TEMPORARY */ TABLE t', { kind: 'other' }], ['/*!50001 CREATE VIEW v AS SELECT 1*/', { kind: 'other' }], ['INSERTED', { kind: 'other' }], ['', { kind: 'other' }],
    ];
    for (const [text, kind] of kinds) expect(statementKind(text)).toEqual(kind);
  });

  test('name captured tables in any spelling', () => {
    const captures = (schema: string, name: string): boolean => schema === 'shop' && name === 'order s';
    for (const text of ['INSERT INTO `order s` VALUES (1)', 'update x join `shop`.`order s` o']) expect(mentionsCaptured(text, 'shop', captures)).toBe(true);
    expect(mentionsCaptured('INSERT INTO shop.`order s` VALUES (1)', 'other', captures)).toBe(true);
    expect(mentionsCaptured('INSERT INTO `order s` VALUES (1)', 'other', captures)).toBe(false);
  });
});

test('a 4-byte number has the shortest text that reads back to it', () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const text = floatText(value);
    expect(Object.is(Math.fround(Number(text)), value)).toBe(true);
    const digits = text.replace(/e.*/, '').replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '').length;
    for (let fewer = 1; fewer < digits; fewer += 1) expect(Math.fround(Number(value.toPrecision(fewer)))).not.toBe(value);
  }), { numRuns: 2000 });
});

test('the text of a UUID is that of its bytes, whatever came before', () => {
  const uuids = new UuidText();
  fc.assert(fc.property(fc.array(fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 1, max: 3 }), fc.nat(20)), { maxLength: 6 }), (all) => {
    for (const [bytes, times, at] of all) {
      for (let left = times; left > 0; left -= 1) expect(uuids.of(Buffer.concat([Buffer.alloc(at), bytes]), at)).toBe(formatUuid(Buffer.from(bytes)));
    }
  }));
  expect(() => uuids.of(Buffer.alloc(20, 1), 5)).toThrow(RangeError);
});
