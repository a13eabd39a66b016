/** An error about a text in which relations are named otherwise tells places in the client's own text. */
import { placeBefore } from '../../grammar/sql/rename-relations.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import { readErrorFields, rewriteError } from '../wire/error-fields.ts';

/** Undefined for an error in which nothing is told otherwise. */
export function errorBefore(named: RenamedText, buffer: Buffer, start: number, length: number): Buffer | undefined {
  const fields = readErrorFields(buffer, start, length);
  const position = Number(fields.get('P'));
  const message = fields.get('M') ?? '';
  const changed = new Map<string, string>();
  if (Number.isInteger(position) && position >= 1) changed.set('P', String(positionBefore(named, position)));
  if (named.own && message.includes(named.own.name)) changed.set('M', message.replaceAll(named.own.name, named.own.was));
  return changed.size === 0 ? undefined : rewriteError(buffer, start, length, changed);
}

/** Positions count characters from 1; edits are in bytes. */
export function positionBefore(named: RenamedText, position: number): number {
  const bytes = Buffer.byteLength([...named.bytes.toString('utf8')].slice(0, position - 1).join(''));
  const before = [...named.before.toString('utf8', 0, placeBefore(named.edits, bytes))].length + 1;
  return named.earlier ? positionBefore(named.earlier, before) : before;
}
