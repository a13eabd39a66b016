/**
 * The extended protocol: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 *
 * A unit is what stands between two Syncs. It runs on one leg; statements that are not on that leg yet are parsed there first, and the answers to that are
 * swallowed. What the gateway answers itself (transaction control over legs, migration statements) it answers in order, when nothing is under way.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { bindComplete, closeComplete, noData, noParameters, parseComplete } from '../wire/backend-messages.ts';
import type { Segment } from '../execute/segment.ts';
import type { Route } from '../route/route.ts';
import { CUT, PASS, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { afterName, closeStatement, describeStatement, FrontendType, readName, readParse, sync } from '../wire/frontend-messages.ts';
import { account } from './account.ts';
import { askForXid } from './ask-for-xid.ts';
import { alreadyPrepared, tooManyStatements, transactionAborted } from './client-error.ts';
import { onlyReads } from './control-answer.ts';
import { ensureParsed } from './ensure-parsed.ts';
import { HybridExtended } from './hybrid/hybrid-extended.ts';
import { endImplicitBlock } from './implicit-block.ts';
import type { Leg } from './leg.ts';
import { parameterTexts } from './catalog-numbers.ts';
import { columnsOf, GatewayPortals, Portals } from './gateway-portals.ts';
import { LocalValues } from './local-values.ts';
import { parseForLeg } from './parse-for-leg.ts';
import { parsedStatement } from './parsed-statement.ts';
import { nameOn, noStatement, PooledPlaces } from './pool/pooled-statements.ts';
import { boundTraits, sideOf } from './prepared-statements.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import { isVerdict } from './place-statement.ts';
import { sendBind } from './send-bind.ts';
import type { SessionCore } from './session-core.ts';
import type { Flows } from './simple-query.ts';
import { isTransactionControl } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
import { CapturedWrites } from './two-phase/captured-writes.ts';

const KIND_STATEMENT = 0x53;

export class ExtendedQuery {
  readonly #core: SessionCore;
  readonly #flows: Flows;
  readonly #portals: Portals;
  readonly #atGateway: GatewayPortals;
  readonly #hybrid: HybridExtended;
  readonly #values: LocalValues;
  readonly #captured: CapturedWrites;

  constructor(core: SessionCore, flows: Flows) {
    this.#core = core;
    this.#flows = flows;
    this.#portals = new Portals(core);
    this.#atGateway = new GatewayPortals(core, flows, this.#portals);
    this.#hybrid = new HybridExtended(core, flows);
    this.#values = new LocalValues(core);
    this.#captured = new CapturedWrites(core, flows);
  }

  parse(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const parts = readParse(buffer, start, length);
    if (!parts) return this.#toSomeLeg();
    const traits = core.traitsAt(buffer, parts.textStart, parts.textEnd);
    if (!traits) return STOP;
    core.noteStatement(buffer, parts.textStart, parts.textEnd);
    const isRaw = (traits.plain || traits.unread) && core.rawUnit;
    if (isRaw && core.lacksConnection) return core.wait('leg');
    const leg = isRaw ? core.home : this.#legForParse(traits, parts.name);
    if (typeof leg === 'number') return leg;
    const early = leg && !traits.plain ? this.#flows.prepared.forText(traits, leg, false) : undefined;
    if (early !== undefined) return early;
    const named = leg && this.#flows.names.isFor(leg, traits) && this.#flows.names.textFor(leg, traits, buffer.subarray(parts.textStart, parts.textEnd), false);
    if (typeof named === 'number') return named;
    const message = leg?.side === 'local' ? parseForLeg(core, leg, buffer, start, length, parts, named || undefined) : undefined;
    if (typeof message === 'number') return message;
    const bytes = buffer.subarray(start, start + length);
    if (core.carried && parts.name !== '' && core.status !== 'E' && core.statements.get(parts.name)) return core.refuseWith(alreadyPrepared(parts.name), false);
    const statement = parsedStatement(core, buffer, start, length, parts, traits, leg);
    if (!core.statements.add(statement)) return core.refuse(tooManyStatements(core.statements.limitBytes), false);
    if (!leg) return this.#answer(parseComplete);
    const segment = core.unitSegment(leg);
    // The server refuses a name that is taken, and keeps what it has.
    if ((parts.name !== '' || core.carried) && core.statements.get(parts.name) === statement) segment.parses(statement, false);
    segment.parsesSent += 1;
    if (statement.on instanceof PooledPlaces) return core.sendRenamed(leg, segment, named || undefined, statement.on.parseOn(leg.side, typeof message === 'object' ? message : bytes, core.status === 'E'));
    return typeof message === 'object' ? core.sendRenamed(leg, segment, named || undefined, message) : core.passOn(leg);
  }

  bind(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const end = start + length;
    const portal = readName(buffer, start + 5, end) ?? '';
    const name = readName(buffer, afterName(buffer, start + 5, end), end) ?? '';
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const traits = boundTraits(statement);
    if (portal === '') this.#captured.unbound();
    if ((traits.plain || traits.unread) && core.rawUnit) {
      if (core.lacksConnection) return core.wait('leg');
      if (core.carried) ensureParsed(core, this.#flows, core.home, statement);
      if (statement.on.source) {
        if (traits.unread) this.#flows.effects.unknown();
        return this.#bound(core.home, portal, statement, buffer, start, length);
      }
    }
    if (traits.control || this.#isForGateway(traits)) {
      const stop = core.leaveLeg(false);
      if (stop !== undefined) return stop;
      this.#portals.set(portal, statement, 'gateway');
      return this.#answer(bindComplete);
    }
    if (core.tx?.failedOn !== undefined) return this.#bindInFailedBlock(statement, portal, buffer, start, length);
    let route = this.#routeOfBind(statement, buffer.subarray(start, end));
    if (!isVerdict(route) && route.type === 'mysql') route = this.#atGateway.mysql.bind(route, statement, buffer.subarray(start, end), (made) => this.#portals.set(portal, statement, 'gateway', undefined, made));
    if (isVerdict(route)) return route;
    if (route.type === 'hybrid') return this.#hybrid.bind(route, statement, buffer, start, length, (leg) => this.#boundOn(leg, portal, statement, this.#values.formats(leg, traits, buffer, start, length)));
    const captured = this.#captured.bind(route, statement, buffer, start, length, (leg) => this.#boundOn(leg, portal, statement));
    if (captured !== undefined) return captured;
    const stays = !core.tx && core.unit.executed && !traits.statements.some(({ flags }) => flags.sessionEffect || flags.advisoryLock);
    const placement = this.#flows.place.place(stays ? this.#staying(route) : route, false, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const stop = (traits.plain ? undefined : this.#flows.prepared.forText(traits, leg, false)) ?? ensureParsed(core, this.#flows, leg, statement);
    if (stop !== undefined) return stop;
    const message = this.#values.bind(leg, statement, buffer, start, length);
    if (typeof message === 'number') return message;
    account(core, placement.route, leg, core.unitSegment(leg), traits.hasCopyFrom);
    if (placement.route.compared) core.services.shadow.bound(core, core.unitSegment(leg), placement.route.compared, statement, Buffer.copyBytesFrom(buffer, start, length));
    this.#boundOn(leg, portal, statement, this.#values.formats(leg, traits, buffer, start, length));
    return sendBind(core, leg, statement, buffer, start, length, message);
  }

  execute(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const name = readName(buffer, start + 5, start + length) ?? '';
    const portal = this.#portals.get(name);
    if (!portal) return this.#noted(this.#toSomeLeg(), (leg) => this.#values.execute(leg, name));
    if (portal.at === 'gateway') return this.#atGateway.execute(name, portal, buffer.readInt32BE(start + length - 4), buffer[start + length] === FrontendType.sync);
    const leg = this.#legOf(portal.at);
    if (typeof leg === 'number') return leg;
    const captured = this.#captured.execute(leg, name, buffer.readInt32BE(start + length - 4));
    if (captured !== undefined) return captured;
    const { statement } = portal;
    const segment = core.unitSegment(leg);
    segment.prepares = undefined;
    if (statement && !statement.traits.plain) {
      const taken = this.#flows.prepared.taken(boundTraits(statement).single, leg);
      if (taken) return core.refuseWith(taken, false);
      this.#beforeExecute(statement, leg, segment);
    }
    segment.carries ||= core.carried?.hasPending ?? false;
    this.#values.execute(leg, name, portal);
    return core.passOn(leg);
  }

  describe(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const name = readName(buffer, start + 6, start + length) ?? '';
    const captured = buffer[start + 5] === KIND_STATEMENT ? this.#captured.leaves(false) : this.#captured.describe(name);
    if (captured !== undefined) return captured;
    const verdict = buffer[start + 5] === KIND_STATEMENT ? this.#describeStatement(name) : this.#describePortal(name);
    if (core.unit.segment) core.unit.segment.described = true;
    return verdict;
  }

  #describePortal(name: string): Verdict {
    const portal = this.#portals.get(name);
    if (portal?.at === 'gateway') return this.#atGateway.describe(portal, name);
    return this.#noted(portal ? this.#toLeg(portal.at) : this.#toSomeLeg(), (leg) => this.#values.describe(leg, portal?.formats && portal.statement));
  }

  close(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const name = readName(buffer, start + 6, start + length) ?? '';
    if (buffer[start + 5] === KIND_STATEMENT) return this.#closeStatement(name);
    const portal = this.#portals.get(name);
    if (portal && portal.at !== 'gateway') {
      const verdict = this.#toLeg(portal.at);
      if (verdict !== STOP) this.#portals.forget(name);
      return verdict;
    }
    if (!portal) return this.#toSomeLeg();
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    this.#portals.forget(name);
    return this.#answer(closeComplete);
  }

  flush(): Verdict {
    return this.#core.unit.leg ? this.#core.passOn(this.#core.unit.leg) : CUT;
  }

  sync(): Verdict {
    const core = this.#core;
    const { unit } = core;
    const ended = endImplicitBlock(core, this.#flows.control);
    if (ended !== undefined) return ended;
    if (unit.leg && unit.segment) {
      const { leg, segment } = unit;
      if (segment.after === 'xid' && !unit.skipping) askForXid(core, leg);
      core.endUnit();
      return core.passOn(leg);
    }
    if (!core.tx && !unit.skipping && core.raw && !core.carried) {
      core.closedSegment(core.home);
      core.endUnit();
      return core.passOn(core.home);
    }
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    if (!core.tx) core.mysql?.portalsEnded();
    core.endUnit();
    core.ready();
    return CUT;
  }

  /** The leg is gone: what it held cannot be executed any more. */
  legLost(side: Side): void {
    for (const [name, portal] of this.#core.portals) if (portal.at === side) this.#core.portals.delete(name);
    this.#portals.lost(side);
  }

  // Where to

  /** Undefined: the gateway answers. */
  #legForParse(traits: TextTraits, name: string): Leg | undefined | Verdict {
    const core = this.#core;
    const taken = name === '' ? undefined : core.statements.get(name);
    const takenOn = taken && sideOf(taken);
    // Who has the name refuses it.
    if (takenOn) return this.#legOf(takenOn);
    if (taken) return core.refuseWith(alreadyPrepared(name), false);
    if (traits.control || this.#isForGateway(traits)) return core.leaveLeg(false);
    if (core.tx?.failedOn !== undefined) return this.#failedLeg() ?? core.refuseWith(transactionAborted, false);
    const route = this.#flows.place.route(traits, false);
    if (isVerdict(route)) return route;
    if (route.type === 'hybrid' || route.type === 'mysql') return core.leaveLeg(false);
    const placement = this.#flows.place.place(this.#staying(route), false, false);
    return placement.verdict ?? placement.leg;
  }

  /** What needs nothing of either side runs where its unit is. */
  #staying(route: Route): Route {
    const { leg } = this.#core.unit;
    return leg && route.type === 'leg' && route.leg === 'home' ? { ...route, leg: leg.side } : route;
  }

  #isForGateway(traits: TextTraits): boolean {
    return traits.single !== undefined && isTransactionControl(traits.single) && !this.#flows.control.forwards(traits.single);
  }

  /** What a query of catalogs asks about may stand in its parameters. */
  #routeOfBind(statement: PreparedStatement, bind: Buffer): Route | Verdict {
    const { traits } = statement;
    const route = this.#flows.place.route(traits, false);
    const isOpen = !isVerdict(route) && route.type === 'leg' && route.leg === 'home' && (traits.single?.catalog?.parameters.length ?? 0) > 0;
    return isOpen ? this.#flows.place.catalogRoute(traits, parameterTexts(statement, bind)) : route;
  }

  #failedLeg(): Leg | Verdict | undefined {
    const failedOn = this.#core.tx?.failedOn;
    return failedOn === 'source' || failedOn === 'local' ? this.#legOf(failedOn) : undefined;
  }

  /** That leg, once the unit may use it. */
  #legOf(side: Side): Leg | Verdict {
    const core = this.#core;
    if (core.unit.leg?.side === side) return core.unit.leg;
    const placement = this.#flows.place.place({ type: 'leg', leg: side, writes: false, touches: [], after: 'none', before: 'none', label: 'REMOTE' }, false, false);
    return placement.verdict ?? placement.leg;
  }

  /** A message about nothing that is known here: a server says what is wrong with it. */
  #toSomeLeg(): Verdict {
    const core = this.#core;
    return this.#toLeg(core.unit.leg?.side ?? (core.tx && !core.tx.begun.source && core.tx.begun.local ? 'local' : 'source'));
  }

  /** `pooled`: what goes in place of the message on a pooled connection; `note` is told of the leg first. */
  #toLeg(side: Side, pooled?: () => Buffer, note?: (leg: Leg) => void): Verdict {
    const core = this.#core;
    const leg = this.#legOf(side);
    if (typeof leg === 'number') return leg;
    core.unitSegment(leg);
    note?.(leg);
    if (!core.carried || !pooled) return core.passOn(leg);
    core.send(leg, pooled());
    return CUT;
  }

  /** What has passed may have an answer that has to be read. */
  #noted(verdict: Verdict, note: (leg: Leg) => void): Verdict {
    const { leg } = this.#core.unit;
    if (verdict === PASS && leg) note(leg);
    return verdict;
  }

  #answer(bytes: Buffer): Verdict {
    this.#core.toClient(bytes);
    return CUT;
  }

  // Statements

  #describeStatement(name: string): Verdict {
    const core = this.#core;
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const traits = boundTraits(statement);
    if (traits.control || this.#isForGateway(traits)) {
      const stop = core.leaveLeg(false);
      if (stop !== undefined) return stop;
      if (!traits.control || !onlyReads(statement.sql ?? '')) return this.#answer(Buffer.concat([noParameters, noData]));
      return this.#atGateway.run(statement, (result) => {
        statement.described = result;
        core.toClient(Buffer.concat([noParameters, columnsOf(result)]));
      });
    }
    if (!statement.on.source && !statement.on.local && core.tx?.failedOn === undefined) {
      let route = this.#flows.place.route(traits, false);
      if (!isVerdict(route) && route.type === 'mysql') route = this.#atGateway.mysql.describe(route, statement);
      if (isVerdict(route)) return route;
      if (route.type === 'hybrid') return this.#hybrid.describe(route, statement, (leg) => this.#values.describe(leg, undefined));
    }
    const here = core.unit.leg;
    const late = here && ensureParsed(core, this.#flows, here, statement);
    if (late !== undefined) return late;
    const to = (side: Side): Verdict => this.#toLeg(side, () => describeStatement(nameOn(statement, side)), (leg) => this.#values.describe(leg, statement));
    if (here) return to(here.side);
    if (statement.on.source || statement.on.local) return to(statement.on.source ? 'source' : 'local');
    const leg = this.#legOf('source');
    if (typeof leg === 'number') return leg;
    return ensureParsed(core, this.#flows, leg, statement) ?? to('source');
  }

  #closeStatement(name: string): Verdict {
    const core = this.#core;
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const { on, shapeOn } = statement;
    const side: Side | undefined = core.unit.leg?.side ?? sideOf(statement);
    if (side === undefined) {
      const stop = core.untilDrained();
      if (stop !== undefined) return stop;
      core.statements.remove(name);
      return this.#answer(closeComplete);
    }
    // One that SQL knows by the client's name is on the session's own connection.
    const isShared = on instanceof PooledPlaces && name !== '' && !on.underOwnName[side];
    const verdict = this.#toLeg(side, isShared ? () => closeStatement(noStatement) : undefined);
    if (verdict === STOP || (verdict === CUT && !isShared)) return verdict;
    core.statements.remove(name);
    if (isShared) return verdict;
    const other = core.leg(side === 'source' ? 'local' : 'source');
    if (other && (on[other.side] || shapeOn === other.side)) other.askRaw(Buffer.concat([closeStatement(name), sync]), core.now());
    return verdict;
  }

  #beforeExecute(statement: PreparedStatement, leg: Leg, segment: Segment): void {
    const core = this.#core;
    const traits = boundTraits(statement);
    const { single } = traits;
    if (single && isTransactionControl(single)) this.#flows.control.predict(single, statement.sql ?? '', segment);
    const [known, version] = [core.statements.size, core.stateVersion];
    // What no leg was given as it is, is over both sides.
    this.#flows.effects.apply(traits, leg, () => statement.sql ?? '', !statement.on[leg.side]);
    segment.changedSession ||= core.stateVersion !== version;
    if (single?.kind === 'prepare' && core.statements.size > known) segment.prepares = single.objectName;
    // The Sync of the client may come before its data; nothing else may until the COPY is over.
    if (traits.hasCopyFrom) core.exclusive = true;
  }

  // Portals

  #bound(leg: Leg, portal: string, statement: PreparedStatement, buffer: Buffer, start: number, length: number): Verdict {
    this.#boundOn(leg, portal, statement);
    return sendBind(this.#core, leg, statement, buffer, start, length);
  }

  #boundOn(leg: Leg, portal: string, statement: PreparedStatement, formats?: Buffer): void {
    const core = this.#core;
    const segment = core.unitSegment(leg);
    core.unit.executed = true;
    segment.bindsSent += 1;
    if (core.carried && statement.traits.mayDraw) core.carried.drawnIn = core.tx ?? segment;
    this.#portals.set(portal, statement, leg.side, formats);
  }

  #bindInFailedBlock(statement: PreparedStatement, portal: string, buffer: Buffer, start: number, length: number): Verdict {
    const leg = this.#failedLeg();
    if (typeof leg === 'number') return leg;
    if (!leg || !statement.on[leg.side]) return this.#core.refuseWith(transactionAborted, false);
    return this.#bound(leg, portal, statement, buffer, start, length);
  }
}
