/**
 * What a session of `pool_mode pipeline` sends on connections that others use at the same time. RULES 28: only a unit that has come whole and ends by itself, that does nothing
 * but read, in built-in functions that leave nothing behind, of a session that is in no block and has nothing of its own on a connection.
 * Everything else goes the way of `pool_mode transaction`.
 */
import type { RoutingSnapshot, Side } from '../../../catalog/routing-snapshot.ts';
import { holdsNothing, isAllText, readUnit, takesText } from '../../wire/whole-unit.ts';
import type { WholeUnit } from '../../wire/whole-unit.ts';
import { readyForQuery } from '../../wire/backend-messages.ts';
import { writeError } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { bindTo, readParse } from '../../wire/frontend-messages.ts';
import type { LegRoute } from '../../route/route.ts';
import { canceledByUser } from '../client-error.ts';
import type { LocalNames } from '../local-names.ts';
import { declaredTypes } from '../local-values.ts';
import { parsedStatement } from '../parsed-statement.ts';
import type { PlaceStatement } from '../place-statement.ts';
import { isVerdict } from '../place-statement.ts';
import type { SessionCore } from '../session-core.ts';
import { traitsOf } from '../text-traits.ts';
import type { TextTraits } from '../text-traits.ts';
import type { PoolGroup } from './backend-pool.ts';
import type { Lanes } from './lanes.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import { PooledPlaces } from './pooled-statements.ts';
import { SharedRead } from './shared-read.ts';
import type { Reader } from './shared-read.ts';

/** Longer ones are not kept for being asked again. */
const MOST_BYTES = 16 * 1024;

export class Sharing implements Reader {
  readonly #core: SessionCore;
  readonly #place: PlaceStatement;
  readonly #names: LocalNames;
  readonly #settled: () => void;
  readonly #source: PoolGroup;
  #read: SharedRead | undefined;
  #lanes: Lanes | undefined;
  readonly #known: { source?: Lanes; local?: Lanes } = {};

  constructor(core: SessionCore, place: PlaceStatement, names: LocalNames, source: PoolGroup, settled: () => void) {
    this.#core = core;
    this.#place = place;
    this.#names = names;
    this.#source = source;
    this.#settled = settled;
  }

  /** What is under way. */
  get read(): SharedRead | undefined {
    return this.#read;
  }

  /** True when the chunk is a unit that is shared: then it is on its way. Asked only while nothing else of the session is. */
  take(chunk: Buffer): boolean {
    if (chunk.length > MOST_BYTES) return false;
    const unit = readUnit(chunk);
    return unit !== undefined && (unit.type === 'query' ? this.#query(chunk, unit) : this.#bound(chunk, unit));
  }

  #query(chunk: Buffer, { textStart, textEnd }: Extract<WholeUnit, { type: 'query' }>): boolean {
    const traits = this.#traitsAt(chunk, textStart, textEnd);
    const route = traits && this.#routeOf(traits);
    if (!traits || !route) return false;
    // The server forgets what it has parsed without a name.
    this.#core.statements.remove('');
    this.#core.noteStatement(chunk, textStart, textEnd);
    this.#send(traits, chunk, undefined, route);
    return true;
  }

  #bound(chunk: Buffer, unit: Extract<WholeUnit, { type: 'extended' }>): boolean {
    const core = this.#core;
    if (unit.parseLength > 0) return this.#parsed(chunk, unit);
    const statement = core.statements.get(unit.statement);
    if (!statement || !(statement.on instanceof PooledPlaces) || statement.origin.type !== 'parse') return false;
    const route = this.#routeOf(statement.traits);
    if (route?.leg === 'local' && !isAllText(chunk, 0, unit.bindLength) && !this.#holdsNoNumbers(statement, chunk, unit.bindLength)) return false;
    const prepared = route && statement.on.preparedOn(route.leg === 'local' ? 'local' : 'source', statement.origin.message);
    if (!route || !prepared) return false;
    const bound = bindTo(chunk, 0, unit.bindLength, prepared.name);
    this.#send(statement.traits, Buffer.concat([bound, chunk.subarray(unit.bindLength)]), prepared, route);
    return true;
  }

