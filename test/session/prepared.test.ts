/** Property: a statement of SQL's own PREPARE answers as on one server, whatever sides its tables are on and come to be on. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, poolMode, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import { b, c, d, e, fieldsOf, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let whole: TestPostgres;
let fixture: GatewayFixture;
/** Bytes of rows brought for statements over both sides. */
let moved = 0;
let admins: { readonly source: pg.Client; readonly local: pg.Client; readonly whole: pg.Client };
let through: RawClient;
let truth: RawClient;

beforeAll(async () => {
  [source, local, whole] = await Promise.all([startTestPostgres(), startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address, {}, {
    count: (name, _labels, by = 1) => {
      if (name === 'scratchbird_gateway_hybrid_bytes_total') moved += by;
    }, gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined,
  });
  admins = { source: await source.client(), local: await local.client(), whole: await whole.client() };
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local, whole]) await server?.[Symbol.asyncDispose]();
});

const rows = { here: "INSERT INTO here SELECT g, 'here ' || g, g % 3 FROM generate_series(1, 30) g", there: "INSERT INTO there SELECT g, 'there ' || g, g * 1.5 FROM generate_series(1, 20) g" } as const;

/** `here` is on local, `there` is not migrated; the side that is not asked has none of their rows. */
beforeEach(async () => {
  for (const [name, admin] of Object.entries(admins)) {
    await admin.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE here (k int PRIMARY KEY, v text, n int); CREATE TABLE there (k bigint PRIMARY KEY, v text, x numeric)');
    if (name !== 'source') await admin.query(rows.here);
    if (name !== 'local') await admin.query(rows.there);
    if (name !== 'local') await admin.query('CREATE VIEW pairs AS SELECT here.k, there.v FROM here JOIN there USING (k)');
  }
  publish();
  through = await RawClient.connect(fixture.gateway.port);
  truth = await RawClient.connect(whole.address.port);
});

afterEach(() => [through, truth].forEach((client) => client.end()));

function publish(tables: Parameters<GatewayFixture['control']['publish']>[0] = { here: onLocal }): void {
  fixture.control.publish(tables, { views: { 'public.pairs': ['public.here', 'public.there'] }, missingOnLocal: ['public.pairs'] });
}

/** Numbers of tables, and places in the server's source, may differ. */
function comparable({ type, body }: RawMessage): string {
  if (type === 'T') return `T ${body.readUInt16BE(0)}`;
  if (type !== 'E' && type !== 'N') return `${type} ${body.toString('latin1')}`;
  const { C, M, D, H, P } = fieldsOf({ type, body });
  // A statement that a client binds before it can know that its Parse has failed is missed by the name that the pool has given it.
  const text = poolMode ? M?.replace(/"(?:causeway_p|n)\d+"/, '"n…"') : M;
  return `${type} ${C} ${text} ${D ?? ''} ${H ?? ''} at ${P ?? '-'}`;
}

async function expectSame(step: readonly Buffer[]): Promise<void> {
  const readies = step.filter((bytes) => bytes[0] === 0x51 || bytes[0] === 0x53).length;
  const [seen, expected] = [await through.ask(step, readies), await truth.ask(step, readies)].map((answer) => answer.filter(({ type }) => type !== 'S').map(comparable));
  expect(seen, step.map((bytes) => bytes.toString('latin1')).join(' ')).toEqual(expected);
}

async function typesOf(step: Buffer): Promise<string> {
  return (await through.ask(step)).map(({ type }) => type).join('');
}

const join = 'SELECT here.k, here.v, there.v, x FROM here JOIN there USING (k)';

