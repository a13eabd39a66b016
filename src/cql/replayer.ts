/**
 * Sends writes of the log again, to one cluster, through its pools. Prepared ids in them are the proxy's own: the statements come with the intent, and are known to the
 * proxy again from then on.
 */
import { errorCodes } from '../wire/cql/error-body.ts';
import { HEADER_BYTES, makeFrame, opcodes } from '../wire/cql/frame.ts';
import { readBatch } from './batch-statement.ts';
import type { Intent } from './intents/intent-log.ts';
import { everywhere, plans } from './modes.ts';
import type { ClusterIndex } from './modes.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { ReplayOutcome, ReplayPort } from './proxy-options.ts';
import { legStates } from './request.ts';
import type { Answered, Leg } from './request.ts';
import { requestKinds } from './request-kinds.ts';

type Done = (outcome: ReplayOutcome, code: number, message: string) => void;

const outcomeOf: Readonly<Record<number, ReplayOutcome>> = { [legStates.ok]: 'ok', [legStates.refused]: 'refused', [legStates.uncertain]: 'uncertain', [legStates.unsent]: 'unsent' };

export class Replayer implements ReplayPort {
  readonly #context: ProxyContext;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  send(cluster: ClusterIndex, intent: Intent, done: Done): void {
    const { clusters, requests, registry, texts, flow, clock, options } = this.#context;
    const upstream = clusters[cluster];
    if (!upstream.options.credentials && !upstream.ownCredentials && upstream.login?.authenticator !== undefined) {
      done('unsent', errorCodes.badCredentials, `no client has logged in at the ${upstream.name} cluster yet, and no credentials are configured for it`);
      return;
    }
    const { version, keyspace } = intent.origin;
    const entries = intent.statements.map(({ keyspace: own, text }) => registry.entryOf(own, text));
    const [entry] = entries;
    const inUse = intent.opcode === opcodes.execute && entry ? entry.keyspace : keyspace;
    const request = requests.take();
    request.frame = makeFrame({ version, stream: 0, opcode: intent.opcode }, intent.body);
    request.start = 0;
    request.end = request.frame.length;
    request.messageAt = HEADER_BYTES;
    request.opcode = intent.opcode;
    request.kind = requestKinds.replay;
    request.plan = cluster === 0 ? plans.SourceOnly : plans.TargetOnly;
    request.entry = intent.opcode === opcodes.execute ? entry : undefined;
    if (intent.opcode === opcodes.batch) {
      const batch = readBatch(request.frame, HEADER_BYTES, request.end, keyspace, everywhere(request.plan.mode), registry, texts);
      if (!('parts' in batch)) {
        requests.giveBack(request);
        done('unsent', errorCodes.server, 'a statement of the batch is not among those of its intent');
        return;
      }
      request.batch = batch;
    }
    const pool = upstream.pool(version, upstream.ownCredentials, inUse);
    request.pools = [pool, pool];
    request.owner = new ReplayAnswer(done);
    request.leg(cluster).state = legStates.waiting;
    request.leg(cluster).deadlineMs = clock.monotonicMs() + options.requestTimeoutMs;
    flow.begin(request);
  }
}

class ReplayAnswer implements Answered {
  readonly #done: Done;

  constructor(done: Done) {
    this.#done = done;
  }

  answer(_request: unknown, leg: Leg): void {
    this.#done(outcomeOf[leg.state] ?? 'uncertain', leg.code, leg.message === '' && leg.answer && leg.code >= 0 ? leg.answer.toString('utf8', leg.answerAt + 6, Math.min(leg.answerEnd, leg.answerAt + 500)) : leg.message);
  }

  sent(): void {
    // The replay has a limit of its own for what it sends at once.
  }
}
