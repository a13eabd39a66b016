/**
 * One client: its handshake, its requests as they come, its answers as they are ready.
 *
 * States: fresh → (login →) open → closed. It is read no further while it has too many requests in hand, does not take its answers, or writes to a node that takes no more.
 */
import type * as net from 'node:net';
import { BodyReader } from '../wire/cql/body-reader.ts';
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { compressionOf, compressions, plainFrame } from '../wire/cql/compression.ts';
import { errorBody, errorCodes } from '../wire/cql/error-body.ts';
import { ANSWER_BIT, FrameSplitter, HEADER_BYTES, headerFlags, makeFrame, messageStart, opcodes } from '../wire/cql/frame.ts';
import type { FrameHandler } from '../wire/cql/frame.ts';
import { setKeyspaceBody } from '../wire/cql/result-body.ts';
import { ownCopy } from '../wire/own-copy.ts';
import { AnswerWriter } from './answer-writer.ts';
import { checkLogin, loginNeed, readPlainToken, whenDescribed } from './client-login.ts';
import { plans } from './modes.ts';
import { tablesOfFrame } from './frame-tables.ts';
import { Outbox } from './outbox.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { CqlCredentials } from './proxy-options.ts';
import type { Leg, Request } from './request.ts';
import { RequestReader } from './request-reader.ts';
import type { RequestSession } from './request-reader.ts';
import type { NodeConnection, NodePool, UpstreamFailure } from './upstream.ts';
import type { VirtualContext } from './virtual-tables.ts';

export const LOWEST_VERSION = 3;
export const HIGHEST_VERSION = 4;

const pauses = { requests: 1, backlog: 2, node: 4, login: 8, end: 16, gate: 32 } as const;

type Pools = readonly [NodePool<Leg>, NodePool<Leg>];

export class ClientSession implements FrameHandler, RequestSession {
  readonly #context: ProxyContext;
  readonly #socket: net.Socket;
  readonly #splitter: FrameSplitter;
  readonly #outbox: Outbox;
  readonly #answers: AnswerWriter;
  readonly #reader: RequestReader;
  readonly #closed: (session: ClientSession) => void;
  #state: 'fresh' | 'login' | 'open' | 'closed' = 'fresh';
  #credentials: CqlCredentials | undefined;
  #pools = new Map<string, Pools>();
  /** Those of the keyspace in use, which most requests go to. */
  #lastKeyspace: string | undefined;
  #lastPools: Pools | undefined;
  #inHand = 0;
  #paused = 0;
  #hearsSchema = false;
  version = HIGHEST_VERSION;
  keyspace = '';
  readonly #resumeNode = (): void => this.#resume(pauses.node);
  /** Requests of a table that is held, and whatever came behind them: their order is kept. */
  #held: Buffer[] = [];
  readonly #goOn = (): void => this.#release();

