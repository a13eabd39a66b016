/**
 * Property: whatever clients do to their connections, every answer is the right one, what was committed is there and nothing else, and nothing of them is left behind:
 * no session, backend, prepared transaction or entry. A short run from a fixed seed; `npm run soak -- torture` is the long one, and looks at memory too.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTortureGateway } from '../soak/torture-gateway.ts';
import type { TortureGateway } from '../soak/torture-gateway.ts';
import { torture } from '../soak/torture-run.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

let source: TestPostgres;
let local: TestPostgres;
let gateway: TortureGateway;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  gateway = await startTortureGateway(source.address, local.address);
});

afterAll(async () => {
  await gateway?.stop();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

it('holds for twenty seconds', async () => {
  const { moves, failures } = await torture(source, local, gateway, { seed: 20, seconds: 20, clients: 8, roundSeconds: 5 });
  expect(failures).toEqual([]);
  expect(Object.keys(moves).length).toBeGreaterThan(20);
}, 120_000);
