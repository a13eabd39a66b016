/** Columns of a translated statement's answer, as PostgreSQL describes them. Pure. */
import { TypeOid } from '../../wire/binary-text.ts';
import { cstring, int16, int32, message } from '../../wire/message.ts';
import type { PgType, PgTypeName } from '../../../grammar/dialect/mysql/pg-type.ts';
import type { ResultColumn } from '../../../grammar/dialect/mysql/translation.ts';

const oids: Readonly<Partial<Record<PgTypeName, number>>> = { ...TypeOid };
const spellings: Readonly<Record<string, number>> = { inet: TypeOid.inet };
const lengths: Readonly<Record<number, number>> = {
  [TypeOid.bool]: 1, [TypeOid.int2]: 2, [TypeOid.int4]: 4, [TypeOid.int8]: 8, [TypeOid.float4]: 4, [TypeOid.float8]: 8, [TypeOid.date]: 4, [TypeOid.time]: 8, [TypeOid.timestamp]: 8, [TypeOid.timestamptz]: 8,
  [TypeOid.interval]: 16, [TypeOid.uuid]: 16,
};

/** `ownNumber`: of a type of local's own. */
export function oidOf(type: PgType, ownNumber: (spelling: string) => number | undefined): number {
  if (type.name === 'other') return spellings[type.spelling ?? ''] ?? ownNumber(type.spelling ?? '') ?? TypeOid.text;
  return oids[type.name] ?? TypeOid.text;
}

/** `formats`: 1 for a column in binary. */
export function describeColumns(columns: readonly ResultColumn[], numbers: readonly number[], formats: readonly number[]): Buffer {
  const parts = columns.flatMap(({ name, type }, index) => {
    const oid = numbers[index] ?? TypeOid.text;
    return [cstring(name), int32(0), int16(0), int32(oid), int16((lengths[oid] ?? (oid >= 16_384 ? 4 : -1)) & 0xffff), int32(modifierOf(type)), int16(formats[index] ?? 0)];
  });
  return message('T', int16(columns.length), ...parts);
}

export function describeParameters(numbers: readonly number[]): Buffer {
  return message('t', int16(numbers.length), ...numbers.map((oid) => int32(oid)));
}

function modifierOf({ name, length, precision, scale }: PgType): number {
  if ((name === 'varchar' || name === 'bpchar') && length !== undefined) return length + 4;
  return name === 'numeric' && precision !== undefined && precision > 0 && scale !== undefined ? ((precision << 16) | scale) + 4 : -1;
}

/** What the dialect calls the types of a client's parameters. */
const parameterSpellings: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(TypeOid).filter(([name]) => name !== 'bit' && name !== 'inet').map(([name, oid]) => [oid, name])),
};

/** Undefined where the type is left to the place where the parameter stands. */
export function spellingOf(oid: number): string | undefined {
  return oid === 0 ? undefined : parameterSpellings[oid] ?? `type ${oid}`;
}
