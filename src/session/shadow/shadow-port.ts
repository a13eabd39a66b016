/** What sessions and the gateway see of shadow reads (`read_from 'compare'`): they hand over a unit that has been sent to the source, and go on. */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { AnswerTap, InternalReply } from '../../execute/segment.ts';
import type { ComparedRead } from '../../route/route.ts';

/** The part of a session that is looked at. */
export interface ShadowedSession {
  readonly identity: { readonly sessionId: string; readonly user: string; readonly database: string; readonly startup: ReadonlyMap<string, string> };
  readonly searchPath: readonly string[];
  readonly temporaryTables: ReadonlyMap<string, Side>;
  /** Grows with whatever may have changed its settings. */
  readonly stateVersion: number;
  /** Names of settings that no catalog lists. */
  readonly customSettings: ReadonlySet<string>;
  readonly activity: string;
  readonly ended: boolean;
  readonly home: ShadowedLeg;
  /** A query of the gateway's own, behind everything sent so far. */
  ask(leg: ShadowedLeg, sql: string, callback: (reply: InternalReply) => void): void;
}

export interface ShadowedLeg {
  readonly target: { readonly user: string };
  /** Units that are not answered; those with `internal` are the gateway's own. */
  readonly segments: readonly { readonly internal: unknown }[];
}

export interface TappedSegment {
  readonly internal: unknown;
  tap: AnswerTap | undefined;
  readonly startedAtMs: number;
}

/** A statement that was parsed by the protocol's Parse; `origin` as the session keeps it. */
export interface ShadowedStatement {
  readonly origin: { readonly type: 'parse'; readonly message: Buffer } | { readonly type: 'sql'; readonly text: string };
}

export interface ShadowPort {
  /** A Query with this text is being sent in a unit of its own. `text` is a view of the client's bytes. */
  queried(session: ShadowedSession, segment: TappedSegment, read: ComparedRead, text: Buffer): void;
  /** A Bind, a view of the client's bytes, of this statement is being sent. */
  bound(session: ShadowedSession, segment: TappedSegment, read: ComparedRead, statement: ShadowedStatement, bind: Buffer): void;
}

/** What became of the reads of one statement, on one set of tables, since the gateway process was started. Plain JSON. */
export interface ShadowReadCounts {
  readonly tables: readonly string[];
  /** Constants are `?`. */
  readonly statement: string;
  readonly results: Readonly<Record<ShadowResult, number>>;
  readonly slower: number;
  /** Of comparisons in which both sides answered. */
  readonly timed: number;
  readonly sourceMs: number;
  readonly sourceMaxMs: number;
  readonly localMs: number;
  readonly localMaxMs: number;
  /** The last error on local, or why it was skipped. */
  readonly note: string | undefined;
  readonly example: string | undefined;
}

export const shadowResults = ['equal', 'different', 'unsettled', 'order_differs', 'failed', 'too_large', 'skipped', 'dropped'] as const;
export type ShadowResult = (typeof shadowResults)[number];
