/** Connections to both clusters, made when they are first needed, and what the loader keeps beside them. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Cluster, kindOfFailure, messageOf } from '../../../cdc/cassandra/cluster.ts';
import type { ClusterOptions, Side } from '../../../cdc/cassandra/cluster.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Clock } from '../../../config/runtime.ts';
import { toMigrationError } from '../trouble.ts';

export type Clusters = { readonly [side in Side]: Cluster };

/** A cluster that has not answered a simple question by then is away. */
const PROBE_LIMIT_MS = 10_000;
/** Drivers of several tables ask again and again. */
const PROBE_EVERY_MS = 400;

export class ClusterConnections implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: { readonly [side in Side]: ClusterOptions };
  readonly #directory: string;
  readonly #opening = new Map<Side, Promise<Cluster>>();
  #ledger: SqliteLoadLedger | undefined;
  #probe: { readonly atMs: number; readonly answer: Promise<boolean> } | undefined;

  constructor(clock: Clock, options: { readonly [side in Side]: ClusterOptions }, directory: string) {
    this.#clock = clock;
    this.#options = options;
    this.#directory = directory;
  }

  /** Of the rows that the target has refused. */
  get failedRowsFile(): string {
    return this.#fileAt('failed-rows.jsonl');
  }

  /** Throws MIG001, MIG003 or MIG012; the next call tries again. */
  async clusters(): Promise<Clusters> {
    const [source, target] = await Promise.all([this.#cluster('source'), this.#cluster('target')]);
    return { source, target };
  }

  #cluster(side: Side): Promise<Cluster> {
    const known = this.#opening.get(side);
    if (known) return known;
    const opening = Cluster.connect(side, this.#options[side]);
    this.#opening.set(side, opening);
    opening.catch(() => this.#opening.delete(side));
    return opening;
  }

  /** Asked on a connection of our own: a proxy without a request for it does not know. */
  targetAnswers(): Promise<boolean> {
    const atMs = this.#clock.monotonicMs();
    if (this.#probe === undefined || atMs - this.#probe.atMs >= PROBE_EVERY_MS) this.#probe = { atMs, answer: this.#ask() };
    return this.#probe.answer;
  }

  async #ask(): Promise<boolean> {
    const stop = new AbortController();
    const late = this.#clock.sleep(PROBE_LIMIT_MS, stop.signal).then(() => false, () => false);
    const answer = this.#cluster('target').then((target) => target.run("SELECT key FROM system.local WHERE key = 'local'")).then(() => true, () => false);
    return Promise.race([answer, late]).finally(() => stop.abort());
  }

  ledger(): SqliteLoadLedger {
    return (this.#ledger ??= new SqliteLoadLedger(this.#fileAt('load.db')));
  }

  #fileAt(name: string): string {
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return path.join(this.#directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opening.values()].map(async (opening) => (await opening.catch(() => undefined))?.[Symbol.asyncDispose]()));
    this.#ledger?.[Symbol.dispose]();
    this.#ledger = undefined;
  }
}

/** What a cluster or its driver says, as one of the product's own codes. */
export function clusterTrouble(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  // Of files and sockets; what a cluster answers has numbers.
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return toMigrationError(error);
  const isLost = kindOfFailure(error) !== 'refused';
  return new MigrationError(isLost ? 'MIG002' : 'MIG011', isLost ? 'A cluster has not done what it was asked for' : 'A cluster refuses a statement', { detail: messageOf(error), cause: error, hint: isLost ? 'It is tried again; if it persists, look at the cluster.' : 'Look at the table on both clusters.' });
}
