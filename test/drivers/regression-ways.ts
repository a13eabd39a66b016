/** The ways on which PostgreSQL's regression schedule is run, each with servers of its own: its tests make roles and tablespaces, which belong to a server. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import { createAskSide } from '../../src/main/ask-side.ts';
import { runPooler } from '../bench/proxy/poolers.ts';
import { onLocal, startGateway } from '../session/gateway-fixture.ts';
import { freePort, startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { requireTool } from '../support/tools.ts';
import type { Target } from './driver-servers.ts';
import { clientSettings, regressionDatabase, regressionDatabaseSetup, regressionServer } from './regression-run.ts';

/**
 * `pgbouncer`: in session mode, what any proxy is held to. `nothing`: the gateway, no table migrated, everything passes. `elsewhere`: a table of a schema
 * that no test knows is on local, so every text is read, every name looked up, and blocks are answered by the gateway's own transaction control.
 */
export type RegressionWay = 'direct' | 'pgbouncer' | 'nothing' | 'elsewhere';

const settings = { shared_buffers: '128MB', max_prepared_transactions: 20, max_connections: 100, wal_level: 'replica', autovacuum: 'off' };

/** `results` is a folder that both the server and psql may write to. */
export async function withRegressionServers<T>(way: RegressionWay, run: (target: Target, results: string) => Promise<T>): Promise<T> {
  const results = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-regress-'));
  fs.chmodSync(results, 0o777);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => fs.rmSync(results, { recursive: true, force: true }));
  fs.mkdirSync(path.join(results, 'results'), { mode: 0o777 });
  fs.chmodSync(path.join(results, 'results'), 0o777);
  const source = stack.use(await startRegressionServer());
  const target = { ...source.address, database: regressionDatabase };
  if (way === 'direct') return await run(target, results);
  if (way === 'pgbouncer') return await run({ ...target, port: await startPgbouncer(source, stack) }, results);
  const local = stack.use(await startRegressionServer());
  const sides = stack.use(createAskSide({ source: source.address, local: local.address }));
  const { gateway, control } = stack.use(await startGateway(source.address, local.address, { askSide: sides.ask }));
  const relation = { schema: 'moved', name: 'elsewhere' };
  control.publish({});
  if (way === 'elsewhere') {
    for (const server of [source, local]) await (await server.client(regressionDatabase)).query('CREATE SCHEMA moved CREATE TABLE elsewhere(id int PRIMARY KEY)');
    control.publish({ elsewhere: { ...onLocal, source: relation, local: relation } });
    const route = control.snapshot.tables[relationKey('public', 'elsewhere')];
    if (route !== undefined) control.publish({}, { tables: { [relationKey(relation.schema, relation.name)]: route } });
  }
  return await run({ ...target, port: gateway.port }, results);
}

async function startRegressionServer(): Promise<TestPostgres> {
  const server = await startTestPostgres({ settings, nativeDirectory: regressionServer() });
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
