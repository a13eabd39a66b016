/** `npm run cql -- validate` and `scan`: whether both clusters hold the same, by `dual-reader.yaml`; the scan may repair what does not. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { comparingDefaults } from '../../cdc/cassandra/compare/compare-tables.ts';
import type { ComparingOptions } from '../../cdc/cassandra/compare/compare-tables.ts';
import type { ComparisonReport } from '../../cdc/cassandra/compare/comparison-report.ts';
import type { ReconcileMode } from '../../cdc/cassandra/compare/plan-repair.ts';
import { printReport } from '../../cdc/cassandra/compare/print-report.ts';
import type { RecentKeys } from '../../cdc/cassandra/compare/recent-keys.ts';
import { SqliteScanLedger } from '../../cdc/cassandra/compare/scan-ledger.ts';
import { TwoWayScanner } from '../../cdc/cassandra/compare/two-way-scanner.ts';
import { Validator } from '../../cdc/cassandra/compare/validator.ts';
import type { ValidationMode } from '../../cdc/cassandra/compare/validator.ts';
import { printTable } from '../../cdc/cassandra/table.ts';
import { dualReaderFile } from '../../config/cql/service-files.ts';
import type { DualReaderFile } from '../../config/cql/service-files.ts';
import type { Runtime } from '../../config/runtime.ts';
import { portOf, readServiceFile, tablePairs, withClusters } from './cql-clusters.ts';
import type { ServiceFile } from './cql-clusters.ts';
import { CompareService } from './cql-compare-service.ts';
import { keysOfDirectory, keysOfProxy, LoggedKeys } from './cql-recent-keys.ts';
import { ProxyLinks } from './cql-proxy-links.ts';
import { untilEnded } from './one-job.ts';

export const validateUsage = `npm run cql -- validate --config FILE [options]
  --config FILE           dual-reader.yaml: both clusters, and what is compared how
  --mode MODE             FullScan (default), RandomSample (sample_rate of the file), CriticalTables, RecentWrites
  --tables LIST           of CriticalTables: ks.table, comma between them
  --since TIME            of RecentWrites: 2026-01-31T12:00:00Z
  --dual-writes-since TIME  what only the target has and is older was deleted by the source: TombstoneMismatch
  --accept-later-target   the same value with a later time on the target is the same: what source-wins leaves behind
  --report FILE           the report as JSON
  --proxy URL[,URL]       HTTP API of the running proxy, or of each of a group, which is told the result: a failed one stands against its switches. RecentWrites asks it what was written
  --key-log DIR           of RecentWrites: state directory of a proxy (comma between several), which is read instead of asking
  --state-directory DIR   (default .causeway/cql/compare)
  --help
The exit code is 0 when nothing is different, 1 when something is.`;

export const scanUsage = `npm run cql -- scan --config FILE [options]
  --config FILE           dual-reader.yaml; auto_reconcile and reconciliation_mode repair what is different
  --mode MODE             OneTime (default), Continuous, Incremental; the latter two go on every validation_interval_secs until Ctrl-C
  --reconcile MODE        source-wins, newest or manual, over the file
  --dual-writes-since TIME  what only the target has and is older was deleted by the source: TombstoneMismatch
  --alert-threshold N     more different rows than this are an alert (default 0)
  --http-port N           serves the HTTP API of validator and scanner (the document's port is 8082) and waits for POST /start or /validate, until Ctrl-C
  --http-host HOST        for it (default 127.0.0.1)
  --auto-start            with --http-port: scans at once
  --report FILE           the last report as JSON
  --proxy URL[,URL]       HTTP API of the running proxy, or of each of a group, which is told the result: a failed one stands against its switches. Incremental asks it what was written
  --key-log DIR           of Incremental: state directory of a proxy (comma between several), which is read instead of asking
  --state-directory DIR   what was different where (default .causeway/cql/compare)
  --help
The exit code is 0 when the last scan found nothing different, or repaired all of it.`;

const flags = { config: { type: 'string' }, mode: { type: 'string' }, report: { type: 'string' }, proxy: { type: 'string' }, 'key-log': { type: 'string' }, 'dual-writes-since': { type: 'string' }, 'state-directory': { type: 'string' }, help: { type: 'boolean', default: false } } as const;
const scanModes = ['OneTime', 'Continuous', 'Incremental'] as const;
const validationModes = ['FullScan', 'RandomSample', 'CriticalTables', 'RecentWrites'] as const;
const DEFAULT_INTERVAL_SECS = 300;

/** Resolves with the exit code. */
export async function runValidate(project: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], strict: true, options: { ...flags, tables: { type: 'string' }, since: { type: 'string' }, 'accept-later-target': { type: 'boolean', default: false } } });
  if (values.help) return help(validateUsage);
  const file = readFile(values.config, validateUsage);
  const mode = oneOf('mode', values.mode ?? 'FullScan', validationModes);
  return withClusters(stateDirectory(project, values['state-directory']), file, async ({ runtime, clusters }) => {
    const proxy = await ProxyLinks.open(values.proxy, looksAtEveryRow(file));
    const pairs = await tablePairs(clusters, comparedTables(file), file.source, file.target);
    const began = performance.now();
    const report = await new Validator(runtime, clusters, { ...optionsOf(file, values['dual-writes-since']), acceptsLaterTarget: values['accept-later-target'] }).validate(pairs, validationMode(mode, file, values, recentKeys(values, runtime)), runtime.signal);
    const code = tell(report, values.report);
    if (proxy) say(await proxy.tell(report, began));
    return code;
  });
}

