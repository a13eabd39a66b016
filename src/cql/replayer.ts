/**
 * Sends writes of the log again, to one cluster, through its pools. Prepared ids in them are the proxy's own: the statements come with the intent, and are known to the
 * proxy again from then on.
 *
 * What must not be sent twice is not: it is noted for a repair instead, and has ended with that.
 */
import type { CqlStatement } from '../../grammar/cql/statement.ts';
import { errorCodes } from '../wire/cql/error-body.ts';
import { HEADER_BYTES, makeFrame, opcodes } from '../wire/cql/frame.ts';
import type { BindColumn } from '../wire/cql/result-body.ts';
import { findBatch } from '../wire/cql/request-body.ts';
import { readBatch } from './batch-statement.ts';
import type { Healer } from './healer.ts';
import type { Intent } from './intents/intent-log.ts';
import { everywhere, plans } from './modes.ts';
import type { ClusterIndex } from './modes.ts';
import { PreparedEntry } from './prepared-registry.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { ReplayOutcome, ReplayPort } from './proxy-options.ts';
import { repeatabilityOf } from './repeatability.ts';
import type { Repeatability } from './repeatability.ts';
import { legStates } from './request.ts';
import type { Answered, Leg } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import type { StatementTraits } from './statement-traits.ts';
import { TableShapes } from './table-shapes.ts';
import type { NamedTable } from './table-shapes.ts';
import type { UpstreamCluster } from './upstream-cluster.ts';

type Done = (outcome: ReplayOutcome, code: number, message: string) => void;

const outcomeOf: Readonly<Record<number, ReplayOutcome>> = { [legStates.ok]: 'ok', [legStates.refused]: 'refused', [legStates.uncertain]: 'uncertain', [legStates.unsent]: 'unsent' };
const COUNTER_BATCH = 2;

export class Replayer implements ReplayPort {
  readonly #context: ProxyContext;
  readonly #healer: Healer;
  readonly #shapes: TableShapes;

  constructor(context: ProxyContext, healer: Healer) {
    this.#context = context;
    this.#healer = healer;
    this.#shapes = new TableShapes(context.clock);
  }

