/** Property: statements about servers and user mappings are the database's, as on a direct connection, unless they name a server of the gateway's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, d, e, fieldsOf, p, q, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  await (await source.client()).query('CREATE FOREIGN DATA WRAPPER w');
  fixture = await startGateway(source.address, local.address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

const foreign = [
  'CREATE SERVER f FOREIGN DATA WRAPPER w', 'CREATE USER MAPPING FOR CURRENT_USER SERVER f OPTIONS (x \'1\')', 'ALTER SERVER f OPTIONS (y \'2\')',
  'ALTER USER MAPPING FOR CURRENT_USER SERVER f OPTIONS (SET x \'3\')', 'ALTER SERVER f RENAME TO g', 'DROP USER MAPPING FOR CURRENT_USER SERVER g', 'DROP SERVER g',
];

describe.each([['with no table migrated', {}], ['with a table on local', { a: onLocal }]])('%s', (_name, tables) => {
  it.each(['simple', 'extended'])('foreign servers are made, changed and dropped: %s', async (protocol) => {
    fixture.control.publish(tables);
    const client = await RawClient.connect(fixture.gateway.port);
    for (const sql of foreign) {
      const answer = await client.ask(protocol === 'simple' ? q(sql) : [p('', sql), b('', ''), d('P', ''), e(''), s]);
      expect([sql, answer.find(({ type }) => type === 'C')?.body.toString('utf8').replace(/\0$/, '')]).toEqual([sql, /^\w+(?: USER MAPPING| SERVER)/.exec(sql)?.[0]]);
    }
    expect(fixture.control.commands).toEqual([]);
    const [refused] = await client.ask(q('DROP SERVER nowhere'));
    expect(fieldsOf(refused)).toMatchObject({ C: '42704', M: 'server "nowhere" does not exist' });
    client.end();
  });
});

it('a server of the gateway is the control\'s from the moment it is there', async () => {
  const client = await RawClient.connect(fixture.gateway.port);
  fixture.control.servers.add('legacy');
  for (const sql of ['ALTER SERVER legacy OPTIONS (host \'x\')', 'CREATE USER MAPPING FOR a SERVER LEGACY OPTIONS (user \'x\')', 'DROP SERVER f, legacy']) await client.ask(q(sql));
  expect(fixture.control.commands.map(({ sql }) => sql.split(' ')[0])).toEqual(['ALTER', 'CREATE', 'DROP']);
  fixture.control.servers.delete('legacy');
  expect(fieldsOf((await client.ask(q('DROP SERVER legacy')))[0])['C']).toBe('42704');
  expect(fixture.control.commands).toHaveLength(3);
  client.end();
});
