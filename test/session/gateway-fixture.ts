/** A gateway in this process between two real servers, with a control whose snapshot and visibility the test sets by hand. */
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import { noFaults } from '../../config/faults.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { FactsCache } from '../../grammar/sql/facts-cache.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import { RouteCache } from '../../src/route/route-cache.ts';
import type { CommandRequest, CommandResult, ControlPort } from '../../src/session/control-port.ts';
import { createGateway } from '../../src/session/gateway.ts';
import type { Gateway } from '../../src/session/gateway.ts';
import type { GatewayOptions } from '../../src/session/gateway-options.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import type { TestPostgres } from '../support/postgres.ts';

const nothingCounted: Runtime['metrics'] = { count: () => undefined, gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined };

export function testRuntime(warnings: string[] = [], metrics = nothingCounted): Runtime {
  const log: Runtime['log'] = { debug: () => undefined, info: () => undefined, warn: (message) => warnings.push(message), error: (message) => warnings.push(message), child: () => log };
  return {
    log,
    metrics,
    clock: { now: () => Date.now(), monotonicMs: () => performance.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) },
    signal: new AbortController().signal,
    faults: noFaults,
  };
}

interface Wait {
  readonly kind: 'xid' | 'lsn' | 'mysql';
  readonly id: number | bigint;
  /** Waited for, of the MySQL server. */
  readonly tables?: readonly string[];
  readonly callback: () => void;
}

export class FakeControl implements ControlPort {
  snapshot: RoutingSnapshot = emptySnapshot;
  leaseValid = true;
  readonly servers = new Set<string>();
  /** Answers at once, unless a test holds it back. */
  autoVisible = true;
  readonly waits: Wait[] = [];
  readonly commands: CommandRequest[] = [];
  readonly routes: string[] = [];
  readonly #door: Pick<TableRoute, 'door'>;
  readonly #schema: string;

  /** `door`: of the clients that reach its tables on the source. */
  constructor(door?: TableRoute['door'], schema = 'public') {
    this.#schema = schema;
    this.#door = door === undefined ? {} : { door };
  }

  answer: (request: CommandRequest) => Promise<CommandResult> = () => Promise.resolve({ tag: 'SHOW', columns: [{ name: 'Table', typeOid: 25 }, { name: 'State', typeOid: 25 }], rows: [['orders', 'DUAL_WRITE'], ['items', null]] });
  readonly #listeners = new Set<() => void>();

  readonly visibility = {
    visibleLsn: 0n,
    whenTransactionVisible: (id: number, callback: () => void) => this.#wait({ kind: 'xid', id, callback }),
    whenPositionVisible: (id: bigint, callback: () => void) => this.#wait({ kind: 'lsn', id, callback }),
  };

  whenCaughtUp(tables: readonly string[], callback: () => void): () => void {
    return this.#wait({ kind: 'mysql', id: 0, tables, callback });
  }

  /** How many waits there have been. */
  waited = 0;

  #wait(wait: Wait): () => void {
    this.waited += 1;
    if (this.autoVisible) wait.callback();
    else this.waits.push(wait);
    return () => {
      const at = this.waits.indexOf(wait);
      if (at >= 0) this.waits.splice(at, 1);
    };
  }

  makeVisible(): void {
    for (const wait of this.waits.splice(0)) wait.callback();
  }

  /** By key in the snapshot. */
  readonly facts = new Map<string, MigratedTable>();

  tableFacts(key: string): MigratedTable | undefined {
    return this.facts.get(key);
  }

  loadTableFacts(keys: readonly string[], done: (error: MigrationError | undefined) => void): void {
    const missing = keys.find((key) => !this.facts.has(key));
    queueMicrotask(() => done(missing === undefined ? undefined : new MigrationError('MIG082', `nothing is known of table "${missing}"`)));
  }

  hasServer(name: string): boolean {
    return this.servers.has(name);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  command(request: CommandRequest): Promise<CommandResult> {
    this.commands.push(request);
    return this.answer(request);
  }

  countRoute(table: string, route: string): void {
    this.routes.push(`${table} ${route}`);
  }

  /** Publishes a snapshot with these tables. */
  publish(tables: Readonly<Record<string, Partial<TableRoute>>>, more: Partial<RoutingSnapshot> = {}): void {
    const routes: Record<string, TableRoute> = {};
    for (const [name, route] of Object.entries(tables)) {
      routes[relationKey(this.#schema, name)] = {
        tableId: name, state: 'DUAL_WRITE', source: { schema: this.#schema, name }, local: { schema: this.#schema, name },
        reads: 'source', writes: 'source', waitVisible: false, trackWrites: false, writesBlocked: false, ddlBlocked: false, quiescing: false, ...this.#door, ...route,
      };
    }
    this.snapshot = { ...emptySnapshot, epoch: this.snapshot.epoch + 1, tables: routes, ...more };
    for (const listener of [...this.#listeners]) listener();
  }

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

export const onSource: Partial<TableRoute> = { state: 'SYNCHRONIZING', reads: 'source', writes: 'source' };
export const dualWrite: Partial<TableRoute> = { state: 'DUAL_WRITE', reads: 'local', writes: 'source', waitVisible: true };
export const onLocal: Partial<TableRoute> = { state: 'LOCAL_ONLY', reads: 'local', writes: 'local' };

export interface GatewayFixture extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly control: FakeControl;
  readonly warnings: string[];
  readonly facts: FactsCache;
  /** Position asked for: how often. */
  fetches: number;
}

/** The tests of this folder are to hold in every mode: `CAUSEWAY_POOL_MODE=transaction` runs them in that one. What cannot be the same (docs/pooling.md) asks for it. */
export const poolMode = (['transaction', 'pipeline'] as const).find((mode) => mode === process.env['CAUSEWAY_POOL_MODE']);

export async function startGateway(source: TestPostgres['address'], local: TestPostgres['address'], options: Partial<GatewayOptions> = {}, metrics?: Runtime['metrics']): Promise<GatewayFixture> {
  const parser = await loadSqlParser();
  const facts = new FactsCache(parser);
  const control = new FakeControl();
  const warnings: string[] = [];
  const fixture: GatewayFixture = { gateway: undefined as unknown as Gateway, control, warnings, facts, fetches: 0, [Symbol.asyncDispose]: async () => undefined };
  const gateway = await createGateway(testRuntime(warnings, metrics), {
    listen: { host: '127.0.0.1', port: 0 },
    users: [{ name: '*', trustFrom: ['127.0.0.1'] }],
    legs: { target: (side, login) => ({ ...(side === 'source' ? source : local), user: login.user, database: login.database }) },
    control, facts, routes: new RouteCache(control.snapshot),
    sourcePosition: {
      fetch: (callback) => {
        fixture.fetches += 1;
        setImmediate(() => callback(1n));
      },
    },
    erasesInput: true,
    ...(poolMode ? { pools: { ...sessionPooling, modeOf: () => poolMode, waitMs: 5_000 } } : {}),
    ...options,
  });
  return Object.assign(fixture, {
    gateway,
    [Symbol.asyncDispose]: async () => {
      await gateway.close();
      await parser[Symbol.asyncDispose]();
    },
  });
}
