/** What a session keeps of a statement that a client has parsed. */
import { ownCopy } from '../wire/own-copy.ts';
import type { ParseParts } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';
import { PooledPlaces } from './pool/pooled-statements.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';
import { executedBy } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';

/** `leg`: where it is parsed; undefined when the gateway answers. */
export function parsedStatement(core: SessionCore, buffer: Buffer, start: number, length: number, parts: ParseParts, traits: TextTraits, leg: Leg | undefined): PreparedStatement {
  const isNamed = parts.name !== '';
  const on = core.carried ? new PooledPlaces(isNamed, traits.single?.kind === 'fetch' || executedBy(traits.single) !== undefined, core.services.pools.names, (side) => core.leg(side)?.backend) : { source: leg?.side === 'source', local: leg?.side === 'local' };
  return {
    name: parts.name, origin: originOf(core.statements.get(parts.name)?.origin, buffer.subarray(start, start + length)), traits,
    sql: traits.plain ? undefined : buffer.toString('utf8', parts.textStart, parts.textEnd), on, shapeOn: undefined, described: undefined,
  };
}

/** In memory of its own. Many clients parse the same text again and again, without a name. */
function originOf(before: PreparedStatement['origin'] | undefined, message: Buffer): PreparedStatement['origin'] {
  return before?.type === 'parse' && before.message.equals(message) ? before : { type: 'parse', message: ownCopy(message) };
}
