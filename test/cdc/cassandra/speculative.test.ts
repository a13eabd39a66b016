/** With a delay for it a read that one node does not answer is asked of another; a write never is, since a list that is written twice with one time has its elements twice. */
import { expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { MockCluster } from '../../support/cql/mock-cluster.ts';

const QUICK_MS = 300;

test('only reads, and only where it is asked for', async () => {
  await using nodes = await MockCluster.start({ addresses: ['127.0.0.44', '127.0.0.45'] });
  for (const text of ["CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}", 'CREATE TABLE ks.t (k int PRIMARY KEY, v int)', 'INSERT INTO ks.t (k, v) VALUES (1, 1)']) nodes.run(text);
  const contactPoints = [`127.0.0.44:${nodes.port}`];
  await using plain = await Cluster.connect('source', { contactPoints, requestTimeoutMs: QUICK_MS });
  await using speculative = await Cluster.connect('source', { contactPoints, requestTimeoutMs: 60_000, speculativeDelayMs: 20 });
  const read = { text: 'SELECT v FROM ks.t', values: [] };
  await Promise.all([plain, speculative].map((one) => one.read(read)));
  {
    using unanswered = nodes.faults.add({ opcode: 'EXECUTE', text: /SELECT v/, action: { kind: 'drop' } });
    expect((await speculative.read(read)).rows).toHaveLength(1);
    expect(unanswered.hits).toBe(1);
  }
  using _alone = nodes.faults.add({ opcode: 'EXECUTE', text: /SELECT v/, action: { kind: 'drop' } });
  await expect(plain.read(read)).rejects.toThrow(/did not reply/);
  await using hasty = await Cluster.connect('target', { contactPoints, requestTimeoutMs: QUICK_MS, speculativeDelayMs: 20 });
  using lost = nodes.faults.add({ opcode: 'EXECUTE', isWrite: true, times: 2, action: { kind: 'drop' } });
  await expect(hasty.write([{ text: 'INSERT INTO ks.t (k) VALUES (2)', values: [] }])).rejects.toThrow(/did not reply/);
  expect(lost.hits).toBe(1);
});
