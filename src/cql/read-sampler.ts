/**
 * Sampled reads: some of the reads that clients send while both clusters are written are asked of both, later and beside the clients, and their rows compared.
 *
 * A sample waits → both clusters are asked → the rows are the same, or it waits longer and both are asked again. It differs only when two askings running gave the same two different answers:
 * what still changes, and what the log of writes still owes somebody, is unsettled. Nothing is repaired here, and no switch is refused: a sample proves nothing of the rows that it has not drawn.
 */
import { makeFrame, HEADER_BYTES, opcodes } from '../wire/cql/frame.ts';
import { readRowsPart } from '../wire/cql/result-body.ts';
import type { RowsPart } from '../wire/cql/result-body.ts';
import type { DrawnRead, ReadSampling } from './drawn-read.ts';
import { plans } from './modes.ts';
import type { ClusterIndex } from './modes.ts';
import type { PreparedEntry } from './prepared-registry.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { SamplingOptions } from './proxy-options.ts';
import { sampleOutcomes } from './proxy-stats.ts';
import type { SampleOutcome } from './proxy-stats.ts';
import { legStates } from './request.ts';
import type { Answered, Leg } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import type { StatementTraits } from './statement-traits.ts';

/** Samples that wait or are asked; what is drawn beyond is left out. */
const MOST_SAMPLES = 64;
const MOST_SAMPLE_BYTES = 64 * 1024;
/** A write needs its time to the shadow. */
const PAUSES_MS: readonly number[] = [500, 500, 1000, 2000, 4000];

interface Sample {
  readonly opcode: number;
  readonly version: number;
  readonly body: Buffer;
  readonly keyspace: string;
  readonly entry: PreparedEntry | undefined;
  readonly table: string;
  round: number;
  /** What both said the last time. */
  last: Pair | undefined;
}

type Pair = readonly [RowsPart, RowsPart];

export class ReadSampler implements ReadSampling {
  readonly #context: ProxyContext;
  readonly #share: number;
  readonly #random: () => number;
  readonly #pausesMs: readonly number[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #inHand = 0;
  #isClosed = false;
  /** Tables whose samples differed, so that each is told once. */
  readonly #told = new Set<string>();

  constructor(context: ProxyContext, { share, random, pausesMs = PAUSES_MS }: SamplingOptions) {
    this.#context = context;
    this.#share = share;
    this.#random = random;
    this.#pausesMs = pausesMs;
  }

  /** Whether this read is one of the sample. */
  get draws(): boolean {
    return this.#random() < this.#share;
  }

  take({ buffer, messageAt, end, opcode, version, keyspace, entry, traits }: DrawnRead): void {
    const table = tableOf(traits, keyspace);
    if (table === undefined) return;
    if (this.#inHand >= MOST_SAMPLES || end - messageAt > MOST_SAMPLE_BYTES || this.#isFiltered) {
      this.#count('left_out');
      return;
    }
    this.#inHand += 1;
    this.#later({ opcode, version, body: Buffer.from(buffer.subarray(messageAt, end)), keyspace, entry, table, round: 0, last: undefined });
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** What the shadow does not get it need not have. */
  get #isFiltered(): boolean {
    return this.#context.options.filter?.snapshot.isEmpty === false;
  }

  #later(sample: Sample): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#compare(sample);
    }, this.#pausesMs[sample.round] ?? 0);
    this.#timers.add(timer);
  }

  #compare(sample: Sample): void {
    const answers: (RowsPart | undefined)[] = [];
    const told = (cluster: ClusterIndex) => (rows: RowsPart | undefined): void => {
      answers[cluster] = rows;
      if (!(0 in answers && 1 in answers) || this.#isClosed) return;
      const [source, target] = answers;
      if (source && target) this.#judge(sample, [source, target]);
      else this.#end(sample, 'failed');
    };
    this.#ask(sample, 0, told(0));
    this.#ask(sample, 1, told(1));
  }

  #judge(sample: Sample, pair: Pair): void {
    const { last } = sample;
    if (isSame(pair[0], pair[1])) {
      this.#end(sample, 'same');
      return;
    }
    // Pages of clusters that cut them otherwise begin with the same rows, which cannot be told from their bytes.
    if ((pair[0].hasMore || pair[1].hasMore) && pair[0].count !== pair[1].count) {
      this.#end(sample, 'left_out');
      return;
    }
    sample.round += 1;
    sample.last = pair;
    if (sample.round < this.#pausesMs.length) this.#later(sample);
    else this.#end(sample, last && isSame(last[0], pair[0]) && isSame(last[1], pair[1]) && this.#context.options.intents.state().depth === 0 ? 'different' : 'unsettled');
  }

  #end({ table }: Sample, outcome: SampleOutcome): void {
    this.#inHand -= 1;
    this.#count(outcome);
    if (outcome !== 'different' || this.#told.has(table)) return;
    this.#told.add(table);
    this.#context.log.warn('a sampled read has other rows on one cluster than on the other: validate the table', { table });
  }

  #count(outcome: SampleOutcome): void {
    const { sampledReads } = this.#context.counts;
    const index = sampleOutcomes.indexOf(outcome);
    sampledReads[index] = (sampledReads[index] ?? 0) + 1;
  }

  /** Undefined when it has no rows to tell. */
  #ask({ opcode, version, body, entry, keyspace }: Sample, cluster: ClusterIndex, done: (rows: RowsPart | undefined) => void): void {
    const { requests, flow, clock, options, clusters } = this.#context;
    const upstream = clusters[cluster];
    if (!upstream.ownCredentials && upstream.login?.authenticator !== undefined) {
      done(undefined);
      return;
    }
    const request = requests.take();
    request.frame = makeFrame({ version, stream: 0, opcode }, body);
    request.start = 0;
    request.end = request.frame.length;
    request.messageAt = HEADER_BYTES;
    request.opcode = opcode;
    request.kind = requestKinds.read;
    request.plan = cluster === 0 ? plans.SourceOnly : plans.TargetOnly;
    request.entry = entry;
    const pool = upstream.pool(version, upstream.ownCredentials, opcode === opcodes.execute && entry ? entry.keyspace : keyspace);
    request.pools = [pool, pool];
    request.owner = new SampleAnswer(done);
    const leg = request.leg(cluster);
    leg.state = legStates.waiting;
    leg.deadlineMs = clock.monotonicMs() + options.requestTimeoutMs;
    flow.begin(request);
  }
}

class SampleAnswer implements Answered {
  readonly #done: (rows: RowsPart | undefined) => void;

  constructor(done: (rows: RowsPart | undefined) => void) {
    this.#done = done;
  }

  answer(_request: unknown, { state, answer, answerAt, answerEnd }: Leg): void {
    this.#done(state === legStates.ok && answer ? readRowsPart(answer, answerAt, answerEnd) : undefined);
  }

  sent(): void {
    // There are never many.
  }
}

/** Undefined for what two clusters in step need not answer alike: times, functions, their own tables. */
function tableOf({ facts, keyspace: own }: StatementTraits, keyspace: string): string | undefined {
  const { selection, table, unstableCalls } = facts;
  const within = own === '' ? keyspace : own;
  if (!selection || table === undefined || unstableCalls.length > 0 || /^system(?:_|$)/.test(within) || !selection.selectors.every(({ kind }) => kind !== 'other')) return undefined;
  return `${within}.${table}`;
}

function isSame(one: RowsPart, other: RowsPart): boolean {
  return one.count === other.count && one.hasMore === other.hasMore && one.bytes.equals(other.bytes);
}
