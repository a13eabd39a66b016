/**
 * The extended protocol: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 *
 * A unit is what stands between two Syncs. It runs on one leg; statements that are not on that leg yet are parsed there first, and the answers to
 * that are swallowed. What the gateway answers itself (transaction control over legs, migration statements) it answers in order, when nothing is
 * under way.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { bindComplete, closeComplete, noData, noParameters, parseComplete } from '../wire/backend-messages.ts';
import type { Route } from '../route/route.ts';
import { ownCopy } from '../wire/own-copy.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { afterName, bind, closeStatement, execute, parse, readName, readParse, sync } from '../wire/frontend-messages.ts';
import { transactionAborted } from './client-error.ts';
import { onlyReads } from './control-answer.ts';
import { HybridExtended } from './hybrid/hybrid-extended.ts';
import { endImplicitBlock } from './implicit-block.ts';
import { keptBytes } from './kept-bytes.ts';
import type { Leg } from './leg.ts';
import { columnsOf, GatewayPortals, Portals } from './gateway-portals.ts';
import { parseForLeg } from './parse-for-leg.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import { isVerdict } from './place-statement.ts';
import type { SessionCore } from './session-core.ts';
import type { Flows } from './simple-query.ts';
import { isTransactionControl } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
import { xidSql } from './transaction-control.ts';
import { CapturedWrites } from './two-phase/captured-writes.ts';

const XID_PORTAL = 'causeway_xid';
const KIND_STATEMENT = 0x53;

export class ExtendedQuery {
  readonly #core: SessionCore;
  readonly #flows: Flows;
  readonly #portals: Portals;
  readonly #atGateway: GatewayPortals;
  readonly #hybrid: HybridExtended;
  readonly #captured: CapturedWrites;

  constructor(core: SessionCore, flows: Flows) {
    this.#core = core;
    this.#flows = flows;
    this.#portals = new Portals(core);
    this.#atGateway = new GatewayPortals(core, flows, this.#portals);
    this.#hybrid = new HybridExtended(core, flows);
    this.#captured = new CapturedWrites(core, flows);
  }

  parse(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const parts = readParse(buffer, start, length);
    if (!parts) return this.#toSomeLeg();
    const traits = core.traitsAt(buffer, parts.textStart, parts.textEnd);
    if (!traits) return STOP;
    core.lastStatement = keptBytes(buffer, parts.textStart, Math.min(parts.textEnd, parts.textStart + 200));
    const leg = (traits.plain || traits.unread) && core.rawUnit ? core.home : this.#legForParse(traits, parts.name);
    if (typeof leg === 'number') return leg;
    const named = leg && this.#flows.names.isFor(leg) && this.#flows.names.textFor(leg, traits, buffer.subarray(parts.textStart, parts.textEnd), false);
    if (typeof named === 'number') return named;
    const message = leg?.side === 'local' ? parseForLeg(core, leg, buffer, start, length, parts, named || undefined) : undefined;
    if (typeof message === 'number') return message;
    const bytes = buffer.subarray(start, start + length);
    const kept = traits.plain ? undefined : buffer.toString('utf8', parts.textStart, parts.textEnd);
    const statement: PreparedStatement = {
      name: parts.name, origin: { type: 'parse', message: parts.name === '' ? keptBytes(buffer, start, start + length) : ownCopy(bytes) }, traits, sql: kept,
      on: { source: leg?.side === 'source', local: leg?.side === 'local' }, described: undefined,
    };
    if (!core.statements.add(statement)) return core.refuse(tooManyStatements(core.statements.limitBytes), false);
    if (!leg) return this.#answer(parseComplete);
    const segment = core.unitSegment(leg);
    // The server refuses a name that is taken, and keeps what it has.
    if (parts.name !== '' && core.statements.get(parts.name) === statement) {
      (segment.parsedNames ??= new Map()).set(segment.parsesSent, parts.name);
      segment.plain = false;
    }
    segment.parsesSent += 1;
    return typeof message === 'object' ? core.sendParse(leg, segment, named || undefined, message) : core.forward(leg);
  }

  bind(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const end = start + length;
    const portal = readName(buffer, start + 5, end) ?? '';
    const name = readName(buffer, afterName(buffer, start + 5, end), end) ?? '';
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const { traits } = statement;
    if (portal === '') this.#captured.unbound();
    if (traits.plain && statement.on.source && core.rawUnit) return this.#bound(core.home, portal, statement);
    if (traits.unread && statement.on.source && core.rawUnit) {
      this.#flows.effects.unknown();
      return this.#bound(core.home, portal, statement);
    }
    if (traits.control || this.#isForGateway(traits)) {
      const stop = core.leaveLeg(false);
      if (stop !== undefined) return stop;
      this.#portals.set(portal, statement, 'gateway');
      return this.#answer(bindComplete);
    }
    if (core.tx?.failedOn !== undefined) return this.#bindInFailedBlock(statement, portal);
    const route = this.#flows.place.route(traits);
    if (isVerdict(route)) return route;
    if (route.type === 'hybrid') return this.#hybrid.bind(route, statement, buffer, start, length, (leg) => this.#boundOn(leg, portal, statement));
    const captured = this.#captured.bind(route, statement, buffer, start, length, (leg) => this.#boundOn(leg, portal, statement));
    if (captured !== undefined) return captured;
    const stays = !core.tx && core.unit.executed && !traits.statements.some(({ flags }) => flags.sessionEffect || flags.advisoryLock);
    const placement = this.#flows.place.place(stays ? this.#staying(route) : route, false, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const stop = this.#ensureParsed(leg, statement);
    if (stop !== undefined) return stop;
    core.account(placement.route, leg, core.unitSegment(leg), traits.hasCopyFrom);
    if (placement.route.compared) core.services.shadow.bound(core, core.unitSegment(leg), placement.route.compared, statement, buffer.subarray(start, end));
    return this.#bound(leg, portal, statement);
  }

  execute(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const name = readName(buffer, start + 5, start + length) ?? '';
    const portal = this.#portals.get(name);
    if (!portal) return this.#toSomeLeg();
    if (portal.at === 'gateway') return this.#atGateway.execute(name, portal, buffer.readInt32BE(start + length - 4));
    const leg = this.#legOf(portal.at);
    if (typeof leg === 'number') return leg;
    const captured = this.#captured.execute(leg, name, buffer.readInt32BE(start + length - 4));
    if (captured !== undefined) return captured;
    const { statement } = portal;
    if (statement && !statement.traits.plain) this.#beforeExecute(statement, leg);
    core.unitSegment(leg);
    return core.forward(leg);
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
    return portal ? this.#toLeg(portal.at) : this.#toSomeLeg();
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
    const { leg } = this.#core.unit;
    return leg ? this.#core.forward(leg) : CUT;
  }

  sync(): Verdict {
    const core = this.#core;
    const { unit } = core;
    const ended = endImplicitBlock(core, this.#flows.control);
    if (ended !== undefined) return ended;
    if (unit.leg && unit.segment) {
      const { leg, segment } = unit;
      if (segment.after === 'xid' && !unit.skipping) this.#askForXid(leg);
      core.endUnit();
      return core.forward(leg);
    }
    if (!core.tx && !unit.skipping && core.raw) {
      core.closedSegment(core.home);
      core.endUnit();
      return core.forward(core.home);
    }
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
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
    if (traits.control || this.#isForGateway(traits)) return core.leaveLeg(false);
    const taken = name === '' ? undefined : core.statements.get(name);
    if (taken?.on.source && !core.unit.leg) return this.#legOf('source');
    if (core.tx?.failedOn !== undefined) return this.#failedLeg() ?? core.refuseWith(transactionAborted, false);
    const route = this.#flows.place.route(traits);
    if (isVerdict(route)) return route;
    if (route.type === 'hybrid') return core.leaveLeg(false);
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

  #toLeg(side: Side): Verdict {
    const leg = this.#legOf(side);
    if (typeof leg === 'number') return leg;
    this.#core.unitSegment(leg);
    return this.#core.forward(leg);
  }

  #answer(bytes: Buffer): Verdict {
    this.#core.toClient(bytes);
    return CUT;
  }

  // Statements

  #ensureParsed(leg: Leg, statement: PreparedStatement): Verdict | undefined {
    if (statement.on[leg.side]) return undefined;
    const core = this.#core;
    const { origin, traits } = statement;
    const parts = origin.type === 'parse' ? readParse(origin.message, 0, origin.message.length) : undefined;
    const text = origin.type === 'sql' ? Buffer.from(origin.text) : origin.message.subarray(parts?.textStart, parts?.textEnd);
    const named = this.#flows.names.textFor(leg, traits, text, false);
    if (typeof named === 'number') return named;
    const message = origin.type === 'parse' && parts ? parseForLeg(core, leg, origin.message, 0, origin.message.length, parts, named) : undefined;
    if (typeof message === 'number') return message;
    statement.on[leg.side] = true;
    if (origin.type === 'parse') {
      const segment = core.unitSegment(leg);
      segment.injectParse();
      core.sendParse(leg, segment, named, message ?? origin.message);
    } else if (origin.text !== '' && !core.unit.segment) core.ask(leg, (named?.bytes ?? text).toString(), () => undefined);
    return undefined;
  }

  #describeStatement(name: string): Verdict {
    const core = this.#core;
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const { traits } = statement;
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
      const route = this.#flows.place.route(traits);
      if (isVerdict(route)) return route;
      if (route.type === 'hybrid') return this.#hybrid.describe(route, statement);
    }
    const here = core.unit.leg;
    const late = here && this.#ensureParsed(here, statement);
    if (late !== undefined) return late;
    if (here) return this.#toLeg(here.side);
    if (statement.on.source || statement.on.local) return this.#toLeg(statement.on.source ? 'source' : 'local');
    const leg = this.#legOf('source');
    if (typeof leg === 'number') return leg;
    return this.#ensureParsed(leg, statement) ?? this.#toLeg('source');
  }

  #closeStatement(name: string): Verdict {
    const core = this.#core;
    const statement = core.statements.get(name);
    if (!statement) return this.#toSomeLeg();
    const { on } = statement;
    const side: Side | undefined = core.unit.leg?.side ?? (on.source ? 'source' : on.local ? 'local' : undefined);
    if (side === undefined) {
      const stop = core.untilDrained();
      if (stop !== undefined) return stop;
      core.statements.remove(name);
      return this.#answer(closeComplete);
    }
    const verdict = this.#toLeg(side);
    if (verdict === STOP || verdict === CUT) return verdict;
    core.statements.remove(name);
    const other = core.leg(side === 'source' ? 'local' : 'source');
    if (other && on[other.side]) other.askRaw(Buffer.concat([closeStatement(name), sync]), core.now());
    return verdict;
  }

  #beforeExecute(statement: PreparedStatement, leg: Leg): void {
    const core = this.#core;
    const { single } = statement.traits;
    if (single && isTransactionControl(single)) this.#flows.control.predict(single, statement.sql ?? '', core.unitSegment(leg));
    this.#flows.effects.apply(statement.traits, leg, () => statement.sql ?? '');
    // The Sync of the client may come before its data; nothing else may until the COPY is over.
    if (statement.traits.hasCopyFrom) core.exclusive = true;
  }

  // Portals

  #bound(leg: Leg, portal: string, statement: PreparedStatement): Verdict {
    this.#boundOn(leg, portal, statement);
    return this.#core.forward(leg);
  }

  #boundOn(leg: Leg, portal: string, statement: PreparedStatement): void {
    const core = this.#core;
    const segment = core.unitSegment(leg);
    core.unit.executed = true;
    segment.bindsSent += 1;
    this.#portals.set(portal, statement, leg.side);
  }

  #bindInFailedBlock(statement: PreparedStatement, portal: string): Verdict {
    const leg = this.#failedLeg();
    if (typeof leg === 'number') return leg;
    if (!leg || !statement.on[leg.side]) return this.#core.refuseWith(transactionAborted, false);
    return this.#bound(leg, portal, statement);
  }

  /** Behind the unit's own messages, in its transaction; the answers are swallowed. */
  #askForXid(leg: Leg): void {
    const core = this.#core;
    const segment = core.unitSegment(leg);
    const messages: Buffer[] = [];
    let name = leg.xid.name;
    if (name === undefined) {
      name = leg.xid.next();
      segment.xidParse = { ordinal: segment.parsesSent, name };
      segment.injectParse();
      messages.push(parse(name, xidSql(leg)));
    }
    segment.injectBind();
    core.send(leg, Buffer.concat([...messages, bind(XID_PORTAL, name), execute(XID_PORTAL)]));
  }
}

function tooManyStatements(limit: number): MigrationError {
  return new MigrationError('MIG085', 'the session keeps too many prepared statements', { detail: `Their texts may take ${limit} bytes.`, hint: 'Close statements that are no longer used, or raise maxStatementBytes.' });
}
