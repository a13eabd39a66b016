// Wherever the stream of bytes is cut, the same messages come out, whole and in order.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameSplitter } from '../../../cdc/postgres/frame-splitter.ts';
import { readMessage, readTuple, skipTuple, writeTuple } from '../../../cdc/postgres/pgoutput.ts';
import type { Relation } from '../../../cdc/change.ts';

function frame(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind, 0, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function framesOf(blocks: readonly (Buffer | undefined)[]): string[] {
  const found: string[] = [];
  for (const block of blocks) {
    if (!block) continue;
    for (let at = 0; at < block.length; ) {
      const end = at + 1 + block.readUInt32BE(at + 1);
      expect(end).toBeLessThanOrEqual(block.length);
      found.push(block.subarray(at, end).toString('hex'));
      at = end;
    }
  }
  return found;
}

const stream = [frame('d', Buffer.from('first')), frame('d', Buffer.alloc(0)), frame('k', Buffer.alloc(300, 7)), frame('d', Buffer.from('last'))];
const whole = Buffer.concat(stream);

test('cut once, at every offset', () => {
  for (let at = 0; at <= whole.length; at += 1) {
    const splitter = new FrameSplitter();
    expect(framesOf([splitter.push(whole.subarray(0, at)), splitter.push(whole.subarray(at))])).toEqual(stream.map((each) => each.toString('hex')));
  }
});

test('cut anywhere, any number of times', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 40 }), (cuts) => {
    const splitter = new FrameSplitter();
    const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
    const blocks = places.slice(1).map((end, index) => splitter.push(whole.subarray(places[index], end)));
    expect(framesOf(blocks)).toEqual(stream.map((each) => each.toString('hex')));
  }));
});

test('an impossible length is refused', () => {
  expect(() => new FrameSplitter().push(Buffer.from([0x64, 0, 0, 0, 1]))).toThrow(RangeError);
});

const value = fc.oneof(fc.constant(null), fc.constant(undefined), fc.string({ unit: 'grapheme' }));

test('tuples: what is written is read, and nothing is read past its end', () => {
  fc.assert(fc.property(fc.array(value, { maxLength: 20 }), fc.nat(9), (values, ahead) => {
    const tuple = Buffer.concat([Buffer.alloc(ahead, 1), writeTuple(values), Buffer.from('rest')]);
    expect(readTuple(tuple, ahead)).toEqual(values);
    expect(skipTuple(tuple, ahead)).toBe(tuple.length - 4);
  }));
});

test('row messages: every form of old and new image', () => {
  const relation: Relation = { oid: 7, schema: 's', name: 't', replicaIdentity: 'default', columns: [] };
  const relations = new Map([[7, relation]]);
  const head = (kind: string): Buffer => Buffer.concat([Buffer.from(kind), Buffer.from([0, 0, 0, 7])]);
  const tuple = (kind: string, ...values: (string | null | undefined)[]): Buffer => Buffer.concat([Buffer.from(kind), writeTuple(values)]);
  const read = (...parts: Buffer[]): unknown => readMessage(Buffer.concat(parts), 0, relations);
  expect(read(head('I'), tuple('N', 'a', null))).toMatchObject({ change: { op: 'insert', new: ['a', null] } });
  expect(read(head('U'), tuple('N', 'a', undefined))).toMatchObject({ change: { op: 'update', old: undefined, new: ['a', undefined] } });
  expect(read(head('U'), tuple('K', 'b', null), tuple('N', 'a', 'x'))).toMatchObject({ change: { old: ['b', null], oldIsKeyOnly: true, new: ['a', 'x'] } });
  expect(read(head('U'), tuple('O', 'b', 'y'), tuple('N', 'a', 'x'))).toMatchObject({ change: { old: ['b', 'y'], oldIsKeyOnly: false } });
  expect(read(head('D'), tuple('K', 'b', null))).toMatchObject({ change: { op: 'delete', old: ['b', null], oldIsKeyOnly: true } });
  expect(() => readMessage(Buffer.concat([Buffer.from('I'), Buffer.from([0, 0, 0, 9]), tuple('N')]), 0, relations)).toThrow(RangeError);
});
