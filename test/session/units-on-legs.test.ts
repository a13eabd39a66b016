/** Property: a unit of the extended protocol goes on to its end whatever is waited for around it, and on the leg on which it is if nothing calls it away. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, firstValue, h, p, q, s, transcript } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: RawClient;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
  for (const [side, server] of [['source', source], ['local', local]] as const) {
    const admin = await server.client();
    await admin.query(`CREATE TABLE here (t text); CREATE TABLE both_sides (t text); CREATE TABLE there (t text); INSERT INTO here VALUES ('${side}'); INSERT INTO there VALUES ('${side}');
      CREATE FUNCTION opaque(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'`);
  }
  fixture.control.publish({ here: onSource, both_sides: dualWrite, there: onLocal });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  fixture.control.autoVisible = true;
  client = await RawClient.connect(fixture.gateway.port);
  // So that there is a leg to local.
  await client.ask(q('SELECT t FROM there'));
});

afterEach(() => client.end());

const types = (messages: readonly RawMessage[]): string => messages.map(({ type }) => type).join('');

it('a unit whose Parse was sent before a commit was held back goes on once it is let go', async () => {
  fixture.control.autoVisible = false;
  client.messages.length = 0;
  client.socket.write(Buffer.concat([p('', "INSERT INTO both_sides VALUES ('x')"), b('', ''), e(''), s, p('', 'SELECT t FROM here')]));
  await expect.poll(() => fixture.control.waits.length).toBe(1);
  client.socket.write(Buffer.concat([b('', ''), e(''), s]));
  await new Promise((resolve) => setTimeout(resolve, 50));
  fixture.control.makeVisible();
  await client.until(() => types(client.messages) === '12CZ12DCZ', 3_000);
});

it('a batch whose writes are waited for by position runs to its Sync, and so does what stands behind it', async () => {
  const batch = [p('', 'INSERT INTO both_sides VALUES (opaque($1))'), b('', '', ['1']), e(''), b('', '', ['2']), e(''), p('', 'SELECT 1'), b('', ''), e(''), s];
  expect(types(await client.ask(batch, 1, 3_000))).toBe('12C2C12DCZ');
});

it('a statement that needs no table runs behind one on local', async () => {
  expect(types(await client.ask([p('', 'SELECT t FROM there'), b('', ''), e(''), p('', "SELECT 'x'"), b('', ''), e(''), s], 1, 3_000))).toBe('12DC12DCZ');
});

it('an advisory lock stays on the source, also behind a statement on local', async () => {
  const answer = await client.ask([p('', 'SELECT t FROM there'), b('', ''), e(''), p('', 'SELECT pg_try_advisory_lock(1)'), b('', ''), e(''), s], 1, 3_000);
  const admin = await local.client();
  expect((await admin.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).rows).toEqual([]);
  expect(types(answer)).toBe('12DC12DCZ');
});

it('DEALLOCATE reaches a statement that is on local only', async () => {
  await client.ask(q('PREPARE mine AS SELECT t FROM there'));
  expect(transcript(await client.ask(q('DEALLOCATE mine')))).toEqual(['C:DEALLOCATE\0', 'Z:I']);
  expect(types(await client.ask(q('PREPARE mine AS SELECT t FROM there')))).toBe('CZ');
});

it("settings of the application's own are on both legs, however they were set", async () => {
  const seen = async (): Promise<string | undefined> => firstValue(await client.ask(q("SELECT concat_ws(',', t, current_setting('app.one', true), current_setting('app.two', true)) FROM there")));
  await client.ask(q("SET app.one = 'set'"));
  expect(await seen()).toBe('local,set');
  await client.ask([p('', "SELECT set_config('app.one', $1, false), set_config('app.two', $2, false)"), b('', '', ["it's", '2']), e(''), s]);
  expect(await seen()).toBe("local,it's,2");
  await client.ask(q('BEGIN'));
  await client.ask(q("SET LOCAL app.one = 'here'"));
  expect(await seen()).toBe('local,here,2');
  await client.ask(q('COMMIT'));
  expect(await seen()).toBe("local,it's,2");
});

it('a unit that a barrier waits for is not parked by it', async () => {
  client.messages.length = 0;
  client.socket.write(Buffer.concat([p('', 'SELECT t FROM here'), b('', ''), e(''), h]));
  await client.until(() => types(client.messages) === '12DC');
  fixture.control.publish({ here: { ...onSource, quiescing: true }, both_sides: dualWrite, there: onLocal });
  const { epoch } = fixture.control.snapshot;
  expect(fixture.gateway.quiesceReport(['public.here'], epoch)).toMatchObject({ holding: [{}], parked: 0 });
  client.socket.write(Buffer.concat([b('', ''), e(''), s]));
  await client.until(() => types(client.messages) === '12DC2DCZ', 3_000);
  expect(fixture.gateway.quiesceReport(['public.here'], epoch)).toMatchObject({ holding: [], parked: 0 });
  fixture.control.publish({ here: onSource, both_sides: dualWrite, there: onLocal });
});
