/** Sends the clusters what they owe: a lane for each, over one log. What is not sent any more stands in the repair list. */
import type { Log } from '../../../config/runtime.ts';
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import { clusterNames, SOURCE_CLUSTER, TARGET_CLUSTER } from '../modes.ts';
import type { ClusterIndex } from '../modes.ts';
import type { ReplayPort } from '../proxy-options.ts';
import type { IntentLog } from './intent-log.ts';
import { reduceTtl } from './reduce-ttl.ts';
import type { RepairNotes } from './repair-notes.ts';
import { ReplayLane } from './replay-lane.ts';
import type { LaneCounts, LaneState } from './replay-lane.ts';

export interface ReplayOptions {
  readonly intents: IntentLog;
  readonly port: ReplayPort;
  readonly repairs: RepairNotes;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Facts of a text; the proxy's own memory of texts serves. */
  readonly read: (text: string) => CqlStatement;
  readonly maxInFlight: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  readonly maxRefusals: number;
}

export interface LaneReport extends Readonly<LaneCounts> {
  readonly cluster: 'source' | 'target';
  readonly state: LaneState;
  readonly inFlight: number;
  readonly waiting: number;
}

const MOST_BYTES_IN_FLIGHT = 16 * 1024 * 1024;
const FAILURES_TO_OPEN = 5;

export class Replay {
  readonly #options: ReplayOptions;
  readonly #lanes: readonly ReplayLane[];

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#lanes = [SOURCE_CLUSTER, TARGET_CLUSTER].map((cluster) => this.#lane(cluster as ClusterIndex));
  }

  #lane(cluster: ClusterIndex): ReplayLane {
    const { intents, port, nowMs, random, maxInFlight, firstDelayMs, maxDelayMs, maxRefusals, log, read, repairs } = this.#options;
    return new ReplayLane(cluster, {
      log: intents, port, nowMs, random, maxInFlight, firstDelayMs, maxDelayMs, maxRefusals,
      maxBytesInFlight: MOST_BYTES_IN_FLIGHT,
      failuresToOpen: FAILURES_TO_OPEN,
      prepare: (intent) => {
        const body = reduceTtl(intent, nowMs() - intent.atMs, read);
        return body === intent.body ? intent : { ...intent, body };
      },
      giveUp: (intent, to, message) => {
        log.error('a write is refused by a cluster again and again; its key is in the repair list', { cluster: clusterNames[to], ticket: intent.ticket, message });
        return repairs.note('refused', { ...intent, owes: 1 << to }, message);
      },
      unreadable: (ticket, error) => log.error('a write cannot be read back from the intent log; it stays there', { cluster: clusterNames[cluster], ticket, error: String(error) }),
    });
  }

  /** From now on, and first of all what an earlier process has left. */
  start(): void {
    this.#options.intents.onReleased = (from) => {
      for (const lane of this.#lanes) lane.lookFrom(from);
    };
    for (const lane of this.#lanes) lane.lookFrom(0);
  }

  report(): readonly LaneReport[] {
    return this.#lanes.map((lane) => ({ cluster: clusterNames[lane.cluster], state: lane.state, inFlight: lane.inFlight, waiting: lane.waiting, ...lane.counts }));
  }

  /** Nothing more is sent; resolves when what is under way has ended, or after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#options.intents.onReleased = () => undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, graceMs)));
    await Promise.race([late, Promise.all(this.#lanes.map((lane) => lane.stop()))]);
    clearTimeout(timer);
  }
}
