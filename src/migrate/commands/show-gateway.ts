/**
 * SHOW POOLS, CLIENTS, SERVERS, DATABASES, STATS, LISTS, CONFIG: the gateway itself, over all its workers. Columns that mean what pgbouncer's do have
 * pgbouncer's names and stand first; what it has and the gateway does not is left out.
 */
import type { Pool } from '../../../config/connection-limits.ts';
import type { ShowGateway } from '../../../grammar/migration/statement.ts';
import type { FleetAnswer } from '../fleet-survey.ts';
import type { DatabaseTotals, SurveyedClient, SurveyedLeg, SurveyedPool, WaitingClient } from '../worker-survey.ts';
import { table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import type { CommandContext } from './command-context.ts';

type Rows = Parameters<typeof table>[2];
type Columns = Parameters<typeof table>[1];

export async function showGateway(context: CommandContext, statement: ShowGateway): Promise<SuccessfulAnswer> {
  const answer = await context.survey();
  const [columns, rows] = listOf(context, statement, answer);
  const missing = answer.unheard === 0 ? [] : [warning(`${answer.unheard} gateway workers did not answer in time`, 'What they have is not in the list.', 'SHOW LISTS counts them; /metrics has their last figures.')];
  return table('SHOW', columns, rows, missing);
}

function listOf(context: CommandContext, statement: ShowGateway, answer: FleetAnswer): readonly [Columns, Rows] {
  switch (statement.type) {
    case 'gateway_pools': return pools(context, answer);
    case 'gateway_clients': return clients(context, answer);
    case 'gateway_servers': return servers(context, answer);
    case 'gateway_databases': return databases(context, answer);
    case 'gateway_stats': return stats(answer);
    case 'gateway_lists': return lists(context, answer);
    case 'gateway_config': return config(context);
    default: return statement satisfies never;
  }
}

interface PoolRow extends Pool {
  readonly clients: SurveyedClient[];
  readonly waiting: WaitingClient[];
  readonly shared: SurveyedPool[];
}

function poolsOf({ surveys }: FleetAnswer): PoolRow[] {
  const found = new Map<string, PoolRow>();
  const of = ({ user, database }: Pool): PoolRow => {
    const key = `${database}\u0000${user}`;
    const pool = found.get(key) ?? { user, database, clients: [], waiting: [], shared: [] };
    found.set(key, pool);
    return pool;
  };
  for (const survey of surveys) {
    for (const client of survey.clients) of(client).clients.push(client);
    for (const client of survey.waiting) of(client).waiting.push(client);
    for (const pool of survey.pools) of(pool).shared.push(pool);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pool]) => pool);
}

/** Whole seconds, and the microseconds besides. */
function wait(ms: number): readonly [number, number] {
  const us = Math.round(ms * 1000);
  return [Math.floor(us / 1_000_000), us % 1_000_000];
}

function pools({ connections }: CommandContext, answer: FleetAnswer): readonly [Columns, Rows] {
  const columns: Columns = [
    ['database'], ['user'], ['cl_active', 'int8'], ['cl_waiting', 'int8'], ['sv_active', 'int8'], ['sv_idle', 'int8'], ['maxwait', 'int8'], ['maxwait_us', 'int8'], ['pool_mode'],
    ['cl_parked', 'int8'], ['sv_source', 'int8'], ['sv_local', 'int8'], ['max_user_connections', 'int8'], ['max_db_connections', 'int8'], ['cl_tied', 'int8'], ['sv_lanes', 'int8'],
  ];
  return [columns, poolsOf(answer).map(({ user, database, clients: inside, waiting, shared }) => {
    const total = (of: (pool: SurveyedPool) => number, side?: SurveyedLeg['side']): number => shared.reduce((sum, pool) => sum + (side === undefined || pool.side === side ? of(pool) : 0), 0);
    const on = (side: SurveyedLeg['side']): number => inside.reduce((sum, client) => sum + ownLegs(client).filter((leg) => leg.side === side).length, 0) + total(({ open, idle }) => open - idle, side);
    const longest = Math.max(0, ...waiting.map(({ waitingForMs }) => waitingForMs), ...shared.map(({ longestWaitMs }) => longestWaitMs));
    return [
      database, user, inside.length, waiting.length + total((pool) => pool.waiting), on('source') + on('local'), total(({ idle }) => idle), ...wait(longest), modesOf(inside),
      inside.filter(({ parkedForMs }) => parkedForMs !== undefined).length, on('source'), on('local'), connections.isExempt(user) ? 0 : connections.ofUser(user), connections.isExempt(user) ? 0 : connections.ofDatabase(database),
      inside.filter(({ tiedBy }) => tiedBy !== undefined).length, total(({ lanes }) => lanes),
    ];
  })];
}

