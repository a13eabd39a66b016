/** Simple queries: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY */
import { randomBytes } from 'node:crypto';
import { modesOf } from '../execute/open-transaction.ts';
import { strongerWait } from '../execute/segment.ts';
import type { Segment } from '../execute/segment.ts';
import type { AfterWrite } from '../route/route.ts';
import { commandComplete } from '../wire/backend-messages.ts';
import { ownCopy } from '../wire/own-copy.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { Verdict } from '../wire/framing.ts';
import { extendQuery, queryOf } from '../wire/frontend-messages.ts';
import { account } from './account.ts';
import { transactionAborted } from './client-error.ts';
import type { ControlAnswer } from './control-answer.ts';
import { endBeforeQuery } from './implicit-block.ts';
import { requestOf } from './hybrid/hybrid-statement.ts';
import type { HybridStatements } from './hybrid/hybrid-statement.ts';
import type { Leg } from './leg.ts';
import type { LocalNames } from './local-names.ts';
import { MysqlPrepared } from './mysql-tables/mysql-prepared.ts';
import type { MysqlStatements } from './mysql-tables/mysql-statements.ts';
import type { PlaceStatement } from './place-statement.ts';
import { deallocateByName } from './pool/by-name.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import { isVerdict } from './place-statement.ts';
import type { SessionCore } from './session-core.ts';
import type { SessionEffects } from './session-effects.ts';
import { ofPart, runsOneByOne, SeveralStatements } from './several-statements.ts';
import type { Part } from './several-statements.ts';
import type { SqlPrepared } from './sql-prepared.ts';
import { executedBy, isTransactionControl } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
import { finishesPrepared } from './transaction-answers.ts';
import { xidSql } from './transaction-control.ts';
import type { TransactionControl } from './transaction-control.ts';
import { CapturedWrites } from './two-phase/captured-writes.ts';

export interface Flows {
  readonly place: PlaceStatement;
  readonly control: TransactionControl;
  readonly answer: ControlAnswer;
  readonly effects: SessionEffects;
  readonly names: LocalNames;
  readonly hybrid: HybridStatements;
  readonly prepared: SqlPrepared;
  readonly mysql: MysqlStatements;
}

export class SimpleQuery {
  readonly #core: SessionCore;
  readonly #flows: Flows;
  readonly #several: SeveralStatements;
  /** Column name by which the appended query's answer is known; no client can guess it. */
  #nonce: Buffer | undefined;
  readonly #captured: CapturedWrites;
  readonly #prepared: MysqlPrepared;

