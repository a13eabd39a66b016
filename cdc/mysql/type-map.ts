/**
 * Which type of local stands for each type of MySQL and MariaDB, why, and how values go over and back. The one place that knows: whoever
 * carries a value (the load, the stream, the way back, a statement's answer) makes its conversions here.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { isLongText as isLongKeyText } from '../../grammar/dialect/long-text.ts';
import type { TypeOverride } from '../../grammar/migration/type-overrides.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { geometryTypes, integerRange, isByteType, isCharacterType, maxBytes } from './column-type.ts';
import type { ColumnType } from './column-type.ts';
import type { Conversion, ConversionPlan } from './conversion.ts';
import type { MysqlColumn } from './definition.ts';
import { localType, parseLocalType } from './local-type.ts';
import type { LocalType } from './local-type.ts';
import { planConversion } from './plan-conversion.ts';
import { lossHandler, lossKinds, lossPolicies, policyFor, rejectAll } from './type-loss.ts';
import type { LossKind, LossPolicies, LossPolicy, TellLoss } from './type-loss.ts';

export interface MappedColumn {
  readonly column: MysqlColumn;
  /** `enum`: a type of the table's own on local. */
  readonly local: LocalType | 'enum';
  readonly reason: string;
  readonly plan: ConversionPlan;
  readonly policies: LossPolicies;
  /** A value may become NULL on local. */
  readonly mayBecomeNull: boolean;
}

export type MapOverrides = readonly TypeOverride[];

/** PostgreSQL cuts labels at this many bytes. */
const MAX_LABEL_BYTES = 63;

/** Throws MIG012 for a type that is not known, MIG071 for an override that cannot be. */
export function mapColumn(column: MysqlColumn, server: MysqlCapabilities, overrides: MapOverrides = []): MappedColumn {
  const policies = policiesFor(column.name, overrides);
  const override = overrides.find((each) => each.column === column.name)?.type;
  const standard = override === undefined ? standardType(column) : undefined;
  if (override === undefined && standard === undefined) {
    throw new MigrationError('MIG012', `column ${column.name} has type ${column.typeText}`, { hint: 'Leave the column out with OPTIONS (columns …).' });
  }
  let local: LocalType | 'enum' = standard?.type ?? overrideType(column, override ?? '');
  let plan = planConversion(column, local, server, policies);
  if (plan === undefined) throw new MigrationError('MIG071', `type_map: ${column.typeText} of column ${column.name} cannot become ${override}`, { hint: 'docs/mysql.md lists the types that each type can become.' });
  let reason = standard?.reason ?? 'as type_map says';
  // U+0000 cannot be kept as text either.
  if (plan.toLocalLosses.some((kind) => kind !== 'nul_character' && policyFor(policies, kind) === 'text')) {
    local = localType('text');
    plan = planConversion(column, local, server, policies) ?? plan;
    reason = 'the canonical text, as its policy says';
  }
  return { column, local, reason, plan, policies, mayBecomeNull: plan.toLocalLosses.some((kind) => policyFor(policies, kind) === 'null') };
}

/** Made once for each column that is carried; `tell` hears of every value that a policy changes. */
export function makeConversion(mapped: MappedColumn, tell: TellLoss): Conversion {
  const { column, policies, plan } = mapped;
  return plan.make(lossHandler(column.name, 'toLocal', policies, tell), lossHandler(column.name, 'toSource', policies, tell));
}

function overrideType(column: MysqlColumn, written: string): LocalType | 'enum' {
  if (written.toLowerCase() === 'enum') return 'enum';
  const type = parseLocalType(written);
  if (type === undefined) throw new MigrationError('MIG071', `type_map: no conversion is known to type ${written} of column ${column.name}`);
  // Without digits of its own the column keeps those of the source: more of them could not go back.
  const isTime = ['timestamp', 'timestamptz', 'time', 'interval'].includes(type.name) && ['datetime', 'timestamp', 'time'].includes(column.type.name);
  return isTime && type.modifiers.length === 0 ? localType(type.name, column.type.length ?? 0) : type;
}

