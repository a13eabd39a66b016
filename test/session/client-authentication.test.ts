/**
 * Property: whoever can prove who he is by md5, SCRAM (bound to the TLS connection or not) or a certificate is in, and nobody else; in the words of a server
 * with the same rules, which stands beside the gateway. And a server that asks for certificates gets them from the gateway.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectServer } from '../../cdc/postgres/connect.ts';
import { makeScramVerifier } from '../../src/wire/scram.ts';
import { createTestAuthority } from '../support/certificates.ts';
import type { KeyPair, TestAuthority } from '../support/certificates.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { findTool } from '../support/tools.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

const md5Of = (user: string, password: string): string => `md5${createHash('md5').update(`${password}${user}`).digest('hex')}`;
const users = ['old', 'scram', 'carol', 'mapped', 'both', 'strict', 'either'] as const;
const psql = findTool('psql') ?? 'psql';

let server: TestPostgres;
let fixture: GatewayFixture;
const authority: TestAuthority = createTestAuthority();
const stranger: TestAuthority = createTestAuthority('somebody else');
let own: KeyPair;
let crl: string;
const shown = {} as Record<'carol' | 'alias' | 'other' | 'expired' | 'revoked' | 'strange' | 'strict', KeyPair>;

beforeAll(async () => {
  own = authority.issue('localhost');
  Object.assign(shown, {
    carol: authority.issue('carol'), alias: authority.issue('alias.example'), other: authority.issue('other'), strict: authority.issue('strict'),
    expired: authority.issue('carol', { expired: true }), revoked: authority.issue('carol'), strange: stranger.issue('carol'),
  });
  crl = authority.revoke(shown.revoked);
  server = await startTestPostgres();
  await makeServerStrict();
  fixture = await startGateway(server.address, server.address, {
    users: [
      { name: 'old', verifier: md5Of('old', 'right') },
      { name: 'scram', verifier: makeScramVerifier('right') },
      { name: 'carol', certificate: 'login' },
      { name: 'mapped', certificate: 'login', certificateNames: ['alias.example'] },
      { name: 'both', verifier: makeScramVerifier('right'), certificate: 'verify-ca' },
      { name: 'strict', verifier: makeScramVerifier('right'), certificate: 'verify-full' },
      { name: 'either', verifier: makeScramVerifier('right'), certificate: 'login' },
    ],
    legs: { target: (_side, login) => ({ ...server.address, user: 'postgres', database: login.database }) },
    tls: { ...own, ca: authority.ca, crl },
  });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});

/** The same users with the same rules; `postgres` stays trusted without TLS, and over TLS needs a certificate of his own name. */
async function makeServerStrict(): Promise<void> {
  const data = server.server.dataDirectory;
  const { uid, gid } = fs.statSync(data);
  for (const [name, file] of Object.entries({ 'server.crt': own.cert, 'server.key': own.key, 'root.crt': authority.ca, 'root.crl': crl })) {
    fs.copyFileSync(file, path.join(data, name));
    fs.chownSync(path.join(data, name), uid, gid);
    fs.chmodSync(path.join(data, name), 0o600);
  }
  fs.writeFileSync(path.join(data, 'pg_ident.conf'), 'names alias.example mapped\n');
  fs.writeFileSync(path.join(data, 'pg_hba.conf'), [
    'hostnossl all postgres all trust', 'hostssl all postgres all cert', 'host all old all md5', 'host all scram all scram-sha-256', 'hostssl all carol all cert', 'hostssl all mapped all cert map=names',
    'hostssl all both all scram-sha-256 clientcert=verify-ca', 'hostssl all strict all scram-sha-256 clientcert=verify-full', '',
  ].join('\n'));
  const admin = await server.client();
  for (const user of users) await admin.query(`CREATE ROLE "${user}" LOGIN PASSWORD '${user === 'old' ? md5Of('old', 'right') : makeScramVerifier('right')}'`);
  for (const [name, value] of [['ssl', 'on'], ['ssl_ca_file', 'root.crt'], ['ssl_crl_file', 'root.crl']]) await admin.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await server.stop();
  await server.restart();
}

interface Attempt {
  readonly password?: string;
  readonly certificate?: KeyPair;
  readonly binding?: boolean;
  readonly tls?: boolean;
}

