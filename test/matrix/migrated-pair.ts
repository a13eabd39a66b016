/** The parts of the change path between two servers, joined as a migration joins them, without the process around them. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type pg from 'pg';
import { addForeignKeys, buildIndexes, buildKey, createTable } from '../../cdc/postgres/build-keys.ts';
import type { Position } from '../../cdc/change.ts';
import { runLoop } from '../../cdc/flow/run-loop.ts';
import { planForeignKeys, planSchema } from '../../cdc/postgres/create-schema.ts';
import { installFenceSupport } from '../../cdc/postgres/fence.ts';
import { introspectTable } from '../../cdc/postgres/introspect.ts';
import { planTable } from '../../cdc/postgres/plan-table.ts';
import { readServerVersion } from '../../cdc/postgres/read-json.ts';
import type { TableDefinition } from '../../cdc/postgres/table-definition.ts';
import { createPostgresLoader } from '../../cdc/snapshot/copy-table.ts';
import { createChangeStream } from '../../cdc/postgres/change-stream.ts';
import type { OpenedStream } from '../../cdc/stream/change-stream.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { validateTable } from '../../cdc/validate/validate-table.ts';
import type { ValidationReport } from '../../cdc/validate/validation-report.ts';
import { streamOptions, testRuntime, until } from '../cdc/stream/fixture.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { sampleTables } from './sample.ts';
import type { SampleTable } from './sample.ts';

type Plans = Readonly<Record<SampleTable, TablePlan>>;

export class MigratedPair implements AsyncDisposable {
  readonly source: pg.Client;
  readonly local: pg.Client;
  readonly forward: OpenedStream;
  readonly reverse: OpenedStream;
  /** What went wrong beside the calls: conflicts, errors of tables, changes of definitions, writes past the authority. */
  readonly trouble: string[];
  readonly #servers: { readonly source: TestPostgres; readonly local: TestPostgres };
  readonly #abort: AbortController;
  readonly #spool: string;
  readonly #running: Promise<unknown>[] = [];
  #definitions: Partial<Record<SampleTable, TableDefinition>> = {};

  private constructor(servers: { source: TestPostgres; local: TestPostgres }, clients: { source: pg.Client; local: pg.Client }) {
    this.#servers = servers;
    this.source = clients.source;
    this.local = clients.local;
    this.#abort = new AbortController();
    this.#spool = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-matrix-'));
    this.trouble = [];
    const make = (direction: 'forward' | 'reverse', from: TestPostgres, to: TestPostgres): OpenedStream =>
      createChangeStream(testRuntime(this.#abort.signal), streamOptions({
        name: direction, direction, source: from.address, target: to.address, spoolDirectory: path.join(this.#spool, direction),
        slotName: `causeway_${direction}`, publicationName: `causeway_${direction}`,
        onConflict: (conflict) => this.trouble.push(`${direction} conflict ${JSON.stringify(conflict)}`),
        onError: (tableId, error) => this.trouble.push(`${direction} ${tableId}: ${error.message} ${String((error as { detail?: unknown }).detail ?? '')}`),
        onSchemaChange: (tableId, change) => this.trouble.push(`${direction} ${tableId}: definition ${change.differences.join()}`),
        onBypassWrite: (tableId) => this.trouble.push(`${direction} ${tableId}: write past the authority`),
      }));
    this.forward = make('forward', servers.source, servers.local);
    this.reverse = make('reverse', servers.local, servers.source);
  }

  static async open(source: TestPostgres, local: TestPostgres): Promise<MigratedPair> {
    const clients = { source: await source.client(), local: await local.client() };
    for (const client of [clients.source, clients.local]) await installFenceSupport(client);
    return new MigratedPair({ source, local }, clients);
  }

  run(stream: OpenedStream): void {
    this.#running.push(runLoop(testRuntime(this.#abort.signal), stream.name, (signal) => stream.run(signal), this.#abort.signal).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.trouble.push(`${stream.name} ended: ${String(error)}`);
    }));
  }

  /** From local's side the plans are made anew: its types and columns have other numbers. */
  async plan(side: 'source' | 'local'): Promise<Plans> {
    const plans: Partial<Record<SampleTable, TablePlan>> = {};
    for (const name of sampleTables) {
      const definition = await introspectTable(this[side], { schema: 's', name });
      if (side === 'source') this.#definitions[name] = definition;
      plans[name] = planTable(definition, { tableId: name });
    }
    return plans as Plans;
  }

  async createTables(plans: Plans): Promise<void> {
    for (const name of sampleTables) {
      const definition = this.#definition(name);
      await createTable(this.local, definition, plans[name], await this.#schema(name, plans[name]));
    }
  }

  async load(plans: Plans): Promise<number> {
    let rows = 0;
    const loader = createPostgresLoader(testRuntime(this.#abort.signal), { source: this.#servers.source.address, target: this.#servers.local.address, token: 1n, memoryBytes: 16 << 20, onKeylessSnapshot: (tableId, snapshot) => this.forward.startFromSnapshot(tableId, snapshot) });
    for (const name of sampleTables) {
      const options = { parallelWorkers: 2, batchSize: 500, rateLimitRowsPerSecond: 0, maxErrors: 0, skipOnError: false, orderBy: undefined };
      rows += (await loader.load(plans[name], options, () => undefined, this.#abort.signal)).rowsLoaded;
      await buildKey(this.local, await this.#schema(name, plans[name]));
    }
    return rows;
  }

  async buildIndexes(plans: Plans): Promise<void> {
    for (const name of sampleTables) await buildIndexes(this.#servers.local.address, await this.#schema(name, plans[name]), { connections: 2, concurrently: false });
    for (const name of sampleTables) await addForeignKeys(this.local, planForeignKeys(this.#definition(name), (table) => table), () => true);
  }

  /** Resolves with the marker's position once all changes before it are on the other side and all tables are applied together. */
  async caughtUp(stream: OpenedStream, limitMs = 20_000): Promise<Position> {
    await until(`all tables of ${stream.name} shared`, () => {
      if (this.trouble.length > 0) throw new Error(this.trouble.join('\n'));
      return sampleTables.every((name) => stream.status(name)?.mode === 'shared');
    }, limitMs);
    return stream.waitForMarker(await stream.writeMarker(), sampleTables, limitMs);
  }

  /** Sides read in the direction of authority; each table's differences as text. */
  async differences(plans: Plans, authority: 'source' | 'local' = 'source'): Promise<string[]> {
    const found: string[] = [];
    for (const name of sampleTables) {
      const [source, local] = [await this.#servers.source.client(), await this.#servers.local.client()];
      const report: ValidationReport = await validateTable({ source, local, plan: plans[name], authority, mode: { type: 'full' }, settle: () => Promise.resolve(), chunkRows: 300, monotonicMs: () => performance.now() });
      await Promise.all([source.end(), local.end()]);
      if (report.rowsSource === 0) found.push(`${name} is empty`);
      found.push(...report.mismatches.map((mismatch) => `${name}: ${mismatch.type} ${mismatch.key.join(',')} ${mismatch.columns.join(',')}`));
      if (!report.isEqual && report.mismatches.length === 0) found.push(`${name}: not equal`);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
    await Promise.all([this.forward.close(), this.reverse.close()]);
    fs.rmSync(this.#spool, { recursive: true, force: true });
  }

  #definition(name: SampleTable): TableDefinition {
    const definition = this.#definitions[name];
    if (definition === undefined) throw new Error(`${name} has not been planned`);
    return definition;
  }

  async #schema(name: SampleTable, plan: TablePlan): Promise<ReturnType<typeof planSchema>> {
    return planSchema(this.#definition(name), plan, { localVersion: await readServerVersion(this.local) });
  }
}
