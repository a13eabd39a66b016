/**
 * The proxy with everything around it: intent log, replay, repair list, filter rules, and the modes that are in force.
 *
 * starting (what an earlier process left is released to the replay) → serving → draining (no new clients, requests in hand end, the log is written out) → closed.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Environment } from '../../../config/read-yaml.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import { createProxy } from '../create-proxy.ts';
import { FilterGovernor } from '../filter/filter-governor.ts';
import type { FilterState } from '../filter/filter-governor.ts';
import { KeyLog } from '../keys/key-log.ts';
import type { KeyLogFigures } from '../keys/key-log.ts';
import { KeyReader } from '../keys/key-reader.ts';
import type { KeyPage } from '../keys/key-reader.ts';
import type { KeyedTable } from '../keys/key-columns.ts';
import { openIntentLog } from '../intents/disk-log.ts';
import type { DiskLog } from '../intents/disk-log.ts';
import type { IntentLogState, LogDamage, LogRefusal } from '../intents/intent-log.ts';
import { RepairList } from '../intents/repair-list.ts';
import type { RepairEntry, RepairState } from '../intents/repair-list.ts';
import { RepairNotes } from '../intents/repair-notes.ts';
import { Replay } from '../intents/replay.ts';
import type { LaneReport } from '../intents/replay.ts';
import { plans, readMode } from '../modes.ts';
import type { CqlMode, ModeTable } from '../modes.ts';
import type { CqlProxy, CqlProxyOptions } from '../proxy-options.ts';
import type { ProxyStats } from '../proxy-stats.ts';
import { ReadTexts } from '../statement-traits.ts';
import { reasonsAgainst } from './mode-switch.ts';
import type { SwitchFacts } from './mode-switch.ts';
import { QueuedWrites } from './queued-writes.ts';
import { isRepaired } from './repaired-writes.ts';
import { SourceHold } from './source-hold.ts';
import { StoredIdentity } from './stored-identity.ts';
import { readModes, StoredModes, textOfModes } from './stored-modes.ts';
import type { ModesText } from './stored-modes.ts';
import type { TableFigures } from './table-figures.ts';
import { TableMoves } from './table-moves.ts';
import type { Obstacles } from './table-moves.ts';
import { TablePauses } from './table-pauses.ts';
import { Validations } from './validations.ts';
import type { TableRecord, Verdict } from './validations.ts';

export interface CqlServiceOptions {
  readonly directory: string;
  readonly intents: { readonly bytes: number; readonly fsync: 'none' | 'group'; readonly repairBytes: number };
  readonly keyLog: { readonly bytes: number; readonly bootId: string };
  readonly replay: { readonly inFlight: number; readonly firstDelayMs: number; readonly maxDelayMs: number; readonly maxRefusals: number };
  readonly filterRules: string | undefined;
  readonly environment: Environment;
  readonly shutdownMs: number;
  readonly random: () => number;
  readonly proxy: Omit<CqlProxyOptions, 'intents' | 'repairs' | 'filter' | 'identity'>;
}

/** Everything that somebody may ask for. */
export interface CqlFigures {
  readonly stats: ProxyStats;
  readonly intents: IntentLogState;
  readonly refusal: LogRefusal | undefined;
  readonly damages: readonly LogDamage[];
  readonly lanes: readonly LaneReport[];
  readonly repairs: RepairState;
  readonly keys: KeyLogFigures;
  readonly filter: FilterState | undefined;
  readonly modes: ModeTable;
  readonly validated: ReadonlyMap<string, TableRecord>;
  /** Tables whose failed validation stands against a switch. */
  readonly blocking: readonly string[];
  readonly nowMs: number;
}

export interface ModeRequest {
  readonly mode: string;
  /** Left out: the global mode. `ks` or `ks.table`. */
  readonly of?: string;
  readonly force: boolean;
  /** For the log. */
  readonly by: string;
  /** True: a migration has the table from now on, and nobody else switches it without `force`; false: it has it no more. Left out: not a migration's switch. */
  readonly holds?: boolean;
  /** How long to wait for the moment in which nothing is queued, where that alone is in the way. */
  readonly waitMs?: number;
  /** What is queued is no reason against it: the cluster that is left gets it all the same. */
  readonly leavesQueue?: boolean;
  /** Neither is a validation that has failed. */
  readonly skipsValidation?: boolean;
  /** Of a switch that all proxies of a group make. */
  readonly epoch?: number;
}

