/**
 * `npm run cql:demo`: a cluster is moved to another one, unattended and under an application's writes, through the five phases of the suite's document: dual writing, bulk load, validation,
 * two-way scanning, monitoring; and over to the target, with a way back on the way. Rows are spoilt on purpose and repaired. The product runs as an operator would run it: the proxy as a
 * process, its HTTP API, the commands. Exit code 0: everything held.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { ComparisonReport } from '../../cdc/cassandra/compare/comparison-report.ts';
import { holdPidFile } from '../../src/main/pid-file.ts';
import { cqlDemoReport } from './cql-demo-report.ts';
import type { CqlDemoFindings, DemoPhase } from './cql-demo-report.ts';
import { countLost, DemoApplication } from './demo-application.ts';
import { startClusters } from './demo-clusters.ts';
import type { ClusterChoice, DemoClusters } from './demo-clusters.ts';
import { countDifferent, createTables, dropTables, fill, KEYSPACE, spoil, spoilAgain, tables } from './demo-data.ts';
import { DemoProxy } from './demo-proxy.ts';
import type { Running } from './demo-proxy.ts';

const usage = `npm run cql:demo -- [options]
  --rows N                rows that are there before (default 20000)
  --rate N                writes per second of the application (default 200)
  --source HOST:PORT      a node of a cluster that you have, with --target; the demo makes the keyspace ${KEYSPACE} there, and drops it
  --target HOST:PORT
  --simulated             two clusters simulated in the demo's own process, where Cassandra cannot be had
  --port N                of the proxy (default: a free one)
  --http-port N           of its HTTP API (default: a free one)
  --state-directory DIR   settings, logs and reports of the run (default .causeway/cql-demo)
  --help
Without --source, --target or --simulated it starts two Cassandra servers of its own. The exit code is 0 when every promise held.`;

const WORKERS = 8;
/** For what the scanner has to repair. */
const SCANS_MS = 300_000;
const project = path.resolve(import.meta.dirname, '../..');

async function demo(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // What was started ends with this process.
      if (stop.signal.aborted) process.exit(130);
      say(`\n${signal}: ending what was started; once more to end at once`);
      stop.abort(new Error(`ended by ${signal}`));
    });
  }
  try {
    const options = readOptions(args);
    if (options === undefined) {
      say(usage);
      return 0;
    }
    return await run(options, stop.signal);
  } catch (error) {
    say(`\ndemo failed: ${error instanceof Error ? error.message : String(error)}`);
    return stop.signal.aborted ? 130 : 1;
  }
}

interface DemoOptions {
  readonly choice: ClusterChoice;
  readonly rows: number;
  readonly rate: number;
  readonly folder: string;
  readonly port: number | undefined;
  readonly httpPort: number | undefined;
}

function readOptions(args: readonly string[]): DemoOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: args.filter((arg) => arg !== '--'), strict: true, options: { rows: text, rate: text, source: text, target: text, simulated: { type: 'boolean', default: false }, port: text, 'http-port': text, 'state-directory': text, help: { type: 'boolean', default: false } } });
  if (values.help) return undefined;
  if ((values.source === undefined) !== (values.target === undefined)) throw new Error('--source and --target go together');
  const choice: ClusterChoice = values.source !== undefined && values.target !== undefined ? { kind: 'given', source: values.source, target: values.target } : { kind: values.simulated ? 'simulated' : 'cassandra' };
  return {
    choice, rows: whole('rows', values.rows, 10_000_000) ?? 20_000, rate: whole('rate', values.rate, 10_000) ?? 200, folder: path.resolve(values['state-directory'] ?? path.join(project, '.causeway', 'cql-demo')),
    port: whole('port', values.port, 65_535), httpPort: whole('http-port', values['http-port'], 65_535),
  };
}

function whole(name: string, given: string | undefined, most: number): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (!/^\d+$/.test(given) || value < 1 || value > most) throw new Error(`--${name}: expected a number from 1 to ${most}, not "${given}"`);
  return value;
}

