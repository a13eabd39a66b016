/**
 * `caching_sha2_password`: https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
 *
 * Fast: the client proves that it knows the password to a server that has seen it before. Full: it sends the password itself, over TLS, or
 * encrypted with the server's public key.
 */
import { constants, createHash, generateKeyPair, privateDecrypt, publicEncrypt, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { xorBytes } from './native-password.ts';

export const CACHING_SHA2_PASSWORD = 'caching_sha2_password';

/** First byte of a packet of the exchange that is neither OK nor an error. */
export const MORE_DATA = 0x01;
export const FAST_OK = 0x03;
export const FULL_NEEDED = 0x04;
/** The client asks for the public key. */
export const KEY_WANTED = 0x02;

const sha256 = (...parts: readonly Buffer[]): Buffer => parts.reduce((digest, part) => digest.update(part), createHash('sha256')).digest();

export function fastAnswer(password: string, nonce: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = sha256(Buffer.from(password, 'utf8'));
  return xorBytes(once, sha256(sha256(once), nonce));
}

/** What a server remembers of a password that it has seen. */
export function remembered(password: string): Buffer {
  return sha256(sha256(Buffer.from(password, 'utf8')));
}

export function provesRemembered(twice: Buffer, nonce: Buffer, answer: Buffer): boolean {
  if (answer.length !== twice.length) return false;
  return timingSafeEqual(sha256(xorBytes(answer, sha256(twice, nonce))), twice);
}

/** A password as it is encrypted: with its zero byte, and the nonce over it. */
function mixed(bytes: Buffer, nonce: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (nonce[index % nonce.length] ?? 0)));
}

export function encryptPassword(password: string, nonce: Buffer, publicKey: string): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, mixed(Buffer.from(`${password}\0`, 'utf8'), nonce));
}

export interface PasswordKey {
  /** PEM, as a client is given it. */
  readonly publicPem: string;
  readonly privateKey: KeyObject;
}

/** Off the event loop: it takes a good tenth of a second. */
export function makePasswordKey(): Promise<PasswordKey> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: 2048 }, (error, publicKey, privateKey) => {
      if (error) reject(error);
      else resolve({ publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(), privateKey });
    });
  });
}

/** Undefined when it was not encrypted with this key. */
export function decryptPassword(encrypted: Buffer, nonce: Buffer, { privateKey }: PasswordKey): string | undefined {
  try {
    return withoutZero(mixed(privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, encrypted), nonce));
  } catch {
    return undefined;
  }
}

/** A password as it is sent over TLS. */
export function withoutZero(bytes: Buffer): string {
  return bytes.toString('utf8', 0, bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length);
}