export interface ModeSwitched {
  readonly previous: CqlMode;
  readonly mode: CqlMode;
  /** What `force` went past. */
  readonly forced: readonly string[];
}

/** Between two looks for a moment in which nothing is queued. */
const IDLE_LOOK_MS = 2;
/** How old the count of a table's writes may be that is only shown. */
const FIGURES_MS = 1000;

export class CqlService {
  readonly #runtime: Pick<Runtime, 'clock' | 'log' | 'faults'>;
  readonly #options: CqlServiceOptions;
  readonly #intents: DiskLog;
  readonly #damages: readonly LogDamage[];
  readonly #repairs: RepairList;
  readonly #keys: KeyLog;
  readonly #keyReader: KeyReader;
  readonly #filter: FilterGovernor | undefined;
  readonly #stored: StoredModes;
  readonly #proxy: CqlProxy;
  readonly #replay: Replay;
  readonly #queued: QueuedWrites;
  readonly #validations: Validations;
  readonly #hold = new SourceHold();
  /** With the other proxies of a group. */
  readonly moves: TableMoves;
  readonly pauses: TablePauses;
  readonly #startedMs: number;
  /** Tables that migrations have. */
  #held: ReadonlySet<string>;
  /** Of the group's last switch that was made here. */
  #epoch: number;
  #isStored: boolean;
  /** Switches whose requests of before have not all ended. */
  #settling = 0;
  #port = 0;

