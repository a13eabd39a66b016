/** Every peer in each round of each cell, and after each run a look whether the clusters got what the load was told. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findTool } from '../../support/tools.ts';
import { startPipe } from '../proxy/peers.ts';
import { meter, processTimeUs } from '../proxy/process-time.ts';
import { Rounds } from '../proxy/rounds.ts';
import type { Cell, Contender } from '../proxy/rounds.ts';
import type { Sample, Series } from '../proxy/figures.ts';
import { freePort } from '../../support/postgres.ts';
import type { ClusterCounts } from './cluster-process.ts';
import type { LoadResult } from './load-process.ts';
import type { CqlBenchOptions, PeerName, Shape } from './options.ts';
import { ownProject, startCluster, startLoad, startProduct, startZdm } from './processes.ts';
import type { BenchCluster, Between } from './processes.ts';
import type { Workload } from './workload.ts';

export interface CqlFigures {
  readonly series: readonly Series[];
  /** Peers that could not be measured, and why. */
  readonly absent: readonly string[];
  /** Processor time per request of the load, and of the two clusters, in every run. */
  readonly others: readonly { readonly cell: string; readonly through: string; readonly loadUs: number; readonly clustersUs: number }[];
}

interface Peer extends Between {
  readonly name: string;
  /** What a write is to be on: the target has it when the run has ended, or soon after. */
  readonly writesTarget: boolean;
}

/** A Node.js process compiles what it meets often. */
const FIRST_WARM_UP_MS = 1500;
const WARM_UP_MS = 150;
const DRAIN_LIMIT_MS = 20_000;

export const shapeName = ({ connections, depth }: Shape): string => `${connections}x${depth}`;

export async function measure(options: CqlBenchOptions, signal: AbortSignal): Promise<CqlFigures> {
  await using stack = new AsyncDisposableStack();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bench-'));
  stack.defer(() => fs.rmSync(folder, { recursive: true, force: true }));
  const clusters = [await startCluster('source', stack), await startCluster('target', stack)] as const;
  const load = await startLoad(stack);
  const absent: string[] = [];
  const others: CqlFigures['others'][number][] = [];
  const peers: Peer[] = [];
  for (const name of options.peers) {
    const peer = await startPeer(name, options, ownProject, folder, clusters, stack);
    if (typeof peer === 'string') absent.push(`${name}: ${peer}`);
    else peers.push(peer);
    if (typeof peer === 'string' || options.other === undefined || !isProduct(name)) continue;
    const other = await startPeer(name, options, options.other, path.join(folder, 'other'), clusters, stack);
    if (typeof other !== 'string') peers.push({ ...other, name: `${name}@other` });
  }
  const cells = options.workloads.flatMap((workload) => options.shapes.map((shape): Cell => ({ workload, mode: shapeName(shape), clients: shape.connections })));
  const order = (port: number, { workload, mode }: Cell, warmUpMs: number, runMs: number): Parameters<typeof load.run>[0] => {
    const [connections = 1, depth = 1] = mode.split('x').map(Number);
    return { port, connections, depth, workload: workload as Workload, clientTimestamps: options.timestamps === 'client', warmUpMs, runMs };
  };
  const contender = ({ name, port, pid, writesTarget }: Peer): Contender => ({
    name, notPossible: () => undefined,
    measure: async (cell, round): Promise<Sample> => {
      const before = [await clusters[0].counts(), await clusters[1].counts()] as const;
      const count = meter(pid === 0 ? [] : [pid], []);
      const clustersBefore = processTimeUs(clusters.map((each) => each.pid));
      const result = await load.run(order(port, cell, WARM_UP_MS, options.run));
      const total = result.writes + result.reads;
      const times = count(total);
      others.push({ cell: `${cell.workload} ${cell.mode}`, through: name, loadUs: result.cpuUsPerRequest, clustersUs: (processTimeUs(clusters.map((each) => each.pid)) - clustersBefore) / total });
      await check(clusters, before, result, writesTarget);
      return { round, transactions: result.requests, tps: result.requests / result.seconds, p50Us: result.p50Us, p99Us: result.p99Us, ...times };
    },
  });
  for (const { port } of peers) for (const workload of options.workloads) await load.run(order(port, { workload, mode: '16x4', clients: 16 }, 0, FIRST_WARM_UP_MS / options.workloads.length));
  const rounds = new Rounds();
  await rounds.run(cells, peers.map(contender), options.rounds, signal);
  return { series: rounds.series, absent, others };
}

const isProduct = (name: PeerName): boolean => /^(?:Source|Dual)/.test(name);

/** A text says why there is none. */
async function startPeer(name: PeerName, { profile }: CqlBenchOptions, project: string, folder: string, clusters: readonly [BenchCluster, BenchCluster], stack: AsyncDisposableStack): Promise<Peer | string> {
  const product = async (mode: string, settings: Readonly<Record<string, unknown>> = {}): Promise<Peer> =>
    ({ name, writesTarget: mode !== 'SourceOnly', ...await startProduct({ mode, settings, folder: path.join(folder, name), project, profile, clusters }, stack) });
  switch (name) {
    case 'direct': return { name, port: clusters[0].port, pid: 0, writesTarget: false };
    case 'pipe': {
      const port = await freePort();
      const child = await startPipe(port, clusters[0].port, 1, stack);
      return { name, port, pid: child.pid ?? 0, writesTarget: false };
    }
    case 'SourceOnly': case 'DualAsync': case 'DualSync': return product(name);
    case 'DualAsync-fsync': return product('DualAsync', { intents: { fsync: 'group' } });
    case 'zdm': {
      const program = findTool('zdm-proxy');
      return program === undefined ? 'no zdm-proxy in PATH' : { name, writesTarget: true, ...await startZdm(program, clusters, stack) };
    }
    default: return name satisfies never;
  }
}

/** A proxy that leaves something out would be measured all the same. */
async function check(clusters: readonly [BenchCluster, BenchCluster], before: readonly [ClusterCounts, ClusterCounts], { writes, reads }: LoadResult, writesTarget: boolean): Promise<void> {
  const limit = performance.now() + DRAIN_LIMIT_MS;
  for (;;) {
    const now = [await clusters[0].counts(), await clusters[1].counts()] as const;
    const got = now.map((each, index) => [each.writes - (before[index]?.writes ?? 0), each.reads - (before[index]?.reads ?? 0)] as const);
    if (got[0]?.[0] === writes && got[0][1] === reads && got[1]?.[0] === (writesTarget ? writes : 0) && got[1][1] === 0) return;
    if (performance.now() > limit) throw new Error(`the load was told of ${writes} writes and ${reads} reads; the source got ${String(got[0])}, the target ${String(got[1])}`);
    await delay(20);
  }
}
