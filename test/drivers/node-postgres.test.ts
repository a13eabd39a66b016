/** Property: a program of some 160 statements through node-postgres gets the same rows, counts, errors and notices through the gateway, apart from what docs/drivers.md lists. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { inEveryWay, throughWays } from './driver-servers.ts';
import type { ByWay } from './driver-servers.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { nodePostgresWorkload } from './programs/node-postgres-workload.ts';

describe('node-postgres', () => {
  let outputs: ByWay<string>;

  beforeAll(async () => {
    outputs = await inEveryWay({ setup: fs.readFileSync(path.join(import.meta.dirname, 'programs/setup.sql'), 'utf8'), tables: ['item', 'entry'] }, nodePostgresWorkload);
  });

  test('directly', () => {
    expect(Number(/^statements => (\d+)$/m.exec(outputs('direct'))?.[1])).toBeGreaterThan(160);
  });

  test.each(throughWays)('through the gateway, on local: %s', (way) => {
    expect(lineDeviations(outputs('direct'), outputs(way), listedFor('node-postgres', way))).toEqual([]);
  });
});
