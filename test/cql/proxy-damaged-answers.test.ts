/** An answer that cannot be read costs its connection, and nothing else: the request that it was for is neither forgotten nor taken for done. */
import { expect, test } from 'vitest';
import type { CqlMode } from '../../src/cql/modes.ts';
import { drained, prepared, withTable } from './two-clusters-fixture.ts';

test.each<[CqlMode, 'source' | 'target']>([['DualAsync', 'source'], ['DualAsync', 'target'], ['DualSync', 'target'], ['ShadowPrimary', 'target']])('%s: to a conditional statement, from the %s', async (mode, side) => {
  await using fixture = await withTable({ mode, requestTimeoutMs: 1000, shadowTimeoutMs: 1000 });
  const client = await fixture.client();
  using fault = fixture[side].faults.add({ text: /IF NOT EXISTS/, action: { kind: 'damage' } });
  const isSeen = mode === 'DualSync' || (mode === 'ShadowPrimary') === (side === 'target');
  const answer = client.execute("INSERT INTO ks.t (k, v) VALUES (1, 'x') IF NOT EXISTS");
  if (isSeen) await expect(answer).rejects.toThrow(/timeout during write/);
  else expect((await answer).wasApplied()).toBe(true);
  await expect.poll(() => fault.hits).toBe(1);
  await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(0);
  // The row is owed by whoever may lack it.
  await expect.poll(() => fixture.intents.released.size).toBe(1);
  await client.execute("INSERT INTO ks.t (k, v) VALUES (1, 'y') IF NOT EXISTS");
});

test('to PREPARE: it is asked again', async () => {
  await using fixture = await withTable({ mode: 'DualAsync', requestTimeoutMs: 1000, shadowTimeoutMs: 1000 });
  const client = await fixture.client();
  using fault = fixture.source.faults.add({ opcode: 'PREPARE', text: /tags/, action: { kind: 'damage' } });
  await client.execute('UPDATE ks.t SET tags = tags + ? WHERE k = ?', [['a'], 1], prepared);
  expect(fault.hits).toBe(1);
  await drained(fixture);
});
