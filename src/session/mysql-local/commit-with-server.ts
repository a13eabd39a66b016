/**
 * COMMIT of a MySQL client's transaction that has written on local and on the server (RULES 23), in the steps of `mysql-tables/commit-with-mysql.ts`: local is
 * prepared, the server commits with the decision as a row, then local's part is committed. What the client has sent goes to the server behind that, which
 * has nothing left to commit then, and answers in its own words.
 */
import { randomBytes } from 'node:crypto';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import { failureError } from './failure-error.ts';
import { ROLLS_BACK } from './local-error.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import type { LocalSession } from './local-session.ts';
import { serverOf } from './session-facts.ts';

export interface CommitWithServerParts {
  readonly runtime: Runtime;
  readonly session: LocalSession;
  readonly link: LocalLink;
  /** Begins the names of what the server decides; undefined: the way to commit on both has gone since it wrote. */
  readonly mark: string | undefined;
}

/** What the settings of the session say of COMMIT must not hold for this one. */
const COMMIT = 'COMMIT AND NO CHAIN NO RELEASE';
const ROLLBACK = 'ROLLBACK AND NO CHAIN NO RELEASE';
const rolledBack = { type: 'error', fields: new Map([['C', '40001']]) } as const;
/** Of the table of decisions: no right to it, not there, not among the tables that the session has locked. */
const unreached: ReadonlySet<number> = new Set([1044, 1049, 1100, 1142, 1143, 1146]);

/** `done`: committed, or rolled back on both with this error. Not called when a connection is lost, or nobody knows whether the server has committed: the session ends then, and the control finishes local's part. */
export function commitWithServer({ runtime, session, link, mark }: CommitWithServerParts, done: (error: MysqlError | undefined) => void): void {
  const { faults, log } = runtime;
  const gid = `${mark}${randomBytes(16).toString('hex')}`;
  const point = (name: string, next: () => void): void => {
    if (faults.armed) void faults.hit(name).then(next, next);
    else next();
  };
  const onServer = (sql: string, next: (errorCode: number) => void): void => session.askServer(sql, (_rows, _columns, errorCode = 0) => next(errorCode));
  const onLocal = (sql: string, next: (reply: Exclude<LocalReply, { type: 'lost' }>) => void): void => link.query(sql, (reply) => {
    if (reply.type === 'lost') session.close();
    else next(reply);
  });
  const undo = (error: MysqlError): void => onServer(ROLLBACK, () => undoLocal(error));
  const undoLocal = (error: MysqlError): void => onLocal(`ROLLBACK PREPARED '${gid}'`, () => done(error));

  if (mark === undefined) return onLocal('ROLLBACK', () => onServer(ROLLBACK, () => done(mysqlErrorOf(gone))));
  onLocal(`PREPARE TRANSACTION '${gid}'`, (reply) => {
    if (reply.type === 'done' && reply.tag === 'PREPARE TRANSACTION') return point('commit.prepared', decide);
    onServer(ROLLBACK, () => onLocal('ROLLBACK', () => done(notPrepared(reply, session))));
  });

  function decide(): void {
    onServer(`INSERT INTO causeway.decision (gid) VALUES ('${gid}')`, (errorCode) => {
      if (errorCode === 0) return commit();
      undo(unreached.has(errorCode) ? mysqlErrorOf(unwritten(errorCode)) : failureError(rolledBack, [], serverOf(session.client.login.greeting.version)));
    });
  }

  function commit(): void {
    onServer(COMMIT, (errorCode) => {
      if (errorCode === 0) return point('commit.decided', finish);
      // A deadlock has rolled it back; behind any other error it may have committed.
      if (errorCode === ROLLS_BACK) return undoLocal(failureError(rolledBack, [], serverOf(session.client.login.greeting.version)));
      log.warn('the MySQL server did not say whether a transaction was committed: its client\'s connection is ended', { session: session.sessionId, errorCode });
      session.close();
    });
  }

  function finish(): void {
    onLocal(`COMMIT PREPARED '${gid}'`, (reply) => {
      if (reply.type !== 'done') log.warn('a decided transaction could not be committed at once on its prepared side', { session: session.sessionId, side: 'local' });
      point('commit.finished', () => done(undefined));
    });
  }
}

function notPrepared(reply: Exclude<LocalReply, { type: 'lost' }>, session: LocalSession): MysqlError {
  const server = serverOf(session.client.login.greeting.version);
  const state = reply.type === 'error' ? reply.fields.get('C') : undefined;
  if (reply.type === 'error' && (state === '55000' || state === '53200' || state === '0A000')) return mysqlErrorOf(new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, and local cannot prepare it', {
    detail: `${reply.fields.get('M')}. It was rolled back.`, hint: 'Set max_prepared_transactions on local to as many as clients may commit at once, and restart it.',
  }));
  return failureError(reply.type === 'done' ? rolledBack : reply, [], server);
}

const gone = new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, which can no longer be committed together', { detail: 'It was rolled back.', hint: 'Set max_prepared_transactions on local, and innodb_flush_log_at_trx_commit and sync_binlog to 1 on the MySQL server; then run the transaction again.' });

function unwritten(errorCode: number): MigrationError {
  return new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, and the user may not write its decision there', { detail: `MySQL ${errorCode}. It was rolled back.`, hint: 'GRANT INSERT (gid) ON causeway.decision to the user\'s login at the MySQL server.' });
}
