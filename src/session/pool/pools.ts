/** All pools of a gateway process: which users share connections, and how. */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { LargeBuffers } from '../../wire/server-input.ts';
import type { LegTarget } from '../leg-target.ts';
import { BackendPool } from './backend-pool.ts';
import type { PoolGroup, PoolLimits } from './backend-pool.ts';
import type { Borrowing } from '../leg-connection.ts';
import type { ObjectNumbers } from '../object-numbers.ts';
import { Lanes, SlowStatements } from './lanes.ts';
import type { LaneOptions } from './lanes.ts';
import { StatementNames } from './pooled-statements.ts';

/** From so many on, lanes of settings that nobody uses at the moment are forgotten. */
const MOST_SETTINGS = 16;

export type PoolMode = 'session' | 'transaction' | 'pipeline';

export interface PoolOptions extends PoolLimits {
  /** By the user's and the database's name at the gateway. */
  readonly modeOf: (user: string, database: string) => PoolMode;
  readonly shared: LaneOptions;
}

export interface SurveyedPool {
  readonly side: Side;
  /** On the server. */
  readonly user: string;
  readonly database: string;
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
  readonly longestWaitMs: number;
}

export class Pools {
  readonly names = new StatementNames();
  readonly options: PoolOptions;
  readonly slow = new SlowStatements();
  readonly #lanes = new Map<PoolGroup, Map<string, Lanes>>();
  readonly #runtime: Runtime;
  readonly #buffers: LargeBuffers;
  readonly #pools = new Map<string, { readonly side: Side; readonly pool: BackendPool }>();

  constructor(runtime: Runtime, options: PoolOptions, buffers: LargeBuffers) {
    this.#runtime = runtime;
    this.options = options;
    this.#buffers = buffers;
  }

  lender(side: Side, target: LegTarget, startup: ReadonlyMap<string, string>): PoolGroup {
    const key = JSON.stringify([side, target.host, target.port, target.user, target.database]);
    let found = this.#pools.get(key);
    if (!found) this.#pools.set(key, (found = { side, pool: new BackendPool(this.#runtime, target, this.options, this.#buffers) }));
    return found.pool.group(startup);
  }

  /** The lanes of those who have told their server the same, and have made the same settings since. */
  lanes(group: PoolGroup, settings: Borrowing, numbers: ObjectNumbers | undefined): Lanes {
    let ofGroup = this.#lanes.get(group);
    if (!ofGroup) this.#lanes.set(group, (ofGroup = new Map()));
    let lanes = ofGroup.get(settings.settings);
    if (lanes) return lanes;
    if (ofGroup.size >= MOST_SETTINGS) for (const [name, each] of ofGroup) if (each.isIdle) ofGroup.delete(name);
    lanes = new Lanes({ lender: group, settings, options: this.options.shared, slow: this.slow, numbers, now: () => this.#runtime.clock.monotonicMs(), longestWaitMs: () => group.longestWaitMs });
    ofGroup.set(settings.settings, lanes);
    return lanes;
  }

  survey(): readonly SurveyedPool[] {
    return [...this.#pools.values()].map(({ side, pool }) => ({ side, user: pool.target.user, database: pool.target.database, ...pool.counts }));
  }

  close(): void {
    for (const { pool } of this.#pools.values()) pool.close();
  }
}

export const sessionPooling: PoolOptions = {
  modeOf: () => 'session', size: 20, waitMs: 30_000, idleMs: 600_000, lifetimeMs: 3_600_000, preparedStatements: 1_000, connectTimeoutMs: 10_000, shared: { lanes: 2, slowMs: 20 },
};
