/**
 * While the target cannot be reached, changes of every table go to the spool, and the source may forget what is durable there (RULES 8): a
 * local database that is down for a day must not fill the disk of the one that everybody works on.
 *
 * States: connected → offline, from the slot's confirmed position, noted in the spool before anything is confirmed → `takeUpSpooled`, once the
 * target answers: the shared tables become tables that apply by themselves, from where the target has them, out of logs that begin earlier.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { BoundedQueue } from '../flow/bounded-queue.ts';
import { Wake } from '../flow/wake.ts';
import { TableLog } from '../spool/table-log.ts';
import { frameKind, KEEPALIVE_POSITION_AT, MESSAGE_AT } from './capture-frames.ts';
import type { CaptureConnection } from './change-source.ts';
import { openCheckedLog } from './lost-table.ts';
import { flushLog, flushLogs, isSpoolFull } from './spool-room.ts';
import { StreamRoutes } from './stream-routes.ts';
import type { StreamState } from './stream-state.ts';
import { TransactionRouter } from './transaction-router.ts';

const CONFIRM_MS = 1_000;
const PROBE_MS = 1_000;

/** Between two connections: every table's log is open, and holds, or will, everything from the slot's confirmed position on. Idempotent. */
export async function goOffline(state: StreamState): Promise<bigint> {
  const { options, source, spool } = state;
  const retention = await source.readRetention();
  if (!retention || retention.lost) throw new MigrationError('MIG020', `The source keeps nothing for stream ${options.name} any more`);
  const isFresh = spool.offlineFrom === undefined;
  for (const entry of state.entries.values()) {
    entry.log?.close();
    entry.log = undefined;
    if (entry.isLost) continue;
    // What lies there is of a time before the table was shared.
    if (entry.mode === 'shared' && isFresh) spool.dropLog(entry.tableId);
    if (entry.mode === 'shared') {
      entry.mode = 'draining';
      entry.savedOffset = 0;
    }
    entry.log = openCheckedLog(state, entry, entry.savedOffset);
  }
  if (isFresh) spool.goOffline(retention.confirmed);
  return retention.confirmed;
}

/** Until the target answers again or the signal aborts; throws when the source is lost. */
export class OfflineCapture {
  readonly #state: StreamState;
  readonly #connection: CaptureConnection;
  readonly #queue: BoundedQueue;
  readonly #routes: StreamRoutes;
  readonly #router: TransactionRouter;
  readonly #wake = new Wake();
  #failure: Error | undefined;
  #isTargetBack = false;

