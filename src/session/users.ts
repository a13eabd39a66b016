/** Who may log in, and how: trust by address, a certificate, a SCRAM verifier or an md5 hash. */
import * as net from 'node:net';
import { isMd5Hash } from '../wire/md5-password.ts';
import { mockVerifier, parseScramVerifier } from '../wire/scram.ts';
import type { ScramVerifier } from '../wire/scram.ts';
import type { ClientCertificate } from './tls-clients.ts';

/** `login`: it is a way to log in. `verify-ca`: one has to be shown besides everything else. `verify-full`: one with the user's name. */
export type CertificateUse = 'login' | 'verify-ca' | 'verify-full';

export interface UserEntry {
  /** `*` stands for every name (trust and certificates only). */
  readonly name: string;
  /** `SCRAM-SHA-256$…`, as `makeScramVerifier` gives, or `md5…`. */
  readonly verifier?: string;
  /** Addresses or networks (`127.0.0.1`, `10.0.0.0/8`, `::1`) from which no password is asked. */
  readonly trustFrom?: readonly string[];
  readonly certificate?: CertificateUse;
  /** Common names that stand for this user; left out: his own name. */
  readonly certificateNames?: readonly string[];
}

export type LoginMethod =
  | { readonly type: 'trust' }
  | { readonly type: 'scram'; readonly verifier: ScramVerifier }
  | { readonly type: 'md5'; readonly hash: string }
  | { readonly type: 'refused'; readonly message: string; readonly detail?: string | undefined };

export interface LoginPeer {
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
}

type Secret = Exclude<LoginMethod, { type: 'trust' | 'refused' }>;

interface KnownUser {
  readonly trusted: net.BlockList | undefined;
  readonly secret: Secret | undefined;
  readonly certificate: CertificateUse | undefined;
  readonly certificateNames: readonly string[] | undefined;
}

export class Users {
  readonly #known = new Map<string, KnownUser>();
  readonly #secret: Buffer;

  /** Throws when a verifier or an address cannot be read. `secret` makes the challenge of an unknown user repeatable. */
  constructor(entries: readonly UserEntry[], secret: Buffer) {
    this.#secret = secret;
    for (const { name, verifier, trustFrom, certificate, certificateNames } of entries) {
      this.#known.set(name, { secret: verifier === undefined ? undefined : secretOf(name, verifier), trusted: trustFrom ? networks(trustFrom) : undefined, certificate, certificateNames });
    }
  }

  /** An unknown user, or one that is not trusted from there and has no verifier, gets a challenge that no password fits. */
  methodFor(user: string, { address, certificate }: LoginPeer): LoginMethod {
    // As at a server, a certificate that is no good is worse than none.
    if (certificate?.problem !== undefined) return { ...noCertificate, detail: `The client's certificate was not accepted: ${certificate.problem}.` };
    const own = this.#known.get(user);
    const everyone = this.#known.get('*');
    const known = own ?? everyone;
    const isNamed = certificate?.commonName !== undefined && (known?.certificateNames ?? [user]).includes(certificate.commonName);
    const notNamed: LoginMethod = certificate ? { type: 'refused', message: `certificate authentication failed for user "${user}"` } : noCertificate;
    if (known?.certificate === 'verify-ca' && !certificate) return noCertificate;
    if (known?.certificate === 'verify-full' && !isNamed) return notNamed;
    for (const each of [own, everyone]) if (each?.trusted && isIn(each.trusted, address)) return { type: 'trust' };
    if (known?.certificate === 'login' && isNamed) return { type: 'trust' };
    if (known?.certificate === 'login' && !known.secret) return notNamed;
    return own?.secret ?? { type: 'scram', verifier: mockVerifier(user, this.#secret) };
  }
}

const noCertificate = { type: 'refused', message: 'connection requires a valid client certificate' } as const;

function secretOf(name: string, stored: string): Secret {
  if (isMd5Hash(stored)) return { type: 'md5', hash: stored };
  const verifier = parseScramVerifier(stored);
  if (!verifier) throw new Error(`users: the verifier of "${name}" cannot be read`);
  return { type: 'scram', verifier };
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
