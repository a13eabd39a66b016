/** One cluster as the loader, the validator and the scanner use it: statements with bytes in and bytes out, and errors sorted by what may be done about them. */
import cassandra from 'cassandra-driver';
import { MigrationError } from '../../config/migration-error.ts';
import { rawEncoding } from './raw-values.ts';

export type Side = 'source' | 'target';

export interface ClusterOptions {
  /** `host` or `host:port`. */
  readonly contactPoints: readonly string[];
  /** Without it every node counts as local. */
  readonly localDataCenter?: string;
  readonly username?: string;
  readonly password?: string;
  /** LOCAL_QUORUM unless said. */
  readonly consistency?: ConsistencyName;
  readonly requestTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  readonly connectionsPerNode?: number;
  /** A read that has no answer by then is asked of a second node as well; undefined: never. */
  readonly speculativeDelayMs?: number;
  readonly tls?: cassandra.ClientOptions['sslOptions'];
}

export type ConsistencyName = 'ONE' | 'TWO' | 'THREE' | 'QUORUM' | 'ALL' | 'LOCAL_QUORUM' | 'EACH_QUORUM' | 'LOCAL_ONE';

const consistencies: Readonly<Record<ConsistencyName, cassandra.types.consistencies>> = {
  ONE: cassandra.types.consistencies.one, TWO: cassandra.types.consistencies.two, THREE: cassandra.types.consistencies.three, QUORUM: cassandra.types.consistencies.quorum,
  ALL: cassandra.types.consistencies.all, LOCAL_QUORUM: cassandra.types.consistencies.localQuorum, EACH_QUORUM: cassandra.types.consistencies.eachQuorum, LOCAL_ONE: cassandra.types.consistencies.localOne,
};

/** What is bound: bytes as the server holds them, null, or nothing at all. */
export type BoundValue = Buffer | null | typeof cassandra.types.unset;
export const unset = cassandra.types.unset;

export interface BoundStatement {
  readonly text: string;
  readonly values: readonly BoundValue[];
}

export interface Page {
  /** Cells in the order of the selection. */
  readonly rows: readonly (readonly (Buffer | null)[])[];
  /** The server's own mark of where the next page begins. */
  readonly next: string | undefined;
}

export interface PageRequest {
  readonly size: number;
  readonly from?: string | undefined;
}

/** The driver's own pauses grow to ten minutes: a cluster that is back is not to be missed so long. */
const RECONNECT_MS = 1000;

export class Cluster implements AsyncDisposable {
  readonly side: Side;
  readonly client: cassandra.Client;
  readonly releaseVersion: string;
  readonly #consistency: cassandra.types.consistencies;

  private constructor(side: Side, client: cassandra.Client, releaseVersion: string, consistency: cassandra.types.consistencies) {
    this.side = side;
    this.client = client;
    this.releaseVersion = releaseVersion;
    this.#consistency = consistency;
  }