  /** Throws for a log, modes or rules that cannot be read. */
  constructor(runtime: Pick<Runtime, 'clock' | 'log' | 'faults'>, options: CqlServiceOptions) {
    const { clock, log, faults } = runtime;
    this.#runtime = runtime;
    this.#options = options;
    this.#startedMs = clock.now();
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#stored = new StoredModes(path.join(options.directory, 'modes.json'));
    const stored = this.#stored.read();
    const modes = stored?.modes ?? options.proxy.modes;
    this.#held = stored?.held ?? new Set();
    this.#epoch = stored?.epoch ?? 0;
    this.#isStored = stored !== undefined;
    this.#validations = new Validations(path.join(options.directory, 'validations.json'));
    this.#filter = options.filterRules === undefined ? undefined : new FilterGovernor(options.filterRules, options.environment, log);
    const keys = this.#keys = new KeyLog({ directory: options.directory, ...options.keyLog, nowMs: () => clock.now() });
    const { log: intents, damages, tornBytes } = openIntentLog({
      retire: (segment) => keys.keep(segment),
      directory: path.join(options.directory, 'intents'), maxBytes: options.intents.bytes, fsync: options.intents.fsync, faults,
      onDisk: (error) => {
        if (!error) return log.info('the intent log can be written again');
        log.error('the intent log cannot be written: writes are refused until it can', { cause: error.message });
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC') keys.giveWay();
      },
    });
    this.#intents = intents;
    keys.begin(modes, intents.writtenUpTo + 1, damages.length > 0);
    this.#damages = damages;
    for (const damage of damages) log.error('the intent log is damaged: writes are lost to one cluster, or not to be told; validate the tables', { ...damage });
    if (tornBytes > 0) log.info('the last write of the process before was cut off; nobody was told of it', { bytes: tornBytes });
    this.#repairs = RepairList.open(path.join(options.directory, 'repairs.jsonl'), options.intents.repairBytes);
    this.#keyReader = new KeyReader({ directory: options.directory, bootId: options.keyLog.bootId, nowMs: () => clock.now(), lastRepair: (table) => this.#repairs.lastNoted(table) });
    const texts = new ReadTexts();
    const read = (text: string): CqlStatement => texts.read(text).facts;
    this.#queued = new QueuedWrites(intents, read, clock);
    const notes = new RepairNotes(this.#repairs, read, () => clock.now());
    this.#proxy = createProxy({ clock, log }, { ...options.proxy, modes, intents, repairs: notes, touched: (names) => keys.touch(names), identity: new StoredIdentity(path.join(options.directory, 'source.json'), log), ...(this.#filter ? { filter: this.#filter } : {}) });
    this.moves = new TableMoves({
      proxy: this.#proxy, faults, modeOf: (table) => modeOf(this.#proxy.modes, table),
      obstacles: ({ table, mode, skipsValidation }) => {
        const before = this.#proxy.modes;
        const request = { mode, of: table, force: false, by: 'migration', holds: true, skipsValidation };
        return this.#reasons(before, withMode(before, mode, request), request);
      },
      store: () => this.#store(this.#proxy.modes, this.#held),
      make: (table, mode, epoch) => {
        const settled = this.#make({ mode, of: table, force: false, by: 'migration', holds: true, epoch }, mode, []);
        // Until then the log of keys tells less, not more.
        this.#proxy.settled().then(settled).catch((error: unknown) => log.warn('the log of keys is told late of a switch', { cause: String(error) }));
      },
    }, stored?.pending ?? new Map());
    this.pauses = new TablePauses({ proxy: this.#proxy, queued: (table) => this.#queued.of(table), isTaken: (table) => this.moves.has(table) });
    this.#replay = new Replay({ intents, port: this.#proxy.replay, repairs: notes, log, nowMs: () => clock.now(), random: options.random, read, maxInFlight: options.replay.inFlight, firstDelayMs: options.replay.firstDelayMs, maxDelayMs: options.replay.maxDelayMs, maxRefusals: options.replay.maxRefusals });
  }

  /** Port of the clients. */
  get port(): number {
    return this.#port;
  }

  get modes(): ModeTable {
    return this.#proxy.modes;
  }

  /** By the proxy's own clock. */
  get nowMs(): number {
    return this.#runtime.clock.now();
  }

  async start(): Promise<number> {
    const left = this.#intents.state();
    if (left.depth > 0) this.#runtime.log.info('writes of the process before are sent to the clusters that owe them', { writes: left.depth });
    this.#port = await this.#proxy.listen();
    this.#replay.start();
    this.#filter?.start();
    return this.#port;
  }

  figures(): CqlFigures {
    const stats = this.#proxy.stats();
    return {
      stats, intents: this.#owed(stats), refusal: this.#intents.refusal, damages: this.#damages, lanes: this.#replay.report(), repairs: this.#repairs.state(), keys: this.#keys.figures(),
      filter: this.#filter?.state(), modes: this.#proxy.modes, validated: this.#validations.tables, blocking: this.#validations.blocking(), nowMs: this.#runtime.clock.now(),
    };
  }

  /** What a comparison has found: bad tables stand against a switch, and writes whose tables it proved equal wait for a repair no longer. Resolves with how many these were. */
  async heard(verdict: Verdict): Promise<number> {
    this.#validations.note(verdict, this.#runtime.clock.now());
    const facts = { goodSince: (table: string) => this.#validations.goodSince(table), lastUnlisted: (table: string) => this.#repairs.lastUnlisted(table), startedMs: this.#startedMs };
    const removed = await this.#repairs.remove((entry) => isRepaired(entry, facts));
    this.#runtime.log.info('a validation was heard', { mode: verdict.mode, tables: verdict.tables.length, bad: this.#validations.blocking(), repaired: removed });
    return removed;
  }

  /** A scan repairs these tables by the source: until `forMs` have passed they are not switched to the target. Throws MIG074 when one is there already. */
  holdSource(tables: readonly string[], forMs: number): void {
    this.#hold.hold(tables, forMs, this.#proxy.modes, this.#runtime.clock.now());
  }

  repairs(): readonly RepairEntry[] {
    return this.#repairs.entries();
  }

  /** Keys of a table that were written since then, and why that is not known where it is not. */
  writtenKeys(table: KeyedTable, sinceMs: number, after: string | undefined): Promise<KeyPage> {
    return this.#keyReader.page(table, sinceMs, after);
  }

  /** What stands with one table, `ks.table`. */
  table(name: string): TableFigures {
    const stats = this.#proxy.stats();
    const { clusters } = stats;
    const { depth, oldestAtMs } = this.#owed(stats);
    const { isWhole } = this.#repairs.state();
    return {
      mode: modeOf(this.#proxy.modes, name), epoch: this.#epoch, isPending: this.moves.pending.has(name), isHeld: this.#held.has(name), queued: this.#queued.of(name, FIGURES_MS), depth, oldestQueuedMs: oldestAtMs === undefined ? 0 : Math.max(0, this.#runtime.clock.now() - oldestAtMs),
      repairs: this.#repairs.entriesOf(name), isRepairListWhole: isWhole, damages: this.#damages.length, isReachable: [clusters[0].isReachable, clusters[1].isReachable], refusal: this.#intents.refusal,
    };
  }

  reloadFilter(): boolean {
    return this.#filter?.reload() ?? false;
  }

  /** On disk, then in force for every frame that comes; resolves when all that began before has ended. Throws MIG071 for what is no mode, MIG050 with the reasons against it. */
  async switchMode(request: ModeRequest): Promise<ModeSwitched> {
    const { mode: written, of, force, waitMs = 0 } = request;
    const mode = readMode(written);
    if (!mode) throw new MigrationError('MIG071', `"${written}" is no mode`, { hint: 'SourceOnly, DualAsync, DualSync, ShadowPrimary, ShadowSync or TargetOnly.' });
    const { clock } = this.#runtime;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const before = this.#proxy.modes;
      const after = withMode(before, mode, request);
      const previous = modeOf(before, of);
      const { reasons, isPassing } = this.#reasons(before, after, request);
      if (reasons.length > 0 && !force) {
        if (isPassing && clock.monotonicMs() < endMs) {
          await clock.sleep(Math.max(IDLE_LOOK_MS, this.#queued.pauseMs));
          continue;
        }
        throw new MigrationError('MIG050', `${of ?? 'the proxy'} cannot go from ${previous} to ${mode} now: ${reasons.join('; ')}`, { detail: reasons.join('\n'), hint: 'Wait until the queue is empty, have the repair list scanned, or say force and go without.' });
      }
      const settled = this.#make(request, mode, reasons);
      // Whoever goes on with force knows what has become of it.
      if (force && of !== undefined) this.moves.takeBack(of);
      this.#settling += 1;
      await this.#proxy.settled().finally(() => (this.#settling -= 1));
      settled();
      return { previous, mode, forced: reasons };
    }
  }

  /** On disk, then in force. Gives what is to be called when all requests that began before have ended. */
  #make(request: ModeRequest, mode: CqlMode, forced: readonly string[]): () => void {
    const { of, by, epoch = 0 } = request;
    const before = this.#proxy.modes;
    const previous = modeOf(before, of);
    const after = withMode(before, mode, request);
    const epochBefore = this.#epoch;
    this.#epoch = Math.max(epochBefore, epoch);
    try {
      this.#store(after, heldAfter(this.#held, request));
    } catch (error) {
      this.#epoch = epochBefore;
      throw error;
    }
    const settled = this.#keys.switching(after);
    this.#proxy.setModes(after);
    this.#runtime.log[forced.length > 0 ? 'warn' : 'info']('the mode was switched', { of: of ?? 'everything', from: previous, to: mode, by, forced });
    // It was about going where the reads are now.
    if (of !== undefined && plans[previous].primary !== plans[mode].primary) this.#validations.forget(of);
    return settled;
  }

  #store(modes: ModeTable, held: ReadonlySet<string>): void {
    this.#stored.write({ modes, held, epoch: this.#epoch, pending: this.moves.pending });
    this.#held = held;
    this.#isStored = true;
  }

  /** What the other proxies of a group are told. Undefined while no mode was ever switched here: the settings' modes are no more than a wish then. */
  groupModes(): ModesText | undefined {
    return this.#isStored ? textOfModes({ modes: this.#proxy.modes, held: this.#held, epoch: this.#epoch, pending: this.moves.pending }) : undefined;
  }

  /** Before anything is served: the modes that another proxy of the group has, on disk when it returns; undefined: this one's own. */
  adopt(text: ModesText | undefined): void {
    if (text) {
      const { modes, held, epoch, pending } = readModes(text);
      this.#runtime.log.warn('the modes of another proxy of the group are taken over', { epoch, global: modes.global, tables: Object.fromEntries(modes.tables), epochBefore: this.#epoch, tablesBefore: Object.fromEntries(this.#proxy.modes.tables) });
      this.#epoch = epoch;
      this.#held = held;
      this.moves.adopt(pending);
      const settled = this.#keys.switching(modes);
      this.#proxy.setModes(modes);
      settled();
    }
    this.#store(this.#proxy.modes, this.#held);
  }

  /** A write that its client waits for is not queued, although it stands in the log. */
  #owed({ awaitedWrites }: ProxyStats): IntentLogState {
    const state = this.#intents.state();
    return { ...state, depth: state.depth - awaitedWrites };
  }

  /** `isPassing`: only what is queued is in the way, and may be gone the next moment. */
  #reasons(before: ModeTable, after: ModeTable, { of, holds, leavesQueue = false, skipsValidation = false }: ModeRequest): Obstacles {
    const facts = this.#switchFacts(before, of);
    const counted: SwitchFacts = { ...facts, ...(leavesQueue ? { queued: 0 } : {}), ...(skipsValidation ? { validations: [] } : {}) };
    const pending = of !== undefined && this.moves.pending.has(of) ? [`the proxies of the group are changing which cluster answers for ${of}`] : [];
    const migrated = holds === undefined && of !== undefined && this.#held.has(of) ? [`${of} is in a migration by SQL, which switches it`] : [];
    const lasting = [...reasonsAgainst(before, after, { ...counted, queued: 0 }), ...migrated, ...pending];
    return { reasons: [...reasonsAgainst(before, after, counted), ...migrated, ...pending], isPassing: lasting.length === 0 };
  }

  #switchFacts(before: ModeTable, of: string | undefined): SwitchFacts {
    const bad = this.#validations.blocking(of);
    const repairs = this.#repairs.state();
    const stats = this.#proxy.stats();
    const { clusters } = stats;
    const { depth } = this.#owed(stats);
    const table = of?.includes('.') === true ? of : undefined;
    // A write in DualSync or ShadowSync is answered when both have it, and only what one side has failed to take is left to the replay: writes of other tables do not matter. In the other modes each write under way does.
    const isOwnQueue = table !== undefined && plans[modeOf(before, table)].isSync && this.#settling === 0;
    return {
      queued: isOwnQueue && depth > 0 ? this.#queued.of(table) : depth,
      repairEntries: table === undefined ? repairs.entries : this.#repairs.entriesOf(table), wholeTables: repairs.wholeTables.filter((name) => table === undefined || name === table), isRepairListWhole: repairs.isWhole, damages: this.#damages.length,
      validations: bad.length === 0 ? [] : [{ isGood: false, summary: bad.map((name) => `${name}: ${this.#validations.tables.get(name)?.summary ?? ''}`).join(', ') }], isReachable: [clusters[0].isReachable, clusters[1].isReachable], heldTables: this.#hold.held(of, this.#runtime.clock.now()),
    };
  }

  /** What is in hand ends; what is owed stays in the log for the next process. */
  async close(graceMs = this.#options.shutdownMs): Promise<void> {
    this.#filter?.stop();
    await this.#replay.stop(graceMs);
    await this.#proxy.close(graceMs);
    await this.#intents.close();
    await this.#repairs.close();
  }
}

/** Whoever switches a table by force takes it from the migration. */
function heldAfter(held: ReadonlySet<string>, { of, holds }: ModeRequest): ReadonlySet<string> {
  if (of === undefined || held.has(of) === (holds === true)) return held;
  return holds === true ? new Set([...held, of]) : new Set([...held].filter((name) => name !== of));
}

function withMode(modes: ModeTable, mode: CqlMode, { of, holds }: ModeRequest): ModeTable {
  if (of === undefined) return { ...modes, global: mode };
  if (!of.includes('.')) return { ...modes, keyspaces: new Map([...modes.keyspaces, [of, mode]]) };
  const others = [...modes.tables].filter(([name]) => name !== of);
  // A table that a migration has left goes with the others again, where that is the same.
  const wider = modes.keyspaces.get(of.split('.')[0] ?? '') ?? modes.global;
  return { ...modes, tables: new Map(holds === false && mode === wider ? others : [...others, [of, mode]]) };
}

function modeOf(modes: ModeTable, of: string | undefined): CqlMode {
  if (of === undefined) return modes.global;
  const keyspace = modes.keyspaces.get(of.split('.')[0] ?? '');
  return (of.includes('.') ? modes.tables.get(of) : undefined) ?? keyspace ?? modes.global;
}
