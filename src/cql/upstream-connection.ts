/**
 * A connection to a node that many clients share. Each request in flight has a stream id of its own here, whatever its client's is.
 *
 * States: connecting → startup → login → keyspace → ready → closed. A stream whose request was given up is not used again before its answer has come;
 * a connection with too many of those is closed, since its node does not answer.
 */
import * as net from 'node:net';
import * as tls from 'node:tls';
import { BodyReader } from '../wire/cql/body-reader.ts';
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { plainFrame } from '../wire/cql/compression.ts';
import { errorCodes, readError } from '../wire/cql/error-body.ts';
import { EVENT_STREAM, FrameSplitter, HEADER_BYTES, headerFlags, makeFrame, messageStart, opcodes } from '../wire/cql/frame.ts';
import type { FrameHandler } from '../wire/cql/frame.ts';
import { Outbox } from './outbox.ts';
import type { Flusher } from './outbox.ts';
import type { Intake } from './intake.ts';
import type { CqlAddress, CqlClusterOptions } from './proxy-options.ts';
import type { Leg } from './request.ts';
import type { CallDone, ConnectionSettings, LegSink, NodeConnection, UpstreamFailure } from './upstream.ts';
import { writeLeg } from './write-leg.ts';

export interface ConnectionOwner {
  ready(connection: UpstreamConnection): void;
  /** Called once, also when it never was ready. */
  closed(connection: UpstreamConnection, failure: UpstreamFailure): void;
  /** A pushed event's frame. */
  event(connection: UpstreamConnection, buffer: Buffer, start: number, end: number): void;
  drained(connection: UpstreamConnection): void;
}

/** What all connections of a proxy share. */
export interface ConnectionParts {
  readonly sink: LegSink<Leg>;
  readonly flusher: Flusher;
  readonly intake: Intake;
}

