/** `mysql_native_password`: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html */
import { createHash, timingSafeEqual } from 'node:crypto';

export const NATIVE_PASSWORD = 'mysql_native_password';

const sha1 = (...parts: readonly Buffer[]): Buffer => parts.reduce((digest, part) => digest.update(part), createHash('sha1')).digest();

/** Of same length. */
export function xorBytes(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));
}

export function nativeAnswer(password: string, nonce: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = sha1(Buffer.from(password, 'utf8'));
  return xorBytes(once, sha1(nonce, sha1(once)));
}

/** `*` and forty digits, as mysql.user.authentication_string has it; undefined for anything else. */
export function parseNativeHash(stored: string): Buffer | undefined {
  return /^\*[0-9A-Fa-f]{40}$/.test(stored) ? Buffer.from(stored.slice(1), 'hex') : undefined;
}

/** Whether the answer is of someone who knows the password. `twice`: its hash's hash. */
export function provesNative(twice: Buffer, nonce: Buffer, answer: Buffer): boolean {
  if (answer.length !== twice.length) return false;
  return timingSafeEqual(sha1(xorBytes(answer, sha1(nonce, twice))), twice);
}
