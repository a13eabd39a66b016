/** Requests and results are read where they lie: every place that is found is the place where it was written. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyReader } from '../../../src/wire/cql/body-reader.ts';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { errorCodes, isCleanRefusal, readError, unpreparedBody, writeTimeoutBody } from '../../../src/wire/cql/error-body.ts';
import { findBatch, findParameters, movedBatch, newPlaces, queryFlags } from '../../../src/wire/cql/request-body.ts';
import { pagingStateAt, preparedBody, readApplied, readPrepared, rowsBody, typeIds } from '../../../src/wire/cql/result-body.ts';

const cell = fc.option(fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)), { nil: undefined });
const parameters = fc.record({
  values: fc.option(fc.array(cell, { maxLength: 5 }), { nil: undefined }), hasNames: fc.boolean(), skipMetadata: fc.boolean(), pageSize: fc.option(fc.integer({ min: 1, max: 5000 }), { nil: undefined }),
  state: fc.option(fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)), { nil: undefined }), serial: fc.boolean(), timestamp: fc.option(fc.bigInt({ min: 0n, max: 1n << 60n }), { nil: undefined }),
});

describe('parameters', () => {
  test('are found with every set of flags', () => {
    fc.assert(fc.property(parameters, fc.uint8Array({ maxLength: 10 }), ({ values, hasNames, skipMetadata, pageSize, state, serial, timestamp }, before) => {
      const named = hasNames && values !== undefined;
      const flags = (values ? queryFlags.values : 0) | (skipMetadata ? queryFlags.skipMetadata : 0) | (pageSize === undefined ? 0 : queryFlags.pageSize) | (state ? queryFlags.pagingState : 0)
        | (serial ? queryFlags.serialConsistency : 0) | (timestamp === undefined ? 0 : queryFlags.timestamp) | (named ? queryFlags.names : 0);
      const out = new BodyWriter().raw(Buffer.from(before)).short(6);
      const flagsAt = out.length;
      out.byte(flags);
      if (values) out.short(values.length);
      const valuesAt = out.length;
      for (const value of values ?? []) (named ? out.string('näme') : out).bytes(value);
      if (pageSize !== undefined) out.int(pageSize);
      if (state) out.int(state.length);
      const stateAt = out.length;
      if (state) out.raw(state);
      if (serial) out.short(8);
      const timestampAt = out.length;
      if (timestamp !== undefined) out.long(timestamp);
      const body = out.done();
      const places = newPlaces();
      findParameters(body, before.length, body.length, places);
      expect(places).toEqual({
        flagsAt, valueCount: values?.length ?? 0, valuesAt: values ? valuesAt : -1, pagingStateAt: state ? stateAt : -1, pagingStateBytes: state?.length ?? 0, timestampAt: timestamp === undefined ? -1 : timestampAt,
      });
      // One byte less or more is no set of parameters.
      expect(() => findParameters(body, before.length, body.length - 1, places)).toThrow(RangeError);
      expect(() => findParameters(Buffer.concat([body, Buffer.from([0])]), before.length, body.length + 1, places)).toThrow(RangeError);
    }), { numRuns: 300 });
  });

  test('of batches', () => {
    const child = fc.record({ id: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)), { nil: undefined }), text: fc.string({ maxLength: 30 }), values: fc.array(cell, { maxLength: 4 }) });
    fc.assert(fc.property(fc.array(child, { maxLength: 6 }), fc.boolean(), fc.option(fc.bigInt({ min: 0n, max: 1n << 60n }), { nil: undefined }), (children, serial, timestamp) => {
      const out = new BodyWriter().byte(1).short(children.length);
      for (const { id, text, values } of children) {
        if (id) out.byte(1).shortBytes(id);
        else out.byte(0).longString(text);
        out.short(values.length);
        for (const value of values) out.bytes(value);
      }
      const consistencyAt = out.length;
      out.short(6).byte((serial ? queryFlags.serialConsistency : 0) | (timestamp === undefined ? 0 : queryFlags.timestamp));
      if (serial) out.short(9);
      if (timestamp !== undefined) out.long(timestamp);
      const body = out.done();
      const places = findBatch(body, 0, body.length);
      expect(places).toMatchObject({ type: 1, consistencyAt, flagsAt: consistencyAt + 2, timestampAt: timestamp === undefined ? -1 : body.length - 8 });
      expect(places.children.map(({ at, bytes, isPrepared, valueCount }) => ({ what: body.toString('latin1', at, at + bytes), isPrepared, valueCount })))
        .toEqual(children.map(({ id, text, values }) => ({ what: (id ?? Buffer.from(text)).toString('latin1'), isPrepared: id !== undefined, valueCount: values.length })));
      const moved = findBatch(Buffer.concat([Buffer.alloc(7), body]), 7, body.length + 7);
      expect(movedBatch(moved, -7)).toEqual(places);
    }), { numRuns: 200 });
  });
});

describe('errors', () => {
  test('have their code, text and id', () => {
    const id = Buffer.alloc(16, 5);
    const body = unpreparedBody('not hére', id);
    expect(readError(body, 0, body.length)).toEqual({ code: errorCodes.unprepared, message: 'not hére', id });
    const timeout = new BodyReader(writeTimeoutBody('late', { consistency: 6, received: 1, blockFor: 2 }, 'BATCH'));
    expect([timeout.int(), timeout.string(), timeout.short(), timeout.int(), timeout.int(), timeout.string(), timeout.at === timeout.end]).toEqual([errorCodes.writeTimeout, 'late', 6, 1, 2, 'BATCH', true]);
  });

  test('after which something may have been written are not clean refusals', () => {
    const clean = Object.entries(errorCodes).filter(([, code]) => isCleanRefusal(code)).map(([name]) => name);
    expect(clean.sort()).toEqual(['alreadyExists', 'badCredentials', 'bootstrapping', 'config', 'invalid', 'protocol', 'syntax', 'unauthorized', 'unavailable', 'unprepared']);
  });
});

describe('results', () => {
  test('PREPARED is read back, with the types of its markers, in both versions', () => {
    const values = { keyspace: 'ks', table: 't', columns: [{ name: 'k', type: [typeIds.int] }, { name: 'tags', type: [typeIds.map, typeIds.text, typeIds.list, typeIds.uuid] }] };
    const rows = { keyspace: 'ks', table: 't', columns: [{ name: 'v', type: [typeIds.text] }] };
    for (const version of [3, 4]) {
      const body = preparedBody(Buffer.from('0123456789abcdef'), version, values, rows);
      const read = readPrepared(body, 0, body.length, version);
      expect(read.id.toString()).toBe('0123456789abcdef');
      expect(read.columns.map(({ keyspace, table, name, type }) => [keyspace, table, name, type.toString('hex')])).toEqual([['ks', 't', 'k', '0009'], ['ks', 't', 'tags', '0021000d0020000c']]);
      expect(body.subarray(read.afterId).equals(Buffer.concat([read.values, read.rows]))).toBe(true);
      const none = preparedBody(Buffer.from('id'), version, { ...values, columns: [] }, rows);
      expect(readPrepared(none, 0, none.length, version).rows.equals(read.rows)).toBe(true);
    }
  });

  test('`[applied]` is found before other columns, with metadata and without', () => {
    const shape = { keyspace: 'ks', table: 't', columns: [{ name: '[applied]', type: [0x04] }, { name: 'v', type: [typeIds.text] }] };
    const body = (value: number): Buffer => rowsBody(shape, [[Buffer.from([value]), Buffer.from('x')]]);
    expect([readApplied(body(1), 0, body(1).length), readApplied(body(0), 0, body(0).length)]).toEqual([true, false]);
    const bare = new BodyWriter().int(2).int(4).int(1).int(1).bytes(Buffer.from([1])).done();
    expect(readApplied(bare, 0, bare.length)).toBe(true);
    const other = rowsBody({ ...shape, columns: [{ name: 'v', type: [0x04] }] }, [[Buffer.from([1])]]);
    expect(readApplied(other, 0, other.length)).toBeUndefined();
    expect(pagingStateAt(body(1), 0)).toBe(-1);
    expect(pagingStateAt(new BodyWriter().int(2).int(2).int(1).bytes(Buffer.from('s')).done(), 0)).toBe(12);
  });
});
