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
}

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
