/** The functions that a query may call. Everything else is refused by name: SQLite's own functions are not reachable. */
import { refuse } from './refusal.ts';
import { typeTitles } from './sql-types.ts';
import type { SqlType } from './sql-types.ts';
import { asText, castTo, coerce, comparable, isNumber, isTime, typed } from './typed.ts';
import type { Typed } from './typed.ts';

/** Wanted types of the arguments, the optional ones marked; `sql` gets them converted. */
interface Signature {
  readonly takes: readonly SqlType[];
  readonly optional?: number;
  readonly returns: SqlType;
  readonly sql: (...values: readonly string[]) => string;
}

const call = (name: string) => (...values: readonly string[]): string => `${name}(${values.join(', ')})`;
const plain = (name: string, takes: readonly SqlType[], returns: SqlType, sqliteName: string, optional = 0): readonly [string, Signature] =>
  [name, { takes, optional, returns, sql: call(sqliteName) }];

const signatures: ReadonlyMap<string, Signature> = new Map([
  plain('lower', ['text'], 'text', 'pg_lower'),
  plain('upper', ['text'], 'text', 'pg_upper'),
  plain('length', ['text'], 'int4', 'length'),
  plain('char_length', ['text'], 'int4', 'length'),
  plain('character_length', ['text'], 'int4', 'length'),
  ['octet_length', { takes: ['text'], returns: 'int4', sql: (a) => `length(CAST(${a} AS BLOB))` }],
  plain('substr', ['text', 'int4', 'int4'], 'text', 'pg_substr', 1),
  plain('substring', ['text', 'int4', 'int4'], 'text', 'pg_substr', 1),
  plain('left', ['text', 'int4'], 'text', 'pg_left'),
  plain('right', ['text', 'int4'], 'text', 'pg_right'),
  plain('replace', ['text', 'text', 'text'], 'text', 'pg_replace'),
  plain('split_part', ['text', 'text', 'int4'], 'text', 'pg_split_part'),
  plain('btrim', ['text', 'text'], 'text', 'trim', 1),
  plain('ltrim', ['text', 'text'], 'text', 'ltrim', 1),
  plain('rtrim', ['text', 'text'], 'text', 'rtrim', 1),
  plain('strpos', ['text', 'text'], 'int4', 'instr'),
  plain('position', ['text', 'text'], 'int4', 'instr'),
  ['starts_with', { takes: ['text', 'text'], returns: 'bool', sql: (a = '', b = '') => `(instr(${a}, ${b}) = 1)` }],
  plain('json_array_length', ['json'], 'int4', 'pg_json_array_length'),
  plain('json_typeof', ['json'], 'text', 'pg_json_typeof'),
]);

/** What a query can know about the time: one moment for the whole query, as in a transaction. */
export interface QueryMoment {
  /** Stored form (see timestamp.ts). */
  readonly now: string;
}

export function callFunction(name: string, args: readonly Typed[], moment: QueryMoment, at?: number): Typed {
  const signature = signatures.get(name);
  if (signature !== undefined) return applySignature(name, signature, args, at);
  return numberFunction(name, args) ?? timeFunction(name, args, moment) ?? variadicFunction(name, args) ?? unknownFunction(name, args, at);
}

function applySignature(name: string, signature: Signature, args: readonly Typed[], at: number | undefined): Typed {
  const least = signature.takes.length - (signature.optional ?? 0);
  if (args.length < least || args.length > signature.takes.length) return unknownFunction(name, args, at);
  const values = args.map((arg, index) => coerce(arg, signature.takes[index] ?? 'text', at).sql);
  return typed(signature.sql(...values), signature.returns);
}

function numberFunction(name: string, args: readonly Typed[]): Typed | undefined {
  const [first, second] = args;
  if (first === undefined || !isNumber(first.type)) return undefined;
  const exact = first.type === 'numeric' || second !== undefined;
  switch (name) {
    case 'round':
    case 'trunc': {
      if (!exact && first.type === 'float8') return typed(name === 'round' ? `round(${first.sql})` : `trunc(${first.sql})`, 'float8');
      if (first.type === 'float8' || (second !== undefined && second.type !== 'int4')) return undefined;
      // round(integer) is round(double precision) in the server, and prints alike.
      if (!exact) return castTo(first, 'float8');
      return typed(`pg_num_${name}(${castTo(first, 'numeric').sql}, ${second?.sql ?? '0'})`, 'numeric');
    }
    case 'ceil':
    case 'ceiling':
    case 'floor': {
      if (second !== undefined) return undefined;
      const sqlite = name === 'floor' ? 'floor' : 'ceil';
      return first.type === 'numeric' ? typed(`pg_num_${sqlite}(${first.sql})`, 'numeric') : typed(`${sqlite}(${castTo(first, 'float8').sql})`, 'float8');
    }
    case 'abs':
      if (second !== undefined) return undefined;
      return first.type === 'numeric' ? typed(`pg_num_abs(${first.sql})`, 'numeric') : typed(`abs(${first.sql})`, first.type);
    case 'mod': {
      if (second === undefined || args.length > 2 || (first.type !== 'int4' && first.type !== 'int8') || (second.type !== 'int4' && second.type !== 'int8')) return undefined;
      const type = first.type === 'int8' || second.type === 'int8' ? 'int8' : 'int4';
      return typed(`pg_int_op('%', '${type}', ${first.sql}, ${second.sql})`, type);
    }
    default:
      return undefined;
  }
}

