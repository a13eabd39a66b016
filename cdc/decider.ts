/**
 * The side that decides about a transaction over two sides (RULES 23): it commits a row with the name of what the other side has prepared, in the same
 * transaction as its own changes. What is prepared is finished by that row, whoever is left to do it.
 */
export type Decision = 'commit' | 'abort';

export interface Decider {
  /** What stands, for good: where there is no row, one that keeps a late decision out. Undefined: it is being decided now. */
  decisionOf(gid: string): Promise<Decision | undefined>;
  /** Rows whose time is over, but for those of what is still prepared, which is asked for behind them: what was decided, and is not prepared then, has been committed. */
  forget(prepared: () => Promise<readonly string[]>): Promise<void>;
}

/** Of a source of another engine than local's. */
export interface SourceDecisions {
  /** Makes what is needed there. Says why decisions cannot be kept; undefined when they can. */
  install(): Promise<string | undefined>;
  use<T>(work: (decider: Decider) => Promise<T>): Promise<T>;
}

/** A decision to commit goes some minutes after what was prepared for it, */
export const KEEP_COMMITS_MINUTES = 5;
/** and what keeps late decisions out after days: a process that was stopped may wake up late. */
export const KEEP_ABORTS_DAYS = 14;
