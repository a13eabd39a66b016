/**
 * Realistic traffic over the sample order system, through the gateway or straight at a database, that knows afterwards what it was
 * promised (see `write-ledger.ts` and `verify-traffic.ts`).
 *
 * Each client is a loop: a write, sometimes a look at what it has just written, a read, until the signal aborts. Writes are
 * paced to `targetTps` over all clients; a client that was held up makes good at most one second of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { LatencyHistogram } from './latency-histogram.ts';
import type { LatencySummary } from './latency-histogram.ts';
import { readOperations, seesOwnWrite, writeOperations } from './operations.ts';
import { TrafficSession } from './traffic-session.ts';
import type { SampleFacts, TrafficTarget, UnitOutcome } from './traffic-session.ts';
import { WriteLedger } from './write-ledger.ts';

export interface TrafficOptions extends TrafficTarget {
  readonly connections: number;
  /** Write transactions per second over all connections; 0 = as fast as they go. */
  readonly targetTps: number;
  /** Ends the run; units under way are finished first. */
  readonly signal: AbortSignal;
  /** Called once a second. */
  readonly onStats?: (stats: TrafficStats) => void;
  /** Names the run in the write logs and seeds its choices; default: from the clock. */
  readonly runId?: number;
  /** Reads after each write; default 1. */
  readonly readsPerWrite?: number;
  /** How long units under way may take once the signal has aborted; default 30 s. */
  readonly stopLimitMs?: number;
}

export interface TrafficStats {
  readonly elapsedMs: number;
  readonly connections: number;
  /** Acknowledged writes. */
  readonly writes: number;
  readonly reads: number;
  /** In the second before these numbers; over the whole run in the last ones. */
  readonly writesPerSecond: number;
  /** Acknowledged writes in the slowest full second so far, the first one left out; undefined in the first two. */
  readonly slowestSecond: number | undefined;
  /** Errors by SQLSTATE, `connection` for a lost or refused connection; 40001 is not among them. */
  readonly errors: Readonly<Record<string, number>>;
  /** The first message of each SQLSTATE, 40001 included. */
  readonly errorMessages: Readonly<Record<string, string>>;
  readonly errorCount: number;
  /** 40001: the unit was given way and can be run again. */
  readonly serializationFailures: number;
  /** Writes whose COMMIT was under way when the connection was lost. */
  readonly unknownOutcomes: number;
  readonly reconnects: number;
  /** A session did not see what it had just been told was done. */
  readonly readYourWritesViolations: number;
  /** A statement or snapshot in which money was made or lost. */
  readonly sumViolations: number;
  readonly violationMessages: readonly string[];
  readonly writeLatency: LatencySummary;
  readonly readLatency: LatencySummary;
  /** Longest time one unit of work took, from its beginning to its success, by client; reconnecting included. */
  readonly longestPauseMs: readonly number[];
}

export interface TrafficResult {
  readonly stats: TrafficStats;
  readonly ledger: WriteLedger;
}

/** Runs until the signal aborts. Rejects only when the database cannot be reached at the beginning. */
export async function runTraffic(options: TrafficOptions): Promise<TrafficResult> {
  const facts = await readFacts(options);
  const runId = options.runId ?? Math.floor(Date.now() / 1000) & 0x7fffffff;
  const ledger = new WriteLedger(runId, options.connections, facts.opening);
  const tally = new Tally(options.connections);
  const sessions = Array.from({ length: options.connections }, (_, clientId) => new TrafficSession(options, { runId, clientId }, facts, ledger.client(clientId)));
  const ticker = setInterval(() => {
    const stats = tally.stats(ledger);
    options.onStats?.(stats);
  }, 1000);
  const forced = stopWhenOverdue(options, sessions);
  try {
    await Promise.all(sessions.map((session) => runClient(session, options, tally)));
  } finally {
    clearInterval(ticker);
    forced.cancel();
    await Promise.all(sessions.map((session) => session.close()));
  }
  return { stats: tally.stats(ledger, 'whole run'), ledger };
}