  constructor(context: ProxyContext, socket: net.Socket, closed: (session: ClientSession) => void) {
    this.#context = context;
    this.#socket = socket;
    this.#closed = closed;
    this.#splitter = new FrameSplitter(this, context.options.limits.frameBytes);
    this.#outbox = new Outbox(socket, context.flusher);
    this.#answers = new AnswerWriter(this.#outbox);
    this.#reader = new RequestReader(context, this);
    socket.setNoDelay(true);
    context.intake.listen(socket, (bytes, start, end) => this.#splitter.push(bytes, start, end));
    socket.on('drain', () => this.#resume(pauses.backlog));
    socket.on('error', () => undefined);
    socket.once('close', () => this.#end());
  }

  get virtual(): VirtualContext {
    const { options, clusters, port } = this.#context;
    const { facts } = clusters[0].control;
    return { topology: options.topology, facts: facts ?? clusters[1].control.facts, identity: facts ? undefined : options.identity?.known, localAddress: this.#socket.localAddress ?? '127.0.0.1', port };
  }

  get isIdle(): boolean {
    return this.#inHand === 0;
  }

  violation(reason: string, version: number, stream: number): void {
    // What an older driver understands as a wish for another version.
    if (version < LOWEST_VERSION) this.#refuseVersion(version);
    else this.#answers.error(stream, errorCodes.protocol, `MIG085: ${reason}`);
    this.#leave();
  }

  frame(buffer: Buffer, start: number, end: number): void {
    const version = buffer.readUInt8(start);
    if (version < LOWEST_VERSION || version > HIGHEST_VERSION) {
      if ((version & ANSWER_BIT) !== 0) this.#leave();
      else this.#refuseVersion(version);
      return;
    }
    if (this.#state === 'fresh') {
      this.version = version;
      this.#answers.version = version;
    }
    const stream = buffer.readInt16BE(start + 2);
    try {
      if (version !== this.version) throw new RangeError(`version ${version} on a connection of version ${this.version}`);
      if (version < HIGHEST_VERSION && (buffer.readUInt8(start + 1) & headerFlags.payload) !== 0) throw new RangeError('a payload, which version 3 does not have');
      if (stream < 0) throw new RangeError(`stream id ${stream}`);
      const { compression } = this.#answers;
      if ((buffer.readUInt8(start + 1) & headerFlags.compressed) === 0) this.#plain(buffer, start, end, stream);
      else if (compression) {
        const plain = plainFrame(buffer, start, end, compression, this.#context.options.limits.frameBytes);
        this.#plain(plain, 0, plain.length, stream);
      } else throw new RangeError('a compressed frame, and no compression was agreed');
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#answers.error(Math.max(0, stream), errorCodes.protocol, `the request cannot be read: ${error.message}`);
    }
  }

  #plain(buffer: Buffer, start: number, end: number, stream: number): void {
    const opcode = buffer.readUInt8(start + 4);
    if (this.#state === 'open') {
      if (opcode === opcodes.execute || opcode === opcodes.query || opcode === opcodes.prepare || opcode === opcodes.batch) {
        if (!this.#context.gates.isAnyShut || !this.#waits(buffer, start, end, stream)) this.#reader.read(buffer, start, end);
        return;
      }
      if (opcode === opcodes.register) {
        this.#hearsSchema = new BodyReader(buffer, messageStart(buffer, start, end), end).stringList().includes('SCHEMA_CHANGE');
        this.#answers.own(stream, opcodes.ready);
        return;
      }
    }
    if (opcode === opcodes.options) this.#supported(stream);
    else if (opcode === opcodes.startup && this.#state === 'fresh') this.#startup(new BodyReader(buffer, start + HEADER_BYTES, end).stringMap(), stream);
    else if (opcode === opcodes.authResponse && this.#state === 'login') this.#login(new BodyReader(buffer, start + HEADER_BYTES, end).bytes(), stream);
    else throw new RangeError(`opcode ${opcode} is not expected now`);
  }

  /** The request has to wait until its table is open again, or was refused. */
  #waits(buffer: Buffer, start: number, end: number, stream: number): boolean {
    const { gates, options } = this.#context;
    if (this.#held.length === 0) {
      const gate = gates.gateOf(tablesOfFrame(this.#context, buffer, start, end, this.keyspace, this.version));
      if (gate === undefined) return false;
      if (gate === 'refusing' || gates.heldBytes + end - start > options.limits.requestBytes) {
        this.#answers.error(stream, errorCodes.overloaded, 'MIG082: the proxies of the group are changing which cluster answers for this table, and this one has not heard the outcome: try again, or another proxy');
        return true;
      }
      gates.wait(this.#goOn);
      this.#pause(pauses.gate);
    }
    this.#held.push(ownCopy(buffer.subarray(start, end)));
    gates.heldBytes += end - start;
    return true;
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const { length } of held) this.#context.gates.heldBytes -= length;
    for (const frame of held) if (this.#state === 'open') this.frame(frame, 0, frame.length);
    if (this.#held.length === 0) this.#resume(pauses.gate);
  }

  #refuseVersion(version: number): void {
    const message = `Invalid or unsupported protocol version (${version}); the lowest supported version is ${LOWEST_VERSION} and the greatest is ${HIGHEST_VERSION}`;
    // Stream 0: what asks for a version has not agreed on stream ids yet.
    this.#outbox.pass(makeFrame({ version: HIGHEST_VERSION | ANSWER_BIT, stream: 0, opcode: opcodes.error }, errorBody(errorCodes.protocol, message)));
  }

  #supported(stream: number): void {
    const facts = this.virtual.facts;
    this.#answers.own(stream, opcodes.supported, new BodyWriter().stringMultimap(new Map<string, readonly string[]>([
      ['CQL_VERSION', [facts?.cqlVersion ?? '3.4.4']], ['COMPRESSION', compressions], ['PROTOCOL_VERSIONS', ['3/v3', '4/v4']],
    ])).done());
  }

  #startup(options: ReadonlyMap<string, string>, stream: number): void {
    const compression = options.get('COMPRESSION');
    if (compression !== undefined && compression !== '') {
      const known = compressionOf(compression);
      if (!known) throw new RangeError(`the compression ${compression} is not supported`);
      this.#answers.compression = known;
    }
    const { clusters, modes } = this.#context;
    this.#pause(pauses.login);
    loginNeed(clusters[plans[modes.global].primary], this.version, (need) => {
      this.#resume(pauses.login);
      if (this.#state !== 'fresh') return;
      if (need.type === 'failed') this.#refuse(stream, need.failure);
      else if (need.type === 'login') {
        this.#state = 'login';
        this.#answers.own(stream, opcodes.authenticate, new BodyWriter().string(need.authenticator).done());
      } else this.#welcome(() => this.#answers.own(stream, opcodes.ready));
    });
  }

  #welcome(say: () => void): void {
    const { clusters, modes, options } = this.#context;
    const state = this.#state;
    this.#pause(pauses.login);
    whenDescribed(clusters[0], clusters[plans[modes.global].primary], this.version, this.#credentials, options.identity?.known !== undefined, () => {
      this.#resume(pauses.login);
      if (this.#state !== state) return;
      this.#state = 'open';
      this.#warnOfTarget();
      say();
    });
  }

  #warnOfTarget(): void {
    const { clusters, options, log } = this.#context;
    const { clusterName, dataCenter } = options.topology;
    if (clusters[0].control.facts || options.identity?.known || this.#context.isTargetShown || (clusterName !== undefined && dataCenter !== undefined)) return;
    this.#context.isTargetShown = true;
    const { clusterName: name, dataCenter: center } = clusters[1].control.facts ?? {};
    log.warn('drivers are told the name and data centre of the target, since the source cannot be asked: set cluster_name and data_center of cql.topology to those of the source', { cluster: name, dataCenter: center });
  }

  #login(token: Buffer | undefined, stream: number): void {
    const credentials = token && readPlainToken(token);
    if (!credentials) {
      this.#refuse(stream, { kind: 'credentials', code: errorCodes.badCredentials, message: 'MIG003: only PLAIN, a name and a password, can be passed on to two clusters' });
      return;
    }
    const { clusters, modes } = this.#context;
    this.#pause(pauses.login);
    checkLogin(clusters, modes, this.version, credentials, (failure) => {
      this.#resume(pauses.login);
      if (this.#state !== 'login') return;
      if (failure) {
        this.#refuse(stream, failure);
        return;
      }
      this.#credentials = credentials;
      this.#welcome(() => this.#answers.own(stream, opcodes.authSuccess, new BodyWriter().bytes(undefined).done()));
    });
  }

  /** The client cannot come in. */
  #refuse(stream: number, { kind, code, message }: UpstreamFailure): void {
    if (kind === 'credentials') this.#context.counts.badLogins += 1;
    if (kind === 'version') {
      // The cluster speaks less than the proxy: the driver steps down by the version of this frame.
      this.#outbox.pass(makeFrame({ version: LOWEST_VERSION | ANSWER_BIT, stream, opcode: opcodes.error },
        errorBody(errorCodes.protocol, `Invalid or unsupported protocol version (${this.version}); the lowest supported version is ${LOWEST_VERSION} and the greatest is ${LOWEST_VERSION}`)));
    } else this.#answers.error(stream, code, message);
    this.#leave();
  }

