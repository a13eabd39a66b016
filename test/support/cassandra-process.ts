/** One Cassandra server as a process: its folder, its settings, its command line. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cassandraFolder, cassandraSources, findJava } from '../servers/cassandra-folder.ts';
import { freePort } from './postgres.ts';

const START_PATIENCE_MS = 180_000;
const NEEDED_BYTES = 2 * 1024 ** 3;

export interface CassandraAddress {
  readonly host: string;
  readonly port: number;
  /** The only data centre of a test cluster. */
  readonly datacenter: string;
}

export interface TestCassandraOptions {
  readonly clusterName?: string;
  /** Lines of cassandra.yaml, by name. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** False: never started again, so that nothing need be on the disk. */
  readonly durable?: boolean;
}

export interface CassandraProcess {
  readonly address: CassandraAddress;
  /** Stops it in good order, unless it has been killed, and starts it again on the same port. */
  restart(): Promise<void>;
  /** SIGKILL. What was acknowledged is kept. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay, and are even taken by the kernel, but nothing is answered. */
  suspend(): void;
  resume(): void;
  dispose(): Promise<void>;
}

interface CassandraPlace {
  readonly root: string;
  readonly clusterName: string;
  readonly port: number;
  readonly storagePort: number;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly durable: boolean;
}

let java: string | undefined | null = null;

/** Where the jars are; undefined when they or a Java for them are missing. */
export function installedCassandra(): { readonly jars: string; readonly java: string } | undefined {
  const jars = cassandraFolder(createHash('sha256').update(fs.readFileSync(path.join(cassandraSources, 'sha256sums'), 'utf8')).digest('hex'));
  if (!fs.existsSync(jars)) return undefined;
  if (java === null) java = findJava();
  return java === undefined ? undefined : { jars, java };
}

