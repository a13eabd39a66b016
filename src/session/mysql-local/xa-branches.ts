/**
 * Branches of XA that write on local. The server is told of each branch as well, and says what its client may do in it; what has been written on local is
 * prepared there, by PREPARE TRANSACTION, and from then on nobody's: any session commits it or rolls it back, as soon as the server has been asked too.
 * A branch writes on one side.
 *
 * States of a session's own branch: none → active → (XA END) idle → none. `isLost`: local has rolled its part back, and the branch can end in no other way.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { quoteLiteral } from '../../../grammar/names.ts';
import { ServerStatus } from '../../wire/mysql/capabilities.ts';
import { Collation, ColumnType } from '../../wire/mysql/column-definition.ts';
import type { ColumnDefinition } from '../../wire/mysql/column-definition.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeOk } from '../../wire/mysql/ok-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { writeResultSet } from '../../wire/mysql/result-set.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import { failureError } from './failure-error.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import type { LocalSession } from './local-session.ts';
import type { LocalTransaction } from './local-transaction.ts';
import { serverOf } from './session-facts.ts';
import { GID_PREFIX, gidOf, recoveredRow, xidOfGid, xidSql } from './xa-words.ts';
import type { XaWord, Xid } from './xa-words.ts';

export interface XaParts {
  readonly session: LocalSession;
  readonly transaction: LocalTransaction;
  /** The session's connection, while there is one. */
  readonly link: () => LocalLink | undefined;
  /** Makes one where there is none; undefined: the client has been told why not. */
  readonly open: (sequence: number, then: (link: LocalLink | undefined) => void) => void;
  /** As `ServerStatementsParts` says. */
  readonly runs: (isRunning: boolean) => boolean;
}

type Branch = { readonly xid: Xid; state: 'active' | 'idle'; isLost: boolean };

const UNDEFINED_OBJECT = '42704';
const rolledBack: MysqlError = { code: 1402, sqlstate: 'XA100', message: 'XA_RBROLLBACK: Transaction branch was rolled back' };
const outside: MysqlError = { code: 1400, sqlstate: 'XAE09', message: 'XAER_OUTSIDE: Some work is done outside global transaction' };
const inState = (state: Branch['state'] | 'non-existing'): MysqlError => ({ code: 1399, sqlstate: 'XAE07', message: `XAER_RMFAIL: The command cannot be executed when global transaction is in the  ${state.toUpperCase()} state` });

export class XaBranches {
  readonly #parts: XaParts;
  #own: Branch | undefined;
  /** The server's answer to it is awaited. */
  #asked: XaWord | undefined;

  constructor(parts: XaParts) {
    this.#parts = parts;
  }

