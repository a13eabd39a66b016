/** The ways on which PostgreSQL's regression schedule is run, each with servers of its own: its tests make roles and tablespaces, which belong to a server. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { createAskSide } from '../../src/main/ask-side.ts';
import { runPooler } from '../bench/proxy/poolers.ts';
import { startGateway } from '../session/gateway-fixture.ts';
import { freePort, startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { requireTool } from '../support/tools.ts';
import type { Target, Way } from './driver-servers.ts';
import { clientSettings, regressionDatabase, regressionDatabaseSetup, regressionServer, runTests } from './regression-run.ts';
import type { Outputs } from './regression-run.ts';

/**
 * `pgbouncer`: in session mode, what any proxy is held to. The others lead through the gateway. `nothing`: no table is migrated, everything passes.
 * `elsewhere`: a table of a schema that no test knows is on local, so every text is read, every name looked up, and blocks are answered by the gateway's
 * own transaction control. `tables`: of the tables that `test_setup` makes, some that many tests use are on local; their rows on the source are gone.
 */
export type RegressionWay = 'pgbouncer' | Way;

const settings = { shared_buffers: '128MB', max_prepared_transactions: 20, max_connections: 100, wal_level: 'replica', autovacuum: 'off' };
const setupTest = 'test_setup';
const movedTables = ['int4_tbl', 'int8_tbl', 'float8_tbl', 'text_tbl', 'varchar_tbl', 'tenk1', 'onek2'];

/** What psql printed for each test; of `tables` without the test that makes them, which is run on both servers beforehand. */
export async function runRegression(way: RegressionWay, suite: string, tests: readonly string[]): Promise<Outputs> {
  await using stack = new AsyncDisposableStack();
  const results = makeResultsFolder(stack);
  const run = (target: Target, names: readonly string[]): Promise<Outputs> => runTests({ ...target, database: regressionDatabase }, { suite, results, tests: names });
  const source = await startRegressionServer(stack);
  if (way === 'direct') return await run(source.address, tests);
  if (way === 'pgbouncer') return await run({ ...source.address, port: await startPgbouncer(source, stack) }, tests);
  const local = await startRegressionServer(stack);
  const sides = stack.use(createAskSide({ source: source.address, local: local.address }));
  const { gateway, control } = stack.use(await startGateway(source.address, local.address, { askSide: sides.ask }));
  const target = { ...source.address, port: gateway.port };
  if (way === 'elsewhere') {
    for (const server of [source, local]) await (await server.client(regressionDatabase)).query('CREATE SCHEMA moved; CREATE TABLE moved.elsewhere(id int PRIMARY KEY)');
    control.publish({}, { tables: { [relationKey('moved', 'elsewhere')]: movedRoute('moved', 'elsewhere') } });
    await mustRoute(target, local);
  }
  if (way !== 'tables') return await run(target, tests);
  for (const server of [source, local]) await run(server.address, [setupTest]);
  await (await source.client(regressionDatabase)).query(movedTables.map((name) => `DELETE FROM ${name}`).join('; '));
  control.publish({}, { tables: Object.fromEntries(movedTables.map((name) => [relationKey('public', name), movedRoute('public', name)])) });
  return await run(target, tests.filter((test) => test !== setupTest));
}

/** The tests never see the table, so that it is on local has to be seen here: else nothing would be routed, and everything the same. */
async function mustRoute({ host, port, user }: Target, local: TestPostgres): Promise<void> {
  await (await local.client(regressionDatabase)).query('INSERT INTO moved.elsewhere VALUES (7)');
  const client = new pg.Client({ host, port, user, database: regressionDatabase });
  await client.connect();
  const { rows } = await client.query('SELECT id FROM moved.elsewhere');
  await client.end();
  if (rows.length !== 1) throw new Error('what is on local is not routed there');
}

function movedRoute(schema: string, name: string): TableRoute {
  const relation = { schema, name };
  return { tableId: name, state: 'LOCAL_ONLY', source: relation, local: relation, reads: 'local', writes: 'local', waitVisible: false, trackWrites: false, writesBlocked: false, ddlBlocked: false, quiescing: false };
}

/** Both the server and psql write to it. */
function makeResultsFolder(stack: AsyncDisposableStack): string {
  const results = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-regress-'));
  stack.defer(() => fs.rmSync(results, { recursive: true, force: true }));
  fs.mkdirSync(path.join(results, 'results'));
  for (const folder of [results, path.join(results, 'results')]) fs.chmodSync(folder, 0o777);
  return results;
}

async function startRegressionServer(stack: AsyncDisposableStack): Promise<TestPostgres> {
  const server = stack.use(await startTestPostgres({ settings, nativeDirectory: regressionServer() }));
  const client = await server.client();
  for (const statement of regressionDatabaseSetup) await client.query(statement);
  return server;
}

/**
 * Resolves with its port. The tests log in as roles of their own, so pgbouncer asks the server who may. What a client sets at its start is with pgbouncer a SET
 * of its own, or ignored, so that RESET undoes it: there the database has these settings, or a quarter of the tests would differ for that alone.
 */
async function startPgbouncer(source: TestPostgres, stack: AsyncDisposableStack): Promise<number> {
  const { host, port: serverPort, user } = source.address;
  const admin = await source.client();
  for (const [name, value] of Object.entries(clientSettings)) await admin.query(`ALTER DATABASE ${regressionDatabase} SET ${name} TO '${value}'`);
  const target = { port: await freePort(), user, database: regressionDatabase };
  const settings = `[databases]
* = host=${host} port=${serverPort} auth_user=${user}
[pgbouncer]
listen_addr = ${host}
listen_port = ${target.port}
unix_socket_dir =
auth_type = trust
auth_query = SELECT rolname, '' FROM pg_roles WHERE rolname = $1
pool_mode = session
logfile =
ignore_startup_parameters = extra_float_digits, options
`;
  await runPooler(requireTool('pgbouncer'), 'pgbouncer.ini', settings, { target, serverPort }, stack);
  return target.port;
}
