/** A client's block on the MySQL server: begun with the first statement that needs it there, with the savepoints that it has by then. */
import { isolationLevel } from '../../../grammar/dialect/mysql/transaction.ts';
import type { StatementFacts } from '../../../grammar/sql/statement-facts.ts';
import type { OpenTransaction } from '../../execute/open-transaction.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { SessionCore } from '../session-core.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { MysqlSide } from './mysql-side.ts';

/** Undefined: it is done. */
type Done = (error: ErrorFields | undefined) => void;

const ignoreRow = (): void => undefined;
const noNames = (): undefined => undefined;

/** One after the other, up to the first error. */
export function runAll(side: MysqlSide, statements: readonly string[], done: Done): void {
  const [first, ...rest] = statements;
  if (first === undefined) return done(undefined);
  side.query(first, ignoreRow, (outcome) => {
    if (outcome.ok) runAll(side, rest, done);
    else done(errorOfMysql(outcome.error, noNames));
  });
}

/** The names of savepoints are the gateway's own: MySQL has one of each name, and does not tell its case. */
const nameOf = (number: number): string => `causeway_${number}`;

export function beginMysqlBlock(core: SessionCore, side: MysqlSide, tx: OpenTransaction, done: Done): void {
  const { capabilities } = side;
  if (tx.mysql.begun || !capabilities) return done(undefined);
  const { isolation, readOnly } = tx.context(core.defaults);
  tx.mysql.begun = true;
  runAll(side, [
    ...(isolation === 'read committed' ? [] : [`SET TRANSACTION ISOLATION LEVEL ${isolationLevel(capabilities, isolation, readOnly)}`]),
    `START TRANSACTION${readOnly ? ' READ ONLY' : ''}`, ...tx.savepointNumbers.map((number) => `SAVEPOINT ${nameOf(number)}`),
  ], done);
}

/**
 * MySQL 5.6 commits an open transaction whose connection is lost behind ROLLBACK TO SAVEPOINT (https://bugs.mysql.com/bug.php?id=79596); behind any other
 * statement it rolls it back.
 */
const NOT_LAST = 'DO 0';

/** SAVEPOINT, RELEASE, ROLLBACK TO; before the block's own record of them changes. */
export function moveInMysqlBlock(side: MysqlSide, tx: OpenTransaction, facts: StatementFacts, done: Done): void {
  const name = nameOf(tx.savepointNumber(facts.objectName ?? ''));
  switch (facts.kind) {
    case 'savepoint': return runAll(side, [`SAVEPOINT ${nameOf(tx.nextSavepointNumber)}`], done);
    case 'release': return runAll(side, [`RELEASE SAVEPOINT ${name}`], done);
    case 'rollback_to': return runAll(side, [`ROLLBACK TO SAVEPOINT ${name}`, NOT_LAST], done);
    case 'set_transaction': return done(facts.transaction?.isolation === undefined ? undefined : tooLate);
    default: return done(undefined);
  }
}

export function endMysqlBlock(side: MysqlSide, commits: boolean, done: Done): void {
  side.portalsEnded();
  runAll(side, [commits ? 'COMMIT' : 'ROLLBACK'], done);
}

const tooLate: ErrorFields = { severity: 'ERROR', sqlstate: '25001', message: 'SET TRANSACTION ISOLATION LEVEL must be called before any query' };
