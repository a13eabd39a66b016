/**
 * Shadow reads (`read_from 'compare'`): the source answers, and a part of the reads is asked of local too, behind the client's back.
 *
 * A read's way: sampled → its answer is seen as it passes → the session's settings are known → local has caught up → queued → compared → counted. Whatever is missing on the
 * way ends it with a count of its own; nothing of it is ever waited for by a client. All of it is bounded: the queue, the comparisons at once, the
 * bytes of an answer, the statements that are remembered.
 */
import type { RoutingSnapshot, Side } from '../../../catalog/routing-snapshot.ts';
import { renameRelations } from '../../../grammar/sql/rename-relations.ts';
import type { ComparedRead } from '../../route/route.ts';
import type { Services } from '../services.ts';
import { AnswerDigest } from './answer-digest.ts';
import { compareRead, notCaughtUp } from './compare-read.ts';
import type { CaughtUp, ComparisonWorld, ReadToCompare } from './compare-read.ts';
import type { SessionState } from './shadow-connection.ts';
import { SessionStates } from './session-states.ts';
import { ShadowLedger } from './shadow-ledger.ts';
import type { Verdict } from './shadow-ledger.ts';
import { ShadowPool } from './shadow-pool.ts';
import type { ShadowedSession, ShadowedStatement, ShadowPort, ShadowReadCounts, TappedSegment } from './shadow-port.ts';
import { textOf } from './shadow-statement.ts';
import type { ShadowStatement } from './shadow-statement.ts';

/** A text and its parameters, together. */
const MAX_STATEMENT_BYTES = 64 * 1024;

/** A read whose answer is passing, or has passed. */
interface Watched {
  readonly session: ShadowedSession;
  readonly read: ComparedRead;
  readonly statement: ShadowStatement;
  readonly answer: AnswerDigest;
  /** What its names stood for when it was sent. */
  readonly snapshot: RoutingSnapshot;
  readonly searchPath: readonly string[];
  readonly temporaryTables: ReadonlyMap<string, Side>;
}

interface Queued extends Watched {
  readonly state: SessionState;
  readonly sourceMs: number;
}

export class ShadowReads implements ShadowPort {
  readonly #services: Omit<Services, 'shadow'>;
  readonly #ledger: ShadowLedger;
  readonly #pool: ShadowPool;
  readonly #states: SessionStates;
  readonly #queue: Queued[] = [];
  readonly #closing = new AbortController();
  #running = 0;
  /** Those that wait for local, are queued or compared. */
  #pending = 0;

  constructor(services: Omit<Services, 'shadow'>) {
    this.#services = services;
    this.#ledger = new ShadowLedger(services.runtime.metrics, services.limits.shadowStatements);
    this.#pool = new ShadowPool(services);
    this.#states = new SessionStates(() => this.#now());
  }

  read(): readonly ShadowReadCounts[] {
    return this.#ledger.read();
  }

  /** What is under way is given up. */
  close(): void {
    this.#closing.abort();
    this.#queue.length = 0;
    this.#pool.close();
  }

  queried(session: ShadowedSession, segment: TappedSegment, read: ComparedRead, text: Buffer): void {
    if (this.#isSampled(read)) this.#watch(session, segment, read, { text, bound: undefined });
  }

  bound(session: ShadowedSession, segment: TappedSegment, read: ComparedRead, { origin }: ShadowedStatement, bind: Buffer): void {
    if (!this.#isSampled(read) || origin.type !== 'parse') return;
    const text = textOf(origin.message);
    if (text) this.#watch(session, segment, read, { text, bound: { parse: origin.message, bind } });
  }

  #isSampled({ percent }: ComparedRead): boolean {
    return !this.#closing.signal.aborted && (percent >= 100 || Math.random() * 100 < percent);
  }

  #watch(session: ShadowedSession, segment: TappedSegment, read: ComparedRead, { text, bound }: ShadowStatement): void {
    const obstacle = read.obstacle ?? this.#obstacle(session, segment, text.length + (bound?.bind.length ?? 0));
    if (obstacle !== undefined || this.#isFull) {
      this.#record({ statement: { text, bound }, read }, obstacle === undefined ? { result: 'dropped' } : { result: 'skipped', note: obstacle });
      return;
    }
    const statement = { text: Buffer.from(text), bound: bound && { parse: Buffer.from(bound.parse), bind: Buffer.from(bound.bind) } };
    const { searchPath, temporaryTables } = session;
    const { limits, view } = this.#services;
    const watched: Watched = { session, read, statement, answer: new AnswerDigest(limits.maxShadowBytes), snapshot: view().snapshot, searchPath, temporaryTables };
    segment.tap = {
      see: (bytes) => watched.answer.see(bytes),
      ended: (leg) => {
        leg.flushPassed();
        this.#ended(watched, this.#now() - segment.startedAtMs);
      },
    };
  }