const sessions: Readonly<Record<string, readonly string[]>> = {
  'with and without types': [
    `PREPARE a AS ${join} WHERE here.k < 4 ORDER BY 1`, 'EXECUTE a', 'EXECUTE a', 'EXECUTE a(1)', `PREPARE b(int, text) AS ${join} WHERE here.k = $1 AND there.v > $2 ORDER BY 1`, "EXECUTE b(3, '')", "EXECUTE b(1 + 2, 'there ' || 1)", 'EXECUTE b(NULL, NULL)', "EXECUTE b('x', '')",
    "EXECUTE b(2.4, '')", 'EXECUTE b(3)', `PREPARE c AS ${join} WHERE here.k = $1 OR there.x = $2 ORDER BY 1`, 'EXECUTE c(3, 4.5)', "EXECUTE c('7', '30')", 'EXECUTE c(abs(-2), 1)', 'EXECUTE c(-1, NULL)', "EXECUTE c('no', 1)",
    `PREPARE d (numeric) AS ${join} WHERE here.k = $1`, 'EXECUTE d(3.0)', 'EXECUTE d(3.5)', `PREPARE f (int) AS ${join} WHERE here.k = $1`, 'EXECUTE f(2.5)', "EXECUTE f('4')", `PREPARE "Name""d"(text) AS ${join} WHERE there.v = $1`, `EXECUTE "Name""d" ('there 5')`, `/* of */ EXECUTE -- it\n "Name""d"('there 6')`,
  ],
  'what is wrong with them': [
    `PREPARE a AS SELECT nothing FROM here JOIN there USING (k)`, 'EXECUTE a', `PREPARE a AS ${join} WHERE here.k = 1`, 'EXECUTE a', `PREPARE a AS ${join}`, 'PREPARE a AS SELECT 1', 'PREPARE a AS SELECT v FROM here', 'PREPARE a AS SELECT v FROM there', 'EXECUTE a', 'EXECUTE b', 'DEALLOCATE b', `PREPARE x(nothing) AS ${join}`,
    `PREPARE y AS SELECT 1 / (here.k - 2) FROM here JOIN there USING (k) WHERE here.k = $1`, 'EXECUTE y(2)', 'EXECUTE y(3)', `PREPARE z AS SELECT $1 + $2 FROM here, there WHERE false`, 'EXECUTE z(1, 2)', 'DEALLOCATE a', 'EXECUTE a', 'PREPARE a AS SELECT 2', 'EXECUTE a', 'DEALLOCATE ALL', 'EXECUTE a', `PREPARE a AS ${join} WHERE here.k = 2`, 'EXECUTE a',
    'DISCARD ALL', 'EXECUTE a', `PREPARE a AS ${join} WHERE here.k = 3`, 'EXECUTE a', 'DISCARD PLANS', 'EXECUTE a', 'DEALLOCATE PREPARE a', 'DEALLOCATE a',
  ],
  'that write': [
    "PREPARE w(int) AS INSERT INTO here SELECT there.k + 100, there.v, $1 FROM there WHERE there.k < $1 RETURNING k, v", 'EXECUTE w(3)', 'EXECUTE w(3)', 'SELECT * FROM here WHERE k > 100 ORDER BY 1', 'PREPARE u AS UPDATE there SET v = here.v FROM here WHERE here.k = there.k AND there.k = $1', 'EXECUTE u(4)', 'SELECT v FROM there WHERE k = 4',
    'PREPARE x AS DELETE FROM there USING here WHERE here.k = there.k AND here.n = $1 RETURNING there.k', 'BEGIN', 'EXECUTE x(2)', 'SELECT count(*) FROM there', 'ROLLBACK', 'SELECT count(*) FROM there',
  ],
  'in blocks': [
    'BEGIN', `PREPARE a(int) AS ${join} WHERE here.k = $1`, 'EXECUTE a(1)', 'ROLLBACK', 'EXECUTE a(2)', 'BEGIN', "UPDATE here SET v = 'new' WHERE k = 2", 'EXECUTE a(2)', 'EXECUTE a(1 / 0)', 'EXECUTE a(2)', 'ROLLBACK', 'EXECUTE a(2)', 'BEGIN', 'DECLARE c CURSOR FOR SELECT 1', 'EXECUTE a(3)', 'COMMIT',
  ],
  'views, EXPLAIN, temporary tables': [
    'PREPARE v AS SELECT * FROM pairs WHERE k = $1', 'EXECUTE v(3)', 'EXECUTE v(4)', 'PREPARE v AS SELECT * FROM pairs', `PREPARE a(int) AS ${join} WHERE here.k < $1 ORDER BY 1`, 'EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE nothing(1)', 'CREATE TEMP TABLE made AS EXECUTE a(4)', 'SELECT k FROM made ORDER BY 1', 'CREATE TEMP TABLE execute AS EXECUTE a(2)', 'SELECT k FROM execute',
  ],
};

describe.each(Object.entries(sessions))('%s', (_, texts) => {
  it('as simple queries', async () => {
    for (const text of texts) await expectSame([q(text)]);
  });

  it('as extended queries', async () => {
    for (const text of texts) await expectSame([p('', text), b('', ''), d('P', ''), e(''), s]);
  });

  it('as named ones that are described first', async () => {
    for (const [index, text] of texts.entries()) await expectSame([p(`n${index}`, text), ...(/^EXECUTE/.test(text) ? [d('S', `n${index}`)] : []), s, b('', `n${index}`), e(''), s]);
  });
});

it('EXPLAIN EXECUTE shows the plan that runs, on the side that runs it', async () => {
  await through.ask(q(`PREPARE a(int) AS ${join} WHERE here.k = $1`));
  expect(await typesOf(q('EXPLAIN (COSTS OFF) EXECUTE a(3)'))).toMatch(/^TD+CZ$/);
  await through.ask(q('PREPARE one AS SELECT count(*) FROM here'));
  expect(await typesOf(q('EXPLAIN EXECUTE one'))).toMatch(/^TD+CZ$/);
});

