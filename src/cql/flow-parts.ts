/** What the path of requests works with. */
import type { Log } from '../../config/runtime.ts';
import type { Healer } from './healer.ts';
import type { IntentLog } from './intents/intent-log.ts';
import type { ProxyCounts } from './proxy-stats.ts';
import type { RequestList } from './request-list.ts';

export interface FlowParts {
  readonly log: Log;
  readonly intents: IntentLog;
  readonly requests: RequestList;
  readonly counts: ProxyCounts;
  readonly healer: Healer;
  readonly nowMs: () => number;
  readonly requestTimeoutMs: number;
  readonly shadowTimeoutMs: number;
}