async function run(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const { folder, choice } = options;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  using _held = holdPidFile(`${folder}.pid`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  await using clusters = await startClusters(choice, say);
  signal.throwIfAborted();
  try {
    const { text, held } = cqlDemoReport(await walk(clusters, options, signal));
    fs.writeFileSync(path.join(folder, 'report.txt'), text);
    say(text);
    return held ? 0 : 1;
  } finally {
    if (choice.kind === 'given') await dropTables(clusters);
  }
}

/** The whole way; phase by phase. */
async function walk(clusters: DemoClusters, { choice, rows, rate, folder, port, httpPort }: DemoOptions, signal: AbortSignal): Promise<CqlDemoFindings> {
  const began = performance.now();
  const phases = new Phases(signal);
  /** Writes between two steps. */
  const some = Math.ceil(rate * (choice.kind === 'simulated' ? 0.5 : 2));
  const filled = await phases.pass('Before: tables, rows on the source', async (tell) => {
    await createTables(clusters);
    const count = await fill(clusters, rows, signal);
    tell(`${count} rows in ${tables.length} tables of ${KEYSPACE}`);
    return count;
  });
  await using proxy = await DemoProxy.start({ folder, clusters, port, httpPort, signal, say });
  const application = await DemoApplication.start(proxy.port, WORKERS, rate);
  const progress = setInterval(() => say(`    application: ${application.writes} writes, ${application.errorCount} errors`), 5000);
  const to = async (mode: string): Promise<void> => {
    await proxy.switchTo(mode);
    application.mode = mode;
    say(`    mode ${mode}`);
    await written(application, some, signal);
  };
  const ended = async ({ ended: end }: Running): Promise<string> => {
    const { code, output } = await end;
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`the command ended with ${code}`);
    return output;
  };
  const validate = async (name: string): Promise<ComparisonReport> => {
    const report = path.join(folder, `${name}.json`);
    await proxy.command('validate', 'dual-reader.yaml', '--proxy', proxy.url, '--report', report).ended;
    signal.throwIfAborted();
    return JSON.parse(fs.readFileSync(report, 'utf8')) as ComparisonReport;
  };
  try {
    await phases.pass('Phase 1: dual writing (DualAsync)', async () => {
      await written(application, some, signal);
      await to('DualAsync');
    });
    const loadBegan = performance.now();
    const loaded = await phases.pass('Phase 2: bulk load', async (tell) => {
      const output = await ended(proxy.command('load', 'sstable-loader.yaml', '--proxy', proxy.url));
      const count = [...output.matchAll(/: done, (\d+) rows/g)].reduce((sum, [, one]) => sum + Number(one), 0);
      tell(`${count} rows`);
      return count;
    });
    const loadMs = performance.now() - loadBegan;
    const validated = await phases.pass('Phase 3: validation', async (tell) => {
      const clean = await validate('clean');
      tell(`${clean.rowsCompared} rows compared, ${clean.rowsDifferent} different`);
      const spoilt = await spoil(clusters, filled);
      say(`    ${spoilt.length} rows are spoilt, past the proxy`);
      const broken = await validate('broken');
      tell(`after ${spoilt.length} were spoilt: ${broken.rowsDifferent} different`);
      const refusal = await proxy.refusalOf('ShadowPrimary');
      tell(`the switch to ShadowPrimary is refused: ${refusal ?? 'NO'}`);
      return { differentBefore: clean.rowsDifferent + clean.unsettled, spoilt, found: broken.counts, refusal };
    });
    const scanned = await phases.pass('Phase 4: two-way scanning, repair', async (tell) => {
      const scanner = proxy.command('scan', 'dual-reader.yaml', '--mode', 'Continuous', '--reconcile', 'source-wins', '--proxy', proxy.url);
      await scans(scanner, (list) => isClean(list.at(-1)), signal);
      await spoilAgain(clusters);
      say('    one more row is spoilt while the scanner goes round');
      const before = scansOf(scanner.output()).length;
      await scans(scanner, (list) => list.slice(before).some(({ repaired }) => repaired > 0) && isClean(list.at(-1)), signal);
      scanner.stop();
      await ended(scanner);
      const list = scansOf(scanner.output());
      const repaired = list.reduce((sum, one) => sum + one.repaired, 0);
      tell(`${list.length} scans, ${repaired} rows repaired, ${list.at(-1)?.different ?? 0} different in the last one`);
      return { repaired, leftDifferent: list.at(-1)?.different ?? 0 };
    });
    await phases.pass('Phase 5: monitoring, over to the target and back', async (tell) => {
      for (const mode of ['DualSync', 'ShadowPrimary', 'DualSync', 'ShadowPrimary', 'TargetOnly']) {
        await to(mode);
        const [health, stats] = [await proxy.get('/health'), await proxy.get('/stats')];
        say(`    dashboard: ${JSON.stringify(await proxy.get('/dashboard'))}`);
        tell(`${mode}: ${String(health['status'])}; ${String(stats['total_writes'])} writes, ${String(stats['failed_writes'])} failed, ${String(stats['queued_writes'])} queued, ${String(stats['repair_entries'])} to repair`);
      }
    });
    await application.stop();
    const stats = await proxy.get('/stats');
    return {
      clusters: [clusters.source.told, clusters.target.told], phases: phases.passed, rows: filled, loadedRows: loaded, loadMs, ...validated, ...scanned,
      lost: await countLost(application.acknowledged, clusters.target.client), different: await countDifferent(clusters), queued: Number(stats['queued_writes']), repairEntries: Number(stats['repair_entries']),
      application: application.figures(), totalMs: performance.now() - began,
    };
  } finally {
    clearInterval(progress);
    await application.stop();
  }
}

class Phases {
  readonly passed: DemoPhase[] = [];
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async pass<T>(title: string, work: (tell: (line: string) => void) => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    say(`\n== ${title} ==`);
    const told: string[] = [];
    const began = performance.now();
    const result = await work((line) => {
      told.push(line);
      say(`    ${line}`);
    });
    this.passed.push({ title, elapsedMs: performance.now() - began, told });
    return result;
  }
}

/** So many writes go on, however long the machine takes for them. */
async function written(application: DemoApplication, count: number, signal: AbortSignal): Promise<void> {
  const wanted = application.writes + count;
  while (application.writes < wanted && application.errorCount === 0) await delay(20, undefined, { signal });
}

interface ScanLine {
  readonly passed: boolean;
  readonly different: number;
  readonly repaired: number;
}

function isClean(scan: ScanLine | undefined): boolean {
  return scan?.passed === true && scan.different === 0;
}

function scansOf(output: string): readonly ScanLine[] {
  return [...output.matchAll(/: (passed|NOT passed); \d+ rows compared, (\d+) different, (\d+) repaired/g)].map(([, word, different, repaired]) => ({ passed: word === 'passed', different: Number(different), repaired: Number(repaired) }));
}

async function scans(scanner: Running, isEnough: (list: readonly ScanLine[]) => boolean, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + SCANS_MS;
  let code: number | null | undefined;
  void scanner.ended.then((ended) => (code = ended.code));
  while (!isEnough(scansOf(scanner.output()))) {
    if (code !== undefined) throw new Error(`the scanner ended with ${code}`);
    if (Date.now() > deadline) throw new Error(`the scanner has not removed every difference in ${SCANS_MS / 1000} s`);
    await delay(100, undefined, { signal });
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exit(await demo(process.argv.slice(2)));
