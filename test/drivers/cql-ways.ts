/**
 * The ways of a driver's program to Cassandra: straight to the cluster that is the source, or through the proxy between that and another.
 *
 * A program is given where its cluster is and the keyspace to make and use; it prints `name => what came`. A line that begins with `?` asks for something
 * to be done before the program goes on, for which it reads a line: `? half` lets the mode change, `? restart` the proxy be another one. Directly nothing is done.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../cdc/cassandra/cluster.ts';
import { clusterOptions, dumpTable } from '../cdc/cassandra/cassandra-fixture.ts';
import { proxyBetween } from '../cql/proxy-fixture.ts';
import type { ProxyBetween } from '../cql/proxy-fixture.ts';
import type { CqlMode } from '../../src/cql/modes.ts';
import { defaultTopology } from '../../src/cql/proxy-options.ts';
import type { CqlClusterOptions } from '../../src/cql/proxy-options.ts';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { freePort } from '../support/postgres.ts';
import { describeUnless } from '../support/tools.ts';
import type { CqlDriver } from './cql-programs.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { runDialog } from './run-program.ts';

/** The modes before `? half` and after it. The first alone runs in `npm test`; CAUSEWAY_CQL_WAYS=all runs all of them. */
const throughProxy = ['DualSync, TargetOnly', 'SourceOnly, SourceOnly', 'DualSync, DualSync', 'DualAsync, DualSync', 'ShadowPrimary, DualSync', 'DualSync, TargetOnly, by two proxies'] as const;
export type CqlWay = (typeof throughProxy)[number];
const waysNow: readonly CqlWay[] = process.env['CAUSEWAY_CQL_WAYS'] === 'all' ? throughProxy : [throughProxy[0]];

interface CqlTarget {
  readonly host: string;
  readonly port: number;
  readonly keyspace: string;
  readonly datacenter: string;
}

export interface CqlSuite {
  /** In the names of its keyspaces. */
  readonly driver: string;
  readonly limitMs: number;
}

interface CqlProgram extends CqlSuite {
  readonly command: CqlDriver['command'];
}

/** Checks of which nodes there are, and of failures for which a driver asks the next node. */
const ofTwoNodes = /^(?:hosts|nodes|broadcast|peers|peers counted|release|all replicas are the one host|unavailable|unavailable to write): /;

/** The suite of a driver: its program run directly, then in each way, and what it printed there held against the first. `checks`: so many at the least. */
export function describeCqlDriver(name: string, { missing, command }: CqlDriver, suite: CqlSuite, checks: number): void {
  const program = { ...suite, command };
  describeUnless(missing, name, () => {
    describeCassandra('between two Cassandra clusters', () => {
      let source: TestCassandraClients;
      let target: TestCassandraClients;
      let direct = '';

      /** Names of one length: what a program cuts off is the same everywhere. */
      const inKeyspace = async (way: CqlWay | undefined, use: (keyspace: string) => Promise<string>): Promise<string> => {
        const keyspace = `drv_${program.driver}_${process.pid}_${way === undefined ? 0 : throughProxy.indexOf(way) + 1}`;
        try {
          return await use(keyspace);
        } finally {
          await Promise.all([source, target].map((side) => side.cql(`DROP KEYSPACE IF EXISTS ${keyspace}`)));
        }
      };

      beforeAll(async () => {
        [source, target] = await Promise.all([sharedCassandra('source'), sharedCassandra('target')]);
      }, 300_000);

      afterAll(() => Promise.all([source, target].map((side) => side[Symbol.asyncDispose]())));

      test('directly', async () => {
        direct = await inKeyspace(undefined, (keyspace) => run(program, { ...source.address, keyspace }, () => Promise.resolve()));
        expect(Number(/^checks => (\d+)$/m.exec(direct)?.[1])).toBeGreaterThanOrEqual(checks);
      }, program.limitMs + 60_000);

      test.each(waysNow)('through the proxy: %s', async (way) => {
        const output = await inKeyspace(way, (keyspace) => through(program, way, keyspace, source, target));
        const found = lineDeviations(direct, output, listedFor(name, 'direct'));
        if (way.endsWith('proxies')) {
          // Each driver has to see the other proxy too; what else prints differently is what comes of two nodes.
          expect(output).toContain('127.0.0.3');
          expect(found.filter((line) => !ofTwoNodes.test(line))).toEqual([]);
        } else expect(found).toEqual([]);
      }, program.limitMs + 180_000);
    });
  });
}