/** Resolves with the exit code. */
export async function runScan(project: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], strict: true, options: { ...flags, reconcile: { type: 'string' }, 'alert-threshold': { type: 'string', default: '0' }, 'http-port': { type: 'string' }, 'http-host': { type: 'string', default: '127.0.0.1' }, 'auto-start': { type: 'boolean', default: false } } });
  if (values.help) return help(scanUsage);
  const file = readFile(values.config, scanUsage);
  const scanMode = oneOf('mode', values.mode ?? 'OneTime', scanModes);
  if (!/^\d{1,9}$/.test(values['alert-threshold'])) throw new Error(`--alert-threshold: expected a number of rows, not "${values['alert-threshold']}"`);
  const alertThreshold = Number(values['alert-threshold']);
  const httpPort = portOf(values['http-port']);
  const { validation_interval_ms: intervalMs, validation_interval_secs: intervalSecs } = file.reader;
  const reconcile = reconcileMode(values.reconcile ?? (file.reader.auto_reconcile ? file.reader.reconciliation_mode ?? 'source-wins' : 'manual'));
  return withClusters(stateDirectory(project, values['state-directory']), file, async ({ runtime, clusters, directory }) => {
    using ledger = new SqliteScanLedger(path.join(directory, 'scan.db'));
    const proxy = await ProxyLinks.open(values.proxy, looksAtEveryRow(file));
    const pairs = await tablePairs(clusters, comparedTables(file), file.source, file.target);
    const keys = recentKeys(values, runtime);
    const scan = async (signal: AbortSignal, heard: (report: ComparisonReport) => void): Promise<number> => {
      // By the source: it has to stay the truth as long as this writes.
      await using held = reconcile === 'source-wins' ? await proxy?.hold(pairs.map(({ sourceTable }) => printTable(sourceTable))) : undefined;
      let code = 1;
      let told = Promise.resolve();
      let began = performance.now();
      const scanner = new TwoWayScanner(runtime, clusters, pairs, ledger, {
        ...optionsOf(file, values['dual-writes-since']), reconcile, scanMode, alertThreshold, scanIntervalMs: intervalMs ?? (intervalSecs ?? DEFAULT_INTERVAL_SECS) * 1000, ...(keys ? { keys } : {}),
      }, {
        scanned: (report) => {
          code = tell(report, values.report);
          heard(report);
          const ownBegin = began;
          began = performance.now();
          // One scan that the proxy did not hear of does not end those that follow; a single one has failed with it.
          if (proxy) told = told.then(() => proxy.tell(report, ownBegin)).then(say, (error: unknown) => {
            code = 1;
            say(error instanceof Error ? error.message : String(error));
          });
        },
        alert: ({ rowsDifferent }) => say(`ALERT: ${rowsDifferent} rows are different, more than ${alertThreshold}`),
      });
      await scanner.run(held ? AbortSignal.any([signal, held.lost]) : signal);
      await told;
      held?.lost.throwIfAborted();
      return code;
    };
    if (httpPort === undefined) return await scan(runtime.signal, () => undefined);
    await using service = new CompareService({
      runtime, host: values['http-host'], port: httpPort, metricsPort: file.observability.metricsPort, scan,
      validation: (wanted) => {
        const mode = validationMode(oneOf('mode', wanted.mode, validationModes), file, wanted, keys);
        return async (signal) => {
          const began = performance.now();
          const report = await new Validator(runtime, clusters, optionsOf(file, values['dual-writes-since'])).validate(pairs, mode, signal);
          tell(report, values.report);
          if (proxy) say(await proxy.tell(report, began));
          return report;
        };
      },
    });
    say(`HTTP API of validator and scanner: port ${await service.listen()}`);
    if (values['auto-start']) service.start();
    await untilEnded(runtime.signal);
    return 0;
  });
}

