/**
 * As `random-stream.test.ts`, between two real Cassandra clusters: connections break, frames are torn, answers lost, a side is silent or away. When nothing is owed any more both
 * hold the same in every cell, in values and write times, and times to live but for the wait; counters, lists and conditional writes in values, after the repair of what is noted for one.
 *
 * CQL_STREAM_REAL (3000) operations; from 20,000 on the servers are the test's own and are stopped as well (SIGSTOP). CQL_STREAM_SEED, CQL_STREAM_REAL_PHASE_MS (1200).
 */
import { expect, test } from 'vitest';
import type { RepairEntry } from '../../src/cql/intents/repair-list.ts';
import { describeCassandra, sharedCassandra, startCassandra } from '../support/cassandra-servers.ts';
import { randomSeed } from '../support/random-seed.ts';
import { differencesOf, forwarderTroubles, isOfServer, realClusters, realSide, stopTrouble } from './cassandra-stream.ts';
import { refusedIn, schemaOf, unrepeatable } from './random-operations.ts';
import { operationNames, runStream } from './random-stream.ts';

const size = Number(process.env['CQL_STREAM_REAL'] ?? 3000);
const seed = randomSeed('CQL_STREAM_SEED');
const phaseMs = Number(process.env['CQL_STREAM_REAL_PHASE_MS'] ?? 1200);
const isLong = size >= 20_000;
const tables = ['kv', 'wide', 'QuotedTable', 'expiring', 'composite'];
const slackSeconds = Math.ceil(phaseMs / 1000) + 4;

describeCassandra('a random stream between two Cassandra clusters', () => {
  test(`of ${size} operations leaves them the same while modes change and one side fails at times`, { timeout: 300_000 + size * 40 }, async () => {
    await using sourceServer = isLong ? await startCassandra({ clusterName: 'the stream\'s source' }) : await sharedCassandra('source');
    await using targetServer = isLong ? await startCassandra({ clusterName: 'the stream\'s target' }) : await sharedCassandra('target');
    await using source = await realSide(sourceServer, seed + 2);
    await using target = await realSide(targetServer, seed + 3);
    const keyspace = `stream_${process.pid}`;
    for (const statement of schemaOf(keyspace)) for (const { server } of [source, target]) await server.cql(statement);
    await using result = await runStream({
      seed, operations: size, clients: 12, phaseMs, modes: ['DualSync', 'DualAsync', 'ShadowPrimary'], sides: [source, target], troubles: isLong ? [...forwarderTroubles, stopTrouble] : forwarderTroubles, keyspace,
      // A side that is silent for a phase is waited for, and is given up in the long form, whose phases are longer than this.
      requestTimeoutMs: isLong ? 4000 : 10_000, shadowTimeoutMs: 1000, isOfCluster: isOfServer, drainMs: 120_000,
    });
    const told = [`seed ${seed}, ${result.done} operations, ${result.errors} errors of a failing primary, ${result.phases.length} phases, a write was owed for ${result.longestOwedMs} ms, ${result.repairs.entries().length} repairs`, ...result.phases, ...result.reports].join('\n');
    console.log(told.split('\n', 1)[0]);
    expect(result.owed, told).toBe(0);
    // What was told to clients and what is in the cells are looked at both, whichever is wrong.
    expect.soft(result.unexpected.slice(0, 10), told).toEqual([]);
    if (isLong) expect(operationNames.filter((name) => !result.succeeded.get(name))).toEqual([]);
    const repairs = result.repairs.entries();
    const isNoted = (table: string): boolean => repairs.some(({ tables: written }) => written.includes(`${keyspace}.${table}`));
    // Only what may not be sent twice waits for a repair, and what no cluster takes.
    const isExpected = ({ reason, tables: written, texts }: RepairEntry): boolean => {
      if (reason === 'refused') return texts.every((text) => refusedIn(keyspace).includes(text));
      return (reason === 'condition' || reason === 'not-repeatable') && written.every((name) => unrepeatable.has(name.slice(keyspace.length + 1)));
    };
    expect(repairs.filter((entry) => !isExpected(entry)).slice(0, 5), told).toEqual([]);
    await using clusters = await realClusters([source, target], keyspace);
    let cells = 0;
    for (const table of tables) {
      const [ours, theirs] = [await clusters.dump('source', table), await clusters.dump('target', table)];
      cells += ours.length;
      // A table's own TTL counts from when the write arrives, also for one that was late; one of the statement is reduced by the wait.
      expect(differencesOf(ours, theirs, slackSeconds + (table === 'expiring' ? Math.ceil(result.longestOwedMs / 1000) : 0)).slice(0, 20), `${table}\n${told}`).toEqual([]);
    }
    expect(cells).toBeGreaterThan(200);
    const repeated = [...unrepeatable];
    const dirty = repeated.filter(isNoted);
    const valuesOf = async (table: string): Promise<readonly string[]> => differencesOf(await clusters.dump('source', table), await clusters.dump('target', table), undefined).slice(0, 20);
    // Of what nothing is noted nothing is different.
    for (const table of repeated) if (!dirty.includes(table)) expect(await valuesOf(table), `${table}\n${told}`).toEqual([]);
    const repaired = await clusters.repair(dirty);
    expect(repaired.passed, [JSON.stringify(repaired, undefined, 1), told].join('\n')).toBe(true);
    for (const table of dirty) expect(await valuesOf(table), `${table}, repaired\n${told}`).toEqual([]);
    for (const { server } of [source, target]) await server.cql(`DROP KEYSPACE ${keyspace}`);
  });
});
