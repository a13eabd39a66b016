/** Figures of the gateway are those of all workers together; one that does not answer is left out and said. */
import { describe, expect, test } from 'vitest';
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import { processClock } from '../../config/process-runtime.ts';
import type { CommandContext } from '../../src/migrate/commands/command-context.ts';
import { showGateway } from '../../src/migrate/commands/show-gateway.ts';
import type { ControlMessage } from '../../src/migrate/fleet-messages.ts';
import { FleetSurvey } from '../../src/migrate/fleet-survey.ts';
import type { SurveyedClient, WorkerSurvey } from '../../src/migrate/worker-survey.ts';

const connections: ConnectionLimits = { ofUser: (name) => (name === 'app' ? 20 : 0), ofDatabase: () => 80, maxWaiting: 10, isExempt: (name) => name === 'op' };
const leg = (side: 'source' | 'local', pid: number) => ({ side, pid, user: 'role', database: 'shop', address: 'db', port: 5432, state: 'idle' as const, openForMs: 1_000 });

function client(user: string, pid: number, more: Partial<SurveyedClient> = {}): SurveyedClient {
  return {
    sessionId: `worker-1-${pid}`, user, database: 'shop', address: '10.0.0.1', port: 4000 + pid, state: 'idle', replicates: false, poolMode: 'session', connectedForMs: 60_000, requestedForMs: 500, tls: 'TLSv1.3', applicationName: 'shop',
    preparedStatements: 2, lastStatement: 'SELECT 1', legs: [leg('source', pid)], ...more,
  };
}

const totals = { database: 'shop', transactions: 2, units: 5, receivedBytes: 100, sentBytes: 300, transactionMs: 1.5, unitMs: 1, waitedMs: 0 };
const one: WorkerSurvey = {
  clients: [client('app', 1), client('app', 2, { parkedForMs: 1_234.5, legs: [leg('source', 2), leg('local', 22)] }), client('op', 3)],
  waiting: [{ user: 'app', database: 'shop', address: '10.0.0.2', port: 1, waitingForMs: 2_500.25 }], loggingIn: 2, totals: [totals], isDraining: false, pools: [],
};
const other: WorkerSurvey = {
  clients: [client('app', 4), client('repl', 5, { replicates: true, state: 'active' })],
  waiting: [{ user: 'app', database: 'shop', address: '10.0.0.2', port: 2, waitingForMs: 10 }, { user: 'late', database: 'shop', address: '', port: 0, waitingForMs: 1 }], loggingIn: 2, totals: [totals], isDraining: true, pools: [],
};

/** A fleet of workers that answer, or do not. */
function surveyOf(answers: readonly (WorkerSurvey | undefined)[]): FleetSurvey {
  const survey: FleetSurvey = new FleetSurvey({
    size: answers.length,
    broadcast: (message: ControlMessage) => {
      if (message.type !== 'survey_request') return;
      answers.forEach((answer, n) => {
        if (answer) setImmediate(() => survey.receive(`worker-${n}`, message.id, answer));
      });
    },
  });
  return survey;
}

async function show(what: 'pools' | 'clients' | 'servers' | 'databases' | 'stats' | 'lists' | 'config', answers: readonly (WorkerSurvey | undefined)[] = [one, other]) {
  const context = {
    runtime: { clock: processClock }, survey: () => surveyOf(answers).ask(), connections, fleet: { counts: { live: 2, silent: 0 } },
    sides: { source: { host: 'legacy', port: 5432, database: 'shop' }, local: { host: 'new', port: 5433, database: 'shop2' } }, settings: { users: 3, list: [{ key: 'a.b', value: '1', default: undefined }] },
  };
  const answer = await showGateway(context as unknown as CommandContext, { type: `gateway_${what}` });
  return { ...answer, rows: answer.rows.map((row) => Object.fromEntries(row.map((cell, index) => [answer.columns[index]?.name ?? '', cell]))) };
}

