/** Simple queries: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY */
import { randomBytes } from 'node:crypto';
import { modesOf } from '../execute/open-transaction.ts';
import { strongerWait } from '../execute/segment.ts';
import type { Segment } from '../execute/segment.ts';
import { ownCopy } from '../wire/own-copy.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { Verdict } from '../wire/framing.ts';
import { extendQuery, queryOf } from '../wire/frontend-messages.ts';
import { transactionAborted } from './client-error.ts';
import type { ControlAnswer } from './control-answer.ts';
import { endBeforeQuery } from './implicit-block.ts';
import type { HybridStatements } from './hybrid/hybrid-statement.ts';
import { keptBytes } from './kept-bytes.ts';
import type { Leg } from './leg.ts';
import type { LocalNames } from './local-names.ts';
import type { PlaceStatement } from './place-statement.ts';
import { isVerdict } from './place-statement.ts';
import type { SessionCore } from './session-core.ts';
import type { SessionEffects } from './session-effects.ts';
import { isTransactionControl } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
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
}

export class SimpleQuery {
  readonly #core: SessionCore;
  readonly #flows: Flows;
  /** Column name by which the appended query's answer is known; no client can guess it. */
  #nonce: Buffer | undefined;
  readonly #captured: CapturedWrites;

  constructor(core: SessionCore, flows: Flows) {
    this.#core = core;
    this.#flows = flows;
    this.#captured = new CapturedWrites(core, flows);
  }

  handle(buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (core.unit.skipping) return CUT;
    const ended = endBeforeQuery(core, this.#flows.control);
    if (ended !== undefined) return ended;
    if (buffer[start + length - 1] !== 0) return this.#raw(core.home);
    const traits = core.traitsAt(buffer, start + 5, start + length - 1);
    if (!traits) return STOP;
    core.lastStatement = keptBytes(buffer, start + 5, Math.min(start + length - 1, start + 205));
    if (traits.plain && core.raw && !core.unit.segment) return this.#raw(core.home);
    // While no table migrates everything goes there anyway.
    if (traits.unread && core.raw && !core.unit.segment) {
      this.#flows.effects.unknown();
      return this.#raw(core.home);
    }
    const text = (): string => buffer.toString('utf8', start + 5, start + length - 1);
    const stop = this.#leavesPipeline(traits);
    if (stop !== undefined) return stop;
    if (core.unit.segment) return this.#endsPipeline(core.unit.leg ?? core.home, core.unit.segment, traits, buffer.subarray(start + 5, start + length - 1));
    if (traits.control) return this.#migration(traits, text());
    if (traits.single && isTransactionControl(traits.single)) return this.#transactionControl(traits, text);
    if (core.tx?.failedOn !== undefined) return this.#inFailedBlock(traits);
    return this.#statement(traits, buffer, start, length, text);
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
    core.account(placement.route, placement.leg, core.closedSegment(placement.leg), false);
    return core.forward(placement.leg);
  }

  #raw(leg: Leg): Verdict {
    this.#core.closedSegment(leg);
    return this.#core.forward(leg);
  }