  constructor(core: SessionCore, flows: Flows) {
    this.#core = core;
    this.#flows = flows;
    this.#prepared = new MysqlPrepared(core, flows.mysql);
    this.#captured = new CapturedWrites(core, flows);
    this.#several = new SeveralStatements(core, flows.control, (part) => this.#statement(part.traits, none, 0, 0, part), () => {
      flows.names.consumed();
      flows.hybrid.consumed();
    });
  }

  handle(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (this.#several.isRunning) return this.#several.resume();
    if (core.unit.skipping) return CUT;
    const ended = endBeforeQuery(core, this.#flows.control);
    if (ended !== undefined) return ended;
    if (buffer[start + length - 1] !== 0) return this.#raw(core.home);
    const traits = core.traitsAt(buffer, start + 5, start + length - 1);
    if (!traits) return STOP;
    core.noteStatement(buffer, start + 5, start + length - 1);
    if ((traits.plain || traits.unread) && core.raw && !core.unit.segment) {
      if (core.lacksConnection) return core.wait('leg');
      // While no table migrates everything goes there anyway.
      if (traits.unread) this.#flows.effects.unknown();
      if (core.carried && traits.mayDraw) core.carried.drawnIn = core.tx;
      return this.#raw(core.home);
    }
    const text = (): string => buffer.toString('utf8', start + 5, start + length - 1);
    const forgotten = core.carried && deallocateByName(core, traits);
    if (forgotten !== undefined) return forgotten;
    const stop = this.#leavesPipeline(traits);
    if (stop !== undefined) return stop;
    if (core.unit.segment) return this.#endsPipeline(core.unit.leg ?? core.home, core.unit.segment, traits, buffer.subarray(start + 5, start + length - 1));
    if (traits.control) return this.#migration(traits, text());
    if (traits.single && isTransactionControl(traits.single)) return this.#transactionControl(traits, text);
    if (core.tx?.failedOn !== undefined) return this.#inFailedBlock(traits, buffer.subarray(start + 5, start + length - 1));
    return this.#statement(traits, buffer, start, length);
  }

  /** In the middle of a text whose statements are run one by one: what it is refused with does not end the message. */
  get isInText(): boolean {
    return this.#several.isRunning;
  }

  /** The fast path of old, which large objects use: a function of the source, in the block that is open; it may have written there. */
  functionCall(): Verdict {
    const core = this.#core;
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    const failedOn = core.tx?.failedOn;
    if (failedOn !== undefined && failedOn !== 'source') return core.refuseWith(transactionAborted, true);
    const placement = this.#flows.place.place(functionOfSource, true, true);
    if (placement.verdict !== undefined) return placement.verdict;
    account(core, placement.route, placement.leg, core.closedSegment(placement.leg), false);
    return core.passOn(placement.leg);
  }

  #raw(leg: Leg): Verdict {
    this.#core.closedSegment(leg);
    return this.#core.passOn(leg);
  }

  /** A Query that cannot go where the pipeline before it is: that ends first. With nothing run in it, it is over without a trace. */
  #leavesPipeline(traits: TextTraits): Verdict | undefined {
    const core = this.#core;
    const { unit } = core;
    if (unit.segment?.images) return core.leaveLeg(false);
    if (!unit.segment || core.services.view().trivial) return undefined;
    if (!unit.executed) return core.leaveLeg(true);
    if (core.tx?.failedOn !== undefined || traits.control) return undefined;
    const route = this.#flows.place.route(traits, true);
    if (isVerdict(route)) return route;
    const stays = (route.type === 'leg' && (route.leg === 'home' || route.leg === unit.leg?.side)) || route.type === 'transaction_control' || route.type === 'both_legs';
    return stays ? undefined : core.leaveLeg(false);
  }

  /** A Query in the middle of a pipeline ends it, like a Sync. */
  #endsPipeline(leg: Leg, segment: Segment, traits: TextTraits, text: Buffer): Verdict {
    const core = this.#core;
    const named = this.#flows.names.textFor(leg, traits, text, true);
    if (typeof named === 'number') return named;
    const verdict = named ? core.sendRenamed(leg, segment, named, queryOf(named.bytes)) : core.passOn(leg);
    core.endUnit();
    return verdict;
  }

  #migration(traits: TextTraits, sql: string): Verdict {
    const core = this.#core;
    const route = traits.facts.type === 'migration' ? undefined : this.#flows.place.route(traits, true);
    if (route !== undefined && isVerdict(route)) return route;
    if (route?.type === 'refuse') return this.#flows.place.place(route, true, true).verdict ?? CUT;
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    if (core.tx?.failedOn !== undefined) return core.refuseWith(transactionAborted, true);
    return core.answerLater((done) => this.#flows.answer.simple(sql, () => {
      core.ready();
      done();
    }));
  }

  #transactionControl(traits: TextTraits, text: () => string): Verdict {
    const core = this.#core;
    const { single } = traits;
    if (!single) return CUT;
    if (this.#flows.control.forwards(single)) {
      if (core.exclusive || (core.local !== undefined && core.local.clientSegments > 0)) return core.wait('drain');
      this.#flows.control.predict(single, text(), core.closedSegment(core.home));
      return core.passOn(core.home);
    }
    const stop = core.untilDrained() ?? (finishesPrepared(single) && !core.tx ? this.#flows.place.localIfPossible(true) : undefined);
    if (stop !== undefined) return stop;
    return core.answerLater((done) => this.#flows.control.run(single, text(), (answer) => {
      core.toClient(answer);
      core.ready();
      done();
    }));
  }

  #inFailedBlock(traits: TextTraits, text: Buffer): Verdict {
    const core = this.#core;
    if (traits.hasTransactionControl) return this.#several.start(text, traits);
    const failedOn = core.tx?.failedOn;
    const leg = failedOn === 'source' || failedOn === 'local' ? core.leg(failedOn) : undefined;
    if (!leg) return core.refuseWith(transactionAborted, true);
    return core.drained ? this.#raw(leg) : core.wait('drain');
  }

  /** `part`: of several in a text, which are run one by one. */
  #statement(traits: TextTraits, buffer: Buffer, start: number, length: number, part?: Part): Verdict {
    const core = this.#core;
    const { place, hybrid: hybrids, prepared, names, effects } = this.#flows;
    const simple = part === undefined;
    const unmade = prepared.onNoLeg(traits.single);
    if (unmade) return this.#deallocate(unmade, simple);
    let route = place.route(traits, simple);
    if (isVerdict(route)) return route;
    const bytes = part ? part.text.bytes : buffer.subarray(start + 5, start + length - 1);
    if (!part && runsOneByOne(core, traits, route)) return this.#several.start(bytes, traits);
    if (route.type === 'mysql' && simple && traits.single?.kind === 'copy_from') return this.#flows.mysql.copyIn(route, bytes);
    const later = part && ((): Verdict => this.#several.answersLater());
    if (route.type === 'mysql') route = this.#prepared.query(traits, route, bytes, simple, later) ?? this.#flows.mysql.query(route, bytes, simple, later);
    if (isVerdict(route)) return route;
    const captured = part ? undefined : this.#captured.query(traits, route, bytes);
    if (captured !== undefined) return captured;
    const request = route.type === 'hybrid' ? requestOf(core, traits, bytes) : undefined;
    const hybrid = route.type === 'hybrid' && request ? hybrids.prepare(route, { ...request, simple }) : undefined;
    if (typeof hybrid === 'number') return hybrid;
    const placement = place.place(hybrid?.way.route ?? route, simple, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const named = hybrid?.text ?? (names.isFor(leg, traits) ? names.textFor(leg, traits, bytes, simple) : undefined);
    if (typeof named === 'number') return named;
    const taken = prepared.taken(traits.single, leg);
    if (taken) return core.refuseWith(taken, simple);
    const stop = hybrid ? undefined : prepared.forText(traits, leg, simple);
    if (stop !== undefined) return stop;
    const known = core.statements.size;
    const version = core.stateVersion;
    effects.apply(traits, leg, () => bytes.toString('utf8'), hybrid !== undefined);
    const segment = core.closedSegment(leg);
    segment.changedSession = core.stateVersion !== version;
    segment.carries = core.carried?.hasPending ?? false;
    if (core.carried && traits.mayDraw) core.carried.drawnIn = core.tx;
    if (traits.single?.kind === 'prepare' && core.statements.size > known) segment.prepares = traits.single.objectName;
    const txBefore = core.tx;
    account(core, placement.route, leg, segment, false);
    if (placement.route.compared && executedBy(traits.single) === undefined) core.services.shadow.queried(core, segment, placement.route.compared, Buffer.from(bytes));
    if (traits.hasTransactionControl) this.#controlsItself(traits, segment, strongerWait(txBefore?.after ?? 'none', placement.route.after));
    const verdict = part ? this.#sendPart(leg, segment, ofPart(part, named)) : this.#send(leg, segment, named, buffer, start, length);
    if (hybrid) hybrids.sent(hybrid);
    return verdict;
  }

  /** A text with its own BEGIN or COMMIT among other statements. */
  #controlsItself(traits: TextTraits, segment: Segment, after: AfterWrite): void {
    segment.modes = modesOf(traits.statements);
    if (after !== 'xid' && after !== 'position') return;
    segment.holdFor('position');
    this.#core.exclusive = true;
  }

  /** No server has it: the gateway has answered its Parse. */
  #deallocate(statement: PreparedStatement, simple: boolean): Verdict {
    const core = this.#core;
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    core.statements.remove(statement.name);
    core.toClient(commandComplete('DEALLOCATE'));
    if (simple) core.ready();
    return CUT;
  }

  /** The message that it stands in goes on behind its answer. */
  #sendPart(leg: Leg, segment: Segment, text: RenamedText): Verdict {
    this.#several.sends(segment);
    return this.#core.sendRenamed(leg, segment, text, queryOf(text.bytes));
  }

  #send(leg: Leg, segment: Segment, named: RenamedText | undefined, buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (segment.after !== 'xid') return named ? core.sendRenamed(leg, segment, named, queryOf(named.bytes)) : core.passOn(leg);
    const nonce = (this.#nonce ??= ownCopy(Buffer.from(`causeway_${randomBytes(12).toString('hex')}`)));
    segment.nonce = nonce;
    const message = named ? queryOf(named.bytes) : buffer.subarray(start, start + length);
    // On a line of its own, so that a comment at the end of the client's text cannot swallow it.
    const asking = extendQuery(message, 0, message.length, Buffer.from(`\n;${xidSql(leg)} AS ${nonce.toString()}`));
    if (named) return core.sendRenamed(leg, segment, named, asking);
    core.send(leg, asking);
    return CUT;
  }
}

const none = Buffer.alloc(0);

const functionOfSource = { type: 'leg', leg: 'source', writes: true, touches: [], after: 'none', before: 'none', label: 'REMOTE' } as const;
