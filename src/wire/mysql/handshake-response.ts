/**
 * What a client answers to the greeting, and to be another user later on.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
 */
import { can, Capability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { Command } from './commands.ts';
import { integer, lengthEncoded, PayloadReader, ProtocolFault, zeroTerminated } from './payload.ts';

/** How the connection is to be, whoever uses it. */
export interface ConnectionTraits {
  readonly capabilities: Capabilities;
  readonly maxPacketBytes: number;
  readonly collation: number;
}

export interface HandshakeResponse extends ConnectionTraits {
  readonly user: string;
  readonly authResponse: Buffer;
  readonly database: string | undefined;
  readonly plugin: string | undefined;
  /** Names and values with their lengths, as the client has written them. */
  readonly attributes: Buffer | undefined;
}

/** Capabilities, largest packet, character set: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html */
export const SSL_REQUEST_BYTES = 32;

/** By itself this asks for TLS. */
export function writeSslRequest({ capabilities: { flags, mariadb }, maxPacketBytes, collation }: ConnectionTraits): Buffer {
  return Buffer.concat([integer(flags >>> 0, 4), integer(maxPacketBytes, 4), Buffer.of(collation & 0xff), Buffer.alloc(19), integer(mariadb >>> 0, 4)]);
}

export function writeHandshakeResponse(response: HandshakeResponse): Buffer {
  const { capabilities, user, authResponse, database, plugin, attributes } = response;
  return Buffer.concat([
    writeSslRequest(response), zeroTerminated(user),
    can(capabilities, Capability.lengthEncodedAuth) ? lengthEncoded(authResponse.length) : Buffer.of(authResponse.length), authResponse,
    ...(can(capabilities, Capability.connectWithDatabase) ? [zeroTerminated(database ?? '')] : []),
    ...(can(capabilities, Capability.pluginAuth) ? [zeroTerminated(plugin ?? '')] : []),
    ...(can(capabilities, Capability.connectAttributes) ? [lengthEncoded(attributes?.length ?? 0), attributes ?? Buffer.alloc(0)] : []),
  ]);
}

/** Of an SSLRequest or a HandshakeResponse41. Throws a `ProtocolFault`. */
export function readConnectionTraits(payload: Buffer): ConnectionTraits {
  if (payload.length < SSL_REQUEST_BYTES || ((payload[1] ?? 0) << 8 & Capability.protocol41) === 0) throw new ProtocolFault('the client speaks the protocol before version 4.1');
  const flags = payload.readInt32LE(0);
  return { capabilities: { flags, mariadb: (flags & Capability.mysql) === 0 ? payload.readInt32LE(28) : 0 }, maxPacketBytes: payload.readUInt32LE(4), collation: payload[8] ?? 0 };
}

/** Throws a `ProtocolFault`. */
export function readHandshakeResponse(payload: Buffer): HandshakeResponse {
  const traits = readConnectionTraits(payload);
  const { capabilities } = traits;
  const reader = new PayloadReader(payload, SSL_REQUEST_BYTES);
  const user = reader.untilZero().toString('utf8');
  const authResponse = readAuthResponse(reader, capabilities);
  const database = can(capabilities, Capability.connectWithDatabase) && reader.left > 0 ? reader.untilZeroOrEnd().toString('utf8') : '';
  const plugin = can(capabilities, Capability.pluginAuth) && reader.left > 0 ? reader.untilZeroOrEnd().toString('latin1') : undefined;
  const attributes = can(capabilities, Capability.connectAttributes) && reader.left > 0 ? reader.text() : undefined;
  return { ...traits, user, authResponse, database: database === '' ? undefined : database, plugin, attributes };
}

function readAuthResponse(reader: PayloadReader, capabilities: Capabilities): Buffer {
  if (can(capabilities, Capability.lengthEncodedAuth)) return reader.text() ?? Buffer.alloc(0);
  return can(capabilities, Capability.secureConnection) ? reader.bytes(reader.integer(1)) : reader.untilZero();
}

export type ChangeUser = Omit<HandshakeResponse, 'capabilities' | 'maxPacketBytes'>;

export function writeChangeUser({ user, authResponse, database, collation, plugin, attributes }: ChangeUser, capabilities: Capabilities): Buffer {
  return Buffer.concat([
    Buffer.of(Command.changeUser), zeroTerminated(user), Buffer.of(authResponse.length), authResponse, zeroTerminated(database ?? ''), integer(collation, 2),
    ...(can(capabilities, Capability.pluginAuth) ? [zeroTerminated(plugin ?? '')] : []),
    ...(can(capabilities, Capability.connectAttributes) ? [lengthEncoded(attributes?.length ?? 0), attributes ?? Buffer.alloc(0)] : []),
  ]);
}

/** Throws a `ProtocolFault`. */
export function readChangeUser(payload: Buffer, capabilities: Capabilities): ChangeUser {
  const reader = new PayloadReader(payload, 1);
  const user = reader.untilZero().toString('utf8');
  const authResponse = reader.bytes(reader.integer(1));
  const database = reader.untilZeroOrEnd().toString('utf8');
  const collation = reader.left >= 2 ? reader.integer(2) : 0;
  const plugin = can(capabilities, Capability.pluginAuth) && reader.left > 0 ? reader.untilZeroOrEnd().toString('latin1') : undefined;
  const attributes = can(capabilities, Capability.connectAttributes) && reader.left > 0 ? reader.text() : undefined;
  return { user, authResponse, database: database === '' ? undefined : database, collation, plugin, attributes };
}
