/**
 * COM_CHANGE_USER: the client proves who it is now, and gets another connection to the source. What fails ends the session, as at a server.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
 */
import { connectMysql } from '../../wire/mysql/connect-mysql.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { readChangeUser } from '../../wire/mysql/handshake-response.ts';
import type { ChangeUser } from '../../wire/mysql/handshake-response.ts';
import { makeNonce, writeAuthSwitch } from '../../wire/mysql/auth-packets.ts';
import { CACHING_SHA2_PASSWORD } from '../../wire/mysql/caching-sha2-password.ts';
import { NATIVE_PASSWORD } from '../../wire/mysql/native-password.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { certificateOf } from '../tls-clients.ts';
import { mysqlErrorOf } from './control-result.ts';
import { accessDenied } from './access-denied.ts';
import type { DoorSession, MysqlDoorHost } from './door-host.ts';
import { PasswordExchange } from './password-exchange.ts';

export function changeMysqlUser(session: DoorSession, host: MysqlDoorHost, payload: Buffer, sequence: number): void {
  let wanted: ChangeUser;
  try {
    wanted = readChangeUser(payload, session.capabilities);
  } catch (error) {
    return refuse(session, { code: ErrorCode.malformedPacket, sqlstate: 'HY000', message: error instanceof Error ? error.message : String(error) }, sequence);
  }
  let last = sequence;
  const send = (packet: Buffer): void => {
    last = (last + 1) & 0xff;
    session.client.socket.write(writePackets(packet, last));
  };
  const { address, socket, isPrivate } = session.client;
  const peer = { address, certificate: certificateOf(socket), isPrivate };
  // The nonce that the client has used is that of its login, and not to be used twice: it is asked again, with a new one.
  const nonce = makeNonce();
  const plugin = host.passwords.methodFor(wanted.user, peer).nativeHash && (!isPrivate || wanted.plugin === NATIVE_PASSWORD) ? NATIVE_PASSWORD : CACHING_SHA2_PASSWORD;
  let exchange: PasswordExchange | undefined;
  session.readPackets((answer, answerSequence) => {
    last = answerSequence;
    if (exchange) return exchange.answered(answer);
    exchange = new PasswordExchange(host.passwords, peer, { user: wanted.user, plugin, answer, nonce }, send, (end) => {
      if (end.type === 'denied') refuse(session, accessDenied(wanted.user, address, end), last);
      else openLeg(session, host, wanted, () => last, send);
    });
    exchange.start();
  });
  send(writeAuthSwitch(plugin, nonce));
}

function openLeg(session: DoorSession, host: MysqlDoorHost, { user, database, collation, attributes }: ChangeUser, last: () => number, send: (payload: Buffer) => void): void {
  const { traits } = session.client;
  try {
    const target = host.target(user, database);
    const options = { ...traits, capabilities: session.capabilities, collation: collation === 0 ? traits.collation : collation, database, attributes };
    connectMysql(target, options, host.services.limits.legConnectTimeoutMs, (login) => {
      if (!login.ok) return refuse(session, { code: login.code, sqlstate: 'HY000', message: login.reason }, last());
      send(login.answer);
      session.changed(login, { user, database, target });
    });
  } catch (error) {
    refuse(session, mysqlErrorOf(error), last());
  }
}

function refuse(session: DoorSession, error: MysqlError, sequence: number): void {
  session.fail(error, sequence);
  session.close();
}
