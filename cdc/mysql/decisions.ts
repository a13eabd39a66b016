/**
 * Decisions of a MySQL or MariaDB server about transactions that have written there and on local (RULES 23): rows of `causeway.decision`, as
 * `cdc/postgres/decisions.ts` has them. Local is prepared, never the server: so every version can decide, and neither its log nor its locks know
 * anything but ordinary transactions (docs/decisions/0031).
 */
import { KEEP_ABORTS_DAYS, KEEP_COMMITS_MINUTES } from '../decider.ts';
import type { Decider, Decision, SourceDecisions } from '../decider.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import { errnoOf } from './connect.ts';
import { MysqlClient } from './mysql-client.ts';
import type { MysqlQuery } from './query.ts';

const DUPLICATE = 1062;
/** More than are made between two looks at a busy server. */
const FORGOTTEN_AT_ONCE = 5_000;
/** A lock that somebody has, a deadlock. */
const beingDecided: ReadonlySet<number | undefined> = new Set([1205, 1213]);

/** An application's user needs INSERT on the column `gid` alone: by itself a row says commit. One statement each; idempotent. */
export const decisionTableSql: readonly string[] = [
  'CREATE DATABASE IF NOT EXISTS causeway CHARACTER SET utf8',
  `CREATE TABLE IF NOT EXISTS causeway.decision (gid varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, outcome varchar(6) CHARACTER SET ascii NOT NULL DEFAULT 'commit',
    decided_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, KEY decided_at (decided_at)) ENGINE=InnoDB`,
];

export class MysqlDecisions implements SourceDecisions {
  /** Of its own: nobody waits here behind a table driver's statement. */
  readonly #client: MysqlClient;

  constructor(address: ServerAddress) {
    this.#client = new MysqlClient(address);
  }

  install(): Promise<string | undefined> {
    return this.#client.hold(async (query) => {
      const [known] = await query("SELECT 1 AS known FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME = 'decision'");
      // What makes nothing is in the log all the same.
      if (!known) for (const statement of decisionTableSql) await query(statement);
      const [row = {}] = await query('SELECT @@innodb_flush_log_at_trx_commit AS log, @@sync_binlog AS binlog');
      // A decision that a crash takes back would leave the other side's half alone.
      if (row['log'] !== '1' || row['binlog'] !== '1') return `innodb_flush_log_at_trx_commit = ${row['log']} and sync_binlog = ${row['binlog']}, and both have to be 1: a crash could take a decision back`;
      return undefined;
    });
  }

  use<T>(work: (decider: Decider) => Promise<T>): Promise<T> {
    return this.#client.hold((query) => work(mysqlDecider(query)));
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** `query` commits each statement by itself. */
export function mysqlDecider(query: MysqlQuery): Decider {
  const patiently = async (): Promise<void> => {
    await query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    await query('SET SESSION innodb_lock_wait_timeout = 1');
  };
  return {
    decisionOf: async (gid) => {
      await patiently();
      try {
        await query(`INSERT INTO causeway.decision (gid, outcome) VALUES (${gidLiteral(gid)}, 'abort')`);
      } catch (error) {
        const errno = errnoOf(error);
        if (beingDecided.has(errno)) return undefined;
        if (errno !== DUPLICATE) throw error;
      }
      return readOutcome(query, gid);
    },
    forget: async (prepared) => {
      await patiently();
      // The time is the client's session's, which may say what it likes (SET timestamp): a row of a commit goes for no other reason than that nothing is prepared any more.
      const old = await query(`SELECT gid FROM causeway.decision WHERE decided_at < NOW() - INTERVAL ${KEEP_COMMITS_MINUTES} MINUTE AND (outcome = 'commit' OR decided_at < NOW() - INTERVAL ${KEEP_ABORTS_DAYS} DAY) LIMIT ${FORGOTTEN_AT_ONCE}`);
      if (old.length === 0) return;
      const kept = new Set(await prepared());
      const gone = old.flatMap(({ gid }) => (gid == null || kept.has(gid) ? [] : [gidLiteral(gid)]));
      if (gone.length > 0) await query(`DELETE FROM causeway.decision WHERE gid IN (${gone.join(', ')})`);
    },
  };
}

/** In the character set of the key, or its index would not be used. */
function gidLiteral(gid: string): string {
  return `_ascii x'${Buffer.from(gid).toString('hex')}'`;
}

async function readOutcome(query: MysqlQuery, gid: string): Promise<Decision> {
  const [row] = await query(`SELECT outcome FROM causeway.decision WHERE gid = ${gidLiteral(gid)}`);
  if (row?.['outcome'] === 'commit' || row?.['outcome'] === 'abort') return row['outcome'];
  throw new Error(`the decision about ${gid} has gone`);
}
