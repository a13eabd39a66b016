/** A step's text and values for the parameters of one execution. */
import { parseArray } from './array-text.ts';
import { isInRange, mysqlForm, namesZone, parameterPrecision, parameterScale, plainDecimal } from './literal.ts';
import { isInteger } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { endsInEscape, noEscape } from './text-value.ts';
import { Refusal, refuse } from './refusal.ts';
import type { RefusedTranslation, Slot, Step, StepValues } from './translation.ts';
import { quoteMysqlText } from './emission.ts';

export interface BoundStep {
  readonly type: 'bound';
  readonly sql: string;
  /** For the `?` of the text, in order; text in utf8mb4. */
  readonly values: readonly (string | Uint8Array | null)[];
}

export function bindStep(step: Step, given: StepValues): BoundStep | RefusedTranslation {
  const values: (string | Uint8Array | null)[] = [];
  try {
    const sql = step.text.replace(/\0(\d+)\0/g, (_place, index: string) => {
      const slot = step.slots[Number(index)] ?? refuse('parameter');
      const bound = bindSlot(slot, given);
      values.push(...bound.values);
      return bound.text;
    });
    return { type: 'bound', sql, values };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { type: 'refused', construct: error.construct, place: undefined };
  }
}

export interface BoundText {
  readonly type: 'text';
  readonly sql: string;
}

/** The same with the values as constants in the text, for a connection with the settings of `sessionSettings`: one round trip, and answers in the text protocol. */
export function bindText(step: Step, given: StepValues): BoundText | RefusedTranslation {
  try {
    const sql = step.text.replace(/\0(\d+)\0/g, (_place, index: string) => {
      const { text, values } = bindSlot(step.slots[Number(index)] ?? refuse('parameter'), given);
      if (values.length === 0) return text;
      let next = 0;
      // Texts of slots hold no other question marks than those of their values.
      return text.replace(/\?/g, () => constantOf(values[next++] ?? null));
    });
    return { type: 'text', sql };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { type: 'refused', construct: error.construct, place: undefined };
  }
}

function constantOf(value: string | Uint8Array | null): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return quoteMysqlText(value);
  return value.length === 0 ? "''" : `X'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`;
}

interface Bound {
  readonly text: string;
  readonly values: readonly (string | Uint8Array | null)[];
}

/** No row at all: nothing is in it, and everything is not in it, NULL too. MySQL 5.6 makes NULL of `NOT IN (SELECT … FROM DUAL WHERE FALSE)`. */
const nothing = 'SELECT NULL FROM (SELECT 1) AS nothing WHERE FALSE';

function bindSlot(slot: Slot, given: StepValues): Bound {
  switch (slot.kind) {
    case 'parameter': {
      const value = parameter(given, slot.number);
      if (value === null) return slot.notNull === true ? refuse(`NULL for $${slot.number}`) : { text: 'NULL', values: [] };
      if (slot.zoned === true && !namesZone(value)) return refuse('timestamptz parameter without a time zone');
      return { text: '?', values: [formOf(value, slot.type)] };
    }
    case 'elements': return elements(parameter(given, slot.number), slot.type);
    case 'filled': {
      const array = parameter(given, slot.number);
      return { text: array !== null && parseArray(array)?.length === 0 ? 'FALSE' : 'TRUE', values: [] };
    }
    case 'pattern': {
      const value = parameter(given, slot.number);
      if (value?.includes(noEscape) === true) return refuse('control character in a LIKE pattern');
      if (value !== null && endsInEscape(value, slot.escape)) return refuse('LIKE pattern that ends in its escape character');
      return { text: '?', values: [value] };
    }
    case 'limit': case 'offset': return { text: rowCount(parameter(given, slot.number), slot.kind), values: [] };
    case 'time': return { text: quoteMysqlText(slot.type === 'date' ? given.transactionDate : slot.of === 'transaction' ? given.transactionTime : given.statementTime), values: [] };
    case 'last_number': return { text: given.lastNumber?.(slot.table) ?? refuse(`${slot.table === undefined ? 'lastval()' : 'currval()'} behind anything but an INSERT of one row that this session has made there`), values: [] };
    case 'keys': {
      const rows = given.rows[slot.step] ?? [];
      const texts = rows.map((row) => slot.columns.map((column) => integerText(row[column] ?? null)).join(', '));
      return { text: texts.length === 0 ? emptyKeys(slot.columns.length) : texts.map((text) => (slot.columns.length === 1 ? text : `(${text})`)).join(', '), values: [] };
    }
    default: return slot satisfies never;
  }
}

function emptyKeys(columns: number): string {
  return `SELECT ${Array.from({ length: columns }, () => 'NULL').join(', ')} FROM (SELECT 1) AS nothing WHERE FALSE`;
}

function integerText(value: string | null): string {
  return value !== null && /^-?\d+$/.test(value) ? value : refuse('key that is no integer');
}

function parameter(given: StepValues, number: number): string | null {
  const value = given.parameters[number - 1];
  return value === undefined ? refuse(`missing parameter $${number}`) : value;
}

function formOf(value: string, type: PgType): string | Uint8Array {
  const form = mysqlForm(value, type) ?? refuse(`parameter of type ${type.name} in this form`);
  if (type.name === 'bytea') return Buffer.from(form, 'hex');
  if (type.name === 'numeric') requireRoom(form);
  const digits = /\.(\d+)$/.exec(form)?.[1]?.length ?? 0;
  if (type.name.startsWith('timestamp') && type.scale !== undefined && digits > type.scale) refuse('fraction of a second');
  return form;
}

/** The emitter counts on so many digits. */
function requireRoom(form: string): void {
  const [whole = '', fraction = ''] = form.replace('-', '').split('.');
  if (whole.length > parameterPrecision - parameterScale || fraction.length > parameterScale) refuse(`numeric parameter of more than ${parameterPrecision} digits`);
}

function elements(array: string | null, type: PgType): Bound {
  if (array === null) return { text: 'NULL', values: [] };
  const items = parseArray(array) ?? refuse('array in this form');
  if (items.length === 0) return { text: nothing, values: [] };
  const bound = items.map((item): Bound => (item === null ? { text: 'NULL', values: [] } : element(item, type)));
  return { text: bound.map(({ text }) => text).join(', '), values: bound.flatMap(({ values }) => values) };
}

/** Numbers stand in the text: as strings they would be compared as doubles. */
function element(item: string, type: PgType): Bound {
  const form = mysqlForm(item, type) ?? refuse(`array element of type ${type.name} in this form`);
  if (isInteger(type)) return { text: isInRange(BigInt(form), type) ? form : refuse('integer out of range'), values: [] };
  switch (type.name) {
    case 'numeric': return { text: plainDecimal(form) ?? refuse('numeric'), values: [] };
    case 'float4': case 'float8': return { text: /e/i.test(form) ? form : `${form}e0`, values: [] };
    case 'bool': return { text: form, values: [] };
    case 'date': return { text: `DATE'${form}'`, values: [] };
    case 'timestamp': case 'timestamptz': return { text: `TIMESTAMP'${form}'`, values: [] };
    default: return { text: '?', values: [form] };
  }
}

/** PostgreSQL refuses a negative count; NULL is no limit, and no offset. */
function rowCount(value: string | null, kind: 'limit' | 'offset'): string {
  if (value === null) return kind === 'limit' ? '18446744073709551615' : '0';
  return /^\s*\+?\d+\s*$/.test(value) && BigInt(value) <= 9223372036854775807n ? BigInt(value).toString() : refuse(`${kind.toUpperCase()} that is no row count`);
}