  /** Throws MIG001 or MIG003 when it cannot be reached, MIG012 when its tokens are not Murmur3's. */
  static async connect(side: Side, options: ClusterOptions): Promise<Cluster> {
    const { loadBalancing, speculativeExecution } = cassandra.policies;
    const client = new cassandra.Client({
      contactPoints: [...options.contactPoints], encoding: rawEncoding, protocolOptions: { maxVersion: cassandra.types.protocolVersion.v4, port: portOfPeers(options.contactPoints) },
      ...(options.localDataCenter === undefined ? {} : { localDataCenter: options.localDataCenter }),
      policies: { loadBalancing: new loadBalancing.TokenAwarePolicy(options.localDataCenter === undefined ? new loadBalancing.RoundRobinPolicy() : new loadBalancing.DCAwareRoundRobinPolicy(options.localDataCenter)), retry: new cassandra.policies.retry.FallthroughRetryPolicy(), reconnection: new cassandra.policies.reconnection.ConstantReconnectionPolicy(RECONNECT_MS),
        ...(options.speculativeDelayMs === undefined ? {} : { speculativeExecution: new speculativeExecution.ConstantSpeculativeExecutionPolicy(options.speculativeDelayMs, 1) }) },
      ...(options.username === undefined ? {} : { credentials: { username: options.username, password: options.password ?? '' } }),
      ...(options.tls === undefined ? {} : { sslOptions: options.tls }),
      socketOptions: { readTimeout: options.requestTimeoutMs ?? 12_000, ...(options.connectTimeoutMs === undefined ? {} : { connectTimeout: options.connectTimeoutMs }) }, queryOptions: { prepare: true },
      pooling: { coreConnectionsPerHost: { [cassandra.types.distance.local]: options.connectionsPerNode ?? 2 }, maxRequestsPerConnection: 2048 },
    });
    try {
      await client.connect();
      const local = (await client.execute("SELECT partitioner, release_version FROM system.local WHERE key = 'local'", [], { prepare: false })).first();
      if (!String(local['partitioner']).endsWith('Murmur3Partitioner')) {
        throw new MigrationError('MIG012', `The ${side} cluster uses ${String(local['partitioner'])}`, { hint: 'Only clusters with Murmur3Partitioner can be read by token range.' });
      }
      return new Cluster(side, client, String(local['release_version']), consistencies[options.consistency ?? 'LOCAL_QUORUM']);
    } catch (error) {
      await client.shutdown().catch(() => undefined);
      if (error instanceof MigrationError) throw error;
      throw new MigrationError(isAuthenticationFailure(error) ? 'MIG003' : 'MIG001', `The ${side} cluster at ${options.contactPoints.join(', ')} cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }

  /** WRITETIME and TTL of a collection that is not frozen, element by element, came with Cassandra 5.0; before it, and where the version is not Cassandra's own, asking is an error. */
  get tellsElementTimes(): boolean {
    return Number(this.releaseVersion.split('.')[0]) >= 5;
  }

  /** Of all nodes, as one of them has told: to ask a node for its own and another for its peers' would leave one out. */
  get tokens(): readonly bigint[] {
    return this.client.hosts.values().flatMap(({ tokens }) => (tokens as readonly string[] | null ?? []).map(BigInt));
  }

  async read({ text, values }: BoundStatement, page: PageRequest = { size: 5000 }): Promise<Page> {
    const result = await this.client.execute(text, [...values], { prepare: true, consistency: this.#consistency, fetchSize: page.size, ...(page.from === undefined ? {} : { pageState: page.from }), isIdempotent: true });
    const names = result.columns.map(({ name }) => name);
    return { rows: result.rows.map((row) => names.map((name) => row[name] as Buffer | null)), next: result.pageState ?? undefined };
  }

  /** All or none of one partition's statements; they carry their timestamps themselves. Never speculatively: a list written twice with one time has its elements twice. */
  async write(statements: readonly BoundStatement[]): Promise<void> {
    const [first] = statements;
    if (first === undefined) return;
    if (statements.length === 1) await this.client.execute(first.text, [...first.values], { prepare: true, consistency: this.#consistency, isIdempotent: false });
    else await this.client.batch(statements.map(({ text, values }) => ({ query: text, params: [...values] })), { prepare: true, logged: false, consistency: this.#consistency, isIdempotent: false });
  }

  /** Plain CQL without values: definitions, and the system's own tables. */
  async run(text: string, values: readonly unknown[] = []): Promise<readonly cassandra.types.Row[]> {
    return (await this.client.execute(text, [...values], { prepare: values.length > 0, consistency: this.#consistency, fetchSize: 0 })).rows ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
  }
}

/** Nodes that a node tells of have no port in what it tells: it is that of the nodes that are named. */
function portOfPeers(contactPoints: readonly string[]): number {
  return Number(/^(?:[^:]+|\[.*\]):(\d+)$/.exec(contactPoints[0] ?? '')?.[1] ?? 9042);
}

/** `refused`: the server will say the same again. `overloaded`: it asks for less. `lost`: nobody knows what became of it. */
export type FailureKind = 'refused' | 'overloaded' | 'lost';

export function kindOfFailure(error: unknown): FailureKind {
  if (!(error instanceof cassandra.errors.ResponseError)) return error instanceof TypeError || error instanceof RangeError ? 'refused' : 'lost';
  const codes = cassandra.types.responseErrorCodes;
  switch (error.code) {
    case codes.overloaded: case codes.isBootstrapping: case codes.unavailableException:
      return 'overloaded';
    case codes.writeTimeout: case codes.readTimeout: case codes.readFailure: case codes.writeFailure: case codes.serverError: case codes.truncateError:
      return 'lost';
    default:
      return 'refused';
  }
}

/** Every node is tried, so what one of them says is inside. */
function isAuthenticationFailure(error: unknown): boolean {
  if (!(error instanceof cassandra.errors.NoHostAvailableError)) return error instanceof cassandra.errors.AuthenticationError;
  return Object.values(error.innerErrors as Record<string, unknown>).some((inner) => inner instanceof cassandra.errors.AuthenticationError);
}

export function messageOf(error: unknown): string {
  if (!(error instanceof cassandra.errors.NoHostAvailableError)) return error instanceof Error ? error.message : String(error);
  const reasons = Object.values(error.innerErrors as Record<string, unknown>).map((inner) => (inner instanceof Error ? inner.message : String(inner)));
  return reasons.length === 0 ? error.message : `no node could be reached (${reasons.join('; ')})`;
}
