/** What one gateway worker has at the moment, as it tells the control for SHOW POOLS and its like. Plain JSON. */
import type { Side } from '../../catalog/routing-snapshot.ts';

type Activity = 'active' | 'idle' | 'idle in transaction';

export interface WorkerSurvey {
  readonly clients: readonly SurveyedClient[];
  /** Clients that wait for a place. */
  readonly waiting: readonly WaitingClient[];
  /** Clients that are logging in, those that wait among them. */
  readonly loggingIn: number;
  readonly totals: readonly DatabaseTotals[];
  readonly isDraining: boolean;
  /** Connections that sessions share, by the user that clients log in as and the database's name on the source. */
  readonly pools: readonly SurveyedPool[];
  /** Only when it was asked for: texts and rows of clients, some hundred of them. */
  readonly shadowReads?: readonly SurveyedShadowReads[];
}

/** What became of the reads of one statement, on one set of tables, that were compared with local. */
export interface SurveyedShadowReads {
  /** Keys, as in the routing snapshot. */
  readonly tables: readonly string[];
  readonly statement: string;
  readonly results: Readonly<Record<ShadowResult, number>>;
  readonly slower: number;
  /** Of comparisons in which both sides answered; times are sums and maxima of these. */
  readonly timed: number;
  readonly sourceMs: number;
  readonly sourceMaxMs: number;
  readonly localMs: number;
  readonly localMaxMs: number;
  readonly note?: string | undefined;
  readonly example?: string | undefined;
}

export type ShadowResult = 'equal' | 'different' | 'unsettled' | 'order_differs' | 'failed' | 'too_large' | 'skipped' | 'dropped';

export interface WaitingClient {
  readonly user: string;
  readonly database: string;
  readonly address: string;
  readonly port: number;
  readonly waitingForMs: number;
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
  readonly poolMode: 'session' | 'transaction' | 'pipeline';
  /** Why it keeps the pooled connection that it has. */
  readonly tiedBy?: string | undefined;
  readonly connectedForMs: number;
  readonly requestedForMs: number;
  /** Of a client that waits for a barrier. */
  readonly parkedForMs?: number | undefined;
  readonly tls: string;
  readonly applicationName: string;
  readonly preparedStatements: number;
  readonly lastStatement: string;
  readonly legs: readonly SurveyedLeg[];
}

export interface SurveyedPool {
  readonly side: Side;
  readonly user: string;
  readonly database: string;
  readonly open: number;
  readonly idle: number;
  /** Of the open ones, those that carry reads of many sessions. */
  readonly lanes: number;
  /** Statements that wait for a connection. */
  readonly waiting: number;
  readonly longestWaitMs: number;
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

/** Since the worker was started. */
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
