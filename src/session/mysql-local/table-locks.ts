/**
 * LOCK TABLES of a MySQL client whose tables, or some of them, are on local. The server is sent the statement as well: it looks after its own tables and
 * after what a session may name. Locks to read are PostgreSQL's SHARE locks of a connection that does nothing else, and outlast each statement's commit;
 * locks to write can be had by the session's own transaction alone, and end with it (docs/decisions/0029).
 *
 * States: none → asked (local's are held, the server's are asked for) → held → none.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import { quoteName } from '../../../grammar/names.ts';
import type { MysqlClassification, MysqlRelation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import { failureError } from './failure-error.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import type { LocalSession } from './local-session.ts';
import type { LocalTransaction } from './local-transaction.ts';
import type { SessionFacts } from './session-facts.ts';
import { serverOf } from './session-facts.ts';
import type { SessionLink } from './session-link.ts';

export interface TableLocksParts {
  readonly session: LocalSession;
  readonly transaction: LocalTransaction;
  readonly link: SessionLink;
  readonly classify: (text: string) => MysqlClassification | undefined;
  readonly keyOf: (relation: MysqlRelation) => string;
  readonly snapshot: () => RoutingSnapshot;
  readonly facts: () => SessionFacts | undefined;
}

interface Lock {
  readonly key: string;
  /** By which statements name the table; its case does not count. */
  readonly name: string;
  readonly written: boolean;
}

interface Held {
  readonly locks: readonly Lock[];
  /** Some are those of the session's transaction. */
  readonly ofTransaction: boolean;
}

/** PostgreSQL takes no longer time limit than this for a lock. */
const LONGEST_WAIT_SECONDS = 2_000_000;

export class TableLocks {
  readonly #parts: TableLocksParts;
  #held: Held | undefined;
  #holder: LocalLink | undefined;
  #isAsked = false;

  constructor(parts: TableLocksParts) {
    this.#parts = parts;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Of tables on local, which only statements that are understood may unlock. */
  get holdsLocal(): boolean {
    return this.#holder !== undefined || this.#held?.ofTransaction === true;
  }

  /** As far as tables of the server are concerned, which it locks and unlocks itself. */
  noted(text: string, word: 'lock' | 'unlock' | 'begin'): void {
    this.#held = word === 'lock' ? { locks: this.#locksOf(text), ofTransaction: false } : undefined;
  }

  #locksOf(text: string): readonly Lock[] {
    return this.#parts.classify(text)?.relations.map((relation) => ({ key: this.#parts.keyOf(relation), name: nameOf(relation), written: relation.written })) ?? [];
  }

  /** What is refused before anything is done. */
  never(text: string): MigrationError | undefined {
    const hasAutocommit = (this.#parts.session.serverStatus & ServerStatus.autocommit) !== 0;
    return hasAutocommit && this.#onLocal(this.#locksOf(text)).some(({ written }) => written) ? neverWithAutocommit() : undefined;
  }

  #onLocal(locks: readonly Lock[]): readonly Lock[] {
    const { tables } = this.#parts.snapshot();
    return locks.filter(({ key }) => tables[key]?.writes === 'local');
  }

  /** Before the server is sent LOCK TABLES. `done` with an error: nothing is locked, and the server is not to be sent it. */
  take(text: string, done: (error: MysqlError | undefined) => void): void {
    const { tables } = this.#parts.snapshot();
    const locks = this.#locksOf(text);
    const onLocal = this.#onLocal(locks);
    const facts = this.#parts.facts();
    this.#held = { locks, ofTransaction: false };
    this.#isAsked = true;
    if (onLocal.length === 0 || !facts) return done(undefined);
    const ofTransaction = onLocal.some(({ written }) => written);
    this.#held = { locks, ofTransaction };
    const sql = lockSql(onLocal.map((lock) => ({ ...lock, local: tables[lock.key]?.local })), facts.tableLockWaitSeconds);
    try {
      if (ofTransaction) this.#lockInTransaction(facts, sql, done);
      else this.#lockBeside(facts, sql, done);
    } catch (error) {
      this.#failed(mysqlErrorOf(error), done);
    }
  }

  #lockInTransaction(facts: SessionFacts, sql: string, done: (error: MysqlError | undefined) => void): void {
    const { link: links, transaction, snapshot } = this.#parts;
    const link = links.open(facts);
    link.query(transaction.begin(false, facts.isolation, snapshot()), () => undefined);
    link.query(`${sql}; SET LOCAL lock_timeout = '${Math.min(facts.lockWaitSeconds, LONGEST_WAIT_SECONDS)}s'`, (reply) => this.#locked(reply, done));
  }

