/**
 * Writes that some cluster still owes, on disk before their client is answered.
 *
 * A write is in one of these states; each change is one call:
 *
 *   open      `append` gave it a ticket. The proxy has it in hand.
 *   released  `release`: the proxy is through with it, and the clusters in `owes` still have to be sent it. The replay has it in hand.
 *             After a crash everything that had not ended is released, with the clusters that it owed last.
 *   ended     `settle` (every cluster has it) or `cancel` (the primary refused it cleanly: no cluster shall have it).
 *
 * Tickets are whole numbers that rise by one and are never used twice, not by a later process either. A caller therefore needs one comparison
 * with `writtenUpTo` to know that a ticket survives a crash, and no callback for each write.
 */

/** A cluster as a bit of `owes`. */
export const SOURCE = 1;
export const TARGET = 2;
export const BOTH = 3;

/** What `append` gives instead of a ticket: nothing was taken, the client is to be told OVERLOADED. `refusal` says why. */
export const REFUSED = -1;

/** A prepared statement under the id that clients of the proxy know. One object for life: the log writes its text once for many intents. */
export interface IntentStatement {
  /** 16 bytes. */
  readonly id: Buffer;
  /** Keyspace in use when it was prepared; empty when none was. */
  readonly keyspace: string;
  readonly text: string;
}

/** What the writes of one session have in common. One object per upstream pool or session, not per request. */
export interface IntentOrigin {
  /** Protocol version of the frame body: 3 or 4. */
  readonly version: number;
  /** Keyspace in use; empty when none is. */
  readonly keyspace: string;
  /** Who wrote; for the report. No password is ever in the log. */
  readonly user: string;
}

/** One write as it is read back. */
export interface Intent {
  readonly ticket: number;
  /** QUERY 0x07, EXECUTE 0x0A, BATCH 0x0D. */
  readonly opcode: number;
  /** SOURCE | TARGET: who still has to be sent it. */
  readonly owes: number;
  /** Intents with the same order key other than 0 are sent one after the other, in the order of their tickets. */
  readonly order: number;
  /** Clock of the proxy when the frame arrived, milliseconds since 1970: a TTL counts from here. */
  readonly atMs: number;
  readonly origin: IntentOrigin;
  /** For EXECUTE one; for BATCH one per prepared child, in their order. */
  readonly statements: readonly IntentStatement[];
  /** The frame's body without compression, tracing and payload: with its timestamp, and our prepared ids. */
  readonly body: Buffer;
}

export type LogRefusal = 'full' | 'disk' | 'closed';

export interface IntentLogState {
  /** Tickets that have not ended: open and released. */
  readonly depth: number;
  readonly released: number;
  /** Bytes on disk and waiting to be written. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly segments: number;
  /** `atMs` of the oldest that has not ended; undefined when there is none. */
  readonly oldestAtMs: number | undefined;
}

export interface IntentLog {
  /**
   * Takes a write; synchronous, `body[from, end)` is copied. It is on disk when `writtenUpTo` has reached the ticket.
   * REFUSED when the log is full, its disk cannot be written, or it is closed.
   */
  append(origin: IntentOrigin, opcode: number, owes: number, order: number, atMs: number, statements: readonly IntentStatement[], body: Buffer, from?: number, end?: number): number;

  /** Writes what was appended, now. Called before the first byte of those writes goes to a cluster: what a cluster may have, the log has. Without the call it is written a little later. */
  flush(): void;

  /** Every ticket up to this one survives a crash of the process (with `fsync: group` of the machine as well). */
  readonly writtenUpTo: number;
  /** Every cancellation up to this number survives it too. */
  readonly cancelledUpTo: number;
  /** Called when either of the two has grown, once per write to disk; set by the proxy. */
  onWritten: () => void;

  /** Every cluster has it. Written soon, not at once: a crash before that sends it again, which its timestamp makes harmless. */
  settle(ticket: number): void;
  /** No cluster shall have it. Gives the number that `cancelledUpTo` has to reach before the client is told. */
  cancel(ticket: number): number;
  /** The proxy is through with it and these clusters still owe it: from now on it is the replay's. */
  release(ticket: number, owes: number): void;
  /** Called when `nextReleased` may find more than before: from this ticket on. Set by the replay. */
  onReleased: (from: number) => void;

  /** The lowest released ticket above this one, or -1: how the replay walks the log without a list of its own. */
  nextReleased(after: number): number;
  /** The whole write, read from disk and checked. Undefined when it has ended. Throws when the disk gives back something else than was written. */
  read(ticket: number): Intent | undefined;
  /** SOURCE | TARGET; 0 when it has ended. */
  owes(ticket: number): number;

  /** Why `append` refuses now; undefined while it does not. */
  readonly refusal: LogRefusal | undefined;
  state(): IntentLogState;
  /** Writes everything out. */
  close(): Promise<void>;
}

/** A place in the log that cannot be read although it once could: never skipped without a word. */
export interface LogDamage {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  /** Tickets that are lost; `to` is exclusive, undefined when it is not known how many there were. */
  readonly fromTicket: number;
  readonly toTicket: number | undefined;
  readonly what: string;
}
