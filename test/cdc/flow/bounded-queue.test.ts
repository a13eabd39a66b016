/** A queue holds what waits in it and nothing that was taken, and says once when to stop and when to go on. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { BoundedQueue } from '../../../cdc/flow/bounded-queue.ts';

test('the producer stops at the limit and goes on at half of it', () => {
  const said: string[] = [];
  const queue = new BoundedQueue(10, () => said.push('full'), () => said.push('space'));
  for (let at = 0; at < 4; at += 1) queue.push(Buffer.alloc(4, at));
  expect(said).toEqual(['full']);
  for (const at of [0, 1, 2]) expect(queue.shift()?.[0]).toBe(at);
  expect([said, queue.bytes, queue.isEmpty]).toEqual([['full', 'space'], 4, false]);
  expect([queue.shift()?.[0], queue.shift(), queue.isEmpty]).toEqual([3, undefined, true]);
});

test('memory of what has been taken is free while the queue goes on', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const queue = new BoundedQueue(1 << 30, () => undefined, () => undefined);
  const taken = [0, 1, 2].map(() => {
    queue.push(Buffer.alloc(100_000));
    queue.push(Buffer.alloc(1));
    const first = queue.shift();
    queue.shift();
    return new WeakRef(first ?? Buffer.alloc(0));
  });
  await expect.poll(() => {
    collect();
    return taken.filter((each) => each.deref() !== undefined).length;
  }).toBe(0);
  expect(queue.isEmpty).toBe(true);
});
