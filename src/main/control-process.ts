/** Wires the control process: catalog, control, link to the workers, HTTP. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import { loadOrCreateKey, credentialKey } from '../../catalog/credentials.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalogQuery } from '../../catalog/query/catalog-query.ts';
import { openSqliteCatalog } from '../../catalog/sqlite/open-catalog.ts';
import { ServerPlaces } from '../../cdc/mysql/server-places.ts';
import type { ServerPlace } from '../../cdc/mysql/server-places.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import { describeAddress } from '../../cdc/postgres/server-address.ts';
import { connectionLimits, operatorsOf } from '../../config/connection-limits.ts';
import { listSettings } from '../../config/list-settings.ts';
import type { MigrationSettings } from '../../config/settings.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { processClock } from '../../config/process-runtime.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { StatedOptions } from '../../grammar/migration/options.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import { checkAuthority } from '../migrate/authority-check.ts';
import { Control } from '../migrate/control.ts';
import { startOpsServer } from '../ops/http.ts';
import type { MetricDelta, PrometheusMetrics } from '../ops/prometheus.ts';
import { openClusters } from './cluster-parts.ts';
import { listenForWorkers } from './control-server.ts';
import { openFlow } from './open-flow.ts';
import type { ReachedSource } from './open-flow.ts';
import { mysqlFences, postgresFences } from './source-engine.ts';
import { homeServer, mysqlServer, mysqlSource, workerCount } from './process-settings.ts';
import type { ProcessSettings } from './process-settings.ts';
import { migratedTables, routesOf } from '../migrate/routing-publisher.ts';
import { explainStatement } from './explain-statement.ts';

export async function startControl(runtime: Runtime, metrics: PrometheusMetrics, handed: ProcessSettings): Promise<AsyncDisposable> {
  const { settings, paths, source } = handed;
  const stack = new AsyncDisposableStack();
  try {
    fs.mkdirSync(paths.spool, { recursive: true, mode: 0o700 });
    const key = settings.credentialKey === undefined ? loadOrCreateKey(paths.credentialKey) : credentialKey(Buffer.from(settings.credentialKey, 'base64'));
    const catalog = stack.use(openSqliteCatalog({ file: paths.catalog, key, clock: processClock, auditLevel: settings.migration.auditEnabled ? settings.migration.auditLevel : 'none' }));
    await catalog.acquire({ pid: process.pid, host: os.hostname() });
    const places = await openPlaces(catalog, settings);
    const mysql = places?.address;
    await checkAuthority(runtime, catalog, [postgresFences(source), ...(mysql ? [mysqlFences(mysql)] : [])], handed.local);
    await registerHome(catalog, source, handed);
    if (mysql) await registerMysql(catalog, mysql);
    const clusters = await openClusters(runtime, catalog, handed);
    if (clusters) stack.use(clusters);
    const query = stack.use(openCatalogQuery({ file: paths.catalog, clock: processClock }));
    const parser = stack.use(await loadSqlParser());
    const operators = operatorsOf(settings.users);
    const reachedBy = async (name: string): Promise<ReachedSource | undefined> => {
      if (name === homeServer || sameServer(await addressOf(catalog, name), source)) return { engine: 'postgres', address: source };
      return mysql !== undefined && name === mysqlServer ? { engine: 'mysql', address: mysql, places } : undefined;
    };
    const control = new Control(runtime, {
      catalog, leaseMs: settings.leaseMs, workers: workerCount(settings), connections: connectionLimits(settings), sides: { source, local: handed.local }, settings: { list: listSettings(settings), users: settings.users.length }, homeServer, defaults: defaultsOf(settings.migration), samplePercent: settings.migration.validationSamplePercent, cdcMaxLagMs: settings.migration.cdcMaxLagSeconds * 1000,
      limits: {
        switchTimeoutMs: settings.timeouts.cutoverMs, admitGraceMs: settings.timeouts.quiesceGraceMs, maxLagMs: 5_000, sequenceMargin: 1_000,
        maxConcurrentMigrations: settings.migration.maxConcurrentMigrations,
        retry: { max: settings.migration.maxRetries, initialMs: settings.migration.retryInitialDelayMs, maxMs: settings.migration.retryMaxDelayMs },
      },
      isOperator: (user) => settings.migration.enabled && operators.has(user),
      isHome: async (name) => name === homeServer || sameServer(await addressOf(catalog, name), source),
      isServed: async (name) => (await reachedBy(name)) !== undefined,
      openFlow: async (name) => {
        const reached = await reachedBy(name);
        if (!reached) throw new MigrationError('MIG072', `server ${name} is not one that the gateway stands in front of`);
        return openFlow(runtime, handed, catalog, name, reached);
      },
      clusters,
      onWorkerClosed: (workerId) => metrics.forgetWorker(workerId),
      onWorkerMetrics: (workerId, delta) => metrics.absorb(delta as MetricDelta, workerId),
      texts: {
        queryCatalog: async (sql) => query.query(sql),
        explainRoute: async (statement, searchPath) => {
          const facts = await parser.readFacts(statement);
          const records = await catalog.tables();
          const snapshot = { epoch: await catalog.epoch(), tables: routesOf(records), ...control.relations };
          return explainStatement({ facts, snapshot, searchPath, tree: parser.statementTree(statement), tables: migratedTables(records), hasMysql: settings.mysql !== undefined });
        },
      },
    });
    places?.onMoved((place) => {
      control.fleet.tellMysqlServer(place);
      catalog.putSetting(mysqlPlaceSetting, JSON.stringify(place)).catch((error: unknown) => runtime.log.error('where the MySQL source is now could not be noted', { error: String(error) }));
    });
    if (places) control.fleet.tellMysqlServer(places.current);
    stack.defer(() => control.stop());
    stack.use(await listenForWorkers(paths.controlSocket, control.fleet));
    await control.start();
    clusters?.start();
    stack.use(await startOpsServer(runtime, settings.http, {
      metrics: () => metrics.text(),
      health: async () => ({ reasons: (await owns(catalog)) ? [] : ['another control process has taken over the catalog'] }),
      ready: () => ({ reasons: control.notReady() }),
    }));
    const owned = stack.move();
    return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function owns(catalog: Catalog): Promise<boolean> {
  return catalog.assertOwned().then(() => true, () => false);
}

/** The settings' source is a server like any other, and a migration source of the same name: START … FROM legacy works at once. */
async function registerHome(catalog: Catalog, source: ServerAddress, handed: ProcessSettings): Promise<void> {
  const options = { host: source.host, port: String(source.port), dbname: source.database };
  if (await catalog.server(homeServer)) await catalog.alterServer(homeServer, options);
  else await catalog.createServer({ name: homeServer, wrapper: 'postgres', options });
  if (await catalog.source(homeServer)) return;
  // Both databases are the product's own: what `app` may do on the source it may do on local.
  const copyGrants = handed.settings.source.kind === 'embedded' && handed.settings.local.kind === 'embedded';
  await catalog.createSource({ name: homeServer, serverName: homeServer, options: copyGrants ? { copyGrants } : {} });
}