/** `in`, or SQLSTATE and text of the refusal. */
async function attempt(port: number, user: string, { password = '', certificate, binding = false, tls = true }: Attempt): Promise<string> {
  const pem = certificate && { cert: fs.readFileSync(certificate.cert, 'utf8'), key: fs.readFileSync(certificate.key, 'utf8') };
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres', ...(tls ? { ssl: { rejectUnauthorized: false, ...pem }, enableChannelBinding: binding } : {}) });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<{ one: number }>('SELECT 1 AS one')).rows[0]?.one === 1 ? 'in' : 'lost';
  } catch (error) {
    return error instanceof pg.DatabaseError ? `${error.code ?? ''} ${error.message}` : `${String(error)}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const atGateway = (user: string, how: Attempt): Promise<string> => attempt(fixture.gateway.port, user, how);

describe('as at a server with the same rules', () => {
  const cases: readonly (readonly [string, string, () => Attempt, string])[] = [
    ['md5', 'old', () => ({ password: 'right' }), 'in'],
    ['md5 without TLS', 'old', () => ({ password: 'right', tls: false }), 'in'],
    ['md5, wrong password', 'old', () => ({ password: 'wrong' }), '28P01 password authentication failed for user "old"'],
    ['SCRAM', 'scram', () => ({ password: 'right' }), 'in'],
    ['SCRAM without TLS', 'scram', () => ({ password: 'right', tls: false }), 'in'],
    ['SCRAM with channel binding', 'scram', () => ({ password: 'right', binding: true }), 'in'],
    ['SCRAM with channel binding, wrong password', 'scram', () => ({ password: 'wrong', binding: true }), '28P01 password authentication failed for user "scram"'],
    ['a certificate', 'carol', () => ({ certificate: shown.carol }), 'in'],
    ['no certificate', 'carol', () => ({}), '28000 connection requires a valid client certificate'],
    ['a certificate of another name', 'carol', () => ({ certificate: shown.other }), '28000 certificate authentication failed for user "carol"'],
    ['a mapped name', 'mapped', () => ({ certificate: shown.alias }), 'in'],
    ['a name that is not in the map', 'mapped', () => ({ certificate: shown.carol }), '28000 certificate authentication failed for user "mapped"'],
    ['a certificate besides a password', 'both', () => ({ password: 'right', certificate: shown.other }), 'in'],
    ['a password without the certificate', 'both', () => ({ password: 'right' }), '28000 connection requires a valid client certificate'],
    ['the certificate without the password', 'both', () => ({ password: 'wrong', certificate: shown.other }), '28P01 password authentication failed for user "both"'],
    ['a certificate of the name besides a password', 'strict', () => ({ password: 'right', certificate: shown.strict }), 'in'],
  ];
  it.each(cases)('%s', async (_, user, how, expected) => {
    expect(await attempt(server.address.port, user, how())).toBe(expected);
    expect(await atGateway(user, how())).toBe(expected);
  });

  it('clients\' certificates that are no good are refused by both, whatever else is shown', async () => {
    for (const [name, problem] of [['expired', 'CERT_HAS_EXPIRED'], ['revoked', 'CERT_REVOKED'], ['strange', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']] as const) {
      for (const user of ['carol', 'scram']) {
        const how = { certificate: shown[name], password: 'right' };
        expect(await attempt(server.address.port, user, how), `${name} ${user}`).not.toBe('in');
        // A server ends TLS itself; here it can be said what is wrong.
        expect(await atGateway(user, how), `${name} ${user}`).toBe('28000 connection requires a valid client certificate');
      }
      const direct = await run('carol', `sslcert=${shown[name].cert} sslkey=${shown[name].key}`);
      expect(direct).toContain(problem);
    }
  });
});

async function run(user: string, more: string, password = ''): Promise<string> {
  const environment = { PATH: process.env['PATH'], HOME: '/nonexistent', PGPASSWORD: password };
  return promisify(execFile)(psql, ['-XAtc', 'SELECT 42', '-v', 'VERBOSITY=verbose', `host=127.0.0.1 port=${fixture.gateway.port} user=${user} dbname=postgres ${more}`], { env: environment })
    .then(({ stdout }) => stdout.trim(), (error: unknown) => String(error));
}

it('libpq: certificates, and channel binding that it insists on', async () => {
  expect(await run('carol', `sslmode=verify-ca sslrootcert=${authority.ca} sslcert=${shown.carol.cert} sslkey=${shown.carol.key}`)).toBe('42');
  expect(await run('scram', 'sslmode=require channel_binding=require', 'right')).toBe('42');
  expect(await run('scram', 'sslmode=require channel_binding=disable', 'right')).toBe('42');
  expect(await run('scram', 'sslmode=require channel_binding=require', 'wrong')).toContain('password authentication failed for user "scram"');
  expect(await run('old', 'sslmode=require', 'right')).toBe('42');
});

it('a certificate or a password, where either will do', async () => {
  expect(await atGateway('either', { certificate: authority.issue('either') })).toBe('in');
  expect(await atGateway('either', { password: 'right' })).toBe('in');
  expect(await atGateway('either', { password: 'wrong' })).toBe('28P01 password authentication failed for user "either"');
});

it('a name that only the certificate of another user has', async () => {
  expect(await atGateway('strict', { password: 'right', certificate: shown.carol })).toBe('28000 certificate authentication failed for user "strict"');
});

it('TLS that fails, or never comes about, leaves nothing behind', async () => {
  const handles = (): number => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|TLS/.test(name)).length;
  const before = handles();
  await Promise.all(Array.from({ length: 200 }, (_, index) => new Promise<void>((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port: fixture.gateway.port });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
    socket.once('data', () => {
      if (index % 3 === 0) socket.write('no TLS at all, and long enough to be seen as such');
      if (index % 3 === 1) socket.resetAndDestroy();
      if (index % 3 === 2) socket.end();
    });
  })));
  await expect.poll(handles).toBeLessThan(before + 5);
  expect(await atGateway('scram', { password: 'right' })).toBe('in');
});

it('towards a server that asks for a certificate: sessions and the product\'s own connections', async () => {
  const mine = authority.issue('postgres');
  const ssl = { mode: 'verify-ca', ca: authority.ca, cert: mine.cert, key: mine.key } as const;
  const target = { ...server.address, ssl };
  await using strict = await startGateway(target, target, { users: [{ name: 'postgres', trustFrom: ['127.0.0.1'] }], legs: { target: (_side, login) => ({ ...target, database: login.database }) } });
  const client = new pg.Client({ host: '127.0.0.1', port: strict.gateway.port, user: 'postgres', database: 'postgres' });
  await client.connect();
  expect((await client.query<{ dn: string }>('SELECT client_dn AS dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows).toEqual([{ dn: '/CN=postgres' }]);
  await client.end();
  const link = await connectServer(target, { applicationName: 'test' });
  expect((await link.query<{ dn: string }>('SELECT client_dn AS dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows).toEqual([{ dn: '/CN=postgres' }]);
  await link.end();
});
