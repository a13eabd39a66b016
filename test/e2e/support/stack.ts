/** Two PostgreSQL servers and the product between them, as an operator and an application see it: through the gateway only. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { stringify } from 'yaml';
import { freePort, startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { FaultFiles } from './fault-files.ts';
import { Product } from './product.ts';

export interface StackOptions {
  /** Statements for the source before the product starts; roles `app` and `postgres` are there. */
  readonly sourceSql: string;
  readonly faultPoints?: readonly string[];
  readonly workers?: number;
  /** Starts the servers of the two sides; default: the packaged version, durable. */
  readonly startServer?: (side: 'source' | 'local') => Promise<TestPostgres>;
  /** Over the generated settings, by section. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export type Victim = 'control' | 'worker' | 'source' | 'local';

export interface StatusRow {
  readonly Table: string;
  readonly State: string;
  readonly Next: string;
}

export const DATABASE = 'bank';

export class Stack implements AsyncDisposable {
  readonly source: TestPostgres;
  readonly local: TestPostgres;
  readonly product: Product;
  readonly faults: FaultFiles;
  readonly gateway: { readonly host: string; readonly port: number; readonly database: string };
  /** Other tables than this schema's have moved already, and do not count. Default: all do. */
  watchedSchema: string | undefined;
  readonly #folder: string;
  readonly #httpPort: number;
  #operator: pg.Client | undefined;

  private constructor(parts: { source: TestPostgres; local: TestPostgres; product: Product; faults: FaultFiles; port: number; httpPort: number; folder: string }) {
    this.source = parts.source;
    this.local = parts.local;
    this.product = parts.product;
    this.faults = parts.faults;
    this.gateway = { host: '127.0.0.1', port: parts.port, database: DATABASE };
    this.#folder = parts.folder;
    this.#httpPort = parts.httpPort;
  }

  static async start(options: StackOptions): Promise<Stack> {
    // A crash of a server must not lose what it has acknowledged.
    const startServer = options.startServer ?? (() => startTestPostgres({ durable: true }));
    const [source, local] = await Promise.all([startServer('source'), startServer('local')]);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-e2e-'));
    for (const server of [source, local]) {
      await server.createDatabase(DATABASE);
      await (await server.client(DATABASE)).query('CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app');
    }
    await (await source.client(DATABASE)).query(options.sourceSql);
    const [port, httpPort] = [await freePort(), await freePort()];
    const configFile = path.join(folder, 'causeway.yaml');
    fs.writeFileSync(configFile, stringify({ ...baseSettings(source, local, folder, port, httpPort, options.workers ?? 2), ...options.settings }));
    const faults = new FaultFiles(path.join(folder, 'faults'), options.faultPoints ?? []);
    const product = new Product(configFile, path.join(folder, 'product.log'), faults.environment);
    const stack = new Stack({ source, local, product, faults, port, httpPort, folder });
    try {
      await product.start();
    } catch (error) {
      await stack[Symbol.asyncDispose]();
      throw error;
    }
    return stack;
  }

  /** `app` and `operator` are there unless the test's settings name others. */
  async connect(user: string): Promise<pg.Client> {
    const client = new pg.Client({ ...this.gateway, user, connectionTimeoutMillis: 10_000 });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** A client of one database, past the gateway: for looking, never for writing a migrated table. */
  direct(side: 'source' | 'local'): Promise<pg.Client> {
    return this[side].client(DATABASE);
  }

  /** What `/metrics` shows. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#httpPort}/metrics`)).text();
  }

  /** What `/readyz` says. */
  async ready(): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/readyz`);
    return { status: answer.status, text: await answer.text() };
  }

  /** Runs an operator's statement once. A lost connection is an error like any other. */
  async command<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    const operator = this.#operator ?? (await this.#openOperator());
    try {
      return (await operator.query<Row>(sql)).rows;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.severity === 'FATAL') await this.#dropOperator();
      throw error;
    }
  }

  /** Runs a statement that may be repeated, until it is answered: the control or the worker may be down at the moment. */
  async insist<Row extends pg.QueryResultRow>(sql: string, limitMs = 30_000): Promise<Row[]> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      try {
        return await this.command<Row>(sql);
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await delay(100);
      }
    }
  }

  async status(): Promise<StatusRow[]> {
    const rows = await this.insist<pg.QueryResultRow & StatusRow>('SHOW MIGRATION STATUS');
    const schema = this.watchedSchema;
    return schema === undefined ? rows : rows.filter((row) => row.Table.startsWith(`${schema}.`));
  }

  /**
   * Resolves once every table is in one of `states`, all with the same authority, with the first of them that a table is in.
   * A table in ERROR ends the wait, unless ERROR is waited for.
   */
  async waitState(states: readonly string[], limitMs = 60_000): Promise<string> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const rows = await this.status();
      // A table that was never started, or whose migration has ended, is not listed.
      const seen = new Set(rows.length === 0 ? ['NOT_STARTED'] : rows.map((row) => row.State));
      const isOneAuthority = seen.size === 1 || !seen.has('LOCAL_ONLY');
      const first = states.find((state) => seen.has(state));
      if (first !== undefined && isOneAuthority && [...seen].every((state) => states.includes(state))) return first;
      const isStuck = seen.has('ERROR') && !states.includes('ERROR');
      if (isStuck || performance.now() > deadline) throw new Error(`${isStuck ? 'a table is in ERROR' : `not ${states.join(' or ')} after ${limitMs} ms`}: ${await this.#explain(rows)}`);
      await delay(100);
    }
  }

  /** All tables of the schema from NOT_STARTED to CUTOVER_READY. */
  async migrate(schema: string, options = 'copy_grants TRUE'): Promise<void> {
    await this.insist(`START MIGRATION FOR SCHEMA ${schema} FROM legacy OPTIONS (${options})`);
    await this.makeReady(schema);
  }

  /** Loading, in step or already ready → CUTOVER_READY, which takes a validation. */
  async makeReady(schema: string, limitMs = 60_000): Promise<void> {
    if ((await this.waitState(['DUAL_WRITE', 'CUTOVER_READY'], limitMs)) === 'CUTOVER_READY') return;
    const deadline = performance.now() + limitMs;
    for (;;) {
      await this.insist(`VALIDATE MIGRATION FOR SCHEMA ${schema} FULL`);
      try {
        await this.waitState(['CUTOVER_READY'], 5000);
        return;
      } catch (error) {
        // A validation that was interrupted by a crash, or that found rows too busy to settle, is asked for again.
        if (performance.now() > deadline) throw error;
      }
    }
  }

  async kill(victim: Victim): Promise<void> {
    if (victim === 'control' || victim === 'worker') return this.product.kill(victim);
    await this[victim].stop('immediate');
    await this[victim].restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropOperator();
    await this.product.stop();
    await Promise.all([this.source[Symbol.asyncDispose](), this.local[Symbol.asyncDispose]()]);
    if (process.env['KEEP_E2E'] === undefined) fs.rmSync(this.#folder, { recursive: true, force: true });
    else process.stderr.write(`kept ${this.#folder}\n`);
  }

  async #openOperator(): Promise<pg.Client> {
    const operator = await this.connect('operator');
    operator.once('end', () => {
      if (this.#operator === operator) this.#operator = undefined;
    });
    this.#operator = operator;
    return operator;
  }

  async #dropOperator(): Promise<void> {
    const operator = this.#operator;
    this.#operator = undefined;
    await operator?.end().catch(() => undefined);
  }

  async #explain(rows: readonly StatusRow[]): Promise<string> {
    const errors = await this.command('SHOW MIGRATION ERRORS').catch((error: unknown) => String(error));
    return `${JSON.stringify(rows)}\nerrors: ${JSON.stringify(errors)}\nlog:\n${this.product.logTail()}`;
  }
}

function baseSettings(source: TestPostgres, local: TestPostgres, folder: string, port: number, httpPort: number, workers: number): Record<string, unknown> {
  const server = (side: TestPostgres): Record<string, unknown> => ({ host: side.address.host, port: side.address.port, database: DATABASE, user: side.address.user });
  const legs = (user: string): Record<string, unknown> => ({ source: { user }, local: { user } });
  return {
    listen: { host: '127.0.0.1', port },
    http: { host: '127.0.0.1', port: httpPort },
    workers,
    state_directory: path.join(folder, 'state'),
    source: server(source),
    local: server(local),
    users: [
      { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], ...legs('postgres') },
      { name: 'app', trust_from: ['127.0.0.1/32'], ...legs('app') },
    ],
    lease_ms: 1500,
    migration: { max_retries: 20, retry_initial_delay_ms: 100, retry_max_delay_ms: 1000 },
    log: { level: 'info', format: 'json' },
  };
}
