/** Whether a server would have taken these bytes for a value of a key's column: what it refuses, no row has, and asking for it would be refused as well. */
import { isUtf8 } from 'node:buffer';
import { parseCqlType } from '../../../grammar/cql/type.ts';
import type { KeyColumn } from './key-columns.ts';

const lengths: Readonly<Partial<Record<string, readonly number[]>>> = {
  tinyint: [1], smallint: [2], int: [4], date: [4], float: [4], bigint: [8], double: [8], time: [8], timestamp: [8], boolean: [1], uuid: [16], timeuuid: [16], inet: [4, 16],
};

export type IsPossible = (bytes: Buffer) => boolean;

/** Made once for a column, and asked for each value. */
export function possibleValues({ type }: KeyColumn): IsPossible {
  const parsed = parseCqlType(type);
  if (parsed?.kind !== 'native') return () => true;
  if (parsed.name === 'text' || parsed.name === 'ascii') return isUtf8;
  const allowed = lengths[parsed.name];
  return allowed ? (bytes) => bytes.length === 0 || allowed.includes(bytes.length) : () => true;
}
