/**
 * The torture run: clients that stay and ones that come and go do what `torture-moves.ts`, `torture-crossings.ts` and `torture-rough.ts` know, at random from a seed; every few seconds
 * they all pause, and then nothing may be left: no session, no backend, no prepared transaction, no row that is missing or too many.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { installDecisions, postgresDecider, resolveInDoubt } from '../../cdc/postgres/decisions.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { Closed, Stuck, TortureClient } from './torture-client.ts';
import { MARK } from './torture-gateway.ts';
import type { Sample, TortureGateway } from './torture-gateway.ts';
import { Ledger, tortureSchema } from './torture-ledger.ts';
import type { Sides } from './torture-ledger.ts';
import * as crossings from './torture-crossings.ts';
import * as moves from './torture-moves.ts';
import type { Move, Turn } from './torture-turn.ts';
import { Random } from './torture-random.ts';
import * as rough from './torture-rough.ts';
import type { RoughMove } from './torture-rough.ts';

export interface TortureOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly clients: number;
  /** Between two looks at what is left. */
  readonly roundSeconds: number;
  /** Connections that all clients share on each side; left out: each has its own. */
  readonly poolSize?: number;
  /** Only these moves; default all. */
  readonly only?: readonly string[];
  readonly onRound?: (round: number, sample: Sample, movesDone: number) => void;
}

export interface TortureResult {
  readonly moves: Readonly<Record<string, number>>;
  readonly samples: readonly Sample[];
  readonly failures: readonly string[];
}

/** Costly moves are rarer. */
const weights: Readonly<Record<string, number>> = { hugeRows: 1, manyStatements: 1, settings: 2, killedBackends: 1 };
const NORMAL_WEIGHT = 4;
const QUIET_MS = 15_000;

export const moveNames: readonly string[] = Object.keys({ ...moves, ...crossings, ...rough });

export async function torture(source: TestPostgres, local: TestPostgres, gateway: TortureGateway, options: TortureOptions): Promise<TortureResult> {
  const sides: Sides = { source: await source.client(), local: await local.client() };
  for (const [side, admin] of Object.entries(sides) as [keyof Sides, Sides['source']][]) {
    await installDecisions(admin);
    await admin.query(tortureSchema(side));
  }
  const run = new TortureRun(sides, gateway, options);
  return run.run();
}

class TortureRun {
  readonly #sides: Sides;
  readonly #gateway: TortureGateway;
  readonly #options: TortureOptions;
  readonly #ledger = new Ledger();
  readonly #failures: string[] = [];
  readonly #samples: Sample[] = [];
  readonly #done: Record<string, number> = {};
  readonly #residents = new Map<number, TortureClient>();
  readonly #deck: (readonly [string, Move | RoughMove, boolean])[];
  #tokens = 0;

  constructor(sides: Sides, gateway: TortureGateway, options: TortureOptions) {
    this.#sides = sides;
    this.#gateway = gateway;
    this.#options = options;
    const named = [...Object.entries({ ...moves, ...crossings }).map(([name, move]) => [name, move, false] as const), ...Object.entries(rough).map(([name, move]) => [name, move, true] as const)];
    this.#deck = named.filter(([name]) => options.only?.includes(name) ?? true).flatMap((entry) => Array.from({ length: weights[entry[0]] ?? NORMAL_WEIGHT }, () => entry));
  }

