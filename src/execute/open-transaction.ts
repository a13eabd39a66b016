/**
 * A client's transaction block over up to two legs.
 *
 * States: announced (BEGIN answered, on no leg) → on one leg → on both; failed (an error on a leg, or a refusal of the
 * gateway's) → whole again by ROLLBACK TO; ended. It belongs to the snapshot in which it began.
 */
import type { RoutingSnapshot, Side } from '../../catalog/routing-snapshot.ts';
import type { StatementFacts, TransactionModes } from '../../grammar/sql/statement-facts.ts';
import type { AfterWrite, LegRoute, TransactionContext } from '../route/route.ts';
import type { RowImages } from './row-images.ts';
import { strongerWait } from './segment.ts';
import type { Segment } from './segment.ts';

interface Replayed {
  readonly savepoint: string | undefined;
  /** Of a savepoint: no other one of the block has it. */
  readonly number: number;
  readonly sql: string;
}

export class OpenTransaction {
  #snapshot: RoutingSnapshot;
  readonly startedAtMs: number;
  /** What starts the same block on another leg. */
  readonly beginSql: string;
  readonly begun = { source: false, local: false };
  /** Something that needed this side has run there: not only what any side answers, as SHOW. */
  readonly used = { source: false, local: false };
  modes: { isolation: NonNullable<TransactionModes['isolation']> | undefined; readOnly: boolean | undefined };
  readonly wrote = { source: false, local: false };
  /** The same of the MySQL server, whose transaction has no side of its own. */
  readonly mysql = { begun: false, used: false, wrote: false };
  /** What it has written there of tables whose commits are waited for. */
  readonly waitedOnMysql = new Set<string>();
  /** When it has begun, as the client's `now()` says it; undefined until somebody has to know. */
  startedAt: Date | undefined;
  /** Tables for rows of the other side were made there: it cannot be prepared. */
  readonly temporaryOn = { source: false, local: false };
  after: AfterWrite = 'none';
  mayHaveWrittenOnSource = false;
  /** Key of each table touched → the snapshot under which it was first routed; a barrier over it waits for this block. */
  readonly routed = new Map<string, RoutingSnapshot>();
  failedOn: Side | 'gateway' | undefined;
  /** Rows that it has written; undefined while no statement has been sent so that they can be had. */
  images: RowImages | undefined;
  /** Statements that it has run on the source, and those of them whose commit is waited for. */
  ran = 0;
  ranWrites = 0;
  /** A pipeline without a BEGIN of the client's: its Sync ends it. */
  isImplicit = false;
  /** Something in it changed session state, which its end may change back. */
  changedSession = false;
  /** Names of SQL cursors that end with it. */
  readonly cursors = new Set<string>();
  /** SET TRANSACTION and SAVEPOINTs, in order. */
  #replayed: Replayed[] = [];
  #savepoints = 0;

  constructor(snapshot: RoutingSnapshot, startedAtMs: number, beginSql: string, modes: TransactionModes | undefined) {
    this.#snapshot = snapshot;
    this.startedAtMs = startedAtMs;
    this.beginSql = beginSql;
    this.modes = { isolation: modes?.isolation, readOnly: modes?.readOnly };
  }

  /** In which the block began. */
  get snapshot(): RoutingSnapshot {
    return this.#snapshot;
  }

  /** Of a block that is on no leg yet: it is no older than its first statement. */
  beginUnder(snapshot: RoutingSnapshot): void {
    this.#snapshot = snapshot;
  }

  /** When all of these have been touched, the newest snapshot under which one of them first was: none has moved since. */
  routedUnder(tables: readonly string[]): RoutingSnapshot | undefined {
    let newest: RoutingSnapshot | undefined = tables.length === 0 ? this.#snapshot : undefined;
    for (const table of tables) {
      const snapshot = this.routed.get(table);
      if (!snapshot) return undefined;
      if (!newest || snapshot.epoch > newest.epoch) newest = snapshot;
    }
    return newest;
  }

  /** The block that a text among whose statements was a BEGIN has left open on its leg. */
  static leftBy(segment: Segment, side: Side, snapshot: RoutingSnapshot, nowMs: number): OpenTransaction {
    const tx = new OpenTransaction(segment.snapshot ?? snapshot, nowMs, beginWith(segment.modes), segment.modes);
    tx.begun[side] = true;
    tx.used[side] = segment.needsSide;
    tx.wrote[side] = segment.wrote;
    tx.after = segment.after;
    tx.mayHaveWrittenOnSource = side === 'source' && segment.after !== 'none';
    if (segment.wrote || segment.after !== 'none') tx.ranWrites = 1;
    tx.changedSession = segment.changedSession;
    tx.ran = 1;
    for (const table of segment.touches) tx.routed.set(table, tx.snapshot);
    return tx;
  }

  /** While nothing was migrated nobody looked at what it ran. */
  get #isUnseen(): boolean {
    return Object.keys(this.#snapshot.tables).length === 0;
  }

  get wroteOn(): Side | 'both' | undefined {
    if (this.wrote.source && this.wrote.local) return 'both';
    return this.wrote.source ? 'source' : this.wrote.local ? 'local' : undefined;
  }

