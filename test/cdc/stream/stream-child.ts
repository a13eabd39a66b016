/**
 * A change stream in a process of its own, to be killed. Argument: the configuration as JSON. Speaks lines on stdout: `ready` once every
 * table is captured, `settled` after a `settle` on stdin once all tables are shared and have passed a marker.
 */
import { armFaults } from '../../../config/faults.ts';
import { createChangeStream } from '../../../cdc/postgres/change-stream.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import { connectText } from '../../../cdc/postgres/connect.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { streamOptions, testRuntime, until } from './fixture.ts';

export interface ChildConfiguration {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly spoolDirectory: string;
  readonly slotName: string;
  readonly plans: readonly TablePlan[];
  /** Pause and drain random tables all the time. */
  readonly isRestless: boolean;
  readonly token: string;
  readonly name: string;
  readonly direction: 'forward' | 'reverse';
  readonly batchChanges: number;
}

const configuration = JSON.parse(process.argv[2] ?? '{}') as ChildConfiguration;
const abort = new AbortController();
const runtime = testRuntime(abort.signal, armFaults(process.env['CAUSEWAY_FAULT'], undefined));
const stream = createChangeStream(runtime, streamOptions({
  source: configuration.source, target: configuration.target, spoolDirectory: configuration.spoolDirectory, name: configuration.name, direction: configuration.direction,
  slotName: configuration.slotName, publicationName: configuration.slotName, token: BigInt(configuration.token),
  limits: { spoolBytes: 1 << 30, bufferBytes: 1 << 20, batchChanges: configuration.batchChanges, batchWaitMs: 10 },
  onError: (tableId, error) => process.stdout.write(`failed ${tableId} ${error.message} ${String((error as { detail?: string }).detail)}\n`),
  onConflict: (conflict) => process.stdout.write(`conflict ${JSON.stringify(conflict)}\n`),
}));

async function knownTables(): Promise<Set<string>> {
  const client = await connectText(configuration.target, 'test');
  try {
    const { rows: [exists] } = await client.query<{ t: string | null }>("SELECT to_regclass('causeway.table_applied') AS t");
    if (!exists?.t) return new Set();
    const { rows } = await client.query<{ id: string }>('SELECT table_id AS id FROM causeway.table_applied WHERE stream = $1', [configuration.name]);
    return new Set(rows.map((row) => row.id));
  } finally {
    await client.end();
  }
}

async function main(): Promise<void> {
  const known = await knownTables();
  stream.restore(configuration.plans.filter((plan) => known.has(plan.tableId)).map((plan) => ({ plan, mode: 'draining', intervals: [] })));
  void runLoop(runtime, 'stream', (signal) => stream.run(signal), abort.signal, { limitMs: 500 }).catch((error: unknown) => {
    process.stdout.write(`ended ${String(error)} ${String((error as { detail?: string }).detail)}\n`);
    process.exit(3);
  });
  for (const plan of configuration.plans) await stream.addTable(plan);
  for (const plan of configuration.plans) await stream.startDraining(plan.tableId);
  process.stdout.write('ready\n');
  let isRestless = configuration.isRestless;
  process.stdin.on('data', () => {
    isRestless = false;
    void settle();
  });
  while (isRestless) {
    const plan = configuration.plans[Math.floor(Math.random() * configuration.plans.length)];
    if (!plan) break;
    await stream.pauseTable(plan.tableId).catch(() => undefined);
    await runtime.clock.sleep(Math.random() * 150);
    await stream.startDraining(plan.tableId).catch(() => undefined);
    await runtime.clock.sleep(Math.random() * 400);
  }
}

async function settle(): Promise<void> {
  await until('all shared', () => configuration.plans.every((plan) => stream.status(plan.tableId)?.mode === 'shared'), 60_000).catch(async (error: unknown) => {
    for (const plan of configuration.plans) process.stdout.write(`status ${JSON.stringify(stream.status(plan.tableId))}\n`);
    throw error;
  });
  await stream.waitForMarker(await stream.writeMarker(), configuration.plans.map((plan) => plan.tableId), 60_000);
  process.stdout.write('settled\n');
}

await main();
