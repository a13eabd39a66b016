/**
 * A migration's change path from MySQL in a process of its own, to be killed: capture, load, stream. Argument: the configuration as JSON. Speaks lines on
 * stdout: `loaded` once every table drains, `settled` after a `settle` on stdin once all tables are shared and have passed a marker.
 */
import { armFaults } from '../../../config/faults.ts';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import { connectText } from '../../../cdc/postgres/connect.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { defaultOptions } from '../snapshot/loader-fixture.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import { typeRules } from './mysql-pair.ts';

export interface MysqlChildConfiguration {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly folder: string;
  readonly plans: readonly TablePlan[];
  readonly typeMap: string;
  readonly token: string;
  readonly batchSize: number;
  readonly batchChanges: number;
}

const configuration = JSON.parse(process.argv[2] ?? '{}') as MysqlChildConfiguration;
const { plans, source, target } = configuration;
const abort = new AbortController();
const runtime = testRuntime(abort.signal, armFaults(process.env['CAUSEWAY_FAULT'], undefined));
const types = typeRules(configuration.typeMap);
const say = (line: string): void => void process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);
const stream = createMysqlStream(runtime, {
  name: 'fwd', direction: 'forward', source, target, token: BigInt(configuration.token), types, spoolDirectory: `${configuration.folder}/spool`, recordFile: `${configuration.folder}/source.json`,
  limits: { spoolBytes: 1 << 30, bufferBytes: 8 << 20, batchChanges: configuration.batchChanges, batchWaitMs: 10 }, conflictStrategy: () => ({ kind: 'source_wins' }),
  onError: (tableId, error) => say(`failed ${tableId} ${error.message} ${detailOf(error)}`), onConflict: (conflict) => say(`conflict ${JSON.stringify(conflict)}`),
  onSchemaChange: (tableId, { differences }) => say(`differs ${tableId} ${differences.join('; ')}`),
});
const loader = createMysqlLoader(runtime, { source, target, token: BigInt(configuration.token), types, memoryBytes: 64 << 20 });

function detailOf(error: unknown): string {
  return error instanceof MigrationError ? `${error.code} ${error.detail ?? ''}` : '';
}

/** Tables that an earlier process captured, and whether it loaded them. */
async function knownTables(): Promise<ReadonlyMap<string, boolean>> {
  const client = await connectText(target, 'test');
  try {
    const { rows: [exists] } = await client.query<{ t: string | null }>("SELECT to_regclass('causeway.table_applied') AS t");
    if (!exists?.t) return new Map();
    const { rows } = await client.query<{ id: string; loaded: string }>("SELECT table_id AS id, EXISTS (SELECT 1 FROM causeway.chunk c WHERE c.table_id = t.table_id AND chunk_no = 0 AND lower_bound::json->>'phase' = 'done')::text AS loaded FROM causeway.table_applied t WHERE stream = 'fwd'");
    return new Map(rows.map((row) => [row.id, row.loaded === 'true']));
  } finally {
    await client.end();
  }
}

async function loadAndDrain(plan: TablePlan): Promise<void> {
  // The source is killed too.
  await retried(() => loader.load(plan, { ...defaultOptions, batchSize: configuration.batchSize, parallelWorkers: 2 }, () => undefined, abort.signal));
  await retried(() => stream.startDraining(plan.tableId));
}

function mayBeTried(error: unknown): boolean {
  return error instanceof MigrationError ? error.retryable || error.code === 'MIG001' : true;
}

async function retried(work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!mayBeTried(error)) throw error;
      await runtime.clock.sleep(100);
    }
  }
}

async function main(): Promise<void> {
  const known = await knownTables();
  stream.restore(plans.filter((plan) => known.has(plan.tableId)).map((plan) => ({ plan, mode: known.get(plan.tableId) === true ? 'draining' : 'spooling', intervals: [] })));
  void runLoop(runtime, 'stream', (signal) => stream.run(signal), abort.signal, { limitMs: 500 }).catch((error: unknown) => {
    say(`ended ${String(error)} ${detailOf(error)}`);
    process.exit(3);
  });
  process.stdin.on('data', () => void settle());
  for (const plan of plans) await retried(() => stream.addTable(plan));
  await Promise.all(plans.map(loadAndDrain));
  say('loaded');
}

async function settle(): Promise<void> {
  await until('all shared', () => plans.every((plan) => stream.status(plan.tableId)?.mode === 'shared'), 60_000).catch((error: unknown) => {
    for (const plan of plans) say(`status ${plan.tableId} ${JSON.stringify(stream.status(plan.tableId), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`);
    throw error;
  });
  await stream.waitForMarker(await stream.writeMarker(), plans.map((plan) => plan.tableId), 60_000);
  say('settled');
}

await main();
