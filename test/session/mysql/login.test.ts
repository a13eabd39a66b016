/** Property: a MySQL client gets in with the gateway's password and by no other way than the settings say, whatever it knows of the protocol. */
import * as net from 'node:net';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeMysqlError } from '../../../src/wire/mysql/error-packet.ts';
import { writePackets } from '../../../src/wire/mysql/packets.ts';
import { createTestAuthority } from '../../support/certificates.ts';
import type { TestAuthority } from '../../support/certificates.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { requireTool } from '../../support/tools.ts';
import { runProgram } from '../../drivers/run-program.ts';
import { appPassword, doorUsers, oldPassword, openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';

describeMysql(['mariadb-10.11'], 'login of MySQL clients', () => {
  let server: TestMysql;
  let plain: DoorFixture;
  let secure: DoorFixture;
  let authority: TestAuthority;

  beforeAll(async () => {
    server = await startMysql('mariadb-10.11');
    authority = createTestAuthority();
    plain = await openDoor(server);
    secure = await openDoor(server, {
      users: [...doorUsers, { name: 'strict', trustFrom: ['127.0.0.1'], certificate: 'verify-full' }], tls: { ...authority.issue('localhost'), ca: authority.ca, required: true },
    });
  });

  afterAll(async () => {
    for (const fixture of [plain, secure]) await fixture?.[Symbol.asyncDispose]();
    await server?.dispose();
    authority?.[Symbol.dispose]();
  });

  async function asked(fixture: DoorFixture, options: mysql.ConnectionOptions): Promise<unknown> {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port: fixture.door.port, ...options });
    try {
      const [rows] = await connection.query('SELECT CURRENT_USER() AS who');
      return rows;
    } finally {
      connection.destroy();
    }
  }

  const isIn = [{ who: 'causeway@%' }];

  test('by a SCRAM verifier: encrypted with the gateway\'s key, then by what it remembers', async () => {
    expect(await asked(plain, { user: 'app', password: appPassword })).toEqual(isIn);
    expect(await asked(plain, { user: 'app', password: appPassword })).toEqual(isIn);
    await expect(asked(plain, { user: 'app', password: 'wrong' })).rejects.toThrow("Access denied for user 'app'@'127.0.0.1' (using password: YES)");
    await expect(asked(plain, { user: 'app' })).rejects.toThrow('(using password: NO)');
    await expect(asked(plain, { user: 'nobody', password: appPassword })).rejects.toThrow('Access denied');
    expect(await asked(plain, { user: 'causeway', password: 'any, as it is trusted' })).toEqual(isIn);
  });

  test('over TLS, and not without it where it is required', async () => {
    const ssl = { ca: authority.ca, rejectUnauthorized: false };
    expect(await asked(secure, { user: 'app', password: appPassword, ssl })).toEqual(isIn);
    expect(await asked(secure, { user: 'app', password: appPassword, ssl })).toEqual(isIn);
    await expect(asked(secure, { user: 'app', password: 'wrong', ssl })).rejects.toThrow('Access denied');
    await expect(asked(secure, { user: 'app', password: appPassword })).rejects.toThrow('encrypted connections only');
    await expect(asked(secure, { user: 'strict', ssl })).rejects.toThrow('valid client certificate');
  });

  async function cli(fixture: DoorFixture, ...args: readonly string[]): Promise<string> {
    const { output, errors } = await runProgram(requireTool('mariadb'), ['--no-defaults', '-h127.0.0.1', `-P${fixture.door.port}`, '-N', '-e', 'SELECT CURRENT_USER()', ...args], { limitMs: 20_000 });
    return (output + errors).trim();
  }

  test('the mariadb program: by mysql_native_password where the user has its hash, else by caching_sha2_password over TLS', async () => {
    expect(await cli(plain, '-uold', `-p${oldPassword}`)).toBe('causeway@%');
    expect(await cli(plain, '-uold', '-pwrong')).toContain("Access denied for user 'old'@");
    expect(await cli(secure, '-uapp', `-p${appPassword}`, '--ssl')).toBe('causeway@%');
    expect(await cli(secure, '-uapp', '-pwrong', '--ssl')).toContain('ERROR 1045');
  });

  test('sha256_password and others of a client are switched to what the gateway knows', async () => {
    await expect(asked(plain, { user: 'app', password: appPassword, authPlugins: {} })).resolves.toEqual(isIn);
    expect(await cli(secure, '-uapp', `-p${appPassword}`, '--ssl', '--default-auth=dialog')).toBe('causeway@%');
  });

  test('no server behind: the client is told so', async () => {
    await using gone = await openDoor({ ...server, port: 1 });
    await expect(asked(gone, { user: 'causeway' })).rejects.toMatchObject({ errno: 2003, message: expect.stringMatching(/^MIG001: Can't connect to the MySQL server behind the gateway \(.*ECONNREFUSED.*try again.*mysql\.server/) as string });
  });

  test('what the server says in the place of its greeting is passed on', async () => {
    const crowded = net.createServer((socket) => socket.end(writePackets(writeMysqlError({ code: 1040, sqlstate: '08004', message: 'Too many connections there' }, true), 0)));
    await new Promise<void>((resolve) => crowded.listen(0, '127.0.0.1', resolve));
    const { port } = crowded.address() as net.AddressInfo;
    try {
      await using door = await openDoor({ ...server, port });
      await expect(asked(door, { user: 'causeway' })).rejects.toMatchObject({ errno: 1040, message: 'Too many connections there' });
    } finally {
      crowded.close();
    }
  });

  test('too many, and what does not speak the protocol', async () => {
    await using small = await openDoor(server, { limits: { maxConnections: 1, startupTimeoutMs: 300 } });
    const first = await mysql.createConnection({ host: '127.0.0.1', port: small.door.port, user: 'causeway' });
    await expect(asked(small, { user: 'causeway' })).rejects.toThrow('Too many connections');
    first.destroy();
  });
});
