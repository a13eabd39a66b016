/**
 * How a client comes in: STARTUP, and a login where the primary cluster asks for one.
 *
 * One token cannot serve two clusters, so only PLAIN is spoken, and its name and password are used again. A cluster for which credentials are configured is reached
 * under those; one without is reached under the client's, and so checks them. Where all are configured nobody would check the client: it must know the primary's.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { errorCodes } from '../wire/cql/error-body.ts';
import type { ModeTable } from './modes.ts';
import { clustersInUse, plans } from './modes.ts';
import type { CqlCredentials } from './proxy-options.ts';
import type { UpstreamCluster } from './upstream-cluster.ts';
import type { UpstreamFailure } from './upstream.ts';

/** `\0user\0password`, or with a name to act for before it. */
export function readPlainToken(token: Buffer): CqlCredentials | undefined {
  const second = token.indexOf(0);
  const third = second < 0 ? -1 : token.indexOf(0, second + 1);
  if (third < 0) return undefined;
  return { username: token.toString('utf8', second + 1, third), password: token.toString('utf8', third + 1) };
}

function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

export type LoginNeed =
  | { readonly type: 'none' }
  | { readonly type: 'login'; readonly authenticator: string }
  | { readonly type: 'failed'; readonly failure: UpstreamFailure };

/** Whether a client has to log in. */
export function loginNeed(primary: UpstreamCluster, version: number, done: (need: LoginNeed) => void): void {
  const pool = primary.pool(version, primary.options.credentials, '');
  pool.whenUsable((failure, authenticator) => {
    if (failure && (failure.kind !== 'credentials' || primary.options.credentials)) done({ type: 'failed', failure });
    else done(authenticator === undefined ? { type: 'none' } : { type: 'login', authenticator });
  });
}

/** `done` gets the reason of a refusal. A cluster that is not the primary and cannot be reached now refuses nobody. */
export function checkLogin(clusters: readonly UpstreamCluster[], modes: ModeTable, version: number, client: CqlCredentials, done: (failure: UpstreamFailure | undefined) => void): void {
  const primary = clusters[plans[modes.global].primary];
  if (!primary) throw new Error('there are two clusters');
  const { credentials } = primary.options;
  if (credentials && !(isSame(credentials.username, client.username) && isSame(credentials.password, client.password))) {
    done({ kind: 'credentials', code: errorCodes.badCredentials, message: 'MIG003: name or password is not the one that the proxy is configured with for the primary cluster' });
    return;
  }
  const used = [...clustersInUse(modes)].flatMap((index) => clusters[index] ?? []);
  let left = used.length;
  let first: UpstreamFailure | undefined;
  for (const cluster of used) {
    cluster.pool(version, cluster.credentialsFor(client), '').whenUsable((failure) => {
      left -= 1;
      if (failure && (cluster === primary || failure.kind === 'credentials')) {
        first ??= cluster === primary ? failure : { ...failure, code: errorCodes.badCredentials, message: `MIG003: the ${cluster.name} cluster refuses the login: ${failure.message}` };
      }
      if (left === 0) done(first);
    });
  }
}
