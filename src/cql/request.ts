/**
 * A request in hand: whose it is, its frame, its plan, and a leg for each cluster. Objects are used again: a request costs no allocation.
 *
 * A leg is unused → waiting (for a connection, or for its statement to be prepared) → sent → done: `ok`, `refused` (nothing was applied), `uncertain` (it may have been),
 * or `unsent` (nothing has left).
 */
import { readApplied } from '../wire/cql/result-body.ts';
import type { BatchStatement } from './batch-statement.ts';
import type { IntentStatement } from './intents/intent-log.ts';
import type { ClusterIndex, Plan } from './modes.ts';
import { plans, SOURCE_CLUSTER, TARGET_CLUSTER } from './modes.ts';
import type { PreparedEntry } from './prepared-registry.ts';
import { requestKinds } from './request-kinds.ts';
import type { RequestKind } from './request-kinds.ts';
import type { NodeConnection, NodePool } from './upstream.ts';

export const legStates = { unused: 0, waiting: 1, sent: 2, ok: 3, refused: 4, uncertain: 5, unsent: 6 } as const;
export type LegState = (typeof legStates)[keyof typeof legStates];

export const NO_TICKET = -1;

const empty = Buffer.alloc(0);
const none: readonly IntentStatement[] = [];

export class Leg {
  readonly request: Request;
  readonly cluster: ClusterIndex;
  state: LegState = legStates.unused;
  connection: NodeConnection<Leg> | undefined;
  /** Where its last answer came from. */
  answeredBy: NodeConnection<Leg> | undefined;
  stream = 0;
  /** How often its statement was prepared again. */
  heals = 0;
  /** Monotonic milliseconds. */
  deadlineMs = 0;
  sentAtMs = 0;
  /** The answer's frame; undefined when the proxy itself has to say what happened: `code` and `message`. */
  answer: Buffer | undefined;
  answerStart = 0;
  answerEnd = 0;
  /** Where its message begins. */
  answerAt = 0;
  /** Of an error; −1 for an answer that is none. */
  code = -1;
  message = '';
  /** After a schema change: the nodes have one schema again. */
  isAgreed = false;

  constructor(request: Request, cluster: ClusterIndex) {
    this.request = request;
    this.cluster = cluster;
  }

  get isOpen(): boolean {
    return this.state === legStates.waiting || this.state === legStates.sent;
  }

  /** `buffer[start, end)` is its answer. */
  keep(buffer: Buffer, start: number, end: number): void {
    this.answer = buffer;
    this.answerStart = start;
    this.answerEnd = end;
  }

  /** `[applied]` of a conditional statement's answer; undefined where there is none. */
  get applied(): boolean | undefined {
    return this.answer ? readApplied(this.answer, this.answerAt, this.answerEnd) : undefined;
  }

  reset(): void {
    this.state = legStates.unused;
    this.connection = undefined;
    this.answeredBy = undefined;
    this.heals = 0;
    this.answer = undefined;
    this.code = -1;
    this.message = '';
    this.isAgreed = false;
  }
}

/** Who gets the answer. */
export interface Answered {
  /** `leg` has the answer, or the words for one. Called once per request. */
  answer(request: Request, leg: Leg): void;
  /** A leg has left there. */
  sent(pool: NodePool<Leg>, connection: NodeConnection<Leg>): void;
}

export class Request {
  readonly source = new Leg(this, SOURCE_CLUSTER);
  readonly target = new Leg(this, TARGET_CLUSTER);
  owner: Answered | undefined;
  /** Of the client. */
  stream = 0;
  opcode = 0;
  kind: RequestKind = requestKinds.read;
  plan: Plan = plans.SourceOnly;
  /** Plain, with its timestamp, without the mark of its paging state. */
  frame: Buffer = empty;
  start = 0;
  end = 0;
  messageAt = 0;
  /** Of EXECUTE, and of PREPARE. */
  entry: PreparedEntry | undefined;
  batch: BatchStatement | undefined;
  statements: readonly IntentStatement[] = none;
  /** The pool of each cluster; settled when the first leg leaves. */
  pools: readonly [NodePool<Leg>, NodePool<Leg>] | undefined;
  /** Its copy does not go to the shadow, by the filter's rule. */
  isFiltered = false;
  /** Its values would differ on each cluster: the shadow gets it from a repair. */
  isUnrepeatable = false;
  /** Of a write whose order among others counts: its table and its partition (`order-lanes.ts`); empty for all others. */
  laneTable = '';
  laneKey = '';
  /** Bits of the clusters on which its turn has come (`write-turns.ts`). */
  turns = 0;
  /** The table that it truncates on both clusters; empty for all others. */
  truncates = '';
  ticket = NO_TICKET;
  /** What the log has to reach before the client is answered: a ticket, or a cancellation. */
  heldFor = 0;
  isHeldForCancel = false;
  atMs = 0;
  startedAtMs = 0;
  isAnswered = false;
  /** Place in the list of requests in hand, and its number among all that ever were. */
  place = -1;
  serial = 0;

  leg(cluster: ClusterIndex): Leg {
    return cluster === SOURCE_CLUSTER ? this.source : this.target;
  }

  get primary(): Leg {
    return this.leg(this.plan.primary);
  }

  get bytes(): number {
    return this.end - this.start;
  }

  /** Forgets what it holds, so that nothing is kept alive by it. */
  reset(): void {
    this.source.reset();
    this.target.reset();
    this.owner = undefined;
    this.frame = empty;
    this.entry = undefined;
    this.batch = undefined;
    this.statements = none;
    this.pools = undefined;
    this.isFiltered = false;
    this.isUnrepeatable = false;
    this.laneTable = '';
    this.turns = 0;
    this.truncates = '';
    this.ticket = NO_TICKET;
    this.isAnswered = false;
  }
}
