/**
 * COMMIT of a block that has written on the MySQL server and on local (RULES 23): local is prepared, the server commits with the decision as a row, then
 * local's part is committed. As `commit-both.ts` does it between two PostgreSQL servers, and finished by the control in the same way. The server prepares
 * nothing, so it need not keep a prepared branch through the loss of a connection, or through a crash (docs/decisions/0031).
 */
import { randomBytes } from 'node:crypto';
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { CommitOutcome } from '../commit-both.ts';
import type { Leg } from '../leg.ts';
import type { SessionCore } from '../session-core.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { MysqlSide } from './mysql-side.ts';

export type CommitWithMysqlOutcome = CommitOutcome
  /** Both are rolled back. */
  | { readonly type: 'undecided'; readonly fields: ErrorFields };

/** The control has not waited any longer, and has rolled local's part back. */
const TOO_LATE = 1062;
/** Of the table of decisions: no right to it, or it is not there. */
const unreached: ReadonlySet<number> = new Set([1044, 1049, 1142, 1143, 1146]);
const ignoreRow = (): void => undefined;

/** `done` is called once, unless a connection is lost or the server does not say what became of its COMMIT: then the session ends, and the control finishes local's part. */
export function commitWithMysql(core: SessionCore, side: MysqlSide, mark: string, done: (outcome: CommitWithMysqlOutcome) => void): void {
  const { local } = core;
  if (!local) return;
  const gid = `${mark}${randomBytes(16).toString('hex')}`;
  const { faults, log } = core.services.runtime;
  const point = (name: string, next: () => void): void => {
    if (faults.armed) void faults.hit(name).then(next, next);
    else next();
  };
  const undo = (leg: Leg, fields: ErrorFields): void => {
    side.query('ROLLBACK', ignoreRow, () => undoLocal(leg, fields));
  };
  const undoLocal = (leg: Leg, fields: ErrorFields): void => core.ask(leg, `ROLLBACK PREPARED '${gid}'`, () => done({ type: 'undecided', fields }));

  side.portalsEnded();
  core.ask(local, `PREPARE TRANSACTION '${gid}'`, (reply) => {
    if (!reply.error && reply.tag === 'PREPARE TRANSACTION') return point('commit.prepared', decide);
    side.query('ROLLBACK', ignoreRow, () => done({ type: 'failed', reply, unpreparable: 'local' }));
  });

  function decide(): void {
    side.query(`INSERT INTO causeway.decision (gid) VALUES ('${gid}')`, ignoreRow, (outcome) => {
      if (outcome.ok) return commit();
      undo(local as Leg, undecided(outcome.error));
    });
  }

  function commit(): void {
    side.query('COMMIT', ignoreRow, (outcome) => {
      if (outcome.ok) return point('commit.decided', finish);
      // A transaction that the server has rolled back; behind any other error it may have committed.
      if (outcome.error.sqlstate.startsWith('40')) return undoLocal(local as Leg, errorOfMysql(outcome.error, () => undefined));
      core.fatal(errorFieldsOf(unknownOutcome(outcome.error), 'FATAL'));
    });
  }

  function finish(): void {
    core.ask(local as Leg, `COMMIT PREPARED '${gid}'`, (reply) => {
      if (reply.error) log.warn('a decided transaction could not be committed at once on its prepared side', { session: core.identity.sessionId, side: 'local' });
      point('commit.finished', () => done({ type: 'committed', late: reply.error !== undefined }));
    });
  }
}

function undecided(error: MysqlError): ErrorFields {
  if (error.code === TOO_LATE) return errorFieldsOf(new MigrationError('MIG083', 'could not serialize access: the transaction was rolled back before it was committed', { detail: 'Its commit took so long that what was prepared on local was given up.', hint: 'Run the transaction again.' }));
  if (!unreached.has(error.code)) return errorOfMysql(error, () => undefined);
  return errorFieldsOf(new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, and the user may not write its decision there', {
    detail: `MySQL ${error.code}: ${error.message}. It was rolled back.`, hint: 'GRANT INSERT (gid) ON causeway.decision to the user\'s login at the MySQL server.',
  }));
}

function unknownOutcome({ code, message }: MysqlError): MigrationError {
  return new MigrationError('MIG002', 'the MySQL server did not say whether the transaction was committed', { detail: `MySQL ${code}: ${message}.`, hint: 'Connect again, and look for what it wrote. The gateway commits or rolls back local\'s part by what the server has done.' });
}
