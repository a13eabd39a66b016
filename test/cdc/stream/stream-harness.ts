/**
 * One stream between two fresh databases for every test of a file: `useStream()` once at its top. What changes from test to test is
 * exported as it is now (live bindings).
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { FaultPoints } from '../../../config/faults.ts';
import type { Clock } from '../../../config/runtime.ts';
import { createChangeStream } from '../../../cdc/postgres/change-stream.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { PostgresStreamOptions } from '../../../cdc/postgres/change-stream.ts';
import type { Conflict } from '../../../cdc/apply/conflict.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { contents, planOf, streamOptions, testRuntime, until } from './fixture.ts';

export let server: TestPostgres;
export let source: Client;
export let target: Client;
export let stream: OpenedStream;
export let options: PostgresStreamOptions;
export let runError: unknown;
let abort: AbortController;
let running: Promise<void> | undefined;
let number = 0;
export const conflicts: Conflict[] = [];
export const failures: { tableId: string; error: Error }[] = [];
export const schemaChanges: string[] = [];
export const bypasses: string[] = [];
export const writeBackFailures: string[] = [];

export function useStream(): void {
  beforeAll(async () => {
    server = await startTestPostgres();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    number += 1;
    for (const list of [conflicts, failures, schemaChanges, bypasses, writeBackFailures]) list.length = 0;
    await server.createDatabase(`source${number}`);
    await server.createDatabase(`target${number}`);
    source = await server.client(`source${number}`);
    target = await server.client(`target${number}`);
    options = streamOptions({
      source: { ...server.address, database: `source${number}` },
      target: { ...server.address, database: `target${number}` },
      spoolDirectory: fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-')),
      slotName: `slot${number}`,
      onConflict: (conflict) => conflicts.push(conflict),
      onError: (tableId, error) => failures.push({ tableId, error }),
      onSchemaChange: (tableId, change) => schemaChanges.push(`${tableId}: ${change.differences.join()}`),
      onBypassWrite: (tableId) => bypasses.push(tableId),
      onWriteBackFailed: (tableId, key, error) => writeBackFailures.push(`${tableId} ${key}: ${error.message}`),
    });
    make();
  });
  afterEach(async () => {
    await stop();
    fs.rmSync(options.spoolDirectory, { recursive: true, force: true });
  });
}

/** A stream as a new process would make it, with what is given changed from here on. */
export function make(over: Partial<PostgresStreamOptions> = {}, faults?: FaultPoints, clock: Partial<Clock> = {}): void {
  options = { ...options, ...over };
  abort = new AbortController();
  const runtime = testRuntime(abort.signal, faults);
  stream = createChangeStream({ ...runtime, clock: { ...runtime.clock, ...clock } }, options);
}

export function start(): void {
  runError = undefined;
  running = stream.run(abort.signal).catch((error: unknown) => {
    runError = error;
  });
}

export async function stop(): Promise<void> {
  abort.abort();
  await running;
  running = undefined;
  await stream.close();
}

export async function both(sql: string): Promise<void> {
  await source.query(sql);
  await target.query(sql);
}

export async function share(name: string, over: Partial<TablePlan> = {}): Promise<TablePlan> {
  const plan = await planOf(source, name, over);
  await stream.addTable(plan);
  await stream.startDraining(plan.tableId);
  await until(`${name} is shared`, () => {
    if (runError) throw runError as Error;
    return stream.status(plan.tableId)?.mode === 'shared';
  });
  return plan;
}

export async function caughtUp(...plans: TablePlan[]): Promise<void> {
  await stream.waitForMarker(await stream.writeMarker(), plans.map((plan) => plan.tableId), 20_000);
}

export async function same(name: string): Promise<void> {
  expect(await contents(target, name)).toEqual(await contents(source, name));
}
