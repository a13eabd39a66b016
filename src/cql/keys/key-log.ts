/**
 * The log of keys that were written of late, for comparisons: the segments of the intent log, kept when every write in them has ended.
 *
 * A write costs nothing for it that the intent log does not cost already: a segment is moved instead of being removed. `bytes` bounds what is kept; the oldest goes first, and the state says up to
 * when writes may be missing, before they are. In its folder stand `state.json` and `<first ticket>-<time of its last write>.kept`.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '../api/write-durably.ts';
import type { EndedSegment } from '../intents/log-batch.ts';
import type { ModeTable } from '../modes.ts';
import { keyLogFile, newState, readKeyLogState, settledSince, switched } from './key-log-state.ts';
import type { KeyLogState } from './key-log-state.ts';

/** A request that began before a switch has ended by then, whatever becomes of this process. */
const LATE_MS = 60_000;
const MOST_TOUCHED = 10_000;

export interface KeptSegment {
  readonly file: string;
  readonly firstTicket: number;
  /** Of its last write. */
  readonly newestMs: number;
}

export interface KeyLogFigures {
  readonly bytes: number;
  readonly maxBytes: number;
  /** Writes up to this time may be missing. */
  readonly droppedMs: number;
}

export interface KeyLogOptions {
  /** The state directory. */
  readonly directory: string;
  /** 0: nothing is kept. */
  readonly bytes: number;
  /** Another one at each start of the machine. */
  readonly bootId: string;
  readonly nowMs: () => number;
}

export function listKept(directory: string): readonly KeptSegment[] {
  const folder = path.join(directory, 'keys');
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder).flatMap((name): KeptSegment[] => {
    const match = /^(\d{16})-(\d+)\.kept$/.exec(name);
    return match ? [{ file: path.join(folder, name), firstTicket: Number(match[1]), newestMs: Number(match[2]) }] : [];
  }).sort((one, other) => one.firstTicket - other.firstTicket);
}

export class KeyLog {
  readonly #options: KeyLogOptions;
  #state: KeyLogState | undefined;
  #kept: (KeptSegment & { readonly size: number })[] = [];
  #bytes = 0;
  /** The file has been taken away, since it could not be written: who reads finds no log until it can. */
  #isUnwritten = false;

