/**
 * Rows of the target that won a conflict are written to the source, or the two sides would stay different (RULES 25).
 *
 * Only a row that nobody has changed since the conflict is written over: its image has to be the one that lost, and the row's version
 * (ctid and xmin; a source that has nothing of the kind locks the row and asks again) has to be the same before and after the stream has
 * passed the position at which it was read, with the target's row still the winner. A change of the source between the conflict and the first look would have come to the target by then; one
 * after it has made another version. What was changed belongs to the stream, which brings it to both sides by itself.
 *
 * The write is an ordinary one of the source: it comes back through the stream, in commit order with every other change of the row
 * (docs/decisions/0005-winners-are-written-as-clients-write.md).
 */
import type { RowImage } from '../apply/conflict.ts';
import { rowImage } from '../apply/change-record.ts';
import { isSameValue } from '../apply/same-value.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { bindPlan } from '../apply/table-binding.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { sqlstateOf } from '../postgres/connect.ts';
import { keyRow } from '../apply/key-row.ts';
import type { ListedWinner } from './change-target.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';

/** One version of a row of the source, seen before `position`. */
interface Sighting {
  readonly version: string;
  readonly winner: ListedWinner;
  readonly position: bigint;
}

const ROWS_AT_ONCE = 200;
/** While the source holds the row: clients that want it wait as long. */
const HELD_MS = 5_000;
const LOOK_MS = 10;

export class WriteBack {
  readonly #state: StreamState;
  /** By table and key. */
  readonly #seen = new Map<string, Sighting>();
  readonly #told = new Set<string>();
  #running: Promise<void> | undefined;
  #isEnded = false;

  constructor(state: StreamState) {
    this.#state = state;
  }

  static note(entry: TableEntry): void {
    entry.pendingWritebacks += 1;
    entry.writebacksNoted += 1;
  }

  /** Takes up what is on the lists of shared tables, unless it is at it already. */
  tick(): void {
    if (this.#running || this.#isEnded) return;
    const entries = [...this.#state.entries.values()].filter((entry) => entry.mode === 'shared' && entry.pendingWritebacks > 0);
    if (entries.length === 0) return;
    this.#running = this.#all(entries).catch((error: unknown) => {
      this.#state.runtime.log.warn('rows that won a conflict could not be written to the source', { stream: this.#state.options.name, error: String(error) });
    }).finally(() => {
      this.#running = undefined;
    });
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#running;
  }

  async #all(entries: readonly TableEntry[]): Promise<void> {
    for (const entry of entries) {
      const noted = entry.writebacksNoted;
      await this.#table(entry);
      const left = await this.#state.target.countWinners(entry.tableId);
      if (entry.writebacksNoted === noted) entry.pendingWritebacks = left;
      this.#state.check();
    }
  }

  async #table(entry: TableEntry): Promise<void> {
    const state = this.#state;
    const table = bindPlan(entry.plan, await state.source.readShape(entry.plan));
    let after = '';
    while (!this.#isEnded) {
      const winners = await state.target.listWinners(entry.tableId, after, ROWS_AT_ONCE);
      const last = winners.at(-1);
      if (!last) return;
      await this.#some(entry, table, winners);
      after = last.key;
    }
  }

  async #some(entry: TableEntry, table: TableBinding, winners: readonly ListedWinner[]): Promise<void> {
    const state = this.#state;
    const visible = state.visible;
    const keys = winners.map(({ key }) => keyRow(table, key));
    const versions = await state.source.readVersions(table, keys);
    const position = await state.source.readEnd();
    const standing = await state.target.fetchRows(table, keys);
    for (const [index, winner] of winners.entries()) {
      const at = `${entry.tableId}/${winner.key}`;
      const version = versions.get(index + 1);
      const local = standing.get(index + 1);
      if (!version || !this.#isRow(table, version.image, winner.remote) || !local || !this.#isRow(table, rowImage(table, local), winner.local)) {
        await this.#settle(entry, winner, at);
        continue;
      }
      const seen = this.#seen.get(at);
      const isSame = seen?.version === version.id && seen.winner.local === winner.local && seen.winner.remote === winner.remote;
      if (!seen || !isSame) this.#seen.set(at, { version: version.id, winner, position });
      else if (seen.position <= visible) await this.#write(entry, table, winner, version.id, at);
    }
  }

  async #write(entry: TableEntry, table: TableBinding, winner: ListedWinner, version: string, at: string): Promise<void> {
    const { source, options, runtime } = this.#state;
    const local = JSON.parse(winner.local) as RowImage;
    try {
      const outcome = await source.writeVersion(table, version, local, () => this.#stands(entry, table, winner));
      // The list is taken up again a moment later.
      if (outcome === 'locked') return;
      if (runtime.faults.armed) await runtime.faults.hit('stream.write_back');
      // Somebody was faster: the next look says what that means.
      if (outcome === 'changed') this.#seen.delete(at);
      else await this.#settle(entry, winner, at);
      if (outcome === 'unchanged') options.onWriteBackFailed?.(entry.tableId, winner.key, new MigrationError('MIG031', 'by the policies of its columns the row is on the source what stands there already', { tableName: entry.plan.source.name, rowKey: winner.key, hint: 'The two sides differ in it: VALIDATE MIGRATION … FULL REPAIR COPY_FROM_SOURCE makes them equal.' }));
    } catch (error) {
      if (sqlstateOf(error) === undefined && !(error instanceof MigrationError && (error.category === 'CONFLICT' || error.category === 'DATA_TYPE'))) throw error;
      if (!this.#told.has(at)) options.onWriteBackFailed?.(entry.tableId, winner.key, error as Error);
      this.#told.add(at);
    }
  }

  /** Everything that the source had written of the row when it was asked has come to the target, and the target's row still is the winner. */
  async #stands(entry: TableEntry, table: TableBinding, winner: ListedWinner): Promise<boolean> {
    const state = this.#state;
    const { clock } = state.runtime;
    const end = await state.source.readEnd();
    const limit = clock.monotonicMs() + HELD_MS;
    while (state.visible < end) {
      if (this.#isEnded || clock.monotonicMs() > limit) return false;
      await clock.sleep(LOOK_MS);
    }
    const local = (await state.target.fetchRows(table, [keyRow(table, winner.key)])).get(1);
    return !this.#isEnded && entry.mode === 'shared' && local !== undefined && this.#isRow(table, rowImage(table, local), winner.local);
  }

  /** Of what the source is written; two engines spell one value in several ways. */
  #isRow(table: TableBinding, image: RowImage, listed: string): boolean {
    const { source, target } = this.#state;
    const row = JSON.parse(listed) as RowImage;
    return table.columns.every(({ plan: { name, type } }) => image[name] === row[name] || (source.engine !== target.engine && isSameValue(type, image[name], row[name])));
  }

  /** Off the list, unless another conflict of the row has taken its place there. */
  async #settle(entry: TableEntry, winner: ListedWinner, at: string): Promise<void> {
    this.#seen.delete(at);
    await this.#state.target.removeWinner(entry.tableId, winner);
  }
}