/** Cuts the connections of clients that hang after the end of the run. */
function stopWhenOverdue(options: TrafficOptions, sessions: readonly TrafficSession[]): { cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    timer = setTimeout(() => sessions.forEach((session) => session.destroy()), options.stopLimitMs ?? 30_000);
  };
  options.signal.addEventListener('abort', start, { once: true });
  return {
    cancel: () => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', start);
    },
  };
}

async function runClient(session: TrafficSession, options: TrafficOptions, tally: Tally): Promise<void> {
  const { signal, targetTps, connections } = options;
  const intervalMs = targetTps === 0 ? 0 : (1000 * connections) / targetTps;
  // Clients start spread over one interval, not all at once.
  let due = performance.now() + (intervalMs * session.identity.clientId) / connections;
  while (!signal.aborted) {
    const early = due - performance.now();
    if (early > 1) await delay(early, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    due = Math.max(due + intervalMs, performance.now() - 1000);
    if (!(await reopen(session, signal, tally))) return;
    await writeOnce(session, tally);
    for (let read = 0; read < (options.readsPerWrite ?? 1) && session.isOpen; read += 1) await readOnce(session, tally);
  }
}

/** Connects again until it succeeds; false when the run ends first. */
async function reopen(session: TrafficSession, signal: AbortSignal, tally: Tally): Promise<boolean> {
  for (let attempt = 0; !session.isOpen; attempt += 1) {
    if (signal.aborted) return false;
    try {
      await session.open();
      if (session.ledger.length > 0) tally.reconnects += 1;
    } catch (error) {
      if (attempt === 0) tally.countError(error instanceof Error && 'code' in error ? String(error.code) : 'connection', error instanceof Error ? error.message : String(error));
      tally.holdUp(session.identity.clientId);
      await delay(Math.min(50 * 2 ** attempt, 500), undefined, { signal }).catch(() => undefined);
    }
  }
  return true;
}

async function writeOnce(session: TrafficSession, tally: Tally): Promise<void> {
  const operation = chooseByWeight(writeOperations, session);
  const { clientId } = session.identity;
  const started = tally.begin(clientId);
  const outcome = await session.write(operation.group, () => operation.run(session));
  if (outcome.kind !== 'done') return tally.countOutcome(outcome, operation.name);
  tally.writeLatency.add(performance.now() - started);
  tally.succeed(clientId);
  if (session.pick(2) === 0) return;
  const check = await session.unit(async () => {
    if (!(await seesOwnWrite(session, operation.group))) tally.countViolation('readYourWrites', `client ${clientId} did not see its own "${operation.name}" ${session.seq}`);
  });
  if (check.kind !== 'done') tally.countOutcome(check, 'look at own write');
}

async function readOnce(session: TrafficSession, tally: Tally): Promise<void> {
  const operation = chooseByWeight(readOperations, session);
  const started = tally.begin(session.identity.clientId);
  let wrong: string | undefined;
  const outcome = await session.unit(async () => {
    wrong = await operation.run(session);
  });
  if (outcome.kind !== 'done') return tally.countOutcome(outcome, operation.name);
  tally.reads += 1;
  tally.readLatency.add(performance.now() - started);
  tally.succeed(session.identity.clientId);
  if (wrong !== undefined) tally.countViolation('sum', wrong);
}

function chooseByWeight<Operation extends { readonly weight: number }>(operations: readonly Operation[], session: TrafficSession): Operation {
  let at = session.pick(operations.reduce((sum, { weight }) => sum + weight, 0));
  for (const operation of operations) {
    at -= operation.weight;
    if (at < 0) return operation;
  }
  throw new RangeError('no operation to choose from');
}

/** What all clients of a run have come to. */
class Tally {
  reads = 0;
  reconnects = 0;
  readonly writeLatency = new LatencyHistogram();
  readonly readLatency = new LatencyHistogram();
  readonly #started = performance.now();
  readonly #errors: Record<string, number> = {};
  readonly #messages: Record<string, string> = {};
  readonly #violations = { readYourWrites: 0, sum: 0 };
  readonly #violationMessages: string[] = [];
  readonly #pauses: number[];
  /** When each client began what it has not yet succeeded with. */
  readonly #waitingSince: (number | undefined)[];
  #last = { at: this.#started, writes: 0 };
  #seconds = 0;
  #slowestSecond: number | undefined;

  constructor(connections: number) {
    this.#pauses = Array.from({ length: connections }, () => 0);
    this.#waitingSince = Array.from({ length: connections }, () => undefined);
  }

  begin(clientId: number): number {
    const now = performance.now();
    this.#waitingSince[clientId] ??= now;
    return now;
  }

  succeed(clientId: number): void {
    this.holdUp(clientId);
    this.#waitingSince[clientId] = undefined;
  }

  /** Counts the time waited so far into the client's longest pause. */
  holdUp(clientId: number): void {
    const since = this.begin(clientId);
    this.#pauses[clientId] = Math.max(this.#pauses[clientId] ?? 0, performance.now() - (this.#waitingSince[clientId] ?? since));
  }

  countOutcome(outcome: Exclude<UnitOutcome, { kind: 'done' }>, operation: string): void {
    this.countError(outcome.sqlstate, `${operation}: ${outcome.message}`);
  }

  countError(sqlstate: string, message: string): void {
    this.#errors[sqlstate] = (this.#errors[sqlstate] ?? 0) + 1;
    this.#messages[sqlstate] ??= message;
  }

  countViolation(kind: 'readYourWrites' | 'sum', message: string): void {
    this.#violations[kind] += 1;
    if (this.#violationMessages.length < 20) this.#violationMessages.push(message);
  }

  stats(ledger: WriteLedger, over: 'last second' | 'whole run' = 'last second'): TrafficStats {
    const now = performance.now();
    const writes = ledger.count('acknowledged');
    const since = over === 'whole run' ? { at: this.#started, writes: 0 } : this.#last;
    const writesPerSecond = Math.round((10_000 * (writes - since.writes)) / Math.max(1, now - since.at)) / 10;
    this.#last = { at: now, writes };
    this.#seconds += 1;
    if (over === 'last second' && this.#seconds > 1) this.#slowestSecond = Math.min(this.#slowestSecond ?? Infinity, writesPerSecond);
    const { '40001': serializationFailures = 0, ...errors } = this.#errors;
    return {
      elapsedMs: now - this.#started, connections: this.#pauses.length, writes, reads: this.reads, writesPerSecond, slowestSecond: this.#slowestSecond, errors, errorMessages: { ...this.#messages },
      errorCount: Object.values(errors).reduce((sum, count) => sum + count, 0), serializationFailures,
      unknownOutcomes: ledger.count('unknown'), reconnects: this.reconnects,
      readYourWritesViolations: this.#violations.readYourWrites, sumViolations: this.#violations.sum, violationMessages: [...this.#violationMessages],
      writeLatency: this.writeLatency.summary(), readLatency: this.readLatency.summary(),
      longestPauseMs: this.#pauses.map((pause, clientId) => Math.max(pause, now - (this.#waitingSince[clientId] ?? now))),
    };
  }
}

/** Looks up what there is, and the sums that are compared at the end. */
async function readFacts(target: TrafficTarget): Promise<SampleFacts> {
  const client = new pg.Client({ ...target, application_name: 'causeway traffic' });
  await client.connect();
  try {
    const list = async (sql: string): Promise<string[]> => (await client.query<{ value: string }>(sql)).rows.map(({ value }) => value);
    const number = async (sql: string): Promise<number> => Number((await list(sql))[0]);
    const balances = await client.query<{ id: number; cents: string }>('SELECT id, (balance * 100)::bigint AS cents FROM accounts');
    return {
      products: await list('SELECT id AS value FROM products ORDER BY id'),
      documents: await list('SELECT DISTINCT product_id AS value FROM product_documents ORDER BY 1'),
      customers: await number('SELECT max(id) AS value FROM customers'),
      orders: await number(`SELECT min(order_id) - 1 AS value FROM order_write_log WHERE operation = 'place order'`) || (await number('SELECT max(id) AS value FROM orders')),
      accounts: balances.rows.length,
      opening: {
        balances: new Map(balances.rows.map(({ id, cents }) => [id, Number(cents)])),
        stock: await number('SELECT sum(quantity + reserved) AS value FROM inventory'),
        visits: await number(`SELECT sum((preferences ->> 'visits')::int) AS value FROM customers`),
      },
    };
  } finally {
    await client.end();
  }
}
