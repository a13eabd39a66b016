/**
 * Property: a secret is nowhere to be found but in the value that `reveal` returns: not in the catalog's files, not in an error, a log
 * line, a JSON text or an inspection; and a sealed value opens only with its key, for its server, user and option.
 */
import * as fc from 'fast-check';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { credentialKey, loadOrCreateKey, newKey, seal, Secret, unseal, writeKeyFile } from '../../catalog/credentials.ts';
import { testCatalog } from './support.ts';

const owner = { serverName: 'legacy_pg', userName: 'ops', option: 'password' };
const actor = { user: 'ops', clientIp: '127.0.0.1' };

test('sealing and opening gives the value back; any other owner, key or byte does not', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ minLength: 1 }), fc.nat(), (value, other, at) => {
      const key = newKey();
      const sealed = seal(key, owner, value);
      expect(unseal(key, owner, sealed).reveal()).toBe(Buffer.from(value).toString());
      expect(seal(key, owner, value)).not.toBe(sealed);
      for (const field of ['serverName', 'userName', 'option'] as const) {
        expect(() => unseal(key, { ...owner, [field]: owner[field] + other }, sealed)).toThrow('MIG003');
      }
      expect(() => unseal(newKey(), owner, sealed)).toThrow('MIG003');
      const [version, id, body = ''] = sealed.split('.');
      const bytes = Buffer.from(body, 'base64');
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ 1;
      expect(() => unseal(key, owner, `${version}.${id}.${bytes.toString('base64')}`)).toThrow('MIG003');
    }),
    { numRuns: 50 },
  );
});

test('owners whose names run together are told apart', () => {
  const key = newKey();
  const sealed = seal(key, { serverName: 'a,b', userName: 'c', option: 'password' }, 'x');
  expect(() => unseal(key, { serverName: 'a', userName: 'b,c', option: 'password' }, sealed)).toThrow('MIG003');
});

test('a secret does not show', () => {
  const secret = new Secret('hunter2-hunter2');
  const shown = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect(secret), inspect({ deep: [secret] }, { showHidden: true }), Object.keys(secret).join()];
  for (const text of shown) expect(text).not.toContain('hunter2');
  expect(String(secret)).toBe('********');
});

test('secrets are in no file of the catalog, no error and no audit row', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  const password = 'correct-horse-battery-staple';
  const errors: unknown[] = [];
  const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => errors.push(error));
  await attempt(catalog.createMapping('nowhere', 'ops', { password }));
  await attempt(catalog.createServer({ name: 'legacy_pg', wrapper: 'postgres', options: { host: 'db1', password } }));
  await catalog.createServer({ name: 'legacy_pg', wrapper: 'postgres', options: { host: 'db1' } });
  await catalog.createMapping('legacy_pg', 'ops', { user: 'migrator', password, sslkey: `${password}-key` });
  await attempt(catalog.createMapping('legacy_pg', 'ops', { password }));
  await catalog.alterMapping('legacy_pg', 'ops', { sslpassword: `${password}-2` }, actor);
  await attempt(catalog.alterMapping('legacy_pg', 'someone', { password }, actor));
  expect(errors.length).toBe(4);
  for (const error of errors) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(password);
  const found = await catalog.credentials('legacy_pg', 'ops', actor);
  expect(found?.options).toEqual({ user: 'migrator' });
  expect(found?.secrets['password']?.reveal()).toBe(password);
  expect(found?.secrets['sslpassword']?.reveal()).toBe(`${password}-2`);
  expect(inspect(found, { depth: 9 })).not.toContain(password);
  expect(await catalog.mapping('legacy_pg', 'ops')).toMatchObject({ options: { user: 'migrator' }, secretNames: ['password', 'sslkey', 'sslpassword'] });
  const trail = await catalog.auditTrail({ limit: 10 });
  expect(trail.map((entry) => entry.action)).toEqual(['CREDENTIALS_ACCESSED', 'CREDENTIALS_ROTATED']);
  expect(JSON.stringify(trail)).not.toContain(password);
  const names = fs.readdirSync(real.directory);
  expect(names).toContain('catalog.db-wal');
  for (const name of names) expect(fs.readFileSync(path.join(real.directory, name)).includes(password)).toBe(false);
});

test('rotation re-encrypts everything in one transaction, or nothing', async () => {
  await using real = await testCatalog();
  const { catalog } = real;
  await catalog.createServer({ name: 's', wrapper: 'postgres', options: {} });
  await catalog.createMapping('s', 'public', { password: 'one' });
  await catalog.createMapping('s', 'ops', { password: 'two', sslpassword: 'three' });
  const next = newKey();
  expect(await catalog.rotateKey(next, actor)).toBe(3);
  expect((await catalog.credentials('s', 'anybody', actor))?.secrets['password']?.reveal()).toBe('one');
  // A catalog that is opened with the old key says which key it wants.
  const stale = real.open();
  await stale.acquire({ pid: process.pid, host: 'test' }, { takeOver: true });
  await expect(stale.credentials('s', 'ops', actor)).rejects.toMatchObject({ code: 'MIG003', detail: expect.stringContaining(next.id) as string });
  await expect(stale.rotateKey(newKey(), actor)).rejects.toMatchObject({ code: 'MIG003' });
  await stale.close();
});

test('the key file is made once, with mode 0600, and refused when others can read it', async () => {
  await using real = await testCatalog();
  const file = path.join(real.directory, 'keys', 'credential.key');
  const key = loadOrCreateKey(file);
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  expect(loadOrCreateKey(file).id).toBe(key.id);
  const next = newKey();
  writeKeyFile(file, next);
  expect(loadOrCreateKey(file).id).toBe(next.id);
  expect(loadOrCreateKey(`${file}.old`).id).toBe(key.id);
  fs.chmodSync(file, 0o644);
  expect(() => loadOrCreateKey(file)).toThrow('can be read by others');
  fs.writeFileSync(file, 'short', { mode: 0o600 });
  fs.chmodSync(file, 0o600);
  expect(() => loadOrCreateKey(file)).toThrow('does not hold a key');
  expect(() => credentialKey(Buffer.alloc(8))).toThrow('32 bytes');
});
