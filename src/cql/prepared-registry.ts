/**
 * Prepared statements under ids of the proxy's own, which stay the same whatever the clusters forget or do: md5 of keyspace in use and text.
 *
 * Each cluster has an id of its own for the same text. It is learned when the statement is prepared there, and learned again when the cluster says UNPREPARED;
 * the client hears UNPREPARED only when the proxy itself does not know the id.
 */
import { createHash } from 'node:crypto';
import type { BindColumn } from '../wire/cql/result-body.ts';
import { isOrdered } from './repeatability.ts';
import { sentTextOf } from './prepared-calls.ts';
import type { SentText } from './prepared-calls.ts';
import type { FilterSnapshot } from './proxy-options.ts';
import type { IntentStatement } from './intents/intent-log.ts';
import { clusterNames } from './modes.ts';
import type { ClusterIndex, ModeTable, Plan } from './modes.ts';
import { isVirtual, planOfStatement, traitsOf } from './statement-traits.ts';
import type { StatementTraits } from './statement-traits.ts';

export const ID_BYTES = 16;
const RECENT = 64;

export class PreparedEntry implements IntentStatement {
  readonly id: Buffer;
  /** The id as a key of a map. */
  readonly key: string;
  readonly keyspace: string;
  readonly text: string;
  readonly traits: StatementTraits;
  readonly isVirtual: boolean;
  /** The text as clusters prepare it. */
  readonly sent: SentText;
  /** Per cluster; undefined until it was prepared there. */
  readonly ids: [Buffer | undefined, Buffer | undefined] = [undefined, undefined];
  /** What each cluster says of the rows that will come; undefined until it was asked. */
  readonly rows: [string | undefined, string | undefined] = [undefined, undefined];
  /** Bits of the clusters whose description of the rows some client may hold. */
  answeredFrom = 0;
  /** Of the bind markers; empty until a cluster has told. */
  columns: readonly BindColumn[] = [];
  partitionKey: readonly number[] = [];
  /** Counts up at each use, for eviction. */
  usedAt = 0;
  /** Itself alone, for a log that takes lists. */
  readonly alone: readonly [PreparedEntry] = [this];
  #ordered: boolean | undefined;
  #orderedBy: readonly BindColumn[] | undefined;
  #filter: FilterSnapshot | undefined;
  #rule: ReturnType<FilterSnapshot['rule']> = 'pass';
  #modes: ModeTable | undefined;
  #plan: Plan | string | undefined;

  constructor(id: Buffer, keyspace: string, text: string) {
    this.id = id;
    this.key = id.toString('latin1', 0, ID_BYTES);
    this.keyspace = keyspace;
    this.text = text;
    this.traits = traitsOf(text);
    this.isVirtual = isVirtual(this.traits, keyspace);
    this.sent = sentTextOf(text, this.traits.facts);
  }

  /** Each cluster would give it another value, and the proxy cannot. */
  get isUnrepeatable(): boolean {
    return this.traits.isUnrepeatable && this.sent.calls.length === 0;
  }

  /** Of the table's keyspace, written or in use. */
  get tableKeyspace(): string {
    return this.traits.keyspace === '' ? this.keyspace : this.traits.keyspace;
  }

