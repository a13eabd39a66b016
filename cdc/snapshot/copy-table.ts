/**
 * The bulk loader for PostgreSQL (see `TableLoader` for the contract, `load-state.ts` for phases and recovery).
 *
 * A load is a queue of chunks that N workers empty; each worker has one connection to either side and passes the source's COPY
 * bytes to the target. While the load's snapshot lives, chunks are block ranges of it. After a failure the next call finds in the ledger what
 * has landed and goes on from there.
 */
import type pg from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { installBookkeeping } from '../postgres/bookkeeping.ts';
import { estimateRows } from '../postgres/chunk-reader-ranges.ts';
import { openReader } from '../postgres/chunk-reader.ts';
import { connectServer } from '../postgres/connect.ts';
import { ChunkLedger } from '../postgres/row-writer-ledger.ts';
import type { LoadHeader, LoadState } from '../postgres/row-writer-ledger.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { LoadOptions, LoadProgress, LoadResult, TableLoader } from '../ports.ts';
import type { TablePlan } from '../table-plan.ts';
import { buildKey } from './build-key.ts';
import { runKeyForm, runSnapshotForm, planKeyRanges } from './copy-forms.ts';
import type { LoadContext, PostgresLoaderOptions } from './load-context.ts';
import { loadError } from './load-error.ts';
import type { LoadSide } from './load-error.ts';
import { LoadTally } from './load-tally.ts';
import { decideLoad } from './load-state.ts';

const PROGRESS_INTERVAL_MS = 150;

export function createPostgresLoader(runtime: Runtime, options: PostgresLoaderOptions): TableLoader {
  return {
    load: (plan, loadOptions, progress, signal) => load(runtime, options, plan, loadOptions, progress, AbortSignal.any([signal, runtime.signal])),
    forget: (tableId) => forget(runtime, options, tableId),
  };
}

async function forget(runtime: Runtime, options: PostgresLoaderOptions, tableId: string): Promise<void> {
  const client = await connectServer(options.target, { applicationName: 'causeway load', signal: runtime.signal });
  try {
    await installBookkeeping(client);
    await new ChunkLedger(client, options.token).forget(tableId);
  } catch (error) {
    throw loadError('target', tableId, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function load(runtime: Runtime, options: PostgresLoaderOptions, plan: TablePlan, loadOptions: LoadOptions, progress: (progress: LoadProgress) => void, outer: AbortSignal): Promise<LoadResult> {
  // Ends every part of this load, whichever of them fails first.
  const stop = new AbortController();
  const signal = AbortSignal.any([outer, stop.signal]);
  const tally = new LoadTally(runtime.clock, loadOptions);
  let side: LoadSide = 'target';
  const reporting = report(runtime, tally, progress, signal);
  let client: pg.Client | undefined;
  try {
    client = await connectServer(options.target, { applicationName: 'causeway load', signal });
    await installBookkeeping(client);
    const ledger = new ChunkLedger(client, options.token);
    side = 'source';
    tally.rowsTotal = await estimate(options.source, plan, signal);
    side = 'target';
    const context: LoadContext = { runtime, options, plan, loadOptions, ledger, tally, stop, signal, buildKey: () => build(runtime, options, plan, signal) };
    await advance(context);
    return tally.result();
  } catch (error) {
    outer.throwIfAborted();
    throw loadError(side, plan.tableId, error);
  } finally {
    stop.abort();
    await reporting;
    await client?.end().catch(() => undefined);
    progress(tally.progress());
  }
}

/** Each turn reads the ledger and does the next step, so that starting and recovering are the same code. */
async function advance(context: LoadContext): Promise<void> {
  const { ledger, plan, loadOptions, runtime } = context;
  for (;;) {
    context.signal.throwIfAborted();
    const state: LoadState = await ledger.take(plan.tableId);
    const next = decideLoad(state, plan, loadOptions.orderBy);
    runtime.log.debug('load step', { table: plan.tableId, step: next.step });
    switch (next.step) {
      case 'begin':
        await begin(context, next.form, next.ownsRows);
        if (next.form === 'snapshot') await runSnapshotForm(context);
        break;
      case 'switch_to_keys':
        runtime.log.info('the load goes on by key ranges: its snapshot is gone', { table: plan.tableId, chunksLanded: state.finished.length });
        await ledger.restart(plan, await prepareKeys(context), false);
        break;
      case 'continue_keys':
        context.tally.restore(state.finished);
        await runKeyForm(context, next.order, next.bounds, new Set(state.finished.map((chunk) => chunk.chunkNo)));
        break;
      case 'finish':
        if (context.tally.isEmpty) context.tally.restore(state.finished);
        await runtime.faults.hit('load.before_key_build');
        await context.buildKey();
        await ledger.setPhase(plan.tableId, { phase: 'done', form: state.header?.form ?? 'snapshot' });
        await runtime.faults.hit('load.done');
        break;
      case 'nothing':
        if (context.tally.isEmpty) context.tally.restore(state.finished);
        return;
      default:
        return next satisfies never;
    }
  }
}

async function begin(context: LoadContext, form: 'snapshot' | 'key', ownsRows: boolean): Promise<void> {
  const { ledger, plan, loadOptions } = context;
  const clear = ownsRows || loadOptions.existingRows === 'clear';
  if (!clear && (await ledger.targetHasRows(plan))) {
    throw new MigrationError('MIG074', `The target ${plan.target.schema}.${plan.target.name} already holds rows`, {
      detail: 'No load of this migration has written them.', hint: 'Empty the table on local, or give another target_table.', tableName: plan.tableId,
    });
  }
  // The rows go first, under a header that owns them: a crash after this finds a load that has begun.
  await ledger.restart(plan, { phase: 'copying', form: 'snapshot' }, clear);
  if (form === 'key') await ledger.restart(plan, await prepareKeys(context), false);
}

async function prepareKeys(context: LoadContext): Promise<LoadHeader> {
  await context.runtime.faults.hit('load.before_key_build');
  await context.buildKey();
  return planKeyRanges(context);
}

async function build(runtime: Runtime, options: PostgresLoaderOptions, plan: TablePlan, signal: AbortSignal): Promise<void> {
  if (plan.keyKind === 'full') return;
  if (options.buildKey) return options.buildKey(plan, signal);
  const source = await connectServer(options.source, { applicationName: 'causeway load', signal });
  const target = await connectServer(options.target, { applicationName: 'causeway load', signal }).catch(async (error: unknown) => {
    await source.end();
    throw error;
  });
  try {
    await buildKey(source, target, plan);
  } finally {
    await Promise.all([source.end().catch(() => undefined), target.end().catch(() => undefined)]);
  }
  runtime.log.debug('key built', { table: plan.tableId });
}

async function estimate(source: ServerAddress, plan: TablePlan, signal: AbortSignal): Promise<number> {
  const connection = await openReader(source, signal);
  try {
    return await estimateRows(connection, plan);
  } finally {
    connection.close();
  }
}

async function report(runtime: Runtime, tally: LoadTally, progress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    progress(tally.progress());
    await runtime.clock.sleep(PROGRESS_INTERVAL_MS, signal).catch(() => undefined);
  }
}
