/**
 * What local says to a client, in the source's numbers: columns, parameters, and what stands inside of binary values.
 *
 * Of which types an answer's columns are is told by the last Describe of its statement, which may be long ago; so the session notes for each
 * Execute what its rows are (`UnitValues`), and puts a Describe in front of one whose rows nobody has asked about. Rows without arrays or
 * composites in binary pass as ever; others are held until they are whole.
 */
import { numberFromLocal } from '../../grammar/sql/catalog-names.ts';
import type { AnswerValues } from '../execute/segment.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { endOfString, int16, int32, message } from '../wire/message.ts';
import type { ObjectNumbers, ValueShape } from './object-numbers.ts';
import { renumberValue, withNumber } from './value-numbers.ts';

const T = { rowDescription: 84, parameters: 116, noData: 110, row: 68, complete: 67, empty: 73, suspended: 115, error: 69, ready: 90 } as const;

interface ValueColumn {
  readonly index: number;
  /** `relation`, `type`: it is a number itself, of what a catalog lists. */
  readonly shape: ValueShape | 'relation' | 'type';
}

/** What a statement takes and gives, once local has told it. */
export interface StatementShape {
  /** Types, in the client's numbers. */
  parameters: readonly number[] | undefined;
  /** Those that may hold numbers, in ascending order. */
  columns: readonly ValueColumn[] | undefined;
}

export interface DescribeNote {
  readonly shape: StatementShape;
  /** The gateway's own: the client does not see the answer. */
  readonly isOwn: boolean;
  /** Called once, with the answer or without. */
  readonly done?: () => void;
}

interface ExecuteNote {
  readonly shape: StatementShape;
  /** As the Bind has them: their count, then each. */
  readonly formats: Buffer;
  columns: readonly ValueColumn[] | undefined;
}

/** Notes on the Describes and Executes of one unit on local, by their order, in which the answers come. */
export class UnitValues implements AnswerValues {
  describesSent = 0;
  executesSent = 0;
  describesSeen = 0;
  executesSeen = 0;
  hasFailed = false;
  readonly #describes = new Map<number, DescribeNote>();
  #executes: Map<number, ExecuteNote> | undefined;

  describeSent(note?: DescribeNote): void {
    if (note) this.#describes.set(this.describesSent, note);
    this.describesSent += 1;
  }

