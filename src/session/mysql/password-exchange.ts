/**
 * The exchange between a client's first proof and "in": at login, and when it becomes another user.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html#sect_protocol_connection_phase_auth
 *
 * States: new → switched (another method was asked for) → full (the password itself is to come, or the wish for a key) → encrypted → over.
 */
import { makeNonce, writeAuthSwitch, writeMoreData } from '../../wire/mysql/auth-packets.ts';
import { CACHING_SHA2_PASSWORD, decryptPassword, FAST_OK, FULL_NEEDED, KEY_WANTED, provesRemembered, withoutZero } from '../../wire/mysql/caching-sha2-password.ts';
import type { PasswordKey } from '../../wire/mysql/caching-sha2-password.ts';
import { NATIVE_PASSWORD, provesNative } from '../../wire/mysql/native-password.ts';
import type { LoginPeer } from '../users.ts';
import type { MysqlLoginMethod, MysqlPasswords } from './mysql-passwords.ts';

export interface FirstProof {
  readonly user: string;
  /** Undefined: the client knows of no methods, and has used the oldest. */
  readonly plugin: string | undefined;
  readonly answer: Buffer;
  /** That the client has had for it. */
  readonly nonce: Buffer;
}

export type ExchangeEnd = { readonly type: 'in' } | { readonly type: 'denied'; readonly hasPassword: boolean; readonly reason?: string };

export interface ExchangePeer extends LoginPeer {
  /** By TLS, or on this machine by a Unix socket. */
  readonly isPrivate: boolean;
}

export class PasswordExchange {
  readonly #passwords: MysqlPasswords;
  readonly #peer: ExchangePeer;
  readonly #send: (payload: Buffer) => void;
  readonly #done: (end: ExchangeEnd) => void;
  readonly #proof: FirstProof;
  readonly #method: MysqlLoginMethod;
  #step: 'new' | 'switched' | 'full' | 'encrypted' | 'over' = 'new';
  #plugin: string;
  #nonce: Buffer;
  #key: PasswordKey | undefined;

  /** `send` gets payloads; `done` comes once. */
  constructor(passwords: MysqlPasswords, peer: ExchangePeer, proof: FirstProof, send: (payload: Buffer) => void, done: (end: ExchangeEnd) => void) {
    this.#passwords = passwords;
    this.#peer = peer;
    this.#proof = proof;
    this.#send = send;
    this.#done = done;
    this.#method = passwords.methodFor(proof.user, peer);
    this.#plugin = proof.plugin ?? NATIVE_PASSWORD;
    this.#nonce = proof.nonce;
  }

  start(): void {
    const { stored, nativeHash } = this.#method;
    if (stored.type === 'refused') return this.#end({ type: 'denied', hasPassword: this.#proof.answer.length > 0, reason: stored.message });
    if (stored.type === 'trust') {
      // Who has sent a proof waits for what became of it.
      if (this.#plugin === CACHING_SHA2_PASSWORD && this.#proof.answer.length > 0) this.#send(writeMoreData(Buffer.of(FAST_OK)));
      return this.#end({ type: 'in' });
    }
    // Where anybody may listen, a proof is better than the password itself, which some clients send as it is.
    const prefersNative = nativeHash !== undefined && (!this.#peer.isPrivate || this.#plugin === NATIVE_PASSWORD);
    if (this.#plugin === CACHING_SHA2_PASSWORD && !prefersNative) return this.#cachingSha2(this.#proof.answer);
    if (this.#proof.plugin === undefined && nativeHash) return this.#native(this.#proof.answer);
    if (this.#proof.plugin === undefined) return this.#end({ type: 'denied', hasPassword: this.#proof.answer.length > 0, reason: 'the client knows no authentication method but mysql_native_password' });
    this.#switch(prefersNative ? NATIVE_PASSWORD : CACHING_SHA2_PASSWORD);
  }

  /** The client's next payload. */
  answered(payload: Buffer): void {
    switch (this.#step) {
      case 'switched':
        if (this.#plugin === NATIVE_PASSWORD) this.#native(payload);
        else this.#cachingSha2(payload);
        return;
      case 'full':
        if (payload.length === 1 && payload[0] === KEY_WANTED) this.#sendKey();
        // A password that anybody could have read is as good as none.
        else if (!this.#peer.isPrivate) this.#denied();
        else this.#check(withoutZero(payload));
        return;
      case 'encrypted':
        this.#check(this.#key && decryptPassword(payload, this.#nonce, this.#key));
        return;
      case 'new':
      case 'over':
        return;
      default:
        this.#step satisfies never;
    }
  }

  #switch(plugin: string): void {
    this.#step = 'switched';
    this.#plugin = plugin;
    this.#nonce = makeNonce();
    this.#send(writeAuthSwitch(plugin, this.#nonce));
  }

  #native(answer: Buffer): void {
    const { nativeHash } = this.#method;
    if (nativeHash && provesNative(nativeHash, this.#nonce, answer)) this.#end({ type: 'in' });
    else this.#denied(answer.length > 0);
  }

  #cachingSha2(answer: Buffer): void {
    const known = this.#passwords.rememberedFor(this.#proof.user);
    // No user of the gateway has an empty password.
    if (answer.length === 0 || (answer.length === 1 && answer[0] === 0)) return this.#denied(false);
    if (known && provesRemembered(known, this.#nonce, answer)) {
      this.#send(writeMoreData(Buffer.of(FAST_OK)));
      return this.#end({ type: 'in' });
    }
    this.#step = 'full';
    this.#send(writeMoreData(Buffer.of(FULL_NEEDED)));
  }

  #sendKey(): void {
    this.#step = 'encrypted';
    this.#passwords.key().then((key) => {
      this.#key = key;
      if (this.#step === 'encrypted') this.#send(writeMoreData(Buffer.from(key.publicPem, 'latin1')));
    }, () => this.#denied());
  }

  #check(password: string | undefined): void {
    this.#step = 'over';
    if (password === undefined) this.#finish({ type: 'denied', hasPassword: true });
    else this.#passwords.check(this.#proof.user, password, this.#method.stored, (isRight) => this.#finish(isRight ? { type: 'in' } : { type: 'denied', hasPassword: true }));
  }

  #denied(hasPassword = true): void {
    this.#end({ type: 'denied', hasPassword });
  }

  #end(end: ExchangeEnd): void {
    this.#step = 'over';
    this.#finish(end);
  }

  #finish(end: ExchangeEnd): void {
    this.#done(end);
  }
}
