/** What the proxy is made of and with: everything it needs is handed in. */
import type * as tls from 'node:tls';
import type { Compression } from '../wire/cql/compression.ts';
import type { BindColumn } from '../wire/cql/result-body.ts';
import type { CqlStatement } from '../../grammar/cql/statement.ts';
import type { Intent, IntentLog } from './intents/intent-log.ts';
import type { ClusterIndex, ModeTable } from './modes.ts';
import type { ProxyStats } from './proxy-stats.ts';
import type { Timestamps } from './timestamps.ts';

export interface CqlAddress {
  readonly host: string;
  readonly port: number;
}

export interface CqlCredentials {
  readonly username: string;
  readonly password: string;
}

export interface CqlClusterOptions {
  /** Nodes that the proxy connects to; all of them are used. */
  readonly hosts: readonly CqlAddress[];
  /** Without them a client's own are used. Never both: who logs in at the proxy is known to the cluster by one of the two. */
  readonly credentials?: CqlCredentials;
  readonly tls?: tls.ConnectionOptions;
  readonly compression?: Compression;
  /** Per node, user and keyspace in use. */
  readonly connectionsPerHost: number;
  readonly connectTimeoutMs: number;
  /** Requests at once on a connection. */
  readonly maxStreams: number;
}

/** How the proxies of one group present themselves to drivers. */
export interface CqlTopology {
  /** Addresses of all proxies as clients reach them; empty: this one only, at the address that the client has come to. */
  readonly addresses: readonly string[];
  /** Which of them this one is. */
  readonly index: number;
  readonly tokensPerProxy: number;
  /** What drivers are told; undefined: as the source has it. */
  readonly clusterName?: string;
  readonly dataCenter?: string;
}

export interface ProxyLimits {
  readonly clients: number;
  readonly requestsPerClient: number;
  /** Bytes of requests in hand. */
  readonly requestBytes: number;
  readonly frameBytes: number;
  /** Bytes that wait for a client to take them, beyond which it is read no more; at eight times as many it is left. */
  readonly clientBacklogBytes: number;
  /** Bytes that wait for a node to take them, beyond which the clients that write to it are read no more. */
  readonly nodeBacklogBytes: number;
  readonly preparedBytes: number;
}

/**
 * Which writes the shadow does not get. Made for each prepared statement or text once, and asked for each write.
 * `valuesAt` is the place of the first value in the frame.
 */
export interface ShadowFilter {
  /** A new object after each reload: what was made of the old one is made again. */
  readonly snapshot: FilterSnapshot;
}

export interface FilterSnapshot {
  /** No rule keeps anything from the shadow. */
  readonly isEmpty: boolean;
  /** `pass`: every write of this statement goes to the shadow; `skip`: none does. */
  rule(keyspace: string, facts: CqlStatement, columns: readonly BindColumn[]): 'pass' | 'skip' | FilterRule;
}

export interface FilterRule {
  /** True when this write goes to the shadow as well. `hasNames`: each value has its name before it. */
  goesToShadow(frame: Buffer, valuesAt: number, valueCount: number, hasNames: boolean): boolean;
}

/** Where writes go that one cluster may have alone, or twice, and that must not be sent again. */
export interface RepairPort {
  /** Resolves when it is on disk. */
  note(reason: 'condition' | 'not-repeatable', intent: Intent, message: string): Promise<void>;
}

/** By what drivers know the cluster, for as long as they live. */
export interface ClusterIdentity {
  readonly clusterName: string;
  readonly dataCenter: string;
}

/** What the source said of itself when it last could be asked: drivers are told that where it cannot be. */
export interface IdentityPort {
  readonly known: ClusterIdentity | undefined;
  note(identity: ClusterIdentity): void;
}

/** Of reads that are compared on both clusters. */
export interface SamplingOptions {
  /** 0 to 1. */
  readonly share: number;
  readonly random: () => number;
  /** Before the first asking of both, and before each further one. */
  readonly pausesMs?: readonly number[];
}

export interface CqlProxyOptions {
  readonly listen: CqlAddress;
  /** For clients; undefined: they come in plain text. */
  readonly tls?: tls.TlsOptions;
  readonly clusters: readonly [source: CqlClusterOptions, target: CqlClusterOptions];
  readonly modes: ModeTable;
  readonly intents: IntentLog;
  readonly repairs: RepairPort;
  readonly filter?: ShadowFilter;
  /** Told, before it leaves, of a statement whose keys nobody knows: what it changes, as `touchedBy` says it. When it throws the statement does not leave. */
  readonly touched?: (names: readonly string[]) => void;
  /** Shared with others in the process that write through the proxy with timestamps of their own. */
  readonly timestamps?: Timestamps;
  readonly topology: CqlTopology;
  readonly identity?: IdentityPort;
  readonly limits: ProxyLimits;
  /** Of the primary's answer, and in `DualSync` of the shadow's. */
  readonly requestTimeoutMs: number;
  /** Of the shadow's answer where nobody waits for it. */
  readonly shadowTimeoutMs: number;
  /** Which share of the reads is compared on both clusters while both are written; left out, none. */
  readonly sampling?: SamplingOptions;
  /** CREATE, ALTER, DROP, roles and rights: to both clusters of the mode, or to the primary only. */
  readonly schemaChanges: 'both' | 'primary';
}

export const defaultLimits: ProxyLimits = {
  clients: 4096, requestsPerClient: 2048, requestBytes: 256 * 1024 * 1024, frameBytes: 64 * 1024 * 1024, clientBacklogBytes: 1024 * 1024,
  nodeBacklogBytes: 4 * 1024 * 1024, preparedBytes: 64 * 1024 * 1024,
};

export const defaultTopology: CqlTopology = { addresses: [], index: 0, tokensPerProxy: 8 };

/** How a replayed write ended: `ok`; `refused`, it was certainly not applied; `uncertain`; `unsent`, it never left. */
export type ReplayOutcome = 'ok' | 'refused' | 'uncertain' | 'unsent';

export interface ReplayPort {
  /** Sends the write to this cluster, its body as it is there; what is not repeatable goes to `repairs` instead, and is `ok` when it stands there. `done` is called once; `code` is the error's (−1 for none), `message` says what happened. */
  send(cluster: ClusterIndex, intent: Intent, done: (outcome: ReplayOutcome, code: number, message: string) => void): void;
}

export interface CqlProxy {
  /** Resolves with the port. */
  listen(): Promise<number>;
  /** No new clients; requests in hand end, up to `graceMs`; then everything is closed. */
  close(graceMs?: number): Promise<void>;
  readonly modes: ModeTable;
  /** For every frame that comes from now on; what is in hand ends as it began. */
  setModes(modes: ModeTable): void;
  /** Resolves when every request that began under other modes than the present ones has ended. */
  settled(): Promise<void>;
  /**
   * Requests of this table that come from now on wait; after `limitMs` it is what `afterwards` says. Resolves with what this holding is known by when those in hand have ended (where it is only to be open again afterwards: when the writes have); undefined where they have not within
   * `mostMs`, and the table is open again.
   */
  hold(table: string, mostMs: number, limitMs: number, afterwards: 'refusing' | 'open'): Promise<object | undefined>;
  /** Its requests are refused until it is opened. */
  refuse(table: string): void;
  /** With `holding` only where it is still that one; returns whether it was. */
  open(table: string, holding?: object): boolean;
  readonly replay: ReplayPort;
  stats(): ProxyStats;
}
