/** What the tests of the way back share: tables that have been copied to local, their plans in the other direction, and a reverse stream over them. */
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { createReverseMysqlStream } from '../../../cdc/mysql/reverse-stream.ts';
import type { ReverseMysqlStreamOptions } from '../../../cdc/mysql/reverse-stream.ts';
import type { TypeRules } from '../../../cdc/mysql/source-column.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { defaultOptions } from '../snapshot/loader-fixture.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import type { MysqlPair } from './mysql-pair.ts';

export interface WayBack {
  /** From MySQL to local. */
  readonly forward: TablePlan;
  readonly reverse: TablePlan;
}

/** Makes the table on local and copies it. */
export async function copyToLocal(pair: MysqlPair, table: string, types: TypeRules): Promise<WayBack> {
  const signal = new AbortController().signal;
  const forward = await pair.migrate(table, types);
  await createMysqlLoader(testRuntime(signal), { source: pair.source, target: pair.target, token: 1n, types, memoryBytes: 64 << 20 }).load(forward, defaultOptions, () => undefined, signal);
  return { forward, reverse: await planBack(pair, forward) };
}

/** As a cutover plans it. */
export async function planBack(pair: MysqlPair, forward: TablePlan): Promise<TablePlan> {
  const definition = await introspectTable(pair.client, forward.target);
  return planTable(definition, { tableId: forward.tableId, columns: forward.columns.map(({ name }) => name), targetSchema: forward.source.schema, targetTable: forward.source.name });
}

export function reverseOptions(pair: Pick<MysqlPair, 'source' | 'target'>, folder: string, over: Partial<ReverseMysqlStreamOptions> & Pick<ReverseMysqlStreamOptions, 'types'>): ReverseMysqlStreamOptions {
  return {
    name: 'back', direction: 'reverse', token: 1n, source: pair.target, target: pair.source, slotName: `causeway_back_${pair.target.database ?? ''}`, publicationName: 'causeway_back', spoolDirectory: `${folder}/back`,
    limits: { spoolBytes: 1 << 30, bufferBytes: 16 << 20, batchChanges: 2000, batchWaitMs: 20 },
    onConflict: () => undefined, onError: () => undefined, onSchemaChange: () => undefined, conflictStrategy: () => ({ kind: 'fail' }),
    ...over,
  };
}

export interface RunningBack extends AsyncDisposable {
  readonly stream: OpenedStream;
  /** Every change of local that has committed is on MySQL. */
  settle(timeoutMs?: number): Promise<void>;
}

/** Runs the stream, with an open interval for each table. */
export async function runBack(options: ReverseMysqlStreamOptions, plans: readonly TablePlan[], opened?: () => Promise<void>): Promise<RunningBack> {
  const stop = new AbortController();
  const stream = createReverseMysqlStream(testRuntime(stop.signal), options);
  const running = runLoop(testRuntime(stop.signal), 'stream', (signal) => stream.run(signal), stop.signal, { limitMs: 500 });
  running.catch(() => undefined);
  const ids = plans.map(({ tableId }) => tableId);
  for (const plan of plans) await stream.openInterval(plan.tableId, await stream.addTable(plan));
  await opened?.();
  for (const id of ids) await stream.startDraining(id);
  await until('all shared', () => ids.every((id) => stream.status(id)?.mode === 'shared' || (opened && stream.status(id)?.mode === 'failed')), 60_000);
  return {
    stream,
    settle: async (timeoutMs = 60_000) => void (await stream.waitForMarker(await stream.writeMarker(), ids, timeoutMs)),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running.catch(() => undefined);
      await stream.drop();
      await stream.close();
    },
  };
}

