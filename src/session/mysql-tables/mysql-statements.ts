/**
 * Statements over tables of the MySQL server: what has to be known before one runs, and its run in both protocols. The gateway answers, in order, when nothing
 * else is under way; so a client's message waits here for the connection, for facts of the tables, and for settings, and is decided anew each time.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { bindText } from '../../../grammar/dialect/mysql/bind-step.ts';
import { readCopyStatement } from '../../../grammar/dialect/mysql/copy-statement.ts';
import type { Plan } from '../../../grammar/dialect/mysql/translation.ts';
import { refusals } from '../../route/refusals.ts';
import type { HybridRoute, MysqlRoute } from '../../route/route.ts';
import { commandComplete } from '../../wire/backend-messages.ts';
import { writeError } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import type { CommitWait } from '../commit-wait.ts';
import type { SessionCore } from '../session-core.ts';
import { CopyIn } from './copy-in.ts';
import { copyPlan } from './copy-plan.ts';
import type { PreparedPlan, RunOutcome, RunRequest, TimedRun } from './mysql-portal.ts';
import type { OpenMysqlUnit } from './mysql-side.ts';
import { PlanRun } from './plan-run.ts';
import { describeColumns, oidOf } from './result-columns.ts';
import { TextSettings } from './text-settings.ts';
import { statementTimes } from './statement-times.ts';
import type { TranslationRequest } from './translations.ts';
import { readerOf } from './value-readers.ts';
import type { ReadValue } from './value-readers.ts';

export type Prepared = PreparedPlan | { readonly type: 'refused'; readonly construct: string };

export class MysqlStatements {
  readonly #core: SessionCore;
  readonly #commitWait: CommitWait;
  readonly #settings: TextSettings;
  /** Why facts of a table could not be had: told to the statement that waits for them. */
  #factsError: MigrationError | undefined;
  #isLoading = false;

  constructor(core: SessionCore, commitWait: CommitWait) {
    this.#core = core;
    this.#commitWait = commitWait;
    this.#settings = new TextSettings(core);
  }

  /** A verdict: wait with it, or it is refused. */
  prepare(touches: readonly string[], text: string, parameterTypes: readonly (string | undefined)[], simple: boolean, isPrepare?: true): Prepared | Verdict {
    const ready = this.tables(touches, simple);
    if (typeof ready === 'number') return ready;
    const core = this.#core;
    const { mysql: services } = core.services;
    const { capabilities } = core.mysql ?? {};
    if (!services || !capabilities) return core.refuse(new MigrationError('MIG001', 'there is no MySQL server'), simple);
    if (this.#settings.obstacle !== undefined) return { type: 'refused', construct: `another ${this.#settings.obstacle} than usual` };
    const plan = services.translations.get({ text, tables: ready, parameterTypes, capabilities, ...this.#meaning, ...(isPrepare ? { isPrepare } : {}) });
    if (plan.type === 'refused') return plan;
    const own = new Set([...ready.values()].flatMap(({ columns }) => columns.filter(({ mysqlType }) => mysqlType === 'enum').map(({ type }) => type)));
    const readers: ReadValue[] = [];
    for (const { name, type } of plan.columns) {
      const reader = readerOf(type, (spelling) => own.has(spelling) || spelling === 'inet');
      if (!reader) return { type: 'refused', construct: `values of type ${type.spelling ?? type.name} in the result (${name})` };
      readers.push(reader);
    }
    return { type: 'plan', plan, tables: [...ready.values()], readers, numbers: plan.columns.map(({ type }) => oidOf(type, (spelling) => services.localTypes.numberOf(spelling))) };
  }

  /** What a text's meaning depends on besides its tables. */
  get #meaning(): Pick<TranslationRequest, 'snapshot' | 'searchPath' | 'timeZone'> {
    const core = this.#core;
    return { snapshot: core.decidedUnder ?? core.services.view().snapshot, searchPath: core.searchPath, timeZone: this.#settings.timeZone };
  }

  /** COPY … FROM STDIN of a simple query: the client sends its data next, and what it sends is the COPY's until that has ended. */
  copyIn(route: MysqlRoute, text: Buffer): Verdict {
    const core = this.#core;
    const ready = this.tables(route.touches, true);
    if (typeof ready === 'number') return ready;
    const { mysql: services } = core.services;
    const { capabilities } = this.side;
    const refused = (construct: string): Verdict => core.refuse(notTranslated(construct), true);
    if (!services || !capabilities) return core.refuse(new MigrationError('MIG001', 'there is no MySQL server'), true);
    if (this.#settings.obstacle !== undefined) return refused(`another ${this.#settings.obstacle} than usual`);
    const statement = readCopyStatement(services.treeOf(text.toString('utf8')));
    if (statement.type === 'refused') return refused(statement.construct);
    const [table] = ready.values();
    if (!table || ready.size > 1) return refused('COPY into a table whose writes reach others');
    const unknown = statement.columns.find((name) => table.columns.every((column) => column.name !== name));
    if (unknown !== undefined) return core.refuseWith({ severity: 'ERROR', sqlstate: '42703', message: `column "${unknown}" of relation "${statement.table}" does not exist` }, true);
    const plan = copyPlan({ statement, table, times: this.#times(), translate: (insert) => services.translations.get({ text: insert, tables: ready, parameterTypes: [], capabilities, ...this.#meaning }) });
    if (plan.type === 'refused') return refused(plan.construct);
    const copy = new CopyIn(core, this.side, plan);
    this.run(route, copy, (ended) => copy.start(ended), (outcome) => {
      if (outcome.type === 'done') core.toClient(commandComplete(`COPY ${outcome.count}`));
      else if (outcome.type === 'failed') this.failed(outcome.fields, false);
      core.ready();
      copy.answered();
    });
    return CUT;
  }

  /** The connection, and what is known of these tables; nothing of the unit is under way any more. */
  tables(touches: readonly string[], simple: boolean): ReadonlyMap<string, MigratedTable> | Verdict {
    const core = this.#core;
    const { mysql: services, control } = core.services;
    const stop = core.leaveLeg(simple) ?? core.mysql?.ready(simple) ?? this.#settings.fresh() ?? this.#lockTimeout();
    if (stop !== undefined) return stop;
    const { snapshot } = core.services.view();
    const keys = touches.filter((key) => snapshot.tables[key]?.door === 'mysql');
    const found = new Map<string, MigratedTable>();
    for (const key of keys) {
      const facts = control.tableFacts(key);
      if (facts) found.set(key, facts);
    }
    if (found.size < keys.length) return this.#load(keys, simple);
    const types = [...found.values()].flatMap(({ columns }) => columns.filter(({ mysqlType }) => mysqlType === 'enum').map(({ type }) => type));
    return services && !services.localTypes.learn(types, () => core.proceed('facts')) ? core.wait('facts') : found;
  }

  #lockTimeout(): Verdict | undefined {
    const core = this.#core;
    return this.side.hasLockTimeout(this.#settings.lockTimeoutMs, () => core.proceed('leg')) ? undefined : core.wait('leg');
  }

  #load(keys: readonly string[], simple: boolean): Verdict {
    const core = this.#core;
    const error = this.#factsError;
    this.#factsError = undefined;
    if (error) return core.refuse(error, simple);
    if (!this.#isLoading) {
      this.#isLoading = true;
      core.services.control.loadTableFacts(keys, (failure) => {
        this.#isLoading = false;
        this.#factsError = failure;
        core.proceed('facts');
      });
    }
    return core.wait('facts');
  }

  /** A statement of a simple query. A route: the translation refuses it, and it goes there. `later`: of one in a text, whose message goes on behind its answer. */
  query(route: MysqlRoute, text: Buffer, simple: boolean, later?: () => Verdict): HybridRoute | Verdict {
    const core = this.#core;
    const prepared = this.prepare(route.touches, text.toString('utf8'), [], simple);
    if (typeof prepared === 'number') return prepared;
    if (prepared.type === 'refused') return route.otherwise ?? core.refuse(notTranslated(prepared.construct), simple);
    return this.runPlan(route, prepared, [], simple, later);
  }

  /** Of a simple query, with the values of its parameters. */
  runPlan(route: MysqlRoute, prepared: PreparedPlan, parameters: readonly (string | null)[], simple: boolean, later: (() => Verdict) | undefined): HybridRoute | Verdict {
    const core = this.#core;
    const { plan } = prepared;
    if (plan.commits && core.tx) return core.refuse(notTranslated(commitsItself(plan)), simple);
    const request = this.request(prepared, parameters, []);
    const refused = this.refusedValues(request);
    if (refused !== undefined) return route.otherwise ?? core.refuse(notTranslated(refused), simple);
    const run = (done: () => void): void => {
      if (plan.columns.length > 0) core.toClient(describeColumns(plan.columns, prepared.numbers, []));
      const planRun = new PlanRun(core, this.side, request);
      this.run(route, planRun, (ended) => planRun.start(0, ended), (outcome) => {
        if (outcome.type === 'done') core.toClient(commandComplete(tagOf(plan, outcome)));
        else if (outcome.type === 'failed') this.failed(outcome.fields, !simple);
        if (simple) core.ready();
        done();
      });
    };
    if (!later) return core.answerLater(run);
    run(() => queueMicrotask(() => core.proceed('answer')));
    return later();
  }

  get side(): NonNullable<SessionCore['mysql']> {
    const { mysql } = this.#core;
    if (!mysql) throw new Error('a session without a MySQL server');
    return mysql;
  }

  request(prepared: PreparedPlan, parameters: readonly (string | null)[], formats: readonly number[]): RunRequest {
    const { plan, readers, numbers, tables } = prepared;
    return {
      plan, parameters, tables, times: this.#times(),
      columns: readers.map((read, index) => ({ read, oid: numbers[index] ?? 25, isBinary: (formats.length === 1 ? formats[0] : formats[index]) === 1 })),
    };
  }

  /** The construct that the values of its parameters make it refuse; what keys read by its own steps do comes later. */
  refusedValues({ plan, parameters, times }: RunRequest): string | undefined {
    for (const step of plan.steps) {
      const bound = bindText({ ...step, slots: step.slots.map((slot) => (slot.kind === 'keys' ? { ...slot, step: -1 } : slot)) }, { parameters, rows: [], ...times });
      if (bound.type === 'refused') return bound.construct;
    }
    return undefined;
  }

  #times(): RunRequest['times'] {
    const core = this.#core;
    return { ...statementTimes(core.services.runtime.clock.now(), core.tx && { tx: core.tx, nowMs: core.now() }, this.#settings.timeZone), lastNumber: (table) => this.side.numbers.sql(table) };
  }

  /** Counts what runs, and keeps barriers over its tables waiting until it is over. */
  run(route: Pick<MysqlRoute, 'touches' | 'writes' | 'label'>, running: TimedRun, start: (ended: (outcome: RunOutcome) => void) => void, done: (outcome: RunOutcome) => void): void {
    const core = this.#core;
    const { side } = this;
    const unit = this.touch(route);
    const under = core.decidedUnder ?? core.services.view().snapshot;
    const startedAtMs = core.now();
    const { statementTimeoutMs } = this.#settings;
    const timer = statementTimeoutMs > 0 ? setTimeout(() => running.timeOut(), statementTimeoutMs) : undefined;
    start((outcome) => {
      clearTimeout(timer);
      side.units.delete(unit);
      if (core.ended) return;
      const nowMs = core.now();
      core.services.times.unitEnded('mysql', nowMs - startedAtMs);
      core.counts.unitEnded(core.status, startedAtMs, nowMs);
      const waitsFor = outcome.type === 'done' && route.writes && !core.tx ? route.touches.filter((table) => under.tables[table]?.waitVisible === true) : [];
      if (waitsFor.length > 0) this.#untilVisible(waitsFor, () => done(outcome));
      else done(outcome);
      core.unitEnded();
    });
  }

  #untilVisible(tables: readonly string[], done: () => void): void {
    const core = this.#core;
    core.committing = 'gateway';
    this.#commitWait.startOnMysql(tables, () => {
      core.committing = undefined;
      if (!core.ended) done();
    });
  }

  /** In a block the tables are the block's; else they are the unit's. */
  touch(route: Pick<MysqlRoute, 'touches' | 'writes' | 'label'>): OpenMysqlUnit {
    const core = this.#core;
    const { snapshot } = core.services.view();
    for (const table of route.touches) core.services.control.countRoute(table, route.label);
    const unit: OpenMysqlUnit = { touches: route.touches, epoch: snapshot.epoch };
    core.tx?.runsOnMysql(route, core.decidedUnder ?? snapshot);
    this.side.units.add(unit);
    return unit;
  }

  /** `extended`: the rest of the pipeline is dropped. */
  failed(fields: ErrorFields, extended: boolean): void {
    const core = this.#core;
    core.toClient(writeError(fields));
    if (core.tx) core.tx.failedOn ??= 'gateway';
    if (extended) core.unit.skipping = true;
  }
}

export function notTranslated(construct: string): MigrationError {
  const { code, message, detail, hint } = refusals.untranslated(construct);
  return new MigrationError(code, message, { detail, hint });
}

/** What such a statement is refused with inside a transaction. */
export function commitsItself({ command }: Plan): string {
  return `${command} in a transaction, which the server would commit before it`;
}

export function tagOf({ command }: Plan, { count }: Extract<RunOutcome, { type: 'done' }>): string {
  if (command === 'TRUNCATE TABLE') return command;
  return command === 'INSERT' ? `INSERT 0 ${count}` : `${command} ${count}`;
}
