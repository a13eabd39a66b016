/**
 * The state of one client session and the few primitive moves on it; the flows (simple queries, extended queries,
 * transaction control, migration statements) are built from these.
 *
 * Client messages are handled strictly in order. A message that cannot be handled yet is left unconsumed and the session
 * waits for one named reason; when that has passed the same message is offered again and everything is decided anew. So parking,
 * opening a leg and waiting for the stream are all the same to the flows, and answers never overtake each other.
 */
import type * as net from 'node:net';
import type { RoutingSnapshot, Side } from '../../catalog/routing-snapshot.ts';
import type { OpenTransaction } from '../execute/open-transaction.ts';
import { Segment } from '../execute/segment.ts';
import type { ImageTaker, InternalReply } from '../execute/segment.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import { readyForQuery } from '../wire/backend-messages.ts';
import type { TransactionStatus } from '../wire/backend-messages.ts';
import { writeError, writeNotice } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { CUT, FrameScanner, PASS, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { execute, sync } from '../wire/frontend-messages.ts';
import { errorFieldsOf } from './client-error.ts';
import type { Leg } from './leg.ts';
import { MysqlSide } from './mysql-tables/mysql-side.ts';
import { OwnStatements } from './own-statements.ts';
import { PreparedStatements } from './prepared-statements.ts';
import type { Portal } from './prepared-statements.ts';
import { positionBefore } from './renamed-error.ts';
import type { Services } from './services.ts';
import type { CarriedState } from './pool/carried-state.ts';
import type { SharedRead } from './pool/shared-read.ts';
import type { Activity, ClientIdentity, Unit, WaitReason } from './session-parts.ts';
import { SessionCounts } from './session-counts.ts';
import { meantFacts, traitsOf } from './text-traits.ts';
import type { WrittenRows } from './two-phase/marked-rows-port.ts';
import type { TextTraits } from './text-traits.ts';

export abstract class SessionCore {
  readonly services: Services;
  readonly identity: ClientIdentity;
  readonly statements: PreparedStatements;
  readonly portals = new Map<string, Portal>();
  readonly ownStatements = new OwnStatements((side) => this.leg(side));
  readonly unit: Unit = { leg: undefined, segment: undefined, executed: false, onMysql: undefined, wrote: false, skipping: false };
  abstract readonly home: Leg;
  local: Leg | undefined;
  /** Undefined when the user has no login at a MySQL server. */
  readonly mysql: MysqlSide | undefined;
  tx: OpenTransaction | undefined;
  /** The client has seen something of the source since its last read on local (RULES 18). */
  sourceSeen = true;
  /** The same of tables of the MySQL server whose commits are waited for. */
  mysqlSeen = true;
  /** A notification has come from the source, whose sender's commit may be later than the session's own last one. */
  notifiedBySource = false;
  /** It has written in `async` mode since then. */
  trackPending = false;
  /** Waiting was given up: reads go to the source until local has caught up (RULES 19). */
  lagging = false;
  /** No unit may be sent behind the one under way. */
  exclusive = false;
  /** A commit's answer is held back. */
  holding = 0;
  /** Grows with whatever may have changed settings or LISTENs on the home leg. */
  stateVersion = 1;
  /** Names with a dot that the session has set. */
  readonly customSettings = new Set<string>();
  searchPath: readonly string[] = ['public'];
  /** SQL cursors by name: FETCH and CLOSE go where DECLARE went. */
  readonly cursors = new Map<string, Side>();
  temporaryTables: ReadonlyMap<string, Side> = new Map();
  defaults: { isolation: 'read committed' | 'repeatable read' | 'serializable'; readOnly: boolean } = { isolation: 'read committed', readOnly: false };
  /** Search path, temporary tables or defaults may have changed. */
  contextDirty = true;
  /** By which the last route was decided. */
  decidedUnder: RoutingSnapshot | undefined;
  lastWrite: Side = 'source';
  /** The beginning of its last statement, a character for each byte: nothing of the memory it came in is kept. */
  #noted: Buffer | undefined;
  #notedBytes = 0;
  ended = false;
  /** Of a session on pooled connections; undefined when its connections are its own. */
  readonly carried: CarriedState | undefined;
  /** The statement being handled, of a text with several that are run one by one. */
  partOf: RenamedText | undefined;
  /** Facts of the message being handled, when they took time. */
  protected largeText: TextTraits | undefined;

  readonly socket: net.Socket;
  readonly startedAtMs: number;
  readonly counts: SessionCounts;
  /** The unit that holds a COMMIT sent on, or that the gateway itself is at one. */
  committing: Segment | 'gateway' | undefined;
  /** Rows on local that wait for the source's commit. */
  openRows: WrittenRows | undefined;
  protected readonly scanner: FrameScanner;
  /** The message being handled only passes to a leg: no part of it is kept. */
  protected passesOn = false;
  protected waiting: WaitReason | undefined;
  #target: Leg | undefined;
  /** Answered to the next message instead of handling it. */
  protected refusal: ErrorFields | undefined;

  constructor(services: Services, identity: ClientIdentity, socket: net.Socket, carried?: CarriedState) {
    this.services = services;
    this.carried = carried;
    this.identity = identity;
    this.socket = socket;
    if (services.mysql?.hasLogin(identity.user) === true) this.mysql = new MysqlSide(this);
    this.startedAtMs = this.now();
    this.counts = new SessionCounts(this.startedAtMs);
    this.statements = new PreparedStatements(services.limits.maxStatementBytes);
    this.scanner = new FrameScanner(
      {
        message: (type, buffer, start, length) => this.clientMessage(type, buffer, start, length),
        pass: (bytes) => this.#target?.write(bytes),
        violation: (reason) => this.protocolViolation(reason),
      },
      { maxMessageBytes: services.limits.maxMessageBytes, streamed: 'd' },
    );
  }

  abstract clientMessage(type: number, buffer: Buffer, start: number, length: number): Verdict;
  abstract protocolViolation(reason: string): void;
  abstract fatal(fields: ErrorFields): void;
  /** Of a session that may send reads on connections of many. */
  abstract readonly sharing: { readonly read: SharedRead | undefined } | undefined;

  notified(leg: Leg): void {
    if (leg === this.home) this.notifiedBySource = true;
  }

  unnamedGone(leg: Leg): void {
    const unnamed = this.statements.get('');
    if (unnamed) unnamed.on[leg.side] = false;
  }

  now(): number {
    return this.services.runtime.clock.monotonicMs();
  }

  /** A message that has come in part does not count: who stops in the middle of one is idle. */
  get activity(): Activity {
    const isBusy = this.sharing?.read !== undefined || this.waiting !== undefined || this.holding > 0 || this.unit.segment !== undefined || this.unit.skipping || this.mysql?.copyIn?.isOpen === true;
    if (isBusy || !this.home.idle || this.local?.idle === false) return 'active';
    return this.tx ? 'idle in transaction' : 'idle';
  }

  get isReceiving(): boolean {
    return this.scanner.buffered > 0;
  }

  /** Its outcome is being decided, or is on its way to the client. */
  get isCommitting(): boolean {
    const { committing } = this;
    return this.holding > 0 || committing === 'gateway' || (committing !== undefined && this.home.segments.includes(committing));
  }

  leg(side: Side): Leg | undefined {
    return side === 'source' ? this.home : this.local;
  }

  noteStatement(buffer: Buffer, start: number, end: number): void {
    this.#noted ??= Buffer.allocUnsafeSlow(NOTED_BYTES);
    this.#notedBytes = buffer.copy(this.#noted, 0, start, Math.min(end, start + NOTED_BYTES));
  }

  get lastStatement(): string {
    return this.#noted?.toString('utf8', 0, this.#notedBytes) ?? '';
  }

  // Towards the client

  toClient(bytes: Buffer): void {
    if (!this.socket.write(bytes)) {
      for (const leg of [this.home, this.local, this.mysql]) leg?.clientBackpressure(true);
    }
  }

  notice(fields: ErrorFields): void {
    this.toClient(writeNotice(fields));
  }

  get status(): TransactionStatus {
    if (!this.tx) return 'I';
    return this.tx.failedOn === undefined ? 'T' : 'E';
  }

  ready(): void {
    this.toClient(readyForQuery(this.status));
  }

  // Towards the legs

  /** As `forward`, of a message that nobody keeps any part of: the memory that it came in is free once it has left. */
  passOn(leg: Leg): Verdict {
    this.passesOn = true;
    return this.forward(leg);
  }

  /** The message being handled goes to this leg as it is. */
  forward(leg: Leg): Verdict {
    if (this.#target !== leg) {
      this.scanner.flush();
      this.#target = leg;
    }
    return PASS;
  }

  /** Bytes of the gateway's own, in front of the message being handled. */
  send(leg: Leg, bytes: Buffer): void {
    this.scanner.flush();
    this.#target = leg;
    leg.write(bytes);
  }

  /** Data of a COPY follows its statement, whether or not the server has asked for it yet: some clients send both at once. */
  protected forwardCopyData(): Verdict {
    return this.passOn(this.#target ?? this.home);
  }

  /** The message being handled goes to this leg as `bytes`; `named`: relations are named otherwise in it. */
  sendRenamed(leg: Leg, segment: Segment, named: RenamedText | undefined, bytes: Buffer): Verdict {
    if (named) segment.named = named;
    this.send(leg, bytes);
    return CUT;
  }

  /** A segment that this message opens and closes. */
  closedSegment(leg: Leg): Segment {
    const segment = this.#newSegment(leg);
    segment.closed = true;
    return segment;
  }

  /** The unit's segment on this leg. */
  unitSegment(leg: Leg): Segment {
    const { unit } = this;
    if (!unit.segment) unit.leg = leg;
    return (unit.segment ??= this.#newSegment(leg));
  }

  #newSegment(leg: Leg): Segment {
    const segment = new Segment(this.now());
    segment.snapshot = this.services.view().snapshot;
    leg.expect(segment);
    return segment;
  }

  endUnit(): void {
    const unit = this.unit;
    if (unit.segment) unit.segment.closed = true;
    unit.leg = undefined;
    unit.segment = undefined;
    unit.executed = false;
    unit.onMysql = undefined;
    unit.wrote = false;
    unit.skipping = false;
  }

  // Reading

  /** Undefined while the text is being read elsewhere: the flow waits. */
  traitsAt(buffer: Buffer, start: number, end: number): TextTraits | undefined {
    if (this.largeText) return this.largeText;
    const facts = this.services.facts.facts(buffer, start, end);
    if (!(facts instanceof Promise)) return traitsOf(meantFacts(this.services.control, facts));
    void facts.then((read) => {
      this.largeText = traitsOf(meantFacts(this.services.control, read));
      this.proceed('facts');
    });
    this.wait('facts');
    return undefined;
  }

  // Waiting

  /** No answer to the client is under way. */
  get drained(): boolean {
    return this.sharing?.read === undefined && this.home.clientSegments === 0 && this.holding === 0 && (this.local === undefined || this.local.clientSegments === 0);
  }

  /** Leaves the message unconsumed. */
  wait(reason: WaitReason): Verdict {
    this.waiting = reason;
    return STOP;
  }

  /** STOP until every answer under way is complete; undefined when it is. */
  untilDrained(): Verdict | undefined {
    return this.drained ? undefined : this.wait('drain');
  }

  proceed(reason: WaitReason): void {
    if (this.waiting !== reason || this.ended) return;
    this.waiting = undefined;
    this.scanner.resume();
    this.flowClient();
    this.giveBack();
  }

  /** Pooled connections on which nothing is open are for others. */
  abstract giveBack(): void;

  abstract flowClient(): void;
  /** The unit's transaction goes on on another leg, or at the gateway. */
  abstract openImplicitBlock(): void;
  /** Something that a barrier may have waited for is over. */
  abstract unitEnded(): void;

  /** The message is consumed; the next one is handled once `done` has been called. */
  answerLater(start: (done: () => void) => void): Verdict {
    let finished = false;
    let suspended = false;
    start(() => {
      finished = true;
      if (!suspended) return;
      this.proceed('answer');
      this.unitEnded();
    });
    if (finished) return CUT;
    suspended = true;
    this.waiting = 'answer';
    this.scanner.pause();
    return CUT;
  }

  /** A query of the gateway's own, behind everything sent so far. */
  ask(leg: Leg, sql: string, callback: (reply: InternalReply) => void, images?: ImageTaker): void {
    this.scanner.flush();
    leg.ask(sql, this.now(), callback, images);
  }

  /** Ends the unit's stay on its leg, so that the gateway itself can answer in order; undefined when nothing is under way. */
  leaveLeg(simple: boolean): Verdict | undefined {
    const { unit } = this;
    if (unit.leg && unit.segment) {
      if (unit.executed && !this.tx && !simple) this.openImplicitBlock();
      unit.segment.swallowReady = true;
      unit.segment.plain = false;
      unit.segment.closed = true;
      this.send(unit.leg, sync);
      unit.leg = undefined;
      unit.segment = undefined;
    }
    return this.untilDrained();
  }

  /** Everything goes to the home leg as it is, transaction control included. */
  get raw(): boolean {
    const { tx } = this;
    if (this.exclusive || !this.services.view().trivial || (this.local !== undefined && this.local.clientSegments > 0)) return false;
    return tx === undefined || (tx.begun.source && !tx.begun.local && !tx.mysql.begun && tx.failedOn !== 'gateway');
  }

  /** What goes there has to wait until a connection has been lent. */
  get lacksConnection(): boolean {
    return this.carried !== undefined && !this.home.acquire();
  }

  /** The same for the next message of the unit: it has not begun on the other leg. */
  get rawUnit(): boolean {
    const { leg } = this.unit;
    return (leg === undefined || leg === this.home) && this.raw;
  }

  // Refusing

  /** Answers the message being handled with an error, as the server would: a transaction fails, the rest of a pipeline is dropped. */
  refuse(error: unknown, simple: boolean): Verdict {
    return this.refuseWith(errorFieldsOf(error), simple);
  }

  refuseWith(told: ErrorFields, simple: boolean): Verdict {
    const fields = this.partOf && told.position !== undefined ? { ...told, position: positionBefore(this.partOf, told.position) } : told;
    const { leg, segment } = this.unit;
    if (leg && segment && !simple) {
      // Executing a portal that is not there fails what the unit has done so far; the client gets our words for it.
      this.send(leg, execute(POISON_PORTAL));
      segment.plain = false;
      segment.replaceError = writeError(fields);
      this.unit.skipping = true;
      return CUT;
    }
    const stop = this.untilDrained();
    if (stop !== undefined) {
      this.refusal = fields;
      return stop;
    }
    this.services.runtime.metrics.count('scratchbird_gateway_errors_total', { code: /^MIG\d{3}/.exec(fields.message)?.[0] ?? fields.sqlstate });
    this.toClient(writeError(fields));
    if (this.tx) this.tx.failedOn ??= 'gateway';
    if (simple) this.ready();
    else this.unit.skipping = true;
    return CUT;
  }
}

const NOTED_BYTES = 200;
const POISON_PORTAL = 'causeway refused a statement';
