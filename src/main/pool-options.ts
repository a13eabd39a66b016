/** How the sessions of one gateway process share connections: its part of what the settings allow to all of them. */
import type { Settings } from '../../config/settings.ts';
import type { PoolMode, PoolOptions } from '../session/pool/pools.ts';
import { workerCount } from './process-settings.ts';

/** A user's mode goes before its database's. Each process has an equal part of the connections, and two at least: one to share, one to have. */
export function poolOptions(settings: Settings): PoolOptions {
  const { pool, users, databases, timeouts } = settings;
  const ofUser = new Map(users.flatMap(({ name, poolMode }) => (poolMode === undefined ? [] : [[name, poolMode] as const])));
  const ofDatabase = new Map(databases.flatMap(({ name, poolMode }) => (poolMode === undefined ? [] : [[name, poolMode] as const])));
  const workers = workerCount(settings);
  const modeOf = (user: string, database: string): PoolMode => ofUser.get(user) ?? ofUser.get('*') ?? ofDatabase.get(database) ?? pool.mode;
  const size = Math.max(2, Math.floor(pool.size / workers));
  return {
    modeOf, size, waitMs: pool.waitMs, idleMs: pool.idleMs, lifetimeMs: pool.lifetimeMs, preparedStatements: pool.preparedStatements, connectTimeoutMs: timeouts.connectMs,
    shared: { lanes: Math.min(size - 1, Math.max(1, Math.ceil(pool.lanes / workers))), slowMs: pool.slowMs, preparedStatements: pool.preparedStatements },
  };
}