  private constructor(state: StreamState, connection: CaptureConnection) {
    this.#state = state;
    this.#connection = connection;
    this.#queue = new BoundedQueue(state.options.limits.bufferBytes, () => connection.pause(), () => connection.resume());
    this.#routes = new StreamRoutes(state);
    this.#router = new TransactionRouter({
      entryOf: (relation, isNew) => this.#routes.entryOf(relation, isNew),
      onBypass: () => undefined,
      onFrameFull: (entry) => flushLog(state, entry),
    }, 0n);
  }

  static async run(state: StreamState, confirmed: bigint, signal: AbortSignal): Promise<void> {
    const connection = await state.source.connect();
    const capture = new OfflineCapture(state, connection);
    const stop = new AbortController();
    const ended = AbortSignal.any([signal, stop.signal]);
    const timer = setInterval(() => capture.#wake.notify(), CONFIRM_MS);
    const abort = (): void => capture.#wake.notify();
    signal.addEventListener('abort', abort);
    try {
      await capture.#checkSource();
      await capture.#start(confirmed);
      void capture.#probe(ended);
      await capture.#capture(signal);
    } finally {
      signal.removeEventListener('abort', abort);
      clearInterval(timer);
      stop.abort();
      connection.close();
      flushLogs(state);
      for (const entry of state.entries.values()) {
        await entry.log?.sync().catch(() => undefined);
        entry.log?.close();
      }
    }
  }

  /** What the target knows of the source cannot be asked; another cluster is not to be spooled as if it were this one. */
  async #checkSource(): Promise<void> {
    const { systemId, timeline } = await this.#connection.identify();
    const known = this.#state.sourceIdentity;
    if (known && (known.systemId !== systemId || known.timeline !== timeline)) {
      throw new MigrationError('MIG023', undefined, { detail: `The captured server is another one than before (${systemId}, timeline ${timeline}); what that means is decided when the target can be asked.` });
    }
  }

  async #start(confirmed: bigint): Promise<void> {
    this.#router.startsAt(confirmed);
    this.#router.advance(confirmed);
    await this.#routes.read();
    await this.#connection.start(confirmed, {
      onBlock: (block) => {
        this.#queue.push(block);
        this.#wake.notify();
      },
      onReplyRequested: () => this.#sendFeedback(),
      onEnd: (error) => {
        this.#failure = new MigrationError('MIG023', undefined, { detail: error.message, cause: error });
        this.#wake.notify();
      },
    });
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const { clock } = this.#state.runtime;
    while (!signal.aborted && !this.#isTargetBack) {
      this.#isTargetBack = await this.#state.target.answers();
      await clock.sleep(PROBE_MS, signal).catch(() => undefined);
    }
    this.#wake.notify();
  }

  async #capture(signal: AbortSignal): Promise<void> {
    const { clock } = this.#state.runtime;
    let confirmedAtMs = clock.monotonicMs();
    while (!signal.aborted && !this.#isTargetBack) {
      if (this.#failure) throw this.#failure;
      this.#route();
      if (clock.monotonicMs() - confirmedAtMs >= CONFIRM_MS) {
        await this.#confirm();
        confirmedAtMs = clock.monotonicMs();
      }
      await this.#wake.wait();
    }
    await this.#confirm();
  }

  /** A spool that is full leaves the rest with the source. */
  #route(): void {
    const state = this.#state;
    while (!isSpoolFull(state)) {
      const block = this.#queue.shift();
      if (!block) return;
      for (let at = 0; at < block.length; ) {
        const end = at + 1 + block.readUInt32BE(at + 1);
        if (block[at] === frameKind.copyData && block[at + 5] === frameKind.message) this.#router.take(block, at + MESSAGE_AT, end);
        else if (block[at] === frameKind.copyData && block[at + 5] === frameKind.keepalive) this.#router.advance(block.readBigUInt64BE(at + KEEPALIVE_POSITION_AT));
        at = end;
      }
      // Transaction ids are for those who look at the target. A marker is not sent again: it counts once the target has what came before it.
      if (this.#router.isBetweenTransactions) for (const { token, lsn } of this.#router.takeUnit().markers) state.markers.seen(token, lsn);
      flushLogs(state);
    }
  }

  async #confirm(): Promise<void> {
    const state = this.#state;
    const spooled = this.#router.unit.endLsn;
    const logs = [...state.entries.values()].flatMap(({ log, tableId }) => (log ? [{ log, tableId, end: log.wholeEndOffset }] : []));
    if (state.spoolError || logs.some(({ log }) => log.hasPending) || spooled <= state.durable) return;
    for (const { log } of logs) await log.sync();
    state.spool.advance(spooled, logs.map(({ tableId, end }) => [tableId, end] as const));
    state.durable = spooled;
    this.#sendFeedback();
    state.retainedBytes = (await state.source.readRetention())?.retainedBytes;
  }

  #sendFeedback(): void {
    const { durable, runtime } = this.#state;
    this.#connection.sendFeedback(durable, durable, runtime.clock.now(), true);
  }
}

/**
 * The target answers: its shared tables are from now on tables that apply by themselves, from the position that it has them at, and what the spool
 * holds becomes theirs; one transaction, then the note in the spool goes. Idempotent; before anything streams.
 */
export async function takeUpSpooled(state: StreamState): Promise<void> {
  const { options, spool, target } = state;
  const from = spool.offlineFrom;
  if (from === undefined) return;
  // A join of which nobody has heard has left its log as it was when the table applied by itself: the beginning is applied, and given back.
  await target.leaveAllShared(from, spool.identity.durable, (tableId) => TableLog.startIn(spool.tableDirectory(tableId)));
  spool.comeBack();
  state.runtime.log.info('the target can be reached again: what the spool kept for it is being applied', { stream: options.name });
}