/** The others are counted with their pools. At a MySQL server every client has one of its own. */
function ownLegs({ legs, poolMode, protocol }: SurveyedClient): readonly SurveyedLeg[] {
  return legs.filter(({ side }) => poolMode === 'session' || (protocol === 'mysql' && side === 'source'));
}

function modesOf(inside: readonly SurveyedClient[]): string {
  const modes = new Set(inside.filter(({ replicates }) => !replicates).map(({ poolMode }) => poolMode));
  return [...modes].toSorted().join(', ') || 'session';
}

function clients(context: CommandContext, { surveys }: FleetAnswer): readonly [Columns, Rows] {
  const columns: Columns = [
    ['type'], ['user'], ['database'], ['replication'], ['state'], ['addr'], ['port', 'int8'], ['connect_time', 'timestamptz'], ['request_time', 'timestamptz'], ['wait', 'int8'], ['wait_us', 'int8'],
    ['close_needed', 'int8'], ['ptr'], ['link'], ['tls'], ['application_name'], ['prepared_statements', 'int8'], ['source_pid', 'int8'], ['local_pid', 'int8'], ['worker'], ['query'], ['protocol'],
  ];
  return [columns, surveys.flatMap(({ workerId, isDraining, ...survey }) => [
    ...survey.clients.map((client) => {
      const { legs, parkedForMs } = client;
      const pid = (side: SurveyedLeg['side']): number | undefined => legs.find((leg) => leg.side === side)?.pid;
      return [
        'C', client.user, client.database, client.replicates ? 'yes' : 'none', parkedForMs === undefined ? client.state : 'parked', client.address, client.port, ago(context, client.connectedForMs), ago(context, client.requestedForMs),
        ...wait(parkedForMs ?? 0), isDraining ? 1 : 0, client.sessionId, legs[0] && legName(client, legs[0]), client.tls, client.applicationName, client.preparedStatements, pid('source'), pid('local'), workerId, client.lastStatement, client.protocol ?? 'postgres',
      ];
    }),
    ...survey.waiting.map((client) => [
      'C', client.user, client.database, 'none', 'waiting', client.address, client.port, ago(context, client.waitingForMs), ago(context, client.waitingForMs), ...wait(client.waitingForMs),
      0, null, null, '', '', 0, null, null, workerId, '', null,
    ]),
  ])];
}

function servers(context: CommandContext, { surveys }: FleetAnswer): readonly [Columns, Rows] {
  const columns: Columns = [
    ['type'], ['user'], ['database'], ['state'], ['addr'], ['port', 'int8'], ['connect_time', 'timestamptz'], ['close_needed', 'int8'], ['ptr'], ['link'], ['remote_pid', 'int8'], ['application_name'], ['side'], ['worker'], ['protocol'],
  ];
  return [columns, surveys.flatMap(({ workerId, isDraining, clients: inside }) => inside.flatMap((client) => client.legs.map((leg) => [
    'S', leg.user, leg.database, leg.state, leg.address, leg.port, ago(context, leg.openForMs), isDraining ? 1 : 0, legName(client, leg), client.sessionId, leg.pid, client.applicationName, leg.side, workerId, protocolOf(client, leg),
  ])))];
}

