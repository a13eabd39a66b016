/**
 * Puts events together to transactions and statements.
 *
 * States: between groups → in a group (its GTID has come) → in a transaction (`open`: BEGIN, or MariaDB's GTID, has come) → between groups. A transaction
 * that XA prepares waits in `#prepared` until it is committed, possibly long after others.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { BinlogPlace } from './binlog-place.ts';
import { bookkeepingSchema, markersOf, tagOf } from './bookkeeping.ts';
import { BINARY } from './charsets.ts';
import type { Charsets } from './charsets.ts';
import { eventType, serverIdOf, typeOf, writtenAtMs } from './event.ts';
import { LOAD_QUERY_HEAD, readGtid, readMariadbGtid, readQuery, readTaggedGtid, readXaPrepare } from './header-events.ts';
import type { MysqlGtid, QueryEvent } from './header-events.ts';
import { formatMariadbGtid } from './mariadb-gtid-list.ts';
import { sourceOf, UuidText } from './gtid-set.ts';
import { OpenTransaction } from './open-transaction.ts';
import { readRows, rowsKind } from './rows-event.ts';
import type { BoundTable, RowsKind } from './rows-event.ts';
import { mentionsCaptured, statementKind } from './statement-kind.ts';
import { unreadable } from './table-bindings.ts';
import type { TableBindings } from './table-bindings.ts';
import { tableIdOf } from './table-map.ts';
import type { BinlogItem, Origin } from './transaction.ts';
import type { MysqlPosition } from '../position.ts';

export interface AssemblerOptions {
  readonly captures: (schema: string, name: string) => boolean;
  readonly charsets: Charsets;
  /** Bytes of events after which a transaction is given out in parts. */
  readonly partBytes: number;
  /** Bytes of events of prepared transactions that are held. */
  readonly preparedBytes: number;
}

interface Prepared {
  readonly transaction: OpenTransaction;
  /** Position before it. */
  readonly before: MysqlPosition;
}

/** The rows of a statement end with one of this table, which is none. */
const NO_TABLE = 0xff_ffff;

export class TransactionAssembler {
  readonly #options: AssemblerOptions;
  readonly #tables: TableBindings;
  readonly #place: BinlogPlace;
  readonly #uuids = new UuidText();
  #items: BinlogItem[] = [];
  #gtid = '';
  /** Adds the group's GTID to the position. */
  #finishGtid: (() => void) | undefined;
  #committedAtMs: number | undefined;
  /** The statement that comes now only says that another one begins. */
  #isNoChange = false;
  #open: OpenTransaction | undefined;
  readonly #prepared = new Map<string, Prepared>();
  /** A statement is the last item: what comes behind it may need other definitions. */
  isStopped = false;

  constructor(options: AssemblerOptions, tables: TableBindings, place: BinlogPlace) {
    this.#options = options;
    this.#tables = tables;
    this.#place = place;
  }

  takeItems(): readonly BinlogItem[] {
    const items = this.#items;
    this.#items = [];
    this.isStopped = false;
    return items;
  }

  /** Everything before it is given out, and no prepared transaction is held that began behind it. */
  get resume(): MysqlPosition {
    for (const { before } of this.#prepared.values()) return before;
    return this.#place.position;
  }

  get isInGroup(): boolean {
    return this.#open !== undefined || this.#finishGtid !== undefined;
  }

  /** `body`: without header and checksum. A promise only where the catalog has to be asked. */
  take(event: Buffer, body: Buffer): Promise<void> | undefined {
    const type = typeOf(event);
    const rows = rowsKind(type);
    if (rows) {
      this.#takeRows(rows, event, body);
      return undefined;
    }
    switch (type) {
      case eventType.tableMap:
        return this.#tables.map(body, this.#place);
      case eventType.xid:
        this.#end('commit', event);
        return undefined;
      case eventType.gtid:
        this.#beginMysqlGroup(readGtid(body, this.#uuids));
        return undefined;
      case eventType.gtidTagged:
        this.#beginMysqlGroup(readTaggedGtid(body));
        return undefined;
      case eventType.mariadbGtid:
        this.#beginMariadbGroup(event, body);
        return undefined;
      case eventType.query:
        return this.#readQuery(event, readQuery(body));
      case eventType.queryCompressed:
        return this.#readQuery(event, readQuery(body, true));
      case eventType.executeLoadQuery:
        this.#refuseStatement(readQuery(body, false, LOAD_QUERY_HEAD));
        return undefined;
      case eventType.xaPrepare:
        this.#prepare(event, body);
        return undefined;
      case eventType.partialUpdateRows:
        this.#refusePartialRows(body);
        return undefined;
      case eventType.formatDescription:
        this.#abandon(event);
        return undefined;
      case eventType.incident:
        throw new MigrationError('MIG021', 'the server has lost changes before it could log them (an incident in its binlog)', { detail: `${this.#place.file}:${this.#place.offset}` });
      default:
        return undefined;
    }
  }

  #beginMysqlGroup(gtid: MysqlGtid): void {
    this.#gtid = `${sourceOf(gtid.uuid, gtid.tag)}:${gtid.number}`;
    this.#committedAtMs = gtid.committedAtMs;
    this.#finishGtid = () => this.#place.addMysql(gtid.uuid, gtid.tag, gtid.number);
  }

