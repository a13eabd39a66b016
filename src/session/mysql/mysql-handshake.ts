/**
 * From an accepted socket to a session: greeting, TLS, password, a place, the connection to the source.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 *
 * States: greeting → response (→ securing → response) → authenticating → waiting (for a place, for the source) → session; or refused.
 * Any of them may end by timeout.
 */
import type * as net from 'node:net';
import { makeNonce } from '../../wire/mysql/auth-packets.ts';
import { CACHING_SHA2_PASSWORD } from '../../wire/mysql/caching-sha2-password.ts';
import { can, Capability, passable, required } from '../../wire/mysql/capabilities.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { connectMysql } from '../../wire/mysql/connect-mysql.ts';
import type { MysqlLogin, MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import { ErrorCode, MysqlServerError, writeMysqlError } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeGreeting } from '../../wire/mysql/greeting.ts';
import type { Greeting } from '../../wire/mysql/greeting.ts';
import { readConnectionTraits, readHandshakeResponse, SSL_REQUEST_BYTES } from '../../wire/mysql/handshake-response.ts';
import type { HandshakeResponse } from '../../wire/mysql/handshake-response.ts';
import { readPayload, writePackets } from '../../wire/mysql/packets.ts';
import { leaveSocket } from '../leave-socket.ts';
import { LoginSocket } from '../login-socket.ts';
import { certificateOf } from '../tls-clients.ts';
import { accessDenied } from './access-denied.ts';
import { mysqlErrorOf } from './control-result.ts';
import type { MysqlDoorHost } from './door-host.ts';
import { PasswordExchange } from './password-exchange.ts';

const MAX_LOGIN_BYTES = 1 << 16;
const none = Buffer.alloc(0);

export type MysqlRefusal = Parameters<MysqlDoorHost['refused']>[0];

export class MysqlHandshake {
  readonly #host: MysqlDoorHost;
  readonly #address: string;
  readonly #connectionId: number;
  readonly #nonce = makeNonce();
  #timer: NodeJS.Timeout;
  readonly #client: LoginSocket;
  #input: Buffer = none;
  #sequence = 0;
  #offered: Capabilities = { flags: 0, mariadb: 0 };
  #step: 'greeting' | 'response' | 'securing' | 'authenticating' | 'waiting' = 'greeting';
  #isSecure = false;
  #isOver = false;
  #exchange: PasswordExchange | undefined;
  #abort: (() => void) | undefined;
  #leave: (() => void) | undefined;

  constructor(socket: net.Socket, host: MysqlDoorHost, connectionId: number) {
    this.#client = new LoginSocket(socket, { data: (chunk) => this.#receive(chunk), error: () => this.#drop(), close: () => this.#finish() });
    this.#host = host;
    this.#connectionId = connectionId;
    this.#address = socket.remoteAddress ?? '';
    this.#timer = setTimeout(() => this.#timedOut(), host.services.limits.startupTimeoutMs);
    host.greeting((greeting) => this.#greet(greeting));
  }

  get #socket(): net.Socket {
    return this.#client.current;
  }

  shutDown(): void {
    this.#refuse({ code: ErrorCode.shuttingDown, sqlstate: '08S01', message: 'the gateway is shutting down; connect again in a moment' }, 'shutdown');
  }

