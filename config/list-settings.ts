/** Settings as text, for SHOW CONFIG: names as in the file, defaults beside the values, nothing that is secret. */
import { settingsSchema } from './settings.ts';
import type { Settings } from './settings.ts';

export interface ListedSetting {
  /** `timeouts.park_limit_ms`. */
  readonly key: string;
  readonly value: string;
  /** Undefined: has to be given. */
  readonly default: string | undefined;
}

/** Left out whole: passwords, verifiers and keys. What a user may do is named by name. */
const left = new Set(['users', 'databases', 'tls', 'credential_key', 'password', 'ssl', 'verifier']);

export function listSettings(settings: Settings): ListedSetting[] {
  const defaults = new Map(flat('', settingsSchema.parse({ source: { kind: 'embedded', port: 1 }, users: [{ name: 'a', password: 'a' }] })));
  const listed = flat('', settings).map(([key, value]) => ({ key, value, default: key.startsWith('source.') || (key.startsWith('local.') && settings.local.kind === 'server') ? undefined : defaults.get(key) }));
  for (const user of settings.users) {
    if (user.poolMode !== undefined) listed.push({ key: `users.${user.name}.pool_mode`, value: user.poolMode, default: settings.pool.mode });
    if (user.maxUserConnections !== undefined) listed.push({ key: `users.${user.name}.max_user_connections`, value: String(user.maxUserConnections), default: String(settings.limits.maxUserConnections) });
  }
  for (const database of settings.databases) {
    if (database.poolMode !== undefined) listed.push({ key: `databases.${database.name}.pool_mode`, value: database.poolMode, default: settings.pool.mode });
    if (database.maxDbConnections !== undefined) listed.push({ key: `databases.${database.name}.max_db_connections`, value: String(database.maxDbConnections), default: String(settings.limits.maxDbConnections) });
  }
  return listed.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function flat(prefix: string, section: object): (readonly [string, string])[] {
  return Object.entries(section).flatMap(([name, value]: readonly [string, unknown]) => {
    const key = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (left.has(key) || value === undefined) return [];
    return typeof value === 'object' && value !== null ? flat(`${prefix}${key}.`, value) : [[`${prefix}${key}`, String(value)] as const];
  });
}
