/** The section `cql.group`: the proxies of a group as their control, and as each other, reaches them. */
import type { CqlSettings } from '../../config/cql/cql-settings.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { CqlService } from '../cql/api/cql-service.ts';
import type { ProxyPort } from '../migrate/clusters/proxy-port.ts';
import { ProxyGroup } from '../migrate/clusters/proxy-group.ts';
import { addressOf } from './cql-address.ts';
import { answerOn, connectTo, memberLink, modesOfMember, proxyLink } from './cql-link.ts';
import { connectToMember, groupKey, listenForMembers } from './group-socket.ts';
import type { GroupAddress } from './group-socket.ts';
import { joinGroup } from './join-group.ts';

const DEFAULT_PORT = 9043;

export interface CqlGroup {
  readonly own: GroupAddress;
  readonly others: readonly { readonly name: string; readonly index: number; readonly connect: () => ReturnType<typeof connectToMember> }[];
  readonly key: Buffer;
}

/** Undefined: one proxy alone. */
export function cqlGroup({ group, topology: { index } }: CqlSettings): CqlGroup | undefined {
  if (!group) return undefined;
  const key = groupKey(group.secret);
  const addresses = group.members.map((member) => addressOf(member, DEFAULT_PORT));
  const own = addresses[index];
  if (!own) return undefined;
  return {
    own: { host: group.listenHost ?? own.host, port: own.port }, key,
    others: addresses.flatMap((address, at) => (at === index ? [] : [{ name: `the CQL proxy at ${group.members[at] ?? ''}`, index: at, connect: () => connectToMember(address, key) }])),
  };
}

/** Of the control: its own machine's proxy by their socket, the others over the network. */
export function proxiesOf(runtime: Runtime, settings: CqlSettings, socketPath: string): ProxyPort {
  const group = cqlGroup(settings);
  if (!group) return proxyLink(runtime, socketPath);
  const own = memberLink(runtime, () => connectTo(socketPath), 'this machine\'s CQL proxy');
  return new ProxyGroup(runtime, [own, ...group.others.map(({ name, connect }) => memberLink(runtime, connect, name))]);
}

/** Of a proxy: answers the others, and resolves when it knows which modes are in force. Nothing but the modes is told until `serving` is called. */
export async function enterGroup(runtime: Runtime, settings: CqlSettings, service: CqlService): Promise<(AsyncDisposable & { serving(): void }) | undefined> {
  const group = cqlGroup(settings);
  if (!group) return undefined;
  let isServing = false;
  const listening = await listenForMembers(group.own, group.key, (socket) => answerOn(socket, service, () => isServing));
  try {
    await joinGroup(runtime, service, group.others.map(({ name, connect }) => ({ name, modes: () => modesOfMember(runtime, connect, name) })));
  } catch (error) {
    await listening[Symbol.asyncDispose]();
    throw error;
  }
  return { serving: () => (isServing = true), [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() };
}