  /** A text says why there is none. */
  planIn(modes: ModeTable): Plan | string {
    if (this.#modes === modes && this.#plan !== undefined) return this.#plan;
    this.#modes = modes;
    this.#plan = planOfStatement(this.traits, this.keyspace, modes);
    return this.#plan;
  }

  /** Whether an answer of this cluster may come without a description of its rows: only if every client has this cluster's, or both clusters' are the same. */
  maySkipMetadata(cluster: ClusterIndex): boolean {
    return this.answeredFrom === 1 << cluster || (this.rows[0] !== undefined && this.rows[0] === this.rows[1]);
  }

  ruleIn(filter: FilterSnapshot): ReturnType<FilterSnapshot['rule']> {
    if (this.#filter === filter) return this.#rule;
    const rule = filter.rule(this.tableKeyspace, this.traits.facts, this.columns);
    // Without the columns it is not the last word.
    if (this.columns.length > 0 || this.traits.facts.bindNames.length === 0) this.#filter = filter;
    this.#rule = rule;
    return rule;
  }

  /** Known for certain when the types of its markers are. */
  get isOrdered(): boolean {
    if (this.#ordered === undefined || this.#orderedBy !== this.columns) {
      this.#orderedBy = this.columns;
      this.#ordered = isOrdered(this.traits.facts, this.columns);
    }
    return this.#ordered;
  }

  get bytes(): number {
    return this.text.length * 4 + 400 + this.columns.length * 100;
  }
}

export function ownId(keyspace: string, text: string): Buffer {
  // The zero byte keeps `a` + `bc` and `ab` + `c` apart.
  return createHash('md5').update(keyspace).update('\0').update(text).digest();
}

function isAt(id: Buffer, buffer: Buffer, at: number): boolean {
  for (let index = 0; index < ID_BYTES; index += 1) if (id[index] !== buffer[at + index]) return false;
  return true;
}

export class PreparedRegistry {
  readonly #maxBytes: number;
  readonly #entries = new Map<string, PreparedEntry>();
  /** Which entry a cluster means by an id of its own. */
  readonly #byClusterId = clusterNames.map(() => new Map<string, PreparedEntry>());
  /** Those found last, by the last byte of their ids: most requests execute one of a few statements. */
  readonly #recent = new Array<PreparedEntry | undefined>(RECENT).fill(undefined);
  #bytes = 0;
  #uses = 0;

  constructor(maxBytes = 64 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** By the proxy's id. */
  find(key: string): PreparedEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry) entry.usedAt = this.#uses += 1;
    return entry;
  }

  /** The same, of the id that stands there. */
  findAt(buffer: Buffer, at: number): PreparedEntry | undefined {
    const slot = (buffer[at + ID_BYTES - 1] ?? 0) % RECENT;
    const recent = this.#recent[slot];
    if (recent && isAt(recent.id, buffer, at)) {
      recent.usedAt = this.#uses += 1;
      return recent;
    }
    const entry = this.find(buffer.toString('latin1', at, at + ID_BYTES));
    if (entry) this.#recent[slot] = entry;
    return entry;
  }

  findByClusterId(cluster: ClusterIndex, id: Buffer): PreparedEntry | undefined {
    return this.#byClusterId[cluster]?.get(id.toString('latin1'));
  }

  /** The entry of this text, made if need be. */
  entryOf(keyspace: string, text: string): PreparedEntry {
    const id = ownId(keyspace, text);
    const known = this.find(id.toString('latin1', 0, ID_BYTES));
    if (known) return known;
    const entry = new PreparedEntry(id, keyspace, text);
    entry.usedAt = this.#uses += 1;
    this.#entries.set(entry.key, entry);
    this.#bytes += entry.bytes;
    if (this.#bytes > this.#maxBytes) this.#evict(entry);
    return entry;
  }

  /** `id` is a view. */
  learn(entry: PreparedEntry, cluster: ClusterIndex, id: Buffer): void {
    const known = entry.ids[cluster];
    if (known?.equals(id) === true) return;
    const byId = this.#byClusterId[cluster];
    if (known) byId?.delete(known.toString('latin1'));
    entry.ids[cluster] = Buffer.from(id);
    byId?.set(id.toString('latin1'), entry);
  }

  /** A quarter of the bytes, those used longest ago; their clients prepare again when they come back. */
  #evict(kept: PreparedEntry): void {
    this.#recent.fill(undefined);
    const byAge = [...this.#entries.values()].sort((one, other) => one.usedAt - other.usedAt);
    this.#bytes = byAge.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const entry of byAge) {
      if (this.#bytes <= this.#maxBytes * 0.75) return;
      if (entry === kept) continue;
      this.#entries.delete(entry.key);
      this.#bytes -= entry.bytes;
      entry.ids.forEach((id, cluster) => {
        if (id) this.#byClusterId[cluster]?.delete(id.toString('latin1'));
      });
    }
  }
}