  /** Why a statement does not run on local now. `commits`: as TRUNCATE does, whatever is open. */
  refusalOf(commits: boolean): MysqlError | undefined {
    if (this.#own?.isLost === true) return rolledBack;
    return this.#own && (commits || this.#own.state === 'idle') ? inState(this.#own.state) : undefined;
  }

  get hasOwn(): boolean {
    return this.#own !== undefined;
  }

  /** As `ServerStatements.before`. */
  before(word: XaWord, sequence: number, go: () => boolean): boolean {
    const { transaction } = this.#parts;
    const forward = (): boolean => {
      this.#asked = word;
      return go();
    };
    if (word.type === 'recover') return this.#recover(word.form, sequence, go);
    const own = this.#own && gidOf(this.#own.xid) === gidOf(word.xid) && this.#own.state === 'idle' ? this.#own : undefined;
    switch (word.type) {
      case 'start':
        return transaction.isOpen && !this.#own ? this.#refuse(outside, sequence) : forward();
      case 'end':
        return forward();
      case 'prepare':
        if (own && (own.isLost || transaction.wroteLocal)) return this.#later(() => this.#prepare(own, sequence));
        return own ? this.#undone(forward) : forward();
      case 'rollback':
        if (own) return this.#undone(forward);
        return this.#own ? forward() : this.#finish('ROLLBACK', word.xid, sequence, forward);
      case 'commit':
        if (own && word.onePhase) return own.isLost ? this.#later(() => this.#given(own, rolledBack, sequence)) : transaction.isOpen ? this.#commit(own, sequence, forward) : forward();
        return this.#own || word.onePhase ? forward() : this.#finish('COMMIT', word.xid, sequence, forward);
      default:
        return word satisfies never;
    }
  }

  /** What the server has said to the statement that it was sent last. */
  answered(errorCode: number): void {
    const word = this.#asked;
    this.#asked = undefined;
    if (!word || word.type === 'recover' || errorCode !== 0) return;
    if (word.type === 'start') {
      this.#own = { xid: word.xid, state: 'active', isLost: false };
      this.#parts.transaction.noted({ type: 'begin', readOnly: false, isSnapshot: false });
    } else if (word.type === 'end' && this.#own) this.#own.state = 'idle';
    else if (this.#own && gidOf(this.#own.xid) === gidOf(word.xid)) {
      this.#parts.transaction.ended();
      this.forget();
    }
  }

  /** Local has given its transaction up. */
  lost(): void {
    if (this.#own) this.#own.isLost = true;
  }

  forget(): void {
    this.#own = undefined;
  }

  #refuse(error: MysqlError, sequence: number): true {
    this.#parts.session.fail(error, sequence);
    return true;
  }

  #later(then: () => void): false {
    this.#parts.runs(true);
    then();
    return false;
  }

  /** What has been done on local goes, before the server is asked. */
  #undone(forward: () => boolean): boolean {
    const { transaction, session, runs } = this.#parts;
    const link = this.#parts.link();
    if (!transaction.isOpen || !link) return forward();
    runs(true);
    transaction.ended();
    link.query('ROLLBACK', (reply) => {
      if (reply.type === 'lost') session.close();
      else if (runs(false) && forward()) session.settled();
    });
    return false;
  }

  /** The server's part, which has written nothing, is ended: a branch that is prepared on local is not the session's any more. */
  #prepare(own: Branch, sequence: number): void {
    const { transaction, session } = this.#parts;
    const link = this.#parts.link();
    if (own.isLost || !link || !transaction.isOpen) return this.#given(own, rolledBack, sequence);
    link.query(`PREPARE TRANSACTION ${quoteLiteral(gidOf(own.xid))}`, (reply) => {
      if (reply.type === 'lost') return session.close();
      transaction.closed();
      if (reply.type === 'done' && reply.tag === 'PREPARE TRANSACTION') return this.#given(own, undefined, sequence);
      link.query('ROLLBACK', () => this.#given(own, this.#notPrepared(reply), sequence));
    });
  }

  #notPrepared(reply: Exclude<LocalReply, { type: 'lost' }>): MysqlError {
    if (reply.type === 'done') return rolledBack;
    const state = reply.type === 'error' ? reply.fields.get('C') : undefined;
    // Disabled, or all of them taken.
    if (state === '55000' || state === '53200') return mysqlErrorOf(new MigrationError('MIG081', 'the branch is rolled back: local takes no prepared transaction', {
      detail: reply.type === 'error' ? `${reply.fields.get('M')}.` : '', hint: 'Set max_prepared_transactions on local to as many as branches may be prepared at once, and restart it.',
    }));
    if (state === '42710') return { code: 1440, sqlstate: 'XAE08', message: 'XAER_DUPID: The XID already exists' };
    return failureError(reply, [], serverOf(this.#parts.session.client.login.greeting.version));
  }

  /** The session's branch is over at the server; then its client is told. */
  #given(own: Branch, error: MysqlError | undefined, sequence: number): void {
    const { session, transaction } = this.#parts;
    session.askServer(`XA ROLLBACK ${xidSql(own.xid)}`, () => {
      transaction.ended();
      this.forget();
      this.#answer(error, sequence);
    });
  }

