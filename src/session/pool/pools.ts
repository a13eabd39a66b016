/** All pools of a gateway process: which users share connections, and how. */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import type { LegTarget } from '../leg-target.ts';
import { BackendPool } from './backend-pool.ts';
import type { PoolGroup, PoolLimits } from './backend-pool.ts';
import type { Borrowing } from '../leg-connection.ts';
import type { ObjectNumbers } from '../object-numbers.ts';
import { Lanes } from './lanes.ts';
import type { LaneOptions } from './lanes.ts';
import { StatementNames } from './pooled-statements.ts';

/** From so many on, lanes of settings that nobody uses at the moment are forgotten. */
const MOST_SETTINGS = 16;
/** The same for groups. */
const MOST_GROUPS = 1_000;

export type PoolMode = 'session' | 'transaction' | 'pipeline';

export interface PoolOptions extends PoolLimits {
  /** By the user's and the database's name at the gateway. */
  readonly modeOf: (user: string, database: string) => PoolMode;
  readonly shared: LaneOptions;
}

/** As the client has told it. */
export interface PooledLogin {
  readonly user: string;
  readonly database: string;
  readonly startup: ReadonlyMap<string, string>;
}

export interface SurveyedPool {
  readonly side: Side;
  /** As clients log in. */
  readonly user: string;
  /** Its name on the source. */
  readonly database: string;
  readonly open: number;
  readonly idle: number;
  /** Of the open ones, those that carry reads of many sessions. */
  readonly lanes: number;
  readonly waiting: number;
  readonly longestWaitMs: number;
}

export class Pools {
  readonly names = new StatementNames();
  readonly options: PoolOptions;
  readonly #lanes = new Map<PoolGroup, Map<string, Lanes>>();
  readonly #runtime: Runtime;
  readonly #buffers: LargeBuffers;
  readonly #pools = new Map<string, { readonly side: Side; readonly user: string; readonly database: string; readonly pool: BackendPool }>();

  constructor(runtime: Runtime, options: PoolOptions, buffers: LargeBuffers) {
    this.#runtime = runtime;
    this.options = options;
    this.#buffers = buffers;
  }

  lender(side: Side, target: LegTarget, { user, database, startup }: PooledLogin): PoolGroup {
    const key = JSON.stringify([side, user, database]);
    let found = this.#pools.get(key);
    if (!found) {
      // A session's home is opened first.
      const name = side === 'source' ? target.database : (this.#pools.get(JSON.stringify(['source', user, database]))?.database ?? database);
      this.#pools.set(key, (found = { side, user, database: name, pool: new BackendPool(this.#runtime, target, this.options, this.#buffers) }));
    }
    return found.pool.group(startup);
  }

  /** The lanes of those who have told their server the same, and have made the same settings since. */
  lanes(group: PoolGroup, settings: Borrowing, numbers: ObjectNumbers | undefined): Lanes {
    let ofGroup = this.#lanes.get(group);
    if (!ofGroup) {
      if (this.#lanes.size >= MOST_GROUPS) for (const [each, its] of this.#lanes) if ([...its.values()].every(({ isIdle }) => isIdle)) this.#lanes.delete(each);
      this.#lanes.set(group, (ofGroup = new Map()));
    }
    let lanes = ofGroup.get(settings.settings);
    if (lanes) return lanes;
    if (ofGroup.size >= MOST_SETTINGS) for (const [name, each] of ofGroup) if (each.isIdle) ofGroup.delete(name);
    lanes = new Lanes({ lender: group, settings, options: this.options.shared, numbers, now: () => this.#runtime.clock.monotonicMs(), longestWaitMs: () => group.longestWaitMs });
    ofGroup.set(settings.settings, lanes);
    return lanes;
  }

  survey(): readonly SurveyedPool[] {
    return [...this.#pools.values()].map(({ side, user, database, pool }) => ({ side, user, database, ...pool.counts, lanes: this.#lanesIn(pool) }));
  }

  #lanesIn(pool: BackendPool): number {
    let count = 0;
    for (const [group, ofGroup] of this.#lanes) if (group.isOf(pool)) for (const lanes of ofGroup.values()) count += lanes.count;
    return count;
  }

  close(): void {
    for (const { pool } of this.#pools.values()) pool.close();
  }
}

export const sessionPooling: PoolOptions = {
  modeOf: () => 'session', size: 20, waitMs: 30_000, idleMs: 600_000, lifetimeMs: 3_600_000, preparedStatements: 1_000, connectTimeoutMs: 10_000, shared: { lanes: 2, slowMs: 50, preparedStatements: 1_000 },
};
