/**
 * A CQL cluster for tests: the native protocol 3 and 4 over real sockets in front of a store that keeps cells as Cassandra does.
 * Its prepared ids and paging states are its own, as those of different products are, so that whoever mixes two clusters up is
 * refused; and it does wrong on purpose what real servers do too seldom.
 */
import * as crypto from 'node:crypto';
import { once } from 'node:events';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { Connection } from './connection.ts';
import { Database } from './database.ts';
import type { SchemaChange, Traits } from './database.ts';
import { Faults } from './faults.ts';
import type { Opcode } from './faults.ts';
import { parse } from './parse.ts';
import type { Parsed } from './parse.ts';
import type { Compression } from './compression.ts';

export interface MockClusterOptions extends Partial<Traits> {
  /** How many nodes, at 127.0.0.x with one port and one store; 1 when not said. */
  readonly addresses?: readonly string[];
  readonly port?: number;
  /** Name → password; without any, nobody is asked. */
  readonly users?: Readonly<Record<string, string>>;
  readonly compressions?: readonly Compression[];
  readonly tls?: tls.TlsOptions;
  readonly nowMs?: () => number;
  readonly random?: () => number;
  /** 16 unless said: with another length nobody can write one id over another. */
  readonly preparedIdLength?: number;
}

/** A request as it came, for tests that look at what was sent. */
export interface SeenRequest {
  readonly connection: number;
  readonly version: number;
  readonly flags: number;
  readonly stream: number;
  readonly opcode: Opcode;
  /** Of an EXECUTE what was prepared; of a batch its statements with `; `. */
  readonly text: string;
  readonly keyspace: string | undefined;
  readonly timestamp: bigint | undefined;
  readonly consistency: number | undefined;
  readonly values: readonly (Buffer | null | undefined)[];
}

export interface Prepared { readonly id: Buffer; readonly keyspace: string | undefined; readonly parsed: Parsed }

export class MockCluster implements AsyncDisposable {
  readonly database: Database;
  readonly faults: Faults;
  readonly options: MockClusterOptions;
  readonly prepared = new Map<string, Prepared>();
  readonly connections = new Set<Connection>();
  /** Every byte of an answer is a write of its own. */
  isChunked = false;
  /** Added to each result (protocol 4). */
  warnings: readonly string[] = [];
  payload: ReadonlyMap<string, Buffer> = new Map();
  /** Called with each request before it is done. */
  onRequest: ((request: SeenRequest) => void) | undefined;
  readonly counts: Record<string, number> = {};
  readonly #servers: net.Server[] = [];
  readonly #parsed = new Map<string, Parsed>();
  #isPaused = false;
  readonly #held: (() => void)[] = [];
  #connectionCount = 0;

  private constructor(options: MockClusterOptions) {
    this.options = options;
    const traits: Traits = { clusterName: options.clusterName ?? 'mock', dataCenter: options.dataCenter ?? 'dc1', releaseVersion: options.releaseVersion ?? '3.11.19', hasPeersV2: options.hasPeersV2 ?? false, isScylla: options.isScylla ?? false, clockSkewMicros: options.clockSkewMicros ?? 0 };
    this.database = new Database(traits, options.nowMs ?? Date.now);
    this.faults = new Faults(options.random ?? Math.random);
  }

  static async start(options: MockClusterOptions = {}): Promise<MockCluster> {
    const cluster = new MockCluster(options);
    await cluster.open(options.port ?? 0);
    return cluster;
  }

  get port(): number {
    return this.database.nodes[0]?.port ?? 0;
  }

  get address(): string {
    return this.database.nodes[0]?.address ?? '127.0.0.1';
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Connections are taken and requests read, but nothing is done or answered until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    for (const request of this.#held.splice(0)) request();
  }

  /** Requests of all connections in the order in which they came, until `resume`. */
  hold(request: () => void): void {
    this.#held.push(request);
  }

  /** All nodes are gone: connections break, and new ones are refused. */
  async close(): Promise<void> {
    this.disconnectAll();
    await Promise.all(this.#servers.splice(0).map(async (server) => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    }));
  }

  /** They are back, at the same addresses and with all their rows; what was prepared is forgotten. */
  async reopen(): Promise<void> {
    this.forgetPrepared();
    await this.open(this.port);
  }

  async open(port: number): Promise<void> {
    const addresses = this.options.addresses ?? ['127.0.0.1'];
    let chosen = port;
    for (const [index, address] of addresses.entries()) {
      const accept = (socket: net.Socket): void => {
        const here = this.database.nodes[index];
        if (!here) return void socket.destroy();
        this.#connectionCount += 1;
        const connection = new Connection(this, socket, here, this.#connectionCount);
        this.connections.add(connection);
        socket.on('close', () => this.connections.delete(connection));
      };
      const server = this.options.tls ? tls.createServer(this.options.tls, accept) : net.createServer(accept);
      server.listen(chosen, address);
      await once(server, 'listening');
      const bound = server.address();
      chosen = typeof bound === 'object' && bound ? bound.port : chosen;
      this.#servers.push(server);
      this.database.nodes[index] = { address, port: chosen, hostId: this.database.nodes[index]?.hostId ?? crypto.randomUUID(), token: (-(2n ** 63n) + (2n ** 64n * BigInt(index)) / BigInt(addresses.length)).toString() };
    }
  }

  disconnectAll(): void {
    for (const connection of this.connections) connection.destroy();
  }

  forgetPrepared(): void {
    this.prepared.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A statement done to the store directly, without a connection. */
  run(text: string, timestamp?: bigint): ReturnType<Database['execute']> {
    const here = this.database.nodes[0];
    if (!here) throw new Error('the cluster is not open');
    return this.database.execute(this.parse(text).statement, { keyspace: undefined, binds: [], timestamp, pageSize: undefined, pagingState: undefined, here });
  }

  parse(text: string): Parsed {
    let parsed = this.#parsed.get(text);
    if (parsed === undefined) {
      parsed = parse(text);
      if (this.#parsed.size > 5000) this.#parsed.clear();
      this.#parsed.set(text, parsed);
    }
    return parsed;
  }

  preparedId(keyspace: string | undefined, text: string): Buffer {
    const digest = crypto.createHash('sha512').update(this.database.salt).update(`${keyspace ?? ''}\0${text}`).digest();
    return digest.subarray(0, this.options.preparedIdLength ?? 16);
  }

  /** To all who asked for events of the kind. */
  emit(event: { readonly kind: 'SCHEMA_CHANGE'; readonly change: SchemaChange } | { readonly kind: 'TOPOLOGY_CHANGE' | 'STATUS_CHANGE'; readonly what: string; readonly address: string }): void {
    for (const connection of this.connections) connection.sendEvent(event);
  }
}