  /** A Query that cannot go where the pipeline before it is: that ends first. With nothing run in it, it is over without a trace. */
  #leavesPipeline(traits: TextTraits): Verdict | undefined {
    const core = this.#core;
    const { unit } = core;
    if (unit.segment?.images) return core.leaveLeg(false);
    if (!unit.segment || core.services.view().trivial) return undefined;
    if (!unit.executed) return core.leaveLeg(true);
    if (core.tx?.failedOn !== undefined || traits.control) return undefined;
    const route = this.#flows.place.route(traits);
    if (isVerdict(route)) return route;
    const stays = (route.type === 'leg' && (route.leg === 'home' || route.leg === unit.leg?.side)) || route.type === 'transaction_control' || route.type === 'both_legs';
    return stays ? undefined : core.leaveLeg(false);
  }

  /** A Query in the middle of a pipeline ends it, like a Sync. */
  #endsPipeline(leg: Leg, segment: Segment, traits: TextTraits, text: Buffer): Verdict {
    const core = this.#core;
    const named = this.#flows.names.textFor(leg, traits, text, true);
    if (typeof named === 'number') return named;
    const verdict = named ? core.sendRenamed(leg, segment, named, queryOf(named.bytes)) : core.forward(leg);
    core.endUnit();
    return verdict;
  }

  #migration(traits: TextTraits, sql: string): Verdict {
    const core = this.#core;
    const route = traits.facts.type === 'migration' ? undefined : this.#flows.place.route(traits);
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
      return core.forward(core.home);
    }
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    return core.answerLater((done) => this.#flows.control.run(single, text(), (answer) => {
      core.toClient(answer);
      core.ready();
      done();
    }));
  }

  #inFailedBlock(traits: TextTraits): Verdict {
    const core = this.#core;
    const failedOn = core.tx?.failedOn;
    const leg = failedOn === 'source' || failedOn === 'local' ? core.leg(failedOn) : undefined;
    const bothOpen = core.tx?.sides.length === 2;
    if (!leg || (bothOpen && traits.hasTransactionControl)) return core.refuseWith(transactionAborted, true);
    return core.drained ? this.#raw(leg) : core.wait('drain');
  }

  #statement(traits: TextTraits, buffer: Buffer, start: number, length: number, text: () => string): Verdict {
    const core = this.#core;
    const route = this.#flows.place.route(traits);
    if (isVerdict(route)) return route;
    if (traits.hasTransactionControl && core.tx?.sides.length === 2) return this.#flows.place.place(controlOverTwoLegs, true, true).verdict ?? CUT;
    const bytes = buffer.subarray(start + 5, start + length - 1);
    const captured = this.#captured.query(traits, route, bytes);
    if (captured !== undefined) return captured;
    const hybrid = route.type === 'hybrid' && traits.single?.kind !== 'execute' ? this.#flows.hybrid.prepare(route, bytes, true) : undefined;
    if (typeof hybrid === 'number') return hybrid;
    const placement = this.#flows.place.place(hybrid?.way.route ?? route, true, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const named = hybrid?.text ?? (this.#flows.names.isFor(leg) && this.#flows.names.textFor(leg, traits, bytes, true));
    if (typeof named === 'number') return named;
    const stop = this.#preparedThere(traits, leg);
    if (stop !== undefined) return stop;
    this.#flows.effects.apply(traits, leg, text);
    const segment = core.closedSegment(leg);
    const txBefore = core.tx;
    core.account(placement.route, leg, segment, false);
    if (placement.route.compared && traits.single?.kind !== 'execute') core.services.shadow.queried(core, segment, placement.route.compared, bytes);
    if (traits.hasTransactionControl) {
      segment.modes = modesOf(traits.statements);
      const after = strongerWait(txBefore?.after ?? 'none', placement.route.after);
      if (after === 'xid' || after === 'position') {
        segment.holdFor('position');
        core.exclusive = true;
      }
    }
    const verdict = this.#send(leg, segment, named || undefined, buffer, start, length);
    if (hybrid) this.#flows.hybrid.sent(hybrid);
    return verdict;
  }

  #send(leg: Leg, segment: Segment, named: RenamedText | undefined, buffer: Buffer, start: number, length: number): Verdict {
    const core = this.#core;
    if (segment.after !== 'xid') return named ? core.sendRenamed(leg, segment, named, queryOf(named.bytes)) : core.forward(leg);
    const nonce = (this.#nonce ??= ownCopy(Buffer.from(`causeway_${randomBytes(12).toString('hex')}`)));
    segment.nonce = nonce;
    const message = named ? queryOf(named.bytes) : buffer.subarray(start, start + length);
    // On a line of its own, so that a comment at the end of the client's text cannot swallow it.
    const asking = extendQuery(message, 0, message.length, Buffer.from(`\n;${xidSql(leg)} AS ${nonce.toString()}`));
    if (named) return core.sendRenamed(leg, segment, named, asking);
    core.send(leg, asking);
    return CUT;
  }

  /** EXECUTE of a statement that was prepared on the other leg. */
  #preparedThere(traits: TextTraits, leg: Leg): Verdict | undefined {
    for (const statement of traits.statements) {
      const name = statement.kind === 'execute' ? statement.objectName : undefined;
      const prepared = name === undefined ? undefined : this.#core.statements.get(name);
      if (!prepared || prepared.on[leg.side] || prepared.origin.type !== 'sql' || prepared.origin.text === '') continue;
      const text = Buffer.from(prepared.origin.text);
      const named = this.#flows.names.textFor(leg, prepared.traits, text, true);
      if (typeof named === 'number') return named;
      prepared.on[leg.side] = true;
      this.#core.ask(leg, (named?.bytes ?? text).toString(), () => undefined);
    }
    return undefined;
  }
}

const functionOfSource = { type: 'leg', leg: 'source', writes: true, touches: [], after: 'none', before: 'none', label: 'REMOTE' } as const;

const controlOverTwoLegs = {
  type: 'refuse', code: 'MIG080', message: 'a text that ends its own transaction cannot run while the transaction is on both sides',
  detail: 'COMMIT, ROLLBACK and SAVEPOINT have to reach both sides.', hint: 'Send the statements one by one.',
} as const;

