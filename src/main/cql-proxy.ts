/** `npm run cql`: the CQL proxy alone, by the documents' own files (`dual-writer-*.yaml`) or by a file with the section `cql`; or, named first, one of the commands beside it. */
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { cqlSettings } from '../../config/cql/cql-settings.ts';
import type { CqlSettings } from '../../config/cql/cql-settings.ts';
import { keysWithoutEffect } from '../../config/cql/keys-without-effect.ts';
import type { KeyWithoutEffect } from '../../config/cql/keys-without-effect.ts';
import { dualWriterFile, settingsOfDualWriter } from '../../config/cql/service-files.ts';
import type { Observability } from '../../config/cql/service-files.ts';
import { noMetrics, processClock, processRuntime } from '../../config/process-runtime.ts';
import { readYamlFile } from '../../config/read-yaml.ts';
import { createLog } from '../ops/log.ts';
import { runScan, runValidate } from './cql-compare.ts';
import { runLoad } from './cql-load.ts';
import { startCql } from './cql-process.ts';

export const proxyUsage = `npm run cql -- --config FILE [options]
  --config FILE           dual-writer-cassandra.yaml, dual-writer-scylla.yaml, or a file with the section cql
  --filter FILE           filter-rules.yaml
  --port N                clients (default: of the file; 9042)
  --http-port N           HTTP API (default: of the file; 8080 with a dual-writer file)
  --state-directory DIR   intent log, modes, repair list (default .causeway/cql)
  --log-format FORMAT     auto, json or text
  --help
npm run cql -- load|validate|scan --help: copying tables from one cluster to the other, comparing both, repairing what differs`;

const commands: Readonly<Record<string, (project: string, args: readonly string[]) => Promise<number>>> = { load: runLoad, validate: runValidate, scan: runScan };

/** Ends with the process: SIGTERM and SIGINT let what is in hand end, a second one does not wait. */
export async function runCqlProxy(project: string, args: readonly string[]): Promise<void> {
  try {
    const command = commands[args[0] ?? ''];
    if (command) process.exit(await command(project, args.slice(1)));
    await run(project, args);
  } catch (error) {
    process.stderr.write(`causeway: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

async function run(project: string, args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args], strict: true,
    options: { config: { type: 'string' }, filter: { type: 'string' }, port: { type: 'string' }, 'http-port': { type: 'string' }, 'state-directory': { type: 'string' }, 'log-format': { type: 'string', default: 'auto' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(`${proxyUsage}\n`);
    return;
  }
  if (values.config === undefined) throw new Error(`--config: expected a file\n${proxyUsage}`);
  const format = z.enum(['auto', 'json', 'text']).parse(values['log-format']);
  const { settings: read, observability: { logLevel = 'info', metricsPort }, withoutEffect } = readSettings(values.config);
  const settings: CqlSettings = {
    ...read, listen: { ...read.listen, port: portOf('port', values.port) ?? read.listen.port }, http: { ...read.http, port: portOf('http-port', values['http-port']) ?? read.http.port },
    ...(values.filter === undefined ? {} : { filterRules: path.resolve(values.filter) }),
  };
  const directory = path.resolve(values['state-directory'] ?? path.join(project, '.causeway', 'cql'));
  const stop = new AbortController();
  const hurry = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => (stop.signal.aborted ? hurry : stop).abort(new Error(signal)));
  const log = createLog({ level: logLevel, format, now: processClock.now }).child({ role: 'cql' });
  for (const { key, instead } of withoutEffect) log.warn('a key of the settings has no effect', { key, instead });
  const running = await startCql(processRuntime({ log, metrics: noMetrics, signal: stop.signal }), settings, { directory, settingsDirectory: path.dirname(path.resolve(values.config)), environment: process.env, metricsPort });
  process.stdout.write(`CQL clients: ${settings.listen.host}:${running.port}\nHTTP API:    http://${settings.http.host}:${running.httpPort}\n`);
  await new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    else stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  hurry.signal.addEventListener('abort', () => process.exit(1), { once: true });
  await running.drain?.(hurry.signal);
  await running[Symbol.asyncDispose]();
  process.exit(0);
}

interface ReadFile {
  readonly settings: CqlSettings;
  readonly observability: Partial<Observability>;
  readonly withoutEffect: readonly KeyWithoutEffect[];
}

/** Which of the two kinds a file is shows in its keys. */
function readSettings(file: string): ReadFile {
  const keys = readYamlFile(file, z.looseObject({}), process.env);
  if ('cql' in keys) return { settings: readYamlFile(file, z.looseObject({ cql: cqlSettings }), process.env).cql, observability: {}, withoutEffect: [] };
  const given = readYamlFile(file, dualWriterFile, process.env);
  if (given.source.keyspace !== undefined && given.target.keyspace !== undefined && given.source.keyspace !== given.target.keyspace) {
    throw new Error(`${file}: source.keyspace is ${given.source.keyspace} and target.keyspace ${given.target.keyspace}: a keyspace has the same name on both clusters`);
  }
  return { settings: settingsOfDualWriter(given), observability: given.observability, withoutEffect: keysWithoutEffect('dual-writer', keys) };
}

function portOf(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const port = Number(given);
  if (!/^\d+$/.test(given) || port < 1 || port > 65_535) throw new Error(`--${name}: expected a number from 1 to 65535, not "${given}"`);
  return port;
}
