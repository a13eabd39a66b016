/** What a leg needs of its session, and tells it. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { Segment } from '../execute/segment.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { Verdict } from '../wire/framing.ts';
import type { Borrowing } from './leg-connection.ts';

export interface OwnedLeg {
  readonly side: Side;
}

export interface LegOwner {
  toClient(bytes: Buffer): void;
  /** Something that went to the client is still in memory. */
  readonly clientBehind: boolean;
  now(): number;
  /** What `measure` asked for: milliseconds spent on the unit's bytes. */
  measured(leg: OwnedLeg, ms: number): void;
  /** The leg's output buffer is full, or has drained. */
  legBackpressure(full: boolean): void;
  /** The segment's ReadyForQuery has come; `ending` holds the bytes that were held back, ReadyForQuery included, and is empty for a segment that passes. */
  segmentEnded(leg: OwnedLeg, segment: Segment, ending: Buffer): Verdict;
  copyInStarted(leg: OwnedLeg, segment: Segment): void;
  parameterChanged(leg: OwnedLeg, name: string, value: string): void;
  /** A query of the gateway's own has been sent: the server forgets the unnamed statement. */
  unnamedGone(leg: OwnedLeg): void;
  /** A notification, in between the answers. */
  notified(leg: OwnedLeg): void;
  /** `fatalSeen`: the server has said why. */
  legClosed(leg: OwnedLeg, fatalSeen: boolean): void;
  /** Of a pooled one: what was waited for has come. */
  legReady(leg: OwnedLeg): void;
  /** Of a pooled one: there is no connection to be had. */
  legRefused(leg: OwnedLeg, fields: ErrorFields): void;
  /** Of a pooled one: nothing is under way on it, but the session needs this very connection. */
  keepsConnection(leg: OwnedLeg): boolean;
  readonly borrowing: Borrowing;
}
