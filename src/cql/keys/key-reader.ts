/**
 * Reads the keys of a table out of the log, page by page: in the proxy's own process or beside it, from the same files.
 *
 * A page is a segment or a part of one. Whatever the log does not know for certain makes the answer `unknown`, at any page: what was read before is then not all.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Intent } from '../intents/intent-log.ts';
import { listKept } from './key-log.ts';
import { readKeyLogState, timeOf, whyUnknown } from './key-log-state.ts';
import { copyKey, nameOfKey } from './key-columns.ts';
import type { KeyedTable, WrittenKey } from './key-columns.ts';
import { beginOfSegment, KeysUnknown, readEnded, scanSegment } from './scan-segment.ts';
import type { SegmentPlace } from './scan-segment.ts';
import { WrittenKeys } from './written-keys.ts';

export interface KeyPage {
  /** By the log's own clock. */
  readonly nowMs: number;
  /** Why the log does not tell; undefined when it does. */
  readonly unknown: string | undefined;
  readonly keys: readonly WrittenKey[];
  /** Where the next page begins; undefined behind the last one. */
  readonly next: string | undefined;
}

export interface KeyReaderOptions {
  /** The state directory. */
  readonly directory: string;
  /** Of this machine, now. */
  readonly bootId: string;
  readonly nowMs: () => number;
  /** When a write of this table came onto the repair list last; 0 for never. */
  readonly lastRepair: (table: string) => number;
  /** Default 5000. */
  readonly pageKeys?: number;
}

interface Segment {
  readonly file: string;
  readonly firstTicket: number;
  /** Undefined while the intent log has it. */
  readonly newestMs: number | undefined;
  readonly isLast: boolean;
}

const PAGE_KEYS = 5000;
/** Pages that somebody has begun and may ask to go on with. */
const MOST_PLACES = 16;
/** A segment is moved once. */
const MOST_LOOKS = 3;

export class KeyReader {
  readonly #options: KeyReaderOptions;
  readonly #places = new Map<string, SegmentPlace>();

  constructor(options: KeyReaderOptions) {
    this.#options = options;
  }

  /** Keys written since then, and of any time those whose write some cluster may still get. `after`: `next` of the page before. Rejects with what the file system says. */
  async page(table: KeyedTable, sinceMs: number, after = '0:0'): Promise<KeyPage> {
    const nowMs = this.#options.nowMs();
    const unknown = (why: string): KeyPage => ({ nowMs, unknown: why, keys: [], next: undefined });
    const before = this.#why(table, sinceMs);
    if (before !== undefined) return unknown(before);
    const keys = new Map<string, WrittenKey>();
    let next: string | undefined;
    try {
      next = await this.#read(table, sinceMs, after, keys);
    } catch (error) {
      if (error instanceof KeysUnknown) return unknown(error.message);
      throw error;
    }
    // It may have been dropped while it was read.
    const why = this.#why(table, sinceMs);
    return why === undefined ? { nowMs, unknown: undefined, keys: [...keys.values()], next } : unknown(why);
  }

  #why({ keyspace, table }: KeyedTable, sinceMs: number): string | undefined {
    const state = readKeyLogState(this.#options.directory);
    if (!state) return 'no log of keys is kept: key_log.bytes is 0, or its disk could not be written';
    if (state.bootId !== this.#options.bootId) return 'the log was kept before the machine was last started, or on another one: what a loss of power has taken of it is not known';
    const repair = this.#options.lastRepair(`${keyspace}.${table}`);
    return whyUnknown(state, keyspace, table, sinceMs) ?? (repair >= sinceMs && repair > 0 ? `a write of it waits for a repair since ${timeOf(repair)}` : undefined);
  }

  async #read(table: KeyedTable, sinceMs: number, after: string, keys: Map<string, WrittenKey>): Promise<string | undefined> {
    const [fromTicket = 0, offset = 0] = after.split(':').map(Number);
    const begun = offset === 0 ? beginOfSegment() : this.#places.get(after);
    if (!begun) throw new KeysUnknown('the pages before were read too long ago');
    this.#places.delete(after);
    for (let look = 1; ; look += 1) {
      const segment = this.#segments().find(({ firstTicket, newestMs }) => firstTicket >= fromTicket && (newestMs === undefined || newestMs >= sinceMs));
      if (!segment) return undefined;
      if (offset > 0 && segment.firstTicket !== fromTicket) throw new KeysUnknown('the segment that was being read is gone');
      try {
        return await this.#readSegment(table, sinceMs, segment, begun, keys);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || look === MOST_LOOKS) throw error;
      }
    }
  }

  async #readSegment(table: KeyedTable, sinceMs: number, { file, firstTicket, newestMs, isLast }: Segment, from: SegmentPlace, keys: Map<string, WrittenKey>): Promise<string | undefined> {
    // Before its writes: one that ends later is looked at, which is no harm.
    const ended = newestMs === undefined ? await readEnded(file.replace(/intents$/, 'ends')) : undefined;
    const written = new WrittenKeys(table);
    const most = this.#options.pageKeys ?? PAGE_KEYS;
    const { place, isAtEnd } = await scanSegment(file, from, isLast, (statement) => written.isAbout(statement), (intent: Intent) => {
      if (intent.atMs < sinceMs && (ended === undefined || ended[intent.ticket - firstTicket] === 1)) return true;
      const found = written.of(intent);
      if (found === 'unknown') throw new KeysUnknown(`the key of a write at ${timeOf(intent.atMs)} cannot be told from its text`);
      for (const key of found) {
        const name = nameOfKey(key);
        if (!keys.has(name)) keys.set(name, copyKey(key));
      }
      return keys.size < most;
    });
    if (isAtEnd) return isLast && this.#segments().every((other) => other.firstTicket <= firstTicket) ? undefined : `${firstTicket + 1}:0`;
    const next = `${firstTicket}:${place.offset}`;
    if (this.#places.size >= MOST_PLACES) this.#places.delete(this.#places.keys().next().value ?? '');
    this.#places.set(next, place);
    return next;
  }

  /** In the order of their tickets. One that is moved while they are listed is found in its new place: the old one is looked at first. */
  #segments(): readonly Segment[] {
    const folder = path.join(this.#options.directory, 'intents');
    const owned = fs.readdirSync(folder).filter((name) => /^\d{16}\.intents$/.test(name)).map((name) => ({ file: path.join(folder, name), firstTicket: Number(name.slice(0, 16)) }));
    const kept = listKept(this.#options.directory);
    const known = new Set(kept.map(({ firstTicket }) => firstTicket));
    const all = [...kept, ...owned.filter(({ firstTicket }) => !known.has(firstTicket)).map((segment) => ({ ...segment, newestMs: undefined }))].sort((one, other) => one.firstTicket - other.firstTicket);
    const last = owned.reduce((highest, { firstTicket }) => Math.max(highest, firstTicket), -1);
    return all.map((segment) => ({ ...segment, isLast: segment.firstTicket === last }));
  }
}
