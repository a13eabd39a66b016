/** Where the values of a plan's steps come from: the client's parameters, what the session says of itself, its clock, and rows of steps before. */
import { randomUUID } from 'node:crypto';
import type { MysqlParameter, MysqlSessionValue, MysqlSlot, PgParameter } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { MysqlDialect } from './mysql-local.ts';

export type BoundValue = Extract<PgParameter, { type: 'value' }> | { readonly type: 'refused_value'; readonly construct: string } | { readonly type: 'value_error'; readonly number: number };

export interface SessionClock {
  /** The moment of the statement, in microseconds since 1970. */
  readonly micros: bigint;
  /** `UTC`, an offset, or a name. */
  readonly timeZone: string;
}

export class PlanValues {
  readonly #parameters: readonly MysqlParameter[];
  readonly #session: (value: MysqlSessionValue) => string | null;
  readonly #clock: SessionClock;
  readonly #pgValue: MysqlDialect['pgValue'];

  constructor({ pgValue }: Pick<MysqlDialect, 'pgValue'>, parameters: readonly MysqlParameter[], session: (value: MysqlSessionValue) => string | null, clock: SessionClock) {
    this.#parameters = parameters;
    this.#session = session;
    this.#clock = clock;
    this.#pgValue = pgValue;
  }

  of(slot: MysqlSlot, rows: readonly (readonly (readonly (string | null)[])[])[]): BoundValue {
    switch (slot.kind) {
      case 'parameter':
        return this.#parameter(slot);
      case 'session':
        return { type: 'value', text: slot.value === 'uuid' ? randomUUID() : this.#session(slot.value) };
      case 'now':
        return { type: 'value', text: nowText(slot, this.#clock) };
      case 'read':
        return { type: 'value', text: rows[slot.step]?.[0]?.[slot.column] ?? null };
      default:
        return slot satisfies never;
    }
  }

  #parameter({ number, form, notNull }: Extract<MysqlSlot, { kind: 'parameter' }>): BoundValue {
    const parameter = this.#parameters[number - 1];
    if (!parameter) return { type: 'value_error', number: 1210 };
    if (parameter.value === null && notNull === true) return { type: 'refused_value', construct: `NULL for parameter ${number}` };
    const value = this.#pgValue(form)(parameter);
    if (value.type === 'refused') return { type: 'refused_value', construct: `parameter ${number}: ${value.construct}` };
    return value.type === 'error' ? { type: 'value_error', number: value.number } : value;
  }
}

const MICROS = 1_000_000n;

/** As the slot wants it; Intl knows the zones by their names. */
export function nowText({ as, zone, fraction }: Extract<MysqlSlot, { kind: 'now' }>, { micros, timeZone }: SessionClock): string {
  const part = String(micros % MICROS).padStart(6, '0').slice(0, fraction);
  const digits = fraction === 0 ? '' : `.${part}`;
  const seconds = micros / MICROS;
  if (as === 'unix') return `${seconds}${digits}`;
  const shown = new Date(Number(seconds + BigInt(zone === 'utc' ? 0 : offsetSeconds(Number(seconds), timeZone))) * 1000).toISOString();
  const [date, time] = [shown.slice(0, 10), `${shown.slice(11, 19)}${digits}`];
  return as === 'date' ? date : as === 'time' ? time : `${date} ${time}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function offsetSeconds(seconds: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0;
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(timeZone) ?? [];
  if (hours !== undefined) return (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(parts['year'] ?? 0, (parts['month'] ?? 1) - 1, parts['day'], parts['hour'], parts['minute'], parts['second']) / 1000 - seconds;
}
