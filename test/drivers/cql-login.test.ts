/** Property: each driver comes in over TLS by its name and password, which both clusters check, and its writes reach both; with a wrong password, without one, and in plain text it does not. */
import * as fs from 'node:fs';
import { expect, test } from 'vitest';
import { rowsOn, startFixture } from '../cql/proxy-fixture.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { describeUnless } from '../support/tools.ts';
import { cqlsh, goDriver, javaDriver, nodeDriver, pythonDriver } from './cql-programs.ts';
import { runDialog } from './run-program.ts';

const quick = { 'cassandra-driver for Python': await pythonDriver(), 'cassandra-driver for Node': nodeDriver(), gocql: await goDriver() };
/** Those that take longer to start, with CAUSEWAY_CQL_WAYS=all. */
const drivers = process.env['CAUSEWAY_CQL_WAYS'] === 'all' ? { ...quick, 'java-driver': await javaDriver(), cqlsh: await cqlsh() } : quick;

for (const [name, { missing, command: [program, ...args] }] of Object.entries(drivers)) {
  describeUnless(missing, name, () => {
    test('logs in over TLS', async () => {
      using authority = createTestAuthority();
      const pair = authority.issue('localhost');
      const [key, cert] = [pair.key, pair.cert].map((file) => fs.readFileSync(file, 'utf8')) as [string, string];
      const users = { app: 'right' };
      await using fixture = await startFixture({ mode: 'DualSync', tls: { key, cert }, source: { users }, target: { users } });
      fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
      const ended = await runDialog(program, [...args, '127.0.0.1', String(fixture.port), 'ks', 'dc1', authority.ca, 'app', 'right'], { limitMs: 100_000, asked: () => Promise.reject(new Error('nothing is asked')) });
      const lines = ended.output.trim().split('\n').map((line) => line.split(' => '));
      const shown = `${ended.output}\n${ended.errors}`;
      expect(lines.map(([way]) => way), shown).toEqual(['right', 'wrong', 'nobody', 'plain']);
      expect(lines.map(([, came]) => came?.replace(/^refused .*/, 'refused')), shown).toEqual(['right', 'refused', 'refused', 'refused']);
      for (const cluster of [fixture.source, fixture.target]) expect(rowsOn(cluster, 'SELECT v FROM ks.t')).toEqual([Buffer.from('right').toString('hex')]);
      expect(fixture.proxy.stats().counts.badLogins).toBeGreaterThan(0);
    }, 120_000);
  });
}
