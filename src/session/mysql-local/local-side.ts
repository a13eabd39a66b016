/**
 * A MySQL client's session on local: runs statements there, answers as a MySQL server does, and keeps the transaction of both sides one.
 *
 * States: idle → (asking the server what the session is, the control what the tables are →) running → idle. A transaction that is open stays open
 * meanwhile (`local-transaction.ts`).
 */
import { relationKey } from '../../../catalog/routing-snapshot.ts';
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { LoadData } from '../../../grammar/dialect/postgres/mysql-tree.ts';
import type { MysqlParameter, MysqlPlan, MysqlTranslation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { DefinedTable } from '../../../grammar/dialect/postgres/read-definition.ts';
import { readLoadData } from '../../../grammar/dialect/postgres/read-load-data.ts';
import { Capability, ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import { gaveWay, mysqlErrorOf } from '../mysql/control-result.ts';
import type { MysqlDoorHost } from '../mysql/door-host.ts';
import { numberCollation } from './number-collation.ts';
import { countsOf, isMade } from './plan-counts.ts';
import { LocalAnswer } from './local-answer.ts';
import { definitionPlan, runDefinition, tellDefinition } from './define.ts';
import { failureError } from './failure-error.ts';
import { ROLLS_BACK } from './local-error.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import { LocalTransaction } from './local-transaction.ts';
import type { Batch, LocalRequest } from './local-request.ts';
import type { LocalSession } from './local-session.ts';
import { LocalReading } from './local-reading.ts';
import type { MysqlLocal } from './mysql-local.ts';
import { PlanRun } from './run-plan.ts';
import type { PlanAnswer, PlanFailure } from './run-plan.ts';
import { PlanValues } from './plan-values.ts';
import type { ResultRows } from './result-rows.ts';
import { textOf } from './binary-literals.ts';
import { notServed, unservable, writesOnBoth } from './refusals.ts';
import { factsQuery, readFacts } from './session-facts.ts';
import type { SessionFacts } from './session-facts.ts';
import { ServerStatements } from './server-statements.ts';
import { SessionLink } from './session-link.ts';
import { SessionValues } from './session-values.ts';
import { loadInfo, loadPlan, startLoad } from './start-load.ts';
import type { StartedLoad } from './start-load.ts';
import { factsBasis, translationFacts } from './translation-facts.ts';
import type { FactsParts } from './translation-facts.ts';
import { askUserVariables } from './user-variables.ts';
import { mayChangeSettings } from './transaction-words.ts';

export class LocalSide extends LocalReading {
  readonly #local: MysqlLocal;
  readonly #host: MysqlDoorHost;
  readonly #session: LocalSession;
  readonly #transaction = new LocalTransaction();
  readonly #values = new SessionValues();
  readonly #serverStatements: ServerStatements;
  readonly #link: SessionLink;
  #load: StartedLoad | undefined;
  #isRunning = false;
  #isOver = false;

  constructor(local: MysqlLocal, host: MysqlDoorHost, session: LocalSession) {
    super(local, session);
    this.#local = local;
    this.#host = host;
    this.#session = session;
    // A transaction that was open there is lost, and with it what the client believes to have done: it is told by the end of its connection.
    this.#link = new SessionLink(local, session, () => {
      if (this.#transaction.isOpen && !this.#isRunning) session.close();
    });
    this.#serverStatements = new ServerStatements({
      runtime: host.services.runtime, session, transaction: this.#transaction, values: this.#values, link: this.#link, classify: (text) => this.classify(text), keyOf: (relation) => this.keyOf(relation), snapshot: () => host.snapshot, facts: () => this.facts,
      learned: (then) => (this.facts ? then(this.facts) : this.learn(() => this.facts && then(this.facts))),
      runs: (isRunning) => {
        this.#isRunning = isRunning;
        return !this.#isOver;
      },
      answer: (text, sequence) => void this.run({ text, sequence }),
    });
  }

  get isBusy(): boolean {
    return this.#isRunning;
  }

  get isInTransaction(): boolean {
    return this.#transaction.isOpen;
  }

  get backendPid(): { readonly local?: number } {
    return this.#link.backendPid;
  }

  /** The status that the gateway's own answers tell. */
  get status(): number {
    return (this.#session.serverStatus & (ServerStatus.inTransaction | ServerStatus.autocommit)) | (this.#transaction.isOpen ? ServerStatus.inTransaction : 0);
  }

  /** Asks what the session is on the server. */
  learn(done: () => void): void {
    this.#isRunning = true;
    this.#session.askServer(factsQuery(this.mode.server), (rows) => {
      const [row] = rows ?? [];
      if (this.#isOver) return;
      if (!row) return this.#session.close();
      const facts = readFacts(row);
      numberCollation(this.#local, this.#session, facts.collation, (isAnswered) => {
        this.#isRunning = false;
        if (this.#isOver) return;
        if (!isAnswered) return this.#session.close();
        this.facts = facts;
        this.#values.serverInsertId = facts.lastInsertId;
        this.#values.isServerInsertIdOld = false;
        done();
      });
    });
  }

  /** See `ServerStatements`. */
  beforeServer(text: string, sequence: number, go: () => boolean): boolean {
    if (mayChangeSettings(text)) this.facts = undefined;
    return this.#serverStatements.before(text, sequence, go);
  }

  serverAnswered(errorCode: number, isOver: boolean, done: () => void): void {
    this.#serverStatements.answered(errorCode, isOver, done);
  }

  rollBack(done: () => void): void {
    this.#serverStatements.rollBack(done);
  }

  // Statements for local

  /** Returns false: the answer comes later. */
  run(request: LocalRequest): false {
    this.#isRunning = true;
    const answer = new LocalAnswer(this.#session.client.capabilities, request.sequence + 1, (bytes) => {
      if (!this.#session.toClient(bytes)) this.#link.current?.backpressure(true);
    });
    const isKnown = this.facts && !(this.#values.isServerInsertIdOld && /last_insert_id/i.test(request.text));
    if (isKnown) this.#begin(request, answer);
    else this.learn(() => {
      this.#isRunning = true;
      this.#begin(request, answer);
    });
    return false;
  }

  writable(): void {
    this.#link.current?.backpressure(false);
  }

  #begin(request: LocalRequest, answer: LocalAnswer): void {
    const facts = this.facts;
    if (!facts) return this.#end();
    let parameters: readonly MysqlParameter[] = [];
    try {
      parameters = request.parameters?.(facts.connectionCharset) ?? [];
    } catch (error) {
      answer.error({ code: ErrorCode.malformedPacket, sqlstate: 'HY000', message: error instanceof Error ? error.message : String(error) });
      return this.#end();
    }
    const missing = unservable(facts);
    if (missing !== undefined) return this.#answerError(answer, undefined, mysqlErrorOf(notServed(missing)));
    const text = request.bytes === undefined ? request.text : textOf(request.bytes, facts);
    if (text === undefined) return this.#answerError(answer, undefined, mysqlErrorOf(notServed(`bytes that are no text of character_set_client ${facts.clientCharset}, without _binary before them`)));
    const texts = request.parameters ? [text] : this.split(text);
    this.#statement({ texts, at: 0, parameters, isPrepared: request.parameters !== undefined, answer, facts, sequence: request.sequence });
  }

  #statement(batch: Batch): void {
    const text = batch.texts[batch.at] ?? '';
    const { relations = this.definition(text)?.tables ?? [], userVariables = [] } = this.classify(text) ?? {};
    const refused = this.#serverStatements.refusal(text, relations);
    if (refused) return this.#answerError(batch.answer, undefined, refused);
    const keys = [...new Set(relations.map((relation) => this.keyOf(relation)).filter((key) => this.#host.snapshot.tables[key] !== undefined))];
    const { control } = this.#host.services;
    const ready = (): void => this.#withVersion(batch, () => askUserVariables(this.#session, batch.facts, userVariables, (variables) => this.#translated({ ...batch, variables }, text, keys)));
    if (keys.every((key) => control.tableFacts(key) !== undefined)) return ready();
    control.loadTableFacts(keys, (error) => {
      if (this.#isOver) return;
      if (error) this.#answerError(batch.answer, undefined, mysqlErrorOf(error));
      else ready();
    });
  }

  #withVersion(batch: Batch, then: () => void): void {
    if (this.#local.version !== undefined) return then();
    const link = this.#opened(batch);
    if (link) this.#link.learnVersion(link, (failure) => (failure ? this.#finished(batch, [], undefined, failure) : then()));
  }

  #opened({ answer, facts }: Batch): LocalLink | undefined {
    try {
      return this.#link.open(facts);
    } catch (error) {
      this.#answerError(answer, undefined, mysqlErrorOf(error));
      return undefined;
    }
  }

  #translated(batch: Batch, text: string, keys: readonly string[]): void {
    const tables = keys.flatMap((key) => this.#host.services.control.tableFacts(key) ?? []);
    const load = batch.isPrepared ? undefined : readLoadData(text, this.mode);
    if (load === undefined && this.definition(text)) return this.#execute(batch, definitionPlan, tables, keys);
    const translation = load === undefined ? this.#translate(batch, text, tables, batch.isPrepared ? batch.parameters.map(({ kind }) => kind) : undefined) : load.type === 'load' ? loadPlan : load;
    if (translation.type === 'refused') return this.#answerError(batch.answer, undefined, mysqlErrorOf(notServed(translation.construct, translation.place)));
    this.#execute(load?.type === 'load' ? { ...batch, load } : batch, translation, tables, keys);
  }

  #translate({ facts, variables }: Batch, text: string, tables: readonly MigratedTable[], parameters: FactsParts['parameters']): MysqlTranslation {
    const { snapshot } = this.#host.services.control;
    const find: FactsParts['find'] = (database, name) => {
      const key = this.keyOf({ database, name });
      return snapshot.tables[key]?.writes === 'local' ? this.#host.services.control.tableFacts(key) : undefined;
    };
    const parts = { session: facts, mode: this.mode, find, foundRows: (this.#session.client.capabilities.flags & Capability.foundRows) !== 0, localVersion: this.#local.version ?? 0, parameters, variables };
    return this.#local.translate(text, translationFacts(parts), factsBasis(parts, snapshot, tables), parameters !== undefined);
  }

  #execute(batch: Batch, plan: MysqlPlan, tables: readonly MigratedTable[], keys: readonly string[]): void {
    const transaction = this.#transaction;
    const { snapshot } = this.#host;
    const isWrite = plan.command !== 'SELECT' && plan.command !== 'DO';
    if (isWrite && transaction.wroteServer && this.#isInTransaction && !this.#serverStatements.commitsBoth) return this.#answerError(batch.answer, undefined, mysqlErrorOf(writesOnBoth()));
    if (transaction.hasSnapshot && keys.some((key) => transaction.begunUnder?.tables[key]?.writes !== 'local')) return this.#giveUp(batch, gaveWay());
    if (plan.commitsBefore && this.#isInTransaction) return this.#committedFirst(batch, plan, tables);
    const link = this.#opened(batch);
    if (!link) return;
    const isInTransaction = this.#isInTransaction;
    if (isInTransaction && !transaction.isOpen) {
      const isPlainRead = !isWrite && this.classify(batch.texts[batch.at] ?? '')?.relations.some(({ written }) => written) !== true;
      link.query(transaction.begin(isPlainRead, batch.facts.isolation, snapshot), () => undefined);
    }
    transaction.wroteLocal ||= isWrite && isInTransaction;
    this.#run(batch, plan, tables, link, isInTransaction);
  }

  #run(batch: Batch, plan: MysqlPlan, tables: readonly MigratedTable[], link: LocalLink, isInTransaction: boolean): void {
    const { answer, facts, parameters, isPrepared, load } = batch;
    for (const key of tables) this.#host.services.control.countRoute(relationKey(key.mysql.database, key.mysql.name), 'LOCAL');
    if (load) return this.#startLoad(batch, load, tables, link, isInTransaction);
    if (plan === definitionPlan) return this.#define(batch, tables, link);
    const charset = { charset: facts.resultCharset, collation: facts.collation.startsWith(`${facts.resultCharset}_`) ? this.#local.collations.get(facts.collation) : undefined };
    const rows = plan.columns.length === 0 ? undefined : answer.rows(plan.columns, isPrepared, plan.steps.some(({ keepsRest }) => keepsRest === true), charset, () => this.status | this.#more(batch));
    const values = this.#planValues(parameters, facts);
    const frame = isInTransaction ? 'savepoint' : plan.steps.length > 1 || plan.needsTransaction ? 'transaction' : 'none';
    new PlanRun({ link, plan, values, frame, rows, done: (outcome) => this.#finished(batch, tables, rows, outcome, plan) }).start();
  }

  #define(batch: Batch, tables: readonly MigratedTable[], link: LocalLink): void {
    const { answer, facts, texts, at } = batch;
    const { tables: routes } = this.#host.snapshot;
    const find = (table: DefinedTable): MigratedTable | undefined => tables.find(({ mysql }) => this.keyOf(mysql) === this.keyOf(table) && routes[this.keyOf(table)]?.writes === 'local');
    runDefinition({ session: this.#session, link, facts, text: texts[at] ?? '', find, mode: this.mode }, (outcome) => {
      if (this.#isOver) return;
      tellDefinition(this.#session, outcome, { values: this.#values, answer, status: () => this.status | this.#more(batch) }, (next) => {
        if (typeof next === 'object') return 'plan' in next ? this.#run(batch, next.plan, tables, link, false) : this.#answerError(answer, undefined, next.error);
        return next === 'end' ? this.#end() : this.#next(batch);
      });
    });
  }

  #startLoad(batch: Batch, load: LoadData, tables: readonly MigratedTable[], link: LocalLink, isInTransaction: boolean): void {
    const { answer, facts } = batch;
    const translate = (text: string, kinds: readonly MysqlParameter['kind'][]): MysqlTranslation => this.#translate(batch, text, tables, kinds);
    const values = (parameters: readonly MysqlParameter[]): PlanValues => this.#planValues(parameters, facts);
    this.#load = startLoad({ session: this.#session, answer, load, table: tables[0], link, isInTransaction, facts, server: this.mode.server, translate, values }, (outcome) => {
      this.#load = undefined;
      if (this.#isOver) return;
      if (outcome.type === 'told') return this.#answerError(answer, undefined, outcome.error);
      if (outcome.type !== 'loaded') return this.#finished(batch, tables, undefined, outcome);
      this.#values.ranOnLocal({ affected: outcome.affected, toldInsertId: 0n, lastInsertId: outcome.lastInsertId, rowCount: outcome.affected, foundRows: undefined, info: '' });
      answer.ok({ affectedRows: outcome.affected, status: this.status | this.#more(batch), info: loadInfo(outcome) });
      this.#next(batch);
    });
  }

  /** Of a file that the client has been asked for. Undefined: none has been; true: enough for now. */
  takeFile(bytes: Buffer): boolean | undefined {
    return this.#load?.take(bytes);
  }

  /** True: it was for a table on local. */
  endFile(): boolean {
    if (!this.#load) return false;
    this.#load.fileEnded();
    return true;
  }

  #planValues(parameters: readonly MysqlParameter[], facts: SessionFacts): PlanValues {
    return new PlanValues(this.#local.dialect, parameters, (name) => this.#values.of(name, facts), this.#values.clock(facts, this.#host.services.runtime.clock.now()));
  }

  get #isInTransaction(): boolean {
    const { serverStatus } = this.#session;
    return (serverStatus & ServerStatus.inTransaction) !== 0 || (serverStatus & ServerStatus.autocommit) === 0;
  }

  #more({ texts, at }: Batch): number {
    return at + 1 < texts.length ? ServerStatus.moreResults : 0;
  }

  /** As a server commits what is open before it carries TRUNCATE out. */
  #committedFirst(batch: Batch, plan: MysqlPlan, tables: readonly MigratedTable[]): void {
    const then = (): void => this.#session.askServer('COMMIT', () => {
      this.#transaction.ended();
      const link = this.#opened(batch);
      if (link) this.#run(batch, plan, tables, link, false);
    });
    if (this.#link.current && this.#transaction.isOpen) this.#serverStatements.commit(this.#link.current, batch.sequence, then);
    else then();
  }

  #finished(batch: Batch, tables: readonly MigratedTable[], rows: ResultRows | undefined, outcome: PlanAnswer | PlanFailure | LocalReply, plan?: MysqlPlan): void {
    if (this.#isOver) return;
    if ('tags' in outcome && plan) return this.#succeeded(batch, plan, rows, outcome);
    if (!('type' in outcome) || outcome.type === 'done') return this.#end();
    // Nobody knows whether it has run.
    if (outcome.type === 'lost') return this.#session.close();
    const error = failureError(outcome, tables, this.mode.server);
    if (error.code === ROLLS_BACK && this.#isInTransaction) return this.#giveUp(batch, error, rows);
    this.#answerError(batch.answer, rows, error);
  }

  #succeeded(batch: Batch, plan: MysqlPlan, rows: ResultRows | undefined, answer: PlanAnswer): void {
    const status = this.status | this.#more(batch);
    const counts = countsOf(plan, answer, rows?.count ?? 0, (number) => isMade(batch.parameters[number - 1], batch.facts));
    this.#values.ranOnLocal(counts);
    if (rows) batch.answer.endRows(rows, status);
    else batch.answer.ok({ affectedRows: counts.affected, lastInsertId: counts.toldInsertId, status, info: counts.info });
    this.#next(batch);
  }

  #next(batch: Batch): void {
    if (this.#more(batch) === 0) return this.#end();
    this.#statement({ ...batch, load: undefined, at: batch.at + 1 });
  }

  /** As of a deadlock: the transaction is rolled back on both sides before the client hears of it. */
  #giveUp(batch: Batch, error: MysqlError, rows?: ResultRows): void {
    this.rollBack(() => this.#session.askServer('ROLLBACK', () => {
      this.#transaction.ended();
      this.#answerError(batch.answer, rows, error);
    }));
  }

  #answerError(answer: LocalAnswer, rows: ResultRows | undefined, error: MysqlError): void {
    this.#values.failed(error);
    answer.failRows(rows, error);
    this.#end();
  }

  #end(): void {
    this.#isRunning = false;
    if (!this.#isOver) this.#session.settled();
  }

  /** KILL QUERY. */
  cancel(): void {
    this.#load?.cancel();
    this.#serverStatements.locks.cancel();
    this.#link.current?.cancel();
  }

  /** Another database, or other settings. */
  settingsChanged(): void {
    this.facts = undefined;
  }

  /** The server is about to forget all that the session has said. */
  reset(then: () => void): void {
    this.facts = undefined;
    this.#serverStatements.locks.release(() => this.rollBack(() => {
      this.#serverStatements.xa.forget();
      this.#transaction.ended();
      then();
    }));
  }

  /** What the session was is gone; another user may go on with it. */
  forget(): void {
    this.facts = undefined;
    this.#transaction.ended();
    this.#serverStatements.xa.forget();
    this.#serverStatements.locks.end();
    this.#link.forget();
  }

  /** `isCommit`: what runs is left to its end. */
  end(isCommit: boolean): void {
    this.#isOver = true;
    this.#serverStatements.locks.end();
    this.#link.end(isCommit);
  }
}
