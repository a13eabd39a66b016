/**
 * The migration control: owns the catalog, the streams, the table drivers and the workers' routing.
 *
 * States: starting (recovers what a crash left: snapshot published, attempts completed or undone, streams restored) →
 * running → stopping (drivers end, streams end, catalog given back).
 */
import type { Actor } from '../../catalog/audit.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { errorKinds, MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MigrationOptions } from '../../grammar/migration/options.ts';
import { answerFacts } from './answer-facts.ts';
import { completeTable } from './commands/control-tables.ts';
import type { CommandContext, GatewaySettings, GatewaySides } from './commands/command-context.ts';
import { groupRecords } from './commands/command-context.ts';
import { runCommand } from './commands/run-command.ts';
import type { CommandTexts } from './commands/run-command.ts';
import { cutoverGroup } from './commands/switch-tables.ts';
import type { ControlContext, ControlLimits } from './control-context.ts';
import { endMigration } from './end-migration.ts';
import type { CommandAnswer, CommandMessage, WorkerMessage } from './fleet-messages.ts';
import { CrossDeadlocks } from './cross-deadlocks.ts';
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import { FleetSlots } from './fleet-slots.ts';
import { FleetSurvey } from './fleet-survey.ts';
import { InDoubt } from './in-doubt.ts';
import { FlowUpkeep } from './flow-upkeep.ts';
import { LagWatch } from './lag-watch.ts';
import { publishFleetMetrics, publishStreamMetrics } from './stream-metrics.ts';
import { publishTableMetrics } from './table-metrics.ts';
import { recoverSwitches } from './recovery.ts';
import { mergeRelations, RoutingPublisher } from './routing-publisher.ts';
import type { RoutingRelations } from './routing-publisher.ts';
import type { SourceFlow } from './source-flow.ts';
import { SpoolWatch } from './spool-watch.ts';
import { detailsOf } from './table-details.ts';
import { driveTable } from './table-driver.ts';
import { TableWork } from './table-work.ts';
import { toMigrationError } from './trouble.ts';
import { runValidation } from './validation-run.ts';
import { VisibleNews } from './visible-news.ts';
import { Turnstile } from '../../cdc/flow/turnstile.ts';
import { WorkerFleet } from './worker-fleet.ts';
import type { FleetWorker } from './worker-fleet.ts';

export interface ControlParts {
  readonly catalog: Catalog;
  readonly limits: ControlLimits;
  readonly leaseMs: number;
  /** Gateway workers that there are to be. */
  readonly workers: number;
  readonly connections: ConnectionLimits;
  readonly sides: GatewaySides;
  readonly settings: GatewaySettings;
  readonly homeServer: string;
  /** The source of PostgreSQL clients. */
  readonly isHome: (serverName: string) => Promise<boolean>;
  readonly isServed: (serverName: string) => Promise<boolean>;
  readonly isOperator: (user: string) => boolean;
  readonly defaults: Partial<MigrationOptions>;
  readonly samplePercent: number;
  readonly cdcMaxLagMs: number;
  readonly texts: CommandTexts;
  readonly clusters: CommandContext['clusters'];
  /** Opens streams and connections for a server; called once per server. */
  readonly openFlow: (serverName: string) => Promise<SourceFlow>;
  /** Runs the flow's streams until the process ends. */
  readonly onWorkerMetrics: (workerId: string, delta: unknown) => void;
  readonly onWorkerClosed: (workerId: string) => void;
}

const SAMPLE_MS = 1_000;
const RECOVERY_MS = 2_000;
const IN_DOUBT_MS = 2_000;
/** About what a server waits before it looks for its own. */
const DEADLOCK_MS = 1_000;
const VALIDATION_CHECK_MS = 5_000;
/** A table that waits for its automatic cutover, and whose validation failed, is looked at again after this. */
const VALIDATION_RETRY_MS = 60_000;
/** While views are missing on local: how often somebody is taken to have made them there. */
const VIEWS_MS = 5_000;

