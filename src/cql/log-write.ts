/** Puts a write into the log, before a cluster gets it. */
import { BOTH, REFUSED } from './intents/intent-log.ts';
import type { IntentLog } from './intents/intent-log.ts';
import type { Request } from './request.ts';

/** False when the log takes no more. */
export function logWrite(intents: IntentLog, request: Request): boolean {
  const { pools, plan, frame, messageAt, end, batch } = request;
  const origin = pools?.[plan.primary].origin;
  if (!origin) throw new Error('a request without pools');
  const body = batch && batch.withoutShadow.size > 0 ? batch.sharedBody(frame, end) : frame.subarray(messageAt, end);
  request.ticket = intents.append(origin, request.opcode, BOTH, 0, request.atMs, request.statements, body);
  return request.ticket !== REFUSED;
}
