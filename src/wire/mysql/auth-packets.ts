/** Packets of the exchange between greeting and OK: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html */
import { randomBytes } from 'node:crypto';
import { MORE_DATA } from './caching-sha2-password.ts';
import { PayloadReader, zeroTerminated } from './payload.ts';

export const AUTH_SWITCH = 0xfe;

/** Twenty bytes, none of which ends a text. */
export function makeNonce(): Buffer {
  return Buffer.from(randomBytes(20).map((byte) => (byte % 90) + 37));
}

export function writeAuthSwitch(plugin: string, nonce: Buffer): Buffer {
  return Buffer.concat([Buffer.of(AUTH_SWITCH), zeroTerminated(plugin), nonce, Buffer.of(0)]);
}

/** A server of before 4.1 sends the first byte alone, for a method that nobody has any more. */
export function readAuthSwitch(payload: Buffer): { readonly plugin: string; readonly nonce: Buffer } {
  if (payload.length === 1) return { plugin: 'mysql_old_password', nonce: Buffer.alloc(0) };
  const reader = new PayloadReader(payload, 1);
  const plugin = reader.untilZero().toString('latin1');
  return { plugin, nonce: reader.rest().subarray(0, 20) };
}

export function writeMoreData(data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(MORE_DATA), data]);
}