const mysqlPlaceSetting = 'place of legacy_mysql';

/** Where the source was last, if the settings still have it. */
async function openPlaces(catalog: Catalog, settings: ProcessSettings['settings']): Promise<ServerPlaces | undefined> {
  const address = mysqlSource(settings);
  if (!address) return undefined;
  const saved = await catalog.setting(mysqlPlaceSetting);
  return new ServerPlaces(address, settings.mysql?.server.standbys, saved === undefined ? undefined : (JSON.parse(saved) as ServerPlace));
}

async function registerMysql(catalog: Catalog, { host, port }: ServerAddress): Promise<void> {
  const options = { host, port: String(port) };
  if (await catalog.server(mysqlServer)) await catalog.alterServer(mysqlServer, options);
  else await catalog.createServer({ name: mysqlServer, wrapper: 'mysql', options });
  if (!(await catalog.source(mysqlServer))) await catalog.createSource({ name: mysqlServer, serverName: mysqlServer, options: {} });
}

async function addressOf(catalog: Catalog, name: string): Promise<Pick<ServerAddress, 'host' | 'port' | 'database'>> {
  const server = await catalog.server(name);
  if (!server) throw new MigrationError('MIG072', `no server ${name}`);
  return { host: server.options['host'] ?? '', port: Number(server.options['port'] ?? 5432), database: server.options['dbname'] ?? '' };
}

function sameServer(a: Pick<ServerAddress, 'host' | 'port' | 'database'>, b: ServerAddress): boolean {
  const plain = (host: string): string => (host === 'localhost' || host === '::1' ? '127.0.0.1' : host);
  return describeAddress({ ...a, user: '', host: plain(a.host) }) === describeAddress({ host: plain(b.host), port: b.port, database: b.database, user: '' });
}

function defaultsOf(migration: MigrationSettings): StatedOptions {
  return {
    batchSize: migration.defaultBatchSize, parallelWorkers: migration.defaultParallelWorkers, cdcBatchSize: migration.cdcBatchSize,
    // These need a column or a function of each table, so they can't be a default for all.
    ...(migration.defaultConflictStrategy === 'timestamp_wins' || migration.defaultConflictStrategy === 'custom_merge' ? {} : { conflictStrategy: migration.defaultConflictStrategy }),
    dualWriteMode: migration.defaultDualWriteMode, bulkLoadWrites: migration.defaultBulkLoadWrites === 'block' ? 'block' : 'capture',
  };
}
