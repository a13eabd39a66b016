/**
 * The barrier before a change of authority (DESIGN §6, RULES 21): new units that touch the tables wait at the workers, the
 * open ones finish. Transactions that hold locks elsewhere are admitted for a grace, so that they can end; after it all
 * wait, and one that waits while an open one needs its locks is given way with 40001.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import type { Holding, Parked } from './fleet-messages.ts';

export interface QuiesceRequest {
  readonly tableIds: readonly string[];
  readonly tableKeys: readonly string[];
  readonly writingSide: Side;
  readonly deadlineMs: number;
  /** Blocked and blocking backends of the writing side. */
  readonly blockers: (pids: readonly number[]) => Promise<readonly (readonly [blocked: number, blocking: number])[]>;
}

export interface QuiesceResult {
  readonly epoch: number;
  readonly gaveWay: number;
}

const BLOCKER_CHECK_MS = 100;

/** Throws MIG052 naming who held it up; the caller then takes `quiescing` off again. */
export async function quiesce(context: ControlContext, request: QuiesceRequest): Promise<QuiesceResult> {
  const { runtime, catalog, publisher, limits } = context;
  const route = { quiescing: true };
  publisher.openBarrier(request.tableIds);
  const open = await catalog.changeRoutes('quiesce', { routes: request.tableIds.map((tableId) => ({ tableId, route })) });
  await publisher.publish();
  const watcher = new BarrierWatcher(context, request);
  // Nothing is lost when the grace ends too early: who holds the tables up then is waited for below.
  await watcher.wait(open.epoch, Math.min(request.deadlineMs, runtime.clock.monotonicMs() + limits.admitGraceMs));
  publisher.closeBarrier(request.tableIds);
  const closed = await catalog.changeRoutes('quiesce: closed', {});
  await publisher.publish();
  const done = await watcher.wait(closed.epoch, request.deadlineMs);
  if (done) return { epoch: closed.epoch, gaveWay: watcher.gaveWay.size };
  throw new MigrationError('MIG052', undefined, { detail: describeHolders(watcher.holding) });
}

class BarrierWatcher {
  readonly gaveWay = new Set<string>();
  holding: readonly Holding[] = [];
  readonly #context: ControlContext;
  readonly #request: QuiesceRequest;
  #nextCheckMs: number;

  constructor(context: ControlContext, request: QuiesceRequest) {
    this.#context = context;
    this.#request = request;
    this.#nextCheckMs = context.runtime.clock.monotonicMs() + BLOCKER_CHECK_MS;
  }

  /** True once nothing of epochs before `epoch` is open on the tables; false at `untilMs`. */
  wait(epoch: number, untilMs: number): Promise<boolean> {
    const { runtime, fleet } = this.#context;
    return fleet.quiesced(this.#request.tableKeys, epoch, async (watch) => {
      this.holding = watch.holding;
      const now = runtime.clock.monotonicMs();
      if (now >= untilMs) return false;
      if (now >= this.#nextCheckMs) await this.#giveWay(watch.holding, watch.parked, now);
      return true;
    });
  }

  async #giveWay(holding: readonly Holding[], parked: readonly Parked[], now: number): Promise<void> {
    this.#nextCheckMs = now + BLOCKER_CHECK_MS;
    for (const sessionId of await parkedInTheWay(this.#request, holding, parked)) {
      if (this.gaveWay.has(sessionId)) continue;
      this.gaveWay.add(sessionId);
      this.#context.fleet.broadcast({ type: 'fail_parked', sessionIds: [sessionId] });
    }
  }
}

async function parkedInTheWay(request: QuiesceRequest, holding: readonly Holding[], parked: readonly Parked[]): Promise<readonly string[]> {
  const pidOf = (unit: { sourcePid: number | undefined; localPid: number | undefined }): number | undefined =>
    request.writingSide === 'source' ? unit.sourcePid : unit.localPid;
  const holders = holding.map(pidOf).filter((pid) => pid !== undefined);
  if (holders.length === 0 || parked.length === 0) return [];
  const blocking = new Set((await request.blockers(holders)).map(([, pid]) => pid));
  return parked.filter((unit) => blocking.has(pidOf(unit) ?? -1)).map((unit) => unit.sessionId);
}

export function describeHolders(holding: readonly Holding[]): string {
  if (holding.length === 0) return 'A gateway worker did not answer.';
  return holding
    .slice(0, 5)
    .map((unit) => {
      const backend = unit.sourcePid ?? unit.localPid;
      return `Session of ${unit.user} at ${unit.clientAddress}${backend === undefined ? '' : ` (backend ${backend})`} has been open for ${(unit.openForMs / 1000).toFixed(1)} s: ${unit.lastStatement.slice(0, 120)}`;
    })
    .join('\n');
}
