/**
 * The loader as a service: it waits until it is told to begin, by the document's HTTP routes, and says how far it is.
 *
 * idle → loading | building indexes → idle. One job at a time; a second one is refused. Stopping ends the job at its next safe place, and the same job goes on from there.
 */
import { listTables } from '../../cdc/cassandra/table.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { Monitor } from '../cql/api/monitor.ts';
import { loaderMetricsText } from '../cql/api/metrics-text.ts';
import { JsonServer } from '../ops/json-server.ts';
import type { JsonAnswer, JsonRoute } from '../ops/json-server.ts';
import { tablePairs } from './cql-clusters.ts';
import { buildIndexes, loadOnce, loaderReport } from './load-once.ts';
import type { LoadParts } from './load-once.ts';
import { OneJob } from './one-job.ts';

export class LoadService implements AsyncDisposable {
  readonly #parts: LoadParts;
  readonly #server: JsonServer;
  readonly #monitor = new Monitor();
  readonly #job: OneJob;
  #progress: (() => LoadProgress) | undefined;

  constructor(parts: LoadParts, host: string, port: number, metricsPort: number | undefined) {
    const { runtime } = parts;
    this.#parts = parts;
    this.#job = new OneJob(runtime);
    const routes: Record<string, JsonRoute> = {
      'GET /health': () => ok({ status: this.#job.error === undefined ? 'healthy' : 'degraded', service: 'sstable-loader', index_manager_enabled: parts.wanted.length > 0, index_count: parts.wanted.length, error: this.#job.error ?? null }),
      'GET /status': () => ok(this.#status()),
      'POST /start': async () => this.#load(parts.file.loader.tables.map(({ name }) => name)),
      'POST /stop': async () => ok({ stopped: await this.#job.stop(), ...this.#status() }),
      'POST /migrate/:keyspace/:table': async (_body, _from, [keyspace = '', table = '']) => {
        if (!(await listTables(parts.clusters.source, keyspace)).includes(table)) throw new MigrationError('MIG010', `There is no table ${keyspace}.${table} on the source cluster`, { tableName: `${keyspace}.${table}` });
        return this.#load([`${keyspace}.${table}`]);
      },
      'GET /discover/:keyspace': async (_body, _from, [keyspace = '']) => ok({ keyspace, tables: await listTables(parts.clusters.source, keyspace) }),
      'POST /indexes/drop': async () => this.#drop(),
      'POST /indexes/drop/:keyspace': async (_body, _from, [keyspace]) => this.#drop(keyspace),
      'POST /indexes/rebuild': () => this.#rebuild(),
      'POST /indexes/rebuild/:keyspace': (_body, _from, [keyspace]) => this.#rebuild(keyspace),
      'GET /indexes/verify': async () => {
        const indexes = await this.#indexes();
        return ok({ verified: indexes.every(({ state }) => state === 'built'), indexes });
      },
      'GET /indexes/status': async () => ok({ indexes: await this.#indexes() }),
    };
    this.#server = new JsonServer(runtime.log, { host, port, metricsPort, routes, metrics: () => loaderMetricsText(this.#heard(), runtime.clock.now()) });
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return this.#server.listen();
  }

  /** The tables of the file; refused while another job is under way. */
  async start(): Promise<void> {
    await this.#load(this.#parts.file.loader.tables.map(({ name }) => name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#job.stop();
    await this.#server.close();
  }

  async #load(names: readonly string[]): Promise<JsonAnswer> {
    this.#job.refuseSecond();
    const { clusters, file } = this.#parts;
    const pairs = await tablePairs(clusters, names, file.source, file.target);
    return this.#begin('load', async (signal) => {
      const ended = await loadOnce(this.#parts, pairs, signal, (progress) => (this.#progress = progress));
      await buildIndexes(this.#parts, signal);
      const bad = ended.tables.find(({ state }) => state !== 'done');
      if (bad) throw new Error(`${bad.table}: ${bad.error ?? bad.state}`);
    });
  }

  #rebuild(keyspace?: string): JsonAnswer {
    return this.#begin('indexes', async (signal) => void (await this.#parts.indexes.rebuild(signal, keyspace)));
  }

  async #drop(keyspace?: string): Promise<JsonAnswer> {
    this.#job.refuseSecond();
    const { wanted, indexes } = this.#parts;
    const chosen = wanted.filter((one) => keyspace === undefined || one.keyspace === keyspace);
    if (chosen.length === 0) throw new MigrationError('MIG071', 'no indexes are managed here', { hint: 'Start the loader with --indexes indexes.yaml.' });
    const tables = [...new Map(chosen.map((one) => [`${one.keyspace}.${one.table}`, { keyspace: one.keyspace, name: one.table }])).values()];
    return ok({ dropped: (await indexes.drop(tables, chosen)).map(({ name, keyspace: of, table }) => ({ keyspace: of, table, index: name })) });
  }

  async #indexes(): Promise<readonly { readonly keyspace: string; readonly table: string; readonly index: string; readonly state: string }[]> {
    return (await this.#parts.indexes.verify(this.#parts.wanted)).map(({ index: { keyspace, table, name }, state }) => ({ keyspace, table, index: name, state }));
  }

  #begin(name: string, work: (signal: AbortSignal) => Promise<void>): JsonAnswer {
    this.#job.begin(name, work);
    return { status: 202, body: { started: true, job: name } };
  }

  #status(): Readonly<Record<string, unknown>> {
    const progress = this.#progress?.();
    return { service: 'sstable-loader', state: this.#job.name ?? 'idle', error: this.#job.error ?? null, progress: progress ?? null };
  }

  #heard(): Monitor['load'] {
    const progress = this.#progress?.();
    if (progress) this.#monitor.heard(loaderReport(progress, this.#job.name !== 'load'), this.#parts.runtime.clock.now());
    return this.#monitor.load;
  }
}

function ok(body: unknown): JsonAnswer {
  return { status: 200, body };
}
