/**
 * What a leg was asked, up to one ReadyForQuery, and what of its answer the client is to see.
 *
 * A client's segment passes everything, except the answers to messages that the gateway put between the client's own, and its
 * last CommandComplete and ReadyForQuery when the commit has to become visible on local first. An internal segment passes nothing.
 * States: open (more messages of the same unit may follow) → closed (its Sync or Query has been sent) → ended (ReadyForQuery seen).
 */
import type { TransactionModes } from '../../grammar/sql/statement-facts.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { AfterWrite } from '../route/route.ts';

/** What became of an internal query. `rows` in text; `error` is the server's ErrorResponse as it came. */
export interface InternalReply {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly tag: string;
  readonly error: Buffer | undefined;
  /** NoticeResponses, as they came. */
  readonly notices: readonly Buffer[];
}

/** Sees a copy of what passes to the client. */
export interface AnswerTap {
  see(bytes: Buffer): void;
  /** The answer is complete once what has passed is flushed. Called while the leg's bytes are being read: what follows from it comes later. */
  ended(leg: { flushPassed(): void }): void;
}

/** Notes of the session on what the answers of this unit hold, for the leg that reads them. */
export interface AnswerValues {
  /** An error has come: there are no more answers. */
  failed(): void;
}

/** Takes rows that are not for the client out of answers. */
export interface ImageTaker {
  /** What is to become of a RowDescription or DataRow, as a verdict on its message. */
  take(type: number, buffer: Buffer, start: number, length: number): 1 | 3;
}

export class Segment {
  /** Set for internal segments: nothing of the answer reaches the client. */
  readonly internal: ((reply: InternalReply) => void) | undefined;
  /** Of an internal COPY: takes the CopyData messages that come, as raw bytes. */
  copyOut: ((messages: Buffer) => void) | undefined;
  /** Its CopyOutResponse has come. */
  copying = false;
  /** Of an internal COPY: the server waits for data. */
  copyIn: (() => void) | undefined;
  /** What it does to the session's settings counts when it has ended well. */
  carries = false;
  /** Gives a pooled connection the session's settings: the client knows them. */
  isPreparation = false;
  closed = false;
  failed = false;
  /** True when only ReadyForQuery and errors need a look. */
  plain = true;
  /** Its ReadyForQuery is not the client's: the gateway's own Sync, or one statement of a text that goes on. */
  swallowReady = false;
  /** Its last CommandComplete is not sent on, but kept here until a commit that comes behind it has succeeded. */
  keepsTag = false;
  tag: Buffer | undefined;
  /** The text sent last in which relations are named otherwise: errors tell places in it. */
  named: RenamedText | undefined;
  /** What the client gets in place of the next ErrorResponse. */
  replaceError: Buffer | undefined;
  after: AfterWrite = 'none';
  /** Name of the appended result column whose answer is cut out (simple protocol). */
  nonce: Buffer | undefined;
  /** Sent so far, own and injected; the ordinals of injected ones, ascending. */
  parsesSent = 0;
  bindsSent = 0;
  injectedParses: number[] | undefined;
  injectedBinds: number[] | undefined;
  /** For the barrier: keys of tables, and the epoch under which they were routed. */
  touches: readonly string[] = noTouches;
  epoch = 0;
  /** Newest snapshot under which it touched one of them; no barrier over any of them can have passed since. */
  touchedUnder: RoutingSnapshot | undefined;
  /** Something in it may have written. */
  wrote = false;
  /** Something in it needs the side that it is on. */
  needsSide = false;
  /** Something in it changed settings, perhaps for its block alone. */
  changedSession = false;
  /** What a text with a BEGIN of its own, among other statements, said of the block that it leaves open. */
  modes: TransactionModes | undefined;
  /** Names of statements parsed here, by ordinal of their ParseComplete; undefined when none has a name. `again`: the session has had it before. */
  parsedNames: Map<number, { readonly name: string; readonly statement: object; readonly again: boolean }> | undefined;
  parsesSeen = 0;
  /** Name of the statement that what was sent last is to PREPARE. */
  prepares: string | undefined;
  /** The Parse of the statement that asks for the transaction id, when it was injected here. */
  xidParse: { readonly ordinal: number; readonly name: string } | undefined;
  /** Transaction id that the appended query told, decimal. */
  xid: string | undefined;
  readonly startedAtMs: number;
  /** Of a read whose answer is compared with the other side's; undefined for all others. */
  tap: AnswerTap | undefined;
  /** Of extended queries on local; undefined where nothing has been noted. */
  values: AnswerValues | undefined;
  /** Every row of the segment is one that this takes. */
  images: ImageTaker | undefined;
  /** The client has asked what a statement or portal gives. */
  described = false;
  /** Under which it was sent; undefined for internal ones. A table that this does not know may have been touched unseen. */
  snapshot: RoutingSnapshot | undefined;