describe('over two workers', () => {
  test('pools', async () => {
    const { rows, notices, tag } = await show('pools');
    expect(tag).toBe('SHOW 4');
    expect(notices).toEqual([]);
    const limits = { max_user_connections: '20', max_db_connections: '80' };
    expect(rows[0]).toEqual({
      database: 'shop', user: 'app', cl_active: '3', cl_waiting: '2', sv_active: '4', sv_idle: '0', maxwait: '2', maxwait_us: '500250', pool_mode: 'session', cl_parked: '1', sv_source: '3', sv_local: '1', ...limits, cl_tied: '0', sv_lanes: '0',
    });
    expect(rows.map(({ user, cl_active, cl_waiting, max_db_connections }) => [user, cl_active, cl_waiting, max_db_connections])).toEqual([['app', '3', '2', '80'], ['late', '0', '1', '80'], ['op', '1', '0', '0'], ['repl', '1', '0', '80']]);
  });

  test('pools whose connections are shared', async () => {
    const pool = { user: 'app', database: 'shop', open: 5, idle: 2, lanes: 1, waiting: 3, longestWaitMs: 1_500 };
    const sharing: WorkerSurvey = {
      ...one, waiting: [], pools: [{ side: 'source', ...pool }, { side: 'local', ...pool, open: 1, idle: 1, waiting: 0, longestWaitMs: 0 }],
      clients: [client('app', 1, { poolMode: 'pipeline', legs: [] }), client('app', 2, { poolMode: 'transaction', tiedBy: 'create temp' })],
    };
    const { rows } = await show('pools', [sharing]);
    expect(rows).toEqual([{
      database: 'shop', user: 'app', cl_active: '2', cl_waiting: '3', sv_active: '3', sv_idle: '3', maxwait: '1', maxwait_us: '500000', pool_mode: 'pipeline, transaction', cl_parked: '0', sv_source: '3', sv_local: '0',
      max_user_connections: '20', max_db_connections: '80', cl_tied: '1', sv_lanes: '2',
    }]);
    expect((await show('databases', [sharing])).rows.map(({ pool_mode, current_connections }) => [pool_mode, current_connections])).toEqual([['pipeline, transaction', '5'], ['pipeline, transaction', '1']]);
  });

  test('clients and servers, which name each other', async () => {
    const clients = (await show('clients')).rows;
    const servers = (await show('servers')).rows;
    expect(clients.map(({ user, state, replication, close_needed, worker }) => [user, state, replication, close_needed, worker])).toEqual([
      ['app', 'idle', 'none', '0', 'worker-0'], ['app', 'parked', 'none', '0', 'worker-0'], ['op', 'idle', 'none', '0', 'worker-0'], ['app', 'waiting', 'none', '0', 'worker-0'],
      ['app', 'idle', 'none', '1', 'worker-1'], ['repl', 'active', 'yes', '1', 'worker-1'], ['app', 'waiting', 'none', '0', 'worker-1'], ['late', 'waiting', 'none', '0', 'worker-1'],
    ]);
    expect(clients[1]).toMatchObject({ type: 'C', wait: '1', wait_us: '234500', source_pid: '2', local_pid: '22', tls: 'TLSv1.3', connect_time: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00$/) });
    expect(servers).toHaveLength(6);
    for (const { ptr, link } of clients.filter((each) => each['ptr'] !== null)) expect(servers.find((server) => server['ptr'] === link)).toMatchObject({ type: 'S', link: ptr, side: 'source' });
  });

  test('MySQL clients: each with a connection of its own at the MySQL server, whatever the pool mode', async () => {
    const survey: WorkerSurvey = { ...one, waiting: [], clients: [client('app', 1), client('app', 2, { protocol: 'mysql', poolMode: 'transaction', legs: [leg('source', 1), leg('local', 3)] }), client('app', 4, { protocol: 'mysql', legs: [leg('source', 5), leg('local', 6)] })] };
    expect((await show('clients', [survey])).rows.map(({ protocol, link, source_pid, local_pid }) => [protocol, link, source_pid, local_pid])).toEqual([['postgres', 'source-1', '1', null], ['mysql', 'mysql-1', '1', '3'], ['mysql', 'mysql-5', '5', '6']]);
    expect((await show('servers', [survey])).rows.map(({ ptr, protocol, side }) => [ptr, protocol, side])).toEqual([['source-1', 'postgres', 'source'], ['mysql-1', 'mysql', 'source'], ['local-3', 'postgres', 'local'], ['mysql-5', 'mysql', 'source'], ['local-6', 'postgres', 'local']]);
    expect((await show('pools', [survey])).rows).toMatchObject([{ cl_active: '3', sv_source: '3', sv_local: '1', pool_mode: 'session, transaction' }]);
    expect((await show('databases', [survey])).rows.map(({ side, current_connections }) => [side, current_connections])).toEqual([['source', '1'], ['local', '1']]);
  });

  test('stats, databases, lists, config', async () => {
    expect((await show('stats')).rows).toEqual([{ database: 'shop', total_xact_count: '4', total_query_count: '10', total_received: '200', total_sent: '600', total_xact_time: '3000', total_query_time: '2000', total_wait_time: '0' }]);
    expect((await show('databases')).rows).toMatchObject([{ name: 'shop', host: 'legacy', max_connections: '80', current_connections: '5', side: 'source' }, { name: 'shop2', port: '5433', max_connections: '0', current_connections: '1', side: 'local' }]);
    expect(Object.fromEntries((await show('lists')).rows.map(({ list, items }) => [list, items]))).toMatchObject({ databases: '2', users: '3', pools: '4', used_clients: '5', login_clients: '4', used_servers: '6', waiting_clients: '3', workers: '2' });
    expect((await show('config')).rows).toEqual([{ key: 'a.b', value: '1', default: null, changeable: 'no' }]);
  });
});

test('a worker that does not answer is left out, with a WARNING; without workers there is nothing to wait for', async () => {
  const { rows, notices } = await show('pools', [one, undefined]);
  expect(rows.map(({ user }) => user)).toEqual(['app', 'op']);
  expect(notices).toMatchObject([{ severity: 'WARNING', message: '1 gateway workers did not answer in time' }]);
  const none = await show('stats', []);
  expect([none.rows, none.notices]).toEqual([[], []]);
});
