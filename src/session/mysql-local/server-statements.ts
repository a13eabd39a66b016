/** What statements that the MySQL server runs mean for local: the transaction of both sides is one, and so are the session's last ids. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { MysqlRelation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { DefinedTable } from '../../../grammar/dialect/postgres/read-definition.ts';
import { ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import { commitWithServer } from './commit-with-server.ts';
import { failureError } from './failure-error.ts';
import { ROLLS_BACK } from './local-error.ts';
import type { LocalLink } from './local-link.ts';
import { notServed, writesOnBoth } from './refusals.ts';
import { serverOf } from './session-facts.ts';
import type { SessionFacts } from './session-facts.ts';
import type { SessionValues } from './session-values.ts';
import { TableLocks } from './table-locks.ts';
import type { TableLocksParts } from './table-locks.ts';
import { showDiagnostics } from './show-diagnostics.ts';
import { transactionWord } from './transaction-words.ts';
import type { TransactionWord } from './transaction-words.ts';
import { XaBranches } from './xa-branches.ts';

export interface ServerStatementsParts extends TableLocksParts {
  readonly runtime: Runtime;
  readonly values: SessionValues;
  /** What the session is on the server; asked where it is not known. */
  readonly learned: (then: (facts: SessionFacts) => void) => void;
  /** Something is under way, or no longer; false: the session is over. */
  readonly runs: (isRunning: boolean) => boolean;
  /** Answers a statement without tables on local. */
  readonly answer: (text: string, sequence: number) => void;
}

/** They would end a transaction. */
const endings: ReadonlySet<TransactionWord['type']> = new Set(['begin', 'commit', 'rollback', 'implicit commit', 'lock', 'unlock']);
const rolledBack = { type: 'error', fields: new Map([['C', '40001']]) } as const;

export class ServerStatements {
  readonly #parts: ServerStatementsParts;
  readonly locks: TableLocks;
  readonly xa: XaBranches;

  constructor(parts: ServerStatementsParts) {
    this.#parts = parts;
    this.locks = new TableLocks(parts);
    const { session, transaction, runs } = parts;
    this.xa = new XaBranches({ session, transaction, runs, link: () => parts.link.current, open: (sequence, then) => this.#open(sequence, then) });
  }

  /** A transaction may write on local and on the server: not a branch of XA, which its client ends; nor under locks, where the server takes no row of another table. */
  get commitsBoth(): boolean {
    return this.#parts.snapshot().twoPhase?.mysqlMark !== undefined && !this.xa.hasOwn && !this.locks.isHeld && !this.locks.holdsLocal;
  }

  #open(sequence: number, then: (link: LocalLink | undefined) => void): void {
    const { learned, link, runs, session } = this.#parts;
    learned((facts) => {
      runs(true);
      try {
        return then(link.open(facts));
      } catch (error) {
        session.fail(mysqlErrorOf(error), sequence);
        if (runs(false)) session.settled();
      }
    });
  }

  /**
   * A statement is about to be sent to the server: what it means for local is done first. Returns true when it is answered here and now; `go`, which
   * returns the same, may be called later: the client's next command waits for it.
   */
  before(text: string, sequence: number, go: () => boolean): boolean {
    const { transaction, values, session, runs } = this.#parts;
    const { locks, xa } = this;
    const isSingle = !/;\s*\S/.test(text);
    const word = this.#wordOf(text, isSingle);
    if (word.type === 'xa') return xa.before(word.xa, sequence, go);
    // The server refuses them, in whatever state its branch is.
    if (xa.hasOwn && endings.has(word.type)) return go();
    if (word.type === 'read' && values.answersFor(text)) {
      this.#parts.answer(text, sequence);
      return false;
    }
    const told = values.diagnostics();
    const shown = told && showDiagnostics(text, told.error, session.serverStatus & (ServerStatus.inTransaction | ServerStatus.autocommit), session.client.capabilities, (sequence + 1) & 0xff);
    if (shown) {
      session.toClient(shown);
      return true;
    }
    if (word.type === 'write') {
      if (transaction.wroteLocal && !this.commitsBoth) return this.#refuse(writesOnBoth(), sequence);
      transaction.wroteServer = true;
    }
    if ((transaction.isOpen || locks.holdsLocal) && (word.type === 'unknown' || !isSingle)) {
      return this.#refuse(new MigrationError('MIG082', `the statement cannot run ${transaction.isOpen ? 'in a transaction that is open on local' : 'while tables are locked by LOCK TABLES'}`, { detail: 'It may end that, or it may not; several statements in one text are not looked at one by one.', hint: 'COMMIT or UNLOCK TABLES before it, or send the statements one by one.' }), sequence);
    }
    const refused = word.type === 'lock' ? locks.never(text) : undefined;
    if (refused) return this.#refuse(refused, sequence);
    const pushed = values.pushed(text, word.type === 'write');
    values.onServer(text, word.type === 'write');
    const goes = (): boolean => {
      // Of several in one text each counts.
      for (const each of text.includes(';') ? text.split(';') : [text]) this.#noted(each);
      return word.type === 'lock' && isSingle ? this.#locked(text, sequence, go) : go();
    };
    const releases = locks.isHeld && (word.type === 'begin' || word.type === 'lock' || word.type === 'unlock');
    if (!transaction.isOpen && pushed === undefined && !releases) return goes();
    runs(true);
    const later = (): void => {
      if (runs(false) && goes()) session.settled();
    };
    const pushes = pushed === undefined ? later : (): void => session.askServer(pushed, later);
    this.#beside(word, sequence, releases ? () => locks.release(pushes) : pushes);
    return false;
  }

  /** UNLOCK TABLES without locks means nothing. */
  #wordOf(text: string, isSingle = true): TransactionWord {
    const word = transactionWord(text);
    if (word.type === 'xa' && !isSingle) return { type: 'write' };
    return word.type === 'unlock' && !this.locks.isHeld ? { type: 'other' } : word;
  }

