/**
 * One logged-in client: its socket, its legs, and the order in which their messages meet.
 *
 * States: live → ended (the client left, a leg was lost, the gateway shuts down). Ending closes the legs and drops every wait.
 */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Segment } from '../execute/segment.ts';
import { writeError } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { CUT, STOP } from '../wire/framing.ts';
import { FrontendType as F } from '../wire/frontend-messages.ts';
import type { Verdict } from '../wire/framing.ts';
import { cancelBusy } from './cancel-busy.ts';
import { canceledByUser, errorFieldsOf, protocolError } from './client-error.ts';
import { ClientInput } from './client-input.ts';
import { CommitWait } from './commit-wait.ts';
import { ControlAnswer } from './control-answer.ts';
import type { HoldingUnit } from './control-port.ts';
import { ExtendedQuery } from './extended-query.ts';
import { holdingUnit, holdsTables } from './holds-tables.ts';
import { openImplicitBlock } from './implicit-block.ts';
import { HybridStatements } from './hybrid/hybrid-statement.ts';
import { Backend } from './backend.ts';
import type { Admitted, CancelKey } from './handshake.ts';
import { Leg } from './leg.ts';
import type { Borrowing } from './leg-connection.ts';
import type { LegOwner } from './leg-owner.ts';
import { CarriedState } from './pool/carried-state.ts';
import { LocalNames } from './local-names.ts';
import { LocalLeg } from './local-leg.ts';
import { Parking } from './parking.ts';
import type { ParkingLot } from './parking.ts';
import { PlaceStatement } from './place-statement.ts';
import { ReadIndex } from './read-index.ts';
import type { Services } from './services.ts';
import { SessionCore } from './session-core.ts';
import type { ClientIdentity } from './session-parts.ts';
import { Sharing } from './pool/sharing.ts';
import { SessionEffects } from './session-effects.ts';
import { SqlPrepared } from './sql-prepared.ts';
import { SimpleQuery } from './simple-query.ts';
import { TransactionControl } from './transaction-control.ts';
import { UnitEnds } from './unit-ends.ts';

export interface SessionHost extends ParkingLot {
  /** A unit has ended that a barrier may have waited for. */
  unitEnded(): void;
  sessionEnded(session: ClientSession): void;
}

const nothingCarried: Borrowing = { settings: '', isTied: false, sql: () => '' };
const refusable: ReadonlySet<number> = new Set([F.query, F.parse, F.bind, F.execute, F.describe, F.close]);

export class ClientSession extends SessionCore implements LegOwner {
  readonly home: Leg;
  readonly cancelKey: CancelKey;
  readonly parking: Parking;
  readonly #host: SessionHost;
  readonly #localLeg: LocalLeg;
  readonly #input = new ClientInput(this);
  readonly #names = new LocalNames(this);
  readonly #readIndex: ReadIndex;
  readonly #commitWait: CommitWait;
  readonly #control: TransactionControl;
  readonly #hybrid: HybridStatements;
  readonly #simple: SimpleQuery;
  readonly #extended: ExtendedQuery;
  readonly #unitEnds: UnitEnds;
  readonly sharing: Sharing | undefined;
  /** Unit in which the client has sent the end of its COPY data. */
  #copyEndedIn: Segment | undefined;
  #legsFull = 0;
  #givesBack = false;