  #answer(error: MysqlError | undefined, sequence: number): void {
    const { session, runs } = this.#parts;
    if (!runs(false)) return;
    if (error) session.fail(error, sequence);
    else session.toClient(writePackets(writeOk({ status: this.#status }, session.client.capabilities), (sequence + 1) & 0xff));
    session.unit.failed();
    session.settled();
  }

  get #status(): number {
    return this.#parts.session.serverStatus & (ServerStatus.inTransaction | ServerStatus.autocommit);
  }

  #commit(own: Branch, sequence: number, forward: () => boolean): false {
    const { transaction, session, runs } = this.#parts;
    runs(true);
    this.#parts.link()?.query('COMMIT', (reply) => {
      if (reply.type === 'lost') return session.close();
      transaction.ended();
      if (reply.type !== 'done' || reply.tag !== 'COMMIT') return this.#given(own, rolledBack, sequence);
      if (runs(false) && forward()) session.settled();
    });
    return false;
  }

  /** Of a branch that is prepared, by whatever session: where local does not know it, it is the server's. */
  #finish(verb: 'COMMIT' | 'ROLLBACK', xid: Xid, sequence: number, forward: () => boolean): boolean {
    const { transaction, session, runs } = this.#parts;
    if (transaction.isOpen) return this.#refuse(serverOf(session.client.login.greeting.version).flavour === 'mariadb' ? outside : inState('non-existing'), sequence);
    runs(true);
    this.#parts.open(sequence, (link) => link?.query(`${verb} PREPARED ${quoteLiteral(gidOf(xid))}`, (reply) => {
      if (reply.type === 'lost') return session.close();
      if (reply.type === 'done') return this.#answer(undefined, sequence);
      if (reply.type === 'refused' || reply.fields.get('C') !== UNDEFINED_OBJECT) return this.#answer(failureError(reply, [], serverOf(session.client.login.greeting.version)), sequence);
      if (runs(false) && forward()) session.settled();
    }));
    return false;
  }

  /** Those of both sides. */
  #recover(form: 'raw' | 'hex' | 'sql', sequence: number, go: () => boolean): boolean {
    const { transaction, session, runs } = this.#parts;
    if (transaction.isOpen) return go();
    runs(true);
    this.#parts.open(sequence, (link) => link?.query(`SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, '${GID_PREFIX}') ORDER BY prepared`, (reply) => {
      if (reply.type === 'lost') return session.close();
      if (reply.type !== 'done') return this.#answer(failureError(reply, [], serverOf(session.client.login.greeting.version)), sequence);
      const found = reply.rows.flatMap(([gid]) => xidOfGid(gid ?? '') ?? []);
      if (found.length > 0) return this.#answerRecover(form, found, sequence);
      if (runs(false) && go()) session.settled();
    }));
    return false;
  }

  #answerRecover(form: 'raw' | 'hex' | 'sql', found: readonly Xid[], sequence: number): void {
    const { session, runs } = this.#parts;
    const text = form === 'raw' ? 'XA RECOVER' : form === 'hex' ? 'XA RECOVER CONVERT XID' : "XA RECOVER FORMAT='SQL'";
    session.askServer(text, (rows) => {
      const unread = rows?.some((row) => row.some((value) => value?.includes('\ufffd')));
      if (!rows || unread === true) return this.#answer({ code: 1401, sqlstate: 'XAE03', message: rows ? 'XAER_RMERR: a branch of the MySQL server has bytes in its name; ask for CONVERT XID or FORMAT=\'SQL\'' : 'XAER_RMERR: the MySQL server does not tell its branches' }, sequence);
      if (!runs(false)) return;
      const number = (name: string): ColumnDefinition => ({ name, collation: Collation.binary, length: 21, type: ColumnType.longLong, flags: 0, decimals: 0 });
      const data = { name: 'data', collation: form === 'raw' ? Collation.binary : Collation.utf8mb4, length: 1024, type: ColumnType.varString, flags: 0, decimals: 0 };
      const columns = [number('formatID'), number('gtrid_length'), number('bqual_length'), data];
      session.toClient(writeResultSet({ columns, rows: [...rows, ...found.map((xid) => recoveredRow(xid, form))], status: this.#status }, session.client.capabilities, (sequence + 1) & 0xff));
      session.settled();
    });
  }
}