  #beginMariadbGroup(event: Buffer, body: Buffer): void {
    const { domain, sequence, isStandalone, isPrepared, isNoChange } = readMariadbGtid(body);
    this.#isNoChange = isNoChange;
    const gtid = { domain, server: serverIdOf(event), sequence };
    this.#gtid = formatMariadbGtid(gtid);
    this.#committedAtMs = undefined;
    this.#finishGtid = () => this.#place.addMariadb(gtid);
    if (!isStandalone) this.#begin(isPrepared);
  }

  #begin(isPrepared: boolean): void {
    this.#open ??= new OpenTransaction(isPrepared);
  }

  #takeRows(kind: RowsKind, event: Buffer, body: Buffer): void {
    const id = tableIdOf(body);
    if (id === NO_TABLE && !this.#tables.has(id)) return;
    const bound = this.#tables.get(id);
    if (!bound) return;
    const open = (this.#open ??= new OpenTransaction(false));
    const { table } = bound;
    if (table.schema === bookkeepingSchema) {
      const change = { op: kind.op, table, old: [], new: [] };
      readRows(body, kind, bound, change);
      open.addBookkeeping(markersOf(change), tagOf(change));
      if (!this.#options.captures(table.schema, table.name)) return;
    }
    this.#readInto(open, body, kind, bound);
    open.bytes += body.length;
    if (open.isPrepared) this.#checkPrepared(open);
    else if (open.bytes - open.givenBytes >= this.#options.partBytes) this.#items.push(open.part(undefined, this.#origin(event)));
  }

  /** Rows that cannot be read by what the catalog says were written under another definition: their table's own trouble. */
  #readInto(open: OpenTransaction, body: Buffer, kind: RowsKind, bound: BoundTable): void {
    try {
      readRows(body, kind, bound, open.rowsOf(kind.op, bound.table));
    } catch (error) {
      if (!(error instanceof RangeError) || bound.table.facts === undefined) throw error;
      const other = unreadable(bound.table, error);
      this.#tables.replace(bound, other);
      readRows(body, kind, other, open.rowsOf(kind.op, other.table));
    }
  }

  /** The text is in the character set of the session that ran it. */
  #readQuery(event: Buffer, query: QueryEvent): Promise<void> | undefined {
    const { written } = query;
    if (written) return this.#decode(written).then((text) => this.#takeQuery(event, { ...query, text }));
    this.#takeQuery(event, query);
    return undefined;
  }

  async #decode({ bytes, collation }: NonNullable<QueryEvent['written']>): Promise<string> {
    const { charsets } = this.#options;
    const charset = await charsets.nameOf(collation);
    return charset === BINARY ? bytes.toString('utf8') : (await charsets.readerOf(charset))(bytes, 0, bytes.length);
  }

  #takeQuery(event: Buffer, query: QueryEvent): void {
    const statement = statementKind(query.text);
    switch (statement.kind) {
      case 'begin':
        this.#begin(false);
        return;
      case 'xaStart':
        this.#begin(true);
        return;
      case 'xaEnd':
        return;
      case 'commit':
      case 'rollback':
        this.#end(statement.kind, event);
        return;
      case 'savepoint':
        this.#open?.savepoint(statement.name);
        return;
      case 'rollbackTo':
        this.#open?.rollbackTo(statement.name);
        return;
      case 'xaCommit':
      case 'xaRollback':
        this.#endPrepared(statement.xid, statement.kind === 'xaCommit', event);
        return;
      case 'changes':
        this.#refuseStatement(query);
        if (!this.#open) this.#finishGroup();
        return;
      case 'other':
        this.#takeStatement(event, query);
        return;
      default:
        statement satisfies never;
    }
  }

  #takeStatement(event: Buffer, { text, database }: QueryEvent): void {
    if (this.#isNoChange) {
      this.#isNoChange = false;
      this.#finishGroup();
      return;
    }
    const misread = this.#tables.forget(text, database, this.#place);
    this.#items.push({ kind: 'statement', text, database, misread, ...this.#origin(event) });
    this.isStopped = true;
    if (!this.#open) this.#finishGroup();
  }

  /** Changes must come as rows: what a statement did cannot be told from its text. */
  #refuseStatement({ text, database }: QueryEvent): void {
    if (!mentionsCaptured(text, database, this.#options.captures)) return;
    throw new MigrationError('MIG021', 'a change of a captured table was logged as a statement, not as rows', {
      detail: `${this.#place.file}:${this.#place.offset}: ${text.slice(0, 200)}`, hint: 'Set binlog_format = ROW for all sessions, then RESYNC MIGRATION FOR TABLE ….',
    });
  }

  #refusePartialRows(body: Buffer): void {
    const bound = this.#tables.get(tableIdOf(body));
    if (!bound) return;
    throw new MigrationError('MIG021', `an update of ${bound.table.schema}.${bound.table.name} was logged with parts of JSON values only`, {
      tableName: bound.table.name, hint: "SET GLOBAL binlog_row_value_options = '', then RESYNC MIGRATION FOR TABLE ….",
    });
  }

  #end(end: 'commit' | 'rollback', event: Buffer): void {
    const open = this.#open;
    this.#open = undefined;
    const origin = this.#origin(event);
    this.#finishGroup();
    if (open) this.#giveLast(open, end, origin);
  }

  /** The server died before the transaction's end was logged: it has not been committed, and its GTID is given to another. */
  #abandon(event: Buffer): void {
    const open = this.#open;
    this.#open = undefined;
    this.#finishGtid = undefined;
    if (open) this.#giveLast(open, 'rollback', this.#origin(event));
    this.#gtid = '';
    this.#place.finish();
  }

  #giveLast(open: OpenTransaction, end: 'commit' | 'rollback', origin: Origin): void {
    if (!open.isGiven && (open.isEmpty || end === 'rollback')) return;
    this.#items.push(open.part(end, origin));
  }

  #prepare(event: Buffer, body: Buffer): void {
    const { isOnePhase, xid } = readXaPrepare(body);
    if (isOnePhase) {
      this.#end('commit', event);
      return;
    }
    const transaction = this.#open ?? new OpenTransaction(true);
    this.#open = undefined;
    // Before the group's own GTID is added.
    this.#prepared.set(xid.toLowerCase(), { transaction, before: this.#place.position });
    this.#finishGroup();
  }

  #endPrepared(xid: string, isCommit: boolean, event: Buffer): void {
    const prepared = this.#prepared.get(xid);
    this.#prepared.delete(xid);
    this.#open = undefined;
    const origin = this.#origin(event);
    this.#finishGroup();
    if (prepared) this.#giveLast(prepared.transaction, isCommit ? 'commit' : 'rollback', origin);
    else if (isCommit) {
      throw new MigrationError('MIG021', 'an XA transaction was committed that had been prepared before the stream began', {
        detail: xid, hint: 'If it changed tables that migrate, RESYNC MIGRATION FOR TABLE …; begin when XA RECOVER lists nothing.',
      });
    }
  }

  #checkPrepared(open: OpenTransaction): void {
    let bytes = open.bytes;
    for (const { transaction } of this.#prepared.values()) bytes += transaction.bytes;
    if (bytes > this.#options.preparedBytes) throw new MigrationError('MIG085', `prepared XA transactions have more than ${this.#options.preparedBytes} bytes of changes`, { detail: `${this.#prepared.size} are prepared` });
  }

  #finishGroup(): void {
    if (!this.#finishGtid && this.#place.needsGtids) {
      throw new MigrationError('MIG021', 'a transaction was logged without a GTID, where reading goes by GTID', {
        detail: `${this.#place.file}:${this.#place.offset}`, hint: 'Keep gtid_mode = ON, then RESYNC MIGRATION FOR TABLE ….',
      });
    }
    this.#finishGtid?.();
    this.#finishGtid = undefined;
    this.#gtid = '';
    this.#place.finish();
  }

  #origin(event: Buffer): Origin {
    return {
      gtid: this.#gtid, serverId: serverIdOf(event), committedAtMs: this.#committedAtMs ?? writtenAtMs(event), binlogFile: this.#place.file, binlogPosition: this.#place.offset,
    };
  }
}
