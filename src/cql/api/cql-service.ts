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
import { createProxy } from '../create-proxy.ts';
import { FilterGovernor } from '../filter/filter-governor.ts';
import type { FilterState } from '../filter/filter-governor.ts';
import { openIntentLog } from '../intents/disk-log.ts';
import type { DiskLog } from '../intents/disk-log.ts';
import type { IntentLogState, LogDamage, LogRefusal } from '../intents/intent-log.ts';
import { RepairList } from '../intents/repair-list.ts';
import type { RepairEntry, RepairState } from '../intents/repair-list.ts';
import { RepairNotes } from '../intents/repair-notes.ts';
import { Replay } from '../intents/replay.ts';
import type { LaneReport } from '../intents/replay.ts';
import { readMode } from '../modes.ts';
import type { CqlMode, ModeTable } from '../modes.ts';
import type { CqlProxy, CqlProxyOptions } from '../proxy-options.ts';
import type { ProxyStats } from '../proxy-stats.ts';
import { ReadTexts } from '../statement-traits.ts';
import { reasonsAgainst } from './mode-switch.ts';
import type { SwitchFacts } from './mode-switch.ts';
import { isRepaired } from './repaired-writes.ts';
import { SourceHold } from './source-hold.ts';
import { StoredModes } from './stored-modes.ts';
import { EVERY_TABLE, Validations } from './validations.ts';
import type { TableRecord, Verdict } from './validations.ts';

export interface CqlServiceOptions {
  readonly directory: string;
  readonly intents: { readonly bytes: number; readonly fsync: 'none' | 'group'; readonly repairBytes: number };
  readonly replay: { readonly inFlight: number; readonly firstDelayMs: number; readonly maxDelayMs: number; readonly maxRefusals: number };
  readonly filterRules: string | undefined;
  readonly environment: Environment;
  readonly shutdownMs: number;
  readonly random: () => number;
  readonly proxy: Omit<CqlProxyOptions, 'intents' | 'repairs' | 'filter'>;
}

/** Everything that somebody may ask for. */
export interface CqlFigures {
  readonly stats: ProxyStats;
  readonly intents: IntentLogState;
  readonly refusal: LogRefusal | undefined;
  readonly damages: readonly LogDamage[];
  readonly lanes: readonly LaneReport[];
  readonly repairs: RepairState;
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
}

export interface ModeSwitched {
  readonly previous: CqlMode;
  readonly mode: CqlMode;
  /** What `force` went past. */
  readonly forced: readonly string[];
}

export class CqlService {
  readonly #runtime: Pick<Runtime, 'clock' | 'log' | 'faults'>;
  readonly #options: CqlServiceOptions;
  readonly #intents: DiskLog;
  readonly #damages: readonly LogDamage[];
  readonly #repairs: RepairList;
  readonly #filter: FilterGovernor | undefined;
  readonly #stored: StoredModes;
  readonly #proxy: CqlProxy;
  readonly #replay: Replay;
  readonly #validations: Validations;
  readonly #hold = new SourceHold();
  readonly #startedMs: number;
  #port = 0;