  get sides(): Side[] {
    return (['source', 'local'] as const).filter((side) => this.begun[side]);
  }

  /** Everything that brings a fresh leg to where the block stands, as one query. */
  get replaySql(): string {
    return [this.beginSql, ...this.#replayed.map((entry) => entry.sql)].join('\n;\n');
  }

  /** What the segment of a forwarded COMMIT or ROLLBACK takes over: the block holds its tables until that has been carried out. */
  handTouchesTo(segment: Segment): void {
    if (this.routed.size > 0) segment.addTouches([...this.routed.keys()], Math.min(...[...this.routed.values()].map(({ epoch }) => epoch)));
  }

  setModes(facts: StatementFacts, sql: string): void {
    if (facts.transaction?.isolation) this.modes.isolation = facts.transaction.isolation;
    if (facts.transaction?.readOnly !== undefined) this.modes.readOnly = facts.transaction.readOnly;
    this.#replayed.push({ savepoint: undefined, number: 0, sql });
  }

  savepoint(name: string, sql: string): void {
    this.#savepoints += 1;
    this.#replayed.push({ savepoint: name, number: this.#savepoints, sql });
  }

  /** Numbers of the savepoints that stand, in their order. */
  get savepointNumbers(): readonly number[] {
    return this.#replayed.flatMap(({ savepoint, number }) => (savepoint === undefined ? [] : [number]));
  }

  get nextSavepointNumber(): number {
    return this.#savepoints + 1;
  }

  /** Of the newest savepoint of this name; 0 when there is none. */
  savepointNumber(name: string): number {
    return this.#replayed.findLast(({ savepoint }) => savepoint === name)?.number ?? 0;
  }

  hasSavepoint(name: string): boolean {
    return this.#replayed.some((entry) => entry.savepoint === name);
  }

  /** RELEASE forgets the savepoint and those after it, ROLLBACK TO only those after it. */
  unwind(name: string, keep: boolean): void {
    // Some of its rows may never have been.
    if (keep) this.images?.lose();
    const at = this.#replayed.findLastIndex((entry) => entry.savepoint === name);
    if (at >= 0) this.#replayed = this.#replayed.slice(0, keep ? at + 1 : at);
  }

  runsOnMysql(route: Pick<LegRoute, 'touches' | 'writes'>, under: RoutingSnapshot): void {
    for (const table of route.touches) if (!this.routed.has(table)) this.routed.set(table, under);
    this.mysql.used = true;
    if (route.writes) this.mysql.wrote = true;
    if (route.writes) for (const table of route.touches) if (under.tables[table]?.waitVisible === true) this.waitedOnMysql.add(table);
  }

  runs(side: Side, route: LegRoute, under: RoutingSnapshot): void {
    for (const table of route.touches) if (!this.routed.has(table)) this.routed.set(table, under);
    if (route.writes) this.wrote[side] = true;
    if (route.leg !== 'home') this.used[side] = true;
    if (side === 'source') this.ran += 1;
    if (route.after !== 'none') this.ranWrites += 1;
    if (side === 'source' && route.after !== 'none') this.mayHaveWrittenOnSource = true;
    this.after = strongerWait(this.after, route.after);
  }

  /** All that it has written for local to show, when that is known. */
  get knownImages(): RowImages | undefined {
    const { images } = this;
    return images && images.hasRows && images.statements === this.ranWrites && this.after === 'xid' ? images : undefined;
  }

  context(defaults: { readonly isolation: TransactionContext['isolation']; readonly readOnly: boolean }): TransactionContext {
    const isolation = this.modes.isolation ?? defaults.isolation;
    return {
      isolation: isolation === 'read uncommitted' ? 'read committed' : isolation,
      readOnly: this.modes.readOnly ?? defaults.readOnly,
      wroteOn: this.wroteOn,
      mayHaveWrittenOnSource: this.mayHaveWrittenOnSource,
      usedLegs: { source: this.used.source || (this.begun.source && this.#isUnseen), local: this.used.local },
      mysql: this.mysql.wrote ? 'wrote' : this.mysql.used ? 'used' : undefined,
      holdsLocks: this.wroteOn !== undefined || this.mysql.wrote,
    };
  }
}

/** A BEGIN that says the same, for the other leg. */
function beginWith(modes: TransactionModes | undefined): string {
  const isolation = modes?.isolation === undefined ? '' : ` ISOLATION LEVEL ${modes.isolation}`;
  return `BEGIN${isolation}${modes?.readOnly === undefined ? '' : modes.readOnly ? ' READ ONLY' : ' READ WRITE'}`;
}

/** What the last BEGIN among these, and the SET TRANSACTION behind it, say of the block. */
export function modesOf(statements: readonly StatementFacts[]): TransactionModes | undefined {
  const begun = statements.slice(Math.max(0, statements.findLastIndex(({ kind }) => kind === 'begin'))).flatMap(({ kind, transaction }) => ((kind === 'begin' || kind === 'set_transaction') && transaction ? [transaction] : []));
  if (begun.length === 0) return undefined;
  return {
    isolation: begun.findLast(({ isolation }) => isolation !== undefined)?.isolation, readOnly: begun.findLast(({ readOnly }) => readOnly !== undefined)?.readOnly,
    deferrable: undefined, chain: false,
  };
}
