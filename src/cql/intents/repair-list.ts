/**
 * Writes of which the clusters may differ and that must not simply be sent again: for the scanner, which compares the rows and repairs them. Durable, one JSON text per line
 * behind its checksum.
 *
 * It is bounded: beyond `maxBytes` only the tables are noted, once each, and those are to be scanned whole. A line that cannot be read makes `isWhole` false: then every table is.
 */
import * as fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { PlacedFile } from './placed-file.ts';

export type RepairReason =
  /** A conditional statement was applied on one cluster and not on the other. */
  | 'condition'
  /** A counter's or a list's change whose answer is missing on one side. */
  | 'not-repeatable'
  /** A cluster refuses the statement as often as it was sent. */
  | 'refused'
  /** It cannot be read back from the log. */
  | 'unreadable';

export interface RepairEntry {
  /** Of the write. */
  readonly atMs: number;
  /** When it came onto the list, which may be much later. Undefined: nobody knows, and no scan is known to be later. */
  readonly notedAtMs?: number;
  readonly reason: RepairReason;
  /** SOURCE | TARGET: which may lack the write. */
  readonly owes: number;
  /** `ks.table` of all tables that it writes; empty when the text was not understood. */
  readonly tables: readonly string[];
  readonly keyspace: string;
  readonly opcode: number;
  readonly version: number;
  /** Texts of the prepared statements, in their order. */
  readonly texts: readonly string[];
  /** The frame's body in base64: the values, and with them the key, stand in it. Empty where only the tables are known. */
  readonly body: string;
  readonly message: string;
}

export interface RepairState {
  readonly entries: number;
  readonly bytes: number;
  /** Tables that have to be scanned whole. */
  readonly wholeTables: readonly string[];
  readonly isWhole: boolean;
}

export class RepairList {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #place: PlacedFile;
  /** With the time of the last write that is not on the list by itself, as its table is there already. */
  readonly #wholeTables = new Map<string, number>();
  /** By table; under the empty name those whose tables are not known. */
  readonly #counts = new Map<string, number>();
  /** By table, as the counts; when a write of it was last noted. */
  readonly #lastNoted = new Map<string, number>();
  #entries = 0;
  #size = 0;
  #isWhole = true;
  #last: Promise<void> = Promise.resolve();

  private constructor(file: string, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#place = new PlacedFile(file);
  }

  static open(file: string, maxBytes: number): RepairList {
    const list = new RepairList(file, maxBytes);
    const { entries, end, isWhole } = readLines(file);
    for (const entry of entries) list.#count(entry);
    list.#size = end;
    list.#isWhole = isWhole;
    return list;
  }

  /** Resolves when it is on disk; rejects when the disk refuses, and then it is not noted. */
  add(entry: RepairEntry): Promise<void> {
    const one = this.#last.then(() => this.#write(entry));
    this.#last = one.catch(() => undefined);
    return one;
  }

  async #write(entry: RepairEntry): Promise<void> {
    let noted = entry;
    if (this.#size > this.#maxBytes) {
      const missing = entry.tables.filter((table) => !this.#wholeTables.has(table));
      for (const table of entry.tables) if (this.#wholeTables.has(table)) this.#wholeTables.set(table, entry.notedAtMs ?? Number.POSITIVE_INFINITY);
      if (missing.length === 0 && entry.tables.length > 0) return;
      noted = { ...entry, tables: missing, texts: [], body: '', message: 'the list is full: scan the table whole' };
    }
    const json = JSON.stringify(noted);
    const line = Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);
    await this.#place.write(line, line.length, this.#size);
    this.#size += line.length;
    this.#count(noted);
  }

  #count(entry: RepairEntry): void {
    this.#entries += 1;
    for (const table of entry.tables.length === 0 ? [''] : entry.tables) {
      this.#counts.set(table, (this.#counts.get(table) ?? 0) + 1);
      this.#lastNoted.set(table, Math.max(this.#lastNoted.get(table) ?? 0, entry.notedAtMs ?? Number.POSITIVE_INFINITY));
    }
    if (entry.body === '') for (const table of entry.tables) this.#wholeTables.set(table, Math.max(this.#wholeTables.get(table) ?? 0, entry.notedAtMs ?? Number.POSITIVE_INFINITY));
  }

  state(): RepairState {
    return { entries: this.#entries, bytes: this.#size, wholeTables: [...this.#wholeTables.keys()].sort(), isWhole: this.#isWhole };
  }

  entries(): readonly RepairEntry[] {
    return readLines(this.#file).entries;
  }

  /** Entries that may be about the table. */
  entriesOf(table: string): number {
    return (this.#counts.get(table) ?? 0) + (this.#counts.get('') ?? 0);
  }

  /** When a write that waits for a repair and may be about the table was last noted; 0 when none does, Infinity when that is not known. */
  lastNoted(table: string): number {
    if (!this.#isWhole) return Number.POSITIVE_INFINITY;
    return Math.max(this.#lastNoted.get(table) ?? 0, this.#lastNoted.get('') ?? 0, this.#wholeTables.get(table) ?? 0);
  }

  /** When a write of a table was last noted without a line of its own; 0 when each has one. */
  lastUnlisted(table: string): number {
    return this.#wholeTables.get(table) ?? 0;
  }

  /** Takes those off that are repaired; resolves with how many. A list that is damaged is left as it is: nobody knows what is missing on it. */
  async remove(isRepaired: (entry: RepairEntry) => boolean): Promise<number> {
    const removed = this.#last.then(async () => {
      if (!this.#isWhole || this.#entries === 0) return 0;
      const all = readLines(this.#file).entries;
      const rest = all.filter((entry) => !isRepaired(entry));
      if (rest.length === all.length) return 0;
      const text = rest.map((entry) => JSON.stringify(entry)).map((json) => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`).join('');
      this.#place.close();
      await fs.promises.writeFile(`${this.#file}.new`, text, { flush: true });
      await fs.promises.rename(`${this.#file}.new`, this.#file);
      const unlisted = new Map(this.#wholeTables);
      this.#entries = 0;
      this.#wholeTables.clear();
      this.#counts.clear();
      this.#lastNoted.clear();
      for (const entry of rest) this.#count(entry);
      for (const table of this.#wholeTables.keys()) this.#wholeTables.set(table, unlisted.get(table) ?? Number.POSITIVE_INFINITY);
      this.#size = Buffer.byteLength(text);
      return all.length - rest.length;
    });
    this.#last = removed.then(() => undefined, () => undefined);
    return await removed;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#place.close();
  }
}

function readLines(file: string): { readonly entries: readonly RepairEntry[]; readonly end: number; readonly isWhole: boolean } {
  if (!fs.existsSync(file)) return { entries: [], end: 0, isWhole: true };
  const text = fs.readFileSync(file, 'utf8');
  const entries: RepairEntry[] = [];
  // What is behind the last line's end was torn, and nobody was told of it.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  let isWhole = true;
  for (const line of whole.split('\n').slice(0, -1)) {
    const json = line.slice(9);
    if (Number.parseInt(line.slice(0, 8), 16) === crc32(json)) entries.push(JSON.parse(json) as RepairEntry);
    else isWhole = false;
  }
  return { entries, end: Buffer.byteLength(whole), isWhole };
}