export class Control {
  readonly fleet: WorkerFleet;
  readonly work: TableWork;
  readonly #runtime: Runtime;
  readonly #parts: ControlParts;
  readonly #context: ControlContext;
  readonly #flows = new Map<string, Promise<SourceFlow>>();
  readonly #visible: VisibleNews;
  readonly #background = new Set<string>();
  readonly #spools: SpoolWatch;
  readonly #lags: LagWatch;
  readonly #upkeep: FlowUpkeep;
  #inDoubt: InDoubt | undefined;
  readonly #deadlocks = new CrossDeadlocks();
  readonly #draining = new Set<string>();
  readonly #slots: FleetSlots;
  readonly #survey: FleetSurvey;
  #isRecovered = false;

  constructor(runtime: Runtime, parts: ControlParts) {
    this.#runtime = runtime;
    this.#parts = parts;
    this.#spools = new SpoolWatch(runtime, parts.catalog, (tableId, act) => this.work.alone([tableId], 'the note of a loss', act));
    this.#lags = new LagWatch(runtime, parts.catalog, parts.cdcMaxLagMs);
    this.#upkeep = new FlowUpkeep(runtime, parts.catalog);
    this.#slots = new FleetSlots(runtime, { limits: parts.connections, workers: parts.workers, leaseMs: parts.leaseMs });
    this.fleet = new WorkerFleet(runtime, { leaseMs: parts.leaseMs }, {
      onRequest: (worker, message) => this.#onRequest(worker, message),
      onAttached: (worker) => this.#visible.attached(worker),
      onClosed: (workerId) => {
        this.#deadlocks.told(workerId, []);
        this.#draining.delete(workerId);
        this.#visible.closed(workerId);
        parts.onWorkerClosed(workerId);
      },
    });
    this.#survey = new FleetSurvey(this.fleet);
    this.#visible = new VisibleNews(runtime, parts.catalog, this.fleet, (name) => this.#flow(name));
    const publisher = new RoutingPublisher(parts.catalog, this.fleet, (tables) => this.#readRelations(tables));
    this.#context = { runtime, catalog: parts.catalog, fleet: this.fleet, publisher, flow: (name) => this.#flow(name), limits: parts.limits, loads: new Turnstile(parts.limits.maxConcurrentMigrations), activeAttempts: new Set() };
    this.work = new TableWork(runtime, (tableId, signal) => driveTable(this.#context, tableId, this.#hooks(), signal));
  }

  /** Reasons why clients should not be sent here yet. */
  notReady(): readonly string[] {
    const reasons: string[] = [];
    if (this.fleet.size === 0) reasons.push('no gateway worker is connected');
    if (this.#draining.size > 0) reasons.push('the gateway is stopping');
    if (!this.#isRecovered) reasons.push('an unfinished change of authority is being recovered');
    return reasons;
  }

  get relations(): RoutingRelations {
    return this.#context.publisher.relations;
  }

  /** Open flows: those that some table or command has asked for. */
  async #openFlows(): Promise<readonly SourceFlow[]> {
    const flows = await Promise.all([...this.#flows.values()].map((flow) => flow.catch(() => undefined)));
    return flows.filter((flow) => flow !== undefined);
  }

  /** Brings everything back to where the catalog says it was. Retries what a server that is down prevents. */
  async start(): Promise<void> {
    const { catalog } = this.#parts;
    await this.#clearQuiescing();
    this.fleet.tellServers((await catalog.servers()).map(({ name }) => name));
    await this.#context.publisher.restoreRelations();
    await this.#context.publisher.refreshRelations().catch((error: unknown) => this.#runtime.log.warn('views and sequences of the source could not be read yet', { error: String(error) }));
    await this.#watchInDoubt(false).catch((error: unknown) => this.#runtime.log.warn('whether a transaction can be committed on both sides could not be found out yet', { error: String(error) }));
    await this.#context.publisher.publish();
    for (const { tableId, state } of await catalog.tables()) if (state !== 'ROLLBACK') this.work.start(tableId);
    this.#loop('recovery', RECOVERY_MS, () => this.#recover());
    this.#loop('in doubt', IN_DOUBT_MS, () => this.#watchInDoubt(true));
    this.#loop('in doubt on the MySQL server', IN_DOUBT_MS, () => this.#watchDecisions());
    this.#loop('deadlocks', DEADLOCK_MS, () => this.#lookForDeadlocks());
    this.#loop('views', VIEWS_MS, () => this.#lookForViews());
    this.#loop('places', SAMPLE_MS, async () => this.#slots.sweep());
    this.#loop('samples', SAMPLE_MS, () => this.#sample());
    this.#loop('validations', VALIDATION_CHECK_MS, () => this.#validateDue());
  }

  async stop(): Promise<void> {
    await this.work.stopAll();
    await this.#inDoubt?.close();
    for (const flow of this.#flows.values()) await flow.then((open) => open.close(), () => undefined);
  }

  async command(message: CommandMessage): Promise<CommandAnswer> {
    try {
      return await runCommand(this.#commandContext(message), this.#parts.texts, message.sql);
    } catch (error) {
      const trouble = toMigrationError(error);
      if (trouble.code === 'MIG090') this.#runtime.log.error('a command failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      return {
        ok: false, code: trouble.code, message: trouble.message.replace(/^MIG\d+: /, ''), hint: trouble.hint, ...(trouble.detail === undefined ? {} : { detail: trouble.detail }),
        ...(trouble.position === undefined ? {} : { position: trouble.position }),
      };
    }
  }

  #commandContext(message: CommandMessage): CommandContext {
    const actor: Actor = { user: message.user, clientIp: message.clientAddress, sessionId: message.sessionId };
    const { isOperator, defaults, samplePercent, homeServer, isServed, connections, sides, settings, clusters } = this.#parts;
    return {
      ...this.#context, actor, isOperator: isOperator(message.user), searchPath: message.searchPath, work: this.work, defaults, samplePercent, homeServer, isServed,
      survey: (shadowReads) => this.#survey.ask(shadowReads), connections, sides, settings, clusters,
    };
  }

  #flow(serverName: string): Promise<SourceFlow> {
    const open = this.#flows.get(serverName);
    if (open) return open;
    const opening = this.#openFlow(serverName);
    this.#flows.set(serverName, opening);
    opening.catch(() => this.#flows.delete(serverName));
    return opening;
  }

  async #openFlow(serverName: string): Promise<SourceFlow> {
    const flow = await this.#parts.openFlow(serverName);
    if (await this.#parts.isHome(serverName)) this.#visible.follow(flow);
    return flow;
  }

  #onRequest(worker: FleetWorker, message: WorkerMessage): void {
    if (this.#slots.receive(worker, message) || this.#visible.receive(worker, message) || answerFacts(this.#context, worker, message)) return;
    switch (message.type) {
      case 'command':
        void this.command(message.request).then((result) => worker.channel.send({ type: 'result', id: message.id, result }));
        return;
      case 'cancel':
        this.fleet.broadcast({ type: 'cancel', pid: message.pid, key: message.key });
        return;
      case 'cancelled':
        this.fleet.broadcast({ type: 'cancelled', pid: message.pid, key: message.key });
        return;
      case 'draining':
        this.#draining.add(worker.workerId);
        return;
      case 'survey':
        this.#survey.receive(worker.workerId, message.id, message.survey);
        return;
      case 'crossing':
        this.#deadlocks.told(worker.workerId, message.units);
        return;
      case 'routes':
        for (const [table, route, count] of message.counts) this.#runtime.metrics.count('scratchbird_migration_queries_routed_total', { table, route }, count);
        return;
      case 'metrics':
        this.#parts.onWorkerMetrics(worker.workerId, message.delta);
        return;
      default:
        return;
    }
  }

  async #readRelations(tables: readonly TableRecord[]): Promise<RoutingRelations> {
    const { homeServer } = this.#parts;
    const servers = [...new Set([homeServer, ...tables.map((record) => record.sourceServer)])];
    // Two names of one server are of the same relations.
    return mergeRelations(await Promise.all(servers.map(async (name) => this.#relationsOf(await this.#flow(name), tables.filter((record) => record.sourceServer === name)))));
  }

  async #relationsOf(flow: SourceFlow, tables: readonly TableRecord[]): Promise<RoutingRelations> {
    const { functions = {}, ...others } = await flow.sourceSide.routingRelations(tables.map((record) => record.source), tables.map((record) => record.target));
    const missing = await this.#missingOnLocal(flow, tables, Object.keys(others.views), Object.keys(functions));
    // A function that local lacks must not be taken for one that can run wherever its tables are.
    const known = Object.fromEntries(Object.entries(functions).filter(([name]) => !missing.functions.has(name)));
    return { ...others, functions: known, missingOnLocal: missing.views };
  }

  /** Keys of the views and functions that local does not have as the source has them; all of them while local cannot be asked. */
  async #missingOnLocal(flow: SourceFlow, tables: readonly TableRecord[], views: readonly string[], functions: readonly string[]): Promise<{ views: readonly string[]; functions: ReadonlySet<string> }> {
    try {
      const states = await flow.schema.dependants.review(tables);
      const keyOf = ({ schema, name }: QualifiedName): string => relationKey(schema, name);
      const present = new Set(states.flatMap(({ dependant: { relation, tables: bases }, status }) => {
        // Once local is the authority for all its tables, a view may be changed there.
        const isOwn = status === 'differs' && bases.every((base) => tables.some(({ source, route }) => keyOf(source) === keyOf(base) && route.writes === 'local'));
        return relation !== undefined && (status === 'present' || isOwn) ? [keyOf(relation)] : [];
      }));
      const missing = states.flatMap(({ dependant: { routine }, status }) => (routine !== undefined && status !== 'present' ? [keyOf(routine)] : []));
      return { views: views.filter((view) => !present.has(view)), functions: new Set(missing) };
    } catch (error) {
      this.#runtime.log.warn('the views of local could not be read', { error: String(error) });
      return { views, functions: new Set(functions) };
    }
  }

  /** A barrier belongs to an attempt; the attempt is over with the process that made it. Authority has not moved: `recover` sees to the rest. */
  async #clearQuiescing(): Promise<void> {
    const { catalog } = this.#parts;
    const open = new Set((await catalog.openJournals()).flatMap((entry) => entry.tableIds));
    const stuck = (await catalog.tables()).filter((record) => record.route.quiescing && !open.has(record.tableId));
    if (stuck.length > 0) await catalog.changeRoutes('barrier of an ended process', { routes: stuck.map(({ tableId }) => ({ tableId, route: { quiescing: false } })) });
  }

  /** While tables are in migration, and some may have moved. */
  async #watchInDoubt(publishes: boolean): Promise<void> {
    const tables = await this.#parts.catalog.tables();
    if (tables.length === 0) return;
    this.#inDoubt ??= new InDoubt(this.#runtime, this.#parts.catalog.catalogId, await this.#flow(this.#parts.homeServer), this.#context.publisher.twoPhase);
    const twoPhase = await this.#inDoubt.probe();
    if ((await this.#context.publisher.setTwoPhase(twoPhase)) && publishes) await this.#context.publisher.publish();
    if (twoPhase) await this.#inDoubt.resolve(twoPhase);
  }

  /** Of the MySQL server that clients reach. */
  async #watchDecisions(): Promise<void> {
    const servers = new Set((await this.#parts.catalog.tables()).map(({ sourceServer }) => sourceServer));
    for (const name of servers) {
      if (!this.#inDoubt || name === this.#parts.homeServer || !(await this.#parts.isServed(name))) continue;
      const { decisions } = (await this.#flow(name)).sourceSide;
      if (decisions) return this.#inDoubt.resolveOnMysql(decisions);
    }
  }

  async #lookForDeadlocks(): Promise<void> {
    if (this.#deadlocks.units.length < 2 || !this.#inDoubt) return;
    const victims = this.#deadlocks.judge(await this.#inDoubt.waits());
    if (victims.length === 0) return;
    this.#runtime.log.warn('a deadlock over both sides: the youngest session gives way', { sessions: victims });
    this.fleet.broadcast({ type: 'break_deadlock', sessionIds: victims });
  }

  async #recover(): Promise<void> {
    const open = await recoverSwitches(this.#context);
    for (const record of await this.#parts.catalog.tables()) {
      const { tableId, state, route } = record;
      const isCleanup = state === 'ROLLBACK' && route.writes === 'source' && open === 0;
      if (isCleanup) await this.work.alone([tableId], 'ROLLBACK MIGRATION', () => endMigration(this.#context, record, { trigger: 'recovery', dropLocal: detailsOf(record).dropLocal !== false })).catch(() => undefined);
      else if (state !== 'ROLLBACK') this.work.start(tableId);
    }
    this.#isRecovered = open === 0;
    for (const flow of await this.#openFlows()) await this.#upkeep.keep(flow);
  }

  async #lookForViews(): Promise<void> {
    const { publisher } = this.#context;
    const before = publisher.relations.missingOnLocal ?? [];
    if (before.length === 0 && !publisher.isStale) return;
    const wasStale = publisher.isStale;
    await publisher.refreshRelations();
    if (wasStale || publisher.relations.missingOnLocal?.join() !== before.join()) await publisher.publish();
  }

  async #sample(): Promise<void> {
    publishFleetMetrics(this.#runtime, this.fleet);
    await this.#lags.check(await publishTableMetrics(this.#context));
    const flows = await this.#openFlows();
    publishStreamMetrics(this.#runtime, flows);
    for (const flow of flows) await flow.losses.save();
    for (const flow of flows) await this.#spools.check(flow);
  }

  /** `validation_interval`: again and again; `auto_cutover`: until the table is ready. */
  async #validateDue(): Promise<void> {
    const now = this.#runtime.clock.now();
    for (const record of await this.#parts.catalog.tables()) {
      if (record.state !== 'DUAL_WRITE' && record.state !== 'CUTOVER_READY') continue;
      const interval = record.options['validationIntervalMs'];
      const isWaiting = record.options['autoCutover'] === true && record.state === 'DUAL_WRITE';
      if (typeof interval !== 'number' && !isWaiting) continue;
      const last = await this.#parts.catalog.lastValidation(record.tableId);
      const sinceMs = last?.finishedAt === undefined ? Infinity : now - Date.parse(last.finishedAt);
      if (sinceMs >= (typeof interval === 'number' ? interval : VALIDATION_RETRY_MS)) this.#once(`validate ${record.tableId}`, () => this.#autoValidate(record));
    }
  }

  #hooks() {
    return {
      onCutoverReady: (record: TableRecord) => this.#once(`cutover ${record.tableId}`, () => this.#autoCutover(record)),
      onWindowEnd: (record: TableRecord) => this.#once(`complete ${record.tableId}`, () => this.work.alone([record.tableId], 'COMPLETE MIGRATION', () => completeTable(this.#context, record))),
    };
  }

  async #autoValidate(record: TableRecord): Promise<void> {
    await runValidation(this.#context, { record, percent: 100, askedForSample: false, repair: undefined, signal: this.#runtime.signal });
  }

  async #autoCutover(record: TableRecord): Promise<void> {
    const context = this.#commandContext({ sql: '', user: 'system', clientAddress: '', sessionId: '', searchPath: [] });
    const group = await groupRecords(context, record);
    if (group.some((each) => each.state !== 'CUTOVER_READY')) return;
    await cutoverGroup(context, group, { force: false, split: false, noFence: false, noRollback: false, noGrants: false }, undefined);
  }

  /** One of each name at a time; a failure is logged, and tried again when the driver asks again. */
  #once(name: string, act: () => Promise<void>): void {
    if (this.#background.has(name)) return;
    this.#background.add(name);
    act()
      .catch((error: unknown) => this.#runtime.log.warn(`${name} failed`, { error: String(error), hint: error instanceof MigrationError ? errorKinds[error.code].hint : '' }))
      .finally(() => this.#background.delete(name));
  }

  #loop(name: string, everyMs: number, act: () => Promise<void>): void {
    const { clock, log, signal } = this.#runtime;
    const run = async (): Promise<void> => {
      while (!signal.aborted) {
        await act().catch((error: unknown) => log.warn(`${name} failed`, { error: String(error) }));
        await clock.sleep(everyMs, signal).catch(() => undefined);
      }
    };
    void run();
  }
}