  executeSent(note?: { readonly shape: StatementShape; readonly formats: Buffer }): void {
    if (note) (this.#executes ??= new Map()).set(this.executesSent, { ...note, columns: undefined });
    this.executesSent += 1;
  }

  /** An answer about it is on its way. */
  asksFor(shape: StatementShape): boolean {
    for (const [at, note] of this.#describes) if (at >= this.describesSeen && note.shape === shape) return true;
    return false;
  }

  get describe(): DescribeNote | undefined {
    return this.#describes.get(this.describesSeen);
  }

  /** Those of the answer that comes now whose values have to be looked into. */
  get columns(): readonly ValueColumn[] {
    const note = this.#executes?.get(this.executesSeen);
    if (!note) return none;
    return (note.columns ??= (note.shape.columns ?? none).filter((column) => isNumber(column) || isBinary(note.formats, column.index)));
  }

  isBinary(index: number): boolean {
    const note = this.#executes?.get(this.executesSeen);
    return note !== undefined && isBinary(note.formats, index);
  }

  /** The rest of the unit has no answer. */
  failed(): void {
    this.hasFailed = true;
    for (const [at, { done }] of this.#describes) if (at >= this.describesSeen) done?.();
    this.#describes.clear();
  }
}

const none: readonly ValueColumn[] = [];

/** Columns of system catalogs by the catalog's number and their own: https://www.postgresql.org/docs/current/catalogs.html */
const numberColumns: ReadonlyMap<number, ReadonlyMap<number, 'relation' | 'type'>> = new Map([
  // pg_class.oid; before version 12 it was a hidden column.
  [1259, new Map([[1, 'relation'], [-2, 'relation']])],
  // pg_attribute.attrelid, .atttypid
  [1249, new Map([[1, 'relation'], [3, 'type']])],
  // pg_index.indexrelid, .indrelid
  [2610, new Map([[1, 'relation'], [2, 'relation']])],
  // pg_inherits.inhrelid, .inhparent
  [2611, new Map([[1, 'relation'], [2, 'relation']])],
]);
const OID = 26;

function isNumber({ shape }: ValueColumn): boolean {
  return shape === 'relation' || shape === 'type';
}

function isBinary(formats: Buffer, index: number): boolean {
  const count = formats.readUInt16BE(0);
  if (count === 0) return false;
  const at = 2 + 2 * (count === 1 ? 0 : index);
  return at + 2 <= formats.length && formats.readUInt16BE(at) === 1;
}

/** What the leg does for it. */
export interface AnswerHold {
  hold(): void;
  release(): void;
  /** Rows are offered when they are there as a whole. */
  wholeRows(whole: boolean): void;
  /** To the client, in place of the message that is cut. */
  instead(bytes: Buffer): void;
}

export class LocalAnswers {
  readonly #numbers: ObjectNumbers;
  readonly #leg: AnswerHold;
  #holdsRows = false;
  /** Of the answer under way to a simple query of catalogs. */
  #catalogColumns = none;

  constructor(numbers: ObjectNumbers, leg: AnswerHold) {
    this.#numbers = numbers;
    this.#leg = leg;
  }

  /** A message to the client, before anything is done with it. Undefined: it goes on as it is now. STOP: it is offered again. */
  see(values: AnswerValues | undefined, type: number, buffer: Buffer, start: number, length: number): Verdict | undefined {
    const unit = values instanceof UnitValues ? values : undefined;
    switch (type) {
      case T.row:
        return unit || this.#catalogColumns.length > 0 ? this.#row(unit, buffer, start, length) : undefined;
      case T.rowDescription:
        return this.#columns(unit, buffer, start, length);
      case T.parameters:
        return this.#parameters(unit, buffer, start);
      case T.noData:
        return unit && described(unit, none);
      case T.complete: case T.empty: case T.suspended:
        if (unit) unit.executesSeen += 1;
        this.#catalogColumns = none;
        break;
      case T.error:
        unit?.failed();
        break;
      case T.ready:
        break;
      default:
        return undefined;
    }
    if (this.#holdsRows) this.#holdRows(false);
    return undefined;
  }

  #columns(unit: UnitValues | undefined, buffer: Buffer, start: number, length: number): Verdict | undefined {
    // As local says it, before that is put into the source's numbers.
    const found = valueColumns(buffer, start, length, unit?.describe ? (type) => this.#numbers.shapeOf('local', type) ?? 'plain' : () => 'plain');
    if (!this.#numbers.rowForClient(buffer, start, length)) return this.#learn();
    if (unit) return described(unit, found);
    this.#catalogColumns = found;
    return undefined;
  }

  #parameters(unit: UnitValues | undefined, buffer: Buffer, start: number): Verdict | undefined {
    if (!this.#numbers.parametersForClient(buffer, start)) return this.#learn();
    const note = unit?.describe;
    if (!note) return undefined;
    note.shape.parameters = Array.from({ length: buffer.readUInt16BE(start + 5) }, (_, index) => buffer.readUInt32BE(start + 7 + 4 * index));
    return note.isOwn ? CUT : undefined;
  }

  #row(unit: UnitValues | undefined, buffer: Buffer, start: number, length: number): Verdict | undefined {
    const columns = unit?.columns ?? this.#catalogColumns;
    if (columns.length === 0) return undefined;
    if (start + length > buffer.length) {
      this.#holdRows(true);
      this.#leg.hold();
      queueMicrotask(() => this.#leg.release());
      return STOP;
    }
    if (!this.#renumber(columns, buffer, start, length, false)) return this.#learn();
    this.#renumber(columns, buffer, start, length, true);
    if (!columns.some(isNumber)) return undefined;
    const row = this.#withNumbers(columns, unit, buffer, start);
    if (!row) return this.#learn();
    this.#leg.instead(row);
    return CUT;
  }

  /** Rows of catalogs are few: they are made anew. Undefined: a type is not known yet. */
  #withNumbers(columns: readonly ValueColumn[], unit: UnitValues | undefined, buffer: Buffer, start: number): Buffer | undefined {
    const count = buffer.readUInt16BE(start + 5);
    const parts: Buffer[] = [int16(count)];
    let isKnown = true;
    let at = start + 7;
    for (let index = 0; index < count; index += 1) {
      const bytes = buffer.readInt32BE(at);
      const value = buffer.subarray(at + 4, at + 4 + Math.max(bytes, 0));
      at += 4 + value.length;
      const shape = columns.find((column) => column.index === index)?.shape;
      const own = bytes > 0 && (shape === 'relation' || shape === 'type') ? withNumber(value, unit?.isBinary(index) ?? false, (oid) => {
        if (shape === 'relation') return numberFromLocal(oid);
        isKnown &&= this.#numbers.shapeOf('local', oid) !== undefined;
        return this.#numbers.otherOf('local', oid);
      }) : value;
      parts.push(int32(bytes < 0 ? -1 : own.length), own);
    }
    return isKnown ? message('D', ...parts) : undefined;
  }

  #renumber(columns: readonly ValueColumn[], buffer: Buffer, start: number, length: number, writes: boolean): boolean {
    let at = start + 7;
    let next = 0;
    for (let index = 0; next < columns.length && at + 4 <= start + length; index += 1) {
      const bytes = buffer.readInt32BE(at);
      at += 4;
      const column = columns[next];
      if (column?.index === index) {
        next += 1;
        if (bytes > 0 && column.shape !== 'relation' && column.shape !== 'type' && !renumberValue(this.#numbers, 'local', column.shape, buffer, at, at + bytes, writes)) return false;
      }
      at += Math.max(bytes, 0);
    }
    return true;
  }

  #holdRows(whole: boolean): void {
    this.#holdsRows = whole;
    this.#leg.wholeRows(whole);
  }

  #learn(): Verdict {
    this.#leg.hold();
    this.#numbers.learn(() => this.#leg.release());
    return STOP;
  }
}

function described(unit: UnitValues, columns: readonly ValueColumn[] | undefined): Verdict | undefined {
  const note = unit.describe;
  unit.describesSeen += 1;
  if (!note) return undefined;
  note.shape.columns = columns;
  note.done?.();
  return note.isOwn ? CUT : undefined;
}

function valueColumns(buffer: Buffer, start: number, length: number, shapeOf: (type: number) => ValueShape): readonly ValueColumn[] {
  const found: ValueColumn[] = [];
  let at = start + 7;
  for (let index = 0; index < buffer.readUInt16BE(start + 5); index += 1) {
    at = endOfString(buffer, at, start + length) + 1;
    const type = buffer.readUInt32BE(at + 6);
    const shape = type === OID ? numberColumns.get(buffer.readUInt32BE(at))?.get(buffer.readInt16BE(at + 4)) : shapeOf(type);
    if (shape !== undefined && shape !== 'plain') found.push({ index, shape });
    at += 18;
  }
  return found.length === 0 ? none : found;
}
