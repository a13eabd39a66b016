/** What the path of a request sees of a cluster: connections, pools of them, and why there is none. `Leg` is a request's leg. */
import type { IntentOrigin } from './intents/intent-log.ts';
import type { ClusterIndex } from './modes.ts';
import type { CqlAddress, CqlCredentials } from './proxy-options.ts';

/** Why a connection could not be had, or was lost. */
export interface UpstreamFailure {
  readonly kind: 'network' | 'credentials' | 'version' | 'keyspace' | 'closed';
  /** What a client is told: a code of the protocol. */
  readonly code: number;
  readonly message: string;
}

export interface ConnectionSettings {
  readonly version: number;
  readonly credentials: CqlCredentials | undefined;
  /** Empty: none in use. */
  readonly keyspace: string;
  readonly maxFrameBytes: number;
}

/** Gets no buffer when no answer will come. */
export type CallDone = (buffer: Buffer | undefined, start: number, end: number) => void;
export type Usable = (failure: UpstreamFailure | undefined, authenticator: string | undefined) => void;

export interface NodeConnection<Leg = never> {
  readonly address: CqlAddress;
  readonly settings: ConnectionSettings;
  readonly isReady: boolean;
  readonly hasStream: boolean;
  /** Bytes that the node has not taken. */
  readonly backlog: number;
  send(leg: Leg): void;
  call(opcode: number, body: Buffer, done: CallDone): void;
  abandon(leg: Leg): void;
  close(failure: UpstreamFailure): void;
}

export interface NodePool<Leg = never> {
  readonly cluster: NodeCluster<Leg>;
  readonly origin: IntentOrigin;
  /** A connection is there. */
  readonly isReady: boolean;
  /** None is there, and none can be tried now. */
  readonly isDown: boolean;
  acquire(leg: Leg): NodeConnection<Leg> | undefined;
  connectionTo(address: CqlAddress): NodeConnection<Leg> | undefined;
  anyConnection(): NodeConnection<Leg> | undefined;
  forget(leg: Leg): void;
  whenUsable(done: Usable): void;
  isCongested(connection: NodeConnection<Leg>, resume: () => void): boolean;
}

export interface NodeCluster<Leg = never> {
  readonly index: ClusterIndex;
  readonly name: string;
  pool(version: number, credentials: CqlCredentials | undefined, keyspace: string): NodePool<Leg>;
  unreachable(): UpstreamFailure;
  whenAgreed(connection: NodeConnection<Leg>, done: (agreed: boolean) => void): void;
}

/** Where legs go when something became of them. */
export interface LegSink<Leg> {
  answered(leg: Leg, buffer: Buffer, start: number, end: number): void;
  /** It was sent, and no answer will come. */
  lost(leg: Leg, failure: UpstreamFailure): void;
  /** It never left. */
  unsent(leg: Leg, failure: UpstreamFailure): void;
}