/** Resolves when clients are served. */
export async function startCassandraProcess(options: TestCassandraOptions = {}): Promise<CassandraProcess> {
  const parent = quickFolder();
  removeLeftOvers(parent);
  const root = fs.mkdtempSync(path.join(parent, `causeway-cassandra-${process.pid}-`));
  let child: ChildProcess | undefined;
  let [port, storagePort] = [await freePort(), await freePort()];
  const start = async (): Promise<void> => {
    child = await launch({ root, clusterName: options.clusterName ?? `test ${port}`, port, storagePort, settings: options.settings ?? {}, durable: options.durable ?? true });
  };
  const dispose = async (): Promise<void> => {
    await end(child, 'SIGKILL');
    fs.rmSync(root, { recursive: true, force: true });
  };
  try {
    await start().catch(async (error: unknown) => {
      // Others look for free ports too.
      if (!/Address already in use|Failed to bind|in use by another process/i.test(String(error))) throw error;
      [port, storagePort] = [await freePort(), await freePort()];
      await start();
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    address: { host: '127.0.0.1', port, datacenter: 'datacenter1' }, dispose,
    restart: async () => {
      await end(child, 'SIGTERM');
      await start();
    },
    kill: () => end(child, 'SIGKILL'),
    suspend: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
  };
}

/** In memory where there is room: a start and each definition wait for the disk a hundred times, and what is there is gone at the end anyway. */
function quickFolder(): string {
  const memory = '/dev/shm';
  try {
    fs.accessSync(memory, fs.constants.W_OK);
    const { bavail, bsize } = fs.statfsSync(memory);
    return bavail * bsize > NEEDED_BYTES ? memory : os.tmpdir();
  } catch {
    return os.tmpdir();
  }
}

/** Of processes that were killed: memory does not empty itself as a disk's folder for temporary files does. */
function removeLeftOvers(parent: string): void {
  for (const name of fs.readdirSync(parent)) {
    const pid = /^causeway-cassandra-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !fs.existsSync(`/proc/${pid}`)) fs.rmSync(path.join(parent, name), { recursive: true, force: true });
  }
}

async function launch(place: CassandraPlace): Promise<ChildProcess> {
  const installed = installedCassandra();
  if (installed === undefined) throw new Error('Cassandra is not installed: run node test/servers/install-cassandra.ts');
  writeSettings(place);
  const file = path.join(place.root, 'log');
  const log = fs.openSync(file, 'a');
  let child: ChildProcess;
  try {
    // The kernel ends the server with the process that started it, however that ends.
    child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', installed.java, ...optionsOf(place, installed.jars), 'org.apache.cassandra.service.CassandraDaemon'], { cwd: place.root, stdio: ['ignore', log, log] });
  } finally {
    fs.closeSync(log);
  }
  try {
    await untilServing(child, place.port, file);
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  }
  return child;
}

async function end(child: ChildProcess | undefined, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child?.pid === undefined || !isRunning(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function untilServing(child: ChildProcess, port: number, log: string): Promise<void> {
  let failure: unknown;
  child.once('error', (error) => { failure = error; });
  for (const deadline = Date.now() + START_PATIENCE_MS; ; await delay(50)) {
    // Another server may have the port: only a living child's answer is its own.
    if (failure !== undefined || !isRunning(child)) throw new Error(`the server did not start: ${failure instanceof Error ? failure.message : fs.readFileSync(log, 'utf8').slice(-3000)}`);
    // The port opens as the last step of a start.
    if (await isOpen(port) && isRunning(child)) return;
    if (Date.now() > deadline) throw new Error(`the server did not open its port in ${START_PATIENCE_MS} ms: ${fs.readFileSync(log, 'utf8').slice(-3000)}`);
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

/** YAML reads JSON. */
function writeSettings({ root, clusterName, port, storagePort, settings, durable }: CassandraPlace): void {
  fs.mkdirSync(path.join(root, 'conf'), { recursive: true });
  fs.writeFileSync(path.join(root, 'conf', 'cassandra.yaml'), JSON.stringify({
    cluster_name: clusterName, num_tokens: 1, initial_token: '0', partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner', endpoint_snitch: 'SimpleSnitch',
    seed_provider: [{ class_name: 'org.apache.cassandra.locator.SimpleSeedProvider', parameters: [{ seeds: `127.0.0.1:${storagePort}` }] }],
    listen_address: '127.0.0.1', rpc_address: '127.0.0.1', storage_port: storagePort, native_transport_port: port, start_native_transport: true,
    data_file_directories: [path.join(root, 'data')], commitlog_directory: path.join(root, 'commitlog'), saved_caches_directory: path.join(root, 'caches'),
    hints_directory: path.join(root, 'hints'), cdc_raw_directory: path.join(root, 'cdc'), ...(durable ? { commitlog_sync: 'batch' } : { commitlog_sync: 'periodic', commitlog_sync_period: '10000ms' }), commitlog_segment_size: '8MiB',
    memtable_heap_space: '64MiB', memtable_offheap_space: '64MiB', key_cache_size: '1MiB', counter_cache_size: '1MiB', file_cache_size: '32MiB', networking_cache_size: '16MiB',
    concurrent_reads: 8, concurrent_writes: 8, concurrent_counter_writes: 8, concurrent_compactors: 1, auto_snapshot: false, materialized_views_enabled: true,
    storage_compatibility_mode: 'NONE', ...settings,
  }, undefined, 1));
  fs.writeFileSync(path.join(root, 'conf', 'logback.xml'), '<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d %-5level %logger{20} %msg%n</pattern></encoder></appender><root level="WARN"><appender-ref ref="OUT"/></root></configuration>\n');
}

/** Java 17 hides these; Cassandra needs them (its own list for that version). */
const exported = ['java.base/jdk.internal.misc', 'java.management.rmi/com.sun.jmx.remote.internal.rmi', 'java.rmi/sun.rmi.registry', 'java.rmi/sun.rmi.server', 'java.sql/java.sql', 'java.base/java.lang.ref', 'jdk.unsupported/sun.misc', 'jdk.compiler/com.sun.tools.javac.file', 'jdk.attach/sun.tools.attach'];
const opened = [
  ...['java.lang.module', 'jdk.internal.loader', 'jdk.internal.ref', 'jdk.internal.reflect', 'jdk.internal.math', 'jdk.internal.module', 'jdk.internal.util.jar', 'sun.nio.ch', 'java.io', 'java.lang.reflect', 'java.lang', 'java.lang.ref', 'java.util', 'java.util.concurrent', 'java.util.concurrent.atomic', 'java.nio', 'java.nio.charset'].map((name) => `java.base/${name}`),
  'jdk.management/com.sun.management.internal', 'jdk.compiler/com.sun.tools.javac',
];

function optionsOf({ root, durable }: CassandraPlace, jars: string): readonly string[] {
  const properties = {
    'cassandra.config': `file://${root}/conf/cassandra.yaml`, 'logback.configurationFile': `file://${root}/conf/logback.xml`, 'cassandra.storagedir': root, 'cassandra-foreground': 'yes',
    'cassandra.ring_delay_ms': '100', 'cassandra.skip_wait_for_gossip_to_settle': '0', 'cassandra.superuser_setup_delay_ms': '0', 'cassandra.jmx.local.port': '0',
    'java.net.preferIPv4Stack': 'true', 'java.security.manager': 'allow', 'io.netty.tryReflectionSetAccessible': 'true', 'jdk.attach.allowAttachSelf': 'true', 'java.io.tmpdir': root,
    // Two servers of two cores: what starts threads by the number of cores starts few.
    'io.netty.eventLoopThreads': '2',
    ...(durable ? {} : { 'cassandra.test.flush_local_schema_changes': 'false' }),
  };
  return [
    '-Xms256m', '-Xmx256m', '-Xss512k', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:MaxDirectMemorySize=128m', '-XX:+ExitOnOutOfMemoryError', '-XX:-UsePerfData',
    `-javaagent:${path.join(jars, 'jamm-0.4.0.jar')}`,
    ...exported.map((name) => `--add-exports=${name}=ALL-UNNAMED`), ...opened.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
    '-cp', `${root}/conf:${jars}/*`,
  ];
}
