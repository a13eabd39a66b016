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
  readonly atMs: number;
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
  readonly #wholeTables = new Set<string>();
  /** By table; under the empty name those whose tables are not known. */
  readonly #counts = new Map<string, number>();
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
    for (const table of entry.tables.length === 0 ? [''] : entry.tables) this.#counts.set(table, (this.#counts.get(table) ?? 0) + 1);
    if (entry.body === '') for (const table of entry.tables) this.#wholeTables.add(table);
  }

  state(): RepairState {
    return { entries: this.#entries, bytes: this.#size, wholeTables: [...this.#wholeTables].sort(), isWhole: this.#isWhole };
  }

  entries(): readonly RepairEntry[] {
    return readLines(this.#file).entries;
  }

  /** Entries that may be about the table. */
  entriesOf(table: string): number {
    return (this.#counts.get(table) ?? 0) + (this.#counts.get('') ?? 0);
  }

  /** After a scan that began when there were so many: those are repaired, all of them or what they say of one table. The others are kept; so is everything while the list is damaged and only a table was scanned. */
  async clear(first: number, table?: string): Promise<void> {
    const cleared = this.#last.then(async () => {
      if (table !== undefined && (!this.#isWhole || !this.#counts.has(table))) return;
      this.#place.close();
      const { entries } = readLines(this.#file);
      const kept = table === undefined ? [] : entries.slice(0, first).flatMap((entry) => without(entry, table));
      const rest = [...kept, ...entries.slice(first)];
      const text = rest.map((entry) => JSON.stringify(entry)).map((json) => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`).join('');
      await fs.promises.writeFile(`${this.#file}.new`, text, { flush: true });
      await fs.promises.rename(`${this.#file}.new`, this.#file);
      this.#entries = 0;
      this.#wholeTables.clear();
      this.#counts.clear();
      this.#isWhole = true;
      for (const entry of rest) this.#count(entry);
      this.#size = Buffer.byteLength(text);
    });
    this.#last = cleared.catch(() => undefined);
    await cleared;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#place.close();
  }
}

function without(entry: RepairEntry, table: string): readonly RepairEntry[] {
  if (!entry.tables.includes(table)) return [entry];
  const tables = entry.tables.filter((name) => name !== table);
  return tables.length === 0 ? [] : [{ ...entry, tables }];
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
