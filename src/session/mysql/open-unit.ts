/** What a session has touched since its transaction, or its statement, began: what a barrier waits for. */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { Clock } from '../../../config/runtime.ts';
import { mayHaveTouchedUnseen } from '../../execute/may-have-touched-unseen.ts';

const SHOWN_CHARACTERS = 200;
const commits = /^\s*(?:commit|xa\s+commit|start|begin|alter|create|drop|truncate|rename)\b/i;
/** What leaves no locks behind, and does not say what the transaction is to see. */
const takesNothing = /^\s*(?:begin|start\s+transaction(?!\s+with\b)|set|use)\b[^;(]*;?\s*$/i;
const between = String.raw`(?:^|;)(?:\s|/\*[^!][\s\S]*?\*/|--[^\n]*\n|#[^\n]*\n)*`;
/** A prepared branch is out of the transaction's sight, and writes with its commit. */
const outlasts = new RegExp(`${between}(?:lock\\s+tables?|xa\\s+prepare)\\b`, 'i');
const endsLasting = new RegExp(`${between}(?:unlock\\s+tables?|begin|start\\s+transaction|xa\\s+(?:commit|rollback))\\b`, 'i');
/** A text that an error may leave with a transaction begun, of which the error says nothing. */
const mayBegin = /;|\b(?:call|begin|start|execute|xa)\b/i;

/** What neither commits nor is committed by what it does, but for a statement that is a transaction by itself. */
const staysInside = /^[\s(]*(?:select|show|desc|describe|explain|table|values|with|insert|update|delete|replace|load|do|use|savepoint|release|rollback)\b(?!.*;\s*\S)/is;
const rollsBack = /^\s*rollback\b/i;

export class OpenUnit {
  readonly #clock: Clock;
  /** Keys of migrating tables, with the epoch in which they were first touched. */
  readonly #touched = new Map<string, number>();
  /** Under which it began: what it knew no table of may have been touched unseen. */
  #first: RoutingSnapshot | undefined;
  #startedAtMs = 0;
  #hasRun = false;
  #seenUnder: RoutingSnapshot | undefined;
  /** LOCK TABLES or a prepared branch of XA is there, or being asked for: it outlasts statements and transactions. */
  #isLasting = false;
  /** What it may have written of tables whose commits are waited for. */
  readonly #waitedFor = new Set<string>();
  #mayCommitInside = false;
  /** Of the session, and of what it has asked for last. */
  readonly #bornAtMs: number;
  #lastAtMs: number;
  lastText = '';

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#bornAtMs = this.#lastAtMs = clock.monotonicMs();
  }

  /** Under which it began; undefined between units. */
  get first(): RoutingSnapshot | undefined {
    return this.#first;
  }

  /** Under which it did the first thing that may have shown it rows; undefined: nothing yet. */
  get seenUnder(): RoutingSnapshot | undefined {
    return this.#seenUnder;
  }

  /** It has done something that others may wait for. */
  get holdsLocks(): boolean {
    return this.#hasRun;
  }

  /** What is under way may commit: it is left to its end. */
  get isCommit(): boolean {
    return commits.test(this.lastText);
  }

  get mayBegin(): boolean {
    return this.lastText.length === SHOWN_CHARACTERS || mayBegin.test(this.lastText);
  }

  get openForMs(): number {
    return this.#first === undefined ? 0 : this.#clock.monotonicMs() - this.#startedAtMs;
  }

  /** Since the session began, and since its last request. */
  get age(): { readonly openForMs: number; readonly idleForMs: number } {
    const nowMs = this.#clock.monotonicMs();
    return { openForMs: nowMs - this.#bornAtMs, idleForMs: nowMs - this.#lastAtMs };
  }

  /** A statement runs now. `touches` undefined: nobody has looked, as no table migrates. `waits`: it may write some of them whose commits are waited for. */
  begins(touches: readonly string[] | undefined, snapshot: RoutingSnapshot, text: string, waits = false): void {
    this.lastText = text.length > SHOWN_CHARACTERS ? text.slice(0, SHOWN_CHARACTERS) : text;
    this.#lastAtMs = this.#clock.monotonicMs();
    if (this.#first === undefined) {
      this.#first = snapshot;
      this.#startedAtMs = this.#lastAtMs;
    }
    for (const table of touches ?? []) if (!this.#touched.has(table)) this.#touched.set(table, snapshot.epoch);
    this.#hasRun ||= !takesNothing.test(this.lastText);
    if (this.#hasRun) this.#seenUnder ??= snapshot;
    if (waits) for (const table of touches ?? []) if (snapshot.tables[table]?.waitVisible === true) this.#waitedFor.add(table);
    this.#mayCommitInside = this.#waitedFor.size > 0 && !staysInside.test(text);
    if (!mayBeOfLasting(this.lastText)) return;
    if (outlasts.test(this.lastText)) this.#isLasting = true;
    else if (endsLasting.test(this.lastText)) this.#isLasting = false;
  }

  get waitedFor(): ReadonlySet<string> {
    return this.#waitedFor;
  }

  /** What has come of the answer may tell the client of a commit that is to be waited for. `isLast`: it is all; `isError`: and says so; `isOpen`: behind it a transaction is open. */
  mayTellOfCommit(isLast: boolean, isError: boolean, isOpen: boolean): boolean {
    if (this.#waitedFor.size === 0) return false;
    return this.#mayCommitInside || (isLast && !isError && !isOpen && !rollsBack.test(this.lastText));
  }

  /** The statement was an error. */
  failed(): void {
    if (outlasts.test(this.lastText)) this.#isLasting = false;
  }

  /** The statement is over, and no transaction open. */
  settle(): void {
    this.#waitedFor.clear();
    if (!this.#isLasting) this.end();
  }

  end(): void {
    this.#waitedFor.clear();
    if (this.#first === undefined) return;
    this.#touched.clear();
    this.#first = undefined;
    this.#seenUnder = undefined;
    this.#hasRun = false;
    this.#isLasting = false;
  }

  /** A barrier over the table waits for this unit, whatever its epoch. */
  hasTouched(table: string): boolean {
    return this.#touched.has(table) || (this.#first !== undefined && !Object.hasOwn(this.#first.tables, table));
  }

  holds(tables: ReadonlySet<string>, epoch: number): boolean {
    if (this.#first === undefined) return false;
    for (const [table, since] of this.#touched) if (since < epoch && tables.has(table)) return true;
    return mayHaveTouchedUnseen(this.#first, tables, epoch);
  }
}

/** The first two letters of the words that `outlasts` and `endsLasting` look for. */
const lastingWords: ReadonlySet<number> = new Set(['lo', 'xa', 'un', 'be', 'st'].map(firstTwo));

function firstTwo(text: string): number {
  return ((text.charCodeAt(0) | 0x20) << 8) | (text.charCodeAt(1) | 0x20);
}

/** False where one look at a text of one statement rules out that LOCK TABLES or a branch of XA begins or ends with it. */
function mayBeOfLasting(text: string): boolean {
  const first = text.charCodeAt(0) | 0x20;
  return !(first >= 0x61 && first <= 0x7a) || lastingWords.has(firstTwo(text)) || text.includes(';');
}