  #bindsSeen = 0;
  #cutting = false;
  #nonceSeen = false;

  constructor(startedAtMs: number, internal?: (reply: InternalReply) => void) {
    this.startedAtMs = startedAtMs;
    this.internal = internal;
    if (internal) this.plain = false;
  }

  /** From here on the last CommandComplete and ReadyForQuery wait. */
  holdFor(after: AfterWrite): void {
    if (rank[after] > rank[this.after]) this.after = after;
    if (this.after !== 'none' && this.after !== 'track') this.plain = false;
  }

  get holds(): boolean {
    return this.keepsTag || this.after === 'xid' || this.after === 'position';
  }

  /** The next message sent in this segment is a Parse of the client's statement of this name. */
  parses(statement: { readonly name: string }, again: boolean): void {
    this.plain = false;
    (this.parsedNames ??= new Map()).set(this.parsesSent, { name: statement.name, statement, again });
  }

  /** The next message sent in this segment is an injected Parse, Bind + Execute, respectively. */
  injectParse(): void {
    this.plain = false;
    (this.injectedParses ??= []).push(this.parsesSent++);
  }

  injectBind(): void {
    this.plain = false;
    (this.injectedBinds ??= []).push(this.bindsSent++);
  }

  addTouches(touches: readonly string[], epoch: number): void {
    if (touches.length === 0) return;
    const first = this.touches.length === 0;
    this.touches = first ? touches : [...this.touches, ...touches];
    this.epoch = first ? epoch : Math.min(this.epoch, epoch);
  }

  /** Name of the statement that asks for the transaction id, when it was parsed here: a Parse behind an error is skipped. */
  get xidStatementParsed(): string | undefined {
    return this.xidParse && this.parsesSeen > this.xidParse.ordinal ? this.xidParse.name : undefined;
  }

  /** An answer of one that is plain so far: something may yet be injected behind it. */
  passed(type: number): void {
    if (type === PARSE_COMPLETE) this.parsesSeen += 1;
    else if (type === BIND_COMPLETE) this.#bindsSeen += 1;
  }

  /** ParseComplete: true when it is the client's. */
  parseCompleted(): boolean {
    const ordinal = this.parsesSeen++;
    return !this.injectedParses?.includes(ordinal);
  }

  /** BindComplete: after an injected one, everything up to the next CommandComplete is cut. */
  bindCompleted(): boolean {
    const ordinal = this.#bindsSeen++;
    const injected = this.injectedBinds?.includes(ordinal) ?? false;
    if (injected) this.#cutting = true;
    return !injected;
  }

  /** RowDescription of the appended query. */
  startCut(): void {
    this.#cutting = true;
    this.#nonceSeen = true;
  }

  get cutting(): boolean {
    return this.#cutting;
  }

  endCut(): void {
    this.#cutting = false;
  }

  /** An error behind the appended query is the commit's: the CommandComplete that was held back never happened. */
  get commitFailed(): boolean {
    return this.#nonceSeen;
  }
}

const PARSE_COMPLETE = 0x31;
const BIND_COMPLETE = 0x32;
const noTouches: readonly string[] = [];
const rank: Record<AfterWrite, number> = { none: 0, track: 1, xid: 2, position: 3 };

export function strongerWait(left: AfterWrite, right: AfterWrite): AfterWrite {
  return rank[left] >= rank[right] ? left : right;
}
