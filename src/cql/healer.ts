/**
 * Prepares on a node what the proxy has promised its clients to be prepared: a statement that a cluster was never asked for, or that a node has forgotten.
 * The legs that need it wait, and leave on the same connection.
 */
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { errorCodes, readError } from '../wire/cql/error-body.ts';
import { ANSWER_BIT, messageStart, opcodes } from '../wire/cql/frame.ts';
import { readPrepared } from '../wire/cql/result-body.ts';
import type { ClusterIndex } from './modes.ts';
import { clientKey } from './prepared-calls.ts';
import type { PreparedEntry, PreparedRegistry } from './prepared-registry.ts';
import type { ProxyCounts } from './proxy-stats.ts';
import { legStates } from './request.ts';
import type { Leg } from './request.ts';
import type { NodeConnection, UpstreamFailure } from './upstream.ts';

export interface HealedLegs {
  /** It is prepared there now. */
  prepared(leg: Leg, connection: NodeConnection<Leg>): void;
  notPrepared(leg: Leg, buffer: Buffer, start: number, end: number): void;
  unsent(leg: Leg, failure: UpstreamFailure): void;
}

/** Beyond one for each statement that it executes. */
const MOST_HEALS = 4;

export class Healer {
  readonly #registry: PreparedRegistry;
  readonly #counts: ProxyCounts;
  readonly #waiting = new WeakMap<NodeConnection<Leg>, Map<PreparedEntry, Set<Leg>>>();
  /** Which of the sets a leg is in. */
  readonly #sets = new Map<Leg, Set<Leg>>();
  #legs: HealedLegs | undefined;

  constructor(registry: PreparedRegistry, counts: ProxyCounts) {
    this.#registry = registry;
    this.#counts = counts;
  }

  /** Where healed legs go; set once. */
  set legs(legs: HealedLegs) {
    this.#legs = legs;
  }

  /** The leg goes on when the statement is prepared on this connection's node. */
  heal(leg: Leg, entry: PreparedEntry, connection: NodeConnection<Leg>): void {
    leg.heals += 1;
    leg.state = legStates.waiting;
    if (leg.heals > MOST_HEALS + (leg.request.batch?.parts.length ?? 1)) {
      this.#legs?.unsent(leg, { kind: 'network', code: errorCodes.overloaded, message: `the node forgets the statement each time it is prepared: ${entry.text.slice(0, 200)}` });
      return;
    }
    const asker = this.#connectionFor(entry, connection, leg);
    if (!asker) return;
    let byEntry = this.#waiting.get(connection);
    if (!byEntry) this.#waiting.set(connection, (byEntry = new Map()));
    const others = byEntry.get(entry);
    const legs = others ?? new Set<Leg>();
    legs.add(leg);
    this.#sets.set(leg, legs);
    if (others) return;
    byEntry.set(entry, legs);
    this.#counts.cluster(leg.cluster).heals += 1;
    this.#ask(entry, leg.cluster, asker, (isWell, buffer, start, end) => {
      byEntry.delete(entry);
      for (const waiting of legs) {
        this.#sets.delete(waiting);
        if (isWell) this.#legs?.prepared(waiting, connection);
        else if (buffer) this.#legs?.notPrepared(waiting, buffer, start, end);
        else this.#legs?.unsent(waiting, { kind: 'network', code: errorCodes.overloaded, message: 'the connection was lost while its statement was prepared' });
      }
    });
  }

  /** Prepares it there; `done` gets the reason when that fails. */
  prepare(entry: PreparedEntry, cluster: ClusterIndex, connection: NodeConnection<Leg>, done: (error: string | undefined) => void): void {
    this.#ask(entry, cluster, connection, (isWell, buffer, start, end) => {
      done(isWell ? undefined : buffer ? readError(buffer, messageStart(buffer, start, end), end).message : 'the connection was lost');
    });
  }

  #ask(entry: PreparedEntry, cluster: ClusterIndex, connection: NodeConnection<Leg>, done: (isWell: boolean, buffer: Buffer | undefined, start: number, end: number) => void): void {
    connection.call(opcodes.prepare, new BodyWriter(entry.sent.text.length + 8).longString(entry.sent.text).done(), (buffer, start, end) => {
      const isWell = buffer !== undefined && buffer.readUInt8(start + 4) === opcodes.result;
      if (isWell) this.learn(entry, cluster, buffer, start, end);
      done(isWell, buffer, start, end);
    });
  }

  /** The cluster has answered UNPREPARED. False when it is not known which statement it means. */
  unprepared(leg: Leg, buffer: Buffer, end: number): boolean {
    const { request, cluster } = leg;
    const { id } = readError(buffer, leg.answerAt, end);
    const entry = request.entry ?? (id ? this.#registry.findByClusterId(cluster, id) : undefined);
    const connection = leg.answeredBy;
    if (!entry || !connection) return false;
    this.heal(leg, entry, connection);
    return true;
  }

  /** What the frame of a PREPARED answer tells of the statement on this cluster. */
  learn(entry: PreparedEntry, cluster: ClusterIndex, buffer: Buffer, start: number, end: number): void {
    const { calls } = entry.sent;
    const { id, rows, columns, partitionKey } = readPrepared(buffer, messageStart(buffer, start, end), end, buffer.readUInt8(start) & ~ANSWER_BIT);
    this.#registry.learn(entry, cluster, id);
    entry.rows[cluster] = rows.toString('latin1');
    if (entry.columns.length === 0 || partitionKey.length > 0) {
      entry.columns = columns.filter((_, index) => !calls.some((call) => call.index === index));
      entry.partitionKey = clientKey(partitionKey, calls);
    }
  }

  /** Prepared ids belong to the keyspace in use: the same connection, or one to the same node in the statement's keyspace. Undefined: the leg waits for one, or was told. */
  #connectionFor(entry: PreparedEntry, connection: NodeConnection<Leg>, leg: Leg): NodeConnection<Leg> | undefined {
    if (connection.settings.keyspace === entry.keyspace) return connection;
    const own = leg.request.pools?.[leg.cluster];
    const pool = own?.cluster.pool(connection.settings.version, connection.settings.credentials, entry.keyspace);
    const known = pool?.connectionTo(connection.address) ?? pool?.anyConnection();
    if (known || !pool) return known;
    const set = new Set([leg]);
    this.#sets.set(leg, set);
    pool.whenUsable((failure) => {
      if (!set.has(leg)) return;
      this.#sets.delete(leg);
      if (failure) this.#legs?.unsent(leg, failure);
      else this.heal(leg, entry, connection);
    });
    return undefined;
  }

  /** The leg no longer waits. */
  forget(leg: Leg): void {
    this.#sets.get(leg)?.delete(leg);
    this.#sets.delete(leg);
  }
}
