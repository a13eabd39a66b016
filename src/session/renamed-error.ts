/** An error about a text in which relations are named otherwise tells places in the client's own text. */
import { placeBefore } from '../../grammar/sql/rename-relations.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import { readErrorFields, rewriteError } from '../wire/error-fields.ts';

/** Undefined for an error without a place. */
export function errorBefore(named: RenamedText, buffer: Buffer, start: number, length: number): Buffer | undefined {
  const position = Number(readErrorFields(buffer, start, length).get('P'));
  if (!Number.isInteger(position) || position < 1) return undefined;
  return rewriteError(buffer, start, length, new Map([['P', String(positionBefore(named, position))]]));
}

/** Positions count characters from 1; edits are in bytes. */
function positionBefore(named: RenamedText, position: number): number {
  const bytes = Buffer.byteLength([...named.bytes.toString('utf8')].slice(0, position - 1).join(''));
  const before = [...named.before.toString('utf8', 0, placeBefore(named.edits, bytes))].length + 1;
  return named.earlier ? positionBefore(named.earlier, before) : before;
}
