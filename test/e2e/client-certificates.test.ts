// The settings of TLS and users, as a file gives them, reach the gateway processes: certificates, channel binding, md5.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestAuthority } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { Stack } from './support/stack.ts';

const psql = findTool('psql') ?? 'psql';
const authority = createTestAuthority();
const shown = authority.issue('app.example');
let stack: Stack;

beforeAll(async () => {
  const own = authority.issue('localhost');
  const legs = (): object => ({ source: { user: 'app' }, local: { user: 'app' } });
  stack = await Stack.start({
    sourceSql: 'CREATE TABLE note (id int PRIMARY KEY)', workers: 1,
    settings: {
      tls: { cert: { file: own.cert }, key: { file: own.key }, ca: { file: authority.ca } },
      users: [
        { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], source: { user: 'postgres' }, local: { user: 'postgres' } },
        { name: 'app', certificate: 'login', certificate_names: ['app.example'], ...legs() },
        { name: 'bound', password: 'right', ...legs() },
        { name: 'old', verifier: `md5${createHash('md5').update('rightold').digest('hex')}`, ...legs() },
      ],
    },
  });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  authority[Symbol.dispose]();
});

async function logIn(user: string, more: string, password = ''): Promise<string> {
  const { host, port, database } = stack.gateway;
  const environment = { PATH: process.env['PATH'], HOME: '/nonexistent', PGPASSWORD: password };
  return promisify(execFile)(psql, ['-XAtc', 'SELECT current_user', `host=${host} port=${port} dbname=${database} user=${user} ${more}`], { env: environment }).then(({ stdout }) => stdout.trim(), (error: unknown) => String(error));
}

it('by certificate, by a bound password, by md5', async () => {
  expect(await logIn('app', `sslmode=require sslcert=${shown.cert} sslkey=${shown.key}`)).toBe('app');
  expect(await logIn('app', 'sslmode=require')).toContain('connection requires a valid client certificate');
  expect(await logIn('bound', 'channel_binding=require', 'right')).toBe('app');
  expect(await logIn('bound', 'channel_binding=require', 'wrong')).toContain('password authentication failed');
  expect(await logIn('old', 'sslmode=disable', 'right')).toBe('app');
  expect(await logIn('old', 'sslmode=disable', 'wrong')).toContain('password authentication failed');
});
