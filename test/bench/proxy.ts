/**
 * `bench proxy`: `pgbench -S`, 8 clients, in the protocols `prepared` and `extended`: direct, through the gateway, through a bare Node byte
 * pipe with as many processes, and through pgbouncer (session pooling). The four take turns within each round, and each round begins with another.
 * Ratios are of the medians over the rounds. Processor time of the worker processes per transaction is shown beside them: it says the same on a
 * machine that is busy with other things.
 */
import { execFile, spawn } from 'node:child_process';
import cluster from 'node:cluster';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { freePort, startTestPostgres } from '../support/postgres.ts';

const run_ = promisify(execFile);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5);
const PROCESSES = Number(process.env['BENCH_PROCESSES'] ?? 2);
const CLIENTS = 8;
const modes = ['prepared', 'extended'] as const;
const pgbench = ['/usr/lib/postgresql/15/bin/pgbench', '/usr/bin/pgbench'].find((file) => fs.existsSync(file)) ?? 'pgbench';
const pgbouncer = '/usr/sbin/pgbouncer';

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
}

interface Result {
  readonly tps: number;
  /** Of the processes in between, user and system, in microseconds. */
  readonly cpuPerTransaction: number;
}

export async function run(): Promise<void> {
  await using server = await startTestPostgres({ settings: { shared_buffers: '128MB' } });
  const { port } = server.address;
  await run_(pgbench, ['-i', '-s', '5', '-q', ...connection(port)]);
  const contenders: Contender[] = [{ name: 'direct', port, pids: [] }];
  contenders.push({ name: 'gateway', ...(await startWorkers('gateway', port)) });
  contenders.push({ name: 'pipe', ...(await startWorkers('pipe', port)) });
  if (process.env['BENCH_TABLES']) contenders.push({ name: 'gateway+tables', ...(await startWorkers('gateway', port, 'tables')) });
  const bouncer = fs.existsSync(pgbouncer) ? await startPgbouncer(port) : undefined;
  if (bouncer) contenders.push({ name: 'pgbouncer', port: bouncer.port, pids: [bouncer.pid] });
  try {
    report(await measure(contenders));
  } finally {
    bouncer?.stop();
    for (const worker of Object.values(cluster.workers ?? {})) worker?.kill();
  }
}

const connection = (port: number): string[] => ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', 'postgres'];

async function measure(contenders: readonly Contender[]): Promise<Map<string, Result[]>> {
  const results = new Map<string, Result[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const mode of modes) {
      for (let turn = 0; turn < contenders.length; turn += 1) {
        const contender = contenders[(turn + round) % contenders.length];
        if (!contender) continue;
        const cpuBefore = cpuSeconds(contender.pids);
        const { stdout } = await run_(pgbench, ['-S', '-n', '-M', mode, '-c', String(CLIENTS), '-j', '1', '-T', String(SECONDS), ...connection(contender.port)]);
        const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
        const transactions = Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
        const cpuPerTransaction = ((cpuSeconds(contender.pids) - cpuBefore) / transactions) * 1e6;
        const key = `${mode} ${contender.name}`;
        results.set(key, [...(results.get(key) ?? []), { tps, cpuPerTransaction }]);
      }
    }
  }
  return results;
}

function report(results: ReadonlyMap<string, readonly Result[]>): void {
  const median = (key: string, of: keyof Result = 'tps'): number => {
    const values = (results.get(key) ?? []).map((result) => result[of]).toSorted((left, right) => left - right);
    return values[Math.floor(values.length / 2)] ?? NaN;
  };
  const figures: Record<string, unknown> = { bench: 'proxy', rounds: ROUNDS, seconds: SECONDS, processes: PROCESSES, clients: CLIENTS };
  console.log(['mode', 'through', 'tps (median)', 'min', 'max', 'of pipe', 'of direct', 'cpu µs/tx', 'cpu of pipe'].join('\t'));
  for (const [key, runs] of [...results].toSorted(([left], [right]) => left.localeCompare(right))) {
    const [mode = '', name = ''] = key.split(' ');
    const tps = runs.map((result) => result.tps);
    const row = {
      tps: Math.round(median(key)), min: Math.round(Math.min(...tps)), max: Math.round(Math.max(...tps)),
      of_pipe: rounded(median(key) / median(`${mode} pipe`)), of_direct: rounded(median(key) / median(`${mode} direct`)),
      cpu_us: rounded(median(key, 'cpuPerTransaction')), cpu_of_pipe: rounded(median(key, 'cpuPerTransaction') / median(`${mode} pipe`, 'cpuPerTransaction')),
    };
    console.log([mode, name, ...Object.values(row)].join('\t'));
    for (const [figure, value] of Object.entries(row)) figures[`${mode}_${name}_${figure}`] = value;
  }
  for (const mode of modes) {
    const bouncer = median(`${mode} pgbouncer`);
    if (!Number.isNaN(bouncer)) for (const name of ['gateway', 'pipe']) figures[`${mode}_${name}_of_pgbouncer`] = rounded(median(`${mode} ${name}`) / bouncer);
  }
  console.log(JSON.stringify(figures));
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/** User and system time so far, from the kernel's clock ticks of 10 ms. */
function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

async function startWorkers(kind: string, serverPort: number, variant = ''): Promise<{ port: number; pids: number[] }> {
  const port = await freePort();
  const profile = process.env['BENCH_PROFILE'];
  cluster.setupPrimary({
    exec: path.join(import.meta.dirname, 'proxy-worker.ts'), args: [kind, String(port), String(serverPort), variant],
    execArgv: profile !== undefined && kind === 'gateway' ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [],
  });
  const pids = await Promise.all(Array.from({ length: PROCESSES }, () => new Promise<number>((resolve) => {
    const worker = cluster.fork();
    worker.once('message', () => resolve(worker.process.pid ?? 0));
  })));
  return { port, pids };
}

async function startPgbouncer(serverPort: number): Promise<{ readonly port: number; readonly pid: number; stop(): void }> {
  const port = await freePort();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bouncer-'));
  fs.chmodSync(directory, 0o755);
  const file = path.join(directory, 'pgbouncer.ini');
  fs.writeFileSync(file, `[databases]
postgres = host=127.0.0.1 port=${serverPort} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
auth_type = any
pool_mode = session
default_pool_size = 50
max_client_conn = 200
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
logfile =
`);
  const asRoot = process.getuid?.() === 0;
  // It refuses to run as root.
  const account = asRoot ? fs.readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([name]) => name === 'nobody') : undefined;
  const child = spawn(pgbouncer, ['-q', file], { stdio: 'ignore', ...(account ? { uid: Number(account[2]), gid: Number(account[3]) } : {}) });
  for (let attempt = 0; attempt < 100; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (await run_(pgbench, ['-S', '-n', '-t', '1', ...connection(port)]).then(() => true, () => false)) break;
  }
  return {
    port,
    pid: child.pid ?? 0,
    stop: () => {
      child.kill();
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}
