/**
 * One read compared: the answer that the client got from the source, and what local says to the same once it has caught up.
 *
 * Where they differ the table may simply have moved in between, or the formats say it differently (binary values of types made in the database hold
 * their numbers). So both sides are asked again, in text: source, local after it has caught up with that, source once more. A round in which the
 * source gave the same twice and local something else speaks for a difference; two of them, and no round in which both were alike, prove it.
 */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { ComparedRead } from '../../route/route.ts';
import { AnswerDigest } from './answer-digest.ts';
import { exampleOf, likeness } from './compare-answers.ts';
import { ShadowConnectionError } from './shadow-connection.ts';
import type { SessionState } from './shadow-connection.ts';
import { isSlower } from './shadow-ledger.ts';
import type { Verdict } from './shadow-ledger.ts';
import type { Login, ShadowPool } from './shadow-pool.ts';
import { messagesOf } from './shadow-statement.ts';
import type { ShadowStatement } from './shadow-statement.ts';

export interface ReadToCompare {
  readonly read: ComparedRead;
  readonly statement: ShadowStatement;
  /** With the names that its tables have on local; undefined when they are the same. */
  readonly localText: Buffer | undefined;
  readonly login: Login;
  readonly state: SessionState;
  readonly answer: AnswerDigest;
  readonly sourceMs: number;
}

/** The world around a comparison. */
export interface ComparisonWorld {
  readonly pool: ShadowPool;
  readonly maxBytes: number;
  readonly timeoutMs: number;
  sleep(ms: number): Promise<void>;
  /** Asks the source where it is now, and waits until local shows that. */
  caughtUp(): Promise<'visible' | 'late' | 'unknown'>;
  /** Its tables are still where they were, and compared. */
  isStillCompared(): boolean;
}

/** Pauses before the rounds. */
const rounds = [30, 100, 300, 800, 2_000] as const;
const PROOFS = 2;
const QUERY_CANCELED = '57014';

/** Thrown to end the comparison with this verdict. */
class Ended extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(verdict.note);
    this.verdict = verdict;
  }
}

interface Asked {
  readonly digest: AnswerDigest;
  readonly ms: number;
}

export async function compareRead(job: ReadToCompare, world: ComparisonWorld): Promise<Verdict> {
  try {
    return await new Comparison(job, world).run();
  } catch (error) {
    if (error instanceof Ended) return error.verdict;
    throw error;
  }
}

class Comparison {
  readonly #job: ReadToCompare;
  readonly #world: ComparisonWorld;

  constructor(job: ReadToCompare, world: ComparisonWorld) {
    this.#job = job;
    this.#world = world;
  }

  async run(): Promise<Verdict> {
    const { answer, sourceMs, read } = this.#job;
    await this.#catchUp();
    const local = await this.#ask('local', false, false);
    const times = { sourceMs, localMs: await this.#bestMs(local) };
    const { error } = local.digest;
    if (error?.sqlstate === QUERY_CANCELED) return { result: 'failed', note: `${error.sqlstate}: ${error.message}`, times };
    const found = likeness(answer, local.digest);
    const verdict = found === 'different' ? await this.#again() : alike(found, read);
    return { ...verdict, times: error ? undefined : times };
  }

  /** A connection that has run nothing yet has to read the catalog first: what looks slow gets a second try. */
  async #bestMs({ digest, ms }: Asked): Promise<number> {
    const { sourceMs } = this.#job;
    if (digest.end !== 'complete' || !isSlower({ sourceMs, localMs: ms })) return ms;
    const second = await this.#ask('local', false, false);
    return Math.min(ms, second.ms);
  }

  async #again(): Promise<Verdict> {
    const { read } = this.#job;
    let proofs = 0;
    for (const pauseMs of rounds) {
      await this.#world.sleep(pauseMs);
      const { digest: before } = await this.#ask('source', true, true);
      if (before.end === 'too_large') return { result: 'too_large' };
      await this.#catchUp();
      const { digest: local } = await this.#ask('local', true, true);
      const found = likeness(before, local);
      if (found !== 'different') return alike(found, read);
      const { digest: after } = await this.#ask('source', true, false);
      // Rows in another order are the same rows: a plan may give them so.
      if (before.end !== 'complete' || likeness(before, after) === 'different') continue;
      proofs += 1;
      if (proofs === PROOFS) return differing(before, local, read);
    }
    return { result: 'unsettled', note: 'its rows went on changing while it was compared' };
  }

  async #ask(side: Side, asText: boolean, keepsRows: boolean): Promise<Asked> {
    const { statement, localText, login, state } = this.#job;
    const { pool, maxBytes, timeoutMs } = this.#world;
    const messages = messagesOf(statement, side === 'local' ? localText : undefined, asText);
    if (!messages) throw new Ended({ result: 'skipped', note: 'its messages cannot be read' });
    if (!this.#world.isStillCompared()) throw new Ended({ result: 'skipped', note: 'the routing of its tables changed meanwhile' });
    const digest = new AnswerDigest(maxBytes, keepsRows);
    try {
      const { ms } = await pool.use(side, login, (connection) => connection.run(state, messages, digest, timeoutMs));
      return { digest, ms };
    } catch (error) {
      if (!(error instanceof ShadowConnectionError)) throw error;
      // What a server says of the login itself would be said to the client too, once its tables are there; that it is full or starting is of the moment.
      if (side === 'local' && /^(?:28|3D|42)/.test(error.sqlstate ?? '')) throw new Ended({ result: 'failed', note: `${error.sqlstate}: ${error.message}` });
      throw new Ended({ result: side === 'local' ? 'skipped' : 'unsettled', note: `${side === 'local' ? 'local' : 'the source'} could not be asked: ${error.message}` });
    }
  }

  async #catchUp(): Promise<void> {
    switch (await this.#world.caughtUp()) {
      case 'visible': return;
      case 'late': throw new Ended({ result: 'unsettled', note: 'local was too far behind' });
      default: throw new Ended({ result: 'skipped', note: 'the position of the source could not be had' });
    }
  }
}

function alike(found: 'same' | 'same_in_other_order', read: ComparedRead): Verdict {
  return { result: found === 'same_in_other_order' && read.ordered ? 'order_differs' : 'equal' };
}

function differing(source: AnswerDigest, local: AnswerDigest, read: ComparedRead): Verdict {
  if (local.error) return { result: 'failed', note: `${local.error.sqlstate}: ${local.error.message}` };
  const isOrder = read.orderDependent && source.columns === local.columns;
  return { result: isOrder ? 'order_differs' : 'different', example: exampleOf(source, local) };
}
