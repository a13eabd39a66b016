/**
 * Property: whatever clients do to their connections, every answer is the right one, what was committed is there and nothing else, and nothing of them is left behind:
 * no session, backend, prepared transaction or entry. A short run from a fixed seed; `npm run soak -- torture` is the long one, and looks at memory too.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTortureGateway } from '../soak/torture-gateway.ts';
import type { TortureGateway } from '../soak/torture-gateway.ts';
import { moveNames, torture } from '../soak/torture-run.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import type { PoolOptions } from '../../src/session/pool/pools.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

let source: TestPostgres;
let local: TestPostgres;

/** A session that listens keeps its connection, and waits for another one's. */
const POOL_SIZE = 14;

beforeEach(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
});

afterEach(async () => {
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

it('holds for twelve seconds', { timeout: 120_000 }, async () => {
  await using gateway = await started();
  const { moves, failures } = await torture(source, local, gateway, { seed: 20, seconds: 12, clients: 8, roundSeconds: 4 });
  expect(failures).toEqual([]);
  expect(Object.keys(moves).length).toBeGreaterThan(20);
});

it.each(['transaction', 'pipeline'] as const)('holds in pool mode %s', { timeout: 120_000 }, async (mode) => {
  await using gateway = await started({ ...sessionPooling, modeOf: () => mode, size: POOL_SIZE });
  // Who is on which backend is nobody's to know there.
  const only = moveNames.filter((name) => name !== 'killedBackends');
  const { moves, failures } = await torture(source, local, gateway, { seed: 21, seconds: 8, clients: 12, roundSeconds: 4, poolSize: POOL_SIZE, only });
  expect(failures).toEqual([]);
  expect(Object.keys(moves).length).toBeGreaterThan(20);
});

async function started(pools?: PoolOptions): Promise<TortureGateway & AsyncDisposable> {
  const gateway = await startTortureGateway(source.address, local.address, pools);
  return { ...gateway, [Symbol.asyncDispose]: () => gateway.stop() };
}
