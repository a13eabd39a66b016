/** How many sessions each user and each database of the source may have, over all gateway processes together. */
import type { Settings } from './settings.ts';

/** Sessions of one user on one database of the source. */
export interface Pool {
  readonly user: string;
  readonly database: string;
}

export interface ConnectionLimits {
  /** 0: no limit. */
  readonly ofUser: (name: string) => number;
  /** 0: no limit. By the database's name on the source. */
  readonly ofDatabase: (name: string) => number;
  /** Clients of one pool that may wait for a place. */
  readonly maxWaiting: number;
  /** Neither limited nor counted. */
  readonly isExempt: (user: string) => boolean;
}

export const noConnectionLimits: ConnectionLimits = { ofUser: () => 0, ofDatabase: () => 0, maxWaiting: 0, isExempt: () => true };

/** Operators are exempt: whoever is to look into why all places are taken must not need one. */
export function connectionLimits({ users, databases, limits, timeouts }: Pick<Settings, 'users' | 'databases' | 'limits' | 'timeouts'>): ConnectionLimits {
  const byUser = new Map(users.map((user) => [user.name, user.maxUserConnections ?? limits.maxUserConnections]));
  const byDatabase = new Map(databases.map((database) => [database.name, database.maxDbConnections ?? limits.maxDbConnections]));
  const operators = operatorsOf(users);
  return {
    ofUser: (name) => byUser.get(name) ?? byUser.get('*') ?? limits.maxUserConnections,
    ofDatabase: (name) => byDatabase.get(name) ?? limits.maxDbConnections,
    maxWaiting: timeouts.connectionWaitMs === 0 ? 0 : limits.maxWaitingClients,
    isExempt: (name) => operators.has(name),
  };
}

export function operatorsOf(users: Settings['users']): ReadonlySet<string> {
  return new Set(users.filter((user) => user.operator).map((user) => user.name));
}
