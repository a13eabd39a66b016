/** AuthenticationMD5Password: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP */
import { createHash } from 'node:crypto';

const md5 = (...parts: readonly (string | Buffer)[]): string => parts.reduce((digest, part) => digest.update(part), createHash('md5')).digest('hex');

export function md5Password(user: string, password: string, salt: Buffer): string {
  return `md5${md5(md5(password, user), salt)}`;
}