  /** Parsed for this once; the session has it from now on, as it would have on a connection of its own. */
  #parsed(chunk: Buffer, unit: Extract<WholeUnit, { type: 'extended' }>): boolean {
    const core = this.#core;
    const parts = readParse(chunk, 0, unit.parseLength);
    if (!parts || parts.name !== '' || unit.statement !== '') return false;
    const traits = this.#traitsAt(chunk, parts.textStart, parts.textEnd);
    const route = traits && this.#routeOf(traits);
    // Types have other numbers on local, and so has what stands in some values.
    if (!traits || !route || (route.leg === 'local' && !(holdsNothing(chunk, parts.textEnd + 1) && isAllText(chunk, unit.parseLength, unit.bindLength)))) return false;
    core.statements.add(parsedStatement(core, chunk, 0, unit.parseLength, parts, traits, undefined));
    core.noteStatement(chunk, parts.textStart, parts.textEnd);
    this.#send(traits, chunk, undefined, route);
    return true;
  }

  /** Binary values have the same bytes on both sides, unless they are arrays or composites of own types. What they are is known once local has described the statement. */
  #holdsNoNumbers(statement: PreparedStatement, chunk: Buffer, bindLength: number): boolean {
    const { numbers } = this.#core.services;
    if (numbers === undefined || statement.shape?.columns?.length !== 0) return false;
    if (takesText(chunk, 0, bindLength)) return true;
    const types = statement.shape.parameters ?? declaredTypes(statement);
    return types.length > 0 && types.every((type) => type !== 0 && numbers.shapeOf('source', type) === 'plain');
  }

  #traitsAt(buffer: Buffer, start: number, end: number): TextTraits | undefined {
    const facts = this.#core.services.facts.facts(buffer, start, end);
    return facts instanceof Promise ? undefined : traitsOf(facts);
  }

  #routeOf(traits: TextTraits): LegRoute | undefined {
    const core = this.#core;
    const { services } = core;
    if (traits.habits?.mayShare(core.now()) !== true) return undefined;
    const view = services.view();
    if (view.trivial) return homeRead;
    // What has to be asked first is asked on a connection of its own.
    if (core.contextDirty && traits.needsSearchPath) return undefined;
    const route = this.#place.route(traits, true);
    if (isVerdict(route) || route.type !== 'leg' || route.writes || route.after !== 'none' || route.compared) return undefined;
    const catalog = traits.single?.catalog;
    // Its parameters may say where it goes; on local, numbers of relations in it are put into local's on the way.
    if (catalog && (route.leg === 'local' || catalog.parameters.length > 0)) return undefined;
    if (route.leg !== 'local') return route;
    const isFresh = !core.trackPending && !core.notifiedBySource && (route.before === 'none' || !core.sourceSeen) && (route.mysqlCopies === undefined || !core.mysqlSeen);
    return isFresh && !this.#names.isRenamed(traits) ? route : undefined;
  }

  #send(traits: TextTraits, bytes: Buffer, prepared: SharedRead['prepared'], route: LegRoute): void {
    const core = this.#core;
    const { services } = core;
    const { habits } = traits;
    if (!habits) return;
    const side = route.leg === 'local' ? 'local' : 'source';
    const snapshot: RoutingSnapshot = core.decidedUnder ?? services.view().snapshot;
    core.decidedUnder = undefined;
    for (const table of route.touches) services.control.countRoute(table, route.label);
    this.#read = new SharedRead(this, side, habits, bytes, prepared, { startedAtMs: core.now(), touches: route.touches, snapshot });
    this.#lanes = this.#lanesOf(side);
    this.#lanes.add(this.#read);
  }

  #lanesOf(side: Side): Lanes {
    const { services, identity, carried } = this.#core;
    const known = this.#known[side];
    if (known && known.settings === carried?.settings) return known;
    const group = side === 'source' ? this.#source : services.pools.lender('local', services.legs.target('local', identity), identity);
    return (this.#known[side] = services.pools.lanes(group, carried?.asOfNow() ?? noSettings, side === 'local' ? services.numbers : undefined));
  }

  // Reader

  answer(bytes: Buffer): number {
    const { socket } = this.#core;
    socket.write(bytes);
    return socket.writableLength;
  }

  answered(): void {
    const core = this.#core;
    const read = this.#over();
    if (!read) return;
    if (read.side === 'source') core.sourceSeen = true;
    const nowMs = core.now();
    core.services.times.unitEnded(read.side, nowMs - read.startedAtMs);
    core.counts.unitEnded('I', read.startedAtMs, nowMs);
    core.unitEnded();
    this.#settled();
  }

  unanswered(fields: ErrorFields, fatal: boolean): void {
    const core = this.#core;
    if (!this.#over()) return;
    if (fatal) return core.fatal(fields);
    core.toClient(Buffer.concat([writeError(fields), readyForQuery('I')]));
    core.unitEnded();
    this.#settled();
  }

  #over(): SharedRead | undefined {
    const read = this.#read;
    this.#read = undefined;
    this.#lanes = undefined;
    return read;
  }

  /** True when there was something to cancel. */
  cancel(done: () => void): boolean {
    const lanes = this.#lanes;
    const read = this.#read;
    if (!lanes || !read) return false;
    if (!lanes.cancel(read, done)) this.unanswered(canceledByUser, false);
    return true;
  }

  /** The client reads again. */
  unblock(): void {
    if (this.#read) this.#lanes?.unblock(this.#read);
  }

  /** The client has gone. */
  drop(): void {
    const lanes = this.#lanes;
    const read = this.#over();
    if (read) lanes?.drop(read);
  }
}

const homeRead: LegRoute = { type: 'leg', leg: 'home', writes: false, touches: [], after: 'none', before: 'none', label: 'REMOTE' };
const noSettings = { settings: '', isTied: false, sql: () => 'RESET ALL' };