  #drop(): void {
    this.#socket.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#client.release();
    this.#socket.on('error', () => undefined);
    this.#abort?.();
    this.#leave?.();
    this.#host.loginEnded(this);
  }

  #greet(greeting: Greeting | Error): void {
    if (this.#isOver) return;
    // Too many connections there, a blocked host: the server's number says more than any of ours.
    if (greeting instanceof MysqlServerError) return this.#refuse(greeting.packet, 'authentication');
    if (greeting instanceof Error) return this.#refuse(cannotConnect(greeting.message), 'authentication');
    if (this.#host.isFull(this)) return this.#refuse({ code: ErrorCode.tooManyConnections, sqlstate: '08004', message: 'Too many connections' }, 'limit');
    const { flags, mariadb } = greeting.capabilities;
    const own = Capability.pluginAuth | Capability.secureConnection | Capability.protocol41 | Capability.lengthEncodedAuth | (this.#hasTls ? Capability.ssl : 0);
    this.#offered = { flags: (flags & passable.flags) | own, mariadb: mariadb & passable.mariadb };
    this.#step = 'response';
    this.#send(writeGreeting({ ...greeting, connectionId: this.#connectionId, nonce: this.#nonce, capabilities: this.#offered, plugin: CACHING_SHA2_PASSWORD, status: 2 }), 0);
    this.#read();
  }

  /** Over a Unix socket there is nothing to hide, and no address for it. */
  get #hasTls(): boolean {
    return this.#host.tls !== undefined && this.#socket.remotePort !== undefined;
  }

  #receive(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    if (this.#step === 'waiting' && this.#input.length > MAX_LOGIN_BYTES) this.#socket.pause();
    this.#read();
  }

  #read(): void {
    while (!this.#isOver && (this.#step === 'response' || this.#step === 'authenticating')) {
      const read = readPayload(this.#input, MAX_LOGIN_BYTES);
      if (read.type === 'incomplete') return;
      if (read.type === 'too_large') return this.#bad('the packet is too large');
      this.#input = this.#input.subarray(read.length);
      this.#sequence = read.sequence;
      if (this.#step === 'authenticating') this.#exchange?.answered(Buffer.from(read.payload));
      else this.#response(read.payload);
    }
  }

  #response(payload: Buffer): void {
    try {
      const { capabilities } = readConnectionTraits(payload);
      if (payload.length === SSL_REQUEST_BYTES && can(capabilities, Capability.ssl)) return this.#secure();
      this.#login(readHandshakeResponse(Buffer.from(payload)));
    } catch (error) {
      this.#bad(error instanceof Error ? error.message : String(error));
    }
  }

  #secure(): void {
    const { tls } = this.#host;
    if (!tls || !this.#hasTls || this.#isSecure) return this.#bad('TLS was not offered');
    const plain = this.#socket;
    this.#step = 'securing';
    this.#client.stopReading();
    plain.pause();
    // A client does not wait for an answer: its side of TLS may have come along. It cannot be taken for more than that, being TLS.
    if (this.#input.length > 0) plain.unshift(this.#input);
    this.#input = none;
    if (!tls.accept(plain, (secure) => this.#secured(secure))) this.#drop();
  }

  #secured(secure: net.Socket): void {
    if (this.#isOver) {
      secure.destroy();
      return;
    }
    this.#client.replaceBy(secure);
    this.#isSecure = true;
    this.#step = 'response';
  }

  #login(response: HandshakeResponse): void {
    const { flags, mariadb } = response.capabilities;
    if ((flags & required) !== required) return this.#bad('the client is too old');
    if (this.#host.tls?.required && !this.#isSecure) {
      return this.#refuse({ code: ErrorCode.accessDenied, sqlstate: '28000', message: 'the gateway accepts encrypted connections only' }, 'authentication');
    }
    const agreed = { flags: flags & this.#offered.flags, mariadb: mariadb & this.#offered.mariadb };
    const { user, plugin, authResponse } = response;
    this.#step = 'authenticating';
    const peer = { address: this.#address, certificate: certificateOf(this.#socket), isPrivate: this.#isSecure || this.#socket.remotePort === undefined };
    this.#exchange = new PasswordExchange(this.#host.passwords, peer, { user, plugin, answer: authResponse, nonce: this.#nonce }, (payload) => this.#reply(payload), (end) => {
      if (this.#isOver) return;
      if (end.type === 'denied') this.#refuse(accessDenied(user, this.#address, end), 'authentication');
      else this.#enter(response, agreed);
    });
    this.#exchange.start();
  }

  #enter(response: HandshakeResponse, agreed: Capabilities): void {
    this.#step = 'waiting';
    const { user, database } = response;
    let target: MysqlTarget;
    try {
      target = this.#host.target(user, database);
    } catch (error) {
      return this.#refuse(mysqlErrorOf(error), 'authentication');
    }
    clearTimeout(this.#timer);
    let isAnswered = false;
    const leave = this.#host.admission.enter({ user, database: database ?? '', address: this.#address, port: this.#socket.remotePort ?? 0 }, (refusal) => {
      isAnswered = true;
      if (this.#isOver) return;
      if (refusal) this.#refuse({ code: ErrorCode.tooManyConnections, sqlstate: refusal.fields.sqlstate, message: [refusal.fields.message, refusal.fields.detail].filter(Boolean).join(' ') }, refusal.reason);
      else this.#connect(response, agreed, target);
    });
    this.#leave = leave;
    if (isAnswered && this.#isOver) leave();
  }

  #connect(response: HandshakeResponse, agreed: Capabilities, target: MysqlTarget): void {
    const { maxPacketBytes, collation, database, attributes } = response;
    const options = { capabilities: agreed, maxPacketBytes, collation, database, attributes };
    this.#abort = connectMysql(target, options, this.#host.services.limits.legConnectTimeoutMs, (login) => this.#connected(response, agreed, target, login));
  }

  #connected(response: HandshakeResponse, agreed: Capabilities, target: MysqlTarget, login: MysqlLogin): void {
    this.#abort = undefined;
    if (this.#isOver) {
      if (login.ok) login.socket.destroy();
      return;
    }
    if (!login.ok) {
      // In the server's own words, when it has said something.
      if (login.error) return this.#goodbye(login.error, 'authentication');
      return this.#refuse(cannotConnect(login.reason), 'authentication');
    }
    this.#host.greeted(login.greeting);
    if (!isSameShape(agreed, login.capabilities)) {
      login.socket.destroy();
      return this.#refuse({ code: ErrorCode.unknown, sqlstate: '08001', message: 'MIG001: the source has changed to another version; connect again' }, 'authentication');
    }
    this.#admit(response, agreed, target, login);
  }

  #admit(response: HandshakeResponse, agreed: Capabilities, target: MysqlTarget, login: Extract<MysqlLogin, { ok: true }>): void {
    const { user, database, maxPacketBytes, collation, attributes } = response;
    const socket = this.#socket;
    const early = this.#input;
    const leave = this.#leave ?? (() => undefined);
    this.#leave = undefined;
    this.#finish();
    this.#send(login.answer, this.#sequence + 1);
    this.#host.admitted({
      user, database, target, address: this.#address, socket, isPrivate: this.#isSecure || socket.remotePort === undefined, connectionId: this.#connectionId, capabilities: login.capabilities,
      traits: { capabilities: agreed, maxPacketBytes, collation }, attributes, login, early, leave,
    });
    if (socket.isPaused()) socket.resume();
  }

  #timedOut(): void {
    // What a client in the middle of TLS would take for a part of that is not sent.
    if (this.#step === 'securing') {
      this.#host.refused('timeout');
      this.#drop();
    } else this.#refuse({ code: ErrorCode.badHandshake, sqlstate: '08S01', message: 'the login took too long' }, 'timeout');
  }

  #bad(reason: string): void {
    this.#refuse({ code: ErrorCode.badHandshake, sqlstate: '08S01', message: `Bad handshake: ${reason}` }, 'protocol');
  }

  #refuse(error: MysqlError, reason: MysqlRefusal): void {
    this.#goodbye(writeMysqlError(error, this.#step === 'greeting'), reason);
  }

  #goodbye(answer: Buffer, reason: MysqlRefusal): void {
    if (this.#isOver) return;
    this.#host.refused(reason);
    const socket = this.#socket;
    const sequence = this.#step === 'greeting' ? 0 : this.#sequence + 1;
    this.#finish();
    leaveSocket(socket, writePackets(answer, sequence & 0xff));
  }

  /** The next packet of the login. */
  #reply(payload: Buffer): void {
    if (this.#isOver) return;
    this.#sequence = (this.#sequence + 1) & 0xff;
    this.#send(payload, this.#sequence);
  }

  #send(payload: Buffer, sequence: number): void {
    this.#socket.write(writePackets(payload, sequence & 0xff));
  }
}

/** As a client says it of a server that it cannot reach: pools and drivers try again. */
function cannotConnect(reason: string): MysqlError {
  return { code: ErrorCode.cannotConnect, sqlstate: '08001', message: `MIG001: Can't connect to the MySQL server behind the gateway (${reason}). The gateway is up: try again, and if it persists check that server, and host and port in the gateway's settings (mysql.server)` };
}

/** What changes how answers look. */
const shaping = Capability.deprecateEof | Capability.sessionTrack | Capability.optionalMetadata | Capability.multiResults | Capability.psMultiResults | Capability.localFiles;

function isSameShape(client: Capabilities, server: Capabilities): boolean {
  return ((client.flags ^ server.flags) & shaping) === 0 && client.mariadb === server.mariadb;
}
