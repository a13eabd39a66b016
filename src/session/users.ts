/** Who may log in, and how: trust by address, or a SCRAM verifier. */
import * as net from 'node:net';
import { mockVerifier, parseScramVerifier } from '../wire/scram.ts';
import type { ScramVerifier } from '../wire/scram.ts';

export interface UserEntry {
  /** `*` stands for every name (trust only). */
  readonly name: string;
  /** `SCRAM-SHA-256$…`, as `makeScramVerifier` gives. */
  readonly verifier?: string;
  /** Addresses or networks (`127.0.0.1`, `10.0.0.0/8`, `::1`) from which no password is asked. */
  readonly trustFrom?: readonly string[];
}

export type LoginMethod = { readonly type: 'trust' } | { readonly type: 'scram'; readonly verifier: ScramVerifier };

interface KnownUser {
  readonly trusted: net.BlockList | undefined;
  readonly verifier: ScramVerifier | undefined;
}

export class Users {
  readonly #known = new Map<string, KnownUser>();
  readonly #secret: Buffer;

  /** Throws when a verifier or an address cannot be read. `secret` makes the challenge of an unknown user repeatable. */
  constructor(entries: readonly UserEntry[], secret: Buffer) {
    this.#secret = secret;
    for (const entry of entries) {
      const verifier = entry.verifier === undefined ? undefined : parseScramVerifier(entry.verifier);
      if (entry.verifier !== undefined && !verifier) throw new Error(`users: the verifier of "${entry.name}" cannot be read`);
      this.#known.set(entry.name, { verifier, trusted: entry.trustFrom ? networks(entry.trustFrom) : undefined });
    }
  }

  /** An unknown user, or one that is not trusted from there and has no verifier, gets a challenge that no password fits. */
  methodFor(user: string, address: string): LoginMethod {
    for (const known of [this.#known.get(user), this.#known.get('*')]) if (known?.trusted && isIn(known.trusted, address)) return { type: 'trust' };
    return { type: 'scram', verifier: this.#known.get(user)?.verifier ?? mockVerifier(user, this.#secret) };
  }
}

function networks(entries: readonly string[]): net.BlockList {
  const list = new net.BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const version = net.isIP(address);
    if (version === 0) throw new Error(`users: "${entry}" is not an address or network`);
    const family = version === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** A Unix socket has no address and counts as loopback. */
function isIn(list: net.BlockList, address: string): boolean {
  const plain = address === '' ? '127.0.0.1' : address.replace(/^::ffff:(?=\d+\.)/, '');
  return list.check(plain, net.isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}