  /** Behind another unit its time would be that of both. */
  #obstacle({ home: { segments } }: ShadowedSession, segment: TappedSegment, bytes: number): string | undefined {
    if (bytes > MAX_STATEMENT_BYTES) return 'its text and parameters are too long';
    return segments.every((other) => other === segment || other.internal) ? undefined : 'it was sent before the last one was answered';
  }

  get #isFull(): boolean {
    return this.#pending >= this.#services.limits.shadowQueue;
  }

  /** Not from inside the leg's scan: the answer's last bytes leave first, and the session knows that it is over. */
  #ended(watched: Watched, sourceMs: number): void {
    queueMicrotask(() => this.#answered(watched, sourceMs));
  }

  /** Errors are the client's own business: local is not asked. */
  #answered(watched: Watched, sourceMs: number): void {
    const { end } = watched.answer;
    if (end === 'too_large') this.#record(watched, { result: 'too_large' });
    else if (end === 'other') this.#record(watched, { result: 'skipped', note: 'it was fetched in parts, or together with others' });
    else if (end === 'complete') this.#states.of(watched.session, (state) => this.#enqueue(watched, state, sourceMs));
  }

  #enqueue(watched: Watched, state: SessionState | undefined, sourceMs: number): void {
    if (this.#closing.signal.aborted) return;
    if (!state) this.#record(watched, { result: 'skipped', note: 'the settings of its session had just changed' });
    else if (this.#isFull) this.#record(watched, { result: 'dropped' });
    else {
      this.#pending += 1;
      void this.#caughtUp().then((found) => this.#caughtUpWith({ ...watched, state, sourceMs }, notCaughtUp(found)));
    }
  }

  /** Waiting for local takes no place among the comparisons: many wait for one and the same position. */
  #caughtUpWith(queued: Queued, instead: Verdict | undefined): void {
    if (this.#closing.signal.aborted) return;
    if (instead) {
      this.#pending -= 1;
      this.#record(queued, instead);
      return;
    }
    this.#queue.push(queued);
    if (this.#running < this.#services.limits.shadowConcurrency) void this.#work();
  }

  async #work(): Promise<void> {
    this.#running += 1;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const verdict = await this.#compare(next).catch((error: unknown): Verdict => {
        if (!this.#closing.signal.aborted) this.#services.runtime.log.error('a shadow read failed', { error: String(error) });
        return { result: 'skipped', note: String(error) };
      });
      this.#pending -= 1;
      if (!this.#closing.signal.aborted) this.#record(next, verdict);
    }
    this.#running -= 1;
  }

  async #compare(queued: Queued): Promise<Verdict> {
    const { read, statement, state, answer, sourceMs, session: { identity } } = queued;
    const { limits, runtime } = this.#services;
    const localText = await this.#localText(queued);
    if (localText === 'unread') return { result: 'skipped', note: 'the names of its tables could not be replaced' };
    const job: ReadToCompare = { read, statement, localText, login: { user: identity.user, database: identity.database }, state, answer, sourceMs };
    const world: ComparisonWorld = {
      pool: this.#pool, maxBytes: limits.maxShadowBytes, timeoutMs: limits.shadowTimeoutMs,
      sleep: (ms) => runtime.clock.sleep(ms, this.#closing.signal),
      caughtUp: () => this.#caughtUp(),
      isStillCompared: () => this.#isStillCompared(queued),
    };
    return compareRead(job, world);
  }

  #isStillCompared({ read, snapshot }: Watched): boolean {
    const { control } = this.#services;
    return control.leaseValid && read.tables.every((key) => {
      const was = snapshot.tables[key];
      const is = control.snapshot.tables[key];
      return is?.compare !== undefined && is.local.schema === was?.local.schema && is.local.name === was.local.name;
    });
  }

  /** As `LocalNames` does for a statement that a client sends there. */
  async #localText({ statement, snapshot, searchPath, temporaryTables }: Watched): Promise<Buffer | undefined | 'unread'> {
    const { facts, routes, view } = this.#services;
    if (!view().renames) return undefined;
    const places = await facts.places(statement.text.toString('utf8'));
    if (!places) return 'unread';
    return renameRelations(statement.text, places, (relation) => routes.localName(relation, snapshot, { searchPath, temporaryTables }))?.bytes;
  }

  /** Bounded also where the source does not say where it is. */
  #caughtUp(): Promise<CaughtUp> {
    const { sourcePosition, control: { visibility }, limits } = this.#services;
    return new Promise((resolve) => {
      let cancel: (() => void) | undefined;
      let found: CaughtUp | undefined;
      const end = (as: CaughtUp): void => {
        if (found) return;
        found = as;
        clearTimeout(timer);
        cancel?.();
        resolve(as);
      };
      let late: CaughtUp = 'unknown';
      const timer = setTimeout(() => end(late), limits.visibilityWaitMs).unref();
      sourcePosition.fetch((lsn) => {
        if (found) return;
        late = 'late';
        if (lsn === undefined) end('unknown');
        else cancel = visibility.whenPositionVisible(lsn, () => end('visible'));
      });
    });
  }

  #record({ statement, read }: Pick<Watched, 'statement' | 'read'>, verdict: Verdict): void {
    this.#ledger.record(statement.text, read.tables, verdict);
  }

  #now(): number {
    return this.#services.runtime.clock.monotonicMs();
  }
}
