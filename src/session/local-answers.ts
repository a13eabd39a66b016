/**
 * What local says to a client, in the source's numbers: columns, parameters, and what stands inside of binary values.
 *
 * Of which types an answer's columns are is told by the last Describe of its statement, which may be long ago; so the session notes for each
 * Execute what its rows are (`UnitValues`), and puts a Describe in front of one whose rows nobody has asked about. Rows without arrays or
 * composites in binary pass as ever; others are held until they are whole.
 */
import type { AnswerValues } from '../execute/segment.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { endOfString } from '../wire/message.ts';
import type { ObjectNumbers, ValueShape } from './object-numbers.ts';
import { renumberValue } from './value-numbers.ts';

const T = { rowDescription: 84, parameters: 116, noData: 110, row: 68, complete: 67, empty: 73, suspended: 115, error: 69, ready: 90 } as const;

interface ValueColumn {
  readonly index: number;
  readonly shape: ValueShape;
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
    return (note.columns ??= (note.shape.columns ?? none).filter(({ index }) => isBinary(note.formats, index)));
  }

  /** The rest of the unit has no answer. */
  failed(): void {
    this.hasFailed = true;
    for (const [at, { done }] of this.#describes) if (at >= this.describesSeen) done?.();
    this.#describes.clear();
  }
}

const none: readonly ValueColumn[] = [];

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
}

export class LocalAnswers {
  readonly #numbers: ObjectNumbers;
  readonly #leg: AnswerHold;
  #holdsRows = false;

  constructor(numbers: ObjectNumbers, leg: AnswerHold) {
    this.#numbers = numbers;
    this.#leg = leg;
  }

  /** A message to the client, before anything is done with it. Undefined: it goes on as it is now. STOP: it is offered again. */
  see(values: AnswerValues | undefined, type: number, buffer: Buffer, start: number, length: number): Verdict | undefined {
    const unit = values instanceof UnitValues ? values : undefined;
    switch (type) {
      case T.row:
        return unit && this.#row(unit, buffer, start, length);
      case T.rowDescription:
        return this.#columns(unit, buffer, start, length);
      case T.parameters:
        return this.#parameters(unit, buffer, start);
      case T.noData:
        return unit && described(unit, none);
      case T.complete: case T.empty: case T.suspended:
        if (unit) unit.executesSeen += 1;
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
    const types = unit?.describe && columnTypes(buffer, start, length);
    if (!this.#numbers.rowForClient(buffer, start, length)) return this.#learn();
    if (!unit) return undefined;
    return described(unit, types?.flatMap((type, index) => {
      const shape = this.#numbers.shapeOf('local', type) ?? 'plain';
      return shape === 'plain' ? [] : [{ index, shape }];
    }));
  }

  #parameters(unit: UnitValues | undefined, buffer: Buffer, start: number): Verdict | undefined {
    if (!this.#numbers.parametersForClient(buffer, start)) return this.#learn();
    const note = unit?.describe;
    if (!note) return undefined;
    note.shape.parameters = Array.from({ length: buffer.readUInt16BE(start + 5) }, (_, index) => buffer.readUInt32BE(start + 7 + 4 * index));
    return note.isOwn ? CUT : undefined;
  }

  #row(unit: UnitValues, buffer: Buffer, start: number, length: number): Verdict | undefined {
    const { columns } = unit;
    if (columns.length === 0) return undefined;
    if (start + length > buffer.length) {
      this.#holdRows(true);
      this.#leg.hold();
      queueMicrotask(() => this.#leg.release());
      return STOP;
    }
    return this.#renumber(columns, buffer, start, length, false) && this.#renumber(columns, buffer, start, length, true) ? undefined : this.#learn();
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
        if (bytes > 0 && !renumberValue(this.#numbers, 'local', column.shape, buffer, at, at + bytes, writes)) return false;
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

function columnTypes(buffer: Buffer, start: number, length: number): number[] {
  let at = start + 7;
  return Array.from({ length: buffer.readUInt16BE(start + 5) }, () => {
    at = endOfString(buffer, at, start + length) + 19;
    return buffer.readUInt32BE(at - 12);
  });
}
