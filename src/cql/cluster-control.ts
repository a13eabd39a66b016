/**
 * What the proxy knows of a cluster by asking it: one of the pools' connections is registered for changes of the schema, and has read `system.local`.
 * Another takes over when it is lost.
 */
import { BodyReader } from '../wire/cql/body-reader.ts';
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { messageStart, opcodes } from '../wire/cql/frame.ts';
import { queryBody } from '../wire/cql/query-body.ts';
import { readTextRows } from '../wire/cql/result-body.ts';
import type { Leg } from './request.ts';
import type { NodeConnection, NodePool } from './upstream.ts';

export interface ClusterFacts {
  readonly clusterName: string;
  readonly dataCenter: string;
  readonly releaseVersion: string;
  readonly cqlVersion: string;
  readonly partitioner: string;
}

/** Polls of the nodes' schema versions before a disagreement is left to them. */
const MOST_POLLS = 50;
const POLL_MS = 100;

export class ClusterControl {
  #connection: NodeConnection<Leg> | undefined;
  pool: NodePool<Leg> | undefined;
  /** Undefined until a connection was there. */
  facts: ClusterFacts | undefined;
  #waiting: (() => void)[] = [];
  readonly #told: (facts: ClusterFacts) => void;

  constructor(told: (facts: ClusterFacts) => void) {
    this.#told = told;
  }

  is(connection: NodeConnection<Leg>): boolean {
    return this.#connection === connection;
  }

  /** A connection is ready. */
  offer(pool: NodePool<Leg>, connection: NodeConnection<Leg>): void {
    if (this.#connection) return;
    this.#connection = connection;
    this.pool = pool;
    connection.call(opcodes.register, new BodyWriter().stringList(['SCHEMA_CHANGE']).done(), () => undefined);
    connection.call(opcodes.query, queryBody("SELECT cluster_name, data_center, release_version, cql_version, partitioner FROM system.local WHERE key='local'"), (buffer, start, end) => {
      const [row] = buffer ? rowsOf(buffer, start, end) : [];
      if (row) {
        const [clusterName = '', dataCenter = '', releaseVersion = '', cqlVersion = '', partitioner = ''] = row;
        this.facts = { clusterName, dataCenter, releaseVersion, cqlVersion, partitioner };
        this.#told(this.facts);
      }
      for (const done of this.#waiting.splice(0)) done();
    });
  }

  /** Called back when the facts are there, or when the connection that asks for them has no answer. */
  whenTold(done: () => void): void {
    if (this.facts || !this.#connection) done();
    else this.#waiting.push(done);
  }

  lost(connection: NodeConnection<Leg>): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.pool = undefined;
  }

  /** Called back when all nodes that the connection's node knows of have the same schema, or when they still have not after five seconds. */
  whenAgreed(connection: NodeConnection<Leg>, done: (agreed: boolean) => void): void {
    let polls = 0;
    const poll = (): void => {
      polls += 1;
      const versions = new Set<string>();
      let left = 2;
      const take = (buffer: Buffer | undefined, start: number, end: number): void => {
        if (buffer) for (const [version] of rowsOf(buffer, start, end)) if (version !== undefined && version !== '') versions.add(version);
        left -= 1;
        if (left > 0) return;
        if (versions.size <= 1) done(true);
        else if (polls >= MOST_POLLS) done(false);
        else setTimeout(poll, POLL_MS);
      };
      connection.call(opcodes.query, queryBody("SELECT schema_version FROM system.local WHERE key='local'"), take);
      connection.call(opcodes.query, queryBody('SELECT schema_version FROM system.peers'), take);
    };
    poll();
  }
}

function rowsOf(buffer: Buffer, start: number, end: number): readonly (readonly string[])[] {
  if (buffer.readUInt8(start + 4) !== opcodes.result) return [];
  return readTextRows(new BodyReader(buffer, messageStart(buffer, start, end), end));
}