/** Two servers may give the same number. */
function legName(client: SurveyedClient, leg: SurveyedLeg): string {
  return `${protocolOf(client, leg) === 'mysql' ? 'mysql' : leg.side}-${leg.pid}`;
}

function protocolOf({ protocol }: SurveyedClient, { side }: SurveyedLeg): 'postgres' | 'mysql' {
  return side === 'local' ? 'postgres' : protocol ?? 'postgres';
}

function databases({ sides, connections }: CommandContext, { surveys }: FleetAnswer): readonly [Columns, Rows] {
  const columns: Columns = [
    ['name'], ['host'], ['port', 'int8'], ['database'], ['force_user'], ['pool_mode'], ['max_connections', 'int8'], ['current_connections', 'int8'], ['paused', 'int8'], ['disabled', 'int8'], ['side'],
  ];
  const all = surveys.flatMap(({ clients: inside }) => inside);
  // The row of the source is PostgreSQL's.
  const own = all.flatMap((client) => ownLegs(client).filter(({ side }) => client.protocol === undefined || side === 'local'));
  const shared = surveys.flatMap((survey) => survey.pools);
  return [columns, (['source', 'local'] as const).map((side) => {
    const { host, port, database } = sides[side];
    const open = own.filter((leg) => leg.side === side).length + shared.reduce((sum, pool) => sum + (pool.side === side ? pool.open : 0), 0);
    return [database, host, port, database, null, modesOf(all), side === 'source' ? connections.ofDatabase(database) : 0, open, 0, 0, side];
  })];
}

function stats({ surveys }: FleetAnswer): readonly [Columns, Rows] {
  const columns: Columns = [
    ['database'], ['total_xact_count', 'int8'], ['total_query_count', 'int8'], ['total_received', 'int8'], ['total_sent', 'int8'], ['total_xact_time', 'int8'], ['total_query_time', 'int8'], ['total_wait_time', 'int8'],
  ];
  const all = surveys.flatMap(({ totals }) => totals);
  const microseconds = (ms: number): number => Math.round(ms * 1000);
  return [columns, [...new Set(all.map(({ database }) => database))].sort().map((database) => {
    const sum = (name: Exclude<keyof DatabaseTotals, 'database'>): number => all.filter((each) => each.database === database).reduce((total, each) => total + each[name], 0);
    return [database, sum('transactions'), sum('units'), sum('receivedBytes'), sum('sentBytes'), microseconds(sum('transactionMs')), microseconds(sum('unitMs')), microseconds(sum('waitedMs'))];
  })];
}

function lists({ settings, fleet }: CommandContext, answer: FleetAnswer): readonly [Columns, Rows] {
  const { surveys } = answer;
  const sum = (of: (survey: FleetAnswer['surveys'][number]) => number): number => surveys.reduce((total, survey) => total + of(survey), 0);
  const { live, silent } = fleet.counts;
  return [[['list'], ['items', 'int8']], [
    ['databases', 2], ['users', settings.users], ['pools', poolsOf(answer).length], ['free_clients', 0], ['used_clients', sum((survey) => survey.clients.length)], ['login_clients', sum((survey) => survey.loggingIn)],
    ['free_servers', 0], ['used_servers', sum((survey) => survey.clients.reduce((total, { legs }) => total + legs.length, 0))],
    ['waiting_clients', sum((survey) => survey.waiting.length)], ['workers', live], ['workers_silent', silent],
  ]];
}

function config({ settings }: CommandContext): readonly [Columns, Rows] {
  return [[['key'], ['value'], ['default'], ['changeable']], settings.list.map((setting) => [setting.key, setting.value, setting.default, 'no'])];
}

function ago({ runtime }: CommandContext, ms: number): string {
  return new Date(runtime.clock.now() - ms).toISOString();
}