it('the protocol binds and closes them, too', async () => {
  await expectSame([q(`PREPARE a(int, text) AS ${join} WHERE here.k = $1 AND here.v <> $2`)]);
  await expectSame([d('S', 'a'), b('', 'a', ['3', 'x']), d('P', ''), e(''), s]);
  await expectSame([b('', 'a', ['3', 'x']), e(''), b('', 'a', ['4', 'x']), e(''), s]);
  await expectSame([c('S', 'a'), s]);
  await expectSame([q("EXECUTE a(1, '')")]);
  await expectSame([p('made', `${join} WHERE here.k = 7`), s]);
  await expectSame([b('', 'made'), e(''), s]);
  await expectSame([q('EXECUTE made')]);
  await expectSame([p('two', `${join} WHERE here.k = $1 AND there.v <> $2`), s]);
  await expectSame([q("EXECUTE two(3, 'x')")]);
  await expectSame([p('', "EXECUTE two(4, 'x')"), b('', ''), d('P', ''), e(''), s]);
  await expectSame([message('P', cstring('typed'), cstring(`${join} WHERE here.k = $1 AND there.v <> $2`), int16(2), int32(20), int32(0)), s]);
  await expectSame([q("EXECUTE typed(5, 'x')")]);
  await expectSame([q("EXECUTE typed('five', 'x')")]);
  await expectSame([p('made', 'SELECT 1'), s]);
  await expectSame([q('PREPARE made AS SELECT v FROM here')]);
  await expectSame([q(`PREPARE other AS ${join}`), p('other', 'SELECT v FROM here'), s]);
  await expectSame([q('DEALLOCATE made')]);
  await expectSame([q('DEALLOCATE made')]);
});

it('their tables change sides: to both, back, and all to one', async () => {
  const step = async (): Promise<void> => {
    await expectSame([q('EXECUTE a(3)')]);
    await expectSame([p('', 'EXECUTE b(3)'), b('', ''), d('P', ''), e(''), s]);
    await expectSame([b('', 'a', ['4']), e(''), s]);
  };
  await admins.source.query(rows.here);
  publish({});
  for (const name of ['a', 'b']) await expectSame([q(`PREPARE ${name}(int) AS ${join} WHERE here.k = $1`)]);
  await step();
  await admins.source.query("UPDATE here SET v = 'stale'");
  publish({ here: onLocal });
  await step();
  await admins.local.query(rows.there);
  await admins.source.query("UPDATE there SET v = 'stale'");
  publish({ here: onLocal, there: onLocal });
  await step();
  await admins.source.query('TRUNCATE here, there');
  await admins.source.query(`${rows.here}; ${rows.there}`);
  publish({ here: dualWrite, there: onLocal });
  await step();
  publish({});
  await step();
  await expectSame([q(`PREPARE c(int) AS ${join} WHERE here.k = $1`)]);
  publish({ here: onLocal });
  await expectSame([q('DEALLOCATE a')]);
  await expectSame([q('EXECUTE a(1)')]);
  await expectSame([q('EXECUTE c(1)')]);
});

it('one that was prepared beside other statements, or by a Parse, too', async () => {
  await admins.local.query(rows.there);
  await expectSame([p('parsed', 'SELECT v FROM there WHERE k = $1'), s]);
  await expectSame([q('EXECUTE parsed(3)')]);
  await expectSame([q('SELECT 1; PREPARE a AS SELECT v FROM there WHERE k = 2; PREPARE b(int) AS SELECT v FROM here WHERE k = $1; EXECUTE a')]);
  await admins.source.query("UPDATE there SET v = 'stale'");
  publish({ here: onLocal, there: onLocal });
  await expectSame([q('EXECUTE a')]);
  await expectSame([q('EXECUTE b(2); EXECUTE a')]);
  await expectSame([q('EXECUTE parsed(3)')]);
  await expectSame([b('', 'parsed', ['4']), e(''), s]);
});

it('one that was prepared over both sides runs on one when they meet there: with its rows, not with none', async () => {
  await expectSame([q(`PREPARE a(int) AS ${join} WHERE here.k = $1`)]);
  await admins.source.query(rows.here);
  publish({});
  await expectSame([q('EXECUTE a(3)')]);
  await admins.local.query(rows.there);
  publish({ here: onLocal, there: onLocal });
  await expectSame([q('EXECUTE a(3)')]);
});

it('constants narrow what is brought; nothing of ours stays on the legs', async () => {
  const bytesOf = async (execute: string): Promise<number> => {
    moved = 0;
    await expectSame([q(execute)]);
    return moved;
  };
  for (const sql of [`PREPARE a(int) AS ${join} WHERE here.k = $1 AND there.k = $1`, `PREPARE b AS ${join} WHERE here.k = $1 AND there.k = $2`]) await expectSame([q(sql)]);
  const whole = await bytesOf('EXECUTE a(1 + 2)');
  for (const execute of ['EXECUTE a(3)', "EXECUTE a('4')", 'EXECUTE b(3, 3)']) expect(await bytesOf(execute), execute).toBeLessThan(whole / 5);
  await expect.poll(async () => (await through.ask(q("SELECT name FROM pg_prepared_statements WHERE name NOT IN ('a', 'b')"))).filter(({ type }) => type === 'D').length).toBe(0);
});
