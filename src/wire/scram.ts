/**
 * SCRAM-SHA-256, both ends: RFC 5802, RFC 7677 and https://www.postgresql.org/docs/current/sasl-authentication.html.
 * PostgreSQL ignores the user name inside the exchange; the one of the startup packet counts.
 */
import { createHash, createHmac, pbkdf2, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

export const SCRAM_MECHANISM = 'SCRAM-SHA-256';
/** With channel binding: https://www.rfc-editor.org/rfc/rfc5929#section-4 */
export const SCRAM_PLUS_MECHANISM = 'SCRAM-SHA-256-PLUS';
const BINDING = 'p=tls-server-end-point,';
export const DEFAULT_ITERATIONS = 4096;

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const hmac = (key: Buffer, data: string): Buffer => createHmac('sha256', key).update(data, 'utf8').digest();
const hash = (data: Buffer): Buffer => createHash('sha256').update(data).digest();

/** What SASLprep does to ordinary passwords; one that it would refuse is used as it is, as the server does. */
export function preparePassword(password: string): string {
  return /^[\x20-\x7e]*$/.test(password) ? password : password.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ').replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '').normalize('NFKC');
}

/** `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as in pg_authid. */
export function makeScramVerifier(password: string, salt: Buffer = randomBytes(16), iterations: number = DEFAULT_ITERATIONS): string {
  const salted = pbkdf2Sync(preparePassword(password), salt, iterations, 32, 'sha256');
  const storedKey = hash(hmac(salted, 'Client Key'));
  const serverKey = hmac(salted, 'Server Key');
  return `${SCRAM_MECHANISM}$${iterations}:${salt.toString('base64')}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`;
}

export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text);
  if (!match) return undefined;
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = match;
  const verifier = { iterations: Number(iterations), salt: Buffer.from(salt, 'base64'), storedKey: Buffer.from(storedKey, 'base64'), serverKey: Buffer.from(serverKey, 'base64') };
  return verifier.iterations > 0 && verifier.storedKey.length === 32 && verifier.serverKey.length === 32 ? verifier : undefined;
}

/** Whether a password that has been sent as it is fits. The key derivation runs off the event loop. */
export function matchesVerifier({ iterations, salt, storedKey }: ScramVerifier, password: string, done: (fits: boolean) => void): void {
  pbkdf2(preparePassword(password), salt, iterations, 32, 'sha256', (error, salted) => done(!error && timingSafeEqual(hash(hmac(salted, 'Client Key')), storedKey)));
}

/** A verifier that no password fits, the same for the same name, so that an unknown user looks like a wrong password. */
export function mockVerifier(user: string, secret: Buffer): ScramVerifier {
  const salt = hmac(secret, user).subarray(0, 16);
  return { iterations: DEFAULT_ITERATIONS, salt, storedKey: randomBytes(32), serverKey: randomBytes(32) };
}

/** `downgraded`: somebody in between has hidden from the client that binding is possible. `binding`: the client has another end of TLS than this. */
export type ScramFault = 'protocol' | 'password' | 'downgraded' | 'binding';
export type ScramStep = { readonly ok: true; readonly reply: string } | { readonly ok: false; readonly fault: ScramFault };

export interface ScramBinding {
  /** The client has chosen the mechanism with binding. */
  readonly binds: boolean;
  /** Hash of this end's certificate; undefined where binding was not offered. */
  readonly endPoint?: Buffer;
  readonly random?: () => Buffer;
}

const fault = (what: ScramFault): ScramStep => ({ ok: false, fault: what });

/** Server side. States: new → challenged (`first`) → done (`final`). */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #binding: ScramBinding;
  #gs2 = '';
  #clientFirst = '';
  #serverFirst = '';
  #nonce = '';

  constructor(verifier: ScramVerifier, binding: ScramBinding = { binds: false }) {
    this.#verifier = verifier;
    this.#binding = binding;
  }

  first(message: string): ScramStep {
    const match = /^((?:[ny]|p=[A-Za-z0-9.-]+),(?:a=[^,]*)?,)((?:m=[^,]*,)?n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+))(?:,.*)?$/.exec(message);
    if (!match || match[2]?.startsWith('m=')) return fault('protocol');
    this.#gs2 = match[1] ?? '';
    const { binds, endPoint, random = () => randomBytes(18) } = this.#binding;
    if (binds ? !this.#gs2.startsWith(BINDING) : this.#gs2.startsWith('p')) return fault('protocol');
    if (this.#gs2.startsWith('y') && endPoint) return fault('downgraded');
    this.#clientFirst = message.slice(this.#gs2.length);
    this.#nonce = `${match[3] ?? ''}${random().toString('base64')}`;
    this.#serverFirst = `r=${this.#nonce},s=${this.#verifier.salt.toString('base64')},i=${this.#verifier.iterations}`;
    return { ok: true, reply: this.#serverFirst };
  }

  final(message: string): ScramStep {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?),p=([A-Za-z0-9+/=]+)$/.exec(message);
    if (!match || match[3] !== this.#nonce) return fault('protocol');
    const bound = Buffer.concat([Buffer.from(this.#gs2, 'utf8'), ...(this.#binding.binds && this.#binding.endPoint ? [this.#binding.endPoint] : [])]);
    if (!Buffer.from(match[2] ?? '', 'base64').equals(bound)) return fault(this.#binding.binds ? 'binding' : 'protocol');
    const authMessage = `${this.#clientFirst},${this.#serverFirst},${match[1] ?? ''}`;
    const proof = Buffer.from(match[4] ?? '', 'base64');
    if (proof.length !== 32) return fault('protocol');
    const clientKey = xor(proof, hmac(this.#verifier.storedKey, authMessage));
    if (!timingSafeEqual(hash(clientKey), this.#verifier.storedKey)) return fault('password');
    return { ok: true, reply: `v=${hmac(this.#verifier.serverKey, authMessage).toString('base64')}` };
  }
}

/** Client side, for the legs. States: new → `first` sent → `final` sent → `verify`. */
export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature = '';

  constructor(password: string, nonce: string = randomBytes(18).toString('base64')) {
    this.#password = preparePassword(password);
    this.#nonce = nonce;
  }

  first(): string {
    return `n,,n=,r=${this.#nonce}`;
  }

  /** `reply` gets undefined when the server's message cannot be right. The key derivation runs off the event loop. */
  final(serverFirst: string, reply: (message: string | undefined) => void): void {
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,8})$/.exec(serverFirst);
    const [, nonce = '', salt = '', iterations = ''] = match ?? [];
    if (!match || !nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || Number(iterations) < 1) {
      reply(undefined);
      return;
    }
    pbkdf2(this.#password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256', (error, salted) => {
      if (error) {
        reply(undefined);
        return;
      }
      const clientKey = hmac(salted, 'Client Key');
      const withoutProof = `c=biws,r=${nonce}`;
      const authMessage = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
      this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage).toString('base64');
      reply(`${withoutProof},p=${xor(clientKey, hmac(hash(clientKey), authMessage)).toString('base64')}`);
    });
  }

  /** False when the server does not know the password either. */
  verify(serverFinal: string): boolean {
    return this.#serverSignature !== '' && serverFinal === `v=${this.#serverSignature}`;
  }
}

function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));
}