  async run(): Promise<TortureResult> {
    const { seconds, roundSeconds, clients, seed } = this.#options;
    const endsAt = performance.now() + seconds * 1_000;
    const randoms = Array.from({ length: clients }, (_, index) => new Random(seed * 1_000 + index));
    for (let round = 1; performance.now() < endsAt && this.#failures.length === 0; round += 1) {
      const until = Math.min(endsAt, performance.now() + roundSeconds * 1_000);
      await Promise.all(randoms.map((random, index) => this.#client(index, random, until)));
      await this.#quiet(round);
    }
    for (const client of this.#residents.values()) client.socket.destroy();
    return { moves: this.#done, samples: this.#samples, failures: this.#failures };
  }

  async #client(index: number, random: Random, until: number): Promise<void> {
    while (performance.now() < until && this.#failures.length === 0) {
      const [name, move, isRough] = random.pick(this.#deck);
      const client = isRough ? await this.#open(`${index} ${name}`) : await this.#resident(index);
      if (!client) return;
      const token = (): string => `${index}-${++this.#tokens}`;
      const turn: Turn = { client, random, ledger: this.#ledger, port: this.#gateway.port, token };
      try {
        await move(turn, this.#sides);
        this.#done[name] = (this.#done[name] ?? 0) + 1;
      } catch (error) {
        await this.#failed(name, client, error);
      }
      if (isRough) client.socket.destroy();
      // A session that lives for ever is as much a case as one that comes and goes.
      else if (index % 2 === 1 && random.chance(0.1)) client.socket.end(Buffer.from([0x58, 0, 0, 0, 4]));
    }
  }

  get #living(): number {
    return [...this.#residents.values()].filter(({ closed, socket }) => !closed && socket.writable).length;
  }

  async #resident(index: number): Promise<TortureClient | undefined> {
    const known = this.#residents.get(index);
    if (known && !known.closed && known.socket.writable) return known;
    const client = await this.#open(`${index}`);
    if (client) this.#residents.set(index, client);
    return client;
  }

  async #open(name: string): Promise<TortureClient | undefined> {
    try {
      return await TortureClient.open(this.#gateway.port, name);
    } catch (error) {
      this.#failures.push(`${name} could not log in: ${String(error)}`);
      return undefined;
    }
  }

  async #failed(name: string, client: TortureClient, error: unknown): Promise<void> {
    const waitsFor = error instanceof Stuck || error instanceof Closed ? `\n  the session: ${await this.#gateway.describe(client.pid).catch(String)}` : '';
    this.#failures.push(`${name}: ${error instanceof Error ? `${error.constructor.name}: ${error.message}\n${error.stack?.split('\n').filter((line) => line.includes('torture-')).slice(0, 4).join('\n') ?? ''}` : String(error)}${waitsFor}`);
  }

  /** Until nothing is left but the residents, or for so long that it will not go. */
  async #quiet(round: number): Promise<void> {
    const startedAt = performance.now();
    const look = async (): Promise<{ left: string[]; sample: Sample }> => {
      const left = await this.#left();
      const sample = await this.#gateway.sample();
      return { left: [...left, ...(await this.#leftInside(sample))], sample };
    };
    let { left, sample } = await look();
    while (left.length > 0 && performance.now() - startedAt < QUIET_MS) {
      await delay(500);
      ({ left, sample } = await look());
    }
    this.#failures.push(...left, ...(await this.#ledger.settle(this.#sides)));
    this.#samples.push(sample);
    this.#options.onRound?.(round, sample, Object.values(this.#done).reduce((sum, count) => sum + count, 0));
  }

  async #left(): Promise<string[]> {
    const { source, local } = this.#sides;
    await resolveInDoubt(source, postgresDecider(local), MARK);
    await resolveInDoubt(local, postgresDecider(source), MARK);
    const left: string[] = [];
    const living = this.#living;
    for (const [side, admin] of Object.entries(this.#sides) as [keyof Sides, Sides['source']][]) {
      const { rows: backends } = await admin.query<{ pid: number; state: string; query: string }>("SELECT pid, state, left(query, 100) AS query FROM pg_stat_activity WHERE application_name = 'torture'");
      const { poolSize } = this.#options;
      const most = poolSize ?? (side === 'source' ? living : Math.min(living, backends.length));
      if (side === 'source' && poolSize === undefined ? backends.length !== living : backends.length > most) left.push(`${backends.length} backends on ${side} for ${living} clients: ${JSON.stringify(backends.slice(0, 30))}`);
      const { rows: prepared } = await admin.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts');
      if (prepared.length > 0) left.push(`${prepared.length} prepared transactions on ${side}`);
      const { rows: busy } = await admin.query<{ query: string }>("SELECT left(query, 100) AS query FROM pg_stat_activity WHERE application_name = 'torture' AND state <> 'idle'");
      if (busy.length > 0) left.push(`${side} still runs ${JSON.stringify(busy.slice(0, 10))}`);
    }
    return left;
  }

  async #leftInside(sample: Sample): Promise<string[]> {
    const left: string[] = [];
    const living = this.#living;
    const { rows } = await this.#sides.local.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'torture'");
    if (sample.sessions !== living) left.push(`${sample.sessions} sessions for ${living} clients`);
    if (this.#options.poolSize === undefined && sample.localLegs !== rows[0]?.n) left.push(`${sample.localLegs} legs to local for ${rows[0]?.n ?? 0} backends there`);
    if (sample.portals > 0) left.push(`${sample.portals} portals are kept by sessions in which none is open`);
    if (sample.cursors > 0) left.push(`${sample.cursors} cursors are kept by sessions in which none is open`);
    const most: Readonly<Record<string, number>> = { ClientSession: living, Leg: this.#options.poolSize === undefined ? living + sample.localLegs : 2 * living, Handshake: 0, OpenTransaction: 0, VisibilityWait: living };
    for (const [name, bound] of Object.entries(most)) if ((sample.objects[name] ?? 0) > bound) left.push(`${sample.objects[name] ?? 0} objects ${name}, where ${bound} may be`);
    return left;
  }
}