function policiesFor(column: string, overrides: MapOverrides): LossPolicies {
  const byKind: { [Kind in LossKind]?: LossPolicy } = {};
  let otherwise: LossPolicy = rejectAll.otherwise;
  // The column's own words come last and win.
  for (const each of [...overrides].filter((one) => one.column === undefined || one.column === column).sort((a, b) => Number(a.column !== undefined) - Number(b.column !== undefined))) {
    for (const { loss, policy } of each.policies) {
      if (loss === undefined) otherwise = policy;
      else if (isLossKind(loss)) byKind[loss] = policy;
      else throw new MigrationError('MIG071', `type_map: there is no loss ${loss}`, { hint: `Known are ${Object.keys(lossKinds).join(', ')}; with ${lossPolicies.join(', ')}.` });
    }
  }
  return { byKind, otherwise };
}

function isLossKind(word: string): word is LossKind {
  return Object.hasOwn(lossKinds, word);
}

interface Standard {
  readonly type: LocalType | 'enum';
  readonly reason: string;
}

const as = (type: LocalType | 'enum', reason: string): Standard => ({ type, reason });
const exact = 'holds the same values';

function standardType(column: MysqlColumn): Standard | undefined {
  const { type } = column;
  return integerType(column) ?? otherNumber(type) ?? timeType(type) ?? textType(column) ?? byteType(type) ?? specialType(column);
}

function integerType({ type, isNumbered }: MysqlColumn): Standard | undefined {
  const range = integerRange(type);
  if (range === undefined) return undefined;
  // BOOLEAN is an alias of TINYINT(1), and MySQL forgets the word.
  if (type.name === 'tinyint' && type.length === 1 && !type.unsigned && !isNumbered) return as(localType('boolean'), 'TINYINT(1) is what BOOLEAN means');
  if (range.max < 1n << 15n) return as(localType('smallint'), 'the smallest type that holds every value');
  if (range.max < 1n << 31n) return as(localType('integer'), 'the smallest type that holds every value');
  if (range.max < 1n << 63n) return as(localType('bigint'), 'the smallest type that holds every value');
  return isNumbered ? as(localType('bigint'), 'numbers of AUTO_INCREMENT stay below 2^63, and an identity column needs an integer') : as(localType('numeric', 20, 0), 'unsigned numbers of 64 bits exceed bigint');
}

function otherNumber(type: ColumnType): Standard | undefined {
  switch (type.name) {
    case 'decimal': return as(localType('numeric', type.length ?? 10, type.scale ?? 0), exact);
    case 'float': return as(localType('real'), 'the same four bytes');
    case 'double': return as(localType('double precision'), 'the same eight bytes');
    case 'bit': return type.length === 1 || type.length === undefined ? as(localType('boolean'), 'one bit') : as(localType('bit', type.length), exact);
    case 'year': return as(localType('smallint'), 'local has no type for years');
    default: return undefined;
  }
}

function timeType(type: ColumnType): Standard | undefined {
  const digits = type.length ?? 0;
  switch (type.name) {
    case 'date': return as(localType('date'), 'holds every date that exists');
    case 'datetime': return as(localType('timestamp', digits), 'date and time without a zone');
    case 'timestamp': return as(localType('timestamptz', digits), 'an instant');
    case 'time': return as(localType('interval', digits), 'a length of time: it may be negative or longer than a day');
    default: return undefined;
  }
}

function textType(column: MysqlColumn): Standard | undefined {
  const { type } = column;
  if (column.isJsonText) return as(localType('json'), 'MariaDB keeps the text of JSON as it was written');
  if (!isCharacterType(type)) return undefined;
  if (type.name.endsWith('text')) return as(localType('text'), exact);
  return as(localType('character varying', Math.max(type.length ?? 1, 1)), type.name === 'char' ? 'MySQL gives CHAR back without blanks at the end' : exact);
}

