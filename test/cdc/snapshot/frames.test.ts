/** COPY frames are found and cut right wherever the socket cuts them; key ranges and block ranges cover everything once. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyDataScan, CopyDataSplitter, encodeMessage, framePayload } from '../../../cdc/postgres/copy-connection-frames.ts';
import { cutBlocks } from '../../../cdc/postgres/chunk-reader-ranges.ts';
import { keyChunks } from '../../../cdc/snapshot/chunk.ts';
import type { StoredRelation } from '../../../cdc/postgres/chunk-reader-ranges.ts';
import { copyOutSql } from '../../../cdc/postgres/chunk-reader.ts';
import { chooseFormat } from '../../../cdc/postgres/row-writer-format.ts';
import type { WireType } from '../../../cdc/postgres/row-writer-format.ts';
import { rowName } from '../../../cdc/snapshot/copy-carefully.ts';
import { RateLimit } from '../../../cdc/flow/rate-limit.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';

const payloads = fc.array(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)), { maxLength: 30 });

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length)).filter((piece) => piece.length > 0);
}

describe('frames', () => {
  it('the scan passes every CopyData byte and stops before the message behind, for any cuts', () => {
    fc.assert(fc.property(payloads, fc.array(fc.nat(), { maxLength: 12 }), (rows, cuts) => {
      const frames = Buffer.concat(rows.map((row) => encodeMessage('d', row)));
      const stream = Buffer.concat([frames, encodeMessage('c', Buffer.alloc(0))]);
      const scan = new CopyDataScan();
      let held = Buffer.alloc(0);
      let passed = 0;
      for (const piece of pieces(stream, cuts)) {
        const bytes = Buffer.concat([held, piece]);
        const end = scan.skip(bytes, 0);
        passed += end;
        held = bytes.subarray(end);
        expect(scan.unfinished === 0 || held.length === 0).toBe(true);
      }
      expect([passed, scan.frames, held.toString('latin1', 0, 1)]).toEqual([frames.length, rows.length, 'c']);
    }));
  });

  it('the splitter gives back every frame, for any cuts', () => {
    fc.assert(fc.property(payloads, fc.array(fc.nat(), { maxLength: 12 }), (rows, cuts) => {
      const splitter = new CopyDataSplitter();
      const frames = pieces(Buffer.concat(rows.map((row) => encodeMessage('d', row))), cuts).flatMap((piece) => splitter.push(piece));
      expect(frames.map((frame) => framePayload(frame).toString('hex'))).toEqual(rows.map((row) => row.toString('hex')));
    }));
  });

  it('names a row by its key as text', () => {
    const frame = encodeMessage('d', Buffer.from('1\ta\\tb\\\\\t\\N\n'));
    expect(rowName(frame, [{ name: 'id', index: 0 }, { name: 't', index: 1 }])).toBe('id=1, t=a\tb\\');
    expect(rowName(frame, [])).toBe('1, a\tb\\, NULL');
  });
});

const plan: TablePlan = {
  tableId: 't', source: { schema: 's', name: 't' }, target: { schema: 's', name: 't' }, key: ['a', 'b'], keyKind: 'primary', uniqueKeys: [], foreignKeys: [],
  columns: ['a', 'b', 'c'].map((name, index) => ({ name, type: 'text', typeOid: 25, attnum: index + 1, notNull: index < 2, canonicalText: true, toastable: true })),
  where: undefined, isPartitioned: false, definitionHash: 'h',
};

describe('ranges', () => {
  it('block ranges cover every block of every relation once, the last one open', () => {
    const relation = fc.record({ blocks: fc.integer({ min: 0, max: 5000 }), estimatedRows: fc.integer({ min: -1, max: 1_000_000 }), toastBytes: fc.nat({ max: 1 << 30 }) });
    fc.assert(fc.property(fc.array(relation, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 100_000 }), (sizes, rows) => {
      const relations: StoredRelation[] = sizes.map((each, index) => ({ ...each, name: { schema: 's', name: `p${index}` }, isHeap: true, readable: true, blockBytes: 8192 }));
      const chunks = cutBlocks(plan, relations, { rows, bytes: 32 << 20 });
      expect(chunks.map((chunk) => chunk.chunkNo)).toEqual(chunks.map((_, index) => index + 1));
      for (const { name } of relations) {
        const ranges = chunks.filter((chunk) => chunk.relation.name === name.name).map((chunk) => chunk.range);
        let next: number | undefined = 0;
        for (const range of ranges) {
          if (range.kind === 'blocks') expect(range.from).toBe(next);
          next = range.kind === 'blocks' ? range.to : undefined;
        }
        expect([ranges.length > 0, next]).toEqual([true, undefined]);
      }
    }));
  });

  it('key ranges go from −∞ to +∞ without a gap, and quote what they compare', () => {
    const chunks = keyChunks(plan, plan.key, [['a', "o'k"], ['b\\', '2']]);
    expect(chunks.map((chunk) => (chunk.range.kind === 'key' ? [chunk.range.lower, chunk.range.upper] : []))).toEqual([[undefined, ['a', "o'k"]], [['a', "o'k"], ['b\\', '2']], [['b\\', '2'], undefined]]);
    const [, middle] = chunks;
    if (!middle) throw new Error('no chunk');
    expect(copyOutSql(plan, middle, 'text')).toContain(`("a", "b") >= ('a'::text, 'o''k'::text) AND ("a", "b") < (E'b\\\\'::text, '2'::text) AND "a" >= 'a'::text AND "a" <= E'b\\\\'::text ORDER BY "a", "b"`);
  });
});

describe('format', () => {
  const type = (oid: number, name: string, kind = 'b', hasBinary = true): WireType => ({ oid, name, kind, hasBinary });
  const choose = (from: WireType, to: WireType): string => chooseFormat(['x'], new Map([['x', from]]), new Map([['x', to]]));
  it.each([
    ['equal built-in types', type(23, 'int4'), type(23, 'int4'), 'binary'],
    ['enums of other OIDs', type(20000, 'mood', 'e'), type(30000, 'mood', 'e'), 'binary'],
    ['int4 into int8', type(23, 'int4'), type(20, 'int8'), 'text'],
    ['an extension type', type(20000, 'hstore'), type(20000, 'hstore'), 'text'],
    ['an array of a user type', type(20001, '_mood'), type(20001, '_mood'), 'text'],
    ['regclass', type(2205, 'regclass'), type(2205, 'regclass'), 'text'],
    ['a type without a binary form', type(1033, 'aclitem', 'b', false), type(1033, 'aclitem', 'b', false), 'text'],
  ])('%s: %s', (_, from, to, expected) => expect(choose(from, to)).toBe(expected));
});

it('the rate limit makes N units take N / rate, and gives no credit for a long pause', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 20, maxLength: 200 }), fc.integer({ min: 100, max: 100_000 }), (units, rate) => {
    let now = 0;
    const limit = new RateLimit({ monotonicMs: () => now }, rate);
    for (const each of units) now += limit.book(each);
    const ideal = (units.reduce((sum, each) => sum + each, 0) / rate) * 1000;
    expect(Math.abs(now - ideal)).toBeLessThan(1e-6 * ideal + 1e-6);
    now += 60_000;
    expect(limit.book(rate)).toBeGreaterThanOrEqual(949);
  }));
});
