/** What was written of late, for validator and scanner: of the running proxies by HTTP, or out of their state directories. What several of them tell is put together. */
import { setTimeout as delay } from 'node:timers/promises';
import * as path from 'node:path';
import type { ComparedKey, RecentKeys, RecentlyWritten } from '../../cdc/cassandra/compare/recent-keys.ts';
import type { CassandraTable } from '../../cdc/cassandra/table.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { keyQuery, readKeyPage } from '../cql/api/keys-body.ts';
import { RepairList } from '../cql/intents/repair-list.ts';
import type { KeyColumn, KeyedTable, WrittenKey } from '../cql/keys/key-columns.ts';
import { nameOfKey } from '../cql/keys/key-columns.ts';
import { KeyReader } from '../cql/keys/key-reader.ts';
import type { KeyPage } from '../cql/keys/key-reader.ts';
import { bootId } from './boot-id.ts';

export interface KeySource {
  readonly name: string;
  page(table: KeyedTable, sinceMs: number, after: string | undefined, signal: AbortSignal): Promise<KeyPage>;
}

const ANSWER_MS = 60_000;
const ATTEMPTS = 4;
const PAUSE_MS = 500;
/** With more of them, reading everything is less work, and holds less in memory. */
const MOST_KEYS = 200_000;
/** Clocks of two machines may be so far apart without a word. */
const CLOCKS_APART_MS = 1000;

/** The HTTP API of a proxy. */
export function keysOfProxy(url: string): KeySource {
  return {
    name: `the proxy at ${url}`,
    page: async (table, sinceMs, after, signal) => {
      const where = `${url.replace(/\/+$/, '')}/keys?${keyQuery(table, sinceMs, after)}`;
      for (let attempt = 1; ; attempt += 1) {
        try {
          const response = await fetch(where, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
          const text = await response.text();
          if (!response.ok) throw new Error(`${response.status} ${text.trim().slice(0, 500)}`);
          return readKeyPage(JSON.parse(text));
        } catch (cause) {
          signal.throwIfAborted();
          if (attempt < ATTEMPTS) {
            await delay(PAUSE_MS, undefined, { signal });
            continue;
          }
          throw new MigrationError('MIG084', `The proxy at ${url} was not to be asked for its log of keys`, { cause, detail: cause instanceof Error ? cause.message : String(cause), hint: 'See whether it runs, and that this is the address of its HTTP API; then start the comparison again.' });
        }
      }
    },
  };
}

/** The state directory of a proxy that runs on this machine, or did. */
export function keysOfDirectory(directory: string, nowMs: () => number): KeySource {
  const reader = new KeyReader({ directory, bootId: bootId(), nowMs, lastRepair: (table) => RepairList.open(path.join(directory, 'repairs.jsonl'), 0).lastNoted(table) });
  return { name: directory, page: (table, sinceMs, after) => reader.page(table, sinceMs, after) };
}

export class LoggedKeys implements RecentKeys {
  readonly #sources: readonly KeySource[];
  readonly #nowMs: () => number;
  readonly #mostKeys: number;

  constructor(sources: readonly KeySource[], nowMs: () => number, mostKeys = MOST_KEYS) {
    this.#sources = sources;
    this.#nowMs = nowMs;
    this.#mostKeys = mostKeys;
  }

  async recent(table: CassandraTable, since: bigint, signal: AbortSignal): Promise<RecentlyWritten> {
    const asked: KeyedTable = { keyspace: table.keyspace, table: table.name, partitionKey: table.partitionKey.map(columnOf), clustering: table.clustering.map(columnOf) };
    const found = new Map<string, WrittenKey>();
    const sinceMs = Number(since / 1000n);
    for (const source of this.#sources) {
      const unknown = await this.#collect(source, asked, sinceMs, found, signal);
      if (unknown !== undefined) return { unknown: `${source.name}: ${unknown}` };
    }
    return { keys: comparedKeys(found, table.statics.length > 0) };
  }

  /** Why the source does not tell; undefined when all of its keys are found. */
  async #collect(source: KeySource, asked: KeyedTable, since: number, found: Map<string, WrittenKey>, signal: AbortSignal): Promise<string | undefined> {
    let behindMs = 0;
    for (let after: string | undefined; ; ) {
      const askedMs = this.#nowMs();
      const page = await source.page(asked, Math.max(0, since - behindMs), after, signal);
      signal.throwIfAborted();
      if (askedMs - page.nowMs > behindMs + CLOCKS_APART_MS) {
        // Its clock is behind: what it has noted of late carries times that look older here.
        behindMs = askedMs - page.nowMs;
        after = undefined;
        continue;
      }
      if (page.unknown !== undefined) return page.unknown;
      for (const key of page.keys) found.set(nameOfKey(key), key);
      if (found.size > this.#mostKeys) return `more than ${this.#mostKeys} keys were written`;
      after = page.next;
      if (after === undefined) return undefined;
    }
  }
}

function columnOf({ name, type }: KeyColumn): KeyColumn {
  return { name, type };
}

/** A row of a partition that is compared whole anyway is left out. */
function comparedKeys(found: ReadonlyMap<string, WrittenKey>, hasStatics: boolean): readonly ComparedKey[] {
  const rows: ComparedKey[] = [];
  const statics = new Map<string, ComparedKey>();
  for (const { partitionKey, clustering, isStaticOnly } of found.values()) {
    const isWithin = clustering.some((_, length) => found.has(nameOfKey({ partitionKey, clustering: clustering.slice(0, length), isStaticOnly: false })));
    if (!isWithin && !(isStaticOnly && hasStatics)) rows.push({ part: 'rows', partitionKey, clustering });
    if (hasStatics) statics.set(nameOfKey({ partitionKey, clustering: [], isStaticOnly: true }), { part: 'statics', partitionKey, clustering: [] });
  }
  return [...statics.values(), ...rows];
}