function byteType(type: ColumnType): Standard | undefined {
  if (geometryTypes.has(type.name)) return as(localType('bytea'), 'the bytes that MySQL stores: SRID and WKB');
  if (type.name === 'vector') return as(localType('bytea'), 'the bytes that the server stores');
  return isByteType(type) ? as(localType('bytea'), exact) : undefined;
}

function specialType({ type }: MysqlColumn): Standard | undefined {
  switch (type.name) {
    case 'enum':
      return type.labels.every((label) => Buffer.byteLength(label) <= MAX_LABEL_BYTES) ? as('enum', 'the same labels in the same order') : as(localType('text'), `a label is longer than the ${MAX_LABEL_BYTES} bytes of local`);
    case 'set': return as(localType('text[]'), 'a list of labels');
    case 'json': return as(localType('jsonb'), 'keeps what MySQL keeps: values, not spelling');
    case 'uuid': return as(localType('uuid'), exact);
    case 'inet4': case 'inet6': return as(localType('inet'), 'holds every address');
    default: return undefined;
  }
}

export interface SqlCheck {
  /** In local's own spelling, so that it is recognised there. */
  readonly condition: string;
  readonly purpose: string;
}

/** What the source's type refuses and local's would take: without it rows written on local could not go back (RULES 17). `name` is quoted. */
export function rangeCheck({ column: { type, charset }, local }: MappedColumn, name: string): SqlCheck | undefined {
  if (local === 'enum') return undefined;
  const between = (min: bigint | number, max: bigint | number): string => `((${name} >= ${constant(min, local)}) AND (${name} <= ${constant(max, local)}))`;
  const range = integerRange(type);
  const fits = { smallint: 15, integer: 31, bigint: 63 }[local.name as string];
  if (range !== undefined && local.name !== 'boolean' && (fits !== undefined || local.name === 'numeric')) {
    const isExact = fits !== undefined && range.max === (1n << BigInt(fits)) - 1n && range.min < 0n;
    if (isExact) return undefined;
    // An unsigned number that was mapped to bigint ends there.
    const max = fits === undefined ? range.max : range.max < 1n << BigInt(fits) ? range.max : (1n << BigInt(fits)) - 1n;
    return { condition: fits !== undefined && max === (1n << BigInt(fits)) - 1n ? `(${name} >= 0)` : between(range.min, max), purpose: `the range of ${type.name}` };
  }
  if (type.name === 'year' && local.name === 'smallint') return { condition: `((${name} = 0) OR ((${name} >= 1901) AND (${name} <= 2155)))`, purpose: 'the range of year' };
  if (type.unsigned && local.name === 'numeric') return { condition: `(${name} >= (0)::numeric)`, purpose: 'unsigned' };
  if (type.unsigned && (local.name === 'real' || local.name === 'double precision')) return { condition: `(${name} >= (0)::double precision)`, purpose: 'unsigned' };
  if (local.name === 'bytea' && (type.name === 'binary' || type.name === 'varbinary')) return { condition: `(octet_length(${name}) ${type.name === 'binary' ? '=' : '<='} ${type.length ?? 1})`, purpose: 'the length in bytes' };
  if (local.name === 'text' && isCharacterType(type) && charset?.startsWith('utf8') === true && (maxBytes(type) ?? Infinity) < 1 << 20) {
    return { condition: `(octet_length(${name}) <= ${maxBytes(type) ?? 0})`, purpose: `the length of ${type.name} in bytes` };
  }
  return undefined;
}

function constant(value: bigint | number, local: LocalType): string {
  const text = `${value}`;
  if (local.name === 'numeric') return text.length > 10 ? `'${text}'::numeric` : `(${text})::numeric`;
  if (text.length > 9) return `'${text}'::bigint`;
  return text.startsWith('-') ? `'${text}'::integer` : text;
}

/** Whole or in part longer than an index entry of local may be. */
export function isLongText({ column: { type, charset } }: MappedColumn): boolean {
  return isLongKeyText({ type: type.name, length: type.length, charset });
}
