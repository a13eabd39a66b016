/** The random stream between two mock clusters, and the troubles that those can have. */
import { MockCluster } from '../support/cql/mock-cluster.ts';
import type { Fault } from '../support/cql/faults.ts';
import type { CqlMode } from '../../src/cql/modes.ts';
import { Random } from '../soak/torture-random.ts';
import { schemaOf } from './random-operations.ts';
import { runStream } from './random-stream.ts';
import type { StreamResult, Trouble } from './random-stream.ts';

export interface MockStreamOptions {
  readonly seed: number;
  readonly operations: number;
  readonly clients: number;
  readonly phaseMs: number;
  readonly modes: readonly CqlMode[];
  readonly hasFaults: boolean;
}

export interface MockStreamResult extends StreamResult {
  readonly source: MockCluster;
  readonly target: MockCluster;
}

interface MockSide { readonly cluster: MockCluster; readonly host: string; readonly port: number }

const faulty = (name: string, ...faults: readonly Fault[]): Trouble<MockSide> => ({ name, begin: ({ cluster }) => faults.map((fault) => cluster.faults.add({ times: Infinity, ...fault })) });
const nothing: Trouble<MockSide> = { name: 'nothing', begin: () => [], isHarmless: true };

const troubles: readonly Trouble<MockSide>[] = [
  nothing,
  { name: 'byte by byte', begin: ({ cluster }) => ((cluster.isChunked = true), []), end: async ({ cluster }) => void (cluster.isChunked = false), isHarmless: true },
  { name: 'warnings and payloads', begin: ({ cluster }) => ((cluster.warnings = ['too large', 'deprecated']), (cluster.payload = new Map([['key', Buffer.from('value')]])), []), end: async ({ cluster }) => void ((cluster.warnings = []), (cluster.payload = new Map())), isHarmless: true },
  faulty('overloaded', { isWrite: true, chance: 0.3, action: { kind: 'error', code: 0x1001 } }),
  faulty('unavailable', { text: /^(?:begin|delete|insert|select [^*]|update)/i, chance: 0.3, action: { kind: 'error', code: 0x1000 } }),
  faulty('write timeouts', { isWrite: true, chance: 0.2, action: { kind: 'error', code: 0x1100 } }, { isWrite: true, chance: 0.2, action: { kind: 'done-but-error', code: 0x1100 } }),
  faulty('slow', { chance: 0.5, action: { kind: 'delay', ms: 30 } }),
  faulty('lost answers', { isWrite: true, chance: 0.02, action: { kind: 'lose' } }, { isWrite: true, chance: 0.02, action: { kind: 'drop' } }),
  faulty('broken connections', { isWrite: true, chance: 0.02, action: { kind: 'disconnect', when: 'mid-frame' } }, { isWrite: true, chance: 0.02, action: { kind: 'disconnect', when: 'after' } }, { isWrite: true, chance: 0.02, action: { kind: 'disconnect', when: 'before' } }),
  faulty('forgotten statements', { chance: 0.2, action: { kind: 'unprepared' } }),
  { name: 'paused', begin: ({ cluster }) => (cluster.pause(), []), end: async ({ cluster }) => cluster.resume(), isOfConnections: true },
  { name: 'closed', begin: ({ cluster }) => (void cluster.close(), []), end: ({ cluster }) => cluster.reopen(), isOfConnections: true },
];

export async function runMockStream({ hasFaults, ...options }: MockStreamOptions): Promise<MockStreamResult> {
  const random = new Random(options.seed + 1);
  const source = await MockCluster.start({ clusterName: 'old', random: () => random.next() });
  const target = await MockCluster.start({ clusterName: 'new', isScylla: true, clockSkewMicros: 3_000_000, preparedIdLength: 20, random: () => random.next() });
  for (const statement of schemaOf('ks')) for (const cluster of [source, target]) cluster.run(statement);
  const side = (cluster: MockCluster): MockSide => ({ cluster, host: cluster.address, port: cluster.port });
  const result = await runStream({ ...options, sides: [side(source), side(target)], troubles: hasFaults ? troubles : [nothing], keyspace: 'ks', requestTimeoutMs: 1500, shadowTimeoutMs: 1000, drainMs: 60_000 });
  return {
    ...result, source, target,
    [Symbol.asyncDispose]: async () => {
      await result[Symbol.asyncDispose]();
      await Promise.all([source.close(), target.close()]);
    },
  };
}
