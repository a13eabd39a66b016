/** What a gateway has at the moment, as plain values: for SHOW POOLS and its like, which the control puts together from all workers. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { TransactionStatus } from '../wire/backend-messages.ts';
import type { Admission } from './admission.ts';
import type { ClientSession } from './client-session.ts';
import type { PassedConnection } from './passed-connection.ts';
import type { PoolMode, SurveyedPool } from './pool/pools.ts';
import type { Activity } from './session-parts.ts';

export interface CrossingBlock {
  readonly sessionId: string;
  readonly sourcePid: number;
  readonly localPid: number;
  readonly openForMs: number;
}

export interface GatewaySurvey {
  readonly clients: readonly SurveyedClient[];
  /** Clients that wait for a place. */
  readonly waiting: readonly { readonly user: string; readonly database: string; readonly address: string; readonly port: number; readonly waitingForMs: number }[];
  /** Clients that are logging in, those that wait among them. */
  readonly loggingIn: number;
  readonly totals: readonly DatabaseTotals[];
  readonly isDraining: boolean;
  /** Connections that sessions share. */
  readonly pools: readonly SurveyedPool[];
}

export interface SurveyedClient {
  readonly sessionId: string;
  readonly user: string;
  /** Its name on the source. */
  readonly database: string;
  readonly address: string;
  readonly port: number;
  readonly state: Activity;
  readonly replicates: boolean;
  /** Left out: PostgreSQL's. */
  readonly protocol?: 'mysql';
  readonly poolMode: PoolMode;
  /** Why it keeps the pooled connection that it has; undefined while any will do. */
  readonly tiedBy: string | undefined;
  readonly connectedForMs: number;
  /** Since its last request. */
  readonly requestedForMs: number;
  /** Of a client that waits for a barrier. */
  readonly parkedForMs: number | undefined;
  /** Version of TLS; empty without. */
  readonly tls: string;
  readonly applicationName: string;
  readonly preparedStatements: number;
  readonly lastStatement: string;
  readonly legs: readonly SurveyedLeg[];
}

export interface SurveyedLeg {
  readonly side: Side;
  readonly pid: number;
  readonly user: string;
  readonly database: string;
  readonly address: string;
  readonly port: number;
  readonly state: Activity;
  readonly openForMs: number;
}

/** Since the gateway was started. */
export interface DatabaseTotals {
  readonly database: string;
  readonly transactions: number;
  readonly units: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly transactionMs: number;
  readonly unitMs: number;
  readonly waitedMs: number;
}

type Sums = { -readonly [Name in Exclude<keyof DatabaseTotals, 'database' | 'waitedMs'>]: number };

/** Of sessions that have ended; those that live are added when somebody asks. */
export class SessionTotals {
  readonly #ended = new Map<string, Sums>();

  sessionEnded(session: ClientSession): void {
    add(this.#ended, session);
  }

  with(sessions: Iterable<ClientSession>, admission: Admission): DatabaseTotals[] {
    const sums = new Map([...this.#ended].map(([database, sum]) => [database, { ...sum }]));
    for (const session of sessions) add(sums, session);
    return [...sums].map(([database, sum]) => ({ database, ...sum, waitedMs: admission.waitedMs(database) }));
  }
}

function add(to: Map<string, Sums>, session: ClientSession): void {
  const { database } = session.home.target;
  let sum = to.get(database);
  if (!sum) to.set(database, (sum = { transactions: 0, units: 0, receivedBytes: 0, sentBytes: 0, transactionMs: 0, unitMs: 0 }));
  const { counts, socket } = session;
  sum.transactions += counts.transactions;
  sum.units += counts.units;
  sum.transactionMs += counts.transactionMs;
  sum.unitMs += counts.unitMs;
  sum.receivedBytes += socket.bytesRead;
  sum.sentBytes += socket.bytesWritten;
}

export function surveyedClient(session: ClientSession): SurveyedClient {
  const { identity, home, local, counts, parking, socket } = session;
  const nowMs = session.now();
  return {
    sessionId: identity.sessionId, user: identity.user, database: home.target.database, address: identity.address, port: socket.remotePort ?? 0, state: session.activity, replicates: false,
    poolMode: session.carried === undefined ? 'session' : session.sharing ? 'pipeline' : 'transaction', tiedBy: session.carried?.tiedBy,
    connectedForMs: nowMs - session.startedAtMs, requestedForMs: nowMs - (home.segments[0]?.startedAtMs ?? local?.segments[0]?.startedAtMs ?? counts.lastRequestMs),
    parkedForMs: parking.parkedSinceMs === undefined ? undefined : nowMs - parking.parkedSinceMs, tls: tlsOf(socket), applicationName: identity.startup.get('application_name') ?? '',
    preparedStatements: session.statements.size, lastStatement: session.lastStatement,
    // A pooled leg without a connection is none to a server.
    legs: [home, ...(local ? [local] : [])].filter(({ backend }) => backend !== undefined).map(({ side, pid, target, idle, status, openedAtMs }) =>
      ({ side, pid, user: target.user, database: target.database, address: target.host, port: target.port, state: idle ? stateOf[status] : 'active', openForMs: nowMs - openedAtMs })),
  };
}

export function surveyedPassed(passed: PassedConnection, nowMs: number): SurveyedClient {
  const { identity, target, home: login, socket } = passed.client;
  const openForMs = nowMs - passed.startedAtMs;
  return {
    sessionId: `replication-${login.pid}`, user: identity.user, database: target.database, address: identity.address, port: socket.remotePort ?? 0, state: 'active', replicates: true, poolMode: 'session', tiedBy: undefined,
    connectedForMs: openForMs, requestedForMs: openForMs, parkedForMs: undefined, tls: tlsOf(socket), applicationName: identity.startup.get('application_name') ?? '', preparedStatements: 0, lastStatement: '',
    legs: [{ side: 'source', pid: login.pid, user: target.user, database: target.database, address: target.host, port: target.port, state: 'active', openForMs }],
  };
}

const stateOf: Readonly<Record<TransactionStatus, Activity>> = { I: 'idle', T: 'idle in transaction', E: 'idle in transaction' };

export function tlsOf(socket: object): string {
  return 'getProtocol' in socket && typeof socket.getProtocol === 'function' ? String(socket.getProtocol() ?? '') : '';
}