  #noted(text: string): void {
    const word = this.#wordOf(text);
    this.#parts.transaction.noted(word);
    if (word.type === 'write') this.#parts.transaction.wroteServer = true;
    if (word.type === 'lock' || word.type === 'unlock' || word.type === 'begin') this.locks.noted(text, word.type);
  }

  /** Local's tables are locked first. */
  #locked(text: string, sequence: number, go: () => boolean): false {
    const { session, runs } = this.#parts;
    runs(true);
    this.locks.take(text, (error) => {
      if (!runs(false)) return;
      if (!error) {
        if (go()) session.settled();
        return;
      }
      // Whatever comes of it, what was open is committed then, and what was locked is not.
      runs(true);
      session.askServer('COMMIT', () => session.askServer('UNLOCK TABLES', () => {
        if (!runs(false)) return;
        session.fail(error, sequence);
        session.unit.failed();
        session.settled();
      }));
    });
    return false;
  }

  #beside(word: TransactionWord, sequence: number, then: () => void): void {
    const { transaction, session } = this.#parts;
    const link = this.#parts.link.current;
    if (!link || !transaction.isOpen) return then();
    if (word.type === 'commit' || word.type === 'begin' || word.type === 'lock' || word.type === 'unlock' || word.type === 'implicit commit') return this.commit(link, sequence, then);
    if (word.type === 'rollback') return this.rollBack(then);
    const sql = transaction.beside(word);
    if (sql === undefined) return then();
    link.query(sql, (reply) => {
      if (reply.type === 'lost') session.close();
      else then();
    });
  }

  /** Success is said when local has committed, and not before. */
  commit(link: LocalLink, sequence: number, then: () => void): void {
    const { transaction, session, runs, runtime } = this.#parts;
    if (transaction.wroteLocal && transaction.wroteServer) {
      transaction.closed();
      return commitWithServer({ runtime, session, link, mark: this.#parts.snapshot().twoPhase?.mysqlMark }, (error) => {
        if (!error) return then();
        transaction.ended();
        session.fail(error, sequence);
        if (runs(false)) session.settled();
      });
    }
    link.query('COMMIT', (reply) => {
      transaction.closed();
      if (reply.type === 'done' && reply.tag === 'COMMIT') return then();
      // Whether it has committed nobody knows: as when a server goes away.
      if (reply.type === 'lost') return session.close();
      const error = failureError(reply.type === 'done' ? rolledBack : reply, [], serverOf(session.client.login.greeting.version));
      session.askServer('ROLLBACK', () => {
        transaction.ended();
        session.fail(error, sequence);
        if (runs(false)) session.settled();
      });
    });
  }

  /** Why a statement over tables on local may not run there now. */
  refusal(text: string, relations: readonly MysqlRelation[] | readonly DefinedTable[]): MysqlError | undefined {
    const isDefinition = transactionWord(text).type === 'implicit commit';
    const refused = this.xa.refusalOf(isDefinition);
    if (refused) return refused;
    if (relations.every((relation) => 'written' in relation)) return this.locks.refusal(relations);
    return this.locks.isHeld ? mysqlErrorOf(notServed('a definition while tables are locked by LOCK TABLES')) : undefined;
  }

  /** The server has answered what it was sent. `isOver`: no transaction is open there. */
  answered(errorCode: number, isOver: boolean, done: () => void): void {
    this.xa.answered(errorCode);
    this.locks.answered(errorCode, () => this.#settled(errorCode, isOver, done));
  }

  #settled(errorCode: number, isOver: boolean, done: () => void): void {
    const { transaction } = this.#parts;
    // A deadlock ends the whole of it at the server.
    if (transaction.isOpen && (errorCode === ROLLS_BACK || isOver)) {
      // By what nobody has foreseen: the client must not take for done what is not.
      if (transaction.wroteLocal && errorCode === 0) return this.#parts.session.close();
      return this.rollBack(done);
    }
    if (isOver) transaction.idle();
    done();
  }

  /** The transaction is given up; on the server that is the session's matter. */
  rollBack(done: () => void): void {
    const { transaction } = this.#parts;
    const link = this.#parts.link.current;
    if (!transaction.isOpen || !link) return done();
    if (transaction.wroteLocal) this.xa.lost();
    transaction.closed();
    link.query('ROLLBACK', () => done());
  }

  #refuse(error: MigrationError, sequence: number): boolean {
    if (!this.locks.isHeld) this.#parts.session.unit.failed();
    this.#parts.session.fail(mysqlErrorOf(error), sequence);
    return true;
  }
}
