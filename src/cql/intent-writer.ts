/** Puts writes into the log: as they come, or when one side may have what the other has not. */
import type { Log } from '../../config/runtime.ts';
import { REFUSED } from './intents/intent-log.ts';
import type { IntentLog } from './intents/intent-log.ts';
import type { ProxyCounts } from './proxy-stats.ts';
import type { Request } from './request.ts';

export class IntentWriter {
  readonly #intents: IntentLog;
  readonly #counts: ProxyCounts;
  readonly #log: Log;

  constructor(intents: IntentLog, counts: ProxyCounts, log: Log) {
    this.#intents = intents;
    this.#counts = counts;
    this.#log = log;
  }

  /** False when the log takes no more. */
  append(request: Request, owes: number): boolean {
    const { pools, plan, frame, messageAt, end, batch } = request;
    const origin = pools?.[plan.primary].origin;
    if (!origin) throw new Error('a request without pools');
    const body = batch && batch.withoutShadow.size > 0 ? batch.sharedBody(frame, end) : frame.subarray(messageAt, end);
    request.ticket = this.#intents.append(origin, request.opcode, owes, 0, request.atMs, request.statements, body);
    return request.ticket !== REFUSED;
  }

  /** The replay's from the start. */
  record(request: Request, owes: number): void {
    if (this.append(request, owes)) {
      this.#intents.release(request.ticket, owes);
      return;
    }
    this.#counts.unrecorded += 1;
    this.#log.error('a write that one cluster may have alone could not be put in the log', { owes, refusal: this.#intents.refusal, statement: request.statements[0]?.text });
  }
}
