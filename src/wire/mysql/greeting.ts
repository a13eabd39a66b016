/** What a server says first: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html */
import { Capability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { integer, PayloadReader, ProtocolFault, zeroTerminated } from './payload.ts';

export interface Greeting {
  /** As a MySQL says it; a MariaDB puts `5.5.5-` before its own, for replicas of old. */
  readonly version: string;
  readonly connectionId: number;
  /** Twenty bytes. */
  readonly nonce: Buffer;
  readonly capabilities: Capabilities;
  readonly collation: number;
  readonly status: number;
  readonly plugin: string;
}

const PROTOCOL_VERSION = 10;
const NONCE_BYTES = 20;

export function writeGreeting({ version, connectionId, nonce, capabilities: { flags, mariadb }, collation, status, plugin }: Greeting): Buffer {
  return Buffer.concat([
    Buffer.of(PROTOCOL_VERSION), zeroTerminated(version), integer(connectionId, 4), nonce.subarray(0, 8), Buffer.of(0),
    integer(flags & 0xffff, 2), Buffer.of(collation & 0xff), integer(status, 2), integer(flags >>> 16, 2), Buffer.of(NONCE_BYTES + 1),
    Buffer.alloc(6), integer(mariadb >>> 0, 4), nonce.subarray(8, NONCE_BYTES), Buffer.of(0), zeroTerminated(plugin),
  ]);
}

/** Throws a `ProtocolFault`. */
export function readGreeting(payload: Buffer): Greeting {
  const reader = new PayloadReader(payload);
  if (reader.integer(1) !== PROTOCOL_VERSION) throw new ProtocolFault('the server speaks another version of the protocol');
  const version = reader.untilZero().toString('latin1');
  const connectionId = reader.integer(4);
  const first = reader.bytes(8);
  reader.bytes(1);
  const lower = reader.integer(2);
  const collation = reader.integer(1);
  const status = reader.integer(2);
  const flags = lower | (reader.integer(2) << 16);
  const nonceBytes = reader.integer(1);
  reader.bytes(6);
  const extended = reader.integer(4);
  const rest = (flags & Capability.secureConnection) === 0 ? Buffer.alloc(0) : reader.bytes(Math.max(13, nonceBytes - 8));
  const plugin = (flags & Capability.pluginAuth) === 0 ? 'mysql_native_password' : reader.untilZeroOrEnd().toString('latin1');
  const capabilities = { flags, mariadb: (flags & Capability.mysql) === 0 ? extended : 0 };
  return { version, connectionId, nonce: Buffer.concat([first, rest]).subarray(0, NONCE_BYTES), capabilities, collation, status, plugin };
}
