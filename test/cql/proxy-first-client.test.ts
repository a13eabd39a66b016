/** What drivers are told of the cluster is the source's from the first client on: they choose their nodes by its data centre, stay away from a node with another cluster's name, and read definitions by its version, once for all. */
import { expect, test } from 'vitest';
import { defaultTopology } from '../../src/cql/proxy-options.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { startFixture } from './proxy-fixture.ts';
import type { Fixture } from './proxy-fixture.ts';

const source = { dataCenter: 'east', releaseVersion: '4.1.9' };
const target = { dataCenter: 'west', releaseVersion: '5.0.6' };

async function told(fixture: Fixture, login: { readonly user?: string; readonly password?: string } = {}): Promise<readonly string[]> {
  const client = await RawClient.connect(fixture.port, '127.0.0.1', login);
  try {
    const answer = await client.need('SELECT cluster_name, data_center, release_version FROM system.local');
    return answer.kind === 'rows' ? (answer.rows[0] ?? []).map(String) : [answer.kind];
  } finally {
    client.close();
  }
}

test('a client that comes before the source has said what it is waits for that', async () => {
  await using fixture = await startFixture({ source, target });
  using late = fixture.source.faults.add({ opcode: 'QUERY', text: /cluster_name/, action: { kind: 'delay', ms: 300 } });
  expect(await told(fixture)).toEqual(['old', 'east', '4.1.9']);
  expect(late.hits).toBe(1);
  expect(await told(fixture)).toEqual(['old', 'east', '4.1.9']);
});

test('and so does one that logs in', async () => {
  const users = { app: 'right' };
  await using fixture = await startFixture({ source: { ...source, users }, target: { ...target, users } });
  using late = fixture.source.faults.add({ opcode: 'QUERY', text: /cluster_name/, action: { kind: 'delay', ms: 300 } });
  expect(await told(fixture, { user: 'app', password: 'right' })).toEqual(['old', 'east', '4.1.9']);
  expect(late.hits).toBe(1);
});

test('in TargetOnly the source is asked all the same, so that a proxy that starts then says what the one before said', async () => {
  await using fixture = await startFixture({ mode: 'TargetOnly', source, target });
  expect(await told(fixture)).toEqual(['old', 'east', '4.1.9']);
});

test('where the source is no more it is the target, and nobody waits for the source twice', async () => {
  await using fixture = await startFixture({ mode: 'TargetOnly', source, target });
  await fixture.source.close();
  for (let client = 0; client < 3; client += 1) expect(await told(fixture)).toEqual(['new', 'west', '5.0.6']);
  expect(fixture.proxy.stats().counts.clusters[0]?.failedConnections).toBe(1);
  expect(fixture.logged.filter(({ message }) => message.includes('topology'))).toMatchObject([{ level: 'warn' }]);
});

test('unless the settings say what drivers know the cluster by', async () => {
  await using fixture = await startFixture({ mode: 'TargetOnly', source, target, topology: { ...defaultTopology, clusterName: 'old', dataCenter: 'east' } });
  await fixture.source.close();
  expect(await told(fixture)).toEqual(['old', 'east', '5.0.6']);
  expect(fixture.logged.filter(({ message }) => message.includes('topology'))).toEqual([]);
});

test('a source that asks for a login which nobody has is not asked again and again', async () => {
  await using fixture = await startFixture({ mode: 'TargetOnly', source: { ...source, users: { app: 'right' } }, target });
  for (let client = 0; client < 3; client += 1) expect(await told(fixture)).toEqual(['new', 'west', '5.0.6']);
  expect(fixture.proxy.stats().counts.clusters[0]?.failedConnections).toBe(1);
});
