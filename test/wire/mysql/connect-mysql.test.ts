/** Property: every way to log in at a server works on real servers, and what is not supported is refused by its name. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Capability, passable } from '../../../src/wire/mysql/capabilities.ts';
import { askGreeting, connectMysql } from '../../../src/wire/mysql/connect-mysql.ts';
import type { MysqlLogin, MysqlTarget } from '../../../src/wire/mysql/connect-mysql.ts';
import { readOk } from '../../../src/wire/mysql/ok-packet.ts';
import { createTestAuthority } from '../../support/certificates.ts';
import type { TestAuthority } from '../../support/certificates.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';

const options = { capabilities: { ...passable, flags: passable.flags & ~Capability.connectWithDatabase }, maxPacketBytes: 1 << 24, collation: 45, database: undefined, attributes: undefined };

function login(target: MysqlTarget, database?: string): Promise<MysqlLogin> {
  return new Promise((resolve) => {
    connectMysql(target, { ...options, database }, 10_000, (outcome) => {
      if (outcome.ok) outcome.socket.destroy();
      resolve(outcome);
    });
  });
}

describeMysql(['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'], 'login at servers', () => {
  let authority: TestAuthority;
  const servers = new Map<MysqlKind, TestMysql>();
  const kinds = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const;

  function at(kind: MysqlKind, user: string, password: string | undefined, more: Partial<MysqlTarget> = {}): MysqlTarget {
    const { host = '', port = 0 } = servers.get(kind) ?? {};
    return { host, port, user, ...(password === undefined ? {} : { password }), ...more };
  }

  beforeAll(async () => {
    authority = createTestAuthority();
    const pair = authority.issue('127.0.0.1');
    for (const kind of kinds) servers.set(kind, await startMysql(kind, { settings: kind === 'mysql-5.6' ? [] : [`ssl-ca=${authority.ca}`, `ssl-cert=${pair.cert}`, `ssl-key=${pair.key}`] }));
    await servers.get('mysql-9.7')?.sql("CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'pass ✓'; CREATE USER other@'%' IDENTIFIED WITH sha256_password BY 'x'; CREATE USER bare@'%' IDENTIFIED BY ''");
    await servers.get('mariadb-10.11')?.createDatabase('shop');
  });

  afterAll(async () => {
    for (const server of servers.values()) await server.dispose();
    authority[Symbol.dispose]();
  });

  test.each(kinds)('%s: the greeting, a password, a wrong one', async (kind) => {
    const server = servers.get(kind);
    const greeting = await new Promise((resolve) => askGreeting(at(kind, '', ''), 5_000, resolve));
    expect(greeting).toMatchObject({ version: expect.stringContaining(kind.replace(/^\w+-/, '')), connectionId: expect.any(Number) });
    expect(await login(at(kind, 'causeway', server?.password))).toMatchObject({ ok: true, greeting: { plugin: expect.any(String) } });
    expect(await login(at(kind, 'causeway', 'wrong'))).toMatchObject({ ok: false, code: 1045, reason: expect.stringContaining('Access denied') });
    expect(await login(at(kind, 'causeway', server?.password), 'nowhere')).toMatchObject({ ok: false, code: 1049 });
  });

  test('caching_sha2_password: with the server\'s key, then by what it remembers, and over TLS', async () => {
    expect(await login(at('mysql-9.7', 'sha2', 'pass ✓'))).toMatchObject({ ok: true });
    expect(await login(at('mysql-9.7', 'sha2', 'pass ✓'))).toMatchObject({ ok: true });
    expect(await login(at('mysql-9.7', 'sha2', 'wrong'))).toMatchObject({ ok: false, code: 1045 });
    await servers.get('mysql-9.7')?.sql('FLUSH PRIVILEGES');
    expect(await login(at('mysql-9.7', 'sha2', 'pass ✓', { ssl: { mode: 'verify-ca', ca: authority.ca } }))).toMatchObject({ ok: true });
    expect(await login(at('mysql-9.7', 'bare', undefined))).toMatchObject({ ok: true });
  });

  test.each(['mariadb-10.11', 'mysql-9.7'] as const)('%s: TLS', async (kind) => {
    const password = servers.get(kind)?.password;
    expect(await login(at(kind, 'causeway', password, { ssl: { mode: 'verify-full', ca: authority.ca } }))).toMatchObject({ ok: false, reason: expect.stringMatching(/altname|IP/) });
    expect(await login(at(kind, 'causeway', password, { ssl: { mode: 'require' } }))).toMatchObject({ ok: true });
    expect(await login(at(kind, 'causeway', password, { ssl: { mode: 'verify-ca', ca: authority.ca } }))).toMatchObject({ ok: true });
    expect(await login(at(kind, 'causeway', password, { ssl: { mode: 'verify-ca' } }))).toMatchObject({ ok: false, reason: expect.stringMatching(/self-signed|unable to/) });
  });

  test('a server without TLS is refused when it is wanted', async () => {
    expect(await login(at('mysql-5.6', 'causeway', servers.get('mysql-5.6')?.password, { ssl: { mode: 'require' } }))).toMatchObject({ ok: false, reason: 'the server has no TLS' });
  });

  test('what is not supported is named', async () => {
    expect(await login(at('mysql-9.7', 'other', 'x'))).toMatchObject({ ok: false, reason: expect.stringContaining('sha256_password, which is not supported') });
  });

  test('the server tells of what changes, and of the database', async () => {
    const outcome = await login(at('mariadb-10.11', 'causeway', servers.get('mariadb-10.11')?.password), 'shop');
    expect(outcome.ok && readOk(outcome.answer, outcome.capabilities).changes).toContainEqual({ type: 'database', name: 'shop' });
  });

  test('no server there', async () => {
    expect(await login({ host: '127.0.0.1', port: 1, user: 'x' })).toMatchObject({ ok: false, reason: expect.stringContaining('ECONNREFUSED') });
  });
});
