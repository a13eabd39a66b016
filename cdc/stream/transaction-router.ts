/**
 * Takes captured messages in order and puts each change where it belongs: into the unit that is being gathered for the shared
 * applier, or into the log of its table. Synchronous; waits for nothing. Modes of tables change between transactions only.
 */
import type { ChangeRecord, SourceTransaction } from '../apply/change-record.ts';
import { BindingCache, bindTruncated } from '../apply/binding-cache.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Relation } from '../change.ts';
import { bookkeepingSchema } from '../postgres/bookkeeping.ts';
import { locateRow, messageKind, readBegin, readCommit, readRelation, readTruncate, readTuple, uint32 } from '../postgres/pgoutput.ts';
import { definitionDifferences } from './table-entry.ts';
import type { TableEntry } from './table-entry.ts';

/** What is gathered for one target transaction. */
export interface GatheredUnit {
  records: ChangeRecord[];
  bytes: number;
  /** End of the last whole transaction. */
  endLsn: bigint;
  transactionIds: number[];
  markers: { token: string; lsn: bigint }[];
  /** False in the middle of a source transaction. */
  isWhole: boolean;
  /** The source was written to by someone other than an applier. */
  hasTraffic: boolean;
}

/** A shared table has to leave at the boundary before the transaction that is being read. */
export class LeaveShared extends Error {
  readonly entry: TableEntry;
  /** Commit position of the transaction that it cannot take part in. */
  readonly commitLsn: bigint;

  constructor(entry: TableEntry, commitLsn: bigint) {
    super(`table ${entry.tableId} leaves the shared tables`);
    this.name = 'LeaveShared';
    this.entry = entry;
    this.commitLsn = commitLsn;
  }
}

interface Route {
  readonly relation: Relation;
  readonly raw: Buffer;
  readonly entry: TableEntry | undefined;
  readonly bookkeeping: 'applied' | 'marker' | 'ddl_log' | undefined;
  binding: TableBinding | undefined;
}

export interface RouterHooks {
  /**
   * The plan's table for a relation of the source: by name, or by its partitioned parent. Throws for a `new` one that may be a partition
   * made meanwhile.
   */
  entryOf(relation: Relation, isNew: boolean): TableEntry | undefined;
  onBypass(entry: TableEntry, lsn: bigint): void;
  /** The entry's log has enough for a frame. Must not throw. */
  onFrameFull(entry: TableEntry): void;
}

/** Kind of a message that only logs hold: a definition changed here, says the source's event trigger (RULES 6). */
export const DEFINITION_NOTE = 0x58;

export class TransactionRouter {
  readonly #hooks: RouterHooks;
  readonly #routes = new Map<number, Route>();
  readonly #bindings = new BindingCache();
  /** Shared tables have been applied up to here: what commits before it is skipped. */
  #sharedFrom: bigint;
  #isPastStart = false;
  #unit: GatheredUnit;
  /** What the unit held when its last whole transaction ended; -1 while none has. */
  #wholeRecords = -1;
  #wholeBytes = 0;
  /** The unit begins within a transaction whose earlier records were taken. */
  #isContinued = false;
  #transaction: SourceTransaction | undefined;
  /** Its begin, as long as nobody wants it: a place in a block. */
  #beginIn: Buffer | undefined;
  #beginAt = 0;
  #beginEnd = 0;
  #isFirstChange = true;
  #isTagged = false;
  #touched = new Set<TableEntry>();
  #hadChanges = false;

  constructor(hooks: RouterHooks, sharedFrom: bigint) {
    this.#hooks = hooks;
    this.#sharedFrom = sharedFrom;
    this.#unit = emptyUnit(sharedFrom);
  }

  /** Where the source begins to send; at most where shared tables have been applied. */
  startsAt(lsn: bigint): void {
    this.#isPastStart = lsn >= this.#sharedFrom;
  }

  /**
   * False while the source sends again what shared tables have and what the logs of private ones may have lost with the last
   * connection: until then nobody can say of a log that it is complete.
   */
  get isPastStart(): boolean {
    return this.#isPastStart;
  }

  get isBetweenTransactions(): boolean {
    return this.#transaction === undefined;
  }

  get unit(): GatheredUnit {
    return this.#unit;
  }