async function run({ driver, command, limitMs }: CqlProgram, target: CqlTarget, asked: (what: string) => Promise<void>): Promise<string> {
  const [file, ...args] = command;
  const ended = await runDialog(file, [...args, target.host, String(target.port), target.keyspace, target.datacenter], { limitMs, asked });
  if (ended.code !== 0) throw new Error(`${driver} on port ${target.port} ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1500)}${ended.errors.slice(-3000)}`);
  // Where it was is of no importance; that it has seen nothing else is.
  return ended.output.replaceAll(target.keyspace, 'KS').replaceAll(target.host, 'HOST').replaceAll(new RegExp(`(?<!\\d)${target.port}(?!\\d)`, 'g'), 'PORT');
}

async function through(program: CqlProgram, way: CqlWay, keyspace: string, source: TestCassandraClients, target: TestCassandraClients): Promise<string> {
  const [before, after, isGroup] = way.split(', ') as [CqlMode, CqlMode, string?];
  const port = await freePort();
  // Other addresses than the clusters', so that a driver that has found one of their nodes says so.
  const addresses = isGroup === undefined ? ['127.0.0.2'] : ['127.0.0.2', '127.0.0.3'];
  const open = (host: string, index: number, mode: CqlMode): Promise<ProxyBetween> => proxyBetween([options(source), options(target)],
    { mode, listen: { host, port }, topology: { ...defaultTopology, addresses, index }, localDataCenter: source.address.datacenter, requestTimeoutMs: 60_000, shadowTimeoutMs: 60_000 });
  const proxies = await Promise.all(addresses.map((host, index) => open(host, index, before)));
  const inStep = async (mode: CqlMode): Promise<void> => {
    for (const { proxy, intents, logged } of proxies) {
      await expect.poll(() => proxy.stats().counts.inHand + intents.open.size, { timeout: 60_000 }).toBe(0);
      expect(intents.released.size, `${way}: left for a repair`).toBe(0);
      expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
    }
    if (mode !== 'SourceOnly' && mode !== 'TargetOnly') await expectSame(keyspace, source, target);
  };
  const restart = async (): Promise<void> => {
    for (const [index, host] of addresses.entries()) {
      await proxies[index]?.[Symbol.asyncDispose]();
      proxies[index] = await open(host, index, after);
    }
  };
  try {
    const output = await run(program, { host: '127.0.0.2', port, keyspace, datacenter: source.address.datacenter }, async (what) => {
      if (what === 'half') {
        await inStep(before);
        for (const each of proxies) each.setMode(after);
      } else if (what === 'restart') await restart();
      else throw new Error(`the program asks for ${what}`);
    });
    await inStep(after);
    return output;
  } finally {
    await Promise.all(proxies.map((each) => each[Symbol.asyncDispose]()));
  }
}

function options({ address: { host, port } }: TestCassandraClients): CqlClusterOptions {
  return { hosts: [{ host, port }], connectionsPerHost: 1, connectTimeoutMs: 30_000, maxStreams: 1024, compression: 'lz4' };
}

/** Definitions, and every cell with its time; of tables with conditional writes the times are each cluster's own. */
async function expectSame(keyspace: string, ...sides: readonly [TestCassandraClients, TestCassandraClients]): Promise<void> {
  const [ours, theirs] = await Promise.all(sides.map((side) => everything(side, keyspace)));
  expect(theirs).toEqual(ours);
}

async function everything(side: TestCassandraClients, keyspace: string): Promise<Readonly<Record<string, unknown>>> {
  await using cluster = await Cluster.connect('source', clusterOptions(side.address));
  const found: Record<string, unknown> = {};
  for (const [what, columns] of [['tables', 'table_name, default_time_to_live, comment'], ['columns', 'table_name, column_name, kind, position, type'], ['types', 'type_name, field_names, field_types'], ['indexes', 'table_name, index_name, kind']] as const) {
    found[what] = (await side.cql(`SELECT ${columns} FROM system_schema.${what} WHERE keyspace_name = '${keyspace}'`)).map((row) => JSON.stringify(row));
  }
  for (const row of await side.cql(`SELECT table_name FROM system_schema.tables WHERE keyspace_name = '${keyspace}'`)) {
    const name = row['table_name'] as string;
    const cells = await dumpTable(cluster, keyspace, name);
    found[name] = cells.map(({ cell, writetime }) => (name.startsWith('cond') ? cell : `${cell} at ${writetime}`));
  }
  return found;
}
