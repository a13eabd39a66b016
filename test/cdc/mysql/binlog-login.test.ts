/** A replica logs in with every plugin that its account may have, plain and over TLS, and says clearly why it cannot. */
import * as fs from 'node:fs';
import * as net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packet } from '../../../cdc/mysql/binlog/packet-splitter.ts';
import { ReplicaConnection } from '../../../cdc/mysql/binlog/replica-connection.ts';
import type { ReplicationAddress } from '../../../cdc/mysql/replication-address.ts';
import { createTestAuthority } from '../../support/certificates.ts';
import type { TestAuthority } from '../../support/certificates.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { addressOf, endOf, installMarkers, openReader, readToNow, replay } from './binlog-harness.ts';

/** Plugins of each server's accounts, with the way to make one. */
const plugins: readonly { readonly kind: MysqlKind; readonly plugin: string; readonly identified: (password: string) => string }[] = [
  { kind: 'mariadb-10.11', plugin: 'mysql_native_password', identified: (password) => `IDENTIFIED VIA mysql_native_password USING PASSWORD('${password}')` },
  { kind: 'mysql-5.6', plugin: 'mysql_native_password', identified: (password) => `IDENTIFIED BY '${password}'` },
  { kind: 'mysql-9.7', plugin: 'caching_sha2_password', identified: (password) => `IDENTIFIED WITH caching_sha2_password BY '${password}'` },
  { kind: 'mysql-9.7', plugin: 'sha256_password', identified: (password) => `IDENTIFIED WITH sha256_password BY '${password}'` },
];

async function whoAmI(address: ReplicationAddress): Promise<unknown> {
  const connection = await ReplicaConnection.open(address);
  try {
    const [[user] = []] = await connection.query('SELECT CURRENT_USER()');
    const [[, cipher] = []] = await connection.query("SHOW STATUS LIKE 'Ssl_cipher'");
    return { user, isEncrypted: cipher !== '' };
  } finally {
    connection.close();
  }
}

for (const { kind, plugin, identified } of plugins) {
  describeMysql([kind], `${kind}, ${plugin}`, () => {
    let server: TestMysql;
    let authority: TestAuthority;
    beforeAll(async () => {
      authority = createTestAuthority();
      const { cert, key } = authority.issue('localhost');
      const files = [`ssl-ca=${authority.ca}`, `ssl-cert=${cert}`, `ssl-key=${key}`];
      server = await startMysql(kind, { settings: kind === 'mysql-5.6' ? [] : files });
      for (const [user, password] of [['long', 'p'.repeat(60)], ['odd', 'ä ö$']]) await server.sql(`CREATE USER '${user}'@'%' ${identified(password ?? '')}`);
      await server.sql("CREATE USER 'empty'@'%'");
    });
    afterAll(async () => {
      await server.dispose();
      authority[Symbol.dispose]();
    });

    test('plain', async () => {
      for (const [user, password] of [['long', 'p'.repeat(60)], ['odd', 'ä ö$'], ['empty', '']]) {
        // The second time the server may have kept the password's hash.
        for (let time = 0; time < 2; time += 1) expect(await whoAmI({ ...addressOf(server), user: user ?? '', password: password ?? '' })).toEqual({ user: `${user}@%`, isEncrypted: false });
      }
    });

    // The TLS of 5.6 is older than what a client of today accepts.
    if (kind !== 'mysql-5.6') test('over TLS, the server checked', async () => {
      await server.sql('FLUSH PRIVILEGES');
      const tls = { ca: fs.readFileSync(authority.ca, 'utf8'), servername: 'localhost' };
      for (const [user, password] of [['long', 'p'.repeat(60)], ['odd', 'ä ö$'], ['empty', '']]) {
        expect(await whoAmI({ ...addressOf(server), user: user ?? '', password: password ?? '', tls })).toEqual({ user: `${user}@%`, isEncrypted: true });
      }
      await installMarkers(server);
      await server.sql('CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY, v longtext)');
      const start = await endOf(server);
      for (let id = 0; id < 20; id += 1) await server.sql(`INSERT INTO shop.t VALUES (${id}, REPEAT('x', 300000))`);
      // Small enough that the socket is paused again and again.
      const { items } = await readToNow(server, await openReader(server, start, { address: { ...addressOf(server), tls }, batchBytes: 100_000, queueBytes: 100_000 }));
      expect([...replay(items, 't').values()].map(([id, text]) => [id, text?.length])).toEqual(Array.from({ length: 20 }, (_, id) => [String(id), 300_000]));
      await expect(whoAmI({ ...addressOf(server), tls: { servername: 'localhost' } })).rejects.toMatchObject({ code: 'MIG001' });
    });

    test('over the Unix socket', async () => {
      expect(await whoAmI({ ...addressOf(server), host: server.socketPath })).toMatchObject({ isEncrypted: false });
    });

    test('a wrong password and a missing privilege are told apart', async () => {
      await installMarkers(server);
      const start = await endOf(server);
      await expect(whoAmI({ ...addressOf(server), password: 'wrong' })).rejects.toMatchObject({ code: 'MIG003' });
      const failure = openReader(server, start, { address: { ...addressOf(server), user: 'empty', password: '' } }).then(async (reader) => {
        for await (const batch of reader.batches()) expect(batch.items).toEqual([]);
      });
      await expect(failure).rejects.toMatchObject({ code: 'MIG004' });
    });

    test('nobody there', async () => {
      await expect(whoAmI({ ...addressOf(server), port: 1 })).rejects.toMatchObject({ code: 'MIG001', retryable: true });
    });
  });
}

test('an account with a plugin that is not spoken is named, not taken for a wrong password', async () => {
  const salt = Buffer.alloc(12, 's');
  const greeting = Buffer.concat([Buffer.from('\x0a11.8-MariaDB\0'), Buffer.alloc(4), salt.subarray(0, 8), Buffer.alloc(1), Buffer.from([0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]), Buffer.alloc(10), salt, Buffer.from('\0mysql_native_password\0')]);
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(packet(greeting, 0));
    socket.once('data', () => socket.write(packet(Buffer.concat([Buffer.from('\xfeclient_ed25519\0', 'latin1'), Buffer.alloc(32, 's')]), 2)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(ReplicaConnection.open({ host: '127.0.0.1', port, user: 'u', password: 'p' })).rejects.toMatchObject({ code: 'MIG003', detail: expect.stringContaining('client_ed25519') });
  } finally {
    server.close();
  }
});