  poolsIn(keyspace: string): Pools {
    if (this.#lastPools && keyspace === this.#lastKeyspace) return this.#lastPools;
    let pools = this.#pools.get(keyspace);
    if (!pools) {
      const [source, target] = this.#context.clusters;
      pools = [source.pool(this.version, source.credentialsFor(this.#credentials), keyspace), target.pool(this.version, target.credentialsFor(this.#credentials), keyspace)];
      this.#pools.set(keyspace, pools);
    }
    this.#lastKeyspace = keyspace;
    this.#lastPools = pools;
    return pools;
  }

  use(stream: number, keyspace: string): void {
    const { primary } = plans[this.#context.modes.global];
    this.poolsIn(keyspace)[primary].whenUsable((failure) => {
      if (this.#state === 'closed') return;
      if (failure) {
        this.#answers.error(stream, failure.code, failure.message);
        return;
      }
      this.keyspace = keyspace;
      this.#answers.own(stream, opcodes.result, setKeyspaceBody(keyspace));
    });
  }

  reply(stream: number, opcode: number, body: Buffer): void {
    this.#answers.own(stream, opcode, body);
  }

  began(): void {
    this.#inHand += 1;
    if (this.#inHand >= this.#context.options.limits.requestsPerClient) this.#pause(pauses.requests);
  }

  answer(request: Request, leg: Leg): void {
    this.#inHand -= 1;
    if (this.#state === 'closed') return;
    try {
      this.#answers.pass(request, leg);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#answers.error(request.stream, errorCodes.server, `MIG090: the cluster's answer cannot be read: ${error.message}`);
    }
    if (this.#paused === 0 && this.#outbox.backlog < this.#context.options.limits.clientBacklogBytes) return;
    this.#relieve();
  }

  /** Looks again at what this client is paused for, or pauses it. */
  #relieve(): void {
    const { clientBacklogBytes, requestsPerClient } = this.#context.options.limits;
    if (this.#inHand < requestsPerClient) this.#resume(pauses.requests);
    const { backlog } = this.#outbox;
    if (backlog > clientBacklogBytes * 8) this.#socket.destroy();
    else if (backlog > clientBacklogBytes) this.#pause(pauses.backlog);
  }

  sent(pool: NodePool<Leg>, connection: NodeConnection<Leg>): void {
    if (pool.isCongested(connection, this.#resumeNode)) this.#pause(pauses.node);
  }

  /** A schema event of the primary, in this client's version. */
  event(buffer: Buffer, start: number, end: number): void {
    if (!this.#hearsSchema || this.#state !== 'open') return;
    const event = Buffer.from(buffer.subarray(start, end));
    event[0] = this.version | ANSWER_BIT;
    this.#outbox.pass(event);
  }

  /** Nothing more is read; what is in hand is answered. */
  drain(): void {
    this.#pause(pauses.end);
  }

  /** After what was said. */
  close(): void {
    this.#outbox.flush();
    this.#socket.destroySoon();
  }

  #pause(why: number): void {
    if (this.#paused === 0) this.#socket.pause();
    this.#paused |= why;
  }

  #resume(why: number): void {
    if (this.#paused === 0) return;
    this.#paused &= ~why;
    if (this.#paused === 0) this.#socket.resume();
  }

  /** After what was said. */
  #leave(): void {
    this.#splitter.stop();
    this.#outbox.flush();
    this.#socket.end();
  }

  #end(): void {
    this.#state = 'closed';
    this.#splitter.stop();
    this.#pools.clear();
    this.#context.gates.forget(this.#goOn);
    this.#release();
    this.#closed(this);
  }
}
