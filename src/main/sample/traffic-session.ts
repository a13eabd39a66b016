/**
 * One client of the sample traffic: a connection that comes back by itself, and the bookkeeping of what its writes came to.
 *
 * States: closed → open (on the next unit of work) → closed (connection lost). Within a unit: `working` → `committing` (an error
 * from here on leaves the outcome unknown unless the server says that nothing was done).
 */
import * as net from 'node:net';
import pg from 'pg';
import type { OpeningState, ClientLedger } from './write-ledger.ts';
import type { SampleGroup } from './load-sample.ts';

export interface TrafficTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password?: string;
}

/** What there is to read and write, looked up once per run. */
export interface SampleFacts {
  readonly products: readonly string[];
  readonly documents: readonly string[];
  readonly customers: number;
  readonly orders: number;
  readonly accounts: number;
  readonly opening: OpeningState;
}

export interface SessionIdentity {
  readonly runId: number;
  readonly clientId: number;
}

/** How a unit of work ended. `sqlstate` is `connection` when the connection was lost without one. */
export type UnitOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed' | 'unknown'; readonly sqlstate: string; readonly message: string };

export class TrafficSession {
  readonly identity: SessionIdentity;
  readonly facts: SampleFacts;
  readonly ledger: ClientLedger;
  /** Orders that this client placed and has not cancelled, newest last; at most 50. */
  readonly ownOrders: number[] = [];
  /** Number of the write that is under way. */
  seq = -1;
  #client: pg.Client | undefined;
  #socket: net.Socket | undefined;
  #phase: 'working' | 'committing' = 'working';
  #random: number;
  readonly #target: TrafficTarget;

  constructor(target: TrafficTarget, identity: SessionIdentity, facts: SampleFacts, ledger: ClientLedger) {
    this.#target = target;
    this.identity = identity;
    this.facts = facts;
    this.ledger = ledger;
    this.#random = (identity.runId * 31 + identity.clientId * 7919) >>> 0;
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  async open(): Promise<void> {
    if (this.#client) return;
    const socket = new net.Socket();
    const client = new pg.Client({ ...this.#target, application_name: 'causeway traffic', stream: () => socket, connectionTimeoutMillis: 10_000 });
    const lost = (): void => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', lost);
    client.on('end', lost);
    this.#socket = socket;
    try {
      await client.connect();
      this.#client = client;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Ends the connection without ceremony; a query under way fails. */
  destroy(): void {
    this.#client = undefined;
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  /** Simple protocol without values, extended with; prepared under a name when one is given. */
  async query(text: string, values?: readonly unknown[], name?: string): Promise<pg.QueryResult<Record<string, unknown>>> {
    if (!this.#client) throw new Error('connection lost');
    if (!values) return this.#client.query<Record<string, unknown>>(text);
    return this.#client.query<Record<string, unknown>>({ text, values: [...values], ...(name === undefined ? {} : { name }) });
  }

  /** BEGIN, the work, COMMIT. */
  async transaction(work: () => Promise<void>, begin = 'BEGIN'): Promise<void> {
    await this.query(begin);
    await work();
    this.#phase = 'committing';
    const { command } = await this.query('COMMIT');
    if (command !== 'COMMIT') throw Object.assign(new Error(`COMMIT was answered with ${command}`), { code: '25P02' });
  }

  /** A statement that commits by itself. */
  async autocommit(text: string, values?: readonly unknown[], name?: string): Promise<pg.QueryResult<Record<string, unknown>>> {
    this.#phase = 'committing';
    return this.query(text, values, name);
  }

  /** Runs the work as one write with a number of its own; its outcome goes into the ledger. */
  async write(group: SampleGroup, work: () => Promise<void>): Promise<UnitOutcome> {
    this.seq = this.ledger.begin(group);
    const outcome = await this.unit(work);
    this.ledger.settle(this.seq, outcome.kind === 'done' ? 'acknowledged' : outcome.kind);
    return outcome;
  }

  /** Runs the work; an error becomes an outcome, and the connection is usable or closed afterwards. */
  async unit(work: () => Promise<void>): Promise<UnitOutcome> {
    this.#phase = 'working';
    try {
      await work();
      return { kind: 'done' };
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      const kind = this.#isCommitting() && leavesOutcomeOpen(sqlstate) ? 'unknown' : 'failed';
      if (leavesOutcomeOpen(sqlstate)) this.destroy();
      else await this.query('ROLLBACK').catch(() => this.destroy());
      return { kind, sqlstate, message: error instanceof Error ? error.message : String(error) };
    }
  }

  #isCommitting(): boolean {
    return this.#phase === 'committing';
  }

  /** 0 to below − 1, repeatable for a run and client (mulberry32). */
  pick(below: number): number {
    this.#random = (this.#random + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), this.#random | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  pickFrom<Item>(items: readonly Item[]): Item {
    const item = items[this.pick(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}

function sqlstateOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : 'connection';
}

/** Class 08 and 57P: the connection went away, and nobody says whether before or after the commit. 40003 says so itself. */
function leavesOutcomeOpen(sqlstate: string): boolean {
  return sqlstate === 'connection' || sqlstate === '40003' || sqlstate.startsWith('08') || sqlstate.startsWith('57P');
}