  /** Throws for a log, modes or rules that cannot be read. */
  constructor(runtime: Pick<Runtime, 'clock' | 'log' | 'faults'>, options: CqlServiceOptions) {
    const { clock, log, faults } = runtime;
    this.#runtime = runtime;
    this.#options = options;
    this.#startedMs = clock.now();
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#stored = new StoredModes(path.join(options.directory, 'modes.json'));
    const modes = this.#stored.read() ?? options.proxy.modes;
    this.#validations = new Validations(path.join(options.directory, 'validations.json'));
    this.#filter = options.filterRules === undefined ? undefined : new FilterGovernor(options.filterRules, options.environment, log);
    const { log: intents, damages, tornBytes } = openIntentLog({
      directory: path.join(options.directory, 'intents'), maxBytes: options.intents.bytes, fsync: options.intents.fsync, faults,
      onDisk: (error) => (error ? log.error('the intent log cannot be written: writes are refused until it can', { cause: error.message }) : log.info('the intent log can be written again')),
    });
    this.#intents = intents;
    this.#damages = damages;
    for (const damage of damages) log.error('the intent log is damaged: writes are lost to one cluster, or not to be told; validate the tables', { ...damage });
    if (tornBytes > 0) log.info('the last write of the process before was cut off; nobody was told of it', { bytes: tornBytes });
    this.#repairs = RepairList.open(path.join(options.directory, 'repairs.jsonl'), options.intents.repairBytes);
    const texts = new ReadTexts();
    const read = (text: string): ReturnType<ReadTexts['read']>['facts'] => texts.read(text).facts;
    const notes = new RepairNotes(this.#repairs, read, () => clock.now());
    this.#proxy = createProxy({ clock, log }, { ...options.proxy, modes, intents, repairs: notes, ...(this.#filter ? { filter: this.#filter } : {}) });
    this.#replay = new Replay({ intents, port: this.#proxy.replay, repairs: notes, log, nowMs: () => clock.now(), random: options.random, read, maxInFlight: options.replay.inFlight, firstDelayMs: options.replay.firstDelayMs, maxDelayMs: options.replay.maxDelayMs, maxRefusals: options.replay.maxRefusals });
  }

  /** Port of the clients. */
  get port(): number {
    return this.#port;
  }

  get modes(): ModeTable {
    return this.#proxy.modes;
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
    return {
      stats: this.#proxy.stats(), intents: this.#intents.state(), refusal: this.#intents.refusal, damages: this.#damages, lanes: this.#replay.report(), repairs: this.#repairs.state(),
      filter: this.#filter?.state(), modes: this.#proxy.modes, validated: this.#validations.tables, blocking: this.#validations.blocking(), nowMs: this.#runtime.clock.now(),
    };
  }

  /** What a validation of everything has said; a bad one stands against a switch. */
  validated(isGood: boolean, summary: string): void {
    this.#validations.note({ mode: 'FullScan', beganMs: this.#runtime.clock.now(), tables: [{ table: EVERY_TABLE, isGood, isWhole: true, share: 1, rows: 0, different: 0, summary }] }, this.#runtime.clock.now());
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

  reloadFilter(): boolean {
    return this.#filter?.reload() ?? false;
  }

  /** On disk, then in force for every frame that comes; resolves when all that began before has ended. Throws MIG071 for what is no mode, MIG050 with the reasons against it. */
  async switchMode({ mode: written, of, force, by }: ModeRequest): Promise<ModeSwitched> {
    const mode = readMode(written);
    if (!mode) throw new MigrationError('MIG071', `"${written}" is no mode`, { hint: 'SourceOnly, DualAsync, DualSync, ShadowPrimary or TargetOnly.' });
    const before = this.#proxy.modes;
    const after = withMode(before, mode, of);
    const previous = modeOf(before, of);
    const reasons = reasonsAgainst(before, after, this.#switchFacts(of));
    if (reasons.length > 0 && !force) {
      throw new MigrationError('MIG050', `${of ?? 'the proxy'} cannot go from ${previous} to ${mode} now: ${reasons.join('; ')}`, { detail: reasons.join('\n'), hint: 'Wait until the queue is empty, have the repair list scanned, or say force and go without.' });
    }
    this.#stored.write(after);
    this.#proxy.setModes(after);
    this.#runtime.log[reasons.length > 0 ? 'warn' : 'info']('the mode was switched', { of: of ?? 'everything', from: previous, to: mode, by, forced: reasons });
    await this.#proxy.settled();
    return { previous, mode, forced: reasons };
  }

  #switchFacts(of: string | undefined): SwitchFacts {
    const bad = this.#validations.blocking(of);
    const repairs = this.#repairs.state();
    const { clusters } = this.#proxy.stats();
    return {
      queued: this.#intents.state().depth, repairEntries: repairs.entries, wholeTables: repairs.wholeTables, isRepairListWhole: repairs.isWhole, damages: this.#damages.length,
      validation: bad.length === 0 ? undefined : { isGood: false, summary: bad.map((table) => `${table}: ${this.#validations.tables.get(table)?.summary ?? ''}`).join(', ') }, isReachable: [clusters[0].isReachable, clusters[1].isReachable], heldTables: this.#hold.held(of, this.#runtime.clock.now()),
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

function withMode(modes: ModeTable, mode: CqlMode, of: string | undefined): ModeTable {
  if (of === undefined) return { ...modes, global: mode };
  if (!of.includes('.')) return { ...modes, keyspaces: new Map([...modes.keyspaces, [of, mode]]) };
  return { ...modes, tables: new Map([...modes.tables, [of, mode]]) };
}

function modeOf(modes: ModeTable, of: string | undefined): CqlMode {
  if (of === undefined) return modes.global;
  const keyspace = modes.keyspaces.get(of.split('.')[0] ?? '');
  return (of.includes('.') ? modes.tables.get(of) : undefined) ?? keyspace ?? modes.global;
}