/** As an identifier in CQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export class UpstreamConnection implements FrameHandler, NodeConnection<Leg> {
  readonly address: CqlAddress;
  readonly settings: ConnectionSettings;
  readonly outbox: Outbox;
  readonly #options: CqlClusterOptions;
  readonly #owner: ConnectionOwner;
  readonly #sink: LegSink<Leg>;
  readonly #socket: net.Socket;
  readonly #splitter: FrameSplitter;
  readonly #legs: (Leg | undefined)[] = [];
  readonly #calls = new Map<number, CallDone>();
  /** A stack of stream ids that nobody uses; ids above `#highest` were never used. */
  readonly #free: number[] = [];
  #highest = 0;
  #abandoned = 0;
  #state: 'connecting' | 'startup' | 'login' | 'keyspace' | 'ready' | 'closed' = 'connecting';
  #failure: UpstreamFailure | undefined;
  /** Class of the server's authenticator; undefined when it asks for no login. */
  authenticator: string | undefined;
  /** Of the last bytes from the node, counted by whoever looks after the connection. */
  silentTicks = 0;
  isAsked = false;

  constructor(address: CqlAddress, options: CqlClusterOptions, settings: ConnectionSettings, owner: ConnectionOwner, { sink, flusher, intake }: ConnectionParts) {
    this.address = address;
    this.settings = settings;
    this.#options = options;
    this.#owner = owner;
    this.#sink = sink;
    this.#splitter = new FrameSplitter(this, settings.maxFrameBytes);
    const { host, port } = address;
    this.#socket = options.tls ? tls.connect({ host, port, servername: net.isIP(host) === 0 ? host : '', ...options.tls }) : net.connect({ host, port, onread: intake.options((bytes, start, end) => this.#received(bytes, start, end)) });
    this.#socket.setNoDelay(true);
    this.#socket.setTimeout(options.connectTimeoutMs, () => {
      if (!this.isReady) this.close({ kind: 'network', code: errorCodes.overloaded, message: `no connection within ${options.connectTimeoutMs} ms` });
    });
    this.#socket.once(options.tls ? 'secureConnect' : 'connect', () => this.#startup());
    if (options.tls) intake.listenForChunks(this.#socket, (bytes, start, end) => this.#received(bytes, start, end));
    this.#socket.on('drain', () => owner.drained(this));
    this.#socket.once('error', (error) => {
      this.#failure ??= { kind: 'network', code: errorCodes.overloaded, message: error.message };
    });
    this.#socket.once('close', () => this.#closed());
    this.outbox = new Outbox(this.#socket, flusher);
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get backlog(): number {
    return this.outbox.backlog;
  }

  get streamsInUse(): number {
    return this.#highest - this.#free.length;
  }

  get hasStream(): boolean {
    return this.#free.length > 0 || this.#highest < this.#options.maxStreams;
  }

  /** The leg's frame, under a stream id of this connection; `hasStream` must hold. */
  send(leg: Leg): void {
    const stream = this.#free.pop() ?? this.#highest++;
    this.#legs[stream] = leg;
    leg.connection = this;
    leg.stream = stream;
    writeLeg(this.outbox, leg, stream);
  }

  /** A request of the proxy's own. `done` gets no buffer when no answer will come. */
  call(opcode: number, body: Buffer, done: CallDone): void {
    if (this.#state === 'closed' || !this.hasStream) {
      done(undefined, 0, 0);
      return;
    }
    const stream = this.#free.pop() ?? this.#highest++;
    this.#calls.set(stream, done);
    this.outbox.pass(makeFrame({ version: this.settings.version, stream, opcode }, body));
  }

  /** Nobody waits for this leg's answer any more. */
  abandon(leg: Leg): void {
    if (this.#legs[leg.stream] !== leg) return;
    this.#legs[leg.stream] = undefined;
    this.#abandoned += 1;
    if (this.#abandoned > this.#options.maxStreams / 2) this.close({ kind: 'network', code: errorCodes.overloaded, message: 'the node does not answer' });
  }

  close(failure: UpstreamFailure): void {
    this.#failure ??= failure;
    this.#splitter.stop();
    this.#socket.destroy();
  }

  /** No more reading until `resume`: what waits for slow clients is too much. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  violation(reason: string): void {
    this.close({ kind: 'network', code: errorCodes.server, message: `the node sent ${reason}` });
  }

  frame(buffer: Buffer, start: number, end: number): void {
    if ((buffer.readUInt8(start + 1) & headerFlags.compressed) !== 0 && this.#options.compression) {
      const plain = plainFrame(buffer, start, end, this.#options.compression, this.settings.maxFrameBytes);
      this.#plain(plain, 0, plain.length);
    } else this.#plain(buffer, start, end);
  }

  #plain(buffer: Buffer, start: number, end: number): void {
    const stream = buffer.readInt16BE(start + 2);
    if (this.#state !== 'ready') {
      this.#handshake(buffer, start, end);
      return;
    }
    if (stream === EVENT_STREAM) {
      this.#owner.event(this, buffer, start, end);
      return;
    }
    const leg = this.#legs[stream];
    if (leg) {
      this.#legs[stream] = undefined;
      this.#free.push(stream);
      const { request } = leg;
      const { serial } = request;
      try {
        this.#sink.answered(leg, buffer, start, end);
      } catch (error) {
        const failure = this.#unreadable(error);
        // It stands in no list any more: nobody else would end its request, unless that has ended and is another by now.
        if (request.place >= 0 && request.serial === serial) this.#sink.lost(leg, failure);
      }
      return;
    }
    const call = this.#calls.get(stream);
    if (call) this.#calls.delete(stream);
    else if (stream < 0 || stream >= this.#highest || this.#abandoned === 0) {
      this.violation(`an answer on stream ${stream}, where nothing was asked`);
      return;
    } else this.#abandoned -= 1;
    this.#free.push(stream);
    try {
      call?.(buffer, start, end);
    } catch (error) {
      this.#unreadable(error);
      call?.(undefined, 0, 0);
    }
  }

  #received(bytes: Buffer, start: number, end: number): void {
    this.silentTicks = 0;
    try {
      this.#splitter.push(bytes, start, end);
    } catch (error) {
      this.#unreadable(error);
    }
  }

  /** The connection is closed; throws what is no fault of the node's. */
  #unreadable(error: unknown): UpstreamFailure {
    if (!(error instanceof RangeError)) throw error;
    const failure = { kind: 'network', code: errorCodes.server, message: `the node sent an answer that cannot be read: ${error.message}` } as const;
    this.close(failure);
    return failure;
  }

  #startup(): void {
    this.#state = 'startup';
    const options = new Map([['CQL_VERSION', '3.0.0']]);
    if (this.#options.compression) options.set('COMPRESSION', this.#options.compression);
    this.#say(opcodes.startup, new BodyWriter().stringMap(options).done());
  }

  #say(opcode: number, body: Buffer): void {
    this.outbox.pass(makeFrame({ version: this.settings.version, stream: 0, opcode }, body));
  }

  #handshake(buffer: Buffer, start: number, end: number): void {
    const opcode = buffer.readUInt8(start + 4);
    const version = buffer.readUInt8(start) & 0x7f;
    if (opcode === opcodes.error) {
      const { code, message } = readError(buffer, messageStart(buffer, start, end), end);
      const isVersion = this.#state === 'startup' && (version !== this.settings.version || /unsupported protocol version/i.test(message));
      this.close({ kind: isVersion ? 'version' : this.#state === 'login' || code === errorCodes.badCredentials ? 'credentials' : this.#state === 'keyspace' ? 'keyspace' : 'network', code, message });
      return;
    }
    if (this.#state === 'startup' && opcode === opcodes.authenticate) this.#login(new BodyReader(buffer, start + HEADER_BYTES, end).string());
    else if ((this.#state === 'startup' && opcode === opcodes.ready) || (this.#state === 'login' && opcode === opcodes.authSuccess)) this.#use();
    else if (this.#state === 'keyspace' && opcode === opcodes.result) this.#ready();
    else this.violation(`opcode ${opcode} in its handshake`);
  }

  #login(authenticator: string): void {
    this.authenticator = authenticator;
    const { credentials } = this.settings;
    if (!credentials) {
      this.close({ kind: 'credentials', code: errorCodes.badCredentials, message: `the cluster asks for a login (${authenticator})` });
      return;
    }
    this.#state = 'login';
    this.#say(opcodes.authResponse, new BodyWriter().bytes(Buffer.from(`\0${credentials.username}\0${credentials.password}`)).done());
  }

  #use(): void {
    const { keyspace } = this.settings;
    if (keyspace === '') {
      this.#ready();
      return;
    }
    this.#state = 'keyspace';
    this.#say(opcodes.query, new BodyWriter().longString(`USE ${quoteName(keyspace)}`).short(1).byte(0).done());
  }

  #ready(): void {
    this.#state = 'ready';
    this.#socket.setTimeout(0);
    this.#owner.ready(this);
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#splitter.stop();
    const failure = this.#failure ?? { kind: 'network', code: errorCodes.overloaded, message: 'the node closed the connection' } as const;
    this.#owner.closed(this, failure);
    for (const leg of this.#legs.splice(0)) if (leg) this.#sink.lost(leg, failure);
    for (const done of [...this.#calls.values()]) done(undefined, 0, 0);
    this.#calls.clear();
  }
}
