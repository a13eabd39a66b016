/** The parameters of a Bind as SQL: https://www.postgresql.org/docs/current/protocol-message-formats.html (Bind, Parse). */
import { quoteLiteral } from '../../grammar/names.ts';
import type { ConstantArgument } from '../../grammar/sql/prepared-arguments.ts';
import type { QueryUses } from '../../grammar/sql/relation-uses.ts';
import { afterName } from './frontend-messages.ts';

/** Types that both sides have under one number, by it. */
const types: Readonly<Record<number, string>> = {
  16: 'bool', 20: 'int8', 21: 'int2', 23: 'int4', 25: 'text', 700: 'float4', 701: 'float8', 1042: 'bpchar', 1043: 'varchar', 1082: 'date', 1083: 'time',
  1114: 'timestamp', 1184: 'timestamptz', 1186: 'interval', 1700: 'numeric', 2950: 'uuid',
};

export interface BoundParameter {
  /** Undefined: the server finds out from where the parameter stands. */
  readonly typeOid: number | undefined;
  readonly isBinary: boolean;
  /** A view of the message; undefined for NULL. */
  readonly value: Buffer | undefined;
}

export interface BindParts {
  /** Of the parameters: where their count stands, and each behind it. */
  readonly formatsAt: number;
  /** Of the first value, with its length. */
  readonly valuesAt: number;
  /** Of the results, as `formatsAt`. */
  readonly resultFormatsAt: number;
}

/** Where the parts of the Bind at `start` stand; undefined for one that is not well formed. */
export function bindParts(buffer: Buffer, start: number, length: number): BindParts | undefined {
  const end = start + length;
  try {
    const formatsAt = afterName(buffer, afterName(buffer, start + 5, end), end);
    const valuesAt = formatsAt + 4 + 2 * buffer.readUInt16BE(formatsAt);
    let at = valuesAt;
    for (let count = buffer.readUInt16BE(valuesAt - 2); count > 0 && at < end; count -= 1) at += 4 + Math.max(buffer.readInt32BE(at), 0);
    return at + 2 <= end && at + 2 + 2 * buffer.readUInt16BE(at) === end ? { formatsAt, valuesAt, resultFormatsAt: at } : undefined;
  } catch {
    return undefined;
  }
}

/** `parse` is the Parse message of the statement, `typesAt` where its types begin. Undefined for a message that is not well formed. */
export function readBind(bind: Buffer, parse: Buffer, typesAt: number): readonly BoundParameter[] | undefined {
  try {
    let at = afterName(bind, afterName(bind, 5, bind.length), bind.length);
    const formats = Array.from({ length: bind.readUInt16BE(at) }, (_, index) => bind.readUInt16BE(at + 2 + 2 * index));
    at += 2 + 2 * formats.length;
    const count = bind.readUInt16BE(at);
    at += 2;
    const known = parse.readUInt16BE(typesAt);
    const parameters: BoundParameter[] = [];
    for (let index = 0; index < count; index += 1) {
      const length = bind.readInt32BE(at);
      at += 4;
      if (length > bind.length - at) return undefined;
      const oid = index < known ? parse.readUInt32BE(typesAt + 2 + 4 * index) : 0;
      const format = formats.length === 0 ? 0 : formats.length === 1 ? formats[0] : formats[index];
      parameters.push({ typeOid: oid === 0 ? undefined : oid, isBinary: format === 1, value: length < 0 ? undefined : bind.subarray(at, at + length) });
      at += Math.max(length, 0);
    }
    return parameters;
  } catch {
    return undefined;
  }
}

/** Of a Parse, as PREPARE writes them; undefined when one has another number on each side. */
export function parameterTypes(parse: Buffer, typesAt: number): readonly string[] | undefined {
  const oids = Array.from({ length: parse.readUInt16BE(typesAt) }, (_, index) => parse.readUInt32BE(typesAt + 2 + 4 * index));
  if (oids.some((oid) => oid !== 0 && types[oid] === undefined)) return undefined;
  return oids.map((oid) => (oid === 0 ? 'unknown' : `pg_catalog.${types[oid] ?? ''}`));
}

/** Values that these types surely take as they are: what is wrong with another one is the server's to say, of the EXECUTE. */
const sureValues: Readonly<Record<string, RegExp>> = {
  int2: /^-?\d{1,4}$/, int4: /^-?\d{1,9}$/, int8: /^-?\d{1,18}$/, numeric: /^-?\d+(?:\.\d+)?$/, float4: /^-?\d{1,9}$/, float8: /^-?\d{1,9}(?:\.\d{1,6})?$/,
  text: /^/, varchar: /^/, bpchar: /^/, uuid: /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, date: /^\d{4}-0[1-9]-(?:0[1-9]|1\d|2[0-8])$/, bool: /^(?:true|false|t|f)$/i,
};

type Described = Pick<QueryUses, 'argumentTypes' | 'argumentValues'>;

/** Those arguments of an EXECUTE that are plain constants, with the types that the PREPARE declares: as a Bind would have them. */
export function argumentsFor(prepare: Described, execute: Described): readonly (BoundParameter | undefined)[] {
  return execute.argumentValues.map((argument, index) => {
    const isDeclared = index < prepare.argumentTypes.length;
    const type = prepare.argumentTypes[index];
    const oid = Object.keys(types).find((number) => types[Number(number)] === type);
    if (argument === undefined || (isDeclared && oid === undefined) || !keepsValue(argument, type)) return undefined;
    return { typeOid: oid === undefined ? undefined : Number(oid), isBinary: false, value: argument.text === undefined ? undefined : Buffer.from(argument.text) };
  });
}

/** A number is not text; where no type is declared, a small one fits wherever it is allowed. */
function keepsValue({ text, isNumber }: ConstantArgument, type: string | undefined): boolean {
  if (type === undefined) return isNumber && /^-?\d{1,9}$/.test(text ?? '');
  if (text === undefined) return true;
  return (!isNumber || /^(?:int|float|numeric)/.test(type)) && sureValues[type]?.test(text) === true;
}

/** Undefined where the value cannot be written so that it is surely the same. */
export function parameterSql({ typeOid, isBinary, value }: BoundParameter): string | undefined {
  const type = typeOid === undefined ? undefined : types[typeOid];
  if (typeOid !== undefined && type === undefined) return undefined;
  if (value === undefined) return type === undefined ? 'NULL' : `NULL::pg_catalog.${type}`;
  const text = isBinary ? binaryText(typeOid, value) : value.toString('utf8');
  if (text === undefined || text.includes('\0') || text.includes('\ufffd')) return undefined;
  // What has no type takes that of its neighbour, as the parameter does.
  return type === undefined ? quoteLiteral(text) : `${quoteLiteral(text)}::pg_catalog.${type}`;
}

function binaryText(typeOid: number | undefined, value: Buffer): string | undefined {
  switch (typeOid) {
    case 16: return value.length === 1 ? (value[0] === 0 ? 'false' : 'true') : undefined;
    case 20: return value.length === 8 ? value.readBigInt64BE().toString() : undefined;
    case 21: return value.length === 2 ? value.readInt16BE().toString() : undefined;
    case 23: return value.length === 4 ? value.readInt32BE().toString() : undefined;
    case 25: case 1042: case 1043: return value.toString('utf8');
    case 2950: return value.length === 16 ? value.toString('hex') : undefined;
    default: return undefined;
  }
}
