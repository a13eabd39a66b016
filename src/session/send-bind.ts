/** A Bind on its way to a leg. */
import { CUT } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { bindTo } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';
import { nameOn } from './pool/pooled-statements.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';

/** `instead`: what the leg gets in place of it. On a pooled connection its statement has another name. */
export function sendBind(core: SessionCore, leg: Leg, statement: PreparedStatement, buffer: Buffer, start: number, length: number, instead?: Buffer): Verdict {
  const isRenamed = core.carried !== undefined && statement.name !== '';
  if (!isRenamed && !instead) return core.passOn(leg);
  const message = instead ?? buffer.subarray(start, start + length);
  core.send(leg, isRenamed ? bindTo(message, 0, message.length, nameOn(statement, leg.side)) : message);
  return CUT;
}
