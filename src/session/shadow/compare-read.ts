/**
 * One read compared: the answer that the client got from the source, and what local says to the same once it has caught up.
 *
 * Where they differ the table may simply have moved in between, or the formats say it differently (binary values of types made in the database hold
 * their numbers). So both sides are asked again, in text: source, local after it has caught up with that, source once more. A round in which the
 * source gave the same twice and local something else speaks for a difference. It could still be a value that went there and back, such as the count of
 * a queue, so four rounds in a row have to say the very same, and none before them that both sides are alike.
 */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import { quoteLiteral } from '../../../grammar/names.ts';
import type { ComparedRead } from '../../route/route.ts';
import { query } from '../../wire/frontend-messages.ts';
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
  caughtUp(): Promise<CaughtUp>;
  /** Its tables are still where they were, and compared. */
  isStillCompared(): boolean;
}

/** Pauses before the rounds. */
const rounds = [30, 60, 120, 250, 500, 1_000, 2_000] as const;
/** A hot count of three values was once taken for a difference with two. */
const PROOFS = 4;
const QUERY_CANCELED = '57014';
/** Locks, deadlocks, no room, a server that is going down. */
const ofTheMoment = /^(?:55P03|40|53|57P)/;

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

/** To be called once local shows what the source had when the client was answered. */
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
    const local = await this.#ask('local', false, false);
    const times = { sourceMs, localMs: await this.#bestMs(local) };
    const { error } = local.digest;
    if (error?.sqlstate === QUERY_CANCELED) return { result: 'failed', note: textOf(error), times };
    if (error && ofTheMoment.test(error.sqlstate)) return { result: 'unsettled', note: textOf(error) };
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
    let last: readonly [source: AnswerDigest, local: AnswerDigest] | undefined;
    for (const pauseMs of rounds) {
      await this.#world.sleep(pauseMs);
      const { digest: before } = await this.#ask('source', true, true);
      if (before.end === 'too_large') return { result: 'too_large' };
      // For one that writes behind a view, because nothing may be written here.
      if (before.error) return { result: 'unsettled', note: `asked again, the source fails: ${textOf(before.error)}` };
      await this.#catchUp();
      const { digest: local } = await this.#ask('local', true, true);
      const found = likeness(before, local);
      if (found !== 'different') return alike(found, read);
      const { digest: after } = await this.#ask('source', true, false);
      const isStill = likeness(before, after) !== 'different';
      const isAsLast = last !== undefined && likeness(last[0], before) !== 'different' && isSameAnswer(last[1], local);
      proofs = isStill ? (isAsLast ? proofs : 0) + 1 : 0;
      last = isStill ? [before, local] : undefined;
      if (proofs === PROOFS) return differing(before, local, read.orderDependent && !(await this.#isOneRow()));
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
      const { ms } = await pool.use(side, login, state.custom, (connection) => connection.run(state, messages, digest, timeoutMs));
      return { digest, ms };
    } catch (error) {
      if (!(error instanceof ShadowConnectionError)) throw error;
      // What a server says of the login itself would be said to the client too, once its tables are there; that it is full or starting is of the moment.
      if (side === 'local' && /^(?:28|3D|42)/.test(error.sqlstate ?? '')) throw new Ended({ result: 'failed', note: `${error.sqlstate ?? ''}: ${error.message}` });
      throw new Ended({ result: side === 'local' ? 'skipped' : 'unsettled', note: `${side === 'local' ? 'local' : 'the source'} could not be asked: ${error.message}` });
    }
  }

  /** Then no order can be the reason. */
  async #isOneRow(): Promise<boolean> {
    const { read: { pinned }, login, state } = this.#job;
    if (!pinned) return false;
    const digest = new AnswerDigest(this.#world.maxBytes);
    try {
      await this.#world.pool.use('source', login, state.custom, (connection) => connection.run(state, query(keyQuery(pinned)), digest, this.#world.timeoutMs));
    } catch (error) {
      if (!(error instanceof ShadowConnectionError)) throw error;
      return false;
    }
    return digest.end === 'complete' && digest.rows > 0;
  }

  async #catchUp(): Promise<void> {
    const verdict = notCaughtUp(await this.#world.caughtUp());
    if (verdict) throw new Ended(verdict);
  }
}

export type CaughtUp = 'visible' | 'late' | 'unknown';

/** Undefined when local shows what it is to show. */
export function notCaughtUp(found: CaughtUp): Verdict | undefined {
  switch (found) {
    case 'visible': return undefined;
    case 'late': return { result: 'unsettled', note: 'local was too far behind' };
    case 'unknown': return { result: 'skipped', note: 'the position of the source could not be had' };
    default: return found satisfies never;
  }
}

/** Two that are too large are not compared any further. */
function isSameAnswer(one: AnswerDigest, other: AnswerDigest): boolean {
  return (one.end === 'too_large' && other.end === 'too_large') || likeness(one, other) !== 'different';
}

function textOf({ sqlstate, message }: { readonly sqlstate: string; readonly message: string }): string {
  return `${sqlstate}: ${message}`;
}

function alike(found: 'same' | 'same_in_other_order', read: ComparedRead): Verdict {
  return { result: found === 'same_in_other_order' && read.ordered ? 'order_differs' : 'equal' };
}

/** A row if some of the columns are a key of the table alone, without the tables that inherit from it. */
function keyQuery({ table, columns }: NonNullable<ComparedRead['pinned']>): string {
  return `SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ${quoteLiteral(table.schema)} AND c.relname = ${quoteLiteral(table.name)} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND NOT (c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid))
    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, at) JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
      WHERE k.at <= coalesce((pg_catalog.to_jsonb(i) ->> 'indnkeyatts')::pg_catalog.int4, i.indnatts) AND a.attname NOT IN (${columns.map(quoteLiteral).join(', ')})) LIMIT 1`;
}

function differing(source: AnswerDigest, local: AnswerDigest, dependsOnOrder: boolean): Verdict {
  if (local.error) return { result: 'failed', note: textOf(local.error) };
  const isOrder = dependsOnOrder && source.columns === local.columns;
  return { result: isOrder ? 'order_differs' : 'different', example: exampleOf(source, local) };
}
