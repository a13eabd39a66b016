/**
 * The bulk loader into PostgreSQL (see `TableLoader` for the contract, `load-state.ts` for phases and recovery).
 *
 * A load is a queue of chunks that N workers empty; each worker has one connection to either side and passes the `CopyData` bytes of the
 * reader to the target. While the load's snapshot lives, chunks are block ranges of it. After a failure the next call finds in the ledger what
 * has landed and goes on from there.
 */
import type pg from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { installBookkeeping } from '../postgres/bookkeeping.ts';
import { connectServer } from '../postgres/connect.ts';
import { ChunkLedger } from '../postgres/row-writer-ledger.ts';
import type { LoadHeader, LoadState } from '../postgres/row-writer-ledger.ts';
import type { LoadOptions, LoadProgress, LoadResult, TableLoader } from '../ports.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ChunkSource } from './chunk-source.ts';
import { runKeyForm, runSnapshotForm, planKeyRanges } from './copy-forms.ts';
import type { LoadContext, LoaderOptions } from './load-context.ts';
import { loadError } from './load-error.ts';
import type { LoadSide } from './load-error.ts';
import { LoadTally } from './load-tally.ts';
import { decideLoad } from './load-state.ts';

const PROGRESS_INTERVAL_MS = 150;

export function createLoader(runtime: Runtime, options: LoaderOptions, source: ChunkSource): TableLoader {
  return {
    load: (plan, loadOptions, progress, signal) => load(runtime, options, source, plan, loadOptions, progress, AbortSignal.any([signal, runtime.signal])),
    forget: (tableId) => forget(runtime, options, tableId),
  };
}

async function forget(runtime: Runtime, options: LoaderOptions, tableId: string): Promise<void> {
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

async function load(runtime: Runtime, options: LoaderOptions, source: ChunkSource, plan: TablePlan, loadOptions: LoadOptions, progress: (progress: LoadProgress) => void, outer: AbortSignal): Promise<LoadResult> {
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
    tally.rowsTotal = await source.estimateRows(plan, signal);
    side = 'target';
    const context: LoadContext = { runtime, options, source, plan, loadOptions, ledger, tally, stop, signal, buildKey: () => build(runtime, source, plan, signal) };
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
    const next = decideLoad(state, plan, loadOptions.orderBy, context.source.sharesSnapshots);
    runtime.log.debug('load step', { table: plan.tableId, step: next.step });
    switch (next.step) {
      case 'begin':
        await begin(context, next.form, next.ownsRows);
        if (next.form === 'snapshot') await runSnapshotForm(context);
        break;
      case 'switch_to_keys':
        runtime.log.info('the load goes on by key ranges: its snapshot is gone', { table: plan.tableId, chunksLanded: state.finished.length });
        await ledger.restart(plan, await prepareKeys(context, false), false);
        break;
      case 'continue_keys':
        context.tally.restore(state.finished);
        await runKeyForm(context, next.order, next.bounds, new Set(state.finished.map((chunk) => chunk.chunkNo)), next.appends);
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
  if (form === 'snapshot' && !context.source.sharesSnapshots) throw new MigrationError('MIG013', `The table ${plan.source.name} has no key to copy it by`, { tableName: plan.tableId });
  // The rows go first, under a header that owns them: a crash after this finds a load that has begun.
  await ledger.restart(plan, { phase: 'copying', form: 'snapshot' }, clear);
  // A column that orders chunks by name may be changed while they are read: a row is met twice then.
  if (form === 'key') await ledger.restart(plan, await prepareKeys(context, loadOptions.orderBy === undefined), false);
}

async function prepareKeys(context: LoadContext, appends: boolean): Promise<LoadHeader> {
  if (!appends) {
    await context.runtime.faults.hit('load.before_key_build');
    await context.buildKey();
  }
  return planKeyRanges(context, appends);
}

async function build(runtime: Runtime, source: ChunkSource, plan: TablePlan, signal: AbortSignal): Promise<void> {
  if (plan.keyKind === 'full') return;
  await source.buildKey(plan, signal);
  runtime.log.debug('key built', { table: plan.tableId });
}

async function report(runtime: Runtime, tally: LoadTally, progress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    progress(tally.progress());
    await runtime.clock.sleep(PROGRESS_INTERVAL_MS, signal).catch(() => undefined);
  }
}
