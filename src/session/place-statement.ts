/**
 * From a statement to the leg that is ready to run it: decide the route under the right snapshot, then make what the route needs true,
 * one wait at a time. Called again from the start after each wait.
 */
import type { RoutingSnapshot, Side } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { OpenTransaction } from '../execute/open-transaction.ts';
import { refusals } from '../route/refusals.ts';
import type { LegRoute, Route, SessionContext, TransactionContext } from '../route/route.ts';
import { STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { beginOn } from './begin-on.ts';
import { BinaryCopies } from './binary-copies.ts';
import { IndexOwners } from './index-owners.ts';
import { LastValues } from './last-values.ts';
import type { Leg } from './leg.ts';
import type { LocalLeg } from './local-leg.ts';
import type { ReadIndex } from './read-index.ts';
import type { SessionCore } from './session-core.ts';
import { sideOf } from './prepared-statements.ts';
import { executedBy } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
import { MissingTables } from './missing-tables.ts';
import type { Parking } from './parking.ts';

/** `verdict` is what the flow has to return at once; else the statement goes to `leg`. */
export type Placement = { readonly verdict: Verdict } | { readonly verdict: undefined; readonly leg: Leg; readonly route: LegRoute };

const homeRoute: LegRoute = { type: 'leg', leg: 'home', writes: false, touches: [], after: 'none', before: 'none', label: 'REMOTE' };

export class PlaceStatement {
  readonly #core: SessionCore;
  readonly #localLeg: LocalLeg;
  readonly #readIndex: ReadIndex;
  readonly #parking: Parking;
  readonly #indexOwners: IndexOwners;
  readonly #missing: MissingTables;
  readonly #lastValues: LastValues;
  readonly #binaryCopies: BinaryCopies;

  constructor(core: SessionCore, localLeg: LocalLeg, readIndex: ReadIndex, parking: Parking) {
    this.#core = core;
    this.#localLeg = localLeg;
    this.#readIndex = readIndex;
    this.#parking = parking;
    this.#indexOwners = new IndexOwners(core, localLeg);
    this.#missing = new MissingTables(core);
    this.#lastValues = new LastValues(core);
    this.#binaryCopies = new BinaryCopies(core);
  }

  /** The route of a whole text, or the verdict to wait with. `control` and single `transaction_control` are not for a leg. */
  route(traits: TextTraits, simple: boolean): Route | Verdict {
    const side = this.#namedSide(traits);
    if (side) return { ...homeRoute, leg: side };
    const { carried, tx, unit } = this.#core;
    const stop = this.#contextFresh(traits, simple);
    if (stop !== undefined) return stop;
    const effective = this.#indexOwners.named(this.#effective(traits));
    if (typeof effective === 'number' || 'type' in effective) return effective;
    const route = this.#decide(effective);
    // A session's connection to the MySQL server is its own.
    if (traits.asksSequence && route.type !== 'mysql' && carried?.drewElsewhere(tx ?? unit.segment) === true) return valueOfAnotherConnection;
    if (route.type === 'refuse') return this.#ofMissing(route, effective) ?? route;
    return this.#lastValues.elsewhere(effective, route) ?? this.#binaryCopies.refused(effective, route) ?? route;
  }

  /** Of a query of catalogs that a Bind has just given its parameters; its text's own route was asked for before. */
  catalogRoute(traits: TextTraits, parameters: readonly (string | undefined)[]): Route {
    const core = this.#core;
    return core.services.routes.catalogRoute(traits.facts, core.services.view().snapshot, this.#context(), parameters);
  }

  /** Because of the sides of its tables, one of which may not be there at all. */
  #ofMissing({ code }: Extract<Route, { type: 'refuse' }>, traits: TextTraits): Route | Verdict | undefined {
    if (code !== 'MIG080' && code !== 'MIG081') return undefined;
    const found = this.#missing.among(traits);
    if (typeof found !== 'boolean') return found;
    return found ? homeRoute : undefined;
  }

  /** The route of a text that has taken the place of one whose route was asked for just before: names are known as they were for that. */
  routeOfRewritten(traits: TextTraits): Route {
    return this.#decide(traits);
  }

  /** `runs` is false for a Parse or Describe, which reads no rows. */
  place(route: Route, simple: boolean, runs: boolean): Placement {
    switch (route.type) {
      case 'refuse':
        return { verdict: this.#core.refuse(new MigrationError(route.code, route.message, { detail: route.detail, hint: route.hint }), simple) };
      case 'park':
        return { verdict: this.#parking.park(route.touches) };
      case 'control':
      case 'transaction_control':
      case 'both_legs':
        return this.#onLeg(homeRoute, simple, runs);
      case 'leg':
        return this.#onLeg(route, simple, runs);
      case 'hybrid':
      case 'mysql':
        return { verdict: this.#core.refuse(alone, simple) };
      default:
        return route satisfies never;
    }
  }

  /** For what may have to be done on local, too, whichever way it is. Undefined: local is ready, or cannot be had. */
  localIfPossible(simple: boolean): Verdict | undefined {
    const { local, carried } = this.#core;
    if (this.#localLeg.down && !local?.backend) return undefined;
    if (!local) this.#localLeg.openInBackground();
    if (!local || (carried && !local.acquire())) return this.#core.wait('leg');
    return this.#localLeg.bringUp(local, simple);
  }

  #onLeg(route: LegRoute, simple: boolean, runs: boolean): Placement {
    const core = this.#core;
    const side: Side = route.leg === 'local' ? 'local' : 'source';
    const leg = core.leg(side);
    const isAway = core.carried !== undefined && side === 'local' && leg?.backend === undefined && this.#localLeg.down;
    if (!leg || isAway) return { verdict: this.#localLeg.open(simple) };
    // What is under way on the other leg may change the settings that a connection has to have.
    const busy = this.#freeOfOtherLeg(leg, simple);
    if (busy === undefined && core.carried && !leg.acquire()) return { verdict: core.wait('leg') };
    const stop = busy ?? (side === 'local' ? this.#localReady(route, leg, simple, runs) : undefined);
    if (stop !== undefined) return { verdict: stop };
    // The unit's own statements go on: what waits for them to be answered would wait for a Sync that stands behind it.
    if (core.exclusive && !core.unit.segment) return { verdict: core.wait('drain') };
    beginOn(core, leg);
    this.#parking.unpark();
    return { verdict: undefined, leg, route };
  }

  /** The other leg's answers come first. */
  #freeOfOtherLeg(leg: Leg, simple: boolean): Verdict | undefined {
    const core = this.#core;
    const { unit } = core;
    if (unit.leg && unit.leg !== leg) {
      // In a block a Sync of our own ends nothing: the unit goes on over there.
      return core.leaveLeg(simple) ?? core.wait('drain');
    }
    const other = leg === core.home ? core.local : core.home;
    // A commit that is held back is the home leg's, whose further answers stay behind it by themselves; and the unit may have been sent there in part.
    return other && (other.clientSegments > 0 || (core.holding > 0 && leg !== core.home)) ? core.wait('drain') : undefined;
  }

  #localReady(route: LegRoute, leg: Leg, simple: boolean, runs: boolean): Verdict | undefined {
    const core = this.#core;
    // A notification that comes while a statement waits is behind it: many of them must not make it wait for ever.
    const isNotified = core.notifiedBySource && !this.#readIndex.takeDone();
    if (!runs) return this.#localLeg.bringUp(leg, simple);
    if (core.trackPending || (route.before === 'read_index' && (core.sourceSeen || isNotified))) return this.#readIndex.start();
    if (route.mysqlCopies && core.mysqlSeen) return this.#readIndex.startOnMysql(route.mysqlCopies);
    return this.#localLeg.bringUp(leg, simple);
  }

  #contextFresh(traits: TextTraits, simple: boolean): Verdict | undefined {
    const core = this.#core;
    if (!core.contextDirty || !traits.needsSearchPath || core.tx?.failedOn !== undefined || core.services.view().trivial) return undefined;
    if (core.unit.segment && core.unit.leg === core.home) return undefined;
    return this.#localLeg.refreshContext(simple);
  }

  /** Where a cursor was declared, and where a statement is prepared that the source does not have. */
  #namedSide(traits: TextTraits): Side | undefined {
    const { single } = traits;
    if (single?.objectName === undefined) return undefined;
    if (single.kind === 'fetch' || single.kind === 'close_cursor') return this.#core.cursors.get(single.objectName);
    const named = single.kind === 'deallocate' ? this.#core.statements.get(single.objectName) : undefined;
    return named && sideOf(named);
  }

  /** EXECUTE goes where the statement behind the name goes. */
  #effective(traits: TextTraits): TextTraits {
    const name = executedBy(traits.single);
    const behind = name === undefined ? undefined : this.#core.statements.get(name)?.traits;
    return behind ? (behind.inner ?? behind) : traits;
  }

  /**
   * Tables that the transaction has touched keep the route of the snapshot under which it first did: a barrier over them cannot have passed. A
   * table that it has not touched may have moved since it began, and is routed as it is now.
   */
  #decide(traits: TextTraits): Route {
    const { mysql } = this.#core;
    const { single } = traits;
    const route = this.#decided(traits);
    if (!single?.flags.usesLastval || mysql === undefined || mysql.numbers.latest === 'nothing' || route.type === 'refuse' || route.type === 'park') return route;
    if (mysql.numbers.latest === 'unclear') return refusals.lastvalElsewhere(true);
    if (route.type === 'mysql') return { ...route, otherwise: undefined };
    const isAlone = [single.reads, single.writes, single.sequencesRead, single.sequencesWritten, single.functions].every((list) => list.length === 0);
    return isAlone ? { type: 'mysql', writes: false, touches: [], label: 'REMOTE', otherwise: undefined } : refusals.lastvalElsewhere(false);
  }

  #decided(traits: TextTraits): Route {
    const core = this.#core;
    const { facts } = traits;
    const now = core.services.view().snapshot;
    const context = this.#context();
    const tx = core.tx;
    const decide = (snapshot: RoutingSnapshot): Route => {
      core.decidedUnder = snapshot;
      return core.services.routes.decide(facts, snapshot, context);
    };
    if (traits.single?.flags.usesLastval && core.lastWrite === 'local' && core.mysql?.numbers.latest !== 'server' && traits.single.reads.length === 0) return { ...homeRoute, leg: 'local' };
    if (!tx) {
      const route = decide(now);
      const { segment, onMysql } = core.unit;
      const under = segment?.touchedUnder ?? onMysql?.under;
      // A barrier over tables that this unit has touched waits for the unit: it must get through to its Sync.
      const isWaitedFor = route.type === 'park' && route.touches.every((table) => segment?.touches.includes(table) === true || onMysql?.touches.includes(table) === true);
      return isWaitedFor && under ? decide(under) : route;
    }
    if (tx.snapshot === now) return decide(now);
    // Announced, and on no leg yet: it begins now.
    if (tx.sides.length === 0) {
      tx.beginUnder(now);
      return decide(now);
    }
    const first = decide(tx.snapshot);
    if (!runs(first)) return decide(now);
    const under = tx.routedUnder(first.touches);
    if (under === tx.snapshot) return first;
    const pinned = under && decide(under);
    if (pinned && runs(pinned)) return pinned;
    const current = decide(now);
    const draining = current.type === 'park' ? this.#drainingUnder(tx, current.touches, now) : undefined;
    if (draining) return decide(draining);
    if (context.transaction?.isolation === 'read committed' || !(tx.begun.source || tx.mysql.begun)) return current;
    if (current.type === 'mysql' && first.type === 'mysql') return decide(tx.snapshot);
    if (current.type === 'leg' && first.type === 'leg' && current.leg === first.leg) return decide(tx.snapshot);
    return first.writes ? movedUnderneath : decide(tx.snapshot);
  }

  /**
   * A transaction that has touched one table of a barrier is one that the barrier waits for: it must get through to the others (RULES 21), where
   * they were when it touched that one.
   */
  #drainingUnder(tx: OpenTransaction, waitedFor: readonly string[], now: RoutingSnapshot): RoutingSnapshot | undefined {
    const barrierOf = (table: string): number | undefined => now.tables[table]?.barrier;
    const touched = [...tx.routed.keys()].filter((table) => barrierOf(table) !== undefined);
    const isDraining = waitedFor.every((table) => touched.some((other) => barrierOf(other) === barrierOf(table)));
    return isDraining ? tx.routedUnder(touched.filter((table) => waitedFor.some((other) => barrierOf(other) === barrierOf(table)))) : undefined;
  }

  #context(): SessionContext {
    const core = this.#core;
    return {
      searchPath: core.searchPath,
      temporaryTables: core.temporaryTables,
      transaction: core.tx ? core.tx.context(core.defaults) : this.#implicitTransaction(),
      mysql: core.mysql && (core.mysql.hasSeen ? 'seen' : 'reachable'),
      leaseValid: core.services.control.leaseValid && !core.lagging && !this.#localLeg.down,
    };
  }

  /** A pipeline that has run something is a transaction until its Sync. */
  #implicitTransaction(): TransactionContext | undefined {
    const { unit, defaults } = this.#core;
    if (!unit.executed || !unit.leg) return undefined;
    const { side } = unit.leg;
    const isUsed = unit.segment?.needsSide === true;
    return { ...defaults, wroteOn: unit.wrote ? side : undefined, usedLegs: { source: isUsed && side === 'source', local: isUsed && side === 'local' }, holdsLocks: unit.wrote };
  }
}

export function isVerdict(value: Route | Verdict): value is Verdict {
  return value === STOP || typeof value === 'number';
}

const valueOfAnotherConnection: Route = {
  type: 'refuse', code: 'MIG089', message: 'currval and lastval ask the connection that has drawn the value, and this session shares its connections',
  detail: 'In pool modes transaction and pipeline another session may have drawn one on it since.', hint: 'Use RETURNING, or ask in the transaction that draws the value; or give the user pool_mode session.',
};

const movedUnderneath: Route = {
  type: 'refuse', code: 'MIG083', message: 'could not serialize access: a table has changed sides since the transaction began',
  detail: 'The transaction runs at REPEATABLE READ or above, and its snapshot is older than the change.', hint: 'Run the transaction again.',
};

const alone = new MigrationError('MIG080', 'a statement over tables of both sides cannot run here', { detail: 'What it executes was prepared in a text with other statements, or with parameters of types that only one side knows.', hint: 'Prepare it again, by itself.' });

function runs(route: Route): route is Extract<Route, { type: 'leg' | 'hybrid' | 'mysql' }> {
  return route.type === 'leg' || route.type === 'hybrid' || route.type === 'mysql';
}