  send(cluster: ClusterIndex, intent: Intent, done: Done): void {
    const upstream = this.#context.clusters[cluster];
    if (!upstream.ownCredentials && upstream.login?.authenticator !== undefined) {
      done('unsent', errorCodes.badCredentials, `no client has logged in at the ${upstream.name} cluster yet, and no credentials are configured for it`);
      return;
    }
    this.#learn(upstream, intent, this.#statementsOf(intent), (failure) => {
      if (failure !== undefined) done('unsent', errorCodes.overloaded, failure);
      else this.#sendOrNote(upstream, intent, done);
    });
  }

  /** What the intent executes. Texts with markers are prepared as well, since only that tells the markers' types. */
  #statementsOf({ opcode, body, origin, statements }: Intent): readonly (PreparedEntry | StatementTraits)[] {
    const { registry, texts } = this.#context;
    const ofText = (text: string): PreparedEntry | StatementTraits => {
      const traits = texts.read(text);
      return traits.facts.bindNames.length === 0 ? traits : registry.entryOf(origin.keyspace, text);
    };
    const prepared = statements.map(({ keyspace, text }) => registry.entryOf(keyspace, text));
    if (opcode === opcodes.query) return [ofText(body.toString('utf8', 4, 4 + body.readInt32BE(0)))];
    if (opcode !== opcodes.batch) return prepared;
    return [...prepared, ...findBatch(body, 0, body.length).children.filter(({ isPrepared }) => !isPrepared).map(({ at, bytes }) => ofText(body.toString('utf8', at, at + bytes)))];
  }

  /** The types of their markers, from the cluster itself where they are not known. */
  #learn(upstream: UpstreamCluster, intent: Intent, statements: readonly (PreparedEntry | StatementTraits)[], done: (failure: string | undefined) => void): void {
    const unknown = statements.find((one) => one instanceof PreparedEntry && one.columns.length === 0 && one.traits.facts.bindNames.length > 0);
    if (!(unknown instanceof PreparedEntry)) {
      done(undefined);
      return;
    }
    const pool = upstream.pool(intent.origin.version, upstream.ownCredentials, unknown.keyspace);
    pool.whenUsable((failure) => {
      const connection = pool.anyConnection();
      if (failure || !connection) {
        done(failure?.message ?? 'no connection has room');
        return;
      }
      this.#healer.prepare(unknown, upstream.index, connection, (error) => {
        if (error !== undefined) done(error);
        else if (unknown.columns.length === 0) done('the cluster does not tell the types of its markers');
        else this.#learn(upstream, intent, statements, done);
      });
    });
  }

  #sendOrNote(upstream: UpstreamCluster, intent: Intent, done: Done): void {
    const repeatability = this.#repeatabilityOf(upstream.index, intent);
    if (repeatability === 'repeatable') {
      this.#send(upstream, intent, done);
      return;
    }
    const unknown = repeatability === 'not-repeatable' ? this.#tablesOf(intent).find((table) => !this.#shapes.of(upstream.index, table)) : undefined;
    if (unknown) {
      this.#askShapes(upstream, intent, unknown, done);
      return;
    }
    this.#context.options.repairs.note(repeatability, { ...intent, owes: 1 << upstream.index }, 'its second sending could have another effect than the first')
      .then(() => done('ok', -1, ''), (error: unknown) => done('unsent', errorCodes.server, `the repair list cannot be written: ${String(error)}`));
  }

  #askShapes(upstream: UpstreamCluster, intent: Intent, table: NamedTable, done: Done): void {
    const pool = upstream.pool(intent.origin.version, upstream.ownCredentials, '');
    pool.whenUsable((failure) => {
      const connection = pool.anyConnection();
      if (failure || !connection) {
        done('unsent', errorCodes.overloaded, failure?.message ?? 'no connection has room');
        return;
      }
      this.#shapes.ask(upstream.index, connection, table, (isTold) => {
        if (isTold) this.#sendOrNote(upstream, intent, done);
        else done('unsent', errorCodes.overloaded, 'the cluster did not answer when it was asked for its schema');
      });
    });
  }

  #tablesOf(intent: Intent): readonly NamedTable[] {
    return this.#factsOf(intent).flatMap(({ facts, keyspace }) => (facts.batch?.children ?? [facts]).flatMap((one) => (one.table === undefined ? [] : [{ keyspace: one.keyspace ?? keyspace, table: one.table }])));
  }

  #factsOf(intent: Intent): readonly { readonly facts: CqlStatement; readonly keyspace: string; readonly columns: readonly BindColumn[]; readonly areCallsSettled: boolean }[] {
    return this.#statementsOf(intent).map((one) => (one instanceof PreparedEntry
      ? { facts: one.traits.facts, keyspace: one.keyspace, columns: one.columns, areCallsSettled: one.sent.calls.length > 0 }
      : { facts: one.facts, keyspace: intent.origin.keyspace, columns: [], areCallsSettled: false }));
  }

  #repeatabilityOf(cluster: ClusterIndex, intent: Intent): Repeatability {
    if (intent.opcode === opcodes.batch && intent.body[0] === COUNTER_BATCH) return 'not-repeatable';
    const all = this.#factsOf(intent).map(({ facts, keyspace, columns, areCallsSettled }) => repeatabilityOf(facts, columns, areCallsSettled, (one) => (one.table === undefined ? undefined : this.#shapes.of(cluster, { keyspace: one.keyspace ?? keyspace, table: one.table }))));
    return all.find((one) => one === 'condition') ?? all.find((one) => one !== 'repeatable') ?? 'repeatable';
  }

  #send(upstream: UpstreamCluster, intent: Intent, done: Done): void {
    const { requests, registry, texts, flow, clock, options } = this.#context;
    const { version, keyspace } = intent.origin;
    const [statement] = intent.statements;
    const entry = intent.opcode === opcodes.execute && statement ? registry.entryOf(statement.keyspace, statement.text) : undefined;
    const request = requests.take();
    request.frame = makeFrame({ version, stream: 0, opcode: intent.opcode }, intent.body);
    request.start = 0;
    request.end = request.frame.length;
    request.messageAt = HEADER_BYTES;
    request.opcode = intent.opcode;
    request.kind = requestKinds.replay;
    request.plan = upstream.index === 0 ? plans.SourceOnly : plans.TargetOnly;
    request.entry = entry;
    if (intent.opcode === opcodes.batch) {
      const batch = readBatch(request.frame, HEADER_BYTES, request.end, keyspace, everywhere(request.plan.mode), registry, texts);
      if (!('parts' in batch)) {
        requests.giveBack(request);
        done('unsent', errorCodes.server, 'a statement of the batch is not among those of its intent');
        return;
      }
      request.batch = batch;
    }
    const pool = upstream.pool(version, upstream.ownCredentials, entry ? entry.keyspace : keyspace);
    request.pools = [pool, pool];
    request.owner = new ReplayAnswer(done);
    const leg = request.leg(upstream.index);
    leg.state = legStates.waiting;
    leg.deadlineMs = clock.monotonicMs() + options.requestTimeoutMs;
    flow.begin(request);
  }
}

class ReplayAnswer implements Answered {
  readonly #done: Done;

  constructor(done: Done) {
    this.#done = done;
  }

  answer(_request: unknown, { state, code, message, answer, answerAt, answerEnd }: Leg): void {
    // Of an error's frame: code, length, text.
    const words = message === '' && answer && code >= 0 ? answer.toString('utf8', answerAt + 6, Math.min(answerEnd, answerAt + 6 + answer.readUInt16BE(answerAt + 4), answerAt + 500)) : message;
    this.#done(outcomeOf[state] ?? 'uncertain', code, words);
  }

  sent(): void {
    // The replay has a limit of its own for what it sends at once.
  }
}
