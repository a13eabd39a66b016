/** The random stream between two real clusters of one node, each behind a forwarder that fails; what they hold afterwards is read from them directly. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../cdc/cassandra/cluster.ts';
import { comparingDefaults } from '../../cdc/cassandra/compare/compare-tables.ts';
import type { ComparisonReport } from '../../cdc/cassandra/compare/comparison-report.ts';
import { Validator } from '../../cdc/cassandra/compare/validator.ts';
import { clusterOptions, dumpTable, testRuntime } from '../cdc/cassandra/cassandra-fixture.ts';
import type { DumpedCell } from '../cdc/cassandra/cassandra-fixture.ts';
import type { CassandraProcess } from '../support/cassandra-process.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { TcpForwarder } from '../support/tcp-forwarder.ts';
import { Random } from '../soak/torture-random.ts';
import type { Trouble } from './random-stream.ts';

export type StreamServer = TestCassandraClients & Partial<Pick<CassandraProcess, 'suspend' | 'resume'>>;

export interface RealSide extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly forwarder: TcpForwarder;
  readonly server: StreamServer;
  readonly random: Random;
}

export async function realSide(server: StreamServer, seed: number): Promise<RealSide> {
  const forwarder = await TcpForwarder.start(server.address);
  return { host: '127.0.0.1', port: forwarder.port, forwarder, server, random: new Random(seed), [Symbol.asyncDispose]: () => forwarder[Symbol.asyncDispose]() };
}

/** Again and again, after pauses by chance, until it is over. */
function repeatedly(longestPauseMs: number, random: Random, act: () => void | Promise<void>): readonly Disposable[] {
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(random.below(longestPauseMs), undefined, { signal: stop.signal });
      await act();
    }
  };
  run().catch(() => undefined);
  return [{ [Symbol.dispose]: () => stop.abort() }];
}

export const noTrouble: Trouble<RealSide> = { name: 'nothing', begin: () => [], isHarmless: true };

export const forwarderTroubles: readonly Trouble<RealSide>[] = [
  noTrouble,
  { name: 'broken connections', begin: ({ forwarder, random }) => repeatedly(600, random, () => forwarder.cut()), isOfConnections: true },
  { name: 'torn frames', begin: ({ forwarder, random }) => repeatedly(400, random, () => forwarder.tear(random.below(200))), isOfConnections: true },
  {
    name: 'lost answers', isOfConnections: true,
    begin: ({ forwarder, random }) => repeatedly(500, random, async () => {
      forwarder.loseAnswers();
      await sleep(random.below(60));
      forwarder.cut();
    }),
    end: async ({ forwarder }) => forwarder.cut(),
  },
  { name: 'paused', begin: ({ forwarder }) => (forwarder.pause(), []), end: async ({ forwarder }) => forwarder.resume(), isOfConnections: true },
  { name: 'away', begin: ({ forwarder }) => (void forwarder.close(), []), end: ({ forwarder }) => forwarder.open(), isOfConnections: true },
];

/** For servers that are nobody else's. */
export const stopTrouble: Trouble<RealSide> = { name: 'stopped', begin: ({ server }) => (server.suspend?.(), []), end: async ({ server }) => server.resume?.(), isOfConnections: true };

/** Errors that the server itself has sent: it is busy, as it says. What the proxy says in its place carries a code of its own. */
export function isOfServer(code: number, message: string): boolean {
  return !message.includes('MIG') && [0x1000, 0x1001, 0x1100, 0x1200, 0x1500, 0x1700].includes(code);
}

export interface RealClusters extends AsyncDisposable {
  dump(side: 'source' | 'target', table: string): Promise<readonly DumpedCell[]>;
  /** As an operator would: what one side has not counted at all it gets from the other, and else the source is right. */
  repair(tables: readonly string[]): Promise<ComparisonReport>;
  validate(tables: readonly string[], ttlTolerance: number): Promise<ComparisonReport>;
}

export async function realClusters([source, target]: readonly [RealSide, RealSide], keyspace: string): Promise<RealClusters> {
  const clusters = { source: await Cluster.connect('source', clusterOptions(source.server.address)), target: await Cluster.connect('target', clusterOptions(target.server.address)) };
  const compare = (tables: readonly string[], options: Partial<ConstructorParameters<typeof Validator>[2]>): Promise<ComparisonReport> =>
    new Validator(testRuntime, clusters, { ...comparingDefaults, ranges: 4, recheckPauseMs: 20, retryPauseMs: 50, ...options })
      .validate(tables.map((name) => ({ sourceTable: { keyspace, name }, targetTable: { keyspace, name } })), { mode: 'FullScan' }, testRuntime.signal);
  return {
    dump: (side, table) => dumpTable(clusters[side], keyspace, table),
    repair: async (tables) => {
      await compare(tables.filter((table) => table === 'counts'), { reconcile: 'newest' });
      return compare(tables, { reconcile: 'source-wins', safeAgeMs: 2000 });
    },
    validate: (tables, ttlTolerance) => compare(tables, { ttlTolerance }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([clusters.source[Symbol.asyncDispose](), clusters.target[Symbol.asyncDispose]()]);
    },
  };
}

/** Cells that one side lacks, or has otherwise. `ttlSlack` in seconds; undefined: only values are compared. */
export function differencesOf(ours: readonly DumpedCell[], theirs: readonly DumpedCell[], ttlSlack: number | undefined): readonly string[] {
  const print = (cell: DumpedCell | undefined): string => (cell ? `${cell.writetime}${cell.ttl === undefined ? '' : `…${cell.ttl}`}` : 'missing');
  const others = new Map(theirs.map((cell) => [cell.cell, cell]));
  const found: string[] = [];
  for (const one of ours) {
    const other = others.get(one.cell);
    others.delete(one.cell);
    const isSame = other !== undefined && (ttlSlack === undefined || (one.writetime === other.writetime && (one.ttl === other.ttl || (one.ttl !== undefined && other.ttl !== undefined && Math.abs(one.ttl - other.ttl) <= ttlSlack))));
    if (!isSame) found.push(`${one.cell}: ${print(one)} | ${print(other)}`);
  }
  for (const other of others.values()) found.push(`${other.cell}: missing | ${print(other)}`);
  return found;
}
