/** A client's Parse as a leg has to get it: with the names and the numbers of its side. */
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { Verdict } from '../wire/framing.ts';
import type { ParseParts } from '../wire/frontend-messages.ts';
import { parseWith } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';

/** Undefined: as it is. A verdict: wait with it. */
export function parseForLeg(core: SessionCore, leg: Leg, buffer: Buffer, start: number, length: number, parts: ParseParts, named: RenamedText | undefined): Buffer | Verdict | undefined {
  const message = named && parseWith(buffer, start, length, parts, named.bytes);
  return typesForLeg(core, leg, message ?? buffer.subarray(start, start + length), length - (parts.textEnd - start), message !== undefined) ?? message;
}

/** `behindText`: bytes from the end of the text on. Undefined when its types are the same there. */
export function typesForLeg(core: SessionCore, leg: Leg, message: Buffer, behindText: number, isOwn: boolean): Buffer | Verdict | undefined {
  const { numbers } = core.services;
  const at = message.length - behindText + 1;
  if (leg.side === 'source' || !numbers || behindText < 3) return undefined;
  const count = message.readUInt16BE(at);
  let hasOwn = false;
  for (let index = 0; index < count && at + 6 + 4 * index <= message.length; index += 1) hasOwn ||= message.readUInt32BE(at + 2 + 4 * index) >= 16_384;
  if (!hasOwn || at + 2 + 4 * count > message.length) return undefined;
  // The client's own bytes are kept, and may go to the other leg later.
  const copy = isOwn ? message : Buffer.from(message);
  if (numbers.parametersForLocal(copy, at + 2, count)) return copy;
  numbers.learn(() => core.proceed('state'));
  return core.wait('state');
}
