/** The process entry: `start` supervises, `demo` runs a whole migration, `control`, `worker` and `cql` are the supervisor's children; `cql-proxy` is the CQL proxy alone. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyOverrides, readCommandLine, usage } from '../../config/command-line.ts';
import { defaultSettings, loadSettings } from '../../config/load.ts';
import { noMetrics, processClock, processRuntime } from '../../config/process-runtime.ts';
import type { Settings } from '../../config/settings.ts';
import { isPortTaken } from '../ops/embedded-postgres.ts';
import { createLog } from '../ops/log.ts';
import { PrometheusMetrics } from '../ops/prometheus.ts';
import { banner } from './banner.ts';
import { runChild } from './child-process.ts';
import { startControl } from './control-process.ts';
import { startCql } from './cql-process.ts';
import { runCqlProxy } from './cql-proxy.ts';
import { runDemo } from './demo.ts';
import { startSides } from './embedded-sides.ts';
import { holdPidFile } from './pid-file.ts';
import { homeServer, statePaths, workerCount } from './process-settings.ts';
import { supervise } from './supervisor.ts';
import { showTraffic } from './show-traffic.ts';
import { startWorker } from './worker-process.ts';

const self = fileURLToPath(import.meta.url);
const project = path.dirname(path.dirname(path.dirname(self)));

switch (process.argv[2]) {
  case 'control': {
    const metrics = new PrometheusMetrics({ processMetrics: true });
    await runChild('control', metrics, (runtime, handed) => startControl(runtime, metrics, handed));
    break;
  }
  case 'worker': {
    const metrics = new PrometheusMetrics();
    await runChild('worker', metrics, (runtime, handed) => startWorker(runtime, metrics, handed));
    break;
  }
  case 'cql': {
    await runChild('cql', noMetrics, (runtime, { settings, paths }) => {
      if (!settings.cql) throw new Error('the settings have no section cql');
      return startCql(runtime, settings.cql, { directory: paths.cql, settingsDirectory: project, environment: process.env, controlSocket: paths.cqlSocket });
    });
    break;
  }
  case 'cql-proxy':
    await runCqlProxy(project, process.argv.slice(3));
    break;
  case 'demo':
    process.exit(await runDemo(self, project, process.argv.slice(3)));
    break;
  default:
    await start(process.argv.slice(process.argv[2] === 'start' ? 3 : 2));
}

async function start(args: readonly string[]): Promise<void> {
  try {
    const commandLine = readCommandLine(args);
    if (commandLine.help) return say(usage);
    const given = commandLine.configFile === undefined ? defaultSettings(project) : loadSettings(commandLine.configFile, process.env);
    await run(applyOverrides(given, commandLine.overrides), commandLine.traffic);
  } catch (error) {
    process.stderr.write(`causeway: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

async function run(settings: Settings, traffic: boolean): Promise<void> {
  const stop = new AbortController();
  // The first signal lets open transactions end, a second one does not wait for them.
  const hurry = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => (stop.signal.aborted ? hurry : stop).abort(new Error(signal)));
  const log = createLog({ ...settings.log, now: processClock.now }).child({ role: 'supervisor' });
  const runtime = processRuntime({ log, metrics: noMetrics, signal: stop.signal });
  await assertFree(settings.listen.port, '--port');
  await assertFree(settings.http.port, '--http-port');
  if (settings.cql) {
    await assertFree(settings.cql.listen.port, 'cql.listen.port:');
    await assertFree(settings.cql.http.port, 'cql.http.port:');
  }
  fs.mkdirSync(settings.stateDirectory, { recursive: true, mode: 0o755 });
  const paths = statePaths(path.resolve(settings.stateDirectory), os.tmpdir(), process.pid);
  await using stack = new AsyncDisposableStack();
  stack.use(holdPidFile(paths.supervisorPid));
  const sides = stack.use(await startSides(settings, paths.embedded, say));
  if (stop.signal.aborted) return;
  stack.use(await supervise(runtime, self, { settings, source: sides.source, local: sides.local, paths }, workerCount(settings), hurry.signal));
  say(banner(settings, homeServer, traffic));
  if (traffic) stack.use(showTraffic(settings, say));
  await new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    else stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  say('\nstopping');
  await stack.disposeAsync();
  process.exit(0);
}

async function assertFree(port: number, option: string): Promise<void> {
  if (await isPortTaken(port)) throw new Error(`port ${port} is taken by another program; choose another with ${option} N`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
