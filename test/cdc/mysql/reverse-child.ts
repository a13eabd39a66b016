/**
 * The way back to MySQL in a process of its own, to be killed. Argument: the configuration as JSON. Speaks lines on stdout: `ready` once every table has an
 * interval and drains, `settled` after a `settle` on stdin once all tables are shared and have passed a marker.
 */
import * as fs from 'node:fs';
import { armFaults } from '../../../config/faults.ts';
import { createReverseMysqlStream } from '../../../cdc/mysql/reverse-stream.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { parseLsn, formatLsn, orderOf } from '../../../cdc/change.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import { reverseOptions } from './reverse-fixture.ts';

export interface ReverseChildConfiguration {
  /** As `MysqlPair` has them: `source` is MySQL. */
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly folder: string;
  readonly plans: readonly TablePlan[];
  readonly token: string;
  readonly batchChanges: number;
}

const configuration = JSON.parse(process.argv[2] ?? '{}') as ReverseChildConfiguration;
const { plans, folder } = configuration;
const abort = new AbortController();
const runtime = testRuntime(abort.signal, armFaults(process.env['CAUSEWAY_FAULT'], undefined));
const say = (line: string): void => void process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);
const detailOf = (error: unknown): string => (error instanceof MigrationError ? `${error.code} ${error.detail ?? ''}` : '');
const stream = createReverseMysqlStream(runtime, reverseOptions(configuration, folder, {
  types: standardTypes, token: BigInt(configuration.token), offlineAfterMs: 1000,
  limits: { spoolBytes: 1 << 30, bufferBytes: 8 << 20, batchChanges: configuration.batchChanges, batchWaitMs: 10 },
  onError: (tableId, error) => say(`failed ${tableId} ${error.message} ${detailOf(error)}`), onConflict: (conflict) => say(`conflict ${JSON.stringify(conflict, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`),
  onSchemaChange: (tableId, { differences }) => say(`differs ${tableId} ${differences.join('; ')}`),
}));

/** Where each table's interval begins, as a catalog would keep it. */
const begins = `${folder}/begins.json`;

async function main(): Promise<void> {
  const known = fs.existsSync(begins) ? (JSON.parse(fs.readFileSync(begins, 'utf8')) as Record<string, string>) : undefined;
  if (known) stream.restore(plans.map((plan) => ({ plan, mode: 'draining', intervals: [{ from: { type: 'postgresql_lsn', lsn: parseLsn(known[plan.tableId] ?? '0/0') }, to: undefined }] })));
  void runLoop(runtime, 'stream', (signal) => stream.run(signal), abort.signal, { limitMs: 500 }).catch((error: unknown) => {
    say(`ended ${String(error)} ${detailOf(error)}`);
    process.exit(3);
  });
  process.stdin.on('data', () => void settle());
  if (!known) {
    const from: Record<string, string> = {};
    for (const plan of plans) {
      const position = await stream.addTable(plan);
      await stream.openInterval(plan.tableId, position);
      await stream.startDraining(plan.tableId);
      from[plan.tableId] = formatLsn(orderOf(position));
    }
    fs.writeFileSync(begins, JSON.stringify(from));
  }
  say('ready');
}

async function settle(): Promise<void> {
  await until('all shared', () => plans.every((plan) => stream.status(plan.tableId)?.mode === 'shared'), 60_000).catch((error: unknown) => {
    for (const plan of plans) say(`status ${plan.tableId} ${JSON.stringify(stream.status(plan.tableId), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))} ${String(stream.health().lastError)}`);
    throw error;
  });
  await stream.waitForMarker(await stream.writeMarker(), plans.map((plan) => plan.tableId), 60_000);
  say('settled');
}

await main();
