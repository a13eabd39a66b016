/** Property: a test's MySQL server is the one that it has started, whoever else has taken its port meanwhile. */
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeMysql, startMysql, untilReady } from './mysql-servers.ts';

describeMysql(['mysql-5.6'], 'a port that another server has taken', () => {
  test('is not taken for the own one while that is still on its way', async () => {
    await using other = await startMysql('mysql-5.6');
    const child = spawn('sleep', ['600']);
    try {
      await expect(untilReady({ child, port: other.port, socketPath: '/nowhere/m.sock', log: '/dev/null' })).rejects.toThrow(`port: ${other.port} is in use`);
    } finally {
      child.kill();
    }
  });
});
