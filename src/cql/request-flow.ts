/**
 * What becomes of a request after its plan is settled: which legs leave, in which order, and when its client is answered.
 *
 *   one cluster     the leg leaves; its answer is the client's.
 *   both, waiting   the intent goes into the log, both legs leave at once; the client gets the primary's answer when both are well, else the failure. What one side has
 *                   alone the replay brings to the other.
 *   both, async     the intent goes into the log, the primary's leg leaves. When the primary has answered and the log has the intent on disk the client is
 *                   answered, and the shadow's leg leaves. What the shadow does not acknowledge in time is the replay's.
 *   in order        conditional statements and schema changes: the shadow is asked only after the primary has done it, so that it never does what the primary refused.
 */
import { errorCodeAt, errorCodes, isCleanRefusal } from '../wire/cql/error-body.ts';
import { messageStart, opcodes } from '../wire/cql/frame.ts';
import { BOTH } from './intents/intent-log.ts';
import type { FlowParts } from './flow-parts.ts';
import type { HealedLegs } from './healer.ts';
import { logWrite } from './log-write.ts';
import { isOtherwise, NEVER, NOBODY, owedAfterBoth } from './owed.ts';
import { legStates, NO_TICKET } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import type { ClusterIndex } from './modes.ts';
import type { Leg, Request } from './request.ts';
import type { LegSink, NodeConnection, UpstreamFailure } from './upstream.ts';
import { BOTH_TURNS, WriteTurns } from './write-turns.ts';

export class RequestFlow implements LegSink<Leg>, HealedLegs {
  readonly #parts: FlowParts;
  /** Answers that wait for the log. */
  #held: Request[] = [];
  readonly #turns = new WriteTurns((request, cluster) => this.#hasTurn(request, cluster));

  constructor(parts: FlowParts) {
    this.#parts = parts;
    parts.intents.onWritten = () => this.#release();
  }

  /** Frame, plan, pools and kind of the request are settled. */
  begin(request: Request): void {
    const { requests, counts, nowMs } = this.#parts;
    request.startedAtMs = nowMs();
    request.source.sentAtMs = request.startedAtMs;
    request.target.sentAtMs = request.startedAtMs;
    requests.add(request);
    counts.inHand = requests.size;
    const { plan, kind } = request;
    if (kind === requestKinds.replay) {
      this.dispatch(request.target.state === legStates.waiting ? request.target : request.source);
      return;
    }
    if (plan.shadow === undefined || kind === requestKinds.read) {
      this.#start(request.primary);
      return;
    }
    if (kind === requestKinds.prepare) {
      // The other cluster's id is fetched beside; only in DualSync is its word waited for.
      this.#startBoth(request, plan.shadow);
      return;
    }
    if (kind === requestKinds.schema) {
      this.#start(request.primary);
      return;
    }
    if (!logWrite(this.#parts.intents, request)) {
      const leg = request.primary;
      this.unsent(leg, { kind: 'network', code: errorCodes.overloaded, message: `MIG085: the log of writes takes no more (${this.#parts.intents.refusal ?? 'full'}); it empties when the ${plan.shadow === 0 ? 'source' : 'target'} cluster takes its writes` });
      return;
    }
    const shadowPool = request.pools?.[plan.shadow];
    if (!plan.isSync || shadowPool?.isReady !== false) {
      this.#startWrite(request);
      return;
    }
    // With nobody there to write to, the primary is not written either: nothing is left on one side alone.
    shadowPool.whenUsable((failure) => {
      if (failure) this.unsent(request.primary, failure);
      else this.#startWrite(request);
    });
  }

  #startWrite(request: Request): void {
    const { shadow } = request.plan;
    if (request.laneTable === '' || shadow === undefined) {
      this.#startNow(request);
      return;
    }
    this.#await(request.primary);
    this.#turns.enter(request, shadow);
  }

  /** On one of the clusters. In the modes that wait for both nothing leaves before the turn has come on either. */
  #hasTurn(request: Request, cluster: ClusterIndex): void {
    const { plan, primary } = request;
    const isPrimarys = plan.isSync ? request.turns === BOTH_TURNS : cluster === plan.primary;
    // The shadow's leg may still wait for the primary's answer.
    const leg = isPrimarys ? primary : request.leg(cluster);
    if (!leg.isOpen || (plan.isSync && !isPrimarys)) return;
    // Too late to be sent: it would be done after its client has heard that it was not.
    if (leg.deadlineMs <= this.#parts.nowMs()) this.timedOut(leg);
    else if (isPrimarys) this.#startNow(request);
    else this.#start(leg);
  }

