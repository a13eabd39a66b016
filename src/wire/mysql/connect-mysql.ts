/**
 * Opens a connection to a MySQL or MariaDB and logs in: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 *
 * States: connecting → greeted (→ TLS) → authenticating → done. Ends in exactly one call of `done`.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { AUTH_SWITCH, readAuthSwitch } from './auth-packets.ts';
import { CACHING_SHA2_PASSWORD, encryptPassword, FAST_OK, fastAnswer, FULL_NEEDED, KEY_WANTED, MORE_DATA } from './caching-sha2-password.ts';
import { can, Capability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { ERROR, ErrorCode, MysqlServerError, readMysqlError } from './error-packet.ts';
import { readGreeting } from './greeting.ts';
import type { Greeting } from './greeting.ts';
import { writeHandshakeResponse, writeSslRequest } from './handshake-response.ts';
import type { ConnectionTraits } from './handshake-response.ts';
import { NATIVE_PASSWORD, nativeAnswer } from './native-password.ts';
import { OK } from './ok-packet.ts';
import { readPayload, writePackets } from './packets.ts';
import { ProtocolFault } from './payload.ts';

export interface MysqlTarget {
  /** A name, an address, or the path of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** `ca`, `cert`, `key`: PEM text, or paths of files that hold it. */
  readonly ssl?: { readonly mode: 'require' | 'verify-ca' | 'verify-full'; readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface MysqlLoginOptions extends ConnectionTraits {
  readonly database: string | undefined;
  /** As a client has written them. */
  readonly attributes: Buffer | undefined;
}

export type MysqlLogin =
  | { readonly ok: true; readonly socket: net.Socket; readonly greeting: Greeting; /** Payload of the OK. */ readonly answer: Buffer; readonly capabilities: Capabilities }
  /** `error`: payload of the server's own, when it sent one. */
  | { readonly ok: false; readonly error: Buffer | undefined; readonly reason: string; readonly code: number };

const MAX_LOGIN_BYTES = 1 << 20;

/** Returns what aborts the attempt. */
export function connectMysql(target: MysqlTarget, options: MysqlLoginOptions, timeoutMs: number, done: (outcome: MysqlLogin) => void): () => void {
  const attempt = new Attempt(target, options, done);
  attempt.start(timeoutMs);
  return () => attempt.fail('the connection attempt was given up');
}

/** The greeting alone. The server counts the connection as one that was given up. */
export function askGreeting(target: Pick<MysqlTarget, 'host' | 'port'>, timeoutMs: number, done: (greeting: Greeting | Error) => void): void {
  const socket = openSocket(target);
  let isOver = false;
  const end = (found: Greeting | Error): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    done(found);
  };
  let bytes: Buffer = Buffer.alloc(0);
  socket.setTimeout(timeoutMs, () => end(new Error(`no answer within ${timeoutMs} ms`)));
  socket.on('error', (error) => end(error));
  socket.on('close', () => end(new Error('the server closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const read = readPayload(bytes, MAX_LOGIN_BYTES);
    if (read.type === 'incomplete') return;
    try {
      if (read.type === 'too_large') throw new ProtocolFault('the server does not speak the MySQL protocol');
      if (read.payload[0] === ERROR) throw new MysqlServerError(readMysqlError(read.payload));
      end(readGreeting(read.payload));
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

function openSocket({ host, port }: Pick<MysqlTarget, 'host' | 'port'>): net.Socket {
  return host.startsWith('/') ? net.connect({ path: host }) : net.connect({ host, port, noDelay: true, keepAlive: true });
}

class Attempt {
  readonly #target: MysqlTarget;
  readonly #options: MysqlLoginOptions;
  readonly #done: (outcome: MysqlLogin) => void;
  #socket: net.Socket;
  #timer: NodeJS.Timeout | undefined;
  #input: Buffer = Buffer.alloc(0);
  #greeting: Greeting | undefined;
  #capabilities: Capabilities = { flags: 0, mariadb: 0 };
  #plugin = '';
  #nonce: Buffer = Buffer.alloc(0);
  #sequence = 0;
  #isSecure = false;
  #isOver = false;

  constructor(target: MysqlTarget, options: MysqlLoginOptions, done: (outcome: MysqlLogin) => void) {
    this.#target = target;
    this.#options = options;
    this.#done = done;
    this.#socket = openSocket(target);
  }

  start(timeoutMs: number): void {
    this.#timer = setTimeout(() => this.fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    this.#attach();
  }

  fail(reason: string, code: number = ErrorCode.unknown, error?: Buffer): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket.destroy();
    this.#done({ ok: false, error, reason, code });
  }

  readonly #onData = (chunk: Buffer): void => this.#receive(chunk);
  readonly #onError = (error: Error): void => this.fail(error.message);
  readonly #onClose = (): void => this.fail('the server closed the connection');

  #attach(): void {
    this.#socket.on('data', this.#onData);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    // A late error of a socket that nobody wants any more must not end the process.
    this.#socket.on('error', () => undefined);
  }

  #receive(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    while (!this.#isOver) {
      const read = readPayload(this.#input, MAX_LOGIN_BYTES);
      if (read.type === 'incomplete') return;
      if (read.type === 'too_large') return this.fail('the server does not speak the MySQL protocol');
      this.#input = this.#input.subarray(read.length);
      this.#sequence = (read.sequence + 1) & 0xff;
      try {
        this.#payload(read.payload);
      } catch (error) {
        this.fail(error instanceof Error ? error.message : String(error));
      }
    }
  }

  #payload(payload: Buffer): void {
    const first = payload[0];
    if (first === ERROR) return this.fail(readMysqlError(payload).message, readMysqlError(payload).code, Buffer.from(payload));
    if (!this.#greeting) return this.#greeted(readGreeting(payload));
    if (first === OK) return this.#loggedIn(Buffer.from(payload), this.#greeting);
    if (first === AUTH_SWITCH) return this.#switch(payload);
    if (first === MORE_DATA) return this.#moreData(payload.subarray(1));
    this.fail(`the server sent an unknown packet (${first ?? 'empty'}) while logging in`);
  }

  #greeted(greeting: Greeting): void {
    this.#greeting = greeting;
    const offered = greeting.capabilities;
    const wanted = this.#options.capabilities;
    // How the password travels is a matter of this end alone.
    const own = Capability.pluginAuth | Capability.secureConnection | Capability.protocol41 | Capability.lengthEncodedAuth | (this.#target.ssl ? Capability.ssl : 0);
    const database = this.#options.database === undefined ? 0 : Capability.connectWithDatabase;
    this.#capabilities = { flags: ((wanted.flags & ~(Capability.connectWithDatabase | Capability.ssl)) | own | database) & offered.flags, mariadb: wanted.mariadb & offered.mariadb };
    this.#plugin = greeting.plugin;
    this.#nonce = greeting.nonce;
    if (!this.#target.ssl) return this.#respond();
    if (!can(offered, Capability.ssl)) return this.fail('the server has no TLS');
    this.#write(writeSslRequest(this.#traits));
    this.#startTls();
  }

  get #traits(): ConnectionTraits {
    return { ...this.#options, capabilities: this.#capabilities };
  }

  #startTls(): void {
    const plain = this.#socket;
    plain.off('data', this.#onData);
    plain.off('close', this.#onClose);
    const secure = tls.connect({ socket: plain, ...tlsOptions(this.#target) });
    this.#socket = secure;
    this.#attach();
    secure.once('secureConnect', () => {
      this.#isSecure = true;
      this.#respond();
    });
  }

  #respond(): void {
    const known = this.#answerFor(this.#plugin);
    // A method of the server's that is not known here may be only its default: what the user has it says in a switch.
    const plugin = known === undefined ? NATIVE_PASSWORD : this.#plugin;
    const { database, attributes } = this.#options;
    this.#write(writeHandshakeResponse({ ...this.#traits, user: this.#target.user, authResponse: known ?? Buffer.alloc(0), database, plugin, attributes }));
  }

  /** Undefined for a method that is not supported. */
  #answerFor(plugin: string): Buffer | undefined {
    const password = this.#target.password ?? '';
    if (plugin === NATIVE_PASSWORD) return nativeAnswer(password, this.#nonce);
    return plugin === CACHING_SHA2_PASSWORD ? fastAnswer(password, this.#nonce) : undefined;
  }

  #switch(payload: Buffer): void {
    const { plugin, nonce } = readAuthSwitch(payload);
    this.#plugin = plugin;
    this.#nonce = Buffer.from(nonce);
    const answer = this.#answerFor(plugin);
    if (answer === undefined) this.fail(`the server asks for ${plugin}, which is not supported; supported are ${NATIVE_PASSWORD} and ${CACHING_SHA2_PASSWORD}`);
    else this.#write(answer);
  }

  #moreData(data: Buffer): void {
    const password = this.#target.password ?? '';
    const [kind] = data;
    if (this.#plugin !== CACHING_SHA2_PASSWORD) return this.fail(`the server asks for more than ${this.#plugin} has`);
    if (data.length === 1 && kind === FAST_OK) return;
    if (data.length > 1) return this.#write(encryptPassword(password, this.#nonce, data.toString('latin1')));
    if (kind !== FULL_NEEDED) return this.fail('the server sent a bad packet of caching_sha2_password');
    // A Unix socket is as good as TLS: nobody stands in between.
    const isPrivate = this.#isSecure || this.#target.host.startsWith('/');
    this.#write(isPrivate ? Buffer.from(`${password}\0`, 'utf8') : Buffer.of(KEY_WANTED));
  }

  #loggedIn(answer: Buffer, greeting: Greeting): void {
    if (this.#isOver) return;
    this.#finish();
    this.#done({ ok: true, socket: this.#socket, greeting, answer, capabilities: this.#capabilities });
  }

  #write(payload: Buffer): void {
    this.#socket.write(writePackets(payload, this.#sequence));
    this.#sequence = (this.#sequence + 1) & 0xff;
  }
}

function tlsOptions({ host, ssl }: MysqlTarget): tls.ConnectionOptions {
  return {
    rejectUnauthorized: ssl?.mode !== 'require',
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    ...(ssl?.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...pem('ca', ssl?.ca), ...pem('cert', ssl?.cert), ...pem('key', ssl?.key),
  };
}

function pem(name: 'ca' | 'cert' | 'key', value: string | undefined): Partial<Record<'ca' | 'cert' | 'key', string>> {
  if (value === undefined) return {};
  return { [name]: value.includes('-----BEGIN') ? value : fs.readFileSync(value, 'utf8') };
}