/** Undefined when no proxy is named: then rows are chosen by the times that they carry. */
function recentKeys({ proxy, 'key-log': keyLog }: { readonly proxy?: string | undefined; readonly 'key-log'?: string | undefined }, { clock }: Runtime): RecentKeys | undefined {
  const named = (list: string): readonly string[] => list.split(',').map((one) => one.trim());
  const nowMs = (): number => clock.now();
  if (keyLog !== undefined) {
    const directories = named(keyLog).map((directory) => path.resolve(directory));
    const wrong = directories.find((directory) => !fs.existsSync(path.join(directory, 'intents')));
    if (wrong !== undefined) throw new Error(`--key-log: ${wrong} is no state directory of a CQL proxy: it has no folder intents`);
    return new LoggedKeys(directories.map((directory) => keysOfDirectory(directory, nowMs)), nowMs);
  }
  return proxy === undefined ? undefined : new LoggedKeys(named(proxy).map(keysOfProxy), nowMs);
}

/** Rows that are left out by a rule are not proved to be equal. */
function looksAtEveryRow({ filter }: DualReaderFile): boolean {
  return !filter.enabled || filter.compare_system_domain_ids.length === 0;
}

function oneOf<Choice extends string>(flag: string, given: string, choices: readonly Choice[]): Choice {
  const chosen = choices.find((choice) => choice === given);
  if (chosen === undefined) throw new Error(`--${flag}: expected one of ${choices.join(', ')}, not "${given}"`);
  return chosen;
}

function help(usage: string): number {
  say(usage);
  return 0;
}

function readFile(name: string | undefined, usage: string): DualReaderFile & ServiceFile {
  if (name === undefined) throw new Error(`--config: expected a file\n${usage}`);
  return readServiceFile('dual-reader', name, dualReaderFile);
}

function stateDirectory(project: string, given: string | undefined): string {
  return path.resolve(given ?? path.join(project, '.causeway/cql/compare'));
}

function comparedTables({ reader, filter }: DualReaderFile): readonly string[] {
  const tables = reader.tables.map(({ name }) => name);
  if (!filter.enabled || filter.compare_tables.length === 0) return tables;
  return tables.length === 0 ? filter.compare_tables : tables.filter((name) => filter.compare_tables.includes(name));
}

function optionsOf({ reader, filter }: DualReaderFile, dualWritesSince: string | undefined): ComparingOptions {
  const { discrepancy_log_path: log } = filter;
  return {
    ...comparingDefaults, pageRows: reader.batch_size, parallelRanges: reader.max_concurrent_reads, mostListed: reader.max_discrepancies_to_report,
    ...(dualWritesSince === undefined ? {} : { dualWritesSince: timeOf('dual-writes-since', dualWritesSince) }),
    ...(filter.enabled && filter.compare_system_domain_ids.length > 0 ? { tenants: { column: filter.system_domain_id_column, tenants: filter.compare_system_domain_ids } } : {}),
    ...(filter.log_discrepancies && typeof log === 'string' ? { sink: (discrepancy) => fs.promises.appendFile(log, `${JSON.stringify(discrepancy)}\n`) } : {}),
  };
}

function validationMode(mode: (typeof validationModes)[number], { reader }: DualReaderFile, { tables, since }: { readonly tables?: string | undefined; readonly since?: string | undefined }, keys: RecentKeys | undefined): ValidationMode {
  switch (mode) {
    case 'FullScan': return { mode };
    case 'RandomSample': return { mode, sampleRate: reader.sample_rate, random: Math.random };
    case 'CriticalTables': {
      if (tables === undefined) throw new Error('--tables: CriticalTables needs their names');
      return { mode, tables: tables.split(',').map((name) => name.trim()) };
    }
    case 'RecentWrites': {
      if (since === undefined) throw new Error('--since: RecentWrites needs a time such as 2026-01-31T12:00:00Z');
      return { mode, since: timeOf('since', since), ...(keys ? { keys } : {}) };
    }
    default: return mode satisfies never;
  }
}

/** In microseconds. */
function timeOf(flag: string, written: string): bigint {
  const at = Date.parse(written);
  if (Number.isNaN(at)) throw new Error(`--${flag}: expected a time such as 2026-01-31T12:00:00Z, not "${written}"`);
  return BigInt(at) * 1000n;
}

/** `SourceWins`, `source_wins`, `source-wins` … */
function reconcileMode(written: string): ReconcileMode {
  const known: Readonly<Record<string, ReconcileMode>> = { sourcewins: 'source-wins', newest: 'newest', newestwins: 'newest', manual: 'manual' };
  const mode = known[written.toLowerCase().replace(/[_\s-]/g, '')];
  if (mode === undefined) throw new Error(`reconciliation mode "${written}": expected source-wins, newest or manual`);
  return mode;
}

function tell(report: ComparisonReport, file: string | undefined): number {
  say(printReport(report));
  if (file !== undefined) fs.writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  return report.passed ? 0 : 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