  #lockBeside(facts: SessionFacts, sql: string, done: (error: MysqlError | undefined) => void): void {
    let isLocked = false;
    const holder = this.#parts.link.another(facts, () => {
      if (this.#holder !== holder) return;
      this.#holder = undefined;
      // The client believes to have locks that are gone, or is about to.
      if (isLocked) this.#parts.session.close();
    });
    this.#holder = holder;
    holder.query('BEGIN', () => undefined);
    holder.query(sql, (reply) => {
      isLocked = reply.type === 'done';
      this.#locked(reply, done);
    });
  }

  #locked(reply: LocalReply, done: (error: MysqlError | undefined) => void): void {
    if (reply.type === 'done') return done(undefined);
    if (reply.type === 'lost') return this.#parts.session.close();
    this.#failed(failureError(reply, [], serverOf(this.#parts.session.client.login.greeting.version)), done);
  }

  #failed(error: MysqlError, done: (error: MysqlError | undefined) => void): void {
    this.#giveUp(() => done(error));
  }

  /** What the server has said to LOCK TABLES: with an error it has locked nothing. */
  answered(errorCode: number, then: () => void): void {
    if (!this.#isAsked) return then();
    this.#isAsked = false;
    if (errorCode === 0) then();
    else this.#giveUp(then);
  }

  #giveUp(then: () => void): void {
    const { transaction, link } = this.#parts;
    const ofTransaction = this.#held?.ofTransaction === true && transaction.isOpen;
    const released = (): void => this.release(then);
    this.#isAsked = false;
    if (!ofTransaction || !link.current) return released();
    transaction.closed();
    link.current.query('ROLLBACK', released);
  }

  /** The session's own transaction is its own matter. */
  release(then: () => void): void {
    const holder = this.#holder;
    this.#held = undefined;
    this.#holder = undefined;
    if (!holder || holder.isOver) return then();
    holder.query('COMMIT', () => {
      holder.end();
      then();
    });
  }

  /** Why a statement over tables on local may not run while some are locked; each lock is for one place where its name stands. */
  refusal(relations: readonly MysqlRelation[]): MysqlError | undefined {
    const held = this.#held;
    if (!held || relations.length === 0) return undefined;
    if (held.ofTransaction && !this.#parts.transaction.isOpen) return mysqlErrorOf(endedByCommit());
    const free = [...held.locks];
    for (const relation of relations) {
      const name = nameOf(relation);
      const key = this.#parts.keyOf(relation);
      const fitting = free.findIndex((lock) => lock.name === name && lock.key === key);
      const lock = free[fitting];
      const said = relation.alias ?? relation.name;
      if (!lock) return { code: 1100, sqlstate: 'HY000', message: `Table '${said}' was not locked with LOCK TABLES` };
      if (relation.written && !lock.written) return { code: 1099, sqlstate: 'HY000', message: `Table '${said}' was locked with a READ lock and can't be updated` };
      free.splice(fitting, 1);
    }
    return undefined;
  }

  cancel(): void {
    this.#holder?.cancel();
  }

  /** The session is over, or another user's. */
  end(): void {
    const holder = this.#holder;
    this.#held = undefined;
    this.#holder = undefined;
    holder?.end();
  }
}

function nameOf({ alias, name }: MysqlRelation): string {
  return (alias ?? name).toLowerCase();
}

/** In one order for everybody, so that two who lock the same tables do not wait for each other. */
function lockSql(locks: readonly (Lock & { readonly local: { readonly schema: string; readonly name: string } | undefined })[], waitSeconds: number): string {
  const modes = new Map<string, string>();
  for (const { local, written } of locks) {
    const table = local === undefined ? '' : `${quoteName(local.schema)}.${quoteName(local.name)}`;
    if (written || !modes.has(table)) modes.set(table, written ? 'ACCESS EXCLUSIVE' : 'SHARE');
  }
  const each = [...modes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([table, mode]) => `LOCK TABLE ${table} IN ${mode} MODE`);
  return [`SET LOCAL lock_timeout = '${Math.min(waitSeconds, LONGEST_WAIT_SECONDS)}s'`, ...each].join('; ');
}

function neverWithAutocommit(): MigrationError {
  return new MigrationError('MIG082', 'LOCK TABLES … WRITE of a table on local with autocommit = 1: the lock would have to outlast each statement\'s commit, which no lock of local does that lets its own session write', {
    hint: 'SET autocommit = 0 before LOCK TABLES, and COMMIT before UNLOCK TABLES.',
  });
}

function endedByCommit(): MigrationError {
  return new MigrationError('MIG082', 'the locks of LOCK TABLES … WRITE on local have ended with the transaction, by COMMIT or ROLLBACK', { hint: 'UNLOCK TABLES, and LOCK TABLES again.' });
}
