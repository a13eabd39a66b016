/** What a client is told of the end of a block, and of the statements that control one. */
import { MigrationError } from '../../config/migration-error.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import type { InternalReply } from '../execute/segment.ts';
import { commandComplete } from '../wire/backend-messages.ts';
import { readErrorFields, writeError } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { errorFieldsOf } from './client-error.ts';
import type { CommitOutcome } from './commit-both.ts';

export const preparedOnMysql = new MigrationError('MIG081', 'PREPARE TRANSACTION needs a transaction that is on the source only', { detail: 'This one has used tables of a MySQL server.', hint: 'COMMIT it.' });

/** `isGone`: the way to commit on both has gone since it wrote. */
export function notCommittedWithMysql(isGone: boolean): MigrationError {
  return isGone
    ? new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, which can no longer be committed together', { detail: 'It was rolled back.', hint: 'Set max_prepared_transactions on local, and innodb_flush_log_at_trx_commit and sync_binlog to 1 on the MySQL server; then run the transaction again.' })
    : new MigrationError('MIG081', 'the transaction has written on the MySQL server and on local, and may have written on the source', { detail: 'It was rolled back: what it called on the source may write anything there.', hint: 'Call it in a transaction of its own, or say what it touches.' });
}

export function finishesPrepared({ kind }: StatementFacts): boolean {
  return kind === 'commit_prepared' || kind === 'rollback_prepared';
}

export function sqlstateOf({ error }: InternalReply): string | undefined {
  return error && readErrorFields(error, 0, error.length).get('C');
}

/** As a server says of a COMMIT in a pipeline without BEGIN, which it carries out. */
export const noTransaction: ErrorFields = { severity: 'WARNING', sqlstate: '25P01', message: 'there is no transaction in progress' };

/** Temporary tables, LISTEN and WITH HOLD cursors cannot be in a transaction that is prepared; nor can any when all places are taken. */
export function unpreparable(outcome: Extract<CommitOutcome, { type: 'failed' }>): Buffer | undefined {
  const { error } = outcome.reply;
  const fields = error && readErrorFields(error, 0, error.length);
  if (outcome.unpreparable === undefined || (fields?.get('C') !== '0A000' && fields?.get('C') !== '53200' && fields?.get('C') !== '55000')) return undefined;
  return writeError(errorFieldsOf(new MigrationError('MIG081', `the transaction has written on both sides, and ${outcome.unpreparable} cannot prepare it`, {
    detail: `${fields.get('M') ?? ''}. It was rolled back.`, hint: fields.get('H') ?? 'Leave temporary tables, LISTEN and WITH HOLD cursors out of transactions that write on both sides.',
  })));
}

export function answerOf(reply: InternalReply | undefined): Buffer | undefined {
  return reply && Buffer.concat([...reply.notices, reply.error ?? commandComplete(reply.tag)]);
}

export const leadingBegin = /^((?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*)(?:begin|start)(?:\s+(?:work|transaction)\b)?/i;

/** The server's tag says how the block was begun. */
export function beginTag(sql: string): string {
  return /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*start/i.test(sql) ? 'START TRANSACTION' : 'BEGIN';
}

export function tagOf(facts: StatementFacts): string {
  switch (facts.kind) {
    case 'savepoint':
      return 'SAVEPOINT';
    case 'release':
      return 'RELEASE';
    case 'rollback_to':
      return 'ROLLBACK';
    case 'begin':
      return 'BEGIN';
    default:
      return 'SET';
  }
}
