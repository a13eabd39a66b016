/**
 * Which modes a proxy of a group starts with (docs/decisions/0028). One that has switched before goes on with its own, unless another one that can be asked has made a later switch: since every change of the cluster that is
 * read needs the word of all, it has missed none, or it stands in its own file as pending. One without a file knows nothing: it takes the modes of another one, and without any it waits until all have said that they
 * have none either.
 */
import type { ModesText } from '../cql/api/stored-modes.ts';
import type { Runtime } from '../../config/runtime.ts';

/** `silent`: nobody answers there. `none`: never switched. */
export type PeerModes = ModesText | 'none' | 'silent';

export type Join = { readonly type: 'serve' } | { readonly type: 'adopt'; readonly modes: ModesText } | { readonly type: 'wait' };

export function decideJoin(own: ModesText | undefined, peers: readonly PeerModes[]): Join {
  const known = peers.filter((peer) => typeof peer === 'object');
  const [latest] = known.sort((one, other) => (other.epoch ?? 0) - (one.epoch ?? 0));
  if (own) return latest && (latest.epoch ?? 0) > (own.epoch ?? 0) ? { type: 'adopt', modes: latest } : { type: 'serve' };
  if (latest) return { type: 'adopt', modes: latest };
  return peers.includes('silent') ? { type: 'wait' } : { type: 'serve' };
}

export interface Peer {
  readonly name: string;
  /** Undefined: never switched. Rejects when it cannot be asked. */
  modes(): Promise<ModesText | undefined>;
}

const LOOK_MS = 300;

/** Resolves when this one may serve. */
export async function joinGroup({ clock, log, signal }: Pick<Runtime, 'clock' | 'log' | 'signal'>, service: { groupModes(): ModesText | undefined; adopt(modes: ModesText | undefined): void }, peers: readonly Peer[]): Promise<void> {
  let said = '';
  for (;;) {
    const answers = await Promise.all(peers.map((peer): Promise<PeerModes> => peer.modes().then((modes) => modes ?? 'none', () => 'silent')));
    const join = decideJoin(service.groupModes(), answers);
    if (join.type !== 'wait') return service.adopt(join.type === 'adopt' ? join.modes : undefined);
    const silent = peers.filter((_, index) => answers[index] === 'silent').map(({ name }) => name).join(', ');
    if (silent !== said) log.warn('no client is served before the others of the group have told their modes: this proxy has none of its own', { waitingFor: silent });
    said = silent;
    await clock.sleep(LOOK_MS, signal);
  }
}