  #startNow(request: Request): void {
    const { plan, kind } = request;
    if (plan.isSync && plan.shadow !== undefined && kind === requestKinds.write && !request.isUnrepeatable) this.#startBoth(request, plan.shadow);
    else this.#start(request.primary);
  }

  /** A primary that cannot be reached may end the request at once, or have it wait for its cancellation: then there is nothing left to send to the other. */
  #startBoth(request: Request, shadow: ClusterIndex): void {
    const { serial } = request;
    this.#start(request.primary);
    if (request.place >= 0 && request.serial === serial && request.primary.isOpen) this.#start(request.leg(shadow));
  }

  #start(leg: Leg): void {
    if (!leg.isOpen) this.#await(leg);
    this.dispatch(leg);
  }

  /** From now on its time runs. */
  #await(leg: Leg): void {
    const { request } = leg;
    leg.state = legStates.waiting;
    leg.sentAtMs = this.#parts.nowMs();
    const isAwaited = request.plan.isSync || request.plan.primary === leg.cluster || request.kind === requestKinds.schema;
    leg.deadlineMs = leg.sentAtMs + (isAwaited ? this.#parts.requestTimeoutMs : this.#parts.shadowTimeoutMs);
  }

  /** The shadow's leg of a write that nobody waits for, in its turn. */
  #startShadow(request: Request, shadow: Leg): void {
    if (request.laneTable === '') {
      this.#start(shadow);
      return;
    }
    this.#await(shadow);
    if ((request.turns & (1 << shadow.cluster)) !== 0) this.#start(shadow);
  }

  /** Sends the leg as soon as there is a connection and its statements are prepared there. */
  dispatch(leg: Leg): void {
    const { request } = leg;
    const pool = request.pools?.[leg.cluster];
    if (!pool) throw new Error('a request without pools');
    const connection = pool.acquire(leg);
    if (!connection) return;
    const unprepared = request.batch ? request.batch.unpreparedOn(leg.cluster, request.plan.primary !== leg.cluster) : request.opcode === opcodes.execute && request.entry?.ids[leg.cluster] === undefined ? request.entry : undefined;
    if (unprepared) {
      this.#parts.healer.heal(leg, unprepared, connection);
      return;
    }
    this.#send(leg, connection);
  }

  /** Its statement has been prepared on this connection's node. */
  prepared(leg: Leg, connection: NodeConnection<Leg>): void {
    const { batch, plan } = leg.request;
    if (!connection.isReady || !connection.hasStream || batch?.unpreparedOn(leg.cluster, plan.primary !== leg.cluster)) this.dispatch(leg);
    else this.#send(leg, connection);
  }

  #send(leg: Leg, connection: NodeConnection<Leg>): void {
    leg.state = legStates.sent;
    connection.send(leg);
    const pool = leg.request.pools?.[leg.cluster];
    if (pool) leg.request.owner?.sent(pool, connection);
  }

  answered(leg: Leg, buffer: Buffer, start: number, end: number): void {
    leg.answeredBy = leg.connection;
    leg.connection = undefined;
    leg.answerAt = messageStart(buffer, start, end);
    const isError = buffer.readUInt8(start + 4) === opcodes.error;
    leg.code = isError ? errorCodeAt(buffer, leg.answerAt) : -1;
    if (leg.code === errorCodes.unprepared && this.#parts.healer.unprepared(leg, buffer, end)) return;
    leg.state = !isError ? legStates.ok : isCleanRefusal(leg.code) ? legStates.refused : legStates.uncertain;
    const { kind, plan } = leg.request;
    // That the shadow has a plain write too is all there is to know: its bytes are not held on to.
    if (isError || kind !== requestKinds.write || plan.primary === leg.cluster) leg.keep(buffer, start, end);
    this.#done(leg, false);
  }

  lost(leg: Leg, { message }: UpstreamFailure): void {
    leg.connection = undefined;
    const { kind } = leg.request;
    const isHarmless = kind === requestKinds.read || kind === requestKinds.prepare;
    // It has changed nothing: another connection may still answer it.
    if (isHarmless && leg.heals < 2) {
      leg.heals += 1;
      leg.state = legStates.waiting;
      this.dispatch(leg);
      return;
    }
    this.#failed(leg, legStates.uncertain, isHarmless ? errorCodes.overloaded : errorCodes.writeTimeout, `the connection to the node was lost: ${message}`);
  }

  unsent(leg: Leg, { code, message }: UpstreamFailure): void {
    this.#failed(leg, legStates.unsent, code, message);
  }

  /** Its statement could not be prepared: the frame of the cluster's error. */
  notPrepared(leg: Leg, buffer: Buffer, start: number, end: number): void {
    leg.keep(buffer, start, end);
    leg.answerAt = messageStart(buffer, start, end);
    leg.code = errorCodeAt(buffer, leg.answerAt);
    leg.state = legStates.unsent;
    this.#done(leg, false);
  }

  /** Past its time: the caller has taken it off whatever it waited in. */
  timedOut(leg: Leg): void {
    const wasSent = leg.state === legStates.sent;
    leg.connection?.abandon(leg);
    leg.connection = undefined;
    const { request } = leg;
    const waited = Math.round(this.#parts.nowMs() - leg.sentAtMs);
    const code = request.kind === requestKinds.read ? errorCodes.readTimeout : wasSent && request.kind !== requestKinds.prepare ? errorCodes.writeTimeout : errorCodes.overloaded;
    this.#failed(leg, wasSent ? legStates.uncertain : legStates.unsent, code, `MIG087: the ${leg.cluster === 0 ? 'source' : 'target'} cluster has not answered within ${waited} ms`, true);
  }

  #failed(leg: Leg, state: Leg['state'], code: number, message: string, isTimeout = false): void {
    leg.state = state;
    leg.answer = undefined;
    leg.code = code;
    leg.message = message;
    this.#done(leg, isTimeout);
  }

  #done(leg: Leg, isTimeout: boolean): void {
    const { request } = leg;
    const counts = this.#parts.counts.cluster(leg.cluster);
    counts.ended(request.kind === requestKinds.read || request.kind === requestKinds.prepare, leg.state - legStates.ok, this.#parts.nowMs() - leg.sentAtMs);
    if (leg.state !== legStates.ok) counts.error(leg.code, isTimeout);
    this.#proceed(request, leg);
  }

  #proceed(request: Request, leg: Leg): void {
    const { plan, kind } = request;
    const { shadow } = plan;
    if (kind === requestKinds.schema && leg.state === legStates.ok && !leg.isAgreed && leg.answeredBy) {
      // Drivers ask the proxy for one schema version and get one: so the nodes must agree before they are told.
      leg.isAgreed = true;
      request.pools?.[leg.cluster].cluster.whenAgreed(leg.answeredBy, () => this.#proceed(request, leg));
      return;
    }
    if (kind === requestKinds.prepare && leg.state === legStates.ok && request.entry && leg.answer) this.#parts.healer.learn(request.entry, leg.cluster, leg.answer, leg.answerStart, leg.answerEnd);
    if (kind === requestKinds.replay) {
      this.#answer(request, leg);
      this.#end(request);
    } else if (shadow === undefined || kind === requestKinds.read) {
      this.#answer(request, leg);
      this.#end(request);
    } else if (kind === requestKinds.prepare) this.#prepared(request, leg);
    else if (kind === requestKinds.schema) this.#schema(request, leg);
    else if (plan.isSync) this.#sync(request, leg);
    else this.#async(request, leg);
  }

  #prepared(request: Request, leg: Leg): void {
    const { plan, primary } = request;
    const shadow = request.leg(plan.shadow ?? plan.primary);
    if (!plan.isSync && leg === primary) this.#answer(request, primary);
    if (primary.isOpen || shadow.isOpen) return;
    if (plan.isSync) this.#answer(request, primary.state === legStates.ok ? shadow.state === legStates.ok ? primary : shadow : primary);
    this.#end(request);
  }

  /** The shadow after the primary, and the client waits for both whatever the mode: a schema change is no write that can be sent again. */
  #schema(request: Request, leg: Leg): void {
    const { plan, primary } = request;
    const shadow = request.leg(plan.shadow ?? plan.primary);
    if (leg === primary) {
      if (leg.state === legStates.ok) this.#start(shadow);
      else {
        this.#answer(request, primary);
        this.#end(request);
      }
      return;
    }
    const isWell = shadow.state === legStates.ok || shadow.code === errorCodes.alreadyExists;
    if (!isWell) {
      this.#parts.counts.cluster(shadow.cluster).mismatches += 1;
      this.#parts.log.error('a statement was done on the primary cluster and not on the other', { code: shadow.code, cause: shadow.message });
    }
    this.#answer(request, isWell ? primary : shadow);
    this.#end(request);
  }

  #sync(request: Request, leg: Leg): void {
    const { intents, counts } = this.#parts;
    const { plan, primary, kind, ticket } = request;
    const shadow = request.leg(plan.shadow ?? plan.primary);
    this.#turns.leave(request, leg.cluster);
    if (kind === requestKinds.conditional && leg === primary && leg.state === legStates.ok && leg.applied !== false && !request.isUnrepeatable) {
      this.#start(shadow);
      return;
    }
    if (primary.isOpen || shadow.isOpen) return;
    if (ticket === NO_TICKET) {
      this.#answer(request, primary);
      this.#end(request);
      return;
    }
    const owed = owedAfterBoth(request, primary, shadow);
    if (isOtherwise(request, primary, shadow)) counts.cluster(shadow.cluster).mismatches += 1;
    request.ticket = NO_TICKET;
    if (owed === NEVER) {
      // Before the client hears that it is nowhere, no crash may send it any more.
      request.heldFor = intents.cancel(ticket);
      request.isHeldForCancel = true;
      if (!this.#isWritten(request)) {
        // Its turn is over: one that comes now would begin what has ended.
        this.#turns.leaveBoth(request);
        this.#held.push(request);
        return;
      }
    } else if (owed === NOBODY) intents.settle(ticket);
    else intents.release(ticket, owed);
    this.#answer(request, primary.state === legStates.ok && shadow.state !== legStates.ok && shadow.state !== legStates.unused ? shadow : primary);
    this.#end(request);
  }

  #async(request: Request, leg: Leg): void {
    const { intents } = this.#parts;
    const { plan, primary, ticket } = request;
    const shadow = request.leg(plan.shadow ?? plan.primary);
    const shadowBit = 1 << shadow.cluster;
    this.#turns.leave(request, leg.cluster);
    if (leg === shadow) {
      const isSame = request.kind !== requestKinds.conditional || shadow.state !== legStates.ok || primary.applied === shadow.applied;
      if (shadow.state === legStates.ok && isSame) intents.settle(ticket);
      else {
        if (!isSame) this.#parts.counts.cluster(shadow.cluster).mismatches += 1;
        intents.release(ticket, shadowBit);
      }
      if (request.isAnswered) this.#end(request);
      return;
    }
    if (ticket === NO_TICKET) {
      this.#answer(request, primary);
      this.#end(request);
      return;
    }
    if (primary.state === legStates.refused || primary.state === legStates.unsent || (request.kind === requestKinds.conditional && primary.state === legStates.ok && primary.applied === false)) {
      request.heldFor = intents.cancel(ticket);
      request.isHeldForCancel = true;
    } else {
      request.heldFor = ticket;
      request.isHeldForCancel = false;
      if (primary.state === legStates.uncertain) intents.release(ticket, BOTH);
      else if (request.isUnrepeatable) intents.release(ticket, shadowBit);
      else if (request.pools?.[shadow.cluster].isDown === true) {
        // Known to be in vain: no leg is made for it.
        intents.release(ticket, shadowBit);
      } else this.#startShadow(request, shadow);
    }
    if (this.#isWritten(request)) {
      this.#answer(request, primary);
      if (!shadow.isOpen) this.#end(request);
    } else this.#held.push(request);
  }

  #isWritten({ heldFor, isHeldForCancel }: Request): boolean {
    const { intents } = this.#parts;
    return heldFor <= (isHeldForCancel ? intents.cancelledUpTo : intents.writtenUpTo);
  }

  /** The log has written: answers that waited for it leave. */
  #release(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const request of held) {
      if (!this.#isWritten(request)) {
        this.#held.push(request);
        continue;
      }
      this.#answer(request, request.primary);
      if (!request.source.isOpen && !request.target.isOpen) this.#end(request);
    }
  }

  #answer(request: Request, leg: Leg): void {
    if (request.isAnswered) return;
    request.isAnswered = true;
    request.owner?.answer(request, leg);
    this.#parts.counts.requestTime.add(this.#parts.nowMs() - request.startedAtMs);
  }

  #end(request: Request): void {
    this.#turns.leaveBoth(request);
    this.#parts.requests.remove(request);
    this.#parts.counts.inHand = this.#parts.requests.size;
  }
}
