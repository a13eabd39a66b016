/**
 * Opens a connection to a PostgreSQL server and logs in: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 *
 * States: connecting → (asking for TLS →) authenticating → starting (parameters, key) → done. Ends in exactly one call of `done`.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { readParameterStatus } from './backend-messages.ts';
import { CUT, FrameScanner } from './framing.ts';
import type { Verdict } from './framing.ts';
import { password, saslInitialResponse, saslResponse } from './frontend-messages.ts';
import { md5Password } from './md5-password.ts';
import { SCRAM_MECHANISM, ScramClient } from './scram.ts';
import { readErrorFields } from './error-fields.ts';
import { ownCopy } from './own-copy.ts';
import { SocketInput } from './socket-input.ts';
import type { LargeBuffers } from './socket-input.ts';
import { writeSslRequest, writeStartup } from './startup-packet.ts';

export interface ServerTarget {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** `ca`, `cert`, `key`: PEM text, or paths of files that hold it. */
  readonly ssl?: { readonly mode: 'require' | 'verify-ca' | 'verify-full'; readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export type LoginOutcome =
  | {
      readonly ok: true;
      readonly socket: net.Socket;
      /** What comes from the socket from now on. */
      readonly input: SocketInput;
      readonly pid: number;
      readonly key: Buffer;
      readonly parameters: ReadonlyMap<string, string>;
      /** Everything the server sent after AuthenticationOk, ReadyForQuery included. */
      readonly answer: Buffer;
    }
  /** `error` is the server's own ErrorResponse, when it sent one. */
  | { readonly ok: false; readonly error: Buffer | undefined; readonly reason: string; readonly sqlstate: string };

const MAX_LOGIN_MESSAGE_BYTES = 1 << 20;

/** `parameters` are sent as they are, after the user's name; `buffers` are shared with other connections. Returns what aborts the attempt. */
export function connectServer(target: ServerTarget, parameters: ReadonlyMap<string, string>, timeoutMs: number, done: (outcome: LoginOutcome) => void, buffers?: LargeBuffers): () => void {
  const login = new ServerLogin(target, parameters, done, buffers);
  login.start(timeoutMs);
  return () => login.fail('connection attempt was given up', '08006');
}

/** Sends a CancelRequest and forgets it: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS */
/** `done`: the server has ended the connection, so that the cancel cannot hit what is sent from then on; or it could not be told. */
export function sendCancel(target: ServerTarget, request: Buffer, timeoutMs: number, done?: () => void): void {
  const socket = openSocket(target);
  socket.setTimeout(timeoutMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', () => undefined);
  // The server ends the connection when it has carried the request out.
  socket.once('connect', () => socket.write(request));
  if (done) socket.once('close', done);
}

function openSocket(target: ServerTarget, input?: SocketInput): net.Socket {
  const reading = input?.options ?? {};
  if (target.host.startsWith('/')) return net.connect({ path: `${target.host}/.s.PGSQL.${target.port}`, ...reading });
  return net.connect({ host: target.host, port: target.port, noDelay: true, keepAlive: true, ...reading });
}

/** By itself: what stays with the socket must not keep the login. */
function closeWith(socket: net.Socket, input: SocketInput): void {
  socket.once('close', () => input.close());
}

class ServerLogin {
  readonly #target: ServerTarget;
  readonly #parameters: ReadonlyMap<string, string>;
  readonly #done: (outcome: LoginOutcome) => void;
  readonly #scanner: FrameScanner;
  readonly #status = new Map<string, string>();
  readonly #answer: Buffer[] = [];
  readonly #input: SocketInput;
  #socket: net.Socket;
  #timer: NodeJS.Timeout | undefined;
  #scram: ScramClient | undefined;
  #authenticated = false;
  #finished = false;
  #pid = 0;
  #key: Buffer = Buffer.alloc(4);

  constructor(target: ServerTarget, parameters: ReadonlyMap<string, string>, done: (outcome: LoginOutcome) => void, buffers?: LargeBuffers) {
    this.#input = new SocketInput(buffers);
    this.#target = target;
    this.#parameters = parameters;
    this.#done = done;
    this.#socket = target.ssl ? openSocket(target) : openSocket(target, this.#input);
    closeWith(this.#socket, this.#input);
    this.#scanner = new FrameScanner(
      {
        message: (type, buffer, start, length) => this.#message(String.fromCharCode(type), buffer, start, length),
        pass: () => undefined,
        violation: (reason) => this.fail(`the server does not speak the protocol: ${reason}`, '08P01'),
      },
      { maxMessageBytes: MAX_LOGIN_MESSAGE_BYTES, streamed: '' },
    );
  }

  start(timeoutMs: number): void {
    this.#timer = setTimeout(() => this.fail(`no answer within ${timeoutMs} ms`, '08001'), timeoutMs);
    this.#attach();
    this.#socket.once('connect', () => (this.#target.ssl ? this.#askForTls() : this.#sendStartup()));
  }

  fail(reason: string, sqlstate: string, error?: Buffer): void {
    if (this.#finished) return;
    this.#finish();
    this.#socket.destroy();
    this.#done({ ok: false, error, reason, sqlstate });
  }

  readonly #onError = (error: Error): void => this.fail(error.message, '08001');
  readonly #onClose = (): void => this.fail('the server closed the connection', '08001');

  #attach(): void {
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
  }

  #finish(): void {
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#input.attach(undefined);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    // A late error of a socket that nobody wants any more must not end the process.
    this.#socket.on('error', () => undefined);
  }

  #askForTls(): void {
    this.#socket.write(writeSslRequest());
    this.#socket.once('data', (answer: Buffer) => {
      if (answer.length !== 1 || answer[0] !== 0x53) {
        this.fail('the server refused TLS', '08001');
        return;
      }
      this.#startTls();
    });
  }

  #startTls(): void {
    const ssl = this.#target.ssl;
    const plain = this.#socket;
    plain.off('close', this.#onClose);
    const secure = tls.connect({
      socket: plain,
      rejectUnauthorized: ssl?.mode !== 'require',
      ...(net.isIP(this.#target.host) === 0 ? { servername: this.#target.host } : {}),
      ...(ssl?.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
      ...pem('ca', ssl?.ca), ...pem('cert', ssl?.cert), ...pem('key', ssl?.key),
    });
    this.#socket = secure;
    this.#attach();
    secure.once('secureConnect', () => this.#sendStartup());
  }

  #sendStartup(): void {
    this.#input.attach({
      keeps: () => false,
      take: (chunk) => {
        this.#scanner.push(chunk);
        return this.#scanner.buffered === 0;
      },
    });
    if (this.#target.ssl) this.#input.listen(this.#socket);
    this.#socket.write(writeStartup(new Map([['user', this.#target.user], ...this.#parameters])));
  }

  #message(type: string, buffer: Buffer, start: number, length: number): Verdict {
    if (type === 'E') {
      const fields = readErrorFields(buffer, start, length);
      this.fail(fields.get('M') ?? 'the server refused the login', fields.get('C') ?? '08001', Buffer.from(buffer.subarray(start, start + length)));
    } else if (type === 'R') this.#authenticate(buffer, start, length);
    else if (this.#authenticated) this.#starting(type, buffer, start, length);
    return CUT;
  }

  #authenticate(buffer: Buffer, start: number, length: number): void {
    const kind = buffer.readInt32BE(start + 5);
    const data = buffer.subarray(start + 9, start + length);
    const secret = this.#target.password;
    if (kind === 0) this.#authenticated = true;
    else if (kind === 12) {
      if (!this.#scram?.verify(data.toString('utf8'))) this.fail('the server could not prove that it knows the password', '28000');
    } else if (secret === undefined) this.fail('the server asks for a password and none is configured', '28000');
    else if (kind === 3) this.#socket.write(password(secret));
    else if (kind === 5) this.#socket.write(password(md5Password(this.#target.user, secret, data)));
    else if (kind === 10) this.#startScram(data, secret);
    else if (kind === 11) this.#continueScram(data.toString('utf8'));
    else this.fail(`the server asks for an authentication method that is not supported (${kind})`, '28000');
  }

  #startScram(mechanisms: Buffer, secret: string): void {
    if (!mechanisms.toString('latin1').split('\0').includes(SCRAM_MECHANISM)) {
      this.fail('the server offers no SASL mechanism that is supported', '28000');
      return;
    }
    this.#scram = new ScramClient(secret);
    this.#socket.write(saslInitialResponse(SCRAM_MECHANISM, this.#scram.first()));
  }

  #continueScram(serverFirst: string): void {
    this.#scram?.final(serverFirst, (reply) => {
      if (this.#finished) return;
      if (reply === undefined) this.fail('the server sent a bad SCRAM message', '28000');
      else this.#socket.write(saslResponse(reply));
    });
  }

  #starting(type: string, buffer: Buffer, start: number, length: number): void {
    this.#answer.push(Buffer.from(buffer.subarray(start, start + length)));
    if (type === 'S') this.#status.set(...readParameterStatus(buffer, start, length));
    if (type === 'K') {
      this.#pid = buffer.readInt32BE(start + 5);
      this.#key = ownCopy(buffer.subarray(start + 9, start + length));
    }
    if (type !== 'Z' || this.#finished) return;
    this.#finish();
    this.#done({ ok: true, socket: this.#socket, input: this.#input, pid: this.#pid, key: this.#key, parameters: this.#status, answer: Buffer.concat(this.#answer) });
  }
}

function pem(name: 'ca' | 'cert' | 'key', value: string | undefined): Partial<Record<'ca' | 'cert' | 'key', string>> {
  if (value === undefined) return {};
  return { [name]: value.includes('-----BEGIN') ? value : fs.readFileSync(value, 'utf8') };
}
