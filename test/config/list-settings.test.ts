/** SHOW CONFIG lists every setting by its name in the file, with its true default, and no secret. */
import { describe, expect, test } from 'vitest';
import { listSettings } from '../../config/list-settings.ts';
import { parseSettings } from '../../config/load.ts';

const settings = parseSettings(`
source: {host: legacy, database: shop, user: u, password: geheim1, ssl: {mode: require}}
local: {host: new, database: shop, user: v, password: geheim2}
credential_key: ${Buffer.alloc(32, 'geheim3').toString('base64')}
users:
  - {name: app, password: geheim4, max_user_connections: 7, source: {user: a, password: geheim5}}
  - {name: op, verifier: 'SCRAM-SHA-256$4096:c2FsdA==$Z2VoZWlt:Z2VoZWlt', operator: true}
databases: [{name: shop, max_db_connections: 9}]
timeouts: {client_idle_ms: 5000}
`, { name: 'c.yaml', directory: '/', environment: {} });

describe('the list', () => {
  const listed = new Map(listSettings(settings).map((each) => [each.key, each]));

  test('has values, defaults, and the limits of names', () => {
    expect(listed.get('timeouts.client_idle_ms')).toEqual({ key: 'timeouts.client_idle_ms', value: '5000', default: '0' });
    expect(listed.get('limits.max_connections')).toMatchObject({ value: '1000', default: '1000' });
    expect(listed.get('source.host')).toMatchObject({ value: 'legacy', default: undefined });
    expect(listed.get('local.port')).toMatchObject({ value: '5432', default: undefined });
    expect(listed.get('users.app.max_user_connections')).toMatchObject({ value: '7', default: '0' });
    expect(listed.get('databases.shop.max_db_connections')).toMatchObject({ value: '9', default: '0' });
    expect([...listed.keys()]).toEqual([...listed.keys()].sort());
    for (const key of Object.keys(settings.timeouts)) expect(listed.has(`timeouts.${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`)).toBe(true);
  });

  test('has no secret', () => {
    const text = JSON.stringify([...listed.values()]);
    for (const secret of ['geheim', 'Z2VoZWlt', 'SCRAM', settings.credentialKey ?? '?']) expect(text).not.toContain(secret);
  });
});
