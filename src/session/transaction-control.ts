/**
 * BEGIN, COMMIT, ROLLBACK, SAVEPOINT … over up to two legs.
 *
 * As long as a block lives on the home leg alone and nothing has to be waited for, its control statements are forwarded and only
 * tracked. Otherwise the gateway answers: BEGIN goes to a leg with the first statement that needs it there, the others to every leg of the
 * block, the writing leg first, which decides.
 */
import type { Side, TwoPhase } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import { OpenTransaction } from '../execute/open-transaction.ts';
import type { RowImages } from '../execute/row-images.ts';
import type { InternalReply, Segment } from '../execute/segment.ts';
import { commandComplete } from '../wire/backend-messages.ts';
import { writeError } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { errorFieldsOf, transactionAborted } from './client-error.ts';
import { commitBoth, committedLate } from './commit-both.ts';
import type { CommitWait } from './commit-wait.ts';
import type { Leg } from './leg.ts';
import { commitWithMysql } from './mysql-tables/commit-with-mysql.ts';
import { endMysqlBlock, moveInMysqlBlock } from './mysql-tables/mysql-block.ts';
import type { MysqlSide } from './mysql-tables/mysql-side.ts';
import { commitMarked } from './two-phase/commit-marked.ts';
import { answerOf, beginTag, finishesPrepared, leadingBegin, noTransaction, notCommittedWithMysql, preparedOnMysql, sqlstateOf, tagOf, unpreparable } from './transaction-answers.ts';
import type { SessionCore } from './session-core.ts';

/** `answer` holds notices and a CommandComplete or ErrorResponse. */
export type ControlDone = (answer: Buffer, failed: boolean) => void;

/** The 64-bit id of the transaction, NULL when it has written nothing. */
export function xidFunction(leg: Leg): string {
  return leg.serverMajor < 13 ? 'pg_catalog.txid_current_if_assigned()' : 'pg_catalog.pg_current_xact_id_if_assigned()';
}

export function xidSql(leg: Leg): string {
  return `SELECT ${xidFunction(leg)}::text`;
}

export class TransactionControl {
  readonly #core: SessionCore;
  readonly #commitWait: CommitWait;

  constructor(core: SessionCore, commitWait: CommitWait) {
    this.#core = core;
    this.#commitWait = commitWait;
  }

  /** The statement can go to the home leg as it is. */
  forwards(facts: StatementFacts): boolean {
    const { tx, services } = this.#core;
    if (!tx) return (facts.kind !== 'begin' && !finishesPrepared(facts)) || !services.view().usesLocal;
    if (!tx.begun.source || tx.begun.local || tx.mysql.begun || tx.failedOn === 'gateway' || tx.isImplicit) return false;
    return facts.kind !== 'commit' || tx.after === 'none' || tx.after === 'track';
  }

  /** What a forwarded statement will do to the block when it succeeds; what the leg says later corrects it. */
  predict(facts: StatementFacts, sql: string, segment: Segment): void {
    const core = this.#core;
    const { tx } = core;
    const name = facts.objectName ?? '';
    switch (facts.kind) {
      case 'begin':
        if (tx) break;
        core.tx = this.#fresh(sql, facts);
        core.tx.begun.source = true;
        break;
      case 'commit':
      case 'rollback':
      case 'prepare_transaction':
        if (!tx) break;
        if (facts.kind !== 'rollback') core.committing = segment;
        core.tx = undefined;
        tx.handTouchesTo(segment);
        this.ended(tx);
        if (facts.transaction?.chain) this.#chain(tx, 'source');
        break;
      case 'savepoint':
        tx?.savepoint(name, sql);
        break;
      case 'release':
      case 'rollback_to':
        tx?.unwind(name, facts.kind === 'rollback_to');
        this.#sessionMayHaveChanged(tx);
        break;
      case 'set_transaction':
        tx?.setModes(facts, sql);
        break;
      default:
    }
  }

