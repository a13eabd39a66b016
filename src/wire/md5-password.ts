/** AuthenticationMD5Password: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP */
import { createHash, timingSafeEqual } from 'node:crypto';

const md5 = (...parts: readonly (string | Buffer)[]): string => parts.reduce((digest, part) => digest.update(part), createHash('md5')).digest('hex');

export function md5Password(user: string, password: string, salt: Buffer): string {
  return answerOf(md5(password, user), salt);
}

/** As in pg_authid. */
export function isMd5Hash(stored: string): boolean {
  return /^md5[0-9a-f]{32}$/.test(stored);
}

/** Whether this is the answer to the salt of someone who knows the password, or the hash: with this method they are worth the same. */
export function provesMd5(stored: string, salt: Buffer, answer: string): boolean {
  const expected = Buffer.from(answerOf(stored.slice(3), salt));
  const given = Buffer.from(answer);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Whether a password that has been sent as it is fits. */
export function matchesMd5(stored: string, user: string, password: string): boolean {
  const expected = Buffer.from(stored);
  const given = Buffer.from(`md5${md5(password, user)}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function answerOf(hash: string, salt: Buffer): string {
  return `md5${md5(hash, salt)}`;
}
