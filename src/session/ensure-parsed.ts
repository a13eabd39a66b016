/** A prepared statement on the leg that is to run it; the answer to a Parse of the gateway's is swallowed. */
import type { Verdict } from '../wire/framing.ts';
import { readParse } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';
import type { LocalNames } from './local-names.ts';
import { parseForLeg } from './parse-for-leg.ts';
import { PooledPlaces } from './pool/pooled-statements.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';
import type { SqlPrepared } from './sql-prepared.ts';

/** Undefined: it is there, or on its way. */
export function ensureParsed(core: SessionCore, flows: { readonly names: LocalNames; readonly prepared: SqlPrepared }, leg: Leg, statement: PreparedStatement): Verdict | undefined {
  const { origin, traits } = statement;
  if (statement.on[leg.side] || origin.type === 'sql') return flows.prepared.ensure(statement, leg, false);
  const parts = readParse(origin.message, 0, origin.message.length);
  const named = flows.names.textFor(leg, traits, origin.message.subarray(parts?.textStart, parts?.textEnd), false);
  if (typeof named === 'number') return named;
  const message = parts && parseForLeg(core, leg, origin.message, 0, origin.message.length, parts, named);
  if (typeof message === 'number') return message;
  statement.on[leg.side] = true;
  if (leg.side === 'local') statement.shape = undefined;
  const segment = core.unitSegment(leg);
  // Behind an error the server skips it.
  segment.parses(statement, true);
  segment.injectParse();
  core.sendRenamed(leg, segment, named, statement.on instanceof PooledPlaces ? statement.on.parseOn(leg.side, message ?? origin.message, false) : (message ?? origin.message));
  return undefined;
}
