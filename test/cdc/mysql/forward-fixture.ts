/** Tables of a MySQL source that a forward stream of the test's own carries to local. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { TypeRules } from '../../../cdc/mysql/source-column.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import type { Conflict, ConflictStrategy } from '../../../cdc/apply/conflict.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { defaultOptions } from '../snapshot/loader-fixture.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import type { MysqlPair } from './mysql-pair.ts';

export interface Forward extends AsyncDisposable {
  readonly stream: OpenedStream;
  readonly plans: ReadonlyMap<string, TablePlan>;
  readonly conflicts: readonly Conflict[];
  readonly writeBackFailures: readonly string[];
  readonly spoolDirectory: string;
  /** Every change that is committed now has been applied to these, or waits in the log of one that has stopped. */
  settle(tables: readonly string[]): Promise<void>;
}

/** What the source does meanwhile. */
export interface During {
  readonly load?: (table: string) => Promise<void>;
  readonly catchUp?: (table: string) => Promise<void>;
}

/** Loads the tables and follows them until all are in step. */
export async function followForward(pair: MysqlPair, tables: readonly string[], types: TypeRules = standardTypes, strategy: ConflictStrategy | ((tableId: string) => ConflictStrategy) = { kind: 'source_wins' }, during: During = {}, spoolBytes = 1 << 30, faults?: FaultPoints): Promise<Forward> {
  const plans = new Map<string, TablePlan>();
  for (const table of tables) plans.set(table, await pair.migrate(table, types));
  const stop = new AbortController();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mysql-forward-'));
  const spoolDirectory = path.join(folder, 'spool');
  const runtime = testRuntime(stop.signal, faults);
  const conflicts: Conflict[] = [];
  const writeBackFailures: string[] = [];
  const stream = createMysqlStream(runtime, {
    name: 'fwd', direction: 'forward', source: pair.source, target: pair.target, token: 1n, types, spoolDirectory, recordFile: path.join(folder, 'source.json'),
    limits: { spoolBytes, bufferBytes: 1 << 20, batchChanges: 100, batchWaitMs: 10 }, conflictStrategy: (tableId) => (typeof strategy === 'function' ? strategy(tableId) : strategy), onWriteBackFailed: (tableId, key, error) => writeBackFailures.push(`${tableId} ${key}: ${error.message}`), onConflict: (conflict) => conflicts.push(conflict), onError: () => undefined, onSchemaChange: () => undefined,
  });
  const running = runLoop(runtime, 'stream', (signal) => stream.run(signal), stop.signal, { limitMs: 500 });
  const close = async (): Promise<void> => {
    stop.abort();
    await running.catch(() => undefined);
    await stream.close();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    const loader = createMysqlLoader(runtime, { source: pair.source, target: pair.target, token: 1n, types, memoryBytes: 16 << 20 });
    for (const plan of plans.values()) {
      await stream.addTable(plan);
      await during.load?.(plan.tableId);
      await loader.load(plan, defaultOptions, () => undefined, stop.signal);
      await during.catchUp?.(plan.tableId);
      // As the product makes it before changes are applied.
      await stream.startDraining(plan.tableId);
    }
    await until('shared', () => tables.every((table) => ['shared', 'failed'].includes(stream.status(table)?.mode ?? '')));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    stream, plans, conflicts, writeBackFailures, spoolDirectory, [Symbol.asyncDispose]: close,
    settle: async (settled) => {
      const going = settled.filter((table) => stream.status(table)?.mode !== 'failed');
      await stream.waitForMarker(await stream.writeMarker(), going, 30_000);
    },
  };
}
