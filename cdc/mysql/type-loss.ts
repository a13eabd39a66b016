/**
 * Values that the other side cannot hold as they are. Every conversion names what it can lose; what then happens is the column's
 * policy. Nothing is lost in silence: a policy that changes a value tells of it.
 */
import { MigrationError } from '../../config/migration-error.ts';

/** `toLocal`: on the way from MySQL to local; `toSource`: on the way back. */
export type LossDirection = 'toLocal' | 'toSource';

interface LossAbout {
  readonly directions: readonly LossDirection[];
  readonly meaning: string;
  /** What the policy `clamp` makes of the value. */
  readonly clamp: string;
}

export const lossKinds = {
  zero_date: { directions: ['toLocal'], meaning: '`0000-00-00`, with or without a time', clamp: '`-infinity`, which goes back as the zero date' },
  invalid_date: { directions: ['toLocal'], meaning: 'a month or day 0, or a day that the month does not have', clamp: 'the nearest day that exists' },
  time_range: { directions: ['toLocal', 'toSource'], meaning: 'a TIME outside the range of the other side: below 0 or above 24 h where it was mapped to `time`, beyond 838:59:59 on the way back', clamp: 'the nearest end of the range' },
  unsigned_range: { directions: ['toLocal'], meaning: 'an unsigned number above the largest of the type on local', clamp: 'the largest' },
  boolean_range: { directions: ['toLocal'], meaning: 'a number other than 0 and 1 in a column that was mapped to boolean', clamp: 'true' },
  enum_empty: { directions: ['toLocal'], meaning: 'the value \'\' that stands for a label that MySQL refused', clamp: 'the first label' },
  nul_character: { directions: ['toLocal'], meaning: 'a text or JSON text with the character U+0000', clamp: 'the text without it' },
  spelling: { directions: ['toLocal'], meaning: 'a text that comes back spelled differently (a UUID in capitals, say)', clamp: 'the spelling of local' },
  float_rounding: { directions: ['toLocal', 'toSource'], meaning: 'a number that the other side rounds to fewer digits', clamp: 'the rounded number' },
  not_finite: { directions: ['toSource'], meaning: '`NaN` and the infinities of numbers', clamp: '`NaN` becomes 0, an infinity the end of the range' },
  integer_range: { directions: ['toSource'], meaning: 'a number outside the range of the column\'s integer type', clamp: 'the nearest end of the range' },
  decimal_range: { directions: ['toSource'], meaning: 'more digits before the point than the column has', clamp: 'the nearest end of the range' },
  fraction: { directions: ['toSource'], meaning: 'more digits behind the point than the column has', clamp: 'the digits cut off' },
  date_range: { directions: ['toSource'], meaning: 'a date before the year 0 or after 9999, or an infinity', clamp: 'the nearest end of the range' },
  timestamp_range: { directions: ['toSource'], meaning: 'an instant outside 1970-01-01 00:00:01 to the end of TIMESTAMP (2038-01-19 03:14:07; MariaDB from 11.5: 2106-02-07 06:28:15)', clamp: 'the nearest end of the range' },
  interval_months: { directions: ['toSource'], meaning: 'an interval with months or years, which have no fixed length', clamp: 'months of 30 days' },
  charset: { directions: ['toSource'], meaning: 'a character that the column\'s character set lacks: one of four bytes in utf8mb3, say', clamp: '`?` in its place' },
  text_length: { directions: ['toSource'], meaning: 'a text or bytes longer than the column', clamp: 'what fits' },
  trailing_blanks: { directions: ['toSource'], meaning: 'blanks at the end of a text for CHAR, which MySQL cuts off, and zero bytes at the end for shorter BINARY', clamp: 'the text as MySQL gives it back' },
  enum_label: { directions: ['toSource'], meaning: 'a label that the ENUM lacks', clamp: 'the first label' },
  set_member: { directions: ['toSource'], meaning: 'a label that the SET lacks, a NULL or a nested array', clamp: 'the labels that it has' },
  json_number: { directions: ['toSource'], meaning: 'a number in JSON with more digits than a double or a 64-bit integer holds', clamp: 'the number as MySQL rounds it' },
  malformed: { directions: ['toLocal', 'toSource'], meaning: 'a text that is no value of the type it was mapped to', clamp: 'NULL' },
} as const satisfies Readonly<Record<string, LossAbout>>;

export type LossKind = keyof typeof lossKinds;

export const lossPolicies = ['reject', 'clamp', 'null', 'text'] as const;
/** `text` is decided when the column is mapped: local then keeps the canonical text. Where a text itself cannot be kept it means `reject`. */
export type LossPolicy = (typeof lossPolicies)[number];

export interface LossPolicies {
  readonly byKind: { readonly [Kind in LossKind]?: LossPolicy };
  readonly otherwise: LossPolicy;
}

export const rejectAll: LossPolicies = { byKind: {}, otherwise: 'reject' };

export function policyFor(policies: LossPolicies, kind: LossKind): LossPolicy {
  return policies.byKind[kind] ?? policies.otherwise;
}

export interface TypeLoss {
  readonly kind: LossKind;
  readonly direction: LossDirection;
  readonly column: string;
  /** What changed it. */
  readonly policy: LossPolicy;
  /** The value before it was changed. */
  readonly value: string;
  /** What became of it. */
  readonly becomes: string | null;
}

/** Called for every value that a policy changed. */
export type TellLoss = (loss: TypeLoss) => void;

/** A converter that cannot keep `value` asks what to do; `clamped` is the nearest value that the other side has. */
export type OnLoss = (kind: LossKind, value: string, clamped: string | null) => string | null;

/** Throws MIG014 under `reject`. */
export function lossHandler(column: string, direction: LossDirection, policies: LossPolicies, tell: TellLoss): OnLoss {
  return (kind, value, clamped) => {
    const policy = policyFor(policies, kind);
    if (policy === 'reject' || policy === 'text') {
      const shown = value.length > 100 ? `${value.slice(0, 100)}…` : value;
      throw new MigrationError('MIG014', `column ${column}: ${direction === 'toLocal' ? 'local' : 'the source'} cannot hold ${JSON.stringify(shown)} (${kind})`, {
        detail: lossKinds[kind].meaning.replaceAll('`', ''), hint: `Change the value, or say what to do with such values: OPTIONS (type_map '${column} ON ${kind} CLAMP').`,
      });
    }
    const becomes = policy === 'null' ? null : clamped;
    tell({ kind, direction, column, policy, value, becomes });
    return becomes;
  };
}

/** The Markdown table of docs/mysql.md; a test holds the page to it. */
export function lossTable(): string {
  const way = (directions: readonly LossDirection[]): string => directions.map((each) => (each === 'toLocal' ? 'to local' : 'back')).join(', ');
  const lines = Object.entries(lossKinds).map(([kind, about]) => `| \`${kind}\` | ${way(about.directions)} | ${about.meaning} | ${about.clamp} |`);
  return ['| Loss | On the way | Which values | What `clamp` makes of them |', '| --- | --- | --- | --- |', ...lines].join('\n');
}
