/** A read that is sent on a connection which other sessions use at the same time (`pool_mode pipeline`): one whole unit, which ends in its own Sync or is one Query. */
import type { RoutingSnapshot, Side } from '../../../catalog/routing-snapshot.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { ReadHabits } from './read-habits.ts';

/** The session behind it. */
export interface Reader {
  /** Returns how many bytes the client has not taken yet: while there are any, `bytes` must stay as they are. */
  answer(bytes: Buffer): number;
  /** The whole answer has been handed over. */
  answered(): void;
  /** There will be no (more of the) answer. `fatal`: part of it has gone out. */
  unanswered(fields: ErrorFields, fatal: boolean): void;
}

export class SharedRead {
  readonly reader: Reader;
  readonly side: Side;
  readonly habits: ReadHabits;
  /** What the server gets. */
  readonly bytes: Buffer;
  /** The prepared statement that it binds: its name on every server, and the Parse that makes it. */
  readonly prepared: { readonly name: string; readonly message: Buffer } | undefined;
  readonly startedAtMs: number;
  /** For barriers: what it reads, and under which snapshot that was decided. */
  readonly touches: readonly string[];
  readonly snapshot: RoutingSnapshot;
  /** Something of the answer has gone to the client: it cannot be asked for again. */
  isBegun = false;
  /** Its ReadyForQuery has come. */
  isOver = false;
  /** How often a connection was lost under it, which it may itself be the cause of. */
  losses = 0;
  #lostAtMs = 0;

  constructor(reader: Reader, side: Side, habits: ReadHabits, bytes: Buffer, prepared: SharedRead['prepared'], route: { readonly startedAtMs: number; readonly touches: readonly string[]; readonly snapshot: RoutingSnapshot }) {
    this.reader = reader;
    this.side = side;
    this.habits = habits;
    this.bytes = bytes;
    this.prepared = prepared;
    this.startedAtMs = route.startedAtMs;
    this.touches = route.touches;
    this.snapshot = route.snapshot;
  }

  /** A connection that is as old as one lost before may have been dead already when it was sent there: a server's restart ends all at once. */
  lost(openedAtMs: number, nowMs: number): void {
    if (openedAtMs <= this.#lostAtMs) return;
    this.losses += 1;
    this.#lostAtMs = nowMs;
  }
}