function timeFunction(name: string, args: readonly Typed[], moment: QueryMoment): Typed | undefined {
  const [first, second] = args;
  if (args.length === 0) {
    const isNow = ['now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp'].includes(name);
    return isNow ? typed(`'${moment.now}'`, 'timestamptz') : undefined;
  }
  if (args.length !== 2 || first === undefined || second === undefined) return undefined;
  if (!['date_trunc', 'extract', 'date_part'].includes(name)) return undefined;
  const field = coerce(first, 'text').sql;
  if (name === 'date_trunc' && isTime(second.type)) {
    return typed(`pg_ts_trunc(${field}, ${second.sql})`, second.type === 'timestamp' ? 'timestamp' : 'timestamptz');
  }
  if (name === 'date_trunc' || (!isTime(second.type) && second.type !== 'interval')) return undefined;
  const value = typed(`${second.type === 'interval' ? 'pg_iv_extract' : 'pg_ts_extract'}(${field}, ${second.sql})`, 'numeric');
  return name === 'extract' ? value : castTo(value, 'float8');
}

function variadicFunction(name: string, args: readonly Typed[]): Typed | undefined {
  if (name !== 'concat' && name !== 'concat_ws') return undefined;
  if (args.length === 0 || (name === 'concat_ws' && args.length < 2)) return undefined;
  // Unlike `||`, these print a boolean as t or f.
  const values = args.map((arg) => (arg.type === 'bool' ? `CASE ${arg.sql} WHEN 1 THEN 't' WHEN 0 THEN 'f' END` : asText(arg).sql));
  return typed(`pg_${name}(${values.join(', ')})`, 'text');
}

export const aggregateNames: ReadonlySet<string> = new Set(['count', 'sum', 'avg', 'min', 'max', 'string_agg', 'bool_and', 'bool_or', 'every']);

export interface AggregateCall {
  readonly name: string;
  readonly star: boolean;
  readonly distinct: boolean;
  readonly args: readonly Typed[];
  /** ` ORDER BY …` inside the parentheses, and ` FILTER (…)` behind them; both may be empty. */
  readonly order: string;
  readonly filter: string;
}

export function callAggregate(aggregate: AggregateCall, at?: number): Typed {
  const { name, args, filter } = aggregate;
  const [first, second] = args;
  if (name === 'count' && aggregate.star) return typed(`count(*)${filter}`, 'int8');
  if (first === undefined || args.length > (name === 'string_agg' ? 2 : 1)) return unknownFunction(name, args, at);
  const around = (sqliteName: string, argument: string): string => `${sqliteName}(${aggregate.distinct ? 'DISTINCT ' : ''}${argument}${aggregate.order})${filter}`;
  switch (name) {
    case 'count':
      return typed(around('count', aggregate.distinct ? comparable(first, at) : first.sql), 'int8');
    case 'string_agg': {
      if (second?.literal === undefined || second.literal === null) return refuse('the separator of string_agg must be a constant', at);
      // SQLite takes DISTINCT with one argument only, whose separator is a comma.
      if (aggregate.distinct && second.literal !== ',') return refuse('string_agg(DISTINCT …) takes the separator \',\' only', at);
      return typed(around('group_concat', aggregate.distinct ? coerce(first, 'text', at).sql : `${coerce(first, 'text', at).sql}, ${coerce(second, 'text').sql}`), 'text');
    }
    case 'bool_and':
    case 'every':
      return typed(around('min', coerce(first, 'bool', at).sql), 'bool');
    case 'bool_or':
      return typed(around('max', coerce(first, 'bool', at).sql), 'bool');
    case 'min':
    case 'max':
      return extreme(name, first, around) ?? unknownFunction(name, args, at);
    default:
      return sumOrAverage(name, first, around) ?? unknownFunction(name, args, at);
  }
}

function extreme(name: 'min' | 'max', value: Typed, around: (sqliteName: string, argument: string) => string): Typed | undefined {
  const { type } = value;
  if (type === 'numeric' || type === 'interval') return typed(around(`pg_${name}_of_${type}`, value.sql), type);
  if (type === 'bool' || type === 'json' || type === 'uuid' || type === 'bytea') return undefined;
  const text = type === 'varchar' || type === 'unknown';
  return typed(around(name, text ? coerce(value, 'text').sql : value.sql), text ? 'text' : type);
}

function sumOrAverage(name: string, value: Typed, around: (sqliteName: string, argument: string) => string): Typed | undefined {
  if (value.type === 'interval') return typed(around(name === 'sum' ? 'pg_iv_sum' : 'pg_iv_avg', value.sql), 'interval');
  if (!isNumber(value.type)) return undefined;
  if (value.type === 'float8') return typed(around(name, value.sql), 'float8');
  if (name === 'sum' && value.type === 'int4') return typed(around('sum', value.sql), 'int8');
  return typed(around(name === 'sum' ? 'pg_num_sum' : 'pg_num_avg', value.sql), 'numeric');
}

function unknownFunction(name: string, args: readonly Typed[], at: number | undefined): never {
  const known = [...signatures.keys(), ...aggregateNames, 'round', 'trunc', 'ceil', 'floor', 'abs', 'mod', 'now', 'date_trunc', 'extract', 'concat', 'concat_ws'];
  const types = args.map((arg) => typeTitles[arg.type]).join(', ');
  return known.includes(name)
    ? refuse(`function ${name}(${types}) does not exist`, at, 'No function matches the given name and argument types. You might need to add explicit type casts.')
    : refuse(`function ${name}() cannot be used in queries on SYS$MIGRATION_ tables`, at, `Functions that can: ${known.toSorted().join(', ')}.`);
}
