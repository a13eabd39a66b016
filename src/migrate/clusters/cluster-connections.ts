/** Connections to both clusters, made when they are first needed, and what the loader keeps beside them. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Cluster, kindOfFailure, messageOf } from '../../../cdc/cassandra/cluster.ts';
import type { ClusterOptions, Side } from '../../../cdc/cassandra/cluster.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { toMigrationError } from '../trouble.ts';

export type Clusters = { readonly [side in Side]: Cluster };

export class ClusterConnections implements AsyncDisposable {
  readonly #options: { readonly [side in Side]: ClusterOptions };
  readonly #directory: string;
  #opening: Promise<Clusters> | undefined;
  #ledger: SqliteLoadLedger | undefined;

  constructor(options: { readonly [side in Side]: ClusterOptions }, directory: string) {
    this.#options = options;
    this.#directory = directory;
  }

  /** Of the rows that the target has refused. */
  get failedRowsFile(): string {
    return this.#fileAt('failed-rows.jsonl');
  }

  /** Throws MIG001, MIG003 or MIG012; the next call tries again. */
  clusters(): Promise<Clusters> {
    if (this.#opening) return this.#opening;
    const opening = this.#open();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }

  ledger(): SqliteLoadLedger {
    return (this.#ledger ??= new SqliteLoadLedger(this.#fileAt('load.db')));
  }

  #fileAt(name: string): string {
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return path.join(this.#directory, name);
  }

  async #open(): Promise<Clusters> {
    const source = await Cluster.connect('source', this.#options.source);
    try {
      return { source, target: await Cluster.connect('target', this.#options.target) };
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await this.#opening?.catch(() => undefined);
    await Promise.all([open?.source[Symbol.asyncDispose](), open?.target[Symbol.asyncDispose]()]);
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