  /** The block is over, one way or the other. */
  ended(tx: OpenTransaction): void {
    this.#sessionMayHaveChanged(tx);
    this.#core.portals.clear();
    this.#core.mysql?.portalsEnded();
    for (const name of tx.cursors) this.#core.cursors.delete(name);
    if (this.#core.carried) this.#core.carried.drawnIn = undefined;
    if (tx.after === 'track') this.#core.trackPending = true;
    this.#core.unitEnded();
  }

  /** Runs it on the legs; nothing may be under way. */
  run(facts: StatementFacts, sql: string, done: ControlDone): void {
    const core = this.#core;
    const { tx } = core;
    if (facts.kind === 'begin' && tx?.isImplicit && (tx.sides.length > 0 || tx.mysql.begun)) this.#takeIntoBlock(tx, facts, sql, done);
    else if (facts.kind === 'begin' && (!tx || tx.isImplicit)) {
      core.tx = this.#fresh(sql, facts);
      done(commandComplete(beginTag(sql)), false);
    } else if (!tx) this.#onHome(facts, sql, done);
    else if (facts.kind === 'commit' || facts.kind === 'rollback' || facts.kind === 'prepare_transaction') this.#end(tx, facts, sql, this.#untilDone(facts, done));
    else if (tx.failedOn === 'gateway' && facts.kind !== 'rollback_to') done(writeError(transactionAborted), true);
    else this.#inside(tx, facts, sql, done);
  }

  /** In the middle of a pipeline, or of a text, BEGIN takes what has run before into the block. */
  #takeIntoBlock(tx: OpenTransaction, facts: StatementFacts, sql: string, done: ControlDone): void {
    const { isolation, readOnly, deferrable } = facts.transaction ?? {};
    const begun = (): void => {
      tx.isImplicit = false;
      done(commandComplete(beginTag(sql)), false);
    };
    if (isolation === undefined && readOnly === undefined && deferrable === undefined) return begun();
    const modes = sql.replace(leadingBegin, '$1SET TRANSACTION ');
    this.#everywhere(tx, modes, (answer, failed) => {
      if (failed) return done(answer ?? writeError(transactionAborted), true);
      tx.setModes(facts, modes);
      begun();
    });
  }

  #untilDone(facts: StatementFacts, done: ControlDone): ControlDone {
    const core = this.#core;
    if (facts.kind !== 'rollback') core.committing = 'gateway';
    return (answer, failed) => {
      core.committing = undefined;
      done(answer, failed);
    };
  }

  #inside(tx: OpenTransaction, facts: StatementFacts, sql: string, done: ControlDone): void {
    const name = facts.objectName ?? '';
    const known = facts.kind === 'savepoint' || facts.kind === 'set_transaction' || (facts.kind !== 'begin' && tx.hasSavepoint(name));
    // What must fail fails on a server, in its own words.
    if (tx.sides.length === 0 && !known) this.#begin(tx, 'source');
    this.#everywhereWithMysql(tx, facts, sql, (answer, failed) => {
      if (!failed) this.#applied(tx, facts, name, sql);
      done(answer ?? commandComplete(tagOf(facts)), failed);
    });
  }

  #applied(tx: OpenTransaction, facts: StatementFacts, name: string, sql: string): void {
    if (facts.kind === 'savepoint') tx.savepoint(name, sql);
    if (facts.kind === 'set_transaction') tx.setModes(facts, sql);
    if (facts.kind !== 'release' && facts.kind !== 'rollback_to') return;
    tx.unwind(name, facts.kind === 'rollback_to');
    if (facts.kind === 'rollback_to') tx.failedOn = undefined;
    this.#sessionMayHaveChanged(tx);
  }

  /** As `#everywhere`, and before that on the MySQL server. */
  #everywhereWithMysql(tx: OpenTransaction, facts: StatementFacts, sql: string, done: (answer: Buffer | undefined, failed: boolean) => void): void {
    const { mysql } = this.#core;
    // A name that nobody knows is for the others to refuse.
    const isKnown = facts.kind === 'savepoint' || facts.kind === 'set_transaction' || tx.savepointNumber(facts.objectName ?? '') > 0;
    if (!tx.mysql.begun || !mysql || !isKnown) return this.#everywhere(tx, sql, done);
    moveInMysqlBlock(mysql, tx, facts, (error) => {
      if (!error) return this.#everywhere(tx, sql, done);
      tx.failedOn ??= 'gateway';
      done(writeError(error), true);
    });
  }

  /** On every leg of the block; the answer is the first error, else the first leg's. */
  #everywhere(tx: OpenTransaction, sql: string, done: (answer: Buffer | undefined, failed: boolean) => void): void {
    const { sides } = tx;
    if (sides.length === 0) done(undefined, false);
    let open = sides.length;
    let first: InternalReply | undefined;
    let error: InternalReply | undefined;
    for (const side of sides) {
      this.#ask(side, sql, (reply) => {
        if (side === sides[0]) first = reply;
        if (reply.error) {
          error ??= reply;
          tx.failedOn ??= side;
        }
        open -= 1;
        if (open === 0) done(answerOf(error ?? first), error !== undefined);
      });
    }
  }

  /** The MySQL server first when it is to commit: only there may the block have written then. */
  #endOnMysql(tx: OpenTransaction, facts: StatementFacts, sql: string, done: ControlDone): void {
    const { mysql } = this.#core;
    if (facts.kind === 'prepare_transaction' && tx.failedOn === undefined) {
      tx.failedOn = 'gateway';
      done(writeError(errorFieldsOf(preparedOnMysql)), true);
      return;
    }
    if (mysql && facts.kind === 'commit' && tx.failedOn === undefined && tx.mysql.wrote && tx.wrote.local) return this.#commitWithMysql(tx, facts, mysql, done);
    const ended = (error: ErrorFields | undefined): void => {
      tx.mysql.begun = false;
      if (!error && commits && tx.waitedOnMysql.size > 0) return this.#end(tx, facts, sql, (answer, failed) => this.#commitWait.startOnMysql([...tx.waitedOnMysql], () => done(answer, failed)));
      if (!error || !commits) return this.#end(tx, facts, sql, done);
      this.#everywhere(tx, 'ROLLBACK', () => {
        this.#finish(tx, facts, undefined);
        done(writeError(error), true);
      });
    };
    const commits = facts.kind === 'commit' && tx.failedOn === undefined;
    if (mysql) endMysqlBlock(mysql, commits, ended);
  }

  #commitWithMysql(tx: OpenTransaction, facts: StatementFacts, mysql: MysqlSide, done: ControlDone): void {
    const core = this.#core;
    const { twoPhase } = core.services.view().snapshot;
    // Who may have written on the source is on three sides.
    if (twoPhase?.mysqlMark === undefined || tx.wrote.source || tx.mayHaveWrittenOnSource) return endMysqlBlock(mysql, false, () => this.#everywhere(tx, 'ROLLBACK', () => {
      this.#finish(tx, facts, undefined);
      done(writeError(errorFieldsOf(notCommittedWithMysql(twoPhase?.mysqlMark === undefined))), true);
    }));
    commitWithMysql(core, mysql, twoPhase.mysqlMark, (outcome) => {
      const isCommitted = outcome.type === 'committed';
      tx.mysql.begun = false;
      if (tx.begun.source) this.#ask('source', isCommitted ? 'COMMIT' : 'ROLLBACK', () => undefined);
      this.#finish(tx, facts, undefined);
      if (outcome.type === 'undecided') return done(writeError(outcome.fields), true);
      if (outcome.type === 'failed') return done(unpreparable(outcome) ?? answerOf(outcome.reply) ?? commandComplete('ROLLBACK'), outcome.reply.error !== undefined);
      if (outcome.late) core.notice(committedLate);
      const committed = (): void => done(commandComplete('COMMIT'), false);
      if (tx.waitedOnMysql.size > 0) this.#commitWait.startOnMysql([...tx.waitedOnMysql], committed);
      else committed();
    });
  }

  #end(tx: OpenTransaction, facts: StatementFacts, sql: string, done: ControlDone): void {
    const core = this.#core;
    if (tx.mysql.begun) return this.#endOnMysql(tx, facts, sql, done);
    if (tx.isImplicit && (facts.kind === 'commit' || facts.kind === 'rollback')) core.notice(noTransaction);
    // A server prepares a block in which nothing was done, too.
    if (facts.kind === 'prepare_transaction' && tx.sides.length === 0 && tx.failedOn === undefined) this.#begin(tx, 'source');
    const { sides } = tx;
    // A transaction manager that recovers asks pg_prepared_xacts, hence the source, what is left to be committed: it would not see this one.
    if (facts.kind === 'prepare_transaction' && sides[0] !== tx.failedOn && (sides.length !== 1 || sides[0] === 'local')) {
      tx.failedOn ??= 'gateway';
      done(writeError(errorFieldsOf(new MigrationError('MIG081', 'PREPARE TRANSACTION needs a transaction that is on the source only', { detail: `This one is on ${sides.join(' and ')}; who recovers it would look for it in pg_prepared_xacts, which is the source's.`, hint: 'COMMIT it.' }))), true);
      return;
    }
    const images = facts.kind === 'commit' && tx.failedOn === undefined && !tx.wrote.local ? tx.knownImages : undefined;
    if (images) return this.#commitMarked(tx, facts, sql, images, done);
    const { twoPhase } = core.services.view().snapshot;
    if (facts.kind === 'commit' && tx.failedOn === undefined && sides.length === 2 && this.#mayHaveWrittenBoth(tx)) {
      if (twoPhase) return this.#commitBoth(tx, facts, twoPhase, done);
      if (tx.wroteOn === 'both') return this.#cannotCommitBoth(tx, facts, done);
    }
    const wroteOn = tx.wroteOn === 'both' ? undefined : tx.wroteOn;
    const first = sides.includes(tx.failedOn as Side) ? (tx.failedOn as Side) : (wroteOn ?? sides[0]);
    if (first === undefined) {
      this.#finish(tx, facts, undefined);
      done(commandComplete(facts.kind === 'commit' && tx.failedOn === undefined ? 'COMMIT' : 'ROLLBACK'), false);
      return;
    }
    this.#endOnLegs(tx, facts, sql, first, done);
  }

  #mayHaveWrittenBoth(tx: OpenTransaction): boolean {
    return tx.wrote.local && (tx.wrote.source || tx.mayHaveWrittenOnSource);
  }

  #commitBoth(tx: OpenTransaction, facts: StatementFacts, twoPhase: TwoPhase, done: ControlDone): void {
    const core = this.#core;
    let xid: string | undefined;
    if (tx.after === 'xid') this.#ask('source', xidSql(core.home), (reply) => (xid = reply.rows[0]?.[0] ?? undefined));
    commitBoth(core, twoPhase, (outcome) => {
      this.#finish(tx, facts, undefined);
      if (outcome.type === 'failed') {
        done(unpreparable(outcome) ?? answerOf(outcome.reply) ?? commandComplete('ROLLBACK'), outcome.reply.error !== undefined);
        return;
      }
      if (outcome.late) core.notice(committedLate);
      // What is not committed there yet cannot be waited for.
      this.#commitWait.start(outcome.late ? 'none' : tx.after, xid, [...tx.routed.keys()], () => done(commandComplete('COMMIT'), false));
    });
  }

  /** Local gets the rows with the commit; when it cannot take them, the commit waits until the stream has brought them. */
  #commitMarked(tx: OpenTransaction, facts: StatementFacts, sql: string, images: RowImages, done: ControlDone): void {
    const core = this.#core;
    commitMarked(core, images, (outcome) => {
      if (outcome.type === 'unmarked') return this.#endOnLegs(tx, facts, sql, 'source', done);
      if (outcome.type === 'failed') {
        if (tx.begun.local) this.#ask('local', 'ROLLBACK', () => undefined);
        this.#finish(tx, facts, undefined);
        return done(answerOf(outcome.reply) ?? commandComplete('ROLLBACK'), outcome.reply.error !== undefined);
      }
      if (tx.begun.local) this.#ask('local', 'COMMIT', () => undefined);
      // A client that was told of nothing but its own rows has seen nothing that local does not show.
      const { sourceSeen } = core;
      this.#finish(tx, facts, undefined);
      if (outcome.type === 'late') return this.#commitWait.start('xid', images.xid, [...tx.routed.keys()], () => done(commandComplete('COMMIT'), false));
      if (tx.ran === images.statementsWithRows) core.sourceSeen = sourceSeen;
      done(commandComplete('COMMIT'), false);
    });
  }

  /** The way to commit on both sides has gone since it wrote. */
  #cannotCommitBoth(tx: OpenTransaction, facts: StatementFacts, done: ControlDone): void {
    this.#everywhere(tx, 'ROLLBACK', () => {
      this.#finish(tx, facts, undefined);
      done(writeError(errorFieldsOf(new MigrationError('MIG081', 'the transaction has written on both sides, and neither can be prepared any more', {
        detail: 'It was rolled back.', hint: 'Set max_prepared_transactions on the source or on local, and run the transaction again.',
      }))), true);
    });
  }

  #endOnLegs(tx: OpenTransaction, facts: StatementFacts, sql: string, first: Side, done: ControlDone): void {
    const commits = facts.kind === 'commit' && tx.failedOn === undefined;
    const text = facts.kind === 'commit' && tx.failedOn === 'gateway' ? `ROLLBACK${facts.transaction?.chain ? ' AND CHAIN' : ''}` : sql;
    let xid: string | undefined;
    if (commits && tx.after === 'xid' && tx.begun.source) this.#ask('source', xidSql(this.#core.home), (reply) => (xid = reply.rows[0]?.[0] ?? undefined));
    this.#ask(first, text, (reply) => {
      const committed = commits && !reply.error && reply.tag === 'COMMIT';
      const other = tx.sides.find((side) => side !== first);
      const finish = (): void => {
        this.#finish(tx, facts, reply.error && facts.kind !== 'prepare_transaction' ? undefined : first);
        const answer = answerOf(reply) ?? commandComplete(reply.tag);
        if (!committed) done(answer, reply.error !== undefined);
        else this.#commitWait.start(tx.after, xid, [...tx.routed.keys()], () => done(answer, false));
      };
      if (other === undefined) finish();
      else this.#ask(other, committed ? 'COMMIT' : 'ROLLBACK', finish);
    });
  }

  /** `chainedOn`: the leg that has begun the next block by itself when the statement said AND CHAIN. */
  #finish(tx: OpenTransaction, facts: StatementFacts, chainedOn: Side | undefined): void {
    const core = this.#core;
    if (core.tx === tx) core.tx = undefined;
    core.counts.blockEnded(tx.startedAtMs, core.now());
    if (tx.begun.source) core.sourceSeen = true;
    this.ended(tx);
    if (facts.transaction?.chain) this.#chain(tx, chainedOn);
  }

  #chain(tx: OpenTransaction, side: Side | undefined): void {
    const core = this.#core;
    core.tx = new OpenTransaction(core.services.view().snapshot, core.now(), tx.beginSql, { ...tx.modes, deferrable: undefined, chain: false });
    if (side) core.tx.begun[side] = true;
  }

  #begin(tx: OpenTransaction, side: Side): void {
    tx.begun[side] = true;
    this.#ask(side, tx.replaySql, () => undefined);
  }

  #onHome(facts: StatementFacts, sql: string, done: ControlDone): void {
    const answered = (reply: InternalReply): void => done(answerOf(reply) ?? commandComplete(reply.tag), reply.error !== undefined);
    this.#core.sourceSeen = true;
    this.#ask('source', sql, (reply) => {
      // What the source does not know may have been prepared on local.
      const { local, carried } = this.#core;
      const isAway = !local || (carried !== undefined && !local.acquire());
      if (isAway || !finishesPrepared(facts) || sqlstateOf(reply) !== '42704') answered(reply);
      else this.#ask('local', sql, (there) => answered(sqlstateOf(there) === '42704' ? reply : there));
    });
  }

  #ask(side: Side, sql: string, callback: (reply: InternalReply) => void): void {
    const leg = this.#core.leg(side);
    if (leg) this.#core.ask(leg, sql, callback);
  }

  #fresh(sql: string, facts: StatementFacts): OpenTransaction {
    return new OpenTransaction(this.#core.services.view().snapshot, this.#core.now(), sql, facts.transaction);
  }

  /** A rollback takes SETs, temporary tables and LISTENs back. */
  #sessionMayHaveChanged(tx: OpenTransaction | undefined): void {
    if (!tx?.changedSession) return;
    this.#core.stateVersion += 1;
    this.#core.contextDirty = true;
  }
}
