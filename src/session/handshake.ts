/**
 * From an accepted socket to a session: TLS, start-up packet, authentication, the home leg.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 *
 * States: startup (→ securing → startup) → authenticating → waiting for a place → opening the home leg → session; or refused. Any of them may end
 * by timeout.
 */
import type * as net from 'node:net';
import { randomBytes, randomInt } from 'node:crypto';
import type { Pool } from '../../config/connection-limits.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { authenticationOk, backendKeyData, negotiateProtocolVersion, readyForQuery } from '../wire/backend-messages.ts';
import { connectServer } from '../wire/connect-server.ts';
import type { LoginOutcome } from '../wire/connect-server.ts';
import { writeError } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { readStartupPacket } from '../wire/startup-packet.ts';
import type { StartupPacket } from '../wire/startup-packet.ts';
import type { Admission, Refusal } from './admission.ts';
import type { Backend } from './backend.ts';
import { errorFieldsOf, protocolError } from './client-error.ts';
import type { LegTarget } from './leg-target.ts';
import { leaveSocket } from './leave-socket.ts';
import { loginExchange } from './login-exchange.ts';
import type { LoginExchange } from './login-exchange.ts';
import { LoginSocket } from './login-socket.ts';
import type { Services } from './services.ts';
import type { PoolGroup } from './pool/backend-pool.ts';
import type { ClientIdentity } from './session-parts.ts';
import { certificateOf } from './tls-clients.ts';
import type { TlsClients } from './tls-clients.ts';
import type { Users } from './users.ts';

export type Login = Extract<LoginOutcome, { ok: true }>;

export interface CancelKey {
  readonly pid: number;
  readonly key: Buffer;
}

export interface Admitted {
  readonly identity: Omit<ClientIdentity, 'sessionId'>;
  readonly socket: net.Socket;
  readonly target: LegTarget;
  /** The connection of its own, or who lends it one. */
  readonly home: Login | PoolGroup;
  /** What the client was given to cancel with. */
  readonly cancelKey: CancelKey;
  /** Bytes that came behind the last message of the handshake. */
  readonly early: Buffer;
  /** The client has asked for a replication connection. */
  readonly replicates: boolean;
  /** Gives the client's place back; for when the session is over. */
  readonly leave: () => void;
}

export type RefusalReason = 'authentication' | 'limit' | 'protocol' | 'timeout' | 'shutdown' | Refusal['reason'];

export interface HandshakeHost {
  readonly services: Services;
  readonly users: Users;
  readonly tls: TlsClients | undefined;
  readonly admission: Admission;
  /** Why one more would be too many; undefined when it is not. */
  tooMany(user: string): ErrorFields | undefined;
  admitted(client: Admitted): void;
  /** `done`: the servers have been told, as far as they will be. */
  cancelRequested(pid: number, key: Buffer, done: () => void): void;
  refused(reason: RefusalReason): void;
  ended(handshake: Handshake): void;
}

const MAX_PASSWORD_MESSAGE_BYTES = 65_536;
const none = Buffer.alloc(0);

export class Handshake {
  readonly #host: HandshakeHost;
  #timer: NodeJS.Timeout;
  readonly #address: string;
  readonly #client: LoginSocket;
  #input: Buffer = none;
  #secure = false;
  #over = false;
  #parameters: ReadonlyMap<string, string> = new Map();
  #exchange: LoginExchange | undefined;
  #abort: (() => void) | undefined;
  #leave: (() => void) | undefined;
  /** What the next bytes are. */
  #step: 'startup' | 'securing' | 'password' | 'waiting' = 'startup';

  constructor(socket: net.Socket, host: HandshakeHost) {
    this.#client = new LoginSocket(socket, { data: (chunk) => this.#receive(chunk), error: () => this.drop(), close: () => this.#finish() });
    this.#host = host;
    this.#address = socket.remoteAddress ?? '';
    this.#timer = setTimeout(() => this.#timedOut(), host.services.limits.startupTimeoutMs);
  }

