/** Puts a write into the log, before a cluster gets it. */
import { BOTH, REFUSED } from './intents/intent-log.ts';
import type { IntentLog } from './intents/intent-log.ts';
import type { Request } from './request.ts';

/** False when the log takes no more. */
export function logWrite(intents: IntentLog, request: Request): boolean {
  const { pools, plan, frame, messageAt, end, batch } = request;
  const origin = pools?.[plan.primary].origin;
  if (!origin) throw new Error('a request without pools');
  request.ticket = batch && batch.withoutShadow.size > 0
    ? intents.append(origin, request.opcode, BOTH, 0, request.atMs, request.statements, batch.sharedBody(frame, end))
    : intents.append(origin, request.opcode, BOTH, 0, request.atMs, request.statements, frame, messageAt, end);
  return request.ticket !== REFUSED;
}
