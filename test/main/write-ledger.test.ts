/** The ledger gives back what was put in, for any sequence of writes; a quantile is off by one bucket at most. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyHistogram } from '../../src/main/sample/latency-histogram.ts';
import { WriteLedger } from '../../src/main/sample/write-ledger.ts';

const opening = { balances: new Map(), stock: 0, visits: 0 };

describe('write ledger', () => {
  test('remembers group and outcome of every write of every client', () => {
    const write = fc.record({ client: fc.nat(2), group: fc.constantFrom('orders' as const, 'accounts' as const, 'events' as const), outcome: fc.constantFrom('acknowledged' as const, 'failed' as const, 'unknown' as const) });
    fc.assert(fc.property(fc.array(write, { maxLength: 3000, size: 'max' }), (writes) => {
      const ledger = new WriteLedger(1, 3, opening);
      const expected = writes.map(({ client, group, outcome }) => {
        const seq = ledger.client(client).begin(group);
        expect(ledger.client(client).outcome(seq)).toBe('pending');
        ledger.client(client).noteTransfer(seq, { from: 1, to: 2, cents: 3 });
        ledger.client(client).settle(seq, outcome);
        return { client, seq, group, outcome };
      });
      for (const { client, seq, group, outcome } of expected) {
        const own = ledger.client(client);
        expect({ group: own.group(seq), outcome: own.outcome(seq), noted: own.transfer(seq) !== undefined }).toEqual({ group, outcome, noted: outcome !== 'failed' });
      }
      for (const outcome of ['acknowledged', 'failed', 'unknown'] as const) expect(ledger.count(outcome)).toBe(writes.filter((one) => one.outcome === outcome).length);
    }), { numRuns: 30 });
  });

  test('a write is settled once', () => {
    const own = new WriteLedger(1, 1, opening).client(0);
    own.settle(own.begin('orders'), 'failed');
    expect(() => own.settle(0, 'acknowledged')).toThrow('not pending');
    expect(() => own.settle(1, 'acknowledged')).toThrow('not pending');
  });
});

describe('latency histogram', () => {
  test('gives quantiles within one bucket, and the maximum exactly', () => {
    fc.assert(fc.property(fc.array(fc.double({ min: 0.02, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 500 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (values, quantile) => {
      const histogram = new LatencyHistogram();
      for (const value of values) histogram.add(value);
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * quantile) - 1] ?? 0;
      expect(histogram.quantileMs(quantile)).toBeGreaterThanOrEqual(exact * 0.999);
      expect(histogram.quantileMs(quantile)).toBeLessThanOrEqual(exact * 1.092);
      expect(histogram.summary()).toMatchObject({ count: values.length, maxMs: Math.max(...values) });
    }));
  });
});
