/**
 * Commits of transactions that have written on both sides (RULES 23, DESIGN §4): one side is prepared, the other commits with the decision
 * as a row in the same transaction, then the prepared one is committed. What is left in between is finished from that row: a prepared
 * transaction whose name is decided is committed, every other is rolled back (presumed abort).
 *
 * https://www.postgresql.org/docs/current/sql-prepare-transaction.html
 */
import type { ClientBase } from 'pg';
import { KEEP_ABORTS_DAYS, KEEP_COMMITS_MINUTES } from '../decider.ts';
import type { Decider, Decision } from '../decider.ts';
import { sqlstateOf } from './connect.ts';
import { installSupport } from './install-support.ts';
import { quoteIdent, quoteLiteral } from './quote.ts';
import { readJson } from './read-json.ts';

/**
 * `causeway.decision`: one row per name. An `abort` row is written before anything is rolled back that may still be on its way to a decision:
 * whoever comes later meets it, for days, as a process that was stopped may wake up late. A `commit` row goes some minutes after its prepared transaction.
 * `causeway.decide` writes a `commit` row for any client, in its own transaction, and makes that transaction wait for the disk: what is prepared is
 * committed because of it.
 */
const decisionDdl = `
CREATE SCHEMA IF NOT EXISTS causeway;
CREATE TABLE IF NOT EXISTS causeway.decision (gid text PRIMARY KEY, outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')), decided_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS decision_decided_at ON causeway.decision (decided_at);
REVOKE ALL ON causeway.decision FROM PUBLIC;
CREATE OR REPLACE FUNCTION causeway.decide(gid text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
  INSERT INTO causeway.decision (gid, outcome) VALUES ($1, 'commit');
  IF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
END $function$;
GRANT USAGE ON SCHEMA causeway TO PUBLIC;
GRANT EXECUTE ON FUNCTION causeway.decide(text) TO PUBLIC;`;

const KEEP_COMMITS = `${KEEP_COMMITS_MINUTES} minutes`;
const KEEP_ABORTS = `${KEEP_ABORTS_DAYS} days`;
/** Younger ones belong to sessions that are about to finish them. */
const PATIENCE_SECONDS = 2;

/** Idempotent. */
export function installDecisions(client: ClientBase): Promise<void> {
  return installSupport(client, 4851139, 'causeway.decide(text)', decisionDdl);
}

/** Whether the server takes PREPARE TRANSACTION. */
export async function canPrepare(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ most: string }>("SELECT current_setting('max_prepared_transactions') AS most");
  return Number(rows[0]?.most ?? 0) > 0;
}

export interface Resolved {
  readonly gid: string;
  readonly outcome: Decision;
}

export interface Unresolved {
  readonly gid: string;
  readonly preparedAt: string;
  readonly reason: string;
}

export interface Resolution {
  readonly resolved: readonly Resolved[];
  readonly unresolved: readonly Unresolved[];
}

interface Prepared {
  readonly gid: string;
  readonly owner: string;
  readonly preparedAt: string;
  readonly isLeft: boolean;
}

/** `client` is outside transactions. */
export function postgresDecider(client: ClientBase): Decider {
  return { decisionOf: (gid) => decisionOf(client, gid), forget: async (prepared) => forgetDecisions(client, await prepared()) };
}

/** Finishes what sessions have left prepared under names that begin with `mark`. `prepared`: a client of that side, outside transactions. */
export async function resolveInDoubt(prepared: ClientBase, decider: Decider, mark: string): Promise<Resolution> {
  const all = (): Promise<readonly Prepared[]> => readJson<Prepared>(prepared, `
    SELECT gid, owner, prepared::text AS "preparedAt", prepared < now() - interval '${PATIENCE_SECONDS} seconds' AS "isLeft" FROM pg_prepared_xacts
     WHERE database = current_database() AND position(${quoteLiteral(mark)} IN gid) = 1 ORDER BY prepared`);
  const left = (await all()).filter(({ isLeft }) => isLeft);
  const resolved: Resolved[] = [];
  const unresolved: Unresolved[] = [];
  for (const { gid, owner, preparedAt } of left) {
    try {
      const outcome = await decider.decisionOf(gid);
      if (outcome === undefined) continue;
      await finish(prepared, gid, owner, outcome);
      resolved.push({ gid, outcome });
    } catch (error) {
      // Anything without a state is about the connection.
      const state = sqlstateOf(error);
      if (state === undefined) throw error;
      if (state !== '42704') unresolved.push({ gid, preparedAt, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  await decider.forget(async () => (await all()).map(({ gid }) => gid));
  return { resolved, unresolved };
}

/** What was decided is prepared before: what is not prepared any more after some minutes has been committed. */
async function forgetDecisions(decider: ClientBase, prepared: readonly string[]): Promise<void> {
  await decider.query(`
    DELETE FROM causeway.decision WHERE decided_at < now() - CASE outcome WHEN 'commit' THEN interval '${KEEP_COMMITS}' ELSE interval '${KEEP_ABORTS}' END
       AND decided_at < now() - interval '${KEEP_COMMITS}' AND gid <> ALL ($1::text[])`, [prepared]);
}

/** Waits, for a moment, for a session that is deciding now. */
async function decisionOf(decider: ClientBase, gid: string): Promise<Decision | undefined> {
  await decider.query('BEGIN');
  try {
    await decider.query("SET LOCAL lock_timeout = '1s'; SET LOCAL synchronous_commit = on");
    await decider.query("INSERT INTO causeway.decision (gid, outcome) VALUES ($1, 'abort') ON CONFLICT (gid) DO NOTHING", [gid]);
    const { rows } = await decider.query<{ outcome: string }>('SELECT outcome FROM causeway.decision WHERE gid = $1', [gid]);
    await decider.query('COMMIT');
    return rows[0]?.outcome === 'commit' ? 'commit' : 'abort';
  } catch (error) {
    await decider.query('ROLLBACK').catch(() => undefined);
    // A lock on the decision: its transaction is still open.
    if (sqlstateOf(error) === '55P03') return undefined;
    throw error;
  }
}

/** Only its owner or a superuser may finish a prepared transaction. */
async function finish(prepared: ClientBase, gid: string, owner: string, outcome: Decision): Promise<void> {
  const sql = `${outcome === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED ${quoteLiteral(gid)}`;
  try {
    await prepared.query(sql);
  } catch (error) {
    if (sqlstateOf(error) !== '42501') throw error;
    await prepared.query(`SET ROLE ${quoteIdent(owner)}`);
    try {
      await prepared.query(sql);
    } finally {
      await prepared.query('RESET ROLE');
    }
  }
}