  /**
   * Hands over what was gathered and begins anew. Within a transaction only the whole ones before it, if there are any: a backlog whose units ended
   * anywhere would be one transaction on the target, and a crash would begin it again from its start.
   */
  takeUnit(): GatheredUnit {
    const taken = this.#unit;
    const whole = this.#wholeRecords;
    this.#unit = emptyUnit(taken.endLsn);
    this.#wholeRecords = -1;
    if (this.#transaction === undefined) {
      this.#isContinued = false;
      return taken;
    }
    if (whole > 0 || (whole === 0 && this.#isContinued)) {
      this.#unit.records = taken.records.splice(whole);
      this.#unit.bytes = taken.bytes - this.#wholeBytes;
      taken.bytes = this.#wholeBytes;
      this.#unit.markers = taken.markers.filter(({ lsn }) => lsn === 0n);
      taken.markers = taken.markers.filter(({ lsn }) => lsn !== 0n);
      this.#isContinued = false;
      return taken;
    }
    taken.isWhole = false;
    this.#isContinued = true;
    // Nothing is visible before the transaction that goes on has ended: what is told then waits with it.
    this.#unit.markers = taken.markers;
    this.#unit.transactionIds = taken.transactionIds;
    this.#unit.hasTraffic = taken.hasTraffic;
    taken.markers = [];
    taken.transactionIds = [];
    return taken;
  }

  /** Routes are found anew at the next change: tables were added, removed or planned again. */
  forgetRoutes(): void {
    for (const [oid, route] of this.#routes) this.#routes.set(oid, this.#route(route.relation, route.raw, false));
  }

  /** Everything that commits before `lsn` has been sent; nothing is pending. */
  advance(lsn: bigint): void {
    if (this.#transaction !== undefined) return;
    if (lsn > this.#unit.endLsn) this.#unit.endLsn = lsn;
    if (lsn >= this.#sharedFrom) this.#isPastStart = true;
  }

  /** One pgoutput message, whole, in `buffer` from `at` to `end`. */
  take(buffer: Buffer, at: number, end: number): void {
    switch (buffer[at]) {
      case messageKind.begin:
        this.#takeBegin(buffer, at, end);
        return;
      case messageKind.commit:
        this.#takeCommit(buffer, at, end);
        return;
      case messageKind.relation: {
        const relation = readRelation(buffer, at);
        // Often the same again, after any invalidation in the source's caches.
        if (this.#routes.get(relation.oid)?.raw.equals(buffer.subarray(at, end)) === true) return;
        this.#routes.set(relation.oid, this.#route(relation, Buffer.from(buffer.subarray(at, end)), true));
        return;
      }
      case messageKind.insert:
      case messageKind.update:
      case messageKind.delete:
        this.#takeRow(buffer, at, end);
        return;
      case messageKind.truncate:
        this.#takeTruncate(buffer, at, end);
        return;
      default:
    }
  }

  #route(relation: Relation, raw: Buffer, isNew: boolean): Route {
    const bookkeeping = relation.schema === bookkeepingSchema && ['applied', 'marker', 'ddl_log'].includes(relation.name) ? (relation.name as Route['bookkeeping']) : undefined;
    return { relation, raw, bookkeeping, entry: bookkeeping ? undefined : this.#hooks.entryOf(relation, isNew), binding: undefined };
  }

  #takeBegin(buffer: Buffer, at: number, end: number): void {
    const { commitLsn, committedAtMs, transactionId } = readBegin(buffer, at);
    this.#transaction = { transactionId, commitLsn, committedAtMs };
    this.#beginIn = buffer;
    this.#beginAt = at;
    this.#beginEnd = end;
    this.#isFirstChange = true;
    this.#isTagged = false;
    this.#hadChanges = false;
  }

  #takeCommit(buffer: Buffer, at: number, end: number): void {
    const { endLsn } = readCommit(buffer, at);
    const transaction = this.#transaction;
    for (const entry of this.#touched) {
      const { log } = entry;
      const raw = this.#lastRaw.get(entry);
      if (!log || !raw) continue;
      log.append(raw, Buffer.from(buffer.subarray(at, end)));
      log.endTransaction(endLsn);
    }
    this.#touched.clear();
    this.#transaction = undefined;
    this.#beginIn = undefined;
    for (const marker of this.#unit.markers) if (marker.lsn === 0n) marker.lsn = endLsn;
    if (endLsn > this.#unit.endLsn) this.#unit.endLsn = endLsn;
    this.#wholeRecords = this.#unit.records.length;
    this.#wholeBytes = this.#unit.bytes;
    if (endLsn >= this.#sharedFrom) this.#isPastStart = true;
    if (!transaction || this.#isTagged) return;
    this.#unit.transactionIds.push(transaction.transactionId);
    if (this.#hadChanges) this.#unit.hasTraffic = true;
  }

  readonly #lastRaw = new Map<TableEntry, Buffer>();

  #takeRow(buffer: Buffer, at: number, end: number): void {
    const route = this.#routes.get(uint32(buffer, at + 1));
    if (!route) throw new Error('change of a relation that was not described');
    const isFirst = this.#isFirstChange;
    this.#isFirstChange = false;
    if (route.bookkeeping) return this.#takeBookkeeping(route, buffer, at, isFirst);
    if (this.#isTagged || !route.entry) return;
    this.#hadChanges = true;
    if (route.entry.mode === 'shared') this.#takeShared(route, route.entry, buffer, at, end);
    else this.#takePrivate(route, route.entry, buffer.subarray(at, end));
  }

  #takeBookkeeping(route: Route, buffer: Buffer, at: number, isFirst: boolean): void {
    if (route.bookkeeping === 'applied') {
      if (isFirst && buffer[at] !== messageKind.delete) this.#isTagged = true;
      return;
    }
    if (buffer[at] === messageKind.delete) return;
    const values = readTuple(buffer, locateRow(buffer, at).newAt);
    const value = (name: string): string | undefined => values[route.relation.columns.findIndex((column) => column.name === name)] ?? undefined;
    if (route.bookkeeping === 'marker') {
      const token = value('token');
      if (token !== undefined) this.#unit.markers.push({ token, lsn: 0n });
      return;
    }
    if (buffer[at] === messageKind.insert) this.#noteDefinition(value('object_schema'), value('object_name'));
  }

  #noteDefinition(schema: string | undefined, name: string | undefined): void {
    for (const route of this.#routes.values()) {
      const { entry } = route;
      if (!entry || entry.plan.source.schema !== schema || entry.plan.source.name !== name) continue;
      if (entry.mode !== 'shared') this.#takePrivate(route, entry, Buffer.from([DEFINITION_NOTE]));
      else if (this.#isNew(this.#sharedFrom)) throw new LeaveShared(entry, this.#transaction?.commitLsn ?? 0n);
      return;
    }
  }

  #isNew(position: bigint): boolean {
    return this.#transaction !== undefined && this.#transaction.commitLsn >= position;
  }

  #takeShared(route: Route, entry: TableEntry, buffer: Buffer, at: number, end: number): void {
    const transaction = this.#transaction;
    if (!transaction || transaction.commitLsn < this.#sharedFrom) return;
    if (!this.#isDelivered(entry, transaction)) return;
    const binding = this.#bind(route, entry);
    const { oldAt, newAt, oldIsKeyOnly } = locateRow(buffer, at);
    const op = buffer[at] === messageKind.insert ? 'insert' : buffer[at] === messageKind.update ? 'update' : 'delete';
    this.#unit.records.push({ op, table: binding, transaction, buffer, oldAt, newAt, oldIsKeyOnly });
    this.#unit.bytes += end - at;
    entry.sharedPending += 1;
    entry.oldestPendingAtMs ??= transaction.committedAtMs;
  }

  #isDelivered(entry: TableEntry, transaction: SourceTransaction): boolean {
    const verdict = entry.delivers(transaction.commitLsn, transaction.transactionId);
    if (verdict === 'bypass') this.#hooks.onBypass(entry, transaction.commitLsn);
    return verdict === 'yes';
  }

  #bind(route: Route, entry: TableEntry): TableBinding {
    if (route.binding) return route.binding;
    const differences = definitionDifferences(entry.plan, entry.meta.columns, route.relation);
    if (differences.length > 0 || !entry.shape) throw new LeaveShared(entry, this.#transaction?.commitLsn ?? 0n);
    route.binding = this.#bindings.bind(entry.plan, route.relation, entry.shape);
    return route.binding;
  }

  #takePrivate(route: Route, entry: TableEntry, message: Buffer): void {
    const { log } = entry;
    const transaction = this.#transaction;
    if (!log || !transaction || !this.#beginIn || this.#isTagged) return;
    if (!this.#touched.has(entry)) {
      if (transaction.commitLsn < log.lastEnd || transaction.commitLsn < entry.applied) return;
      this.#touched.add(entry);
      log.beginTransaction();
      log.append(route.raw, Buffer.from(this.#beginIn.subarray(this.#beginAt, this.#beginEnd)));
    }
    // A second relation of the same entry (a partition) describes itself in the frame.
    if (this.#lastRaw.get(entry) !== route.raw) log.append(route.raw, route.raw);
    this.#lastRaw.set(entry, route.raw);
    log.append(route.raw, Buffer.from(message));
    entry.spooledChanges += 1;
    entry.oldestPendingAtMs ??= transaction.committedAtMs;
    if (log.wantsFlush) this.#hooks.onFrameFull(entry);
  }

  #takeTruncate(buffer: Buffer, at: number, end: number): void {
    const transaction = this.#transaction;
    const message = readTruncate(buffer, at);
    this.#isFirstChange = false;
    if (this.#isTagged || !transaction) return;
    const shared: TableBinding[] = [];
    for (const oid of message.relationOids) {
      const route = this.#routes.get(oid);
      if (!route?.entry) continue;
      this.#hadChanges = true;
      if (route.entry.mode !== 'shared') this.#takePrivate(route, route.entry, buffer.subarray(at, end));
      else if (transaction.commitLsn >= this.#sharedFrom && this.#isDelivered(route.entry, transaction)) shared.push(bindTruncated(this.#bind(route, route.entry), route.relation));
    }
    if (shared.length > 0) this.#unit.records.push({ op: 'truncate', tables: shared, transaction, restartIdentity: message.restartIdentity });
  }
}

function emptyUnit(endLsn: bigint): GatheredUnit {
  return { records: [], bytes: 0, endLsn, transactionIds: [], markers: [], isWhole: true, hasTraffic: false };
}