  /** Throws for a state that cannot be read. */
  constructor(options: KeyLogOptions) {
    this.#options = options;
    const { directory, bytes, nowMs } = options;
    const folder = path.join(directory, 'keys');
    if (bytes === 0) {
      fs.rmSync(folder, { recursive: true, force: true });
      return;
    }
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#state = readKeyLogState(directory);
    for (const kept of listKept(directory)) {
      const { size } = fs.statSync(kept.file);
      this.#kept.push({ ...kept, size });
      this.#bytes += size;
    }
    // Nobody knows from when what stands there is.
    if (!this.#state) this.#forgetUpTo(nowMs());
  }

  get isKept(): boolean {
    return this.#options.bytes > 0;
  }

  /** Before the first client. `hasLost`: places of the intent log cannot be read. A loss of power may have taken what the log had, and leaves no trace of that. */
  begin(modes: ModeTable, nextTicket: number, hasLost: boolean): void {
    if (!this.isKept) return;
    const { bootId } = this.#options;
    const nowMs = this.#options.nowMs();
    // Tickets that are given again would make one order of two.
    if (this.#kept.some(({ firstTicket }) => firstTicket >= nextTicket)) this.#forgetUpTo(nowMs);
    const state = this.#state ? switched({ ...this.#state, bootId }, modes, nowMs) : newState(modes, bootId, nowMs);
    this.#store(hasLost || (this.#state && this.#state.bootId !== bootId) ? { ...state, droppedMs: Math.max(state.droppedMs, nowMs) } : state);
    this.#trim();
  }

  #forgetUpTo(nowMs: number): void {
    if (this.#state) this.#store({ ...this.#state, droppedMs: Math.max(this.#state.droppedMs, nowMs) });
    for (const { file } of this.#kept.splice(0)) fs.rmSync(file, { force: true });
    this.#bytes = 0;
  }

  /** Before the new modes are in force. Gives what is to be called when all requests that began before have ended. */
  switching(after: ModeTable): () => void {
    if (!this.#state) return () => undefined;
    const atMs = this.#options.nowMs() + LATE_MS;
    this.#store(switched(this.#state, after, atMs));
    return () => {
      if (this.#state && Object.values(this.#state.notedSinceMs).includes(atMs)) this.#store(settledSince(this.#state, atMs, this.#options.nowMs()));
    };
  }

  /** A statement without keys is about to change these: `ks.table`, `ks.*`, or the empty name for nobody knows which. What was known is on disk, or nothing is, when it returns; throws when neither can be had. */
  touch(names: readonly string[]): void {
    if (!this.#state || names.length === 0) return;
    const nowMs = this.#options.nowMs();
    const touched = { ...this.#state.touchedMs, ...Object.fromEntries(names.map((name) => [name, nowMs])) };
    this.#store({ ...this.#state, touchedMs: Object.keys(touched).length > MOST_TOUCHED ? { '': nowMs } : touched });
  }

  /** In place of removing it; may be called again after an error. */
  async keep({ file, firstTicket, newestMs, size }: EndedSegment): Promise<void> {
    if (!this.isKept) {
      await fs.promises.rm(file, { force: true });
      return;
    }
    const kept = path.join(this.#options.directory, 'keys', `${String(firstTicket).padStart(16, '0')}-${Math.max(0, Math.ceil(newestMs))}.kept`);
    if (!this.#kept.some((one) => one.file === kept)) {
      try {
        await fs.promises.rename(file, kept);
      } catch {
        // The intent log needs its room, whatever is the matter with this folder.
        if (this.#state) this.#store({ ...this.#state, droppedMs: Math.max(this.#state.droppedMs, Math.ceil(newestMs)) });
        await fs.promises.rm(file, { force: true });
        return;
      }
      this.#kept.push({ file: kept, firstTicket, newestMs, size });
      this.#kept.sort((one, other) => one.firstTicket - other.firstTicket);
      this.#bytes += size;
    }
    if (this.#isUnwritten && this.#state) this.#store(this.#state);
    this.#trim();
  }

  /** The disk is full: writes that are owed need the room more. */
  giveWay(): void {
    if (this.#kept.length > 0) this.#forgetUpTo(this.#options.nowMs());
  }

  #trim(): void {
    let left = this.#bytes;
    const kept = this.#kept.filter(({ size }) => {
      const isOver = left > this.#options.bytes;
      if (isOver) left -= size;
      return !isOver;
    });
    if (left === this.#bytes || !this.#state) return;
    const dropped = this.#kept.slice(0, this.#kept.length - kept.length);
    this.#store({ ...this.#state, droppedMs: Math.max(this.#state.droppedMs, ...dropped.map(({ newestMs }) => Math.ceil(newestMs))) });
    this.#kept = kept;
    this.#bytes = left;
    for (const { file } of dropped) fs.rmSync(file, { force: true });
  }

  /** Where it cannot be written it is taken away, which needs no room: no log is better than one that says less than it should. Throws when that fails too. */
  #store(state: KeyLogState): void {
    this.#state = state;
    const file = keyLogFile(this.#options.directory);
    try {
      writeDurably(file, `${JSON.stringify(state)}\n`);
      this.#isUnwritten = false;
    } catch {
      this.#isUnwritten = true;
      fs.rmSync(file, { force: true });
    }
  }

  figures(): KeyLogFigures {
    return { bytes: this.#bytes, maxBytes: this.#options.bytes, droppedMs: this.#state?.droppedMs ?? 0 };
  }
}
