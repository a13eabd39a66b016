/** One chunk on its way: the reader's `CopyData` bytes are handed to the target as they are. */
import type { Clock } from '../../config/runtime.ts';
import type { RateLimit } from '../flow/rate-limit.ts';
import type { CopyConnection, CopySink } from '../postgres/copy-connection.ts';
import type { ChunkReader } from './chunk-source.ts';

export interface CopyFlow {
  readonly clock: Clock;
  readonly limit: RateLimit;
  readonly signal: AbortSignal;
  /** Bytes that may wait in this process for the target to take them. */
  readonly backlogBytes: number;
  /** Called for each piece that has been handed on. */
  passed(rows: number, bytes: number): void;
  /** Awaited once per chunk after its first piece; undefined when nothing is to happen there. */
  readonly midway: (() => Promise<void>) | undefined;
}

export interface Copied {
  readonly rows: number;
  readonly bytes: number;
}

/** What a copy holds back while the target is busy. */
export type Holdable = Pick<ChunkReader, 'pause' | 'resume'>;

/** The connection on which a copy failed: it decides what the failure means. */
export class CopyFailure extends Error {
  readonly side: 'source' | 'target';
  override readonly cause: unknown;

  constructor(side: 'source' | 'target', cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.side = side;
    this.cause = cause;
  }
}

/**
 * Returns what arrived when both servers have ended their COPY. Throws `CopyFailure`; both connections are then usable again unless they are
 * lost: a failed target is fed nothing more but the source is read to its end, as cancelling it would end its snapshot.
 */
export async function copyThrough(source: Holdable, read: (sink: CopySink) => Promise<void>, target: CopyConnection, copySql: string, flow: CopyFlow): Promise<Copied> {
  const incoming = target.copyIn(copySql);
  const forward = new Forwarding(source, target, flow);
  incoming.done.catch(() => forward.stop());
  const outgoing = read((piece, rows, unfinished) => forward.take(piece, rows, unfinished));
  // Asked for only when the target is ready; it may fail before.
  outgoing.catch(() => undefined);
  source.pause();
  await settled(incoming.ready);
  source.resume();

  const sourceError = await settled(outgoing);
  const waitError = await forward.ended();
  // Half a row has been sent: there is no way to end this COPY but to end its connection.
  if (forward.isTorn) await target.abandon();
  else if (sourceError !== undefined || waitError !== undefined) target.failCopy('the source ended the copy');
  else target.endCopy();
  const targetError = await settled(incoming.done);
  if (waitError !== undefined) throw waitError;
  if (sourceError !== undefined) throw new CopyFailure('source', sourceError);
  if (targetError !== undefined) throw new CopyFailure('target', targetError);
  const tag = /^COPY (\d+)$/.exec((await incoming.done).at(-1)?.tag ?? '');
  return { rows: Number(tag?.[1] ?? 0), bytes: forward.payloadBytes };
}

/**
 * Hands pieces on in order. While one has to wait (rate, back-pressure, a fault point) the source is paused.
 *
 * A piece may end inside a row, and a server takes nothing else before it has the whole frame: after `stop` the rest of a row that has
 * been begun is still sent, then nothing more.
 */
class Forwarding {
  readonly #source: Holdable;
  readonly #target: CopyConnection;
  readonly #flow: CopyFlow;
  #midway: (() => Promise<void>) | undefined;
  #waiting: Promise<void> | undefined;
  #failure: unknown;
  #isStopped = false;
  /** Bytes of the last frame sent that the target has not been sent yet. */
  #owed = 0;
  payloadBytes = 0;

  constructor(source: Holdable, target: CopyConnection, flow: CopyFlow) {
    this.#source = source;
    this.#target = target;
    this.#flow = flow;
    this.#midway = flow.midway;
  }

  get isTorn(): boolean {
    return this.#owed > 0;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** True when the target has taken it, and all before it. */
  take(piece: Buffer, rows: number, unfinished: number): boolean {
    const delayMs = this.#isStopped ? 0 : this.#flow.limit.book(rows);
    if (this.#waiting || delayMs >= 1 || this.#midway) {
      this.#hold(() => this.#forwardLater(piece, rows, unfinished, delayMs));
      return false;
    }
    const backlog = this.#forward(piece, rows, unfinished);
    if (backlog > this.#flow.backlogBytes) this.#hold(() => this.#target.drained());
    return backlog === 0;
  }

  /** Resolves when nothing waits any more, with the first failure of a wait. */
  async ended(): Promise<unknown> {
    while (this.#waiting) await this.#waiting;
    return this.#failure;
  }

  #forward(piece: Buffer, rows: number, unfinished: number): number {
    if (this.#isStopped) {
      const rest = Math.min(this.#owed, piece.length);
      this.#owed -= rest;
      return rest === 0 ? 0 : this.#target.write(piece.subarray(0, rest));
    }
    this.#owed = unfinished;
    this.payloadBytes += piece.length;
    this.#flow.passed(rows, piece.length);
    return this.#target.write(piece);
  }

  async #forwardLater(piece: Buffer, rows: number, unfinished: number, delayMs: number): Promise<void> {
    try {
      if (delayMs >= 1 && !this.#isStopped) await this.#flow.clock.sleep(delayMs, this.#flow.signal);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#forward(piece, rows, unfinished) > this.#flow.backlogBytes) await this.#target.drained();
    const midway = this.#midway;
    this.#midway = undefined;
    await midway?.();
  }

  #fail(error: unknown): void {
    this.#failure ??= error ?? new Error('unknown failure');
    this.stop();
  }

  #hold(work: () => Promise<void>): void {
    this.#source.pause();
    // A piece behind a wait (one read of the socket can hold several) keeps its place.
    const waiting = (this.#waiting ?? Promise.resolve()).then(work).catch((error: unknown) => this.#fail(error)).then(() => {
      if (this.#waiting !== waiting) return;
      this.#waiting = undefined;
      this.#source.resume();
    });
    this.#waiting = waiting;
  }
}

/** The reason of the rejection, undefined when there is none. */
async function settled(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error ?? new Error('unknown failure');
  }
}