  get #socket(): net.Socket {
    return this.#client.current;
  }

  /** The gateway is going: the client may try elsewhere, or again. */
  shutDown(): void {
    if (this.#step === 'startup' || this.#step === 'securing') this.drop();
    else this.#refuse(protocolError('57P03', 'the gateway is shutting down', 'FATAL', 'Connect again in a moment.'), 'shutdown');
  }

  /** Ends it from outside. */
  drop(): void {
    this.#socket.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#client.release();
    this.#socket.on('error', () => undefined);
    this.#abort?.();
    this.#leave?.();
    this.#host.ended(this);
  }

  #receive(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    if (this.#step === 'startup') this.#readStartup();
    else if (this.#step === 'password') this.#readPassword();
    else if (this.#input[0] === 0x58) this.drop();
    else if (this.#input.length > MAX_PASSWORD_MESSAGE_BYTES) this.#socket.pause();
  }

  #readStartup(): void {
    const read = readStartupPacket(this.#input);
    if (!read) return;
    this.#input = this.#input.subarray(read.length);
    const { packet } = read;
    switch (packet.type) {
      case 'bad':
        this.#refuse(protocolError(packet.sqlstate, packet.reason), 'protocol');
        break;
      case 'cancel':
        // Its client takes the end of this connection for the sign that the cancel cannot hit its next statement.
        this.#host.cancelRequested(packet.pid, packet.key, () => this.#goodbye());
        break;
      case 'goodbye':
        this.drop();
        break;
      case 'gssenc_request':
        this.#socket.write('N');
        this.#again();
        break;
      case 'ssl_request':
        this.#sslRequest();
        break;
      case 'startup':
        this.#startup(packet);
        break;
      default:
        packet satisfies never;
    }
  }

  #again(): void {
    if (this.#input.length > 0) this.#readStartup();
  }

  #sslRequest(): void {
    const { tls } = this.#host;
    if (!tls || this.#secure || this.#socket.remotePort === undefined) {
      this.#socket.write('N');
      this.#again();
      return;
    }
    // Bytes behind the request were sent unencrypted, perhaps by someone in between.
    if (this.#input.length > 0) {
      this.#refuse(protocolError('08P01', 'received unencrypted data after SSL request'), 'protocol');
      return;
    }
    this.#step = 'securing';
    this.#client.stopReading();
    this.#socket.write('S');
    if (!tls.accept(this.#socket, (secure) => this.#secured(secure))) this.drop();
  }

  #secured(socket: net.Socket): void {
    if (this.#over) {
      socket.destroy();
      return;
    }
    this.#client.replaceBy(socket);
    this.#secure = true;
    this.#step = 'startup';
  }

  #startup(packet: Extract<StartupPacket, { type: 'startup' }>): void {
    const { parameters } = packet;
    const user = parameters.get('user') ?? '';
    const options = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
    if (packet.minorVersion > 0 || options.length > 0) this.#socket.write(negotiateProtocolVersion(0, options));
    if (this.#host.tls?.required && !this.#secure) this.#refuse(protocolError('28000', 'the gateway accepts encrypted connections only', 'FATAL', 'Connect with sslmode=require.'), 'authentication');
    else if (user === '') this.#refuse(protocolError('28000', 'no PostgreSQL user name specified in startup packet'), 'protocol');
    else {
      const tooMany = this.#host.tooMany(user);
      this.#parameters = parameters;
      if (tooMany) this.#refuse(tooMany, 'limit');
      else this.#authenticate(user);
    }
  }

  #authenticate(user: string): void {
    const method = this.#host.users.methodFor(user, { address: this.#address, certificate: certificateOf(this.#socket) });
    if (method.type === 'trust') {
      this.#openHome();
      return;
    }
    if (method.type === 'refused') {
      this.#refuse({ ...protocolError('28000', method.message), detail: method.detail }, 'authentication');
      return;
    }
    this.#exchange = loginExchange(method, user, this.#secure ? this.#host.tls?.endPoint : undefined);
    this.#step = 'password';
    this.#socket.write(this.#exchange.question);
    if (this.#input.length > 0) this.#readPassword();
  }

  #readPassword(): void {
    if (this.#input.length < 5) return;
    const length = this.#input.readInt32BE(1) + 1;
    if (this.#input[0] !== 0x70 || length < 5 || length > MAX_PASSWORD_MESSAGE_BYTES) {
      if (this.#input[0] === 0x58) this.drop();
      else this.#refuse(protocolError('08P01', 'expected a password response'), 'protocol');
      return;
    }
    if (this.#input.length < length) return;
    const turn = this.#exchange?.answered(this.#input.subarray(5, length));
    this.#input = this.#input.subarray(length);
    if (turn?.type === 'refused') {
      this.#refuse(turn.fields, turn.reason);
      return;
    }
    if (turn?.answer) this.#socket.write(turn.answer);
    if (turn?.type === 'in') this.#openHome();
    else if (this.#input.length > 0) this.#readPassword();
  }

  /** As the server reads the parameter: `database`, or any way of writing true. */
  get #replicates(): boolean {
    return /^(?:t|tr|tru|true|on|y|ye|yes|1|database)$/i.test(this.#parameters.get('replication') ?? '');
  }

  #openHome(): void {
    this.#step = 'waiting';
    const { services } = this.#host;
    const user = this.#parameters.get('user') ?? '';
    const database = this.#parameters.get('database') || user;
    const startup = new Map([...this.#parameters].filter(([name]) => name !== 'user' && name !== 'database' && (name !== 'replication' || this.#replicates) && !name.startsWith('_pq_.')));
    let target: LegTarget;
    try {
      target = services.legs.target('source', { user, database });
    } catch (error) {
      this.#refuse(errorFieldsOf(error, 'FATAL'), 'authentication');
      return;
    }
    const identity = { user, database, address: this.#address, startup };
    this.#waitForPlace({ user, database: target.database }, () => this.#connectHome(identity, target, startup));
  }

  /** Login takes as long as the wait does, and then no longer than any. */
  #waitForPlace(pool: Pool, next: () => void): void {
    let refusal: Refusal | undefined;
    let isIn = false;
    let hasWaited = false;
    const go = (): void => {
      if (this.#over) return;
      if (refusal) return this.#refuse(refusal.fields, refusal.reason);
      if (hasWaited) this.#timer = setTimeout(() => this.#timedOut(), this.#host.services.limits.startupTimeoutMs);
      next();
    };
    this.#leave = this.#host.admission.enter({ ...pool, address: this.#address, port: this.#socket.remotePort ?? 0 }, (why) => {
      refusal = why;
      isIn = true;
      if (hasWaited) go();
    });
    if (isIn) return go();
    hasWaited = true;
    clearTimeout(this.#timer);
  }

  #connectHome(identity: Admitted['identity'], target: LegTarget, startup: ReadonlyMap<string, string>): void {
    const { services } = this.#host;
    if (!this.#replicates && services.pools.options.modeOf(identity.user, identity.database) !== 'session') return this.#joinPool(identity, target, services.pools.lender('source', target, identity));
    this.#abort = connectServer(target, new Map([['database', target.database], ...startup]), services.limits.legConnectTimeoutMs, (outcome) => this.#homeOpened(identity, target, outcome), services.readBuffers);
  }

  /** What a server says to the first client it says to all that have told it the same. */
  #joinPool(identity: Admitted['identity'], target: LegTarget, group: PoolGroup): void {
    const greeted = (): void => {
      this.#abort = undefined;
      if (this.#over) return;
      const cancelKey = { pid: randomInt(1, 2 ** 31), key: randomBytes(4) };
      this.#socket.write(authenticationOk);
      this.#admit(identity, target, group, cancelKey, Buffer.concat([group.greeting ?? none, backendKeyData(cancelKey.pid, cancelKey.key), readyForQuery('I')]));
    };
    if (group.greeting) return greeted();
    const borrower = {
      isLoggingIn: true,
      settings: '',
      lent: (backend: Backend) => {
        group.give(backend);
        greeted();
      },
      refused: (fields: ErrorFields) => {
        this.#abort = undefined;
        this.#refuse({ ...fields, severity: 'FATAL' }, 'authentication');
      },
    };
    this.#abort = () => group.forget(borrower);
    const backend = group.take(borrower);
    if (backend) borrower.lent(backend);
  }

  #homeOpened(identity: Admitted['identity'], target: LegTarget, outcome: LoginOutcome): void {
    this.#abort = undefined;
    if (this.#over) {
      if (outcome.ok) outcome.socket.destroy();
      return;
    }
    this.#socket.write(authenticationOk);
    if (!outcome.ok) {
      if (outcome.error) this.#goodbye(outcome.error);
      else this.#refuse(errorFieldsOf(new MigrationError('MIG001', undefined, { detail: outcome.reason }), 'FATAL'), 'authentication');
      return;
    }
    this.#admit(identity, target, outcome, { pid: outcome.pid, key: outcome.key }, outcome.answer);
  }

  #admit(identity: Admitted['identity'], target: LegTarget, home: Admitted['home'], cancelKey: CancelKey, greeting: Buffer): void {
    const socket = this.#socket;
    const early = this.#input;
    const leave = this.#leave ?? (() => undefined);
    this.#leave = undefined;
    this.#finish();
    socket.write(greeting);
    this.#host.admitted({ identity, socket, target, home, cancelKey, early, replicates: this.#replicates, leave });
    if (socket.isPaused()) socket.resume();
  }

  #timedOut(): void {
    // What a client in the middle of TLS would take for a part of that is not sent.
    if (this.#step === 'securing') {
      this.#host.refused('timeout');
      this.drop();
    } else this.#refuse(protocolError('57014', 'canceling authentication due to timeout'), 'timeout');
  }

  #refuse(fields: ErrorFields, reason: RefusalReason): void {
    this.#host.refused(reason);
    this.#goodbye(writeError(fields));
  }

  #goodbye(answer?: Buffer): void {
    const socket = this.#socket;
    this.#finish();
    leaveSocket(socket, answer);
  }
}
