/**
 * How a client comes in: STARTUP, and a login where the primary cluster asks for one.
 *
 * One token cannot serve two clusters, so only PLAIN is spoken, and its name and password are used again. A cluster for which credentials are configured is reached
 * under those; one without is reached under the client's, and so checks them. Where none in use checks, the client must know a pair that is configured for either, or the
 * cluster that is no longer in use checks: an application's password is as good after a switch of the mode as before.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { errorCodes } from '../wire/cql/error-body.ts';
import type { ModeTable } from './modes.ts';
import { clustersInUse, plans } from './modes.ts';
import type { CqlCredentials } from './proxy-options.ts';
import type { UpstreamCluster } from './upstream-cluster.ts';
import type { UpstreamFailure } from './upstream.ts';

/** For a source of which it is known what it was. */
const PATIENCE_MS = 1000;

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
  const inUse = clustersInUse(modes);
  const used = clusters.filter(({ index }) => inUse.has(index));
  const checking = used.filter(({ options }) => options.credentials === undefined);
  const isConfigured = clusters.some(({ options }) => isPair(options.credentials, client));
  const judges = checking.length > 0 || isConfigured ? checking : clusters.filter(({ options }) => options.credentials === undefined);
  if (judges.length === 0 && !isConfigured) {
    done({ kind: 'credentials', code: errorCodes.badCredentials, message: 'MIG003: name and password are not those that the proxy is configured with for a cluster' });
    return;
  }
  const asked = new Set([...used, ...judges]);
  let left = asked.size;
  let first: UpstreamFailure | undefined;
  for (const cluster of asked) {
    cluster.pool(version, cluster.credentialsFor(client), '').whenUsable((failure) => {
      left -= 1;
      const isOnlyJudge = judges.includes(cluster) && !inUse.has(cluster.index);
      if (failure && (cluster === primary || failure.kind === 'credentials' || isOnlyJudge)) {
        first ??= cluster === primary ? failure : { ...failure, code: failure.kind === 'credentials' ? errorCodes.badCredentials : failure.code, message: `MIG003: the ${cluster.name} cluster refuses the login: ${failure.message}` };
      }
      if (left === 0) done(first);
    });
  }
}

/**
 * Called back when it is known what drivers are told of their cluster, which they believe for as long as they live: by the source, in every mode, and by the primary where the source
 * cannot be asked. Only the first clients wait for a source that is away, and not for long where it `isKnown` from before: nodes that are gone for good may not even refuse a connection.
 */
export function whenDescribed(source: UpstreamCluster, primary: UpstreamCluster, version: number, client: CqlCredentials | undefined, isKnown: boolean, done: () => void): void {
  const ask = (cluster: UpstreamCluster, told: () => void, otherwise: () => void): void => {
    const credentials = cluster.credentialsFor(client);
    const isHopeless = cluster.hosts.every(({ failures }) => failures > 0) || (credentials === undefined && cluster.login?.authenticator !== undefined);
    if (cluster.control.facts) told();
    else if (isHopeless && cluster !== primary) otherwise();
    else {
      cluster.pool(version, credentials, '').whenUsable((failure) => {
        if (failure) otherwise();
        else cluster.control.whenTold(() => (cluster.control.facts ? told() : otherwise()));
      });
    }
  };
  if (source === primary) {
    ask(source, done, done);
    return;
  }
  let isWaiting = true;
  const first = (act: () => void) => (): void => {
    if (!isWaiting) return;
    isWaiting = false;
    clearTimeout(patience);
    act();
  };
  const askPrimary = first(() => ask(primary, done, done));
  const patience = isKnown ? setTimeout(askPrimary, PATIENCE_MS) : undefined;
  ask(source, first(done), askPrimary);
}

function isPair(configured: CqlCredentials | undefined, client: CqlCredentials): boolean {
  return configured !== undefined && isSame(configured.username, client.username) && isSame(configured.password, client.password);
}