  constructor(services: Services, identity: ClientIdentity, client: Pick<Admitted, 'socket' | 'target' | 'home' | 'cancelKey'>, host: SessionHost) {
    const { socket, target, home, cancelKey } = client;
    const isOwn = 'socket' in home;
    super(services, identity, socket, isOwn ? undefined : new CarriedState());
    this.#host = host;
    this.cancelKey = cancelKey;
    this.home = new Leg('source', isOwn ? new Backend(target, home, this.now()) : home, this);
    this.parking = new Parking(this, host, (fields) => this.#failWaiting(fields));
    this.#localLeg = new LocalLeg(this, this);
    this.#readIndex = new ReadIndex(this);
    this.#commitWait = new CommitWait(this);
    this.#control = new TransactionControl(this, this.#commitWait);
    const place = new PlaceStatement(this, this.#localLeg, this.#readIndex, this.parking);
    this.#hybrid = new HybridStatements(this, place, this.#commitWait);
    const flows = {
      place, hybrid: this.#hybrid, control: this.#control, answer: new ControlAnswer(this), effects: new SessionEffects(this, this.#localLeg), names: this.#names,
      prepared: new SqlPrepared(this, this.#names), mysql: this.#hybrid.mysql,
    };
    this.#simple = new SimpleQuery(this, flows);
    this.#extended = new ExtendedQuery(this, flows);
    if (!isOwn && services.pools.options.modeOf(identity.user, identity.database) === 'pipeline') this.sharing = new Sharing(this, place, this.#names, home, () => this.#settled());
    this.#unitEnds = new UnitEnds(this, this.#commitWait, this.#control, () => this.#settled());
  }

  /** Takes the socket over from the handshake; `early` is what has come behind its last message. */
  start(early: Buffer): void {
    this.socket.on('drain', () => {
      this.sharing?.unblock();
      for (const leg of [this.home, this.local, this.mysql]) leg?.clientBackpressure(false);
    });
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('close', () => this.#end());
    if (early.length > 0) this.receive(early);
    this.#input.read(this.socket, this.services.readBuffers);
  }

  receive(chunk: Buffer): void {
    if (this.sharing && this.#mayShare && this.sharing.take(chunk)) return this.#input.handled(false);
    if (this.services.times.isDue() && this.drained) this.#receiveMeasured(chunk);
    else this.scanner.push(chunk);
    if (this.scanner.paused) this.flowClient();
  }

  /** Nothing else of the session is under way, and no connection has anything of its own. */
  get #mayShare(): boolean {
    const { carried, unit } = this;
    return this.waiting === undefined && !this.tx && this.mysql?.copyIn === undefined && carried?.tiedBy === undefined && carried?.hasPending === false && this.scanner.buffered === 0 && !this.scanner.paused
      && unit.segment === undefined && !unit.skipping && this.refusal === undefined && this.drained;
  }

  #receiveMeasured(chunk: Buffer): void {
    const from = this.now();
    this.scanner.push(chunk);
    const leg = this.home.clientSegments > 0 ? this.home : this.local;
    if (leg?.clientSegments === 1 && this.waiting === undefined) leg.measure(this.now() - from);
  }

  get holdsInput(): boolean {
    return this.scanner.buffered > 0 || this.home.hasUnwritten || (this.local?.hasUnwritten ?? false);
  }

  measured(leg: Leg, ms: number): void {
    this.services.times.overhead(leg.side, ms);
  }

  /** While the session waits, a bounded part of its input is read ahead, so that a client that leaves is noticed. */
  flowClient(): void {
    if (this.ended) return;
    const full = this.#legsFull > 0 || (this.scanner.paused && this.scanner.buffered > this.services.limits.readAheadBytes);
    if (full) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
  }

  openImplicitBlock(): void {
    openImplicitBlock(this);
  }

  unitEnded(): void {
    this.#host.unitEnded();
  }

  clientMessage(type: number, buffer: Buffer, start: number, length: number): Verdict {
    this.passesOn = false;
    // The answer of what is shared comes first.
    if (this.sharing?.read) return type === F.terminate ? this.#dispatch(type, buffer, start, length) : this.wait('drain');
    if (this.refusal && refusable.has(type)) {
      const fields = this.refusal;
      const isInText = type === F.query && this.#simple.isInText;
      this.refusal = undefined;
      this.parking.unpark();
      const verdict = this.refuseWith(fields, type === F.query && !isInText);
      if (!isInText || verdict === STOP) return this.#done(verdict);
    }
    return this.#done(this.#dispatch(type, buffer, start, length));
  }

  #done(verdict: Verdict): Verdict {
    this.#input.handled(this.passesOn);
    if (verdict === STOP) {
      // It may wait for long.
      this.giveBack();
      return verdict;
    }
    this.#names.consumed();
    this.#hybrid.consumed();
    this.largeText = undefined;
    // A session that does nothing for hours must not keep the snapshot of an epoch long gone.
    this.decidedUnder = undefined;
    this.giveBack();
    return verdict;
  }

  /** Later: a leg may be in the middle of what its connection has sent. */
  giveBack(): void {
    if (!this.carried || this.#givesBack) return;
    this.#givesBack = true;
    queueMicrotask(() => {
      this.#givesBack = false;
      this.home.giveBack();
      this.local?.giveBack();
    });
  }

  #dispatch(type: number, buffer: Buffer, start: number, length: number): Verdict {
    const copied = this.mysql?.copyIn?.message(type, buffer, start, length);
    if (copied !== undefined) return copied;
    switch (type) {
      case F.query:
        return this.#simple.handle(buffer, start, length);
      case F.parse:
        return this.#extended.parse(buffer, start, length);
      case F.bind:
        return this.#extended.bind(buffer, start, length);
      case F.execute:
        return this.#extended.execute(buffer, start, length);
      case F.describe:
        return this.#extended.describe(buffer, start, length);
      case F.sync:
        return this.#extended.sync();
      case F.close:
        return this.#extended.close(buffer, start, length);
      case F.flush:
        return this.#extended.flush();
      case F.copyData:
        return this.forwardCopyData();
      case F.copyDone: case F.copyFail:
        this.#copyEndedIn = this.unit.segment;
        return this.forwardCopyData();
      case F.functionCall:
        return this.#simple.functionCall();
      case F.terminate:
        // A client that says goodbye has read what it wanted; what it has sent before is still carried out.
        this.scanner.flush();
        this.#end(true);
        return CUT;
      default:
        this.protocolViolation(`invalid frontend message type ${type}`);
        return CUT;
    }
  }

  protocolViolation(reason: string): void {
    this.fatal(protocolError('08P01', reason));
  }

  fatal(fields: ErrorFields): void {
    if (this.ended) return;
    this.toClient(writeError(fields));
    this.#end();
  }

  // LegOwner

  get clientBehind(): boolean {
    return this.socket.writableLength > 0;
  }

  legBackpressure(full: boolean): void {
    this.#legsFull = full || this.home.writeBlocked || (this.local?.writeBlocked ?? false) ? 1 : 0;
    this.flowClient();
  }

  segmentEnded(leg: Leg, segment: Segment, ending: Buffer): Verdict {
    return this.#unitEnds.segmentEnded(leg, segment, ending);
  }

  #settled(): void {
    if (!this.drained) return;
    this.exclusive = false;
    this.#hybrid.settled();
    this.giveBack();
    // A portal of theirs may live as long as the block.
    if (!this.tx) this.ownStatements.close(this.now());
    if (this.waiting === 'drain') {
      // Not from inside the leg's scan: the answer's last bytes leave first.
      queueMicrotask(() => {
        if (this.waiting === 'drain' && this.drained) this.proceed('drain');
      });
    }
  }

  copyInStarted(leg: Leg, segment: Segment): void {
    // In COPY mode the server drops a Sync that came before the data: the client's next one ends the unit.
    if (segment.closed && !this.unit.segment && segment.bindsSent > 0 && segment !== this.#copyEndedIn) {
      segment.closed = false;
      this.unit.leg = leg;
      this.unit.segment = segment;
      this.unit.executed = true;
    }
  }

  parameterChanged(leg: Leg, name: string): void {
    if (leg === this.home && name === 'search_path') this.contextDirty = true;
  }

  legReady(): void {
    this.proceed('leg');
  }

  legRefused(leg: Leg, fields: ErrorFields): void {
    if (leg.hasUnsent || (leg === this.home && fields.severity === 'FATAL')) return this.fatal({ ...fields, severity: 'FATAL' });
    if (leg === this.home) this.refusal = fields;
    else this.#localLeg.refused(fields.detail ?? fields.message);
    this.proceed('leg');
  }

  get borrowing(): Borrowing {
    return this.carried ?? nothingCarried;
  }

  keepsConnection(leg: Leg): boolean {
    const { carried, waiting, tx } = this;
    if (!carried || carried.tiedBy !== undefined || (carried.hasPending && leg === this.home) || this.holding > 0 || this.unit.leg === leg || tx?.begun[leg.side] === true) return true;
    return waiting !== undefined && waiting !== 'park' && waiting !== 'drain' && waiting !== 'leg';
  }

  legClosed(leg: Leg, fatalSeen: boolean): void {
    if (this.ended) return;
    if (leg === this.local && leg.idle && this.tx?.begun.local !== true && !fatalSeen) {
      this.#extended.legLost('local');
      this.#localLeg.closed();
      return;
    }
    if (!fatalSeen) this.toClient(writeError(errorFieldsOf(new MigrationError('MIG002', `the connection to ${leg.side} was lost`, { hint: 'Connect again.' }), 'FATAL')));
    this.#end();
  }

  // From outside

  /** A CancelRequest with this session's key; `done` once no server can be hit by it any more. */
  cancel(done: () => void = () => undefined): void {
    if (this.sharing?.cancel(done)) return;
    const isWaiting = this.#commitWait.giveUp();
    if (!isWaiting && (this.#readIndex.giveUp() || this.waiting === 'park' || (this.waiting === 'leg' && this.carried))) this.#failWaiting(canceledByUser);
    else if (!isWaiting) {
      this.#hybrid.cancel();
      return cancelBusy([this.home, this.local, this.mysql], done);
    }
    done();
  }

  giveUpCommitWait(): boolean {
    return this.#commitWait.giveUp();
  }

  /** The newest snapshot is another one, or the lease has come or gone. */
  routingChanged(): void {
    this.#commitWait.routingChanged();
    this.proceed('park');
  }

  /** Gives a parked transaction up for one that it blocks (RULES 21); a unit outside a block holds nothing and goes on waiting. */
  failParked(): boolean {
    if (this.waiting !== 'park' || (!this.tx && !this.unit.segment)) return false;
    this.#failWaiting(errorFieldsOf(new MigrationError('MIG083')));
    this.services.runtime.metrics.count('scratchbird_gateway_serialization_failures_total', { cause: 'barrier' });
    return true;
  }

  #failWaiting(fields: ErrorFields): void {
    if (this.ended) return;
    this.refusal = fields;
    this.proceed('park');
    this.proceed('visible');
    this.proceed('leg');
  }

  shutDown(): void {
    this.fatal({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection due to administrator command' });
  }

  holds(tables: ReadonlySet<string>, epoch: number): boolean {
    return holdsTables(this, tables, epoch);
  }

  describe(): HoldingUnit {
    return holdingUnit(this);
  }

  get snapshot(): RoutingSnapshot {
    return this.tx?.snapshot ?? this.services.view().snapshot;
  }

  /** A COMMIT that has been sent is not taken back, whatever ends the session. */
  #end(polite = this.isCommitting): void {
    if (this.ended) return;
    this.ended = true;
    this.sharing?.drop();
    this.scanner.stop();
    this.parking.unpark();
    this.#commitWait.drop();
    this.openRows?.rollback();
    this.#readIndex.drop();
    this.#localLeg.drop();
    for (const leg of [this.home, this.local, this.mysql]) {
      if (polite) leg?.end();
      else leg?.abandon();
    }
    this.socket.end();
    // A client that does not read its last answer must not keep the socket.
    setTimeout(() => this.socket.destroy(), 5_000).unref();
    this.#host.sessionEnded(this);
    this.#host.unitEnded();
  }
}
