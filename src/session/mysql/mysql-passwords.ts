/**
 * What MySQL clients are known by: what the PostgreSQL side stores, and nothing that is weaker unless the operator gives it
 * (docs/decisions/0014-mysql-clients-prove-their-scram-password.md).
 */
import { makePasswordKey, remembered } from '../../wire/mysql/caching-sha2-password.ts';
import type { PasswordKey } from '../../wire/mysql/caching-sha2-password.ts';
import { parseNativeHash } from '../../wire/mysql/native-password.ts';
import { isMd5Hash, matchesMd5 } from '../../wire/md5-password.ts';
import { matchesVerifier } from '../../wire/scram.ts';
import type { LoginMethod, LoginPeer, Users } from '../users.ts';

export interface NativeUser {
  readonly name: string;
  /** `*` and forty hexadecimal digits. */
  readonly nativeHash?: string;
}

/** How one user may log in from one place. */
export interface MysqlLoginMethod {
  readonly stored: LoginMethod;
  /** Only where the operator has given one. */
  readonly nativeHash: Buffer | undefined;
}

export class MysqlPasswords {
  readonly #users: Users;
  readonly #native = new Map<string, Buffer>();
  /** Of passwords that have been right, as a server with caching_sha2_password keeps them: in memory, until the process ends. */
  readonly #remembered = new Map<string, Buffer>();
  #key: Promise<PasswordKey> | undefined;

  /** Throws when a hash cannot be read. */
  constructor(users: Users, entries: readonly NativeUser[]) {
    this.#users = users;
    for (const { name, nativeHash } of entries) {
      if (nativeHash === undefined) continue;
      const hash = parseNativeHash(nativeHash);
      if (!hash) throw new Error(`users: the native password hash of "${name}" cannot be read`);
      this.#native.set(name, hash);
    }
  }

  methodFor(user: string, peer: LoginPeer): MysqlLoginMethod {
    return { stored: this.#users.methodFor(user, peer), nativeHash: this.#native.get(user) };
  }

  rememberedFor(user: string): Buffer | undefined {
    return this.#remembered.get(user);
  }

  /** `done` comes later: deriving the key takes a while, off the event loop. */
  check(user: string, password: string, method: LoginMethod, done: (isRight: boolean) => void): void {
    const checked = (isRight: boolean): void => {
      if (isRight) this.#remembered.set(user, remembered(password));
      done(isRight);
    };
    if (method.type === 'scram') matchesVerifier(method.verifier, password, checked);
    else checked(method.type === 'md5' && isMd5Hash(method.hash) && matchesMd5(method.hash, user, password));
  }

  /** Of this process; made when a client without TLS asks for it first. */
  key(): Promise<PasswordKey> {
    this.#key ??= makePasswordKey();
    return this.#key;
  }
}
