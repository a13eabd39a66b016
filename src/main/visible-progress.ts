/**
 * A worker's knowledge of how far local shows the source, and the clients that wait for it.
 *
 * A waiter is by transaction id (the usual case: answered by the very message that carries the id) or by position. Ids can
 * be missed (a reconnect to the control, an id older than the ring): a waiter by id that has waited for long is turned into
 * one by position, with a position of the source fetched after its commit, which is never earlier than the commit.
 */
import type { VisibilityTracker } from '../session/control-port.ts';

const REMEMBERED_TRANSACTIONS = 65_536;
const CONVERT_AFTER_MS = 500;

interface PositionWaiter {
  readonly lsn: bigint;
  readonly callback: () => void;
}

interface TransactionWaiter {
  readonly since: number;
  callback: () => void;
}

export interface VisibleProgress extends VisibilityTracker {
  advance(lsn: bigint, transactionIds: readonly number[]): void;
  /** Local may have lost what it showed: who asks from now on waits for what is told from now on. */
  reset(): void;
  /** To be called now and then. `fetchPosition` answers with the source's present write position. */
  sweep(nowMs: number, fetchPosition: (callback: (lsn: bigint) => void) => void): void;
}

export function createVisibleProgress(nowMs: () => number): VisibleProgress {
  let visibleLsn = 0n;
  const remembered = new Set<number>();
  const ring = new Uint32Array(REMEMBERED_TRANSACTIONS);
  let next = 0;
  const byTransaction = new Map<number, Set<TransactionWaiter>>();
  let byPosition: PositionWaiter[] = [];

  const remember = (id: number): void => {
    const evicted = ring[next];
    if (evicted !== undefined && evicted !== 0) remembered.delete(evicted);
    ring[next] = id;
    next = (next + 1) % REMEMBERED_TRANSACTIONS;
    remembered.add(id);
  };

  const releasePositions = (): void => {
    if (byPosition.length === 0) return;
    const due = byPosition.filter((waiter) => waiter.lsn <= visibleLsn);
    if (due.length === 0) return;
    byPosition = byPosition.filter((waiter) => waiter.lsn > visibleLsn);
    for (const waiter of due) waiter.callback();
  };

  const whenPositionVisible = (lsn: bigint, callback: () => void): (() => void) => {
    if (lsn <= visibleLsn) {
      callback();
      return () => undefined;
    }
    const waiter = { lsn, callback };
    byPosition.push(waiter);
    return () => {
      byPosition = byPosition.filter((other) => other !== waiter);
    };
  };

  return {
    get visibleLsn() {
      return visibleLsn;
    },
    whenPositionVisible,
    whenTransactionVisible: (id, callback) => {
      if (remembered.has(id)) {
        callback();
        return () => undefined;
      }
      const waiter: TransactionWaiter = { since: nowMs(), callback };
      const waiters = byTransaction.get(id) ?? new Set();
      byTransaction.set(id, waiters.add(waiter));
      return () => {
        waiter.callback = () => undefined;
        waiters.delete(waiter);
        if (waiters.size === 0 && byTransaction.get(id) === waiters) byTransaction.delete(id);
      };
    },
    advance: (lsn, transactionIds) => {
      if (lsn > visibleLsn) visibleLsn = lsn;
      for (const id of transactionIds) {
        remember(id);
        const waiters = byTransaction.get(id);
        if (!waiters) continue;
        byTransaction.delete(id);
        for (const waiter of waiters) waiter.callback();
      }
      releasePositions();
    },
    reset: () => {
      visibleLsn = 0n;
      remembered.clear();
      ring.fill(0);
    },
    sweep: (now, fetchPosition) => {
      const late: TransactionWaiter[] = [];
      for (const [id, waiters] of byTransaction) {
        const old = [...waiters].filter((waiter) => now - waiter.since >= CONVERT_AFTER_MS);
        for (const waiter of old) waiters.delete(waiter);
        if (waiters.size === 0) byTransaction.delete(id);
        late.push(...old);
      }
      if (late.length === 0) return;
      fetchPosition((lsn) => {
        for (const waiter of late) whenPositionVisible(lsn, () => waiter.callback());
      });
    },
  };
}
